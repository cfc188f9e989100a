//! Child processes that must not outlive this process, however it ends. `program` cannot promise that, because it has
//! no guard process.

use std::{
    ffi::OsStr,
    io::{self, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// The guard. It reads the child's process id from stdin, and finally `well` if all went well. If stdin ends without
/// that, because this process has died, it kills the child and removes the folder.
const GUARD: &str = "trap '' HUP INT TERM; child=; \
    while read -r line; do case $line in well) exit 0;; *) child=$line;; esac; done; \
    [ -z \"$child\" ] || kill -9 \"$child\"; /bin/rm -rf -- \"$1\"";

/// Sends the child's own process id to the guard before anything else, then becomes the program. So the program never
/// runs unguarded.
const START: &str = "echo $$ >&0; exec \"$@\" </dev/null";

/// A guarded child process, killed on drop. If this process dies without dropping it, the guard kills the child and
/// removes its folder.
#[derive(Debug)]
pub(super) struct OwnChild {
    pub(super) child: Child,
    guard: Option<Child>,
}

impl OwnChild {
    /// A command for [`OwnChild::spawn`]; its stdin will be empty.
    pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", START, "sh"]).arg(program);
        command
    }

    /// Starts a program whose files are in `folder`. It gets a process group of its own, so that Ctrl-C reaches only
    /// this process, which then ends it in order.
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
                // There is no child to guard.
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
        // Has no effect on a child that has been waited for, whose process id may have been reused.
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
