//! A program that must not outlive this one, however this one ends: more than `program` can promise, which has no
//! guard.

use std::{
    ffi::OsStr,
    io::{self, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// Hears whom it watches, and at the end that all is well. When its stdin ends without that, which is what happens when
/// we are gone, it kills the program and removes the folder.
const GUARD: &str = "trap '' HUP INT TERM; child=; \
    while read -r line; do case $line in well) exit 0;; *) child=$line;; esac; done; \
    [ -z \"$child\" ] || kill -9 \"$child\"; /bin/rm -rf -- \"$1\"";

/// Tells the guard who it is, as its first deed, and becomes the program. So there is no moment in which the program
/// runs and nobody watches.
const START: &str = "echo $$ >&0; exec \"$@\" </dev/null";

/// A program of ours. Dropped, it is killed; and should this process be ended in a way that drops nothing, a shell that
/// waits for just that does it, and removes the program's folder as well.
#[derive(Debug)]
pub(super) struct OwnChild {
    pub(super) child: Child,
    guard: Option<Child>,
}

impl OwnChild {
    /// What is to be started by [`OwnChild::spawn`]; nothing will be on its stdin.
    pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", START, "sh"]).arg(program);
        command
    }

    /// Starts the program, which lives in `folder`. Ctrl-C is for us: it is ended in our own way.
    pub(super) fn spawn(command: &mut Command, folder: &Path) -> io::Result<Self> {
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "sh"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let line = guard.stdin.as_ref().expect("it is piped").as_fd().try_clone_to_owned()?;
        match command.process_group(0).stdin(line).spawn() {
            Ok(child) => Ok(Self { child, guard: Some(guard) }),
            Err(error) => {
                // Nobody is there to be watched.
                let _ = guard.stdin.take().map(|mut stdin| stdin.write_all(b"well\n"));
                let _ = guard.wait();
                Err(error)
            }
        }
    }

    pub(super) fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

impl Drop for OwnChild {
    fn drop(&mut self) {
        // Has no effect on one that has ended and was waited for: its id may be another's by now.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let Some(mut guard) = self.guard.take() else { return };
        if let Some(mut stdin) = guard.stdin.take() {
            let _ = stdin.write_all(b"well\n");
        }
        let _ = guard.wait();
    }
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
