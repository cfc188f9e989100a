//! A chat on a pseudo-terminal.

use std::{
    os::unix::net::UnixListener,
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::mpsc,
    thread,
};

use beast_protocol::{Event, FinishReason, Welcome};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    conversations::{daemon, turns},
    harness::{Beast, Peer, spawn},
    terminal::Terminal,
};

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const UP: &str = "\x1b[A";

/// A user at a terminal, and the program.
struct Person {
    terminal: Terminal,
    child: Child,
}

impl Person {
    fn new(command: Command) -> Self {
        Self::at("xterm", command)
    }

    /// A user at a terminal of type `term`.
    fn at(term: &str, mut command: Command) -> Self {
        let terminal = Terminal::new(100);
        command.stdin(terminal.stdio()).stdout(terminal.stdio()).stderr(terminal.stdio());
        command.env("TERM", term).env("NO_COLOR", "1");
        // The command is dropped here: while it holds copies of the terminal's end, the terminal never hangs up.
        let child = spawn(&mut command);
        Self { terminal, child }
    }

    fn type_in(&self, bytes: impl AsRef<[u8]>) {
        self.terminal.type_in(bytes);
    }

    /// Waits for this output after the output waited for before.
    fn wait_for(&self, text: &str) {
        self.terminal.wait_for(text);
    }

    /// Waits for the input prompt.
    fn prompt(&self) {
        self.wait_for("> ");
    }

    fn ask(&self, line: &str) {
        self.prompt();
        self.type_in(line);
        self.type_in("\r");
    }

    fn end(mut self) -> (ExitStatus, String) {
        let shown = self.terminal.finish();
        (self.child.wait().unwrap(), shown)
    }
}

fn chat(beast: &Beast, arguments: &[&str]) -> Person {
    Person::new(beast.command(&[&["chat"], arguments].concat()))
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn lines_are_edited_recalled_and_kept() {
    let beast = Beast::new();
    let daemon = daemon(&beast, &["one", "two", "three"]);
    let person = chat(&beast, &[]);
    person.wait_for("/help lists the commands");
    person.ask("");
    person.ask("hellp\x7fo");
    person.wait_for("\r\none\r\n");
    // Newlines in pasted text do not submit it.
    person.ask("\x1b[200~a\rb\x1b[201~c");
    person.wait_for("two\r\n");
    person.ask(UP);
    person.wait_for("three\r\n");
    person.prompt();
    person.type_in(CTRL_D);
    let (status, shown) = person.end();
    assert_eq!(status.code(), Some(0), "{shown}");
    assert_eq!(turns(&daemon.join().unwrap()[2]), ["hello", "one", "a\nbc", "two", "a\nbc"]);
    let typed = beast.path(".local/share/beast/chat-history");
    assert!(text(&typed).contains("hello\na\\nbc\n"), "{}", text(&typed));
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&typed.metadata().unwrap()) & 0o777, 0o600);
}

#[test]
fn lines_that_come_together_are_asked_in_turn() {
    let beast = Beast::new();
    let daemon = daemon(&beast, &["one", "two", "three"]);
    let terminal = chat(&beast, &[]);
    terminal.prompt();
    terminal.type_in("hi\rwhat is a pipe?\r\"\"\"\rline one\rline two\r\"\"\"\r/quit\r");
    let (status, shown) = terminal.end();
    assert_eq!(status.code(), Some(0), "{shown}");
    assert_eq!(turns(&daemon.join().unwrap()[2]), ["hi", "one", "what is a pipe?", "two", "line one\nline two"]);
}

