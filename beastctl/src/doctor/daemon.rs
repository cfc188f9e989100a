//! The running daemon: same version, and responsive.
//!
//! If the service manager holds the socket, connecting would start the daemon, so the manager is asked first.

use std::{
    os::unix::fs::FileTypeExt as _,
    path::Path,
    time::{Duration, Instant},
};

use beast_protocol::{NoticeKind, State, Status};

use super::{finding::Finding, service::Service};
use crate::{
    client::{self, Client, ClientError},
    exit::Failing,
    output::{Verdict, units::span},
    wait::{Wait, WaitError},
};

const CHECK: &str = "daemon";
/// A daemon that takes longer to report its status is stuck.
const LIMIT: Duration = Duration::from_secs(10);
const AGAIN: &str = "beastctl stop, then repeat the command";

/// Also returns its status, if it reports one.
pub(super) fn check(
    path: &Path,
    service: Option<&Service>,
    wait: &Wait,
) -> Result<(Vec<Finding>, Option<Status>), WaitError> {
    if let Some(service) = service
        && service.is_asleep(path, wait)?
    {
        let text = "not running; the service manager starts it on the next request";
        return Ok((vec![Finding::ok(CHECK, text)], None));
    }
    let client = Client::reach(path, wait).and_then(Client::same_version);
    match client.and_then(|mut client| client.status(wait, Some(Instant::now() + LIMIT))) {
        Ok(status) => Ok((of_status(&status), Some(status))),
        Err(ClientError::Wait(error)) => Err(error),
        Err(error) => Ok((vec![unreached(path, &error)], None)),
    }
}

fn unreached(path: &Path, error: &ClientError) -> Finding {
    if !error.is_not_running() {
        return Finding::said(Verdict::Problem, CHECK, &error.to_string(), &error.hint().unwrap_or(AGAIN.into()));
    }
    // With a service installed, clients start no daemon themselves.
    if beast_launchd::installed_at(path).is_some() {
        let text = format!("the service is installed but stopped: nothing listens on {}", path.display());
        return Finding::problem(CHECK, text, "beastctl service start");
    }
    // Other kinds of files are reported by the check of the socket.
    if path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket()) {
        let text = format!("not running, but its socket {} exists: it crashed or was killed", path.display());
        return Finding::warning(CHECK, text, format!("{}, and see beastctl logs for the reason", client::start(path)));
    }
    Finding::ok(CHECK, "not running; the next request starts it")
}

fn of_status(status: &Status) -> Vec<Finding> {
    let of_client = env!("CARGO_PKG_VERSION");
    let about = format!("beastd {}, process {}, up {}", status.version, status.pid, span(status.uptime_ms));
    let first = match &status.state {
        State::Failed { message } => {
            Finding::said(Verdict::Problem, CHECK, message, "see beastctl logs for the reason")
        }
        State::Stalled { ms, .. } => {
            let text = format!("{about}; an engine step has been running for {}", span(*ms));
            Finding::problem(CHECK, text, format!("kill {}, then {}", status.pid, "repeat the command"))
        }
        State::Draining => Finding::warning(
            CHECK,
            format!("{about}; it is shutting down"),
            "repeat the command when it has finished its last requests",
        ),
        _ if status.version != of_client => {
            Finding::warning(CHECK, format!("beastd is {}, but beastctl is {of_client}", status.version), AGAIN)
        }
        State::Loading { stage, fraction } => {
            Finding::ok(CHECK, format!("{about}; it is loading: {} {:.0} %", stage.label(), fraction * 100.0))
        }
        State::Unloaded => Finding::ok(CHECK, format!("{about}; the next request loads the model")),
        State::Ready => Finding::ok(CHECK, about),
    };
    let warnings = status.notices.iter().filter(|notice| notice.kind == NoticeKind::Warning);
    let said = |text: &str| Finding::said(Verdict::Warning, CHECK, text, "beastctl status");
    std::iter::once(first).chain(warnings.map(|notice| said(&notice.text))).collect()
}
