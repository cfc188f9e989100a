//! Notifies systemd: ready, stopping, status.
//!
//! May know: datagrams and the variable with their address. Never knows: what the messages mean. The crate `sd-notify`
//! does not fit because its release 0.5 cannot send to abstract addresses, which some managers (containers) use.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketType, sendto, socket};

/// Sends `state` to the manager: lines like `READY=1`, `STOPPING=1`, `STATUS=loading the model` or
/// `EXTEND_TIMEOUT_USEC=30000000`. Returns whether there is a manager; there is none when started by hand or by
/// launchd.
///
/// The variable stays in the environment, since removing it is unsound once there is a second thread. Messages from
/// our child processes are ignored, because `NotifyAccess` is `main` in our unit.
///
/// # Errors
/// System errors. The daemon can continue without systemd receiving the message, but systemd ends a `Type=notify`
/// service that does not report ready in time.
pub fn notify(state: &str) -> io::Result<bool> {
    match std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) {
        Some(address) => send(&address, state).map(|()| true),
        None => Ok(false),
    }
}

fn send(address: &OsStr, state: &str) -> io::Result<()> {
    let fd = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    // A datagram arrives completely or not at all.
    sendto(&fd, state.as_bytes(), SendFlags::empty(), &resolve(address.as_bytes())?)?;
    Ok(())
}

fn resolve(address: &[u8]) -> rustix::io::Result<SocketAddrUnix> {
    match address {
        // Abstract addresses exist only on Linux, and so does systemd.
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name),
        [b'/', ..] => SocketAddrUnix::new(address),
        _ => Err(rustix::io::Errno::AFNOSUPPORT),
    }
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
