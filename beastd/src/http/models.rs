//! Name and description of the model, for all dialects. Does not load it.

use std::sync::Arc;

use beast_protocol::Model;

use super::refusal::Refusal;
use crate::loader::{LoadState, ModelFacts, Ready};
use crate::shared::Shared;

/// The loaded model, or the one that the next request loads.
#[derive(Debug, Clone)]
pub struct ModelCard {
    /// Its name in requests.
    pub id: String,
    /// Facts from the model file; `None` until it was loaded once.
    pub model: Option<Model>,
    /// Modification time of the file in seconds since 1970; 0 if unknown.
    pub created: u64,
}

impl ModelCard {
    /// Describes the current model.
    pub fn current(shared: &Shared) -> Self {
        let configured = shared.config().model.clone();
        let model = facts(shared).map(|facts| facts.model.clone());
        let (id, path) = match &model {
            Some(model) => (model.name.clone(), model.path.clone()),
            None => {
                let stem = std::path::Path::new(&configured).file_stem();
                (stem.map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()), configured)
            }
        };
        let modified = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
        let since_1970 = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        Self { id, model, created: since_1970.map_or(0, |time| time.as_secs()) }
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

/// A name in Ollama's style, with a tag.
pub fn tagged(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { format!("{name}:latest") }
}

/// Checks whether a request may use this model name.
///
/// # Errors
/// 404 for other names when names are strict.
pub fn check_name(shared: &Shared, name: Option<&str>) -> Result<(), Refusal> {
    let Some(name) = name.filter(|_| shared.config().http.is_strict) else { return Ok(()) };
    if ModelCard::current(shared).is_called(name) { Ok(()) } else { Err(unknown(name)) }
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

/// Facts about the loaded model, or else the one that was loaded last.
pub fn facts(shared: &Shared) -> Option<Arc<ModelFacts>> {
    match ready(shared) {
        Some(ready) => Some(Arc::clone(&ready.facts)),
        None => shared.progress.last().filter(|last| last.configured == shared.config().model),
    }
}

/// The model, if it is loaded.
pub fn ready(shared: &Shared) -> Option<Arc<Ready>> {
    match &*shared.progress.watch().borrow() {
        LoadState::Ready(ready) | LoadState::Leaving(ready) => Some(Arc::clone(ready)),
        _ => None,
    }
}
