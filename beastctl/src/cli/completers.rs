//! Names that are looked up when Tab is pressed. Whatever cannot be read has no names: nobody is told anything in the
//! middle of a line that is being typed.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use beast_launchd::paths;
use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter};

use crate::{
    conversations::Store,
    models::catalogue,
    output::one_line,
    prompts::{self, Prompt, Variable},
};

/// The prompts, each with what it is for; also those that are broken, since they are to be mended.
pub fn prompts() -> Vec<CompletionCandidate> {
    let folder = prompts::folder().ok();
    let description = |name: &str| prompts::load(name, folder.as_deref()).ok()?.description;
    prompts::names(folder.as_deref())
        .into_iter()
        .map(|name| CompletionCandidate::new(&name).help(description(&name).map(|text| one_line(&text).into())))
        .collect()
}

/// What `--param` takes for this prompt, up to the value.
pub fn variables(prompt: &Prompt) -> Vec<CompletionCandidate> {
    let default = |default: &String| format!("[default: {}]", one_line(default)).into();
    let candidate = |variable: &Variable| {
        CompletionCandidate::new(format!("{}=", variable.name)).help(variable.default.as_ref().map(default))
    };
    prompt.variables.iter().map(candidate).collect()
}

/// What `--model` takes: a word, a file among the fetched models, any other file.
pub fn models(current: &OsStr) -> Vec<CompletionCandidate> {
    let begins = |name: &OsStr| name.as_encoded_bytes().starts_with(current.as_encoded_bytes());
    let words =
        [("auto", "the default model when it is there, else the built-in one"), ("builtin", "the built-in one")];
    let words = words.into_iter().filter(|(word, _)| begins(word.as_ref()));
    let mut found: Vec<_> = words.map(|(word, help)| CompletionCandidate::new(word).help(Some(help.into()))).collect();
    let folder = paths::models_dir().unwrap_or_default();
    let files = files_of(&folder, "gguf");
    // The path is what the option wants; the name is what a person begins to type.
    let files = files.iter().filter(|file| begins(file.as_os_str()) || file.file_name().is_some_and(begins));
    found.extend(files.map(CompletionCandidate::new));
    found.extend(PathCompleter::file().complete(current));
    found
}

/// The models that have a name and those that were fetched; nobody is asked over the network.
pub fn named_models() -> Vec<CompletionCandidate> {
    let entries = catalogue::entries();
    let is_other = |file: &PathBuf| !entries.iter().any(|entry| file.file_name() == Some(OsStr::new(&entry.file)));
    let files = files_of(&paths::models_dir().unwrap_or_default(), "gguf").into_iter().filter(is_other);
    let files = files.filter_map(|file| Some(CompletionCandidate::new(file.file_stem()?)));
    let names =
        entries.iter().map(|entry| CompletionCandidate::new(&entry.name).help(Some(entry.about.clone().into())));
    names.chain(files).collect()
}

/// What `models use` takes: a word, a name, a file.
pub fn usable_models(current: &OsStr) -> Vec<CompletionCandidate> {
    let begins = |name: &OsStr| name.as_encoded_bytes().starts_with(current.as_encoded_bytes());
    let mut found = named_models();
    found.retain(|candidate| begins(candidate.get_value()));
    found.extend(models(current));
    found
}

/// The conversations that are kept.
pub fn sessions() -> Vec<CompletionCandidate> {
    let entries = Store::of_user().and_then(|store| store.entries()).unwrap_or_default();
    entries.into_iter().map(|entry| CompletionCandidate::new(entry.name)).collect()
}

/// The files of a kind in a folder, in order, without hidden ones.
fn files_of(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let is_hidden = |file: &Path| file.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|ext| ext == extension) && !is_hidden(file));
    files.sort();
    files
}

#[cfg(test)]
#[path = "completers_tests.rs"]
mod tests;
