//! Names and descriptions of the models, for all dialects. Loads none.

use std::path::Path;
use std::sync::Arc;

use beast_protocol::{ErrorCode, Model, WireError};

use super::refusal::Refusal;
use crate::loader::{LoadState, ModelFacts};
use crate::model_file::names::{self, FileId};
use crate::residents::Resident;
use crate::shared::Shared;

/// The state of a model that is not in memory.
const UNLOADED: &str = "unloaded";

/// A model that requests may name.
#[derive(Debug, Clone)]
pub struct ModelCard {
    /// Its name in requests.
    pub id: String,
    /// Facts from the model file; `None` until it was loaded once.
    pub model: Option<Model>,
    /// Modification time of the file in seconds since 1970; 0 if unknown.
    pub created: u64,
    /// `loaded`, `loading` or `unloaded`, as llama-server's router says.
    pub state: &'static str,
}

impl ModelCard {
    /// Describes the default model.
    pub fn current(shared: &Shared) -> Self {
        let resident = shared.residents.default_model();
        let model = resident.facts().map(|facts| facts.model.clone());
        let (configured, state) = (shared.config().model.clone(), state(&resident));
        match model {
            Some(model) => Self { id: model.name.clone(), created: modified(&model.path), model: Some(model), state },
            None => {
                let stem = Path::new(&configured).file_stem();
                let id = stem.map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
                Self { id, model: None, created: modified(&configured), state }
            }
        }
    }

    /// Describes the model that a request names.
    pub fn named(shared: &Shared, name: Option<&str>) -> Self {
        let all = Self::all(shared).into_iter();
        name.and_then(|name| all.skip(1).find(|card| card.is_called(name))).unwrap_or_else(|| Self::current(shared))
    }

    /// The models that can be asked for: the default one, then those that were asked for already or are on disk.
    pub fn all(shared: &Shared) -> Vec<Self> {
        let default = shared.residents.default_model();
        let mut cards = vec![Self::current(shared)];
        for resident in shared.residents.all() {
            let path = resident.facts().map_or_else(|| resident.setting.clone(), |facts| facts.model.path.clone());
            let state = state(&resident);
            // Once its file is removed, an unloaded model cannot come back.
            let is_gone = state == UNLOADED && matches!(FileId::of(&resident.setting), FileId::Missing(_));
            if !Arc::ptr_eq(&resident, &default) && !names::is_private(&resident.setting) && !is_gone {
                let model = resident.facts().map(|facts| facts.model.clone());
                let (id, created) = (resident.name.clone(), modified(&path));
                cards.push(Self { id, model, created, state });
            }
        }
        for name in shared.upstreams.names() {
            cards.push(Self { id: name.to_owned(), model: None, created: 0, state: "loaded" });
        }
        for (name, path) in names::on_disk() {
            let is_known = |card: &Self| {
                card.id == name || card.model.as_ref().is_some_and(|model| Path::new(&model.path) == path)
            };
            if !cards.iter().any(is_known) {
                cards.push(Self { id: name, model: None, created: modified(&path), state: UNLOADED });
            }
        }
        cards
    }

    /// The name in Ollama's style, with a tag.
    pub fn tagged(&self) -> String {
        tagged(&self.id)
    }

    /// Whether this name means the model; ignores case and the tag `latest`.
    pub fn is_called(&self, name: &str) -> bool {
        let plain = |name: &str| name.trim().trim_end_matches(":latest").to_ascii_lowercase();
        plain(name) == plain(&self.id)
    }
}

fn state(resident: &Resident) -> &'static str {
    match &*resident.progress.watch().borrow() {
        LoadState::Ready(_) => "loaded",
        LoadState::Loading { .. } => "loading",
        LoadState::Failed(_) | LoadState::Unloaded { .. } => UNLOADED,
    }
}

/// A name in Ollama's style, with a tag.
pub fn tagged(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { format!("{name}:latest") }
}

/// Names that clients send when they do not care.
const ANY: [&str; 3] = ["", "default", "auto"];

/// The model that a request names: `None` for the default one, which also answers to names that no model has, unless
/// names are strict.
///
/// # Errors
/// 404 for a path, a model that is not on disk, and for an unknown name when names are strict.
pub async fn named(shared: &Arc<Shared>, name: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(name) = name.map(|name| name.trim().trim_end_matches(":latest")).filter(|name| !ANY.contains(name)) else {
        return Ok(None);
    };
    if let Some(name) = shared.upstream(Some(name)) {
        return Ok(Some(name));
    }
    if names::is_path(name) {
        return Err(unknown(name));
    }
    if ModelCard::current(shared).is_called(name) {
        return Ok(None);
    }
    match shared.residents.target(Some(name)).await {
        Ok(_) => Ok(Some(name.to_owned())),
        // No model has this name.
        Err(error) if error.code == ErrorCode::Invalid && !shared.config().http.is_strict => Ok(None),
        Err(error) if error.code == ErrorCode::ModelUnavailable && !name.contains('/') => Err(absent(&error)),
        Err(error) if error.code == ErrorCode::ModelUnavailable && !shared.config().http.is_strict => Ok(None),
        Err(error) if [ErrorCode::Invalid, ErrorCode::ModelUnavailable].contains(&error.code) => Err(unknown(name)),
        Err(error) => Err(error.into()),
    }
}

fn absent(error: &WireError) -> Refusal {
    Refusal { code: Some("model_not_found"), param: Some("model".into()), ..Refusal::not_found(error.message.clone()) }
}

/// Modification time of a file in seconds since 1970; 0 if unknown.
fn modified(path: impl AsRef<Path>) -> u64 {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let since_1970 = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since_1970.map_or(0, |time| time.as_secs())
}

pub fn unknown(name: &str) -> Refusal {
    let name = excerpt(name);
    Refusal {
        code: Some("model_not_found"),
        param: Some("model".into()),
        ..Refusal::not_found(format!("model '{name}' not found; try: GET /v1/models"))
    }
}

/// A name, shortened for messages.
pub fn excerpt(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// Facts about the model that a request names, if it was loaded once.
pub fn facts(shared: &Shared, name: Option<&str>) -> Option<Arc<ModelFacts>> {
    let resident = match name {
        None => shared.residents.default_model(),
        Some(name) => shared.residents.by_name(name)?,
    };
    resident.facts()
}
