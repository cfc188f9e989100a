//! `models`: list, fetch, remove, choose and describe models.

mod describe;
mod pull;
mod remove;
mod use_model;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use beast_protocol::{Event, Request};

use super::{Context, settings::Settings};
use crate::{
    cli::{ModelsAction, ModelsOptions},
    client::Client,
    models::{ModelError, catalogue, folder, reference, setting},
    prompts::nearest,
    start,
    wait::Wait,
};

/// A daemon that takes longer to say which model it has is not waited for.
const LIMIT: Duration = Duration::from_secs(1);

/// Does what was typed.
pub(super) fn run(context: &Context, options: ModelsOptions) -> Result<()> {
    match options.action.unwrap_or(ModelsAction::List { json: options.json }) {
        ModelsAction::List { json } => describe::list(context, json),
        ModelsAction::Pull(options) => pull::run(context, &options),
        ModelsAction::Rm { names, yes, force } => remove::run(context, &names, yes, force),
        ModelsAction::Use { name } => use_model::run(context, &name),
        ModelsAction::Show { name, json } => describe::show(context, &name, json),
    }
}

/// Which model is in use.
struct InUse {
    setting: String,
    /// What a running daemon has loaded.
    loaded: Option<PathBuf>,
    /// The setting as beastd itself understands it, where it was asked.
    configured: Option<String>,
}

impl InUse {
    fn find(context: &Context) -> Result<Self> {
        Ok(Self { setting: setting::read(&setting::path()?)?, loaded: loaded(context), configured: None })
    }

    /// Also with what a daemon would load next, or anew after an unload, by rules that only beastd knows: of profiles, of
    /// relative paths.
    fn find_all(context: &Context) -> Result<Self> {
        let wait = Wait::default().limited(Some(LIMIT));
        let settings = start::find_beastd().and_then(|program| Settings::ask(&program, &wait).ok()?.ok());
        let configured = settings.and_then(|settings| settings.get("model").map(str::to_owned));
        Ok(Self { configured, ..Self::find(context)? })
    }

    fn is(&self, file: &Path) -> Result<bool> {
        let is_loaded = self.loaded.as_deref().is_some_and(|loaded| setting::is_same(loaded, file));
        let is_configured = |setting: &String| setting::is_chosen(file, setting);
        let is_configured = self.configured.as_ref().map(is_configured).transpose()?.unwrap_or_default();
        Ok(is_loaded || is_configured || setting::is_chosen(file, &self.setting)?)
    }
}

/// What a running daemon has loaded. One that does not run, or is busy with something else, has nothing to say about it.
fn loaded(context: &Context) -> Option<PathBuf> {
    let wait = Wait::default().limited(Some(LIMIT));
    let mut client = Client::open(&context.socket().ok()?, &wait).ok()?.same_version().ok()?;
    client.send(&Request::Status, &wait).ok()?;
    loop {
        match client.next_event(&wait, None).ok()?? {
            Event::Status(status) => return status.model.map(|model| model.path.into()),
            Event::Failed(_) => return None,
            _ => {}
        }
    }
}

/// A file's name, however it was typed.
fn with_ending(name: &str) -> String {
    if name.ends_with(".gguf") { name.into() } else { format!("{name}.gguf") }
}

/// Nothing on this disk has this name: what that is, and what would help.
fn not_here(name: &str) -> ModelError {
    let is_fetchable = !matches!(reference::parse(name), Err(_) | Ok(reference::Reference::Path(_)));
    if is_fetchable {
        return ModelError::NotHere(name.into());
    }
    let local = folder::dir().ok().and_then(|folder| folder::list(&folder).ok()).unwrap_or_default();
    let stems = local.iter().filter_map(|local| local.file.strip_suffix(".gguf"));
    let entries = catalogue::entries();
    let names = entries.iter().map(|entry| entry.name.as_str()).chain(stems);
    ModelError::Unknown { word: name.into(), nearest: nearest(name, names).map(str::to_owned) }
}
