//! A conversation that continues with a different prompt.

use crate::{
    conversations::{daemon, turns},
    harness::Beast,
};

#[test]
fn a_conversation_hears_what_another_prompt_says() {
    let beast = Beast::new();
    beast.write("config/beast/prompts/one.md", "Count to one.");
    beast.write("config/beast/prompts/two.md", "Count to two.");
    let daemon = daemon(&beast, &["1", "2", "3", "4"]);
    for (verb, text) in [("one", "a"), ("one", "b"), ("two", "c")] {
        assert_eq!(beast.run(&["run", verb, "--session", "s"], text.as_bytes()).code, Some(0));
    }
    beast.ok(&["ask", "d", "--session", "s"]);
    let requests = daemon.join().unwrap();
    assert_eq!(turns(&requests[3]), ["a", "1", "b", "2", "Count to two.\n\nc", "3", "d"], "`ask` just goes on");
    assert!(requests.iter().all(|request| request.messages[0].content == "Count to one."));
}
