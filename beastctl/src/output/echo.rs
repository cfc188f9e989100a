//! Buffers keys typed while an answer is written: a terminal would echo them into it. The next reader gets them.
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
    /// What is given back; `None` while the terminal echoes.
    before: Option<Termios>,
}

static STATE: Mutex<State> = Mutex::new(State { is_wanted: false, before: None });
static WATCH: Once = Once::new();

/// As long as this lives, the terminal does not echo. It echoes again however this process ends, but for SIGKILL.
#[derive(Debug)]
pub struct Unechoed(());

impl Unechoed {
    /// `None` where stdout is no terminal, or another program reads what is typed there.
    pub fn begin() -> Option<Self> {
        if !is_ours() {
            return None;
        }
        // Before the terminal is changed: from then on each of them is noticed.
        WATCH.call_once(|| {
            if let Ok(signals) = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP]) {
                // Where no thread can be had, the terminal is still given back on every ordinary way out.
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

/// Whether this process is the one that a person at the terminal talks to: to change it from the background would stop
/// the process.
fn is_ours() -> bool {
    tcgetpgrp(io::stdout()).is_ok_and(|group| group == getpgrp())
}

fn silence() {
    let mut state = state();
    if !state.is_wanted || state.before.is_some() {
        return;
    }
    let Ok(before) = tcgetattr(io::stdout()) else { return };
    // An editor or a program before this one may have had its own reasons.
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
        // Nobody is left to be told.
        let _ = tcsetattr(io::stdout(), OptionalActions::Now, &before);
    }
}

fn watch(mut signals: Signals) {
    for signal in signals.forever() {
        give_back();
        // Ctrl-C has others who care for it; a second one ends the process, and finds the terminal as it was.
        if signal == SIGINT {
            continue;
        }
        // Stops here until the shell lets it go on.
        if emulate_default_handler(signal).is_err() {
            process::abort();
        }
        if signal == SIGTSTP && is_ours() {
            silence();
        }
    }
}