#[test]
fn what_is_typed_during_an_answer_is_asked_after_it() {
    let beast = Beast::new();
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let (go_on, may_go_on) = mpsc::channel();
    let daemon = thread::spawn(move || {
        let answer = |n: usize| {
            let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
            let request = peer.generate();
            peer.started();
            peer.say(&["some"]);
            if n == 0 {
                may_go_on.recv().unwrap();
            }
            peer.say(&[" text"]);
            peer.done(FinishReason::Stop);
            request
        };
        (0..3).map(answer).collect::<Vec<_>>()
    });
    let terminal = chat(&beast, &[]);
    terminal.ask("alpha");
    terminal.wait_for("some");
    terminal.type_in("beta\rgam");
    // The terminal echoes and buffers it.
    terminal.wait_for("gam");
    go_on.send(()).unwrap();
    for _ in 0..2 {
        terminal.wait_for(" text\r\n");
    }
    terminal.prompt();
    terminal.wait_for("gam");
    terminal.type_in("ma\r");
    terminal.wait_for(" text\r\n");
    terminal.prompt();
    terminal.type_in(CTRL_D);
    assert_eq!(terminal.end().0.code(), Some(0));
    let asked = ["alpha", "some text", "beta", "some text", "gamma"];
    assert_eq!(turns(&daemon.join().unwrap()[2]), asked);
}

#[test]
fn a_byte_that_is_no_utf_8_does_not_end_a_chat() {
    for term in ["xterm", "dumb"] {
        let beast = Beast::new();
        daemon(&beast, if term == "dumb" { &["one", "two"] } else { &["two"] });
        let terminal = Person::at(term, beast.command(&["chat"]));
        terminal.prompt();
        terminal.type_in(b"caf\xe9 latin1\r");
        terminal.wait_for("not UTF-8");
        terminal.ask("hello");
        terminal.wait_for("two\r\n");
        terminal.ask("/quit");
        assert_eq!(terminal.end().0.code(), Some(0), "{term}");
    }
}

#[test]
fn a_terminal_without_an_editor_will_do() {
    let beast = Beast::new();
    let daemon = daemon(&beast, &["one", "two"]);
    let terminal = Person::at("dumb", beast.command(&["chat"]));
    let interrupt = |person: &Person| kill_process(Pid::from_child(&person.child), Signal::INT).unwrap();
    terminal.prompt();
    interrupt(&terminal);
    terminal.wait_for("Ctrl-C again");
    terminal.prompt();
    terminal.type_in("a\rb \\\rc\r");
    terminal.wait_for("two\r\n");
    terminal.prompt();
    interrupt(&terminal);
    terminal.wait_for("Ctrl-C again");
    terminal.prompt();
    interrupt(&terminal);
    assert_eq!(terminal.end().0.code(), Some(130));
    assert_eq!(turns(&daemon.join().unwrap()[1]), ["a", "one", "b \nc"]);
}

#[test]
fn one_ctrl_d_ends_what_is_typed() {
    for arguments in [&["tldr"][..], &["summarize"], &["ask", "what", "-"]] {
        let beast = Beast::new();
        daemon(&beast, &["one"]);
        let terminal = Person::new(beast.command(arguments));
        terminal.wait_for("Ctrl-D to finish");
        terminal.type_in("some text\r");
        terminal.type_in(CTRL_D);
        terminal.wait_for("one\r\n");
        assert_eq!(terminal.end().0.code(), Some(0));
    }
}

#[test]
fn nothing_typed_is_kept_under_no_log() {
    let beast = Beast::new();
    daemon(&beast, &["one"]);
    let person = chat(&beast, &["--no-log"]);
    person.ask("hello");
    person.wait_for("one\r\n");
    person.ask("/quit");
    assert_eq!(person.end().0.code(), Some(0));
    assert!(!beast.path(".local/share/beast").exists());
}

