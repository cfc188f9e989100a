//! The key that turns the line into a command, in real shells. A shell that is not installed is skipped with a note.

use std::{fs, os::unix::net::UnixListener, path::Path, thread};

use beast_protocol::{ErrorCode, Event, Welcome, WireError};

use crate::{
    harness::{Beast, Peer},
    tab::shell,
    terminal::Terminal,
};

const COMMAND: &str = "touch ran 'two words'";

/// Presses some keys, then Ctrl-T, with which the shell saves its line; returns that line.
fn line(beast: &Beast, terminal: &Terminal, keys: &str) -> String {
    terminal.type_in(format!("{keys}\x14"));
    terminal.wait_for("LINE-WRITTEN");
    terminal.type_in("\x15");
    fs::read_to_string(beast.path("line")).unwrap().trim_end_matches('\n').to_owned()
}

/// Checks a shell; false if it is not installed.
#[track_caller]
fn check(words: &[&str], export: &str, file: &str, setup: &str) -> bool {
    let beast = Beast::new();
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let daemon = thread::spawn(move || {
        let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
        let request = peer.generate();
        peer.answer(&[COMMAND]);
        let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
        peer.generate();
        peer.send(&Event::Failed(WireError::new(ErrorCode::Invalid, "no; try: something else")));
        request
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("integrations/shell").join(file);
    let setup = format!("{export}{}; source '{}'; {setup}", beast.socket().display(), script.display());
    let Some((mut child, terminal)) = shell(&beast, words, &setup) else { return false };
    let nothing = line(&beast, &terminal, "  \x1bi");
    let made = line(&beast, &terminal, "make a file 'called' ran\x1bi");
    let refused = line(&beast, &terminal, "make another\x1bi");
    terminal.type_in("exit\n");
    let shown = terminal.finish();
    child.wait().unwrap();
    assert_eq!((nothing.trim(), made.as_str(), refused.as_str()), ("", COMMAND, "make another"), "{shown}");
    assert!(!beast.path("ran").exists(), "the command was run");
    assert!(shown.contains("no; try: something else"), "{shown}");
    assert_eq!(daemon.join().unwrap().messages.last().unwrap().content.trim(), "make a file 'called' ran");
    true
}

#[test]
fn bash_makes_a_command_of_the_line_and_does_not_run_it() {
    let setup = "bind 'set bell-style none'; \
         bind -x '\"\\C-t\": printf %s \"$READLINE_LINE\" >$HOME/line; echo LINE\"\"-WRITTEN'";
    if !check(&["bash", "--norc", "--noprofile", "-i"], "export BEAST_SOCKET=", "beast.bash", setup) {
        eprintln!("skipped: there is no bash, or no setsid");
    }
}

#[test]
fn zsh_makes_a_command_of_the_line_and_does_not_run_it() {
    let setup = "PS1=; unsetopt beep; w() { print -rn -- \"$BUFFER\" >$HOME/line; print LINE\"\"-WRITTEN; }; zle -N w; \
         bindkey -e; bindkey '^T' w";
    if !check(&["zsh", "-f", "-i"], "export BEAST_SOCKET=", "beast.zsh", setup) {
        eprintln!("skipped: there is no zsh, or no setsid");
    }
}

#[test]
fn fish_makes_a_command_of_the_line_and_does_not_run_it() {
    let setup = "function w; commandline >$HOME/line; echo LINE\"\"-WRITTEN; end; bind \\ct w";
    if !check(&["fish", "--no-config", "-i"], "set -gx BEAST_SOCKET ", "beast.fish", setup) {
        eprintln!("skipped: there is no fish, or no setsid");
    }
}
