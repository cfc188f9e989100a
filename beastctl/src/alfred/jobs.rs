//! Answers written by background jobs, one folder each.
//!
//! A job is this program under a shell that records its exit status. Its stderr is a locked file; the kernel releases
//! the lock when the last of its processes is gone, however that happens. So a dead job is never taken for a slow one,
//! and a reused process id is never killed for it. It outlives this process and writes to files, so `program` does not
//! run it.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use beast_launchd::{file, lock};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{
    exit::{Failing, FileError},
    input::Input,
};

/// Runs its arguments as a command, then writes the exit status to a file atomically.
const SHELL: &str = r#""$@"; echo $? > end.part && mv end.part end"#;
/// If no window has polled a job for this long, it has been closed.
const UNSEEN: Duration = Duration::from_secs(10);
/// A finished job is kept this long, in case its window comes back.
const KEPT: Duration = Duration::from_secs(600);
/// Stopping a job gives it the exit code of Ctrl-C.
const STOPPED: &str = "130";
/// Longer than any answer.
const MAX_BYTES: u64 = 64 << 20;
const PREFIX: &str = "job-";
/// The action in the error when a file of a job cannot be written.
const SAVE: &str = "save the answer to";

#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The job's name is invalid, or its files are gone.
    #[error("this answer no longer exists")]
    Gone,
    #[error(transparent)]
    File(#[from] FileError),
}

impl Failing for JobError {
    fn hint(&self) -> Option<String> {
        match self {
            JobError::Gone => Some("ask again".into()),
            JobError::File(error) => error.hint(),
        }
    }
}

/// Progress of a job, as its window shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) text: String,
    pub(super) footer: String,
    pub(super) is_running: bool,
}

impl State {
    pub(super) fn running(text: String) -> Self {
        let text = if text.is_empty() { "…".into() } else { text };
        Self { text, footer: "⇧↩ stops the answer".into(), is_running: true }
    }
}

#[derive(Debug)]
pub(super) struct Jobs {
    folder: PathBuf,
}

impl Jobs {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Runs `program` on `input`, independently of the window that started it. Warnings about the input are shown
    /// when the job ends.
    pub(super) fn start(&self, program: &Path, arguments: &[OsString], input: &Input) -> Result<String, JobError> {
        let unkept = FileError::of(SAVE, &self.folder);
        let private = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
        private(&self.folder).map_err(&unkept)?;
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let job = format!("{:x}-{:x}", time.as_nanos(), std::process::id());
        let folder = self.path(&job)?;
        private(&folder).map_err(&unkept)?;
        Self::spawn(&folder, program, arguments, input).map_err(|error| {
            let _ = fs::remove_dir_all(&folder);
            unkept(error)
        })?;
        Ok(job)
    }

    fn spawn(folder: &Path, program: &Path, arguments: &[OsString], input: &Input) -> io::Result<()> {
        let create = |name| File::options().read(true).write(true).create_new(true).mode(0o600).open(folder.join(name));
        fs::write(folder.join("seen"), "")?;
        create("text").and_then(|_| fs::write(folder.join("text"), &input.text))?;
        let mut error = create("error")?;
        error.lock()?;
        for warning in &input.warnings {
            writeln!(error, "beastctl: warning: {warning}")?;
        }
        let child = Command::new("/bin/sh")
            .args(["-c", SHELL, "sh"])
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(file::open(&folder.join("text"))?)
            .stdout(create("answer")?)
            .stderr(Stdio::from(error))
            // A process group of its own: Alfred kills the group of a script whose window is closed, and `cancel`
            // kills this one.
            .process_group(0)
            .spawn()?;
        fs::write(folder.join("process"), child.id().to_string())
    }

    /// The state of a job. Reading it counts as polling.
    pub(super) fn state(&self, job: &str) -> Result<State, JobError> {
        let folder = self.path(job)?;
        let _ = fs::write(folder.join("seen"), "");
        // In this order, so that a job that ends in between counts as ended.
        let is_alive = is_alive(&folder).map_err(|_| JobError::Gone)?;
        let end = file::read_text(&folder.join("end"), MAX_BYTES).ok();
        let text = file::read(&folder.join("answer"), MAX_BYTES).map_err(|_| JobError::Gone)?;
        let words = file::read(&folder.join("error"), MAX_BYTES).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).lines().last().unwrap_or_default().to_owned();
        let is_running = end.is_none() && is_alive;
        let text = shown(&text, is_running);
        let (text, footer) = match end.as_deref().map(str::trim) {
            None if is_running => return Ok(State::running(text)),
            // stderr may hold a warning about the input.
            Some("0") => (text, words),
            Some(STOPPED) => (text, "stopped".into()),
            end => {
                let killed = "the process that wrote this answer was killed".into();
                let (words, gap) = (end.map_or(killed, |_| words), if text.is_empty() { "" } else { "\n\n" });
                (format!("{text}{gap}{words}"), "failed".into())
            }
        };
        Ok(State { text, footer, is_running })
    }

    pub(super) fn cancel(&self, job: &str) -> Result<(), JobError> {
        let folder = self.path(job)?;
        if !is_alive(&folder).map_err(|_| JobError::Gone)? {
            return Ok(());
        }
        let end = folder.join("end");
        if !end.exists() {
            fs::write(&end, STOPPED).map_err(FileError::of(SAVE, &folder))?;
        }
        kill(&folder);
        Ok(())
    }

    /// Kills jobs that no window polls, and removes old ones.
    pub(super) fn sweep(&self) {
        // Without the folder there are no jobs.
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes())) {
            let folder = entry.path();
            let age = |name| {
                let time = folder.join(name).metadata().and_then(|metadata| metadata.modified()).ok();
                time.and_then(|time| time.elapsed().ok()).unwrap_or_default()
            };
            match is_alive(&folder) {
                Ok(true) if age("seen") > UNSEEN => kill(&folder),
                Ok(true) => {}
                Ok(false) if age("seen") <= KEPT => {}
                // Another process is about to start this job.
                Err(_) if age(".") <= UNSEEN => {}
                // Includes jobs whose start failed halfway.
                Ok(false) | Err(_) => drop(fs::remove_dir_all(&folder)),
            }
        }
    }

    /// The folder of a job. Its name comes from Alfred, so it must not lead elsewhere.
    fn path(&self, job: &str) -> Result<PathBuf, JobError> {
        let is_name = !job.is_empty() && job.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if is_name { Ok(self.folder.join(format!("{PREFIX}{job}"))) } else { Err(JobError::Gone) }
    }
}

fn is_alive(folder: &Path) -> io::Result<bool> {
    lock::is_held(&file::open(&folder.join("error"))?)
}

/// Only for a job that is alive, whose process id therefore cannot have been reused.
fn kill(folder: &Path) {
    let number = file::read_text(&folder.join("process"), MAX_BYTES).ok().and_then(|text| text.trim().parse().ok());
    if let Some(pid) = number.and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::TERM);
    }
}

/// The text to display. A running job may have written only part of a character.
fn shown(bytes: &[u8], is_running: bool) -> String {
    let bytes = match std::str::from_utf8(bytes) {
        Err(error) if is_running && error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    };
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;
