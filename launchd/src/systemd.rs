//! Service → text of systemd user units; a pure function.
//!
//! May know: what systemd reads. Never knows: where the texts go, or whether systemd exists.
//!
//! The sandbox uses only what an unprivileged manager can enforce: system call filters. Everything that hides or
//! locks parts of the file system (`ProtectSystem`, `ProtectHome`, `PrivateTmp` and others) needs a user namespace,
//! which several distributions forbid: the service would not start at all (status 226).

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{HttpPlaces, HttpRole, MARK, Service, SocketError, check_socket_path};

/// The unit that listens.
pub const SOCKET_UNIT: &str = "beastd.socket";
/// The unit that starts on the first connection.
pub const SERVICE_UNIT: &str = "beastd.service";

/// The unit that listens for the HTTP endpoint, if configured. Separate, because its sockets have a different name, and
/// an address in use must not keep beastctl's socket from listening.
pub const HTTP_SOCKET_UNIT: &str = "beastd-http.socket";
/// The same for Ollama clients.
pub const OLLAMA_SOCKET_UNIT: &str = "beastd-ollama.socket";

/// Subfolder of a unit folder with links to the units that listen from login on.
pub const ENABLED_IN: &str = "sockets.target.wants";

/// The texts of the units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// Of [`SOCKET_UNIT`].
    pub socket: String,
    /// [`HTTP_SOCKET_UNIT`] and [`OLLAMA_SOCKET_UNIT`], as needed: name and text.
    pub http: Vec<(&'static str, String)>,
    /// Of [`SERVICE_UNIT`].
    pub service: String,
}

/// Why a service cannot be written as a unit.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// systemd does not search PATH.
    #[error("systemd needs an absolute path, not {}; try: give the full path", path.display())]
    Relative { path: PathBuf },
    /// Units are lines: a trailing backslash joins two of them, and a trailing blank is dropped.
    #[error(
        "a systemd unit cannot contain {text:?}; try: use a path without control characters and without a trailing \
         blank or backslash"
    )]
    NotText {
        /// The path or argument.
        text: String,
    },
    /// systemd rejects such a unit, however the path is quoted.
    #[error(
        "systemd cannot start a program with a quote or backslash in its path: {}; try: move it to another folder",
        path.display()
    )]
    Program { path: PathBuf },
    /// The socket path cannot be used.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// The units of a service. `log` is not in them: output goes to the journal.
///
/// # Errors
/// [`UnitError`] when a path is relative, too long for a socket, or not text.
pub fn units(service: &Service) -> Result<Units, UnitError> {
    let program = path(&service.program)?;
    if program.contains(['"', '\'', '\\']) {
        return Err(UnitError::Program { path: service.program.clone() });
    }
    let socket = path(&service.socket)?;
    check_socket_path(&service.socket)?;
    let mut command = quoted(program);
    for argument in &service.arguments {
        // Unlike in the program's path, a dollar in an argument starts a variable.
        command = command + " " + &quoted(plain(argument)?).replace('$', "$$");
    }
    let head = |unit| format!("{MARK}\n# The next install overwrites it. {}", change_of(unit));
    // Unquoted: the value is the whole line. A percent sign starts a specifier everywhere.
    let socket = socket_unit(&head(SOCKET_UNIT), &socket.replace('%', "%%"));
    let http = http_units(&service.http, &head)?;
    let families = families(service.http.has_addresses());
    Ok(Units { socket, http, service: service_unit(&head(SERVICE_UNIT), &command, service.stop_limit, families) })
}

const LISTEN: &str = "ListenStream=";

/// The path that one of our socket units listens on; `None` if the unit is not ours.
pub fn socket_of(unit: &str) -> Option<PathBuf> {
    // Ours have absolute paths.
    crate::is_ours(unit).then(|| listens_at(unit, Path::new("/"))).flatten()
}

/// The path that any socket unit listens on, including a package's, which leaves the folder `runtime` to systemd.
pub fn listens_at(unit: &str, runtime: &Path) -> Option<PathBuf> {
    let place = unit.lines().find_map(|line| line.trim().strip_prefix(LISTEN))?;
    Some(match place.strip_prefix("%t/") {
        Some(rest) => runtime.join(rest.replace("%%", "%")),
        None => place.replace("%%", "%").into(),
    })
}

/// The program that any service unit starts: the first word of `ExecStart=` without prefix characters, by systemd's
/// rules for quotes and `%%`.
pub fn program_of(unit: &str) -> Option<PathBuf> {
    let command = unit.lines().find_map(|line| line.trim().strip_prefix("ExecStart="))?;
    let command = command.trim_start_matches(['-', '@', ':', '+', '!']).trim_start();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.push(chars.next()?),
            _ if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() => quote = Some(c),
            _ if c.is_whitespace() && quote.is_none() => break,
            _ => word.push(c),
        }
    }
    (!word.is_empty()).then(|| word.replace("%%", "%").into())
}

fn change_of(unit: &str) -> String {
    format!("To change settings: systemctl --user edit {unit}")
}

