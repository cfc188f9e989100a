//! The names of models: of the catalogue, aliases, `ORG/REPO:QUANT`, files of the models folder, paths. Each becomes a
//! value of the setting `model`. Knows the models folder and the records of its files, no daemon and no llama.cpp.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use beast_launchd::model::{self, AUTO, BUILTIN};
use beast_launchd::{file, paths};
use serde::Deserialize;

/// A named model.
#[derive(Debug, Clone, Deserialize)]
struct Entry {
    name: String,
    repo: String,
    file: String,
}

#[derive(Deserialize)]
struct Catalogue {
    model: Vec<Entry>,
}

/// The catalogue that `beastctl models` lists.
static CATALOGUE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let text = include_str!("../../../models/catalogue.toml");
    toml::from_str::<Catalogue>(text).expect("catalogue.toml is valid, a test reads it").model
});

/// A record of a download is a few lines of JSON.
const MAX_RECORD: u64 = 1 << 20;
/// The built-in model's own name.
const CUB: &str = "cub";
/// With more than one wrong letter per this many, it is a different name, not a typo.
const LETTERS_PER_SLIP: usize = 3;
/// Longer names are cut in messages.
const MAX_SHOWN: usize = 80;

/// Why a name means no model here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No model has this name.
    #[error("unknown model {}{}; try: beastctl models", shown(name), did_you_mean(nearest.as_deref()))]
    Unknown { name: String, nearest: Option<String> },
    /// The name is an alias, and what it stands for is unknown.
    #[error(
        "the alias {} names an unknown model, {}; try: fix aliases in the configuration",
        shown(name),
        shown(meant)
    )]
    AliasOf { name: String, meant: String },
    /// The model is not on disk.
    #[error("the model {} is not on disk; try: beastctl models pull {}", shown(name), shown(pull))]
    Absent { name: String, pull: String },
    /// There is no such file.
    #[error("no model file at {}; try: beastctl models", .0.display())]
    NoFile(PathBuf),
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect()
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(", did you mean {name}?")).unwrap_or_default()
}

/// A model file, however it is named. Two names of one file mean the same model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileId {
    /// The built-in model, which may not be unpacked yet.
    Builtin,
    /// A file that is written again is another one.
    File { device: u64, inode: u64, n_bytes: u64, modified_ns: i128 },
    /// It cannot be found; loading it reports why.
    Missing(String),
}

impl FileId {
    /// Identifies the file that a value of the setting `model` means now.
    pub fn of(setting: &str) -> Self {
        match model::file_of(setting) {
            Ok(None) => Self::Builtin,
            Ok(Some(path)) => Self::of_file(&path).unwrap_or_else(|| Self::Missing(setting.to_owned())),
            Err(_) => Self::Missing(setting.to_owned()),
        }
    }

    /// Identifies a file; `None` if there is none.
    pub fn of_file(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let modified_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        let (device, inode) = (metadata.dev(), metadata.ino());
        Some(Self::File { device, inode, n_bytes: metadata.len(), modified_ns })
    }
}

/// Whether a name is that of a file outside the models folder.
pub fn is_path(name: &str) -> bool {
    ["/", "~/", "./", "../"].iter().any(|start| name.starts_with(start))
}

/// Whether a value of the setting `model` is a file outside the models folder, which only clients of the socket name.
pub fn is_private(setting: &str) -> bool {
    is_path(setting) && !paths::models_dir().is_ok_and(|folder| Path::new(setting).starts_with(folder))
}

/// The value of the setting `model` for a name. `aliases` are pairs of a name and what it stands for.
///
/// # Errors
/// See [`NameError`].
pub fn resolve(name: &str, aliases: &[(String, String)]) -> Result<String, NameError> {
    let name = name.trim();
    let alias = aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
    let meant = alias.map_or(name, |(_, meant)| meant);
    if [AUTO, BUILTIN].contains(&meant) {
        return Ok(meant.to_owned());
    }
    if is_path(meant) {
        return of_path(meant);
    }
    let folder = paths::models_dir().unwrap_or_default();
    let files = files(&folder);
    let entry = CATALOGUE.iter().find(|entry| entry.name.eq_ignore_ascii_case(meant));
    let file_name = entry.map_or(meant, |entry| &entry.file);
    let is_it = |file: &&String| *file == file_name || stem(file).eq_ignore_ascii_case(file_name);
    if let Some(file) = files.iter().find(is_it) {
        return Ok(folder.join(file).display().to_string());
    }
    if let Some(entry) = entry {
        return Err(NameError::Absent { name: name.to_owned(), pull: entry.name.clone() });
    }
    if meant.eq_ignore_ascii_case(CUB) {
        return Ok(BUILTIN.to_owned());
    }
    match repository(meant) {
        Some((repo, quant)) => match files.iter().find(|file| is_of(&folder, file, repo, quant)) {
            Some(file) => Ok(folder.join(file).display().to_string()),
            None => Err(NameError::Absent { name: name.to_owned(), pull: meant.to_owned() }),
        },
        None => {
            let names = CATALOGUE.iter().map(|entry| entry.name.as_str()).chain(files.iter().map(|file| stem(file)));
            if alias.is_some() {
                return Err(NameError::AliasOf { name: name.to_owned(), meant: meant.to_owned() });
            }
            let nearest = nearest(name, names.chain(aliases.iter().map(|(alias, _)| alias.as_str())));
            Err(NameError::Unknown { name: name.to_owned(), nearest })
        }
    }
}

