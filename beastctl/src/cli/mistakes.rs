//! What the parser says about a command line, where it does not know what was meant: a variable of the environment in the
//! place of an option, a file that looks like one.

use std::ffi::{OsStr, OsString};

use clap::{
    Command, CommandFactory,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::Cli;
use crate::prompts::quoted;

/// What the error says, in words about what was typed; `arguments` are without the program.
pub fn told(error: &clap::Error, arguments: impl IntoIterator<Item = OsString>) -> String {
    let text = error.render().to_string();
    let arguments: Vec<_> = arguments.into_iter().take_while(|argument| argument != "--").collect();
    let Some(ContextValue::String(blamed)) = error.get(ContextKind::InvalidArg) else { return text };
    match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => match variable(blamed, &arguments) {
            Some(variable) => text.replace(&format!("'{blamed}'"), &variable),
            None => text,
        },
        ErrorKind::UnknownArgument => match file(blamed, &arguments) {
            Some(file) => {
                let file = quoted(file);
                let meant = format!("to pass '{blamed}' as a value, use '-- {blamed}'");
                text.replace(&meant, &format!("if it is a file, '-- {file}' or ./{file}"))
            }
            None => text,
        },
        _ => text,
    }
}

/// The variable that an option has its value from, which nobody has typed: `--color <WHEN>` is `BEAST_COLOR`.
fn variable(blamed: &str, arguments: &[OsString]) -> Option<String> {
    let long = blamed.split([' ', '=']).next()?.strip_prefix("--")?;
    let is_it = |argument: &OsString| {
        let rest = argument.to_str().and_then(|argument| argument.strip_prefix("--")?.strip_prefix(long));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    if arguments.iter().any(is_it) {
        return None;
    }
    let command = Cli::command();
    let option = command.get_arguments().find(|option| option.get_long() == Some(long))?;
    Some(option.get_env()?.to_str()?.to_owned())
}

/// The word that was read as several short options: of `-dash.txt` the parser knows `-d` only.
fn file<'a>(blamed: &str, arguments: &'a [OsString]) -> Option<&'a str> {
    let letter = blamed.strip_prefix('-').filter(|letter| letter.chars().count() == 1)?;
    let mut words = arguments.iter().filter_map(|argument| argument.to_str());
    words.find(|word| {
        let letters = word.strip_prefix('-').filter(|letters| !letters.starts_with('-')).unwrap_or_default();
        letters.chars().count() > 1 && letters.contains(letter)
    })
}

/// The help of what was typed, as far as it names a command.
pub fn help(arguments: impl IntoIterator<Item = OsString>) -> StyledStr {
    let mut root = Cli::command();
    root.build();
    let mut command = &mut root;
    for argument in arguments {
        if let Some(name) = named(command, &argument) {
            command = command.find_subcommand_mut(name).expect("it was found by this name");
        }
    }
    command.render_help()
}

fn named(command: &Command, word: &OsStr) -> Option<String> {
    command.find_subcommand(word).map(|command| command.get_name().to_owned())
}

#[cfg(test)]
#[path = "mistakes_tests.rs"]
mod tests;
