//! Chats, conversations from elsewhere, and the editor.

use super::*;
use crate::editor::EditorError;

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
    });
    check(
        samples,
        expect![[r#"
        1   the editor `vi` was not found; try: set EDITOR=nano, or another installed editor
        1   cannot keep the text for the editor: No space left on device (os error 28); try: set TMPDIR to a writable folder
    "#]],
    );
}
