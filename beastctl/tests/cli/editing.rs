//! Prompts in the user's editor: on a terminal only, and checked afterwards.

use std::fs;

use expect_test::expect;

use crate::{
    conversations::{daemon, turns},
    harness::{Beast, Ran, feed, spawn},
    terminal::Terminal,
};

const FOLDER: &str = "config/beast/prompts";
/// Runs a command on a terminal, with shell scripts as editors; returns exit code and output.
fn on_a_terminal(beast: &Beast, arguments: &[&str], editors: &[(&str, &str)]) -> String {
    let terminal = Terminal::new(200);
    let mut command = beast.command(arguments);
    command.env("PATH", "/usr/bin:/bin").env("TERM", "dumb").envs(editors.iter().copied());
    command.stdin(terminal.stdio()).stdout(terminal.stdio()).stderr(terminal.stdio());
    let mut child = spawn(&mut command);
    drop(command);
    let code = child.wait().unwrap().code();
    let told = terminal.finish().replace(&beast.dir.path().display().to_string(), "DIR");
    format!("exit {}\n{told}", code.unwrap())
}

/// Runs `prompts edit`.
fn edit(beast: &Beast, name: &str, editor: &str) -> String {
    on_a_terminal(beast, &["prompts", "edit", name], &[("EDITOR", editor)])
}

/// With a pipe on either side no user is present: an editor would draw into the pipe and wait for keys.
#[test]
fn edit_needs_a_terminal() {
    let beast = Beast::alone();
    beast.write(&format!("{FOLDER}/haiku.md"), "Be brief.");
    let reports = ["haiku", "tldr", "horoscope"].map(|name| {
        let mut command = beast.command(&["prompts", "edit", name]);
        command.env("PATH", "/usr/bin:/bin").env("EDITOR", "touch started");
        Ran::of(feed(command, b""), beast.dir.path()).report()
    });
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: cannot open an editor: stdin, stdout and stderr must be a terminal; try: beastctl prompts path haiku, for the file to change
        exit 2
        out: ""
        err: beastctl: cannot open an editor: stdin, stdout and stderr must be a terminal; try: beastctl prompts new tldr --from tldr, for a copy to change
        exit 2
        out: ""
        err: beastctl: no prompt `horoscope`; try: use one of ask, commit-msg, explain, fix, haiku, keywords, review, shell, summarize, title, tldr, translate, or beastctl prompts new horoscope
    "#]].assert_eq(&reports.concat());
    assert!(!beast.path(&format!("{FOLDER}/tldr.md")).exists(), "no copy is left behind");
    assert!(!beast.path("started").exists(), "the editor was started");
}

