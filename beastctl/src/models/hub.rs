//! The Hugging Face hub: URLs, the contents of a repository, and its cache on this disk.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use beast_launchd::file;
use serde::Deserialize;

use super::{
    check,
    download::{Means, Wanted, get},
    error::ModelError,
    flow::Ask,
    reference::What,
    url::{encoded, origin, shown},
};

const ENDPOINT: &str = "https://huggingface.co";
/// Longest list of files.
const MAX_LISTING: usize = 8 * 1024 * 1024;

#[derive(Clone, Default)]
pub struct Hub {
    endpoint: String,
    token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    pub files: Vec<String>,
    /// The licence according to its page.
    pub licence: Option<String>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(default, rename = "cardData")]
    card: Option<Card>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

#[derive(Deserialize)]
struct Card {
    license: Option<serde_json::Value>,
    license_name: Option<String>,
}

impl Hub {
    /// Reads `HF_ENDPOINT` and `HF_TOKEN`.
    pub fn of_environment() -> Self {
        let var = |name| env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let endpoint = var("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.into());
        Self { endpoint: endpoint.trim_end_matches('/').into(), token: var("HF_TOKEN") }
    }

    /// Whether a URL is the hub's own; only those get the token.
    pub fn owns(&self, url: &str) -> bool {
        origin(url).is_some() && origin(url) == origin(&self.endpoint)
    }

    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    pub fn file_url(&self, repo: &str, file: &str) -> String {
        format!("{}/{repo}/resolve/main/{}", self.endpoint, encoded(file))
    }

    /// The name within a repository of a file from `url`; `None` for URLs outside this repository.
    pub fn name_in(&self, repo: &str, url: &str) -> Option<String> {
        let endpoints = [shown(&self.endpoint), ENDPOINT.into()];
        let rest = endpoints.iter().find_map(|endpoint| url.strip_prefix(&format!("{endpoint}/{repo}/resolve/main/")));
        rest.map(str::to_owned)
    }

    pub fn page(&self, repo: &str) -> String {
        format!("{}/{repo}", shown(&self.endpoint))
    }

    pub(super) fn ask(&self, url: String, headers: Vec<(&'static str, String)>) -> Ask {
        let hub = origin(&self.endpoint);
        let secret = hub.clone().zip(self.token.clone());
        Ask { url, secret, hub, headers }
    }

    /// The contents of a repository.
    ///
    /// # Errors
    /// Those of the network, and [`ModelError::Listing`].
    pub fn listing(&self, repo: &str, means: &mut Means<'_>) -> Result<Listing, ModelError> {
        let url = format!("{}/api/models/{repo}", self.endpoint);
        let wanted = Wanted { url: url.clone(), sha256: None, page: Some(self.page(repo)), licence: None };
        let bytes = get(&wanted, MAX_LISTING, means)?;
        listing_of(&bytes).ok_or_else(|| ModelError::Listing(shown(&url)))
    }
}

/// Keeps the token out of logs.
impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("endpoint", &self.endpoint).field("has_token", &self.has_token()).finish()
    }
}

fn listing_of(bytes: &[u8]) -> Option<Listing> {
    let model: Model = serde_json::from_slice(bytes).ok()?;
    let card = model.card.and_then(|card| {
        let licence = card.license.as_ref().and_then(|licence| licence.as_str()).map(str::to_owned);
        // A licence "other" is less precise than its name.
        card.license_name.or(licence)
    });
    let tag = || model.tags.iter().find_map(|tag| tag.strip_prefix("license:")).map(str::to_owned);
    let licence = card.or_else(tag);
    Some(Listing { files: model.siblings.into_iter().map(|sibling| sibling.rfilename).collect(), licence })
}

