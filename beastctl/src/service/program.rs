//! The program that talks to the system's manager of services: run with a time limit, its words kept.

use std::{
    ffi::OsStr,
    io::{ErrorKind, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use super::error::ServiceError;
use crate::{output::one_line, text::quoted, wait::Wait};

/// For questions and small changes.
pub(super) const QUICK: Duration = Duration::from_secs(20);
/// For what waits until beastd has ended: its units give it 60 s, and another start may follow.
pub(super) const LONG: Duration = Duration::from_secs(150);
const PACE: Duration = Duration::from_millis(5);
/// What was said lies in the pipe when the program ends, and only has to be read.
const GRACE: Duration = Duration::from_millis(200);
/// Of each stream; a description of a service has a few KiB.
const MAX_WORDS: usize = 256 * 1024;

/// `systemctl --user` or `launchctl`.
#[derive(Debug)]
pub(super) struct Program<'a> {
    name: &'static str,
    /// What is started, which tests replace.
    command: Vec<String>,
    wait: &'a Wait,
}

/// What a run has said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) command: String,
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Said {
    pub(super) fn failed(self) -> ServiceError {
        let words = self.words();
        ServiceError::Failed { command: self.command, status: self.status.to_string(), words }
    }

    pub(super) fn words(&self) -> String {
        one_line(if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr })
    }
}

impl<'a> Program<'a> {
    pub(super) fn new(name: &'static str, wait: &'a Wait) -> Self {
        Self { name, command: vec![name.into()], wait }
    }

    /// Something else under this name.
    #[cfg(test)]
    pub(super) fn replaced(self, command: &[&str]) -> Self {
        Self { command: command.iter().map(ToString::to_string).collect(), ..self }
    }

    pub(super) fn wait(&self) -> &'a Wait {
        self.wait
    }

    /// Runs it; a bad end is an error.
    pub(super) fn run<S: AsRef<OsStr>>(&self, arguments: &[S], limit: Duration) -> Result<Said, ServiceError> {
        let said = self.ask(arguments, limit)?;
        if said.status.success() { Ok(said) } else { Err(said.failed()) }
    }

    /// Runs it, however it ends.
    pub(super) fn ask<S: AsRef<OsStr>>(&self, arguments: &[S], limit: Duration) -> Result<Said, ServiceError> {
        let words = arguments.iter().map(|argument| quoted_word(argument.as_ref()));
        let command = std::iter::once(self.name.to_owned()).chain(words).collect::<Vec<_>>().join(" ");
        let missing = |source| ServiceError::NoProgram { program: self.name.into(), source };
        let child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .args(arguments)
            // Its words are shown in a line of ours.
            .env("LC_ALL", "C")
            .env("SYSTEMD_COLORS", "0")
            .env("SYSTEMD_PAGER", "")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(missing)?;
        let mut running = Running(child);
        let stdout = running.0.stdout.take().map(hear);
        let stderr = running.0.stderr.take().map(hear);
        let until = Instant::now() + limit;
        let status = loop {
            if let Some(status) = running.0.try_wait().map_err(missing)? {
                break status;
            }
            if Instant::now() >= until {
                return Err(ServiceError::Slow { command, limit });
            }
            self.wait.pause(PACE)?;
        };
        Ok(Said { command, status, stdout: heard(stdout), stderr: heard(stderr) })
    }
}

fn quoted_word(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    // Options are typed as they are.
    if text.starts_with("--") && !text.contains(char::is_whitespace) { text.into_owned() } else { quoted(&text) }
}

/// Ended when nobody waits for it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // After its end neither does anything.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// On a thread, so that neither stream keeps the other waiting.
fn hear(stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (said, words) = mpsc::channel();
    thread::spawn(move || pass_on(stream, &said));
    words
}

fn pass_on(mut stream: impl Read, said: &Sender<Vec<u8>>) {
    let mut bytes = [0; 4096];
    let mut n_left = MAX_WORDS;
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(n) => {
                let kept = n.min(n_left);
                n_left -= kept;
                if said.send(bytes[..kept].to_vec()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// A program that was left behind may hold the stream for ever.
fn heard(words: Option<Receiver<Vec<u8>>>) -> String {
    let until = Instant::now() + GRACE;
    let next = |words: &Receiver<Vec<u8>>| words.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
    let bytes: Vec<u8> = words.iter().flat_map(|words| std::iter::from_fn(|| next(words))).flatten().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
