//! A terminal: the input typed into it, and the client's output, as bytes.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use rustix::{
    fs::{Mode, OFlags},
    io::{FdFlags, fcntl_setfd},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::harness::{PATIENCE, feed};

/// Output written to a terminal.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    /// How much of it tests have looked at.
    n_seen: usize,
    /// The other end is closed.
    is_over: bool,
}

impl Written {
    /// Where this text ends, if it occurs after the part already looked at.
    fn end_of(&self, text: &str) -> Option<usize> {
        let mut windows = self.bytes[self.n_seen..].windows(text.len());
        windows.position(|window| window == text.as_bytes()).map(|start| self.n_seen + start + text.len())
    }

    fn unseen(&self) -> String {
        String::from_utf8_lossy(&self.bytes[self.n_seen..]).into_owned()
    }
}

type Shared = Arc<(Mutex<Written>, Condvar)>;

/// A pseudo-terminal, and the output written to it.
pub(crate) struct Terminal {
    controller: File,
    user: File,
    written: Shared,
}

impl Terminal {
    pub(crate) fn new(n_columns: u16) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        // Other tests' children must not inherit it.
        fcntl_setfd(&controller, FdFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let user = File::from(rustix::fs::open(&*name, flags, Mode::empty()).unwrap());
        let size = Winsize { ws_row: 24, ws_col: n_columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&user, size).unwrap();
        let controller = File::from(controller);
        let written = Shared::default();
        let (reader, shared) = (controller.try_clone().unwrap(), Arc::clone(&written));
        thread::spawn(move || read(reader, &shared));
        Self { controller, user, written }
    }

    /// The end for a program.
    pub(crate) fn stdio(&self) -> Stdio {
        self.user.try_clone().unwrap().into()
    }

    pub(crate) fn type_in(&self, bytes: impl AsRef<[u8]>) {
        (&self.controller).write_all(bytes.as_ref()).unwrap();
    }

    /// Whether it echoes input.
    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.user).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits for this output, after the output waited for before.
    pub(crate) fn wait_for(&self, text: &str) {
        let (written, more) = &*self.written;
        let is_missing = |written: &mut Written| !written.is_over && written.end_of(text).is_none();
        let (mut written, _) = more.wait_timeout_while(written.lock().unwrap(), PATIENCE, is_missing).unwrap();
        let end = written.end_of(text);
        written.n_seen = end.unwrap_or_else(|| panic!("no {text:?} in {:?}", written.unseen()));
    }

    /// All output, once every writer has closed its end.
    pub(crate) fn finish(self) -> String {
        drop(self.user);
        let (written, more) = &*self.written;
        let (written, _) =
            more.wait_timeout_while(written.lock().unwrap(), PATIENCE, |written| !written.is_over).unwrap();
        assert!(written.is_over, "somebody still writes, after {:?}", written.unseen());
        // Terminals translate line feeds.
        String::from_utf8_lossy(&written.bytes.clone()).into_owned().replace("\r\n", "\n")
    }
}

fn read(mut controller: File, shared: &Shared) {
    let (written, more) = &**shared;
    let mut bytes = [0; 4096];
    loop {
        // Linux returns EIO at the end.
        let n = controller.read(&mut bytes).unwrap_or(0);
        let mut written = written.lock().unwrap();
        written.bytes.extend(&bytes[..n]);
        written.is_over = n == 0;
        more.notify_all();
        if n == 0 {
            return;
        }
    }
}

/// A command whose stdout and stderr are terminals of their own.
pub(crate) struct Seen {
    pub(crate) child: Child,
    pub(crate) out: Terminal,
    pub(crate) err: Terminal,
}

impl Seen {
    pub(crate) fn start(mut command: Command, n_columns: u16, input: &[u8]) -> Self {
        let (out, err) = (Terminal::new(n_columns), Terminal::new(n_columns));
        command.stdout(out.stdio()).stderr(err.stdio());
        // The command is dropped here, with its copies of both ends.
        let child = feed(command, input);
        Self { child, out, err }
    }

    /// Exit code, stdout and stderr.
    pub(crate) fn finish(mut self) -> (Option<i32>, String, String) {
        // The terminals first: only waiting for them has a time limit, for a client that does not exit.
        let (out, err) = (self.out.finish(), self.err.finish());
        (self.child.wait().unwrap().code(), out, err)
    }
}
