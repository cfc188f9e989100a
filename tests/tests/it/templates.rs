//! Chat templates of other makers' models, and their effect on other clients of the daemon.

use beast_protocol::{Event, Generate, Request};
use beast_tests::gguf::{Gguf, Value};
use beast_tests::samples::ask;
use beast_tests::{Beast, Home, project};

/// The built-in model with a template that computes for seconds if a message requests it.
fn slow_model(home: &Home) -> String {
    let mut gguf = Gguf::parse(&std::fs::read(project("models/cub/cub.gguf")).expect("part of the project"));
    let template = "{% set text = 'ab' * 200000 %}{% for message in messages %}{% if message.content == 'slow' %}\
                    {% for n in range(20000) %}{% if 'abb' in text %}{% endif %}{% endfor %}{% endif %}\
                    {{ message.content }}{% endfor %}";
    gguf.set("tokenizer.chat_template", Value::text(template));
    home.write("slow.gguf", gguf.bytes()).display().to_string()
}

#[test]
fn a_template_that_takes_its_time_holds_up_nobody_else() {
    let home = Home::new();
    let model = slow_model(&home);
    let beast: Beast = home.start(&[&format!("model={model}")]);
    beast.ready();
    let mut slow = beast.client();
    slow.send(&Request::Generate(ask("slow")));
    // If the slow one blocked them, it would be noticed here.
    for _ in 0..3 {
        beast.status();
        beast.client().ask(&Generate { max_tokens: Some(1), ..ask("quick") }).done();
    }
    slow.stream.set_nonblocking(true).expect("a socket");
    let heard = beast_protocol::read_frame(&mut slow.stream);
    assert!(heard.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it was not slow");
    slow.stream.set_nonblocking(false).expect("a socket");
    // It is answered or fails; no client waits forever.
    let end = slow.answer();
    assert!(end.events.iter().any(|event| matches!(event, Event::Done { .. } | Event::Failed(_))), "{end:?}");
}
