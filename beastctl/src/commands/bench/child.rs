//! A program that must not outlive this one.

use std::{
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// Kills the program and removes the folder when its stdin ends without a word, which is what happens when we are gone.
const GUARD: &str = "trap '' HUP INT TERM; read -r _ || { kill -9 \"$1\"; /bin/rm -rf -- \"$2\"; }";

/// A program of ours. Dropped, it is killed; and should this process be ended in a way that drops nothing, a shell that waits
/// for just that does it, and removes the program's folder as well.
#[derive(Debug)]
pub(super) struct OwnChild {
    pub(super) child: Child,
    guard: Option<Child>,
}

impl OwnChild {
    /// Starts the program, which lives in `folder`. Ctrl-C is for us: it is ended in our own way.
    pub(super) fn spawn(command: &mut Command, folder: &Path) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        let guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "sh", &child.id().to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        // Without a shell there is one safety less, and still something to measure.
        Ok(Self { child, guard: guard.ok() })
    }

    /// How it ended, when it has.
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
            let _ = stdin.write_all(b"\n");
        }
        let _ = guard.wait();
    }
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
