//! Completions that are looked up when Tab is pressed. Errors yield no candidates, because a message would disturb
//! the line that is being typed.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use clap_complete::engine::CompletionCandidate;

use crate::{
    conversations::Store,
    models::{catalogue, upstream},
    output::one_line,
    prompts::{self, Prompt, Variable},
};

/// Prefix of the id of a candidate that stands for paths.
const PATHS: &str = "paths:";

/// All prompts with their descriptions, including broken ones, because the user may want to fix them.
pub fn prompts() -> Vec<CompletionCandidate> {
    let folder = prompts::folder().ok();
    let description = |name: &str| prompts::load(name, folder.as_deref()).ok()?.description;
    prompts::names(folder.as_deref())
        .into_iter()
        .map(|name| CompletionCandidate::new(&name).help(description(&name).map(|text| one_line(&text).into())))
        .collect()
}

/// The values of `--param` for this prompt: `NAME=`.
pub fn variables(prompt: &Prompt) -> Vec<CompletionCandidate> {
    let default = |default: &String| format!("[default: {}]", one_line(default)).into();
    let candidate = |variable: &Variable| {
        CompletionCandidate::new(format!("{}=", variable.name)).help(variable.default.as_ref().map(default))
    };
    prompt.variables.iter().map(candidate).collect()
}

/// A kind of paths, which the shell itself completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paths {
    /// Any file.
    Any,
    /// Models, in any folder.
    Gguf,
    /// Folders only.
    Folders,
}

impl Paths {
    const ALL: [Paths; 3] = [Paths::Any, Paths::Gguf, Paths::Folders];

    /// The name by which the shell's script knows it.
    pub fn name(self) -> &'static str {
        match self {
            Paths::Any => "files",
            Paths::Gguf => "gguf",
            Paths::Folders => "folders",
        }
    }

    /// The kind that a candidate stands for; `None` for an ordinary candidate.
    pub fn of(candidate: &CompletionCandidate) -> Option<Self> {
        let id = candidate.get_id()?.strip_prefix(PATHS)?;
        Self::ALL.into_iter().find(|kind| kind.name() == id)
    }
}

/// A candidate that stands for paths of this kind.
pub fn paths(kind: Paths) -> CompletionCandidate {
    CompletionCandidate::new("").id(Some(format!("{PATHS}{}", kind.name())))
}

/// Values of `bench --model`: a word, a downloaded model's file, any other file.
pub fn models(current: &OsStr) -> Vec<CompletionCandidate> {
    let folder = beast_launchd::paths::models_dir().unwrap_or_default();
    let files = files_of(&folder, "gguf");
    // The option takes a path, but the user may begin to type the file's name.
    let files = files
        .iter()
        .filter(|file| begins(file.as_os_str(), current) || file.file_name().is_some_and(|name| begins(name, current)));
    words(current).chain(files.map(CompletionCandidate::new)).chain([paths(Paths::Gguf)]).collect()
}

/// The words for models that are not files.
fn words(current: &OsStr) -> impl Iterator<Item = CompletionCandidate> {
    let words =
        [("auto", "the default model if it is on disk, else the built-in one"), ("builtin", "the built-in one")];
    let words = words.into_iter().filter(move |(word, _)| begins(word.as_ref(), current));
    words.map(|(word, help)| CompletionCandidate::new(word).help(Some(help.into())))
}

fn begins(name: &OsStr, current: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(current.as_encoded_bytes())
}

/// The models of the catalogue and the downloaded ones; does not use the network.
pub fn named_models() -> Vec<CompletionCandidate> {
    let entries = catalogue::entries();
    let is_other = |file: &PathBuf| !entries.iter().any(|entry| file.file_name() == Some(OsStr::new(&entry.file)));
    let files = files_of(&beast_launchd::paths::models_dir().unwrap_or_default(), "gguf").into_iter().filter(is_other);
    let files = files.filter_map(|file| Some(CompletionCandidate::new(file.file_stem()?)));
    let names =
        entries.iter().map(|entry| CompletionCandidate::new(&entry.name).help(Some(entry.about.clone().into())));
    names.chain(files).collect()
}

/// Values of `--model`: also a model that another server computes.
pub fn askable_models(current: &OsStr) -> Vec<CompletionCandidate> {
    let begun = upstream::all().into_iter().filter(|upstream| begins(upstream.name.as_ref(), current));
    let candidate = |upstream: upstream::Upstream| {
        CompletionCandidate::new(upstream.name).help(Some(one_line(&upstream.urls.join(", ")).into()))
    };
    begun.map(candidate).chain(usable_models(current)).collect()
}

/// Values for `models use`: a word, a name, a file.
pub fn usable_models(current: &OsStr) -> Vec<CompletionCandidate> {
    named_and_files(current).into_iter().chain(words(current)).collect()
}

/// Values for `models pull`: a name or a file.
pub fn named_and_files(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = named_models();
    found.retain(|candidate| begins(candidate.get_value(), current));
    found.push(paths(Paths::Gguf));
    found
}

/// The saved conversations.
pub fn sessions() -> Vec<CompletionCandidate> {
    let entries = Store::of_user().and_then(|store| store.entries()).unwrap_or_default();
    entries.into_iter().map(|entry| CompletionCandidate::new(entry.name)).collect()
}

/// The files with this extension in a folder, sorted, without hidden ones.
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
