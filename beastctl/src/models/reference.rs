//! A model as the user names it: a name in the catalogue, `ORG/REPO:QUANT`, a URL, a path.

use std::path::{Path, PathBuf};

use super::{
    catalogue::{self, Entry},
    error::ModelError,
    url::is_web,
};
use crate::text::nearest;

#[derive(Debug, Clone, PartialEq)]
pub enum Reference {
    Entry(Box<Entry>),
    /// A file of a repository on the hub.
    Repo {
        /// `ORG/NAME`.
        repo: String,
        what: What,
    },
    Url(String),
    Path(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The file with this quantization.
    Quant(String),
    /// The file at this path.
    File(String),
    /// The only file.
    Any,
}

pub fn parse(word: &str) -> Result<Reference, ModelError> {
    if let Some(entry) = catalogue::find(word) {
        return Ok(Reference::Entry(Box::new(entry)));
    }
    if is_web(word) {
        return Ok(of_page(word));
    }
    let is_path = ["/", "./", "../"].iter().any(|start| word.starts_with(start)) || Path::new(word).is_file();
    if is_path {
        return Ok(Reference::Path(word.into()));
    }
    let of_hub = ["hf.co/", "huggingface.co/"].iter().find_map(|host| word.strip_prefix(host)).unwrap_or(word);
    of_repo(of_hub).ok_or_else(|| {
        let names: Vec<String> = catalogue::entries().into_iter().map(|entry| entry.name).collect();
        let nearest = nearest(word, names.iter().map(String::as_str)).map(str::to_owned);
        ModelError::Unknown { word: word.into(), nearest }
    })
}

/// The name of a model for the daemon, which has another working directory: a path becomes absolute.
pub fn named(word: &str) -> String {
    let is_path = ["/", "./", "../"].iter().any(|start| word.starts_with(start)) || Path::new(word).is_file();
    match is_path && catalogue::find(word).is_none() {
        true => std::path::absolute(word).map_or_else(|_| word.into(), |path| path.display().to_string()),
        false => word.into(),
    }
}

fn of_repo(word: &str) -> Option<Reference> {
    let (path, quant) = match word.split_once(':') {
        Some((path, quant)) => (path, Some(quant)),
        None => (word, None),
    };
    let mut names = path.splitn(3, '/');
    let (org, name, file) = (names.next()?, names.next()?, names.next());
    if ![org, name].iter().all(|name| is_name(name)) {
        return None;
    }
    let what = match (file, quant) {
        (None, Some(quant)) if is_name(quant) => What::Quant(quant.into()),
        (None, None) => What::Any,
        (Some(file), None) if file.ends_with(".gguf") => What::File(file.into()),
        _ => return None,
    };
    Some(Reference::Repo { repo: format!("{org}/{name}"), what })
}

/// Characters that names on the hub consist of; `..` would lead elsewhere.
fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.bytes().all(is_letter) && !text.starts_with('.') && !text.contains("..")
}

/// People copy URLs of web pages: a file's page stands for the file, a repository's page for the repository.
fn of_page(url: &str) -> Reference {
    let plain = url.split(['?', '#']).next().unwrap_or(url);
    let path = ["https://huggingface.co/", "https://hf.co/"].iter().find_map(|start| plain.strip_prefix(start));
    let Some(path) = path else { return Reference::Url(url.into()) };
    let names: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match names.as_slice() {
        [org, name] if is_name(org) && is_name(name) => {
            Reference::Repo { repo: format!("{org}/{name}"), what: What::Any }
        }
        [org, name, "blob" | "resolve", "main", file @ ..]
            if !file.is_empty() && is_name(org) && is_name(name) && !path.contains('%') =>
        {
            Reference::Repo { repo: format!("{org}/{name}"), what: What::File(file.join("/")) }
        }
        [_, _, "blob", ..] => Reference::Url(url.replacen("/blob/", "/resolve/", 1)),
        _ => Reference::Url(url.into()),
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
