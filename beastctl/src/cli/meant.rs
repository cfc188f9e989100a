//! Finds the command that an invalid command line was meant for, because its help is the next step.

use std::ffi::OsStr;

use clap::{Command, CommandFactory};

use super::Cli;
use crate::text::quoted;

/// The command as typed, such as `beastctl prompts new`, without options; `beastctl` if there is none.
pub fn command_of<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> String {
    let root = Cli::command();
    let (mut command, mut typed) = (&root, root.get_name().to_owned());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some(word) = word.as_ref().to_str() else { break };
        if let Some(option) = word.strip_prefix('-') {
            if has_value(command, option) {
                words.next();
            }
            continue;
        }
        match command.find_subcommand(word) {
            Some(next) => command = next,
            // A prompt's name works like a command; the words after it are arguments.
            None if std::ptr::eq(command, &raw const root) => return format!("{typed} {}", quoted(word)),
            None => break,
        }
        typed = format!("{typed} {word}");
    }
    typed
}

/// Whether the option takes the next word as its value. `option` is without its first `-`.
fn has_value(command: &Command, option: &str) -> bool {
    let is_meant = |argument: &clap::Arg| match option.strip_prefix('-') {
        Some(long) => argument.get_long() == Some(long),
        None => argument.get_short().is_some_and(|short| option.chars().eq([short])),
    };
    command.get_arguments().any(|argument| is_meant(argument) && argument.get_action().takes_values())
}

#[cfg(test)]
#[path = "meant_tests.rs"]
mod tests;
