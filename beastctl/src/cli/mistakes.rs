//! Improves the parser's error messages where it misreads the user's intention: a value from an environment variable,
//! or a file name that looks like an option.

use std::ffi::OsString;

use clap::{
    CommandFactory,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Cli, meant::command_of};

use crate::text::{nearest, quoted};

/// What the parser compared, and what it suggests instead. It counts common letters, so it considers `--stop` close
/// to `--to`.
const SUGGESTIONS: [(ContextKind, ContextKind); 3] = [
    (ContextKind::InvalidArg, ContextKind::SuggestedArg),
    (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
    (ContextKind::InvalidValue, ContextKind::SuggestedValue),
];

/// The message for an error, in terms of what was typed; `arguments` exclude the program, `variables` are those of
/// the prompt.
pub fn told(error: &clap::Error, arguments: impl IntoIterator<Item = OsString>, variables: &[String]) -> String {
    let arguments: Vec<_> = arguments.into_iter().take_while(|argument| argument != "--").collect();
    if let Some(text) = question(error, &arguments).or_else(|| too_early(error, &arguments)) {
        return text;
    }
    // A copy of the error would lose what the value must be.
    let near = (error.kind() != ErrorKind::ValueValidation).then(|| with_near_names(error, variables));
    let error = near.as_ref().unwrap_or(error);
    let text = error.render().to_string();
    let Some(blamed) = string(error, ContextKind::InvalidArg) else { return text };
    let better = match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            variable(blamed, &arguments).map(|variable| text.replace(&format!("'{blamed}'"), &variable))
        }
        ErrorKind::UnknownArgument => file(blamed, &arguments).map(quoted).map(|file| {
            let meant = format!("to pass '{blamed}' as a value, use '-- {blamed}'");
            text.replace(&meant, &format!("if it is a file, '-- {file}' or ./{file}"))
        }),
        _ => None,
    };
    better.unwrap_or(text)
}

fn string(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    if let Some(ContextValue::String(text)) = error.get(kind) { Some(text) } else { None }
}

/// A copy of the error that keeps only suggestions which a typo can explain. For an option, also suggests a variable
/// of the prompt.
fn with_near_names(error: &clap::Error, variables: &[String]) -> clap::Error {
    let mut near = clap::Error::new(error.kind());
    let is_suggestion = |kind: ContextKind| SUGGESTIONS.iter().any(|(_, suggested)| *suggested == kind);
    for (kind, value) in error.context().filter(|(kind, _)| !is_suggestion(*kind)) {
        near.insert(kind, value.clone());
    }
    for (typed, suggested) in SUGGESTIONS {
        let Some(typed) = string(error, typed) else { continue };
        let all: &[String] = match error.get(suggested) {
            Some(ContextValue::String(name)) => std::slice::from_ref(name),
            Some(ContextValue::Strings(names)) => names,
            _ => &[],
        };
        let bare = |name: &str| name.trim_start_matches('-').to_owned();
        let names: Vec<_> = all.iter().map(|name| bare(name)).collect();
        let found = nearest(&bare(typed), names.iter().map(String::as_str));
        if let Some(name) = all.iter().find(|name| found.is_some_and(|found| bare(name) == found)) {
            near.insert(suggested, ContextValue::String(name.clone()));
        }
    }
    if let Some(typed) = string(error, ContextKind::InvalidArg)
        && let Some(name) = variables.iter().find(|name| typed.strip_prefix("--") == Some(name.as_str()))
    {
        near = clap::Error::new(error.kind());
        near.insert(ContextKind::InvalidArg, ContextValue::String(typed.to_owned()));
        near.insert(ContextKind::SuggestedArg, ContextValue::String(format!("-p {name}=VALUE")));
    }
    near
}

/// The message when a text that begins with `-` was parsed as options.
fn question(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let mut words = arguments.iter().filter_map(|argument| argument.to_str());
    let is_text = |word: &&str| word.starts_with('-') && word.contains(char::is_whitespace);
    let word = match error.kind() {
        ErrorKind::UnknownArgument => {
            let blamed = string(error, ContextKind::InvalidArg)?;
            file(blamed, arguments).or_else(|| words.find(|word| *word == blamed)).filter(is_text)?
        }
        // In `-p what?`, the option takes ` what?` as its value.
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value =
                string(error, ContextKind::InvalidValue).filter(|value| value.starts_with(char::is_whitespace))?;
            words.find(|word| word.strip_suffix(value).is_some_and(|option| option.starts_with('-')))?
        }
        _ => return None,
    };
    let (command, word) = (command_of(arguments), quoted(word));
    Some(format!("{word} starts with a dash, so it was parsed as options; try: {command} -- {word}"))
}

/// The message for an option that comes before its command, as in `-m NAME ask`.
fn too_early(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let blamed = string(error, ContextKind::InvalidArg).filter(|_| error.kind() == ErrorKind::UnknownArgument)?;
    let mut root = Cli::command();
    root.build();
    let words = arguments.iter().filter_map(|argument| argument.to_str());
    let mut words = words.skip_while(|word| word.split('=').next() != Some(blamed));
    let command = words.find_map(|word| root.find_subcommand(word))?;
    let is_it = |option: &clap::Arg| {
        blamed.strip_prefix("--").is_some_and(|long| option.get_long() == Some(long))
            || blamed
                .strip_prefix('-')
                .is_some_and(|short| option.get_short().map(String::from).as_deref() == Some(short))
    };
    let name = command.get_name();
    let is_known = command.get_arguments().any(is_it);
    is_known.then(|| format!("{blamed} must come after the command; try: beastctl {name} {blamed} …"))
}

/// The environment variable that an option got its value from, if the option was not typed: `--color <WHEN>` is
/// `BEAST_COLOR`.
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

/// The word that was parsed as several short options: the error for `-dash.txt` names only `-d`.
fn file<'a>(blamed: &str, arguments: &'a [OsString]) -> Option<&'a str> {
    let letter = blamed.strip_prefix('-').filter(|letter| letter.chars().count() == 1)?;
    let mut words = arguments.iter().filter_map(|argument| argument.to_str());
    words.find(|word| {
        let letters = word.strip_prefix('-').filter(|letters| !letters.starts_with('-')).unwrap_or_default();
        letters.chars().count() > 1 && letters.contains(letter)
    })
}

/// The help for the command that these words name.
pub fn help(arguments: impl IntoIterator<Item = OsString>) -> StyledStr {
    let mut root = Cli::command();
    root.build();
    let named = arguments.into_iter().fold(&root, |command, word| command.find_subcommand(word).unwrap_or(command));
    named.clone().render_help()
}

#[cfg(test)]
#[path = "mistakes_tests.rs"]
mod tests;
