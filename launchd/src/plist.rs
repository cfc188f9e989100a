//! Service → property list text; a pure function.
//!
//! May know: what launchd reads. Never knows: where the text goes, or whether launchd exists.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use launchd::sockets::{SocketFamily, SocketType};
use launchd::{Launchd, ProcessType, Socket, SocketOptions};

use crate::{HttpRole, LABEL, MARK, SOCKET_NAME, Service, SocketError, check_socket_path, systemd::whole_seconds};

/// Why a service cannot be written as a property list.
#[derive(Debug, thiserror::Error)]
pub enum PlistError {
    /// launchd starts programs in `/` and does not search PATH.
    #[error("launchd needs an absolute path, not {}; try: give the full path", path.display())]
    Relative { path: PathBuf },
    /// XML holds text, but a path may be arbitrary bytes.
    #[error("a property list cannot contain this path, which is not plain text: {path:?}; try: use another path")]
    NotText { path: PathBuf },
    /// XML cannot represent most control characters.
    #[error(
        "a property list cannot contain this argument, which has control characters: {argument:?}; try: leave it out"
    )]
    Argument { argument: String },
    /// The socket path cannot be used.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The crate that writes the text has changed its output.
    #[error("cannot write the property list ({0}); try: report it, this is a bug in beast")]
    Write(String),
}

/// The property list of a service.
///
/// launchd holds the socket and starts the program on the first connection; `RunAtLoad` is false, so that logging in
/// loads no model.
///
/// # Errors
/// [`PlistError`] when a path is relative, too long for a socket, or not text.
pub fn plist(service: &Service) -> Result<String, PlistError> {
    let program = text(&service.program)?;
    let socket = text(&service.socket)?;
    let log = text(&service.log)?;
    check_socket_path(&service.socket)?;
    if let Some(argument) = service.arguments.iter().find(|argument| argument.contains(char::is_control)) {
        return Err(PlistError::Argument { argument: argument.clone() });
    }

    // As in execv, the first argument is the program's own name.
    let mut command = vec![program.to_owned()];
    command.extend(service.arguments.iter().cloned());

    let options = SocketOptions::new()
        .with_family(SocketFamily::Unix)
        .with_type(SocketType::Stream)
        .with_path_name(socket)
        .map_err(bug)?;
    let list = Launchd::new(LABEL, program)
        .map_err(bug)?
        .with_program_arguments(command)
        .with_run_at_load(false)
        .with_socket(Socket::new(SOCKET_NAME, options).into())
        // A user waits for each answer. Under Standard, the default, and even more under Background, macOS limits the
        // CPU and IO of processes without a window.
        .with_process_type(ProcessType::Interactive)
        // By default launchd kills after 20 s, but the daemon gives running requests more time. Zero would mean no
        // limit.
        .with_exit_timeout(u32::try_from(whole_seconds(service.stop_limit)).unwrap_or(u32::MAX).max(1))
        .with_standard_out_path(log)
        .map_err(bug)?
        .with_standard_error_path(log)
        .map_err(bug)?;

    let mut xml = Vec::new();
    list.to_writer_xml(&mut xml).map_err(bug)?;
    complete(String::from_utf8(xml).map_err(bug)?, &http_sockets(service)?)
}

/// The path where one of our property lists makes launchd listen; `None` if the list is not ours.
pub fn socket_of(list: &str) -> Option<PathBuf> {
    let (_, rest) = list.split_once("<key>SockPathName</key>").filter(|_| crate::is_ours(list))?;
    first_string(rest)
}

/// The program that a property list starts: the first element of `ProgramArguments`.
pub fn program_of(list: &str) -> Option<PathBuf> {
    let (_, arguments) = list.split_once("<key>ProgramArguments</key>")?;
    first_string(arguments)
}

/// The first string, unescaped.
fn first_string(xml: &str) -> Option<PathBuf> {
    let (_, rest) = xml.split_once("<string>")?;
    let (text, _) = rest.split_once("</string>")?;
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(entities.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain)).into())
}

