//! `--tools`: functions are sent to the daemon, calls are returned.

use std::thread::JoinHandle;

use beast_protocol::{Delta, Event, FinishReason, Function, Generate, ToolChoice};
use expect_test::expect;

use crate::{harness::Beast, structured::lines};

const TOOLS: &str = r#"[{"type": "function", "function": {"name": "weather", "description": "Of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}, {"name": "now"}]"#;

fn piece(text: &str, deltas: Vec<Delta>) -> Event {
    Event::Piece { text: text.into(), tokens: vec![1], sampled_at_us: 1, deltas, logprobs: Vec::new() }
}

fn call(index: u32, name: &str) -> Delta {
    Delta::Call { index, id: format!("call_{index}"), name: name.into() }
}

fn arguments(index: u32, text: &str) -> Delta {
    Delta::Arguments { index, text: text.into() }
}

/// A daemon whose model thinks, writes text, and calls two functions.
fn calling(beast: &Beast, says: &'static str) -> JoinHandle<Generate> {
    beast.write("tools.json", TOOLS);
    beast.daemon(move |peer| {
        let request = peer.generate();
        peer.started();
        peer.send(&piece("<think>", vec![Delta::Reasoning("Hm, ".into())]));
        peer.send(&piece("a</think>", vec![Delta::Reasoning("weather.".into())]));
        peer.send(&piece(says, vec![Delta::Text(says.into())]));
        peer.send(&piece("<call>weather", vec![call(0, "weather"), arguments(0, r#"{"city":"#)]));
        peer.send(&piece("...", vec![arguments(0, r#""Rome"}"#), call(1, "now")]));
        peer.done(FinishReason::Stop);
        request
    })
}

#[test]
fn functions_go_to_the_daemon() {
    let beast = Beast::new();
    let daemon = calling(&beast, "Let me look.\n");
    let ran = beast.run(&["ask", "Rome?", "--tools", "tools.json", "--tool-choice", "weather"], b"");
    let tools = daemon.join().unwrap().tools;
    let parameters = r#"{"type":"object","properties":{"city":{"type":"string"}}}"#.into();
    let weather = Function { name: "weather".into(), description: "Of a city.".into(), parameters };
    assert_eq!(tools.functions, [weather, Function { name: "now".into(), ..Function::default() }]);
    assert_eq!(tools.choice, ToolChoice::Named("weather".into()));
    expect![[r#"
        Let me look.
        {"id":"call_0","name":"weather","arguments":{"city":"Rome"}}
        {"id":"call_1","name":"now","arguments":{}}
    "#]]
    .assert_eq(&ran.stdout);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_answer_of_calls_alone_is_not_empty() {
    let beast = Beast::new();
    calling(&beast, "");
    let ran = beast.run(&["ask", "Rome?", "--tools", "tools.json"], b"");
    assert_eq!((ran.code, ran.stderr.as_str(), ran.stdout.lines().count()), (Some(0), "", 2), "{ran:?}");
}

#[test]
fn the_object_has_calls_and_reasoning() {
    let beast = Beast::new();
    calling(&beast, "Let me look.");
    let ran = beast.run(&["ask", "Rome?", "--tools", "tools.json", "--json"], b"");
    let object = &lines(&ran)[0];
    assert_eq!((&object["text"], &object["reasoning"]), (&"Let me look.".into(), &"Hm, weather.".into()));
    assert_eq!(object["finish_reason"], "tool_calls");
    expect![[
        r#"[{"id":"call_0","name":"weather","arguments":{"city":"Rome"}},{"id":"call_1","name":"now","arguments":{}}]"#
    ]]
    .assert_eq(&object["tool_calls"].to_string());
}

#[test]
fn lines_tell_of_calls_as_they_come() {
    let beast = Beast::new();
    calling(&beast, "Let me look.");
    let ran = beast.run(&["ask", "Rome?", "--tools", "tools.json", "--stream-json"], b"");
    let mut lines = lines(&ran);
    let done = lines.pop().unwrap();
    assert_eq!((&done["type"], done["tool_calls"].as_array().unwrap().len()), (&"done".into(), 2));
    assert_eq!(done["finish_reason"], "tool_calls");
    let on_the_way: String = lines[1..].iter().map(|line| format!("{line}\n")).collect();
    expect![[r#"
        {"type":"reasoning","text":"Hm, "}
        {"type":"reasoning","text":"weather."}
        {"type":"piece","text":"Let me look."}
        {"type":"tool_call","index":0,"id":"call_0","name":"weather"}
        {"type":"tool_call_arguments","index":0,"text":"{\"city\":"}
        {"type":"tool_call_arguments","index":0,"text":"\"Rome\"}"}
        {"type":"tool_call","index":1,"id":"call_1","name":"now"}
    "#]]
    .assert_eq(&on_the_way);
}

#[test]
fn a_conversation_keeps_what_was_said() {
    let beast = Beast::new();
    let daemon = calling(&beast, "Let me look.");
    let ran = beast.run(&["ask", "Rome?", "--tools", "tools.json", "--session", "trip"], b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    daemon.join().unwrap();
    std::fs::remove_file(beast.socket()).unwrap();
    let daemon = beast.daemon(|peer| {
        let request = peer.generate();
        peer.answer(&["Sunny."]);
        request
    });
    beast.run(&["ask", "So?", "--session", "trip"], b"");
    let turns: Vec<_> = daemon.join().unwrap().messages.into_iter().map(|message| message.content).collect();
    assert_eq!(turns[turns.len() - 3..], ["Rome?", "Let me look.", "So?"]);
}

#[test]
fn mistakes_are_found_before_the_daemon_is_called() {
    let beast = Beast::new();
    beast.write("tools.json", TOOLS);
    let say = |arguments: &[&str]| beast.run(arguments, b"").report();
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: cannot read none.json: No such file or directory (os error 2); try: ls, to see what is there
    "#]]
    .assert_eq(&say(&["ask", "x", "--tools", "none.json"]));
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: --tool-choice then: tools.json has no such tool; try: use one of auto, none, required, weather, now
    "#]]
    .assert_eq(&say(&["ask", "x", "--tools", "tools.json", "--tool-choice", "then"]));
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: chat does not support --tools; try: beastctl ask --tools FILE 'QUESTION'
    "#]]
    .assert_eq(&say(&["chat", "--tools", "tools.json"]));
}
