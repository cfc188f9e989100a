//! `beastctl completions`, and the backend of its scripts for Tab.

mod bash;
mod fish;
mod found;
mod zsh;

use std::{env, ffi::OsString, path::Path};

use clap::{Arg, Args as _, Command, CommandFactory, ValueEnum as _, ValueHint, value_parser};
use clap_complete::ArgValueCandidates;
use found::Found;

use crate::{
    cli::{Cli, Options, Shell, completers, prompt_verb},
    context::Context,
    exit::{self, Failing, Result},
    output::Console,
    prompts::{self, Prompt},
};

/// The scripts set this variable to the name of their shell.
pub const VARIABLE: &str = "BEAST_COMPLETE";
/// The option that sets a prompt's variable.
const PARAM: &str = "param";

#[derive(Debug, thiserror::Error)]
pub enum CompletionError {
    #[error(
        "cannot detect the shell: SHELL is {}; try: beastctl completions bash, zsh or fish",
        .0.as_ref().map_or("not set".into(), |shell| format!("{shell:?}"))
    )]
    NoShell(Option<OsString>),
}

impl Failing for CompletionError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

pub(super) fn run(context: &Context, shell: Option<Shell>) -> Result<()> {
    let shell = shell.map_or_else(own_shell, Ok)?;
    // The scripts call beastctl by name, because its path changes with the next version.
    let script = match shell {
        Shell::Bash => bash::SCRIPT,
        Shell::Zsh => zsh::SCRIPT,
        Shell::Fish => fish::SCRIPT,
    };
    Ok(context.console.print(script)?)
}

fn own_shell() -> Result<Shell, CompletionError> {
    let path = env::var_os("SHELL");
    let name = path.as_deref().and_then(|path| Path::new(path).file_name()?.to_str());
    name.and_then(|name| Shell::from_str(name, false).ok()).ok_or(CompletionError::NoShell(path))
}

/// Answers one of our scripts, which calls `beastctl -- beastctl WORD...` with the rest in environment variables.
/// Prints candidates only: a message would end up in the line being typed.
pub fn complete(shell: &str, arguments: &[OsString], console: Console) -> u8 {
    let Ok(shell) = Shell::from_str(shell, false) else { return exit::USAGE };
    let words: Vec<_> = arguments.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    if words.is_empty() {
        return exit::USAGE;
    }
    let told = match shell {
        Shell::Bash => bash::told(command(), &words),
        Shell::Zsh => Found::new(command(), words).map(|found| zsh::told(&found)),
        Shell::Fish => {
            let words = words.iter().map(|word| bash::unquoted(word)).collect();
            Found::new(command(), words).map(|found| fish::told(&found))
        }
    };
    let is_told = told.is_ok_and(|told| console.print(&told).is_ok());
    if is_told { exit::DONE } else { exit::FAILED }
}

/// The commands, with every prompt as one. After `run` and `chat`, prompts are subcommands, because a prompt's name
/// determines its variables. A broken prompt is not offered, since it cannot run.
fn command() -> Command {
    let folder = prompts::folder().ok();
    let names = prompts::names(folder.as_deref());
    let prompts: Vec<_> = names.iter().filter_map(|name| prompts::load(name, folder.as_deref()).ok()).collect();
    let as_command = |prompt: &Prompt| {
        let files = Arg::new("files").num_args(0..).value_parser(value_parser!(std::path::PathBuf));
        let verb = Command::new(&prompt.name).arg(files.value_hint(ValueHint::AnyPath));
        // After `augment_args`, which sets a description too.
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

/// The names of a command and all its subcommands, without their arguments.
fn names_of(command: &Command) -> Option<Command> {
    let names = Command::new(command.get_name().to_owned()).about(command.get_about().cloned().unwrap_or_default());
    (!command.is_hide_set()).then(|| names.subcommands(command.get_subcommands().filter_map(names_of)))
}

fn with_variables(verb: Command, prompt: &Prompt) -> Command {
    // Commands that generate nothing have no such option, even if a prompt has the same name.
    if !verb.get_arguments().any(|argument| argument.get_id() == PARAM) {
        return verb;
    }
    let prompt = prompt.clone();
    verb.mut_arg(PARAM, |argument| argument.add(ArgValueCandidates::new(move || completers::variables(&prompt))))
}

#[cfg(test)]
#[path = "completions_tests.rs"]
mod tests;