/// The GGUF file that is meant.
///
/// # Errors
/// [`ModelError::Choice`] with the available files, [`ModelError::Split`].
pub fn choose(repo: &str, files: &[String], what: &What) -> Result<String, ModelError> {
    let is_model = |file: &&String| {
        let name = file.rsplit('/').next().unwrap_or(file).to_ascii_lowercase();
        // `mmproj` files hold only the image or audio part of a model.
        name.ends_with(".gguf") && !name.contains("mmproj")
    };
    let models: Vec<&String> = files.iter().filter(is_model).collect();
    let (wanted, fits): (&str, Vec<&String>) = match what {
        What::Quant(quant) => (quant, models.iter().copied().filter(|file| is_quant(file, quant)).collect()),
        What::File(name) => (name, models.iter().copied().filter(|file| *file == name).collect()),
        What::Any => ("its own choice", models.clone()),
    };
    match fits.as_slice() {
        [one] if is_split(one) => Err(ModelError::Split((*one).clone())),
        [first, ..] if fits.iter().all(|file| is_split(file)) => Err(ModelError::Split((*first).clone())),
        [one] => Ok((*one).clone()),
        fits => {
            let listed = if fits.is_empty() { &models } else { fits };
            let there = listed.iter().filter(|file| !is_split(file)).map(|file| format!("{repo}/{file}")).collect();
            Err(ModelError::Choice { repo: repo.into(), wanted: wanted.into(), n_found: fits.len(), there })
        }
    }
}

/// Whether a file has this quantization: `model-Q4_K_M.gguf` has `q4_k_m`, `model-IQ4_K_M.gguf` does not.
fn is_quant(file: &str, quant: &str) -> bool {
    let stem = stem(file).to_ascii_lowercase();
    let before = stem.strip_suffix(&quant.to_ascii_lowercase());
    before.is_some_and(|before| before.is_empty() || before.ends_with(['-', '.', '_', '/']))
}

fn is_split(file: &str) -> bool {
    stem(file).len() != file.len() - ".gguf".len()
}

/// The name without `.gguf` and `-00001-of-00003`.
fn stem(file: &str) -> &str {
    let stem = &file[..file.len() - ".gguf".len()];
    let parts = stem.rsplit_once("-of-").and_then(|(rest, total)| Some((rest.rsplit_once('-')?, total)));
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    match parts {
        Some(((name, at), total)) if is_number(at) && is_number(total) => name,
        _ => stem,
    }
}

/// The cache of the hub's own programs.
fn cache() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("HF_HUB_CACHE")
        .or_else(|| Some(folder("HF_HOME")?.join("hub")))
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(folder("HOME")?.join(".cache/huggingface/hub")))
}

/// A file of a repository that the hub's own programs have downloaded: its path, and its name in the repository.
pub fn cached(repo: &str, what: &What) -> Option<(PathBuf, String)> {
    let folder = cache()?.join(format!("models--{}", repo.replace('/', "--")));
    let snapshots = folder.join("snapshots");
    let main = file::read_text(&folder.join("refs/main"), 4096).ok().map(|revision| snapshots.join(revision.trim()));
    let mut all: Vec<PathBuf> =
        fs::read_dir(&snapshots).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    all.sort();
    main.into_iter().chain(all).find_map(|snapshot| {
        let file = choose(repo, &files_in(&snapshot, ""), what).ok()?;
        let path = snapshot.join(&file);
        check::gguf(&path).is_ok().then_some((path, file))
    })
}

/// The hash of a cached file, by which the hub's own programs name it.
pub fn cached_hash(path: &Path) -> Option<String> {
    check::as_sha256(path.canonicalize().ok()?.file_name()?.to_str()?)
}

/// Lists two levels of folders; repositories of models have no more.
fn files_in(folder: &Path, before: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Some(name) = entry.file_name().to_str().map(|name| format!("{before}{name}")) else { continue };
        match entry.path() {
            path if path.is_file() => files.push(name),
            path if before.is_empty() => files.extend(files_in(&path, &format!("{name}/"))),
            _ => {}
        }
    }
    files
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
