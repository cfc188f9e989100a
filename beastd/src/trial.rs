//! Tries an unknown model in a short-lived child process that does with it what the daemon would do, and may crash.
//!
//! May know: processes, files, fingerprints; the child's half also the engine and templates. Never knows: what the
//! model is loaded for.

use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::iter;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use beast_launchd::{file, paths, whole};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, Signal, kill_process, setrlimit};

use crate::engine::trial::run;
use crate::engine::{ENGINE_BUILD, LoadError, LoadedModel, Vocab};
use crate::fingerprint::hex;
use crate::logging;
use crate::template::ChatTemplate;

/// The program's hidden option.
pub const OPTION: &str = "--try-model";
/// How a child that rejects a model starts the line with its reason.
const SAID: &str = "beastd: ";
/// Time limit of a trial: fixed, and per megabyte of the file.
const LIMIT: Duration = Duration::from_secs(60);
const LIMIT_OF_A_MIB: Duration = Duration::from_millis(50);
/// Interval for checking whether the daemon is ending.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Most lines of a record: copies of one model have one record, and a time each.
const MAX_COPIES: usize = 16;
/// Bytes kept of the child's output, from its end.
const MAX_WORDS: usize = 16 << 10;

/// A trial that is one step ahead: the model has loaded in the child and may be loaded here, while its vocabulary,
/// template and weights are still being checked. Dropping it kills the child.
#[derive(Debug)]
pub struct Trial {
    child: Child,
    path: PathBuf,
    record: Record,
    words: Vec<u8>,
    ends_at: Instant,
    limit: Duration,
}

/// State of a trial.
enum Heard {
    Loaded,
    End,
    Nothing,
}

/// Starts trying a model, unless this file has passed before, and waits until it has loaded. A file that cannot be read
/// is left to the loader, and if no process can be started there is no trial.
///
/// # Errors
/// The message of the child, or [`LoadError::Unusable`] when it crashed.
pub fn begin(
    path: &Path,
    fingerprint: Option<[u8; 32]>,
    is_given_up: impl Fn() -> bool,
) -> Result<Option<Trial>, String> {
    let (Some(fingerprint), Ok(metadata)) = (fingerprint, fs::metadata(path)) else { return Ok(None) };
    let record = Record::new(&fingerprint, &metadata);
    if record.is_kept() {
        return Ok(None);
    }
    tracing::info!(path = %path.display(), "trying a new model");
    let child = match start(OPTION, path) {
        Ok(child) => child,
        Err(error) => {
            tracing::warn!(%error, "loading a model without a trial");
            return Ok(None);
        }
    };
    let limit = LIMIT + LIMIT_OF_A_MIB * u32::try_from(metadata.len() >> 20).unwrap_or(u32::MAX);
    let ends_at = Instant::now() + limit;
    let mut trial = Trial { child, path: path.to_owned(), record, words: Vec::new(), ends_at, limit };
    match trial.listen(true, is_given_up) {
        Ok(Heard::Loaded) => Ok(Some(trial)),
        heard => trial.judge(heard.is_ok_and(|heard| matches!(heard, Heard::End))).map(|()| None),
    }
}

impl Trial {
    /// Waits for the end of the trial.
    ///
    /// # Errors
    /// As [`begin`].
    pub fn finish(mut self, is_given_up: impl Fn() -> bool) -> Result<(), String> {
        let heard = self.listen(false, is_given_up);
        self.judge(heard.is_ok_and(|heard| matches!(heard, Heard::End)))
    }

    /// Reads the child's output until its end, or until it has loaded the model.
    fn listen(&mut self, is_loading: bool, is_given_up: impl Fn() -> bool) -> io::Result<Heard> {
        let mut stdout = self.child.stdout.take().filter(|_| is_loading);
        let stderr = self.child.stderr.as_mut().expect("it was asked for");
        let mut block = [0; 4096];
        while Instant::now() < self.ends_at && !is_given_up() {
            let mut pipes = vec![PollFd::new(&*stderr, PollFlags::IN)];
            pipes.extend(stdout.as_ref().map(|stdout| PollFd::new(stdout, PollFlags::IN)));
            if poll(&mut pipes, Some(&LOOK))? == 0 {
                continue;
            }
            let has_said = |pipe: Option<&PollFd<'_>>| pipe.is_some_and(|pipe| !pipe.revents().is_empty());
            let (is_word, is_sign) = (has_said(pipes.first()), has_said(pipes.get(1)));
            if is_sign {
                match stdout.as_mut().map(|stdout| stdout.read(&mut block)).transpose()? {
                    Some(0) | None => stdout = None,
                    Some(_) => return Ok(Heard::Loaded),
                }
            }
            if is_word {
                match stderr.read(&mut block)? {
                    0 => return Ok(Heard::End),
                    n => self.words.extend_from_slice(&block[..n]),
                }
                self.words.drain(..self.words.len().saturating_sub(MAX_WORDS));
            }
        }
        Ok(Heard::Nothing)
    }

