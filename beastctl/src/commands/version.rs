//! `beastctl version`: versions of programs and protocol.

use std::time::Duration;

use beast_protocol::{Status, VERSION, Welcome};
use serde_json::{Value, json};

use crate::{
    client::{Client, ClientError},
    context::Context,
    exit::{During as _, Result},
    output::json_line,
    wait::{Wait, WaitError},
};

const CLIENT: &str = env!("CARGO_PKG_VERSION");
/// A slow daemon is a problem for `doctor`; the client's version is known without it.
const LIMIT: Duration = Duration::from_secs(2);

/// Prints the versions. An unreachable daemon is a result here, not an error.
pub(super) fn run(context: &Context, is_json: bool) -> Result<()> {
    let path = context.socket()?;
    let wait = Wait::start(Some(context.timeout.unwrap_or(LIMIT))).context("cannot watch for Ctrl-C")?;
    let daemon = match ask(&path, &wait) {
        Err(ClientError::Wait(error @ (WaitError::Interrupted | WaitError::ReaderGone))) => return Err(error.into()),
        daemon => daemon,
    };
    let text = if is_json { json_line(&object(&daemon)) } else { lines(&daemon) };
    Ok(context.console.print(&text)?)
}

type Daemon = Result<(Welcome, Option<Status>), ClientError>;

fn ask(path: &std::path::Path, wait: &Wait) -> Daemon {
    let mut client = Client::open(path, wait)?;
    let welcome = client.welcome().clone();
    if welcome.protocol != VERSION {
        return Ok((welcome, None));
    }
    match client.status(wait, None) {
        Err(ClientError::Daemon(_)) => Ok((welcome, None)),
        status => Ok((welcome, Some(status?))),
    }
}

fn object(daemon: &Daemon) -> Value {
    let (daemon, reason) = match daemon {
        Ok((welcome, status)) => {
            let daemon = json!({
                "version": welcome.version,
                "protocol": welcome.protocol,
                "pid": welcome.pid,
                "engine": status.as_ref().map(|status| &status.engine),
                "backend": status.as_ref().and_then(|status| Some(&status.model.as_ref()?.backend)),
            });
            (daemon, Value::Null)
        }
        Err(error) => (Value::Null, json!(error.to_string())),
    };
    json!({ "client": CLIENT, "protocol": VERSION, "daemon": daemon, "daemon_error": reason })
}

fn lines(daemon: &Daemon) -> String {
    let client = format!("beastctl {CLIENT}, protocol {VERSION}\n");
    match daemon {
        Ok((welcome, status)) => {
            let engine = status.as_ref().map(|status| format!(", engine {}", status.engine)).unwrap_or_default();
            let Welcome { version, protocol, pid } = welcome;
            format!("{client}beastd {version}, protocol {protocol}, process {pid}{engine}\n")
        }
        Err(error) if error.is_not_running() => format!("{client}beastd is not running\n"),
        Err(error) => format!("{client}{error}\n"),
    }
}
