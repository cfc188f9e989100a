//! A terminal without a person: what the client writes to it, as bytes.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::harness::{PATIENCE, feed};

type Written = Arc<(Mutex<Vec<u8>>, Condvar)>;

/// A terminal that somebody writes to, and what has been written.
pub(crate) struct Terminal {
    user: File,
    written: Written,
    reader: JoinHandle<()>,
}

impl Terminal {
    pub(crate) fn new(n_columns: u16) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
        let user = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let size = Winsize { ws_row: 24, ws_col: n_columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&user, size).unwrap();
        let written = Written::default();
        let shared = Arc::clone(&written);
        let reader = thread::spawn(move || read(File::from(controller), &shared));
        Self { user, written, reader }
    }

    /// The end that a program is given.
    pub(crate) fn stdio(&self) -> Stdio {
        self.user.try_clone().unwrap().into()
    }

    /// Waits until this has been written.
    pub(crate) fn wait_for(&self, text: &str) {
        let (bytes, more) = &*self.written;
        let is_missing = |bytes: &mut Vec<u8>| !bytes.windows(text.len()).any(|window| window == text.as_bytes());
        let (bytes, outcome) = more.wait_timeout_while(bytes.lock().unwrap(), PATIENCE, is_missing).unwrap();
        assert!(!outcome.timed_out(), "no {text:?} in {:?}", String::from_utf8_lossy(&bytes));
    }

    /// Everything, once all who write are gone.
    pub(crate) fn finish(self) -> String {
        drop(self.user);
        self.reader.join().unwrap();
        let bytes = self.written.0.lock().unwrap().clone();
        // Terminals begin lines of their own accord.
        String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
    }
}

/// Linux says EIO at the end.
fn read(mut controller: File, written: &Written) {
    let mut bytes = [0; 4096];
    while let Ok(n) = controller.read(&mut bytes) {
        if n == 0 {
            return;
        }
        written.0.lock().unwrap().extend(&bytes[..n]);
        written.1.notify_all();
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
        // The command goes with this call, and its copies of both ends with it.
        let child = feed(command, input);
        Self { child, out, err }
    }

    /// Exit code, stdout and stderr.
    pub(crate) fn finish(mut self) -> (Option<i32>, String, String) {
        let status = self.child.wait().unwrap();
        (status.code(), self.out.finish(), self.err.finish())
    }
}