/// Adds two keys that the crate `launchd` 0.3 cannot write, and the mark that identifies our files, each before a
/// text that the crate wrote.
///
/// `SockPathMode` has a setter, but its number is an `i128`, which the crate's own serializer rejects. For
/// `KeepAlive` it has `SuccessfulExit` but not `Crashed`: the former also restarts a daemon with an invalid
/// configuration, every ten seconds forever, and implies `RunAtLoad`. A daemon that ended without a crash is started
/// by the next connection, since launchd keeps the socket. Remove this once the crate can write both.
///
/// `http` holds the endpoint's sockets. The crate keeps several in an unordered map, which would write a different
/// text each time.
fn complete(mut xml: String, http: &str) -> Result<String, PlistError> {
    let mark = format!("<!-- {MARK} -->\n");
    let missing = [
        ("<plist version=", mark.as_str()),
        (
            "\t<key>RunAtLoad</key>\n",
            "\t<key>KeepAlive</key>\n\t<dict>\n\t\t<key>Crashed</key>\n\t\t<true/>\n\t</dict>\n",
        ),
        // Property lists have no octal numbers: 384 is 0600.
        ("\t\t\t<key>SockPathName</key>\n", "\t\t\t<key>SockPathMode</key>\n\t\t\t<integer>384</integer>\n"),
        // Inserted last: the text may contain the anchor key itself, after the first socket.
        ("\t</dict>\n</dict>\n</plist>", http),
    ];
    for (anchor, addition) in missing {
        // No path can forge an anchor: its angle brackets are escaped.
        let at = match xml.match_indices(anchor).map(|(at, _)| at).collect::<Vec<_>>()[..] {
            [at] => at,
            _ => return Err(PlistError::Write(format!("not one line {:?}", anchor.trim()))),
        };
        xml.insert_str(at, addition);
    }
    Ok(xml)
}

/// The endpoint's sockets as entries of `Sockets`; empty if there are none.
fn http_sockets(service: &Service) -> Result<String, PlistError> {
    let places = &service.http;
    let mut own: Vec<_> = places.listen.iter().map(|address| of_address(*address)).collect();
    if let Some(path) = &places.socket {
        check_socket_path(path)?;
        let name = text(path)?.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        own.push(vec![
            ("SockFamily", "<string>Unix</string>".into()),
            ("SockPathMode", "<integer>384</integer>".into()),
            ("SockPathName", format!("<string>{name}</string>")),
        ]);
    }
    let ollama: Vec<_> = places.ollama.iter().map(|address| of_address(*address)).collect();
    let mut xml = String::new();
    for (role, sockets) in [(HttpRole::Http, own), (HttpRole::Ollama, ollama)] {
        if !sockets.is_empty() {
            entry(&mut xml, role.name(), &sockets);
        }
    }
    Ok(xml)
}

type Keys = Vec<(&'static str, String)>;

fn of_address(address: SocketAddr) -> Keys {
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    vec![
        ("SockFamily", format!("<string>{family}</string>")),
        ("SockNodeName", format!("<string>{}</string>", address.ip())),
        ("SockServiceName", format!("<string>{}</string>", address.port())),
    ]
}

fn entry(xml: &mut String, name: &str, sockets: &[Keys]) {
    const INTACT: &str = "a string takes everything";
    write!(xml, "\t\t<key>{name}</key>\n\t\t<array>\n").expect(INTACT);
    for keys in sockets {
        write!(xml, "\t\t\t<dict>\n\t\t\t\t<key>SockType</key>\n\t\t\t\t<string>stream</string>\n").expect(INTACT);
        for (key, value) in keys {
            write!(xml, "\t\t\t\t<key>{key}</key>\n\t\t\t\t{value}\n").expect(INTACT);
        }
        xml.push_str("\t\t\t</dict>\n");
    }
    xml.push_str("\t\t</array>\n");
}

fn text(path: &Path) -> Result<&str, PlistError> {
    if path.is_relative() {
        return Err(PlistError::Relative { path: path.to_owned() });
    }
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    text.ok_or_else(|| PlistError::NotText { path: path.to_owned() })
}

fn bug(error: impl std::fmt::Display) -> PlistError {
    PlistError::Write(error.to_string())
}

#[cfg(test)]
#[path = "plist_tests.rs"]
mod tests;
