//! `service`: makes the system listen for beastd, and start it on the first connection.

mod error;
mod files;
mod launchd;
mod manager;
mod program;
mod systemd;
mod verbs;

use std::{path::Path, time::Duration};

use beast_launchd::{REST_OF_THE_END, Service, paths};

pub use error::ServiceError;

use self::{
    launchd::Launchd,
    manager::Manager,
    program::Program,
    systemd::Systemd,
    verbs::{Installed, Present, Removed},
};
use crate::{
    cli::ServiceVerb,
    context::Context,
    exit::{During as _, Result},
    numbers::time,
    output::{json_line, one_line},
    program::lasting,
    settings::{Settings, SettingsError},
    start, stop,
    wait::Wait,
};

/// Time limit for the whole command, which may wait for beastd to finish its requests and to start. Each step has a
/// limit of its own.
const LIMIT: Duration = Duration::from_secs(300);
/// The default of `drain_timeout`, in case beastd does not report it.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Most time that the system may wait for beastd to end.
const MAX_STOP_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn run(context: &Context, verb: &ServiceVerb) -> Result<()> {
    let wait = Wait::start(Some(context.timeout.unwrap_or(LIMIT))).context("cannot watch for Ctrl-C")?;
    let manager = manager(&wait)?;
    let manager = manager.as_ref();
    let end = |socket: &Path| -> Result<()> {
        if stop::end(socket, &wait)? {
            context.console.info("stopped the beastd that was started by hand");
        }
        Ok(())
    };
    match verb {
        ServiceVerb::Install { force } => install(context, manager, *force, &wait, end),
        ServiceVerb::Uninstall => uninstall(context, manager),
        ServiceVerb::Start => {
            check(manager, &wait)?;
            let socket = verbs::start(manager, end)?;
            say(context, &format!("listening on {}; the first request starts beastd\n", socket.display()))
        }
        ServiceVerb::Stop => {
            verbs::stop(manager)?;
            say(context, "stopped\n")
        }
        ServiceVerb::Restart => {
            // The running daemon stays until its successor is known to be able to start.
            check(manager, &wait)?;
            verbs::restart(manager, end)?;
            say(context, "restarted\n")
        }
        ServiceVerb::Status { json } => status(context, manager, *json),
    }
}

fn manager(wait: &Wait) -> Result<Box<dyn Manager + '_>> {
    Ok(match cfg!(target_os = "macos") {
        true => Box::new(Launchd {
            launchctl: Program::new(&["launchctl"], wait),
            folder: paths::agents_dir()?,
            uid: rustix::process::geteuid().as_raw(),
        }),
        false => {
            Box::new(Systemd { systemctl: Program::new(&["systemctl", "--user"], wait), folder: paths::units_dir()? })
        }
    })
}

/// Checks that the installed program can start, which the system would find out only at the first request.
fn check(manager: &dyn Manager, wait: &Wait) -> Result<(), ServiceError> {
    let Present { program, .. } = verbs::installed(manager)?;
    program.map(|program| settings(&program, wait)).transpose()?;
    Ok(())
}

fn settings(program: &Path, wait: &Wait) -> Result<Settings, ServiceError> {
    Settings::of_service(program, wait)?.map_err(|error| {
        let SettingsError::Refused(words) = error else { return ServiceError::Settings(error) };
        let words = one_line(words.strip_prefix("beastd: ").unwrap_or(&words));
        ServiceError::Unfit { program: program.to_owned(), words }
    })
}

/// How long the system must wait for a daemon with these settings to end.
fn stop_limit(settings: &Settings) -> Duration {
    // Parsed like beastd does; another version may not report it.
    let drain = match settings.get("drain_timeout").as_deref() {
        Some("never") => Duration::MAX,
        text => text.and_then(time).unwrap_or(DRAIN_TIMEOUT),
    };
    // Not unlimited, because launchd would block the system's shutdown.
    drain.saturating_add(REST_OF_THE_END).min(MAX_STOP_LIMIT)
}

fn install(
    context: &Context,
    manager: &dyn Manager,
    force: bool,
    wait: &Wait,
    end: impl Fn(&Path) -> Result<()>,
) -> Result<()> {
    let program = lasting(start::program()?);
    let settings = settings(&program, wait)?;
    let (stop_limit, http) = (stop_limit(&settings), settings.http());
    let socket = context.socket()?;
    // beastd must find the same socket from another working directory.
    let socket = std::path::absolute(&socket).with_context(|| format!("cannot find {}", socket.display()))?;
    let log = paths::log_dir()?.join("service.log");
    let calm = Wait::default();
    let way_back = self::manager(&calm)?;
    let service = Service { program, arguments: Vec::new(), socket, http, log, stop_limit };
    let Installed { files, copies, is_new, was_there } =
        verbs::install(manager, way_back.as_ref(), &service, force, end)?;
    let what = match (is_new, was_there) {
        (true, false) => "installed",
        (true, true) => "reinstalled",
        (false, _) => "already installed:",
    };
    let mut text: String = files.iter().map(|file| format!("{what} {}\n", file.display())).collect();
    for copy in copies {
        text += &format!("the previous file is now {}\n", copy.display());
    }
    text += &format!("it listens on {}; the first request starts beastd\n", service.socket.display());
    for place in service.http.names() {
        text += &format!("it serves HTTP on {place}\n");
    }
    Ok(context.console.print_lines(&text)?)
}

fn uninstall(context: &Context, manager: &dyn Manager) -> Result<()> {
    let text = match verbs::uninstall(manager)? {
        Removed::Files(files) => files.iter().map(|file| format!("removed {}\n", file.display())).collect(),
        Removed::Disabled(file) => format!(
            "disabled {}, which belongs to a package (to undo: systemctl --user enable --now beastd.socket)\n",
            file.display()
        ),
        Removed::Nothing(file) => format!("nothing to remove: {} not found\n", file.display()),
    };
    Ok(context.console.print_lines(&text)?)
}

fn status(context: &Context, manager: &dyn Manager, is_json: bool) -> Result<()> {
    let status = verbs::status(manager)?;
    match is_json {
        true => context.console.print(&json_line(&status.object()))?,
        false => context.console.print_lines(&status.describe())?,
    }
    Ok(status.verdict()?)
}

/// Tells the user that it is done; a script uses the exit code.
fn say(context: &Context, text: &str) -> Result<()> {
    if context.console.stdout_is_terminal {
        context.console.print(text)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "launchd_tests.rs"]
mod launchd_tests;
