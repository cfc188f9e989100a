//! Tools that every table uses: daemons, answers, and progress.

use std::path::{Path, PathBuf};

use beast_protocol::{Generate, Model};

use super::{
    daemon::{Answered, Daemon, ask},
    home::Home,
    settings::Settings,
    steps::Steps,
};
use crate::{
    cli::BenchOptions,
    client::{Client, ClientError},
    exit::Result,
    wait::Wait,
};

/// Repetitions for a median. A quick run measures once.
const N_REPEATS: u32 = 3;

pub(super) struct Lab<'a> {
    program: PathBuf,
    home: Home,
    n_daemons: u32,
    n_texts: usize,
    pub(super) settings: Settings,
    pub(super) wait: &'a Wait,
    pub(super) steps: Steps,
    pub(super) n_repeats: u32,
    pub(super) is_quick: bool,
}

impl<'a> Lab<'a> {
    pub(super) fn new(
        program: PathBuf,
        settings: Settings,
        home: Home,
        wait: &'a Wait,
        steps: Steps,
        options: &BenchOptions,
    ) -> Self {
        let n_repeats = options.repeats.unwrap_or(if options.quick { 1 } else { N_REPEATS });
        let is_quick = options.quick;
        Self { program, home, n_daemons: 0, n_texts: 0, settings, wait, steps, n_repeats, is_quick }
    }

    /// Starts a daemon with these settings in place of the user's; it restores no prefixes of earlier daemons.
    pub(super) fn start(&mut self, overrides: &[(&str, &str)]) -> Result<Daemon> {
        self.start_on_kept(&[&[("prefix_disk_mib", "0")], overrides].concat())
    }

    /// Starts a daemon that may restore what an earlier one saved to disk.
    pub(super) fn start_on_kept(&mut self, overrides: &[(&str, &str)]) -> Result<Daemon> {
        self.n_daemons += 1;
        let arguments = self.settings.arguments(overrides);
        let steps = &mut self.steps;
        let say = |stage: &str| steps.tick(stage);
        Daemon::start(&self.program, &self.home, self.n_daemons, &arguments, self.wait, say)
    }

    /// Path of a daemon's model file; `None` for the built-in model, which was unpacked for this run.
    pub(super) fn file_of(&self, model: &Model) -> Option<PathBuf> {
        let path = Path::new(&model.path);
        (!self.home.holds(path)).then(|| path.canonicalize().unwrap_or_else(|_| path.to_owned()))
    }

    pub(super) fn ask(&mut self, client: &mut Client, request: Generate) -> Result<Answered, ClientError> {
        ask(client, request, self.wait, Some(&mut self.steps))
    }

    pub(super) fn next_text(&mut self) -> usize {
        self.n_texts += 1;
        self.n_texts
    }

    /// The first value, or the second in a quick run.
    pub(super) fn sized<T>(&self, usual: T, quick: T) -> T {
        if self.is_quick { quick } else { usual }
    }
}
