//! `models rm`: removes models from disk, after checking which one is in use.

use std::{fs, path::PathBuf};

use super::{InUse, file_of, not_here};
use crate::{
    commands::removal,
    context::Context,
    exit::Result,
    models::{ModelError, folder},
    output::units::bytes,
    text::quoted,
};

/// Removes the named models; resolves all names before removing the first file.
pub(super) fn run(context: &Context, names: &[String], is_sure: bool, is_forced: bool) -> Result<()> {
    let folder = folder::dir()?;
    let in_use = InUse::find_all(context)?;
    let mut targets = Vec::new();
    for name in names {
        let file = file_of(&folder, name)?;
        let target = folder.join(&file);
        let is_there = target.is_symlink() || target.is_file() || folder::partial(&target).is_some();
        if file.contains('/') || !is_there {
            return Err(not_here(name).into());
        }
        if !is_forced && in_use.is(&target)? {
            return Err(ModelError::InUse(file).into());
        }
        targets.push((target, file));
    }
    targets.sort();
    targets.dedup();
    if !is_sure {
        ask(context, &targets)?;
    }
    for (target, file) in targets {
        if !folder::remove(&target)? {
            context.console.info(&format!("{} was already removed", quoted(&file)));
        }
    }
    Ok(())
}

fn ask(context: &Context, targets: &[(PathBuf, String)]) -> Result<()> {
    let size = |path| fs::metadata(path).map(|meta| meta.len()).ok().or_else(|| folder::partial(path));
    let named = targets.iter().map(|(path, file)| format!("{file} ({})", bytes(size(path).unwrap_or_default())));
    removal::confirm(context.console, &named.collect::<Vec<_>>().join(", "))
}
