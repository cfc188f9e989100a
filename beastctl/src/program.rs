//! Other programs, asked for a few lines: how beastd is set up, whether the system holds its socket.
//!
//! It knows processes and pipes, nothing of what they say. A program that does not end is ended.

use std::{
    ffi::OsStr,
    io::Read,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use crate::wait::{Wait, WaitError};

/// Whoever says a few lines has said them by then.
const LIMIT: Duration = Duration::from_secs(5);
const PACE: Duration = Duration::from_millis(2);
/// For what has been said, once the program has ended: what it has left behind may hold the pipes for ever.
const GRACE: Duration = Duration::from_millis(500);
/// Nobody who is asked here has more to say, in bytes.
const MAX_WORDS: u64 = 256 * 1024;

/// What a program has said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Its answer.
    pub stdout: String,
    /// Its complaints.
    pub stderr: String,
}

impl Said {
    /// The answer, or in the program's own words why there is none.
    ///
    /// # Errors
    /// Its complaints, else how it ended.
    pub fn answer(self) -> Result<String, String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        match self.stderr.trim() {
            "" => Err(format!("it ended with {}", self.status)),
            words => Err(words.to_owned()),
        }
    }
}

/// Runs a program until it ends; the inner error says in words why it could not be heard.
///
/// # Errors
/// See [`WaitError`].
pub fn ask<S: AsRef<OsStr>>(program: &Path, arguments: &[S], wait: &Wait) -> Result<Result<Said, String>, WaitError> {
    hear_out(Command::new(program).args(arguments), wait)
}

/// The same for a program that is not run as everything else here.
///
/// # Errors
/// See [`WaitError`].
pub fn hear_out(command: &mut Command, wait: &Wait) -> Result<Result<Said, String>, WaitError> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut running = match child {
        Ok(child) => Running(child),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let (stdout, stderr) = (hear(running.0.stdout.take()), hear(running.0.stderr.take()));
    let until = Instant::now() + LIMIT;
    let status = loop {
        match running.0.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => wait.pause(PACE)?,
            Ok(None) => return Ok(Err(format!("it has not ended within {}", humantime::format_duration(LIMIT)))),
            Err(error) => return Ok(Err(error.to_string())),
        }
    };
    Ok(Ok(Said { status, stdout: words(&stdout), stderr: words(&stderr) }))
}

/// Beside the waiting, so that a program with more to say than a pipe holds is not kept from ending.
fn hear(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (heard, words) = mpsc::channel();
    if let Some(pipe) = pipe {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // Half of what it said is better than nothing; whoever waits no more needs none of it.
            let _ = pipe.take(MAX_WORDS).read_to_end(&mut bytes);
            let _ = heard.send(bytes);
        });
    }
    words
}

fn words(heard: &Receiver<Vec<u8>>) -> String {
    String::from_utf8_lossy(&heard.recv_timeout(GRACE).unwrap_or_default()).into_owned()
}

/// A program that is ended when nobody waits for it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // After its end neither does anything.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
