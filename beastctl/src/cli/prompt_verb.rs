//! Makes each prompt a verb: `beastctl explain FILE` is `beastctl run explain FILE`, including options, help and
//! error messages.

use std::{ffi::OsString, path::Path};

use clap::{Command, CommandFactory, FromArgMatches, Parser};

use super::{Cli, Verb};
use crate::{
    exit::Result,
    output::one_line,
    prompts::{self, Prompt, PromptError, Variable},
    text,
};

/// Parses the command line; `folder` holds the user's own prompts.
///
/// # Errors
/// [`clap::Error`] for an invalid command line, and for help and version; [`PromptError::NoCommand`] for a first word
/// that is neither a command nor a prompt.
pub fn parse(mut arguments: Vec<OsString>, folder: Option<&Path>) -> Result<Cli> {
    spell_out(&mut arguments);
    let cli = Cli::try_parse_from(&arguments)?;
    let words = match cli.verb {
        // The parser reports help as an error.
        Verb::Help { command } => return parse(asking_for_help(&arguments, command), folder),
        Verb::Prompt(words) => words,
        _ => return Ok(cli),
    };
    // `words` begin with the name; only global options precede it.
    let at = arguments.len() - words.len();
    if arguments[at - 1] == "--" {
        // `--` says that no options follow, but a command or a prompt may.
        arguments.remove(at - 1);
        return parse(arguments, folder);
    }
    let name = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let source = match prompts::find(&name, folder) {
        Ok(source) => source,
        Err(PromptError::Unknown { .. } | PromptError::Name(_)) => return Err(unknown(&words, folder).into()),
        Err(error) => return Err(error.into()),
    };
    let prompt = source.parse()?;
    arguments.insert(at, "run".into());
    let mut command = Cli::command().mut_subcommand("run", |run| disguise(run, &prompt));
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    Ok(Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?)
}

/// `-x json` is `--extract-json`. An option with a value that can be left out would take the question for it.
fn spell_out(arguments: &mut Vec<OsString>) {
    let n_options = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let is_it = |pair: &[OsString]| (pair[0] == "-x" || pair[0] == "--extract") && pair[1] == "json";
    if let Some(at) = arguments[..n_options].windows(2).position(is_it) {
        arguments.splice(at..at + 2, ["--extract-json".into()]);
    }
}

/// The command line that shows a command's help.
fn asking_for_help(arguments: &[OsString], command: Vec<OsString>) -> Vec<OsString> {
    let is_help = |word: &OsString| word == "help";
    let words = command.into_iter().skip_while(is_help);
    arguments[..1].iter().cloned().chain(words).chain(["--help".into()]).collect()
}

/// The command `run`, presented as a command with the prompt's name.
fn disguise(run: Command, prompt: &Prompt) -> Command {
    let name = text::quoted(&prompt.name);
    // clap styles its help, so untrusted text must be sanitized first.
    let description = prompt.description.as_deref().map(one_line);
    let about = description.unwrap_or_else(|| format!("Run the prompt {name}"));
    let line = |Variable { name, default }: &Variable| match default {
        Some(default) => format!("  -p {name}=VALUE  [default: {}]\n", one_line(default)),
        None => format!("  -p {name}=VALUE  (required)\n"),
    };
    let mut after: String = prompt.variables.iter().map(line).collect();
    if !after.is_empty() {
        after = format!("Variables:\n{after}\n");
    }
    after += &format!(
        "Examples:\n  beastctl {name} FILE\n  beastctl {name} 'a text with blanks'\n  beastctl prompts show {name}"
    );
    run.about(about)
        .override_usage(format!("beastctl {name} [OPTIONS] [FILE]..."))
        // `mut_arg` would move it after the files.
        .mut_args(|argument| if argument.get_id() == "prompt" { argument.hide(true) } else { argument })
        .after_help(after)
}

/// The error for words whose first is neither a command nor a prompt.
pub(crate) fn unknown(words: &[OsString], folder: Option<&Path>) -> PromptError {
    let word = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let command = Cli::command();
    let own = prompts::names(folder);
    let names = command.get_subcommands().map(Command::get_name).chain(own.iter().map(String::as_str));
    // Other programs have a command `help`, but none of our names is close to it.
    let nearest = if word == "help" { Some("--help") } else { text::nearest(&word, names) };
    PromptError::NoCommand { word: text::excerpt(&word), nearest: nearest.map(str::to_owned) }
}

/// The variables of the first prompt that these words name.
pub fn variables(words: impl IntoIterator<Item = OsString>, folder: Option<&Path>) -> Vec<String> {
    let prompt = |word: OsString| prompts::load(word.to_str()?, folder).ok();
    let prompt = words.into_iter().find_map(prompt);
    prompt.into_iter().flat_map(|prompt| prompt.variables).map(|variable| variable.name).collect()
}

/// Whether a command has this name, so that no prompt can be called by it.
pub(crate) fn is_command(name: &str) -> bool {
    Cli::command().get_subcommands().any(|command| command.get_name() == name)
}

#[cfg(test)]
#[path = "prompt_verb_tests.rs"]
mod tests;