    fn judge(mut self, is_over: bool) -> Result<(), String> {
        let unusable = |reason| LoadError::Unusable { path: self.path.clone(), reason }.to_string();
        if !is_over {
            return Err(unusable(format!("its trial did not finish within {:?}", self.limit)));
        }
        let status = self.child.wait().map_err(|error| unusable(format!("cannot wait for its trial: {error}")))?;
        match said(&self.words) {
            _ if status.success() => {
                self.record.keep();
                Ok(())
            }
            // Our own message, with its advice.
            Some(words) if status.code().is_some() => Err(words.to_owned()),
            words => Err(unusable(format!("llama.cpp crashed on it in a trial ({})", death(status, words)))),
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // It has ended, or its result is no longer needed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn death(status: ExitStatus, words: Option<&str>) -> String {
    let how = match status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    };
    words.map_or(how.clone(), |words| format!("{how}: {words}"))
}

/// Starts this program with one option, whose value is `path`. The child's stdin is a pipe that closes with this
/// process, which ends the child.
pub(crate) fn start(option: &str, path: &Path) -> io::Result<Child> {
    // Works even after an update has replaced the program.
    let program = if cfg!(target_os = "linux") { PathBuf::from("/proc/self/exe") } else { std::env::current_exe()? };
    let mut command = Command::new(program);
    command.arg(option).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// The last line with our prefix, else the last line.
fn said(words: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(words).ok()?;
    let ours = text.lines().rev().find_map(|line| line.strip_prefix(SAID));
    ours.or_else(|| text.lines().rev().find(|line| !line.trim().is_empty()))
}

/// The record of a passed trial. A fingerprint does not cover every byte, so the modification time counts too.
#[derive(Debug)]
struct Record {
    path: Option<PathBuf>,
    /// The versions of the program and the engine, and the time of the file.
    line: String,
}

impl Record {
    fn new(fingerprint: &[u8; 32], metadata: &fs::Metadata) -> Self {
        let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed = changed.map_or(0, |time| time.as_nanos());
        let path = paths::cache_dir().ok().map(|folder| folder.join("tried").join(hex(fingerprint)));
        Self { path, line: format!("{} {ENGINE_BUILD} {changed}", env!("CARGO_PKG_VERSION")) }
    }

    fn kept(&self) -> String {
        self.path.as_deref().and_then(|path| file::read_text(path, 4096).ok()).unwrap_or_default()
    }

    fn is_kept(&self) -> bool {
        self.kept().lines().any(|line| line == self.line)
    }

    /// If this fails, the next start tries again.
    fn keep(&self) {
        let write = |path: &Path| {
            let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let kept = self.kept();
            let others = kept.lines().filter(|line| *line != self.line).take(MAX_COPIES - 1);
            let lines: String = iter::once(&*self.line).chain(others).flat_map(|line| [line, "\n"]).collect();
            whole::write(path, lines.as_bytes(), whole::PRIVATE)
        };
        if let Some(Err(error)) = self.path.as_deref().map(write) {
            tracing::debug!(%error, "cannot record the trial of a model");
        }
    }
}

/// The child's half: does everything with the model by which a daemon could crash.
///
/// # Errors
/// Why the model cannot be used.
pub fn child(path: &Path) -> Result<(), String> {
    begin_child();
    run(path, tell_loaded, template).map_err(|error| logging::with_engine_error(error).replace('\n', " "))
}

/// Prepares the child process of any trial.
pub(crate) fn begin_child() {
    // A core file of an expected crash would only fill the disk.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    thread::spawn(end_with_parent);
    logging::listen_to_engine();
    crate::engine::log_to_tracing();
}

/// The daemon may now load the model too.
fn tell_loaded() {
    let mut out = io::stdout();
    // The daemon may have given up.
    let _ = writeln!(out, "loaded").and_then(|()| out.flush());
}

/// Nothing is written to stdin; it closes with the daemon.
fn end_with_parent() {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    let _ = kill_process(rustix::process::getpid(), Signal::KILL);
}

/// Without a valid template the daemon still runs, so only a crash matters here.
fn template(model: &LoadedModel, vocab: &dyn Vocab) {
    if let Some(source) = model.chat_template() {
        drop(ChatTemplate::new(&source, vocab.bos_text(), vocab.eos_text(), &vocab.special_texts()));
    }
}

#[cfg(test)]
#[path = "trial_tests.rs"]
mod tests;
