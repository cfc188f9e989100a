//! `models use`: changes the setting and tells a running daemon; a model it rejects is not set.

use std::{
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use beast_launchd::model;
use beast_protocol::Status;

use super::not_here;
use crate::{
    commands::load,
    context::Context,
    exit::Result,
    models::{ModelError, check, folder, setting},
    output::Progress,
    wait::Wait,
};

pub(super) fn run(context: &Context, name: &str) -> Result<()> {
    let model = value(name)?;
    let path = setting::path()?;
    let change = setting::write(&path, &model)?;
    let console = context.console;
    if std::env::var_os("BEAST_MODEL").is_some() {
        console.warning("BEAST_MODEL is set and overrides the configuration of a beastd started with it");
    }
    let told = match tell_daemon(context, &model) {
        Ok(told) => told,
        Err(error) => {
            // The daemon rejected this model, so the next start would fail with it.
            change.undo()?;
            return Err(error);
        }
    };
    match told {
        Some(status) => {
            let name = status.model.map_or(model, |model| model.name);
            console.info(&format!("beastd now uses {name}"));
        }
        None => console.info(&format!("set model = {model} in {}; beastd will use it when it starts", path.display())),
    }
    Ok(())
}

/// Makes a running daemon switch to `model`, a value of the setting; `None` if no daemon is running.
fn tell_daemon(context: &Context, model: &str) -> Result<Option<Status>> {
    let socket = context.socket()?;
    let wait = Wait::start(context.timeout)?;
    let mut progress = Progress::with_spinner(io::stderr(), context.console.shows_progress(), context.started);
    progress.set("waiting for running requests".into(), Instant::now());
    let outcome = load::switch(&socket, model, &wait, |text| progress.set(text.into(), Instant::now()));
    progress.erase();
    outcome
}

/// The value of the setting: a word, or the absolute path of a file that is a model.
fn value(name: &str) -> Result<String> {
    if matches!(name, model::AUTO | model::BUILTIN) {
        let file = model::file_of(name)?;
        file.as_deref().map_or(Ok(()), check::gguf)?;
        return Ok(name.into());
    }
    let path = match folder::find(&folder::dir()?, name)? {
        Some(local) => local.path,
        None if name.contains('/') || name.ends_with(".gguf") || Path::new(name).is_file() => file(name)?,
        None => return Err(not_here(name).into()),
    };
    check::gguf(&path)?;
    let text = path.to_str().map(str::to_owned);
    Ok(text.ok_or_else(|| ModelError::Usage {
        what: format!("{} is not UTF-8, which config.toml requires", path.display()),
        hint: "give it another name: ln -s FILE model.gguf".into(),
    })?)
}

/// A file given by its path. A name that looks like a repository has to be downloaded first.
fn file(name: &str) -> Result<PathBuf> {
    let path = std::path::absolute(name)?;
    let is_elsewhere = !path.exists() && !name.starts_with(['/', '.']);
    if is_elsewhere { Err(not_here(name).into()) } else { Ok(path) }
}
