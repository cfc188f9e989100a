//! Child processes: started, read, waited for, and killed when no longer needed.
//!
//! Knows processes and pipes, nothing of their output. Output is kept up to a limit and read on threads, so that a
//! child with more output than a pipe holds does not block.

use std::{
    env,
    ffi::OsStr,
    io::{self, ErrorKind, Read, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use rustix::event::PollFlags;

use crate::wait::{Wait, WaitError};

/// Time limit for a program that prints a few lines.
const LIMIT: Duration = Duration::from_secs(5);
/// Polling intervals for the end. They grow: most programs end at once, and a pager lasts for minutes.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(20)];
/// Time to drain the output after the end: an orphan may hold the pipes open forever.
const GRACE: Duration = Duration::from_millis(500);
/// Per stream, in bytes.
const MAX_WORDS: usize = 256 * 1024;
const CHUNK_LEN: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error(transparent)]
    Start(io::Error),
    #[error(transparent)]
    Read(io::Error),
    #[error("it did not exit within {}", humantime::format_duration(*.0))]
    Slow(Duration),
}

#[derive(Debug)]
pub struct Said {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// Its output, or its own explanation if it failed.
    ///
    /// # Errors
    /// Its stderr, else its exit status.
    pub fn answer(self) -> Result<String, String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        match self.stderr.trim() {
            "" => Err(format!("it exited with {}", self.status)),
            words => Err(words.to_owned()),
        }
    }
}

/// Runs a program for a few lines of output; the inner error explains why there are none.
pub fn ask<S: AsRef<OsStr>>(program: &Path, arguments: &[S], wait: &Wait) -> Result<Result<Said, String>, WaitError> {
    hear_out(Command::new(program).args(arguments), wait)
}

/// Like [`ask`], for a command with special settings.
pub fn hear_out(command: &mut Command, wait: &Wait) -> Result<Result<Said, String>, WaitError> {
    match run(command, LIMIT, wait) {
        Ok(said) => Ok(Ok(said)),
        Err(RunError::Wait(error)) => Err(error),
        Err(error) => Ok(Err(error.to_string())),
    }
}

pub fn run(command: &mut Command, limit: Duration, wait: &Wait) -> Result<Said, RunError> {
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()), Vec::new())?;
    let stdout = running.child.stdout.take().map(hear);
    let status = running.status(Some(limit), wait, || {})?;
    Ok(Said { status, stdout: heard(stdout.as_ref()), stderr: running.stderr() })
}

/// The path of a program in `PATH`, if that is the same program: it outlives the real path, which Homebrew changes with
/// each version.
pub fn lasting(program: PathBuf) -> PathBuf {
    let (Ok(real), Some(name)) = (program.canonicalize(), program.file_name().map(OsStr::to_owned)) else {
        return program;
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let named = env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(&name));
    named.into_iter().find(|named| named.canonicalize().is_ok_and(|named| named == real)).unwrap_or(program)
}

/// A child process that is killed on drop.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stderr: Option<Receiver<Vec<u8>>>,
    is_left_alone: bool,
}

impl Running {
    /// Starts it with `input` on stdin. Keeps its stderr if that is a pipe.
    pub fn start(command: &mut Command, input: Vec<u8>) -> Result<Self, RunError> {
        let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
        let mut child = command.stdin(stdin).spawn().map_err(RunError::Start)?;
        if let Some(mut stdin) = child.stdin.take() {
            // On a thread, because the program may write before it has read everything. A failed write means it has
            // stopped reading.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let stderr = child.stderr.take().map(hear);
        Ok(Self { child, stderr, is_left_alone: false })
    }

    #[must_use]
    pub fn left_alone(mut self) -> Self {
        self.is_left_alone = true;
        self
    }

    /// Passes each piece of its stdout to `take`, until the end or until that returns `false`.
    pub fn stream(&mut self, wait: &Wait, take: impl FnMut(&[u8]) -> bool) -> Result<bool, RunError> {
        stream(self.child.stdout.take().expect("broken invariant: what is streamed is a pipe"), wait, take)
    }

    /// Waits for its end, calling `tick` repeatedly.
    pub fn status(
        &mut self,
        limit: Option<Duration>,
        wait: &Wait,
        mut tick: impl FnMut(),
    ) -> Result<ExitStatus, RunError> {
        let until = limit.map(|limit| (Instant::now() + limit, limit));
        let [mut pause, longest] = PAUSES;
        loop {
            tick();
            if let Some(status) = self.child.try_wait().map_err(RunError::Start)? {
                return Ok(status);
            }
            if let Some((_, limit)) = until.filter(|(until, _)| Instant::now() >= *until) {
                return Err(RunError::Slow(limit));
            }
            wait.pause(pause)?;
            pause = (pause * 2).min(longest);
        }
    }

    pub fn stderr(&self) -> String {
        heard(self.stderr.as_ref())
    }
}

/// Passes each piece to `take`, until the end or until that returns `false`.
pub fn stream(mut stdout: ChildStdout, wait: &Wait, mut take: impl FnMut(&[u8]) -> bool) -> Result<bool, RunError> {
    let mut bytes = vec![0; CHUNK_LEN];
    loop {
        wait.ready(stdout.as_fd(), PollFlags::IN, None)?;
        match stdout.read(&mut bytes) {
            Ok(0) => return Ok(true),
            Ok(n) if !take(&bytes[..n]) => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(RunError::Read(error)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_left_alone {
            // Neither blocks after it has exited.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn hear(pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, words) = mpsc::channel();
    thread::spawn(move || pass_on(pipe, &sender));
    words
}

/// Reads everything, so that the program never blocks; keeps only the beginning.
fn pass_on(mut pipe: impl Read, words: &Sender<Vec<u8>>) {
    let mut bytes = [0; 4096];
    let mut n_left = MAX_WORDS;
    loop {
        match pipe.read(&mut bytes) {
            Ok(0) => return,
            Ok(n) => {
                let n_kept = n.min(n_left);
                n_left -= n_kept;
                if n_kept > 0 && words.send(bytes[..n_kept].to_vec()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn heard(words: Option<&Receiver<Vec<u8>>>) -> String {
    let until = Instant::now() + GRACE;
    let next = |words: &Receiver<Vec<u8>>| words.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
    let bytes: Vec<u8> = words.iter().flat_map(|words| std::iter::from_fn(|| next(words))).flatten().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
