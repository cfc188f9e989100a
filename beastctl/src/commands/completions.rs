//! `beastctl completions`, and what its scripts call when Tab is pressed.

mod bash;

use std::{env, ffi::OsString, io, path::Path};

use clap::{Arg, Args as _, Command, CommandFactory, ValueEnum as _, ValueHint, value_parser};
use clap_complete::{
    ArgValueCandidates,
    env::{EnvCompleter, Fish, Zsh},
};

use super::{Context, prompt_verb};
use crate::{
    cli::{Cli, Options, Shell, completers},
    exit::{self, Failing, Result},
    output::Console,
    prompts::{self, Prompt},
};

/// The scripts set it to the name of their shell.
pub const VARIABLE: &str = "BEAST_COMPLETE";
const PROGRAM: &str = "beastctl";
/// zsh runs a script of its `fpath` in the place of the function that is wanted, so the first Tab would otherwise complete nothing.
const ZSH_AUTOLOAD: &str =
    "\nif [[ $funcstack[1] = _beastctl ]]; then\n    _clap_dynamic_completer_beastctl \"$@\"\nfi\n";
/// The option that gives a variable its value.
const PARAM: &str = "param";

/// Why there is no script.
#[derive(Debug, thiserror::Error)]
pub enum CompletionError {
    /// Nobody said which shell.
    #[error("the shell is not named, and SHELL is {}", .0.as_ref().map_or("not set".into(), |shell| format!("{shell:?}")))]
    NoShell(Option<OsString>),
}

impl Failing for CompletionError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }

    fn hint(&self) -> Option<String> {
        Some(format!("{PROGRAM} completions bash, zsh or fish"))
    }
}

/// Prints the script for a shell, or for the user's own.
pub(super) fn run(context: &Context, shell: Option<Shell>) -> Result<()> {
    let shell = shell.map_or_else(own_shell, Ok)?;
    // By its name and not by its path: the path changes with the next version.
    let script = match shell {
        Shell::Bash => bash::script(VARIABLE, PROGRAM),
        Shell::Zsh => registration(&Zsh)? + ZSH_AUTOLOAD,
        Shell::Fish => registration(&Fish)?,
    };
    Ok(context.console.print(&script)?)
}

fn registration(completer: &dyn EnvCompleter) -> Result<String> {
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
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
    let Ok(shell) = Shell::from_str(shell, false) else { return exit::USAGE };
    let words: Vec<_> = arguments.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    if words.is_empty() {
        return exit::USAGE;
    }
    let folder = env::current_dir().ok();
    let found = match shell {
        Shell::Bash => bash::found(&mut command(), &words, folder.as_deref()),
        Shell::Zsh => found(&Zsh, words, folder.as_deref()),
        Shell::Fish => found(&Fish, words, folder.as_deref()),
    };
    let is_told = found.is_ok_and(|found| console.print(&found).is_ok());
    if is_told { exit::DONE } else { exit::FAILED }
}

fn found(completer: &dyn EnvCompleter, words: Vec<OsString>, folder: Option<&Path>) -> io::Result<String> {
    let mut found = Vec::new();
    completer.write_complete(&mut command(), words, folder, &mut found)?;
    Ok(String::from_utf8_lossy(&found).into_owned())
}

/// The commands, and every prompt as one of them. Where a prompt is named its variables are known, so it is a command there
/// too. One that is broken is not offered: it could not be run.
fn command() -> Command {
    let folder = prompts::folder().ok();
    let names = prompts::names(folder.as_deref());
    let prompts: Vec<_> = names.iter().filter_map(|name| prompts::load(name, folder.as_deref()).ok()).collect();
    let as_command = |prompt: &Prompt| {
        let files = Arg::new("files").num_args(0..).value_parser(value_parser!(std::path::PathBuf));
        let verb = Command::new(&prompt.name).arg(files.value_hint(ValueHint::AnyPath));
        // The options bring their own description along.
        let about = prompt.description.clone().unwrap_or_default();
        with_variables(Options::augment_args(verb).about(about), prompt)
    };
    let mut command = Cli::command();
    let pages: Vec<_> = command.get_subcommands().filter_map(names_of).collect();
    for verb in ["run", "chat"] {
        command = command.mut_subcommand(verb, |verb| verb.subcommands(prompts.iter().map(as_command)));
    }
    for verb in ["help", "man"] {
        command = command.mut_subcommand(verb, |verb| verb.subcommands(pages.clone()));
    }
    for prompt in &prompts {
        command = if prompt_verb::is_command(&prompt.name) {
            command.mut_subcommand(&prompt.name, |verb| with_variables(verb, prompt))
        } else {
            command
                .mut_subcommand("help", |verb| verb.subcommand(Command::new(&prompt.name)))
                .subcommand(as_command(prompt))
        };
    }
    command
}

/// The names of a command and of all beneath it, without what they take.
fn names_of(command: &Command) -> Option<Command> {
    let names = Command::new(command.get_name().to_owned()).about(command.get_about().cloned().unwrap_or_default());
    (!command.is_hide_set()).then(|| names.subcommands(command.get_subcommands().filter_map(names_of)))
}

fn with_variables(verb: Command, prompt: &Prompt) -> Command {
    // Those that generate nothing have no such option, whatever a prompt is called.
    if !verb.get_arguments().any(|argument| argument.get_id() == PARAM) {
        return verb;
    }
    let prompt = prompt.clone();
    verb.mut_arg(PARAM, |argument| argument.add(ArgValueCandidates::new(move || completers::variables(&prompt))))
}

#[cfg(test)]
#[path = "completions_tests.rs"]
mod tests;