/// Several times in one process: each Ctrl-C applies to one answer.
#[test]
fn ctrl_c_stops_an_answer_and_not_the_chat() {
    let beast = Beast::new();
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let daemon = thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in ["half", "whole", "", "half again", "whole again"] {
            let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
            requests.push(peer.generate());
            if answer.starts_with("whole") {
                peer.answer(&[answer]);
                continue;
            }
            peer.started();
            if answer.is_empty() {
                peer.send(&Event::Progress { n_done: 1, n_total: 2 });
            } else {
                peer.say(&[answer]);
            }
            assert!(peer.sees_the_end(), "the daemon hears of it");
        }
        requests
    });
    let person = chat(&beast, &["--session", "talk"]);
    person.ask("a");
    person.wait_for("\r\nhalf");
    kill_process(Pid::from_child(&person.child), Signal::INT).unwrap();
    person.ask("b");
    person.wait_for("whole\r\n");
    person.ask("c");
    person.wait_for("reading");
    kill_process(Pid::from_child(&person.child), Signal::INT).unwrap();
    person.ask("d");
    person.wait_for("half again");
    kill_process(Pid::from_child(&person.child), Signal::INT).unwrap();
    person.ask("e");
    person.wait_for("whole again\r\n");
    // At the prompt Ctrl-C is a key: the first clears the line, the second in a row ends the chat.
    person.prompt();
    person.type_in("not sent");
    person.type_in(CTRL_C);
    person.wait_for("Ctrl-C again");
    person.prompt();
    person.type_in(CTRL_C);
    assert_eq!(person.end().0.code(), Some(130));
    let requests = daemon.join().unwrap();
    let last = ["a", "half", "b", "whole", "d", "half again", "e"];
    assert_eq!(turns(&requests[4]), last, "what had come is kept, and nothing where nothing had");
    let shown = beast.run(&["history", "show", "talk"], b"").stdout;
    assert!(shown.starts_with("> a\n\nhalf […]\n\n> b\n\nwhole\n\n> d\n\nhalf again […]\n"), "{shown}");
}

#[test]
fn what_does_not_fit_is_left_out_and_told() {
    let beast = Beast::new();
    let daemon = daemon(&beast, &["1", "2", "TOO LONG", "TOO LONG", "3", "4"]);
    let person = chat(&beast, &["--session", "talk"]);
    for (question, answer) in [("a", "1\r\n"), ("b", "2\r\n"), ("c", "3\r\n")] {
        person.ask(question);
        person.wait_for(answer);
    }
    person.wait_for("the context is full: no longer sending the 2 oldest exchanges");
    person.ask("d");
    person.wait_for("4\r\n");
    person.prompt();
    person.type_in(CTRL_D);
    assert_eq!(person.end().0.code(), Some(0));
    let requests = daemon.join().unwrap();
    let sent: Vec<_> = requests.iter().map(turns).collect();
    assert_eq!(sent[2..5], [vec!["a", "1", "b", "2", "c"], vec!["b", "2", "c"], vec!["c"]]);
    assert_eq!(sent[5], ["c", "3", "d"]);
    assert!(requests.iter().all(|request| request.messages[0] == requests[0].messages[0]), "the system turn stays");
    assert_eq!(beast.run(&["history", "show", "talk"], b"").stdout.matches("> ").count(), 4, "all is kept");
}

#[test]
fn a_failure_is_told_and_the_next_line_tries_again() {
    let beast = Beast::new();
    daemon(&beast, &["LOST", "one"]);
    let person = chat(&beast, &[]);
    person.ask("a");
    person.wait_for("beastd ended before the answer did");
    person.ask("/sava x");
    person.wait_for("unknown command /sava");
    person.ask("/retry");
    person.wait_for("one\r\n");
    person.prompt();
    person.type_in(CTRL_D);
    assert_eq!(person.end().0.code(), Some(0));
}

#[test]
fn a_person_is_asked_before_everything_goes() {
    for (answer, code, n_left) in [("n\r", 2, 1), ("\r", 2, 1), ("Yes\r", 0, 0)] {
        let beast = Beast::new();
        daemon(&beast, &["one"]);
        beast.run(&["ask", "a"], b"");
        let person = Person::new(beast.command(&["history", "rm", "--all"]));
        person.wait_for("Remove 1 conversation? [y/N] ");
        person.type_in(answer);
        let (status, shown) = person.end();
        assert_eq!((status.code(), beast.n_conversations()), (Some(code), n_left), "{shown}");
    }
}
