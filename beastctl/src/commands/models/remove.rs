//! `models rm`: removes models from disk, after checking which one is in use.

use std::io::{self, BufRead as _};

use super::{InUse, not_here, with_ending};
use crate::{
    context::Context,
    exit::Result,
    input,
    models::{ModelError, catalogue, folder},
    output::units::bytes,
    text::quoted,
};

/// Removes what was named; all names are understood before the first file goes.
pub(super) fn run(context: &Context, names: &[String], is_sure: bool, is_forced: bool) -> Result<()> {
    let folder = folder::dir()?;
    let in_use = InUse::find_all(context)?;
    let mut targets = Vec::new();
    for name in names {
        let file = match folder::find(&folder, name)? {
            Some(local) => local.file,
            // A download that was given up, or a link to a file that went away.
            None => catalogue::find(name).map_or_else(|| with_ending(name), |entry| entry.file),
        };
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

fn ask(context: &Context, targets: &[(std::path::PathBuf, String)]) -> Result<(), ModelError> {
    if !input::stdin_is_terminal() {
        return Err(ModelError::NotRemoved("cannot ask for confirmation without a terminal"));
    }
    let size = |path| std::fs::metadata(path).map(|meta| meta.len()).ok().or_else(|| folder::partial(path));
    let named = targets.iter().map(|(path, file)| format!("{file} ({})", bytes(size(path).unwrap_or_default())));
    context.console.lines(&format!("Remove {}? [y/N] ", named.collect::<Vec<_>>().join(", ")));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    match read.map(|_| answer.trim().to_lowercase()).as_deref() {
        Ok("y" | "yes") => Ok(()),
        _ => Err(ModelError::NotRemoved("the answer was no")),
    }
}
