//! `beastctl completions`, and what its scripts call when Tab is pressed.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

use anyhow::Result;
use clap::{Arg, Args as _, Command, CommandFactory, ValueHint, value_parser};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use super::{Context, prompt_verb};
use crate::{
    cli::{Cli, Options, Shell, completers},
    exit,
    output::Console,
};

/// The scripts set it to the name of their shell.
pub const VARIABLE: &str = "BEAST_COMPLETE";
const PROGRAM: &str = "beastctl";

/// Why there is no script.
#[derive(Debug, thiserror::Error)]
pub enum CompletionError {
    /// Nobody said which shell.
    #[error("the shell is not named, and SHELL is {}", .0.as_ref().map_or("not set".into(), |shell| format!("{shell:?}")))]
    NoShell(Option<OsString>),
}

impl CompletionError {
    /// What to do next.
    pub fn hint(&self) -> String {
        format!("{PROGRAM} completions bash, zsh or fish")
    }
}

/// Prints the script for a shell, or for the user's own.
pub(super) fn run(context: &Context, shell: Option<Shell>) -> Result<()> {
    let shell = shell.map_or_else(own_shell, Ok)?;
    let mut script = Vec::new();
    // By its name and not by its path: the path changes with the next version.
    completer(shell).write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    Ok(context.console.print(&String::from_utf8(script)?)?)
}

fn completer(shell: Shell) -> &'static dyn EnvCompleter {
    match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    }
}

fn own_shell() -> Result<Shell, CompletionError> {
    let path = env::var_os("SHELL");
    let name = path.as_deref().and_then(|path| Path::new(path).file_name()).and_then(|name| name.to_str());
    match name {
        Some("bash") => Ok(Shell::Bash),
        Some("zsh") => Ok(Shell::Zsh),
        Some("fish") => Ok(Shell::Fish),
        _ => Err(CompletionError::NoShell(path)),
    }
}

/// Answers one of our scripts: `beastctl -- beastctl WORD...`, the rest in its environment. Nothing is said but the words:
/// the terminal shows a line that is being typed.
pub fn complete(shell: &str, arguments: &[OsString], console: Console) -> u8 {
    let Some(shell) = [Shell::Bash, Shell::Zsh, Shell::Fish].into_iter().find(|one| completer(*one).is(shell)) else {
        return exit::USAGE;
    };
    let words: Vec<_> = arguments.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    if words.is_empty() {
        return exit::USAGE;
    }
    let words = if shell == Shell::Bash { words.iter().map(|word| unquoted(word)).collect() } else { words };
    let mut found = Vec::new();
    let folder = env::current_dir().ok();
    if completer(shell).write_complete(&mut command(), words, folder.as_deref(), &mut found).is_err() {
        return exit::FAILED;
    }
    let found = String::from_utf8_lossy(&found);
    let found = if shell == Shell::Bash { quoted_for_bash(&found) } else { found.into_owned() };
    if console.print(&found).is_ok() { exit::DONE } else { exit::FAILED }
}

/// bash hands words on as they were typed, with their quotes.
fn unquoted(word: &OsStr) -> OsString {
    let mut plain = Vec::with_capacity(word.len());
    let (mut is_escaped, mut quote) = (false, None);
    for byte in word.as_bytes() {
        match (byte, quote) {
            _ if is_escaped => is_escaped = false,
            (b'\\', None | Some(b'"')) => {
                is_escaped = true;
                continue;
            }
            (b'"' | b'\'', None) => {
                quote = Some(*byte);
                continue;
            }
            (byte, Some(quoting)) if *byte == quoting => {
                quote = None;
                continue;
            }
            _ => {}
        }
        plain.push(*byte);
    }
    OsString::from_vec(plain)
}

/// bash puts a word into the line as it is: a space in a name would end it. The other shells quote themselves.
fn quoted_for_bash(words: &str) -> String {
    let separator = env::var("_CLAP_IFS").unwrap_or_else(|_| "\n".into());
    let mut quoted = String::with_capacity(words.len());
    for c in words.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_./:=,+@%^~".contains(c) && !separator.contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

/// The commands, and every prompt as one of them.
fn command() -> Command {
    let prompts = completers::prompts().into_iter().filter_map(|prompt| {
        let name = prompt.get_value().to_str()?.to_owned();
        let files = Arg::new("files").num_args(0..).value_parser(value_parser!(std::path::PathBuf));
        let verb = Command::new(name).arg(files.value_hint(ValueHint::AnyPath));
        // The options bring their own description along.
        Some(Options::augment_args(verb).about(prompt.get_help().cloned().unwrap_or_default()))
    });
    Cli::command().subcommands(prompts.filter(|verb| !prompt_verb::is_command(verb.get_name())))
}

#[cfg(test)]
#[path = "completions_tests.rs"]
mod tests;
