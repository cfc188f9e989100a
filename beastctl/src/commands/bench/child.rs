//! A program that must not outlive this one.

use std::{
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// Hears first whom it watches, then that all is well. When its stdin ends without that, which is what happens when we are gone, it kills the
/// program and removes the folder.
const GUARD: &str = "trap '' HUP INT TERM; read -r child; read -r _ || { kill -9 \"$child\"; /bin/rm -rf -- \"$1\"; }";

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
        // Before the program, so that nothing but a line has to be written between the program's first moment and its safety.
        let guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "sh"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        // Without a shell there is one safety less, and still something to measure.
        let mut guard = guard.ok();
        let child = command.process_group(0).spawn();
        if let Some(stdin) = guard.as_mut().and_then(|guard| guard.stdin.as_mut()) {
            // Where there is no program there is nobody to be watched, and the guard is told that all is well.
            let line = child.as_ref().map_or("0\n\n".into(), |child| format!("{}\n", child.id()));
            let _ = stdin.write_all(line.as_bytes());
        }
        match child {
            Ok(child) => Ok(Self { child, guard }),
            Err(error) => {
                let _ = guard.map(|mut guard| guard.wait());
                Err(error)
            }
        }
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