#[test]
fn edit_opens_a_copy_and_checks_what_came_of_it() {
    let beast = Beast::alone();
    let script = beast.write("an editor", "echo \"$1 $2\" >> args; echo 'Be brief.' > \"$2\"");
    let editor = format!("sh '{}' -w", script.display());
    assert_eq!(edit(&beast, "tldr", &editor), "exit 0\n");
    let file = beast.path(&format!("{FOLDER}/tldr.md"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "Be brief.\n");
    assert_eq!(fs::read_to_string(beast.path("args")).unwrap(), format!("-w {}\n", file.display()));
    let broken = edit(&beast, "tldr", "printf '%s\\n' --- 'max_tokens: 0' --- x > \"$1\"; true");
    expect![[r#"
        exit 2
        beastctl: DIR/config/beast/prompts/tldr.md:2: `max_tokens` is 0, but must be a whole number, from 1 to 4294967295; try: beastctl prompts edit tldr
    "#]].assert_eq(&broken);
    assert!(file.exists(), "what was written stays");
}

#[test]
fn an_editor_that_changes_nothing_leaves_the_built_in_prompt() {
    let beast = Beast::alone();
    let unchanged = "exit 0\nbeastctl: no changes; tldr is still the built-in prompt\n";
    assert_eq!(edit(&beast, "tldr", "true"), unchanged);
    let failed =
        [edit(&beast, "tldr", "false"), edit(&beast, "tldr", "no-such-editor 2>&-"), edit(&beast, "horoscope", "true")];
    assert!(!beast.path(&format!("{FOLDER}/tldr.md")).exists());
    expect![[r#"
        exit 1
        beastctl: the editor `false` exited with exit status: 1; try: set EDITOR=nano, or another installed editor
        exit 1
        beastctl: the editor `no-such-editor 2>&-` was not found; try: set EDITOR=nano, or another installed editor
        exit 2
        beastctl: no prompt `horoscope`; try: use one of ask, commit-msg, explain, fix, keywords, review, shell, summarize, title, tldr, translate, or beastctl prompts new horoscope
    "#]].assert_eq(&failed.concat());
    // VISUAL takes precedence, and a blank setting counts as unset.
    let editors = [("VISUAL", "true"), ("EDITOR", "false")];
    assert_eq!(on_a_terminal(&beast, &["prompts", "edit", "tldr"], &editors), unchanged);
}

/// On a terminal the editor opens at once; with a pipe, `new` works without one.
#[test]
fn new_opens_the_editor_for_a_person() {
    let new = |arguments: &[&str], editor: &str| {
        let beast = Beast::alone();
        let told = on_a_terminal(&beast, &[&["prompts", "new"], arguments].concat(), &[("EDITOR", editor)]);
        let text = fs::read_to_string(beast.path(&format!("{FOLDER}/haiku.md"))).unwrap();
        (told, text)
    };
    let (written, text) = new(&["haiku"], "sh -c 'echo Write a haiku. >\"$1\"'  x");
    assert_eq!(text, "Write a haiku.\n");
    let (untouched, _) = new(&["haiku"], "true");
    let (failed, text) = new(&["haiku"], "false");
    assert!(text.contains("description:"), "the file stays: {text}");
    let (copied, text) = new(&["haiku", "--from", "tldr"], "true");
    assert_eq!(text, include_str!("../../prompts/tldr.md"));
    expect![[r#"
        exit 0
        DIR/config/beast/prompts/haiku.md
        exit 2
        DIR/config/beast/prompts/haiku.md
        beastctl: DIR/config/beast/prompts/haiku.md:49: the prompt has no instruction yet: replace this line; try: beastctl prompts edit haiku
        exit 1
        DIR/config/beast/prompts/haiku.md
        beastctl: the editor `false` exited with exit status: 1; try: set EDITOR=nano, or another installed editor
        exit 0
        DIR/config/beast/prompts/haiku.md
    "#]].assert_eq(&[written, untouched, failed, copied].concat());
}

/// A chat on a terminal in which these lines are typed; what the daemon is asked, and what is seen.
fn chat(lines: &str, editor: &str, n_asked: usize) -> (Vec<String>, String) {
    let beast = Beast::new();
    let daemon = daemon(&beast, &["one", "two", "three"][..n_asked]);
    let terminal = Terminal::new(200);
    let mut command = beast.command(&["chat", "--no-log"]);
    command.env("PATH", "/usr/bin:/bin").env("TERM", "dumb").env("EDITOR", editor);
    command.stdin(terminal.stdio()).stdout(terminal.stdio()).stderr(terminal.stdio());
    let mut child = spawn(&mut command);
    drop(command);
    terminal.wait_for("> ");
    terminal.type_in(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let asked = daemon.join().unwrap().iter().map(|request| turns(request).pop().unwrap().to_owned()).collect();
    (asked, terminal.finish())
}

#[test]
fn a_chat_sends_what_was_saved_in_the_editor() {
    // What is edited is kept for the test, then changed.
    let (asked, _) = chat("hello\r/edit\r/edit a text\r/exit\r", "sh -c 'printf \" again\" >>\"$1\"' x", 3);
    assert_eq!(asked, ["hello", "hello again", "a text again"]);
    let (asked, seen) = chat("hello\r/edit\r/quit\r", "true", 1);
    assert_eq!(asked, ["hello"]);
    assert!(seen.contains("no changes; nothing is sent"), "{seen}");
    let (asked, seen) = chat("hello\r/edit other\r/quit\r", "sh -c 'echo >\"$1\"' x", 1);
    assert_eq!(asked, ["hello"]);
    assert!(seen.contains("no changes; nothing is sent"), "{seen}");
    for (editor, problem) in [
        ("rm", "cannot read the edited text: No such file"),
        (r#"sh -c 'printf "\377\000" >"$1"' x"#, "cannot read the edited text: it is not UTF-8"),
    ] {
        let (asked, seen) = chat("hello\r/edit other\r/quit\r", editor, 1);
        assert_eq!(asked, ["hello"]);
        assert!(seen.contains(problem), "{seen}");
    }
    let (asked, seen) = chat("hello\r/edit other\r/quit\r", "false", 1);
    assert_eq!(asked, ["hello"]);
    assert!(seen.contains("the editor `false` exited with exit status: 1; try: set EDITOR=nano"), "{seen}");
}

#[test]
fn a_chat_in_a_pipe_opens_no_editor() {
    let beast = Beast::new();
    let ran = beast.run(&["chat", "--no-start"], b"/edit hello\n");
    assert_eq!(ran.report(), "exit 2\nout: \"\"\nerr: beastctl: /edit needs a terminal; try: type the question\n");
}
