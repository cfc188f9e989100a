//! `hook`: install, uninstall, status, and the command for the installed script.

mod pace;
mod run;
mod suggest;

use std::{env, path::Path, time::Duration};

use crate::{
    cli::HookVerb,
    context::Context,
    exit::{During as _, Result},
    git::{Git, Hooks, Installed, Removed, Settings, Status},
    numbers,
    program::lasting,
    wait::Wait,
};

pub(super) fn run(context: &Context, verb: HookVerb) -> Result<()> {
    let wait = Wait::default().limited(context.timeout);
    let git = Git::new(&wait);
    let text = match verb {
        HookVerb::Install { force, chain, limit } => install(git, limit, force, chain)?,
        HookVerb::Uninstall { force } => uninstall(git, force)?,
        HookVerb::Status => status(git)?,
        HookVerb::Run { limit, file, source, sha: _ } => {
            run::run(context, limit, file, source);
            return Ok(());
        }
    };
    Ok(context.console.print_lines(&text)?)
}

fn install(git: Git<'_>, limit: Duration, force: bool, chain: bool) -> Result<String> {
    let program = lasting(env::current_exe().context("cannot find the path of beastctl")?);
    let hooks = Hooks::find(git)?;
    let Installed { path, limit, chained, set_aside, .. } = hooks.install(&program, limit, force, chain)?;
    let mut text = format!("installed {} (a commit waits at most {limit})\n", path.display());
    if let Some(chained) = chained {
        text += &format!("the existing hook runs first, as {}\n", chained.display());
    }
    if let Some(aside) = set_aside {
        text +=
            &format!("the existing hook was not executable, so git did not run it; it is now {}\n", aside.display());
    }
    Ok(text)
}

fn uninstall(git: Git<'_>, force: bool) -> Result<String> {
    Ok(match Hooks::find(git)?.uninstall(force)? {
        Removed::Ours(path) => format!("removed {}\n", path.display()),
        Removed::Restored(path) => format!("removed {}\nrestored the previous hook\n", path.display()),
        Removed::Nothing(path) => format!("nothing to remove: {} is not beastctl's hook\n", path.display()),
        Removed::Overwritten { path, chained, is_gone } => {
            let what = if is_gone { "removed" } else { "left over and never run:" };
            let (path, chained) = (path.display(), chained.display());
            format!("another program has overwritten beastctl's hook: {path}\n{what} {chained}\n")
        }
    })
}

fn status(git: Git<'_>) -> Result<String> {
    let hooks = Hooks::find(git)?;
    let settings = Settings::read(git)?;
    let mut text = match hooks.status()? {
        Status::Installed(installed) => describe(&installed, &settings),
        Status::Called(path) => format!("hook     called from your own hook, {}\n", path.display()),
    };
    if !settings.is_enabled {
        text += "silent   git config beast.hook is false\n";
    }
    if let Some(template) = hooks.template(git, &settings) {
        text += &format!("silent   {} (commit.template) fills in each message\n", template.display());
    }
    Ok(text)
}

fn describe(installed: &Installed, settings: &Settings) -> String {
    let Installed { path, program, limit, chained, runner, .. } = installed;
    let program = match program.as_os_str().is_empty() {
        true => "beastctl in PATH (the hooks folder is committed)".to_owned(),
        false if program.is_file() => program.display().to_string(),
        false => {
            format!("{} (not found; falls back to beastctl in PATH; try: beastctl hook install)", program.display())
        }
    };
    let limit = match settings.limit(numbers::duration) {
        None => format!("{limit} (set at installation)"),
        Some(Ok(limit)) => format!("{} (git config beast.hookTimeout)", humantime::format_duration(limit)),
        Some(Err(problem)) => format!("none: {problem}"),
    };
    let runner = runner.map(|manager| format!(" (run by {})", manager.name)).unwrap_or_default();
    let mut text = format!("hook     {}{runner}\nprogram  {program}\nlimit    {limit}\n", path.display());
    if let Some(chained) = chained {
        text += &format!("first    {}\n", Path::display(chained));
    }
    text
}
