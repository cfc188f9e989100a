//! `hook`: install, uninstall, status, and what the installed script calls.

mod run;
mod suggest;

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};

use super::Context;
use crate::{
    cli::{self, HookVerb},
    git::{self, Git, Hooks, Installed, Removed, Settings, Status},
    wait::Wait,
};

/// Does what was typed.
pub(super) fn run(context: &Context, verb: HookVerb) -> Result<()> {
    match verb {
        HookVerb::Install { force, chain, limit } => install(context, limit, force, chain),
        HookVerb::Uninstall { force } => uninstall(context, force),
        HookVerb::Status => status(context),
        HookVerb::Run { limit, file, source, sha: _ } => {
            run::run(context, limit, file, source);
            Ok(())
        }
    }
}

fn install(context: &Context, limit: Duration, force: bool, chain: bool) -> Result<()> {
    let wait = Wait::default().limited(context.timeout);
    let program = git::this_program().context("cannot tell where beastctl is")?;
    let hooks = Hooks::find(Git::new(&wait))?;
    let Installed { path, limit, chained, .. } = hooks.install(&program, limit, force, chain)?;
    let mut text = format!("installed {} (a commit waits {limit} at most)\n", path.display());
    if let Some(chained) = chained {
        text += &format!("the hook that was there runs first, as {}\n", chained.display());
    }
    context.console.print(&text)?;
    Ok(())
}

fn uninstall(context: &Context, force: bool) -> Result<()> {
    let wait = Wait::default().limited(context.timeout);
    let text = match Hooks::find(Git::new(&wait))?.uninstall(force)? {
        Removed::Ours(path) => format!("removed {}\n", path.display()),
        Removed::Restored(path) => {
            format!("removed {}\nthe hook that was there before is back in its place\n", path.display())
        }
        Removed::Nothing(path) => format!("nothing to remove: {} is no hook of beastctl\n", path.display()),
        Removed::Overwritten { path, chained, is_gone } => {
            let what = if is_gone { "removed" } else { "left over, and run by nobody:" };
            let (path, chained) = (path.display(), chained.display());
            format!("another program has written over the hook of beastctl: {path}\n{what} {chained}\n")
        }
    };
    context.console.print(&text)?;
    Ok(())
}

fn status(context: &Context) -> Result<()> {
    let wait = Wait::default().limited(context.timeout);
    let git = Git::new(&wait);
    let text = match Hooks::find(git)?.status()? {
        Status::Installed(installed) => describe(&installed, &Settings::read(git)?),
        Status::Called(path) => format!("hook     called from your own hook, {}\n", path.display()),
    };
    context.console.print(&text)?;
    Ok(())
}

fn describe(installed: &Installed, settings: &Settings) -> String {
    let Installed { path, program, limit, chained, .. } = installed;
    let gone = if program.is_file() { "" } else { " (not there; beastctl of PATH, when there is one)" };
    let limit = match settings.limit(cli::duration) {
        None => format!("{limit} (set when it was installed)"),
        Some(Ok(limit)) => format!("{} (git config beast.hookTimeout)", humantime::format_duration(limit)),
        Some(Err(problem)) => format!("none: {problem}"),
    };
    let mut text = format!("hook     {}\nprogram  {}{gone}\nlimit    {limit}\n", path.display(), program.display());
    if let Some(chained) = chained {
        text += &format!("first    {}\n", Path::display(chained));
    }
    if !settings.is_enabled {
        text += "silent   git config beast.hook is false\n";
    }
    text
}
