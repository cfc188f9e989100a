//! Keys typed during an answer: not echoed into it, and the echo is restored however the client exits.

use std::{
    path::Path,
    process::{Child, Command},
    sync::mpsc::{self, Sender},
};

use beast_protocol::FinishReason;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    harness::{Beast, PATIENCE, spawn},
    terminal::Terminal,
};

const SETSID: &str = "/usr/bin/setsid";

/// An answer that pauses in the middle until told to continue.
struct Answering {
    terminal: Terminal,
    child: Child,
    go_on: Sender<()>,
    _beast: Beast,
}

impl Answering {
    /// `None` if there is no setsid program, which makes a terminal the source of signals.
    fn begin(arguments: &[&str]) -> Option<Self> {
        if !Path::new(SETSID).exists() {
            return None;
        }
        let beast = Beast::new();
        let (go_on, may_go_on) = mpsc::channel();
        beast.daemon(move |peer| {
            peer.generate();
            peer.started();
            peer.say(&["some"]);
            if may_go_on.recv_timeout(PATIENCE).is_ok() {
                peer.say(&[" text"]);
                peer.done(FinishReason::Stop);
            }
            peer.sees_the_end();
        });
        let terminal = Terminal::new(100);
        let ask = beast.command(arguments);
        let mut command = Command::new(SETSID);
        command.arg("--ctty").arg(ask.get_program()).args(ask.get_args());
        command.env_clear().envs(ask.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.env("TERM", "xterm").env("NO_COLOR", "1").current_dir(beast.dir.path());
        command.stdin(terminal.stdio()).stdout(terminal.stdio()).stderr(terminal.stdio());
        let child = spawn(&mut command);
        drop(command);
        if arguments[0] == "chat" {
            terminal.wait_for("> ");
            terminal.type_in("hello\r");
        }
        terminal.wait_for("some");
        assert!(!terminal.echoes());
        Some(Self { terminal, child, go_on, _beast: beast })
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

#[test]
fn keys_do_not_come_between_the_words_and_are_not_lost() {
    let Some(answering) = Answering::begin(&["chat"]) else { return };
    answering.terminal.type_in("x\rexit\r");
    answering.go_on.send(()).unwrap();
    answering.terminal.wait_for(" text\r\n");
    // For the question `x` there is no daemon any more; `exit` ends the chat.
    let Answering { terminal, mut child, .. } = answering;
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(terminal.echoes());
    let shown = terminal.finish();
    assert!(shown.contains("some text\n"), "{shown:?}");
}

#[test]
fn a_single_answer_gives_the_terminal_back() {
    let Some(mut answering) = Answering::begin(&["ask", "hello"]) else { return };
    answering.go_on.send(()).unwrap();
    assert_eq!(answering.child.wait().unwrap().code(), Some(0));
    assert!(answering.terminal.echoes());
}

#[test]
fn signals_give_the_terminal_back() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let Some(mut answering) = Answering::begin(&["ask", "hello"]) else { return };
        answering.signal(signal);
        assert!(!answering.child.wait().unwrap().success());
        assert!(answering.terminal.echoes(), "{signal:?}");
    }
}
