//! `models`: list, download, remove, select and describe models.

mod describe;
mod pull;
mod remove;
mod use_model;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use beast_launchd::model;
use beast_protocol::{ModelState, ModelStatus, Status};

use crate::{
    cli::{ModelsAction, ModelsOptions},
    client::Client,
    context::Context,
    exit::{FileError, Result},
    models::{ModelError, catalogue, folder, reference, setting, upstream},
    settings::Settings,
    start,
    text::nearest,
    wait::Wait,
};

/// Name of the file that beastd unpacks its built-in model to, in a folder that it chooses.
const BUILTIN_FILE: &str = "cub.gguf";
/// Time limit for asking a running daemon for its model.
const LIMIT: Duration = Duration::from_secs(1);

pub(super) fn run(context: &Context, options: ModelsOptions) -> Result<()> {
    match options.action.unwrap_or(ModelsAction::List { json: options.json }) {
        ModelsAction::List { json } => describe::list(context, json),
        ModelsAction::Pull(options) => {
            refuse_upstream(&options.name, "downloaded")?;
            pull::run(context, &options)
        }
        ModelsAction::Rm { names, yes, force } => {
            names.iter().try_for_each(|name| refuse_upstream(name, "removed"))?;
            remove::run(context, &names, yes || force, force)
        }
        ModelsAction::Use { name } => {
            refuse_upstream(&name, "made the default model")?;
            use_model::run(context, &name)
        }
        ModelsAction::Show { name, json } => describe::show(context, &name, json),
    }
}

/// Refuses what only a model on disk can do. A model of the catalogue or on disk goes before an upstream model, as its
/// file can be managed in any case.
fn refuse_upstream(name: &str, done: &'static str) -> Result<()> {
    let folder = folder::dir()?;
    let is_here = catalogue::find(name).is_some() || folder::find(&folder, name)?.is_some();
    match upstream::find(name) {
        Some(upstream) if !is_here => {
            let upstream::Upstream { name, urls, .. } = upstream;
            Err(ModelError::Upstream { name, url: urls.join(", "), done }.into())
        }
        _ => Ok(()),
    }
}

struct InUse {
    /// The files that a running daemon has loaded.
    loaded: Vec<PathBuf>,
    /// The values of `model` that a running daemon or the next one will load.
    settings: Vec<String>,
}

impl InUse {
    fn find(context: &Context) -> Result<Self> {
        let mut settings = vec![setting::read(&setting::path()?)?];
        let running = running(context);
        // A daemon may have been started with a different configuration, and loads its model again after an unload.
        settings.extend(running.as_ref().map(|status| status.configured.clone()));
        let is_held = |model: &&ModelStatus| !matches!(model.state, ModelState::Unloaded | ModelState::Failed);
        let loaded = running.iter().flat_map(|status| {
            let of_models = status.models.iter().filter(is_held).filter_map(|model| model.path.as_ref());
            of_models.chain(status.model.as_ref().map(|model| &model.path))
        });
        Ok(Self { loaded: loaded.map(PathBuf::from).collect(), settings })
    }

    /// Also asks beastd for its effective setting, which depends on rules that only beastd knows: profiles, relative
    /// paths.
    fn find_all(context: &Context) -> Result<Self> {
        let wait = Wait::default().limited(Some(LIMIT));
        let settings = start::find_beastd().and_then(|program| Settings::ask(&program, &wait).ok()?.ok());
        let mut in_use = Self::find(context)?;
        in_use.settings.extend(settings.and_then(|settings| settings.get("model")));
        Ok(in_use)
    }

    /// Models that are in use, or would be at the next load, and are outside the models folder; `None` is the
    /// built-in one.
    fn elsewhere(&self) -> Result<Vec<Option<PathBuf>>> {
        let folder = folder::dir()?;
        let is_builtin = |path: &PathBuf| path.file_name().is_some_and(|name| name == BUILTIN_FILE);
        let loaded = self.loaded.iter().map(|path| Ok(Some(path.clone()).filter(|path| !is_builtin(path))));
        let of_settings = self.settings.iter().map(|setting| model::file_of(setting));
        let mut found: Vec<Option<PathBuf>> = Vec::new();
        for file in loaded.chain(of_settings) {
            let file = file?;
            let is_known = found.iter().any(|other| match (other, &file) {
                (Some(other), Some(file)) => setting::is_same(other, file),
                (other, file) => other == file,
            });
            let is_there = file.as_ref().is_none_or(|file| file.is_file() && file.parent() != Some(&folder));
            if is_there && !is_known {
                found.push(file);
            }
        }
        Ok(found)
    }

    fn is(&self, file: &Path) -> Result<bool> {
        let chosen =
            self.settings.iter().map(|setting| setting::is_chosen(file, setting)).collect::<Result<Vec<_>, _>>()?;
        Ok(chosen.contains(&true) || self.loaded.iter().any(|loaded| setting::is_same(loaded, file)))
    }
}

/// The status of a running daemon; `None` also if it is too busy to answer.
fn running(context: &Context) -> Option<Status> {
    let wait = Wait::default().limited(Some(LIMIT));
    let mut client = Client::open(&context.socket().ok()?, &wait).ok()?.same_version().ok()?;
    client.status(&wait, None).ok()
}

/// The file name for a model's name, even if there is only a partial download or a dangling link.
fn file_of(folder: &Path, name: &str) -> Result<String, FileError> {
    let with_ending = || if name.ends_with(".gguf") { name.into() } else { format!("{name}.gguf") };
    Ok(match folder::find(folder, name)? {
        Some(local) => local.file,
        None => catalogue::find(name).map_or_else(with_ending, |entry| entry.file),
    })
}

/// The error for a name that no file on disk has, with advice.
fn not_here(name: &str) -> ModelError {
    let is_fetchable = !matches!(reference::parse(name), Err(_) | Ok(reference::Reference::Path(_)));
    if is_fetchable {
        return ModelError::NotHere(name.into());
    }
    let local = folder::dir().ok().and_then(|folder| folder::list(&folder).ok()).unwrap_or_default();
    let stems = local.iter().filter_map(|local| local.file.strip_suffix(".gguf"));
    let entries = catalogue::entries();
    let upstreams = upstream::all();
    let names = entries.iter().map(|entry| entry.name.as_str()).chain(stems);
    let names = names.chain(upstreams.iter().map(|upstream| upstream.name.as_str()));
    ModelError::Unknown { word: name.into(), nearest: nearest(name, names).map(str::to_owned) }
}