/// Also used for packages, whose units differ only in the comment at the top and the path.
fn socket_unit(head: &str, socket: &str) -> String {
    format!(
        "\
# {head}

[Unit]
Description=beastd socket (local language model)

[Socket]
{LISTEN}{socket}
# Only the owner may connect.
SocketMode=0600
DirectoryMode=0700
# Without a socket, clients know that nothing listens; a leftover one looks like a crash.
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
"
    )
}

fn http_units(
    places: &HttpPlaces,
    head: &dyn Fn(&'static str) -> String,
) -> Result<Vec<(&'static str, String)>, UnitError> {
    let mut own: Vec<String> = places.listen.iter().map(ToString::to_string).collect();
    if let Some(socket) = &places.socket {
        check_socket_path(socket)?;
        own.push(path(socket)?.to_owned());
    }
    let ollama: Vec<String> = places.ollama.iter().map(ToString::to_string).collect();
    let all = [(HTTP_SOCKET_UNIT, HttpRole::Http, own), (OLLAMA_SOCKET_UNIT, HttpRole::Ollama, ollama)];
    let needed = all.into_iter().filter(|(.., places)| !places.is_empty());
    Ok(needed.map(|(unit, role, places)| (unit, http_unit(&head(unit), role.name(), &places))).collect())
}

/// See [`socket_unit`].
fn http_unit(head: &str, name: &str, places: &[String]) -> String {
    let listens: String = places.iter().map(|place| format!("{LISTEN}{}\n", place.replace('%', "%%"))).collect();
    format!(
        "\
# {head}
# Addresses are those of [http] in the configuration file when this unit was written.

[Unit]
Description=beastd HTTP endpoint (local language model)

[Socket]
{listens}# The name tells these sockets from beastctl's.
FileDescriptorName={name}
Service={SERVICE_UNIT}
BindIPv6Only=ipv6-only
Backlog=1024
NoDelay=yes
# For a Unix socket: only the owner may connect, and it is removed on stop.
SocketMode=0600
DirectoryMode=0700
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
"
    )
}

/// The address families that the daemon may use. Sockets that systemd passes need no permission; an address that was
/// configured since then does.
fn families(has_addresses: bool) -> &'static str {
    if has_addresses {
        "\
# Unix for clients, Internet for the HTTP endpoint. Neither the daemon nor the driver of a GPU needs others.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"
    } else {
        "\
# Unix for clients. An address in [http] of the configuration needs AF_INET AF_INET6 as well: beastctl service install
# writes them, or in place of a package's unit systemctl --user edit beastd.service.
RestrictAddressFamilies=AF_UNIX"
    }
}

/// See [`socket_unit`].
fn service_unit(head: &str, command: &str, stop_limit: Duration, families: &str) -> String {
    let stop_limit_s = whole_seconds(stop_limit);
    format!(
        "\
# {head}
# beastd's own settings are in its configuration file.

[Unit]
Description=beastd, a local language model daemon
# No [Install]: the first connection to the socket starts beastd, so that logging in loads no model.
Requires={SOCKET_UNIT}
After={SOCKET_UNIT}

[Service]
Type=notify
ExecStart={command}

# After a crash. Exit codes 1, 2 and 69 are none: the configuration, the model or the command line is wrong, or another
# beastd runs, and would be a second later. The next request tries again.
Restart=on-failure
RestartPreventExitStatus=1 2 69
RestartSec=1s
# On SIGTERM beastd finishes running requests, then exits. This is drain_timeout when this unit was written plus 30
# seconds; beastd asks for more when drain_timeout has been raised since.
TimeoutStopSec={stop_limit_s}s

# Conversations, cached prompt states and logs are private.
UMask=0077
# A core dump would contain users' prompts.
LimitCORE=0

# Sandbox options that need no privileges. In the user manager, options that hide parts of the file system need user
# namespaces, and the service would not start where those are disabled. No ProtectHome: models may be anywhere. No
# PrivateDevices: GPUs are /dev/nvidia* and /dev/dri. No MemoryDenyWriteExecute: GPU drivers compile code at run time.
NoNewPrivileges=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
{families}
SystemCallArchitectures=native
# What services usually call, and mincore, which tells how much of a model is in memory already. Anything else is
# refused with an error, not with the end of the process.
SystemCallFilter=@system-service mincore
SystemCallErrorNumber=EPERM
"
    )
}

/// Whole seconds, rounded up.
pub(crate) fn whole_seconds(limit: Duration) -> u64 {
    limit.as_secs() + u64::from(limit.subsec_nanos() > 0)
}

fn path(path: &Path) -> Result<&str, UnitError> {
    if path.is_relative() {
        return Err(UnitError::Relative { path: path.to_owned() });
    }
    match path.to_str() {
        Some(text) => plain(text),
        None => Err(UnitError::NotText { text: path.display().to_string() }),
    }
}

fn plain(text: &str) -> Result<&str, UnitError> {
    let is_lost = text.contains(char::is_control) || text.ends_with(|c: char| c == '\\' || c.is_whitespace());
    if is_lost { Err(UnitError::NotText { text: text.to_owned() }) } else { Ok(text) }
}

/// A word of a command line, quoted for systemd.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

#[cfg(test)]
#[path = "systemd_tests.rs"]
mod tests;