fn of_path(path: &str) -> Result<String, NameError> {
    match model::file_of(path) {
        Ok(Some(file)) if file.is_file() => Ok(file.display().to_string()),
        Ok(Some(file)) => Err(NameError::NoFile(file)),
        _ => Err(NameError::NoFile(path.into())),
    }
}

/// The value of the setting `model` that will always mean the file that this one means now.
pub fn lasting(setting: &str) -> String {
    match model::file_of(setting) {
        Ok(Some(path)) => path.display().to_string(),
        Ok(None) => BUILTIN.to_owned(),
        Err(_) => setting.to_owned(),
    }
}

/// The name to show for a value of the setting `model`: of the catalogue, else of the file.
pub fn label(setting: &str) -> String {
    let Ok(Some(path)) = model::file_of(setting) else { return BUILTIN.to_owned() };
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    label_of(&file)
}

fn label_of(file: &str) -> String {
    let entry = CATALOGUE.iter().find(|entry| entry.file == file);
    entry.map_or_else(|| stem(file).to_owned(), |entry| entry.name.clone())
}

/// The models in the models folder: names and files, sorted.
pub fn on_disk() -> Vec<(String, PathBuf)> {
    let folder = paths::models_dir().unwrap_or_default();
    files(&folder).into_iter().map(|file| (label_of(&file), folder.join(&file))).collect()
}

fn stem(file: &str) -> &str {
    file.strip_suffix(".gguf").unwrap_or(file)
}

/// The model files of a folder, sorted.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let name_of = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let is_model = name.ends_with(".gguf") && !name.starts_with('.') && folder.join(&name).is_file();
        is_model.then_some(name)
    };
    let mut files: Vec<String> = entries.filter_map(name_of).collect();
    files.sort();
    files
}

/// `ORG/REPO` and the quantization of `[hf.co/]ORG/REPO[:QUANT]`.
fn repository(name: &str) -> Option<(&str, Option<&str>)> {
    let name = ["hf.co/", "huggingface.co/"].iter().find_map(|host| name.strip_prefix(host)).unwrap_or(name);
    let (repo, quant) = name.split_once(':').map_or((name, None), |(repo, quant)| (repo, Some(quant)));
    let is_name = |text: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !text.is_empty() && text.bytes().all(is_letter)
    };
    let (org, own) = repo.split_once('/')?;
    (is_name(org) && is_name(own) && quant.is_none_or(is_name)).then_some((repo, quant))
}

/// Whether a file of the folder is from this repository, with this quantization.
fn is_of(folder: &Path, file: &str, repo: &str, quant: Option<&str>) -> bool {
    #[derive(Deserialize)]
    struct Record {
        url: String,
    }
    let is_quant = quant.is_none_or(|quant| {
        let stem = stem(file).to_ascii_lowercase();
        let before = stem.strip_suffix(&quant.to_ascii_lowercase());
        before.is_some_and(|before| before.is_empty() || before.ends_with(['-', '.', '_']))
    });
    let of_catalogue = || CATALOGUE.iter().any(|entry| entry.file == file && entry.repo.eq_ignore_ascii_case(repo));
    let of_record = || {
        let record = file::read(&folder.join(format!("{file}.json")), MAX_RECORD).ok()?;
        let record: Record = serde_json::from_slice(&record).ok()?;
        let needle = format!("/{repo}/resolve/").to_ascii_lowercase();
        Some(record.url.to_ascii_lowercase().contains(&needle))
    };
    is_quant && (of_catalogue() || of_record().unwrap_or(false))
}

/// The most similar of these names, if `name` may be a typo of it.
fn nearest<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let distances = all.map(|other| (strsim::osa_distance(&name, &other.to_ascii_lowercase()), other));
    let is_slip = |(distance, other): &(usize, &str)| {
        *distance <= (other.chars().count() / LETTERS_PER_SLIP).max(1) || other.starts_with(&*name) && name.len() > 2
    };
    distances.filter(is_slip).min().map(|(_, other)| other.to_owned())
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
