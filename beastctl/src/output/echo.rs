//! Turns off echo while an answer is written, so that typed keys do not appear in it. The next reader of the terminal
//! gets them.
//!
//! Knows the terminal on stdout, and the signals that end or stop this process; never the answer.

use std::{
    io, process,
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
};

use rustix::{
    process::getpgrp,
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP},
    iterator::Signals,
    low_level::emulate_default_handler,
};

#[derive(Debug, Default)]
struct State {
    is_wanted: bool,
    /// The settings to restore; `None` while the terminal echoes.
    before: Option<Termios>,
}

static STATE: Mutex<State> = Mutex::new(State { is_wanted: false, before: None });
static WATCH: Once = Once::new();

/// Turns off the terminal's echo as long as this value lives. Echo is restored however this process ends, except by
/// SIGKILL.
#[derive(Debug)]
pub struct Unechoed(());

impl Unechoed {
    /// `None` if stdout is no terminal, or another program is in the foreground.
    pub fn begin() -> Option<Self> {
        if !is_ours() {
            return None;
        }
        // Installed before changing the terminal, so that no signal is missed afterwards.
        WATCH.call_once(|| {
            if let Ok(signals) = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP]) {
                // If no thread can be started, echo is still restored at every ordinary end.
                drop(thread::Builder::new().name("echo".into()).spawn(move || watch(signals)));
            }
        });
        state().is_wanted = true;
        silence();
        Some(Self(()))
    }
}

impl Drop for Unechoed {
    fn drop(&mut self) {
        state().is_wanted = false;
        give_back();
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process is in the foreground: a background process that changes the terminal would be stopped.
fn is_ours() -> bool {
    tcgetpgrp(io::stdout()).is_ok_and(|group| group == getpgrp())
}

fn silence() {
    let mut state = state();
    if !state.is_wanted || state.before.is_some() {
        return;
    }
    let Ok(before) = tcgetattr(io::stdout()) else { return };
    // If echo is off already, another program wanted that.
    if !before.local_modes.contains(LocalModes::ECHO) {
        return;
    }
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    if tcsetattr(io::stdout(), OptionalActions::Now, &silent).is_ok() {
        state.before = Some(before);
    }
}

fn give_back() {
    if let Some(before) = state().before.take() {
        // A failure cannot be reported here.
        let _ = tcsetattr(io::stdout(), OptionalActions::Now, &before);
    }
}

fn watch(mut signals: Signals) {
    for signal in signals.forever() {
        give_back();
        // Others handle Ctrl-C; a second one ends the process, with the terminal restored by then.
        if signal == SIGINT {
            continue;
        }
        // The process stops here until the shell continues it.
        if emulate_default_handler(signal).is_err() {
            process::abort();
        }
        if signal == SIGTSTP && is_ours() {
            silence();
        }
    }
}
