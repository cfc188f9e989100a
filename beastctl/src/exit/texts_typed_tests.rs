//! Chats, conversations from elsewhere, and the editor.

use super::*;
use crate::{editor::EditorError, turn::messages::MessagesError};

#[test]
fn of_a_chat() {
    let way = "beastctl ask --tools FILE 'QUESTION'";
    let samples = samples!(ChatError {
        Typed: [ChatError::Typed("no question yet".into())],
        NoTerminal: [ChatError::NoTerminal],
        Option: [ChatError::Option { option: "--tools", way }],
    });
    check(
        samples,
        expect![[r#"
            2   no question yet; try: /help
            2   /edit needs a terminal; try: type the question
            2   chat does not support --tools; try: beastctl ask --tools FILE 'QUESTION'
        "#]],
    );
}

#[test]
fn of_an_editor() {
    let samples = samples!(EditorError {
        Failed: [EditorError::Failed { editor: "vi".into(), problem: "was not found".into() }],
        NoFile: [EditorError::NoFile(os(Errno::NOSPC))],
        Lost: [EditorError::Lost(os(Errno::NOENT))],
    });
    check(
        samples,
        expect![[r#"
            1   the editor `vi` was not found; try: set EDITOR=nano, or another installed editor
            1   cannot keep the text for the editor: No space left on device (os error 28); try: set TMPDIR to a writable folder
            1   cannot read the edited text: No such file or directory (os error 2); try: save it under the same name, as UTF-8
        "#]],
    );
}

#[test]
fn of_messages() {
    let name = || "m.json".to_owned();
    let samples = samples!(MessagesError {
        NoJson: [MessagesError::NoJson {
            name: name(),
            line: 2,
            column: 1,
            problem: "expected value".into(),
            way: "fix it until jq . m.json accepts it".into(),
        }],
        NoList: [MessagesError::NoList { name: name() }],
        Key: [MessagesError::Key { name: name(), key: "model".into() }],
        Message: [MessagesError::Message {
            name: name(),
            n: 3,
            problem: "unknown role `tool`".into(),
            way: "use system, user or assistant",
        }],
        NoQuestion: [MessagesError::NoQuestion { name: name() }],
        Answered: [MessagesError::Answered { name: name(), role: "assistant" }],
        TooLong: [MessagesError::TooLong { name: name(), limit: 1 << 25 }],
        TwoSystems: [MessagesError::TwoSystems { name: name() }],
    });
    check(
        samples,
        expect![[r#"
            2   m.json:2:1: invalid JSON: expected value; try: fix it until jq . m.json accepts it
            2   m.json: expected a list of messages, or an object with `messages`; try: use [{"role": "user", "content": "Hello"}]
            2   m.json: unknown key `model`; try: keep only `messages`
            2   m.json: message 3: unknown role `tool`; try: use system, user or assistant
            2   m.json has no user message; try: add one, or pass the QUESTION as an argument
            2   m.json ends with the assistant's message; try: add the user's, or pass the QUESTION as an argument
            4   m.json is larger than 32 MiB; try: drop the oldest messages
            2   m.json has a system message, and --system is another; try: leave one of them out
        "#]],
    );
}
