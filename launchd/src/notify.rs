//! What the daemon tells systemd about itself: that it is ready, that it ends, what it is doing.
//!
//! May know: datagrams and the variable that names their address. Never knows: what the words mean. The crate
//! `sd-notify` is not used because its release 0.5 cannot call abstract addresses, which some managers (containers)
//! use.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketType, sendto, socket};

/// Tells the manager `state`: lines like `READY=1`, `STOPPING=1`, `STATUS=loading the model` or
/// `EXTEND_TIMEOUT_USEC=30000000`. Returns whether there was anybody to tell: started by hand or by launchd there is
/// not.
///
/// The variable stays in the environment, since removing it is unsound as soon as there is a second thread. A program
/// that we start and that speaks to systemd is ignored there: `NotifyAccess` is `main` in our unit.
///
/// # Errors
/// Those of the system. A daemon can go on without having been heard; one of `Type=notify` is then ended as too slow.
pub fn notify(state: &str) -> io::Result<bool> {
    match std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) {
        Some(address) => send(&address, state).map(|()| true),
        None => Ok(false),
    }
}

fn send(address: &OsStr, state: &str) -> io::Result<()> {
    let fd = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    // One datagram: it arrives whole or not at all.
    sendto(&fd, state.as_bytes(), SendFlags::empty(), &resolve(address.as_bytes())?)?;
    Ok(())
}

fn resolve(address: &[u8]) -> rustix::io::Result<SocketAddrUnix> {
    match address {
        // Abstract addresses exist on Linux alone, and so does systemd.
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name),
        [b'/', ..] => SocketAddrUnix::new(address),
        _ => Err(rustix::io::Errno::AFNOSUPPORT),
    }
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
