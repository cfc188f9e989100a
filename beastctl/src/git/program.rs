//! The program git: asked for a few lines or for a stream, and ended when nobody waits for it.

use std::{
    ffi::{OsStr, OsString},
    io::{ErrorKind, Read, Write},
    os::{fd::AsFd, unix::ffi::OsStringExt},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use rustix::event::PollFlags;

use super::error::GitError;
use crate::wait::Wait;

/// More than any list of changed files; what is longer is no work of a person.
const MAX_LIST: usize = 64 * 1024 * 1024;
/// What is kept of git's complaints.
const MAX_WORDS: usize = 16 * 1024;
/// The subcommand that says where things are.
const REV_PARSE: &str = "rev-parse";
const CHUNK_LEN: usize = 64 * 1024;
/// Nothing is left to do when git closes its output, so its end is near.
const PACE: Duration = Duration::from_millis(1);
/// What git has said lies in the pipe when it ends, and only has to be read.
const GRACE: Duration = Duration::from_millis(100);
/// Git's words for a folder that is none of its own; in another language the advice is a wider one.
pub(super) const NO_REPOSITORY: &str = "not a git repository";

/// What may be done with more output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It is wanted.
    More,
    /// It is not: git is ended.
    Enough,
}

/// The program git, in the current folder, and with what it has told its hooks in the environment.
#[derive(Debug, Clone, Copy)]
pub struct Git<'a> {
    wait: &'a Wait,
    folder: Option<&'a Path>,
}

impl<'a> Git<'a> {
    /// `wait` limits every call.
    pub fn new(wait: &'a Wait) -> Self {
        Self { wait, folder: None }
    }

    /// The same in another folder.
    #[must_use]
    pub fn at(self, folder: &'a Path) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// The whole output.
    pub(crate) fn output<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Vec<u8>, GitError> {
        self.answer(arguments, Vec::new())
    }

    /// The same for a command that reads `input`.
    pub(crate) fn answer<S: AsRef<OsStr>>(&self, arguments: &[S], input: Vec<u8>) -> Result<Vec<u8>, GitError> {
        let mut output = Vec::new();
        self.stream(arguments, input, |bytes| {
            output.extend_from_slice(bytes);
            if output.len() > MAX_LIST { Flow::Enough } else { Flow::More }
        })?;
        if output.len() > MAX_LIST {
            let problem = format!("its answer has more than {} MiB", MAX_LIST / 1024 / 1024);
            return Err(GitError::Garbled { command: name(arguments), problem });
        }
        Ok(output)
    }

    /// One path, which may contain anything but a NUL.
    pub(crate) fn path<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<PathBuf, GitError> {
        let mut bytes = self.output(arguments)?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Ok(OsString::from_vec(bytes).into())
    }

    /// Gives each piece of the output to `take`, until that has enough.
    pub(crate) fn stream<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        input: Vec<u8>,
        mut take: impl FnMut(&[u8]) -> Flow,
    ) -> Result<(), GitError> {
        let mut running = Running::start(self.folder, arguments, input)?;
        let mut bytes = vec![0; CHUNK_LEN];
        let mut stdout = running.child.stdout.take().expect("stdout was just asked to be a pipe");
        loop {
            self.wait.ready(stdout.as_fd(), PollFlags::IN, None)?;
            match stdout.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) if take(&bytes[..n]) == Flow::Enough => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(GitError::Garbled { command: name(arguments), problem: error.to_string() });
                }
            }
        }
        drop(stdout);
        running.finish(self.wait, arguments).map_err(|error| self.explained(error, arguments))
    }

    /// Outside of a repository `git diff` takes itself for another command and complains about the options of that one;
    /// this says what is really wrong.
    fn explained<S: AsRef<OsStr>>(&self, error: GitError, arguments: &[S]) -> GitError {
        let command = name(arguments);
        if command == REV_PARSE || !matches!(error, GitError::Failed { .. }) {
            return error;
        }
        match self.output(&[REV_PARSE, "--git-dir"]) {
            Err(GitError::Failed { reason, .. }) => GitError::Failed { command, reason },
            _ => error,
        }
    }
}

/// A git that is ended when nobody waits for it any more.
struct Running {
    child: Child,
    /// Its complaints, a piece each.
    words: Option<Receiver<Vec<u8>>>,
}

impl Running {
    fn start<S: AsRef<OsStr>>(folder: Option<&Path>, arguments: &[S], input: Vec<u8>) -> Result<Self, GitError> {
        let mut command = Command::new("git");
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        let mut child = command
            .args(["--no-pager", "--no-optional-locks"])
            .args(arguments)
            .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(GitError::Missing)?;
        if let Some(mut stdin) = child.stdin.take() {
            // Beside the reading: git answers while it still reads. Without a reader there is nothing left to do.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let words = child.stderr.take().map(|stderr| {
            let (heard, words) = mpsc::channel();
            thread::spawn(move || hear(stderr, &heard));
            words
        });
        Ok(Self { child, words })
    }

    fn finish<S: AsRef<OsStr>>(mut self, wait: &Wait, arguments: &[S]) -> Result<(), GitError> {
        let status = self.status(wait)?;
        if status.success() {
            return Ok(());
        }
        let reason = match first_line(&self.words()) {
            Some(line) => line,
            None => format!("it ended with {status}"),
        };
        Err(GitError::Failed { command: name(arguments), reason })
    }

    fn status(&mut self, wait: &Wait) -> Result<ExitStatus, GitError> {
        loop {
            if let Some(status) = self.child.try_wait().map_err(GitError::Missing)? {
                return Ok(status);
            }
            wait.pause(PACE)?;
        }
    }

    /// What has been said, once git has ended. A program that git has left behind may hold stderr for ever.
    fn words(&self) -> Vec<u8> {
        let until = Instant::now() + GRACE;
        let next = |words: &Receiver<Vec<u8>>| words.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
        self.words.iter().flat_map(|words| std::iter::from_fn(move || next(words))).flatten().collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After its end neither does anything.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All of it is read, so that git is never kept waiting; only the beginning is told.
fn hear(mut stderr: ChildStderr, heard: &Sender<Vec<u8>>) {
    let mut bytes = [0; 4096];
    let mut n_left = MAX_WORDS;
    loop {
        match stderr.read(&mut bytes) {
            Ok(0) => return,
            Ok(n) => {
                let n = n.min(n_left);
                n_left -= n;
                if n > 0 {
                    // Whoever has not waited for the end of git needs no words.
                    let _ = heard.send(bytes[..n].to_vec());
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// After the first line comes git's manual, or the same in more words.
fn first_line(words: &[u8]) -> Option<String> {
    let words = String::from_utf8_lossy(words);
    words.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("warning:")).map(str::to_owned)
}

/// The subcommand, for messages.
fn name<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let is_option = |word: &str| word.starts_with('-') || word.contains('=');
    let words = arguments.iter().map(|word| word.as_ref().to_string_lossy());
    words.into_iter().find(|word| !is_option(word)).unwrap_or_default().into_owned()
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
