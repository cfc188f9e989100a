//! Completes a word: candidates known to this program, and the kind of paths that the shell itself should complete.
//! Knows no shells and reads no folder: shells handle `~`, `$HOME`, quotes and their users' settings.

use std::{ffi::OsString, io};

use clap::{Arg, Command, ValueHint};
use clap_complete::{
    ArgValueCandidates, ArgValueCompleter,
    engine::{self, CompletionCandidate},
};

use crate::cli::completers::{Paths, paths};

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The kind of paths that may also stand here.
    pub(super) paths: Option<Paths>,
    /// Text before the path in the same word, like `--schema=`.
    pub(super) prefix: String,
    pub(super) words: Vec<Word>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) value: String,
    pub(super) help: String,
}

impl Found {
    /// Completes the last of these words; the first is the program.
    pub(super) fn new(command: Command, words: Vec<OsString>) -> io::Result<Self> {
        let mut command = without_paths(command);
        let is_empty = words.last().is_none_or(|word| word.is_empty());
        let index = words.len().saturating_sub(1);
        let mut candidates = engine::complete(&mut command, words, index, None)?;
        let is_option = |candidate: &CompletionCandidate| candidate.get_value().as_encoded_bytes().starts_with(b"-");
        // With nothing typed yet, only names are shown: all the options would bury them.
        if is_empty && !candidates.iter().all(is_option) {
            candidates.retain(|candidate| !is_option(candidate));
        }
        let mut found = Self::default();
        for candidate in candidates {
            let value = candidate.get_value().to_string_lossy().into_owned();
            match Paths::of(&candidate) {
                Some(kind) => (found.paths, found.prefix) = (Some(kind), value),
                // Shells split candidates at line breaks and tabs.
                None if value.contains(char::is_control) => {}
                None => found.words.push(Word { help: help(&candidate), value }),
            }
        }
        Ok(found)
    }

    pub(super) fn kind(&self) -> &'static str {
        self.paths.map_or("none", Paths::name)
    }
}

fn help(candidate: &CompletionCandidate) -> String {
    let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
    let line = help.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).collect()
}

/// Makes every argument that takes a path complete to a marker with the kind of paths.
fn without_paths(command: Command) -> Command {
    command.mut_args(without_path).mut_subcommands(without_paths)
}

fn without_path(argument: Arg) -> Arg {
    let is_ours = argument.get::<ArgValueCompleter>().is_some() || argument.get::<ArgValueCandidates>().is_some();
    let kind = match argument.get_value_hint() {
        ValueHint::AnyPath | ValueHint::FilePath => Paths::Any,
        ValueHint::DirPath => Paths::Folders,
        _ => return argument,
    };
    if is_ours { argument } else { argument.add(ArgValueCompleter::new(move |_: &std::ffi::OsStr| vec![paths(kind)])) }
}

#[cfg(test)]
#[path = "found_tests.rs"]
mod tests;
