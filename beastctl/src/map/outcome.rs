//! What becomes of the outcomes: answers are printed or recorded, failures told, and all are counted.

use std::{
    io::{self, Stderr},
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use beast_protocol::ErrorCode;
use serde_json::{Value, json};

use super::{
    Outcome,
    error::MapError,
    record::{Record, Stamp},
};
use crate::{
    client::ClientError,
    context::Context,
    exit::{self, Failure, Result},
    output::{Progress, json_line, units::grouped},
    wait::WaitError,
};

/// Whether an error concerns all files, and not only the one that met it.
pub(super) fn ends_all(error: &Failure) -> bool {
    let is_of_all = matches!(error.code(), exit::DONE | exit::INTERRUPTED | exit::UNREACHABLE | exit::BUSY);
    let is_without_model =
        matches!(error.find(), Some(ClientError::Daemon(error)) if error.code == ErrorCode::ModelUnavailable);
    is_of_all || is_without_model || matches!(error.find(), Some(WaitError::Poll(_)))
}

pub(super) struct Outcomes<'a> {
    context: &'a Context,
    out: Option<Record>,
    failed: Option<Record>,
    progress: Progress<Stderr>,
    tally: Tally,
    /// Why the work has ended early.
    end: Option<Failure>,
    /// Nothing more can be written.
    is_lost: bool,
}

struct Tally {
    n_files: usize,
    n_answered: usize,
    n_skipped: usize,
    n_failed: usize,
    n_tokens: u64,
    since: Instant,
}

impl<'a> Outcomes<'a> {
    pub(super) fn new(context: &'a Context, n_files: usize, out: Option<Record>, failed: Option<Record>) -> Self {
        let now = Instant::now();
        let progress = Progress::with_spinner(io::stderr(), context.console.shows_progress(), now);
        let tally = Tally { n_files, n_answered: 0, n_skipped: 0, n_failed: 0, n_tokens: 0, since: now };
        Self { context, out, failed, progress, tally, end: None, is_lost: false }
    }

    /// Time until [`Outcomes::tick`] must be called.
    pub(super) fn until_due(&self) -> Duration {
        self.progress.due().map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now()))
    }

    pub(super) fn tick(&mut self) {
        self.progress.tick(Instant::now());
    }

    /// Takes the outcome of a file; returns whether the work goes on.
    pub(super) fn take(&mut self, file: &Path, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Skipped => self.tally.n_skipped += 1,
            Outcome::Answered(answer, stamp) => {
                let line = json_line(&answer_line(file, answer.object, &stamp));
                let written = if self.is_lost { Ok(false) } else { self.write(&line).map(|()| true) };
                match written {
                    Ok(is_written) => {
                        self.tally.n_answered += usize::from(is_written);
                        self.tally.n_tokens += u64::from(answer.n_generated);
                    }
                    Err(error) => self.lose(error),
                }
            }
            Outcome::Failed(error) if ends_all(&error) => {
                self.end.get_or_insert(error);
            }
            Outcome::Failed(error) => {
                self.tally.n_failed += 1;
                if let Err(error) = self.tell(file, &error) {
                    self.lose(error);
                }
            }
        }
        let now = Instant::now();
        self.progress.set(self.tally.text(now), now);
        self.end.is_none()
    }

    /// Ends the work: what was done is safe on disk.
    ///
    /// # Errors
    /// Why the work has ended early, or [`MapError::Failed`].
    pub(super) fn finish(mut self) -> Result<()> {
        self.progress.erase();
        for record in self.out.iter_mut().chain(&mut self.failed) {
            if let Err(error) = record.sync() {
                self.end.get_or_insert(error.into());
            }
        }
        let console = self.context.console;
        let Tally { n_files, n_answered, n_skipped, n_failed, .. } = self.tally;
        if let Some(error) = self.end {
            if error.code() == exit::INTERRUPTED {
                let n_done = grouped((n_answered + n_skipped) as u64);
                let of = grouped(n_files as u64);
                let step = match self.out {
                    Some(_) => "repeat the command, which resumes",
                    None => "pass --out FILE next time, to be able to resume",
                };
                console.warning(&format!("interrupted after {n_done} of {of} files; try: {step}"));
            }
            return Err(error);
        }
        if n_skipped > 0 {
            console.info(&format!(
                "{} of {} files were answered before",
                grouped(n_skipped as u64),
                grouped(n_files as u64)
            ));
        }
        if n_failed == 0 {
            return Ok(());
        }
        let step = match self.out {
            Some(_) => "fix what the errors name, then repeat the command for these files",
            None => "fix what the errors name, then name these files",
        };
        Err(MapError::Failed { n_failed, n_files, step }.into())
    }

    fn write(&mut self, line: &str) -> Result<()> {
        match &mut self.out {
            Some(out) => Ok(out.append(line)?),
            None => {
                if self.context.console.stdout_is_terminal {
                    self.progress.erase();
                }
                Ok(self.context.console.print(line)?)
            }
        }
    }

    fn tell(&mut self, file: &Path, error: &Failure) -> Result<()> {
        let text = error.line().unwrap_or_else(|| error.to_string());
        match &mut self.failed {
            Some(failed) => Ok(failed.append(&json_line(&failure_line(file, &text, error)))?),
            None => {
                self.progress.erase();
                self.context.console.error(&format!("{}: {text}", file.display()));
                Ok(())
            }
        }
    }

    fn lose(&mut self, error: Failure) {
        self.is_lost = true;
        // Stronger than Ctrl-C: that would promise that everything is kept.
        self.end = Some(error);
    }
}

impl Tally {
    fn text(&self, now: Instant) -> String {
        let n_done = self.n_answered + self.n_skipped;
        let n_left = self.n_files.saturating_sub(n_done + self.n_failed);
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        let speed = if seconds > 0.0 { self.n_tokens as f64 / seconds } else { 0.0 };
        let [done, failed, left] = [n_done, self.n_failed, n_left].map(|n| grouped(n as u64));
        format!("{done} done, {failed} failed, {left} left, {speed:.1} tokens/s")
    }
}

/// A name as JSON. One that is not UTF-8 loses bytes there, and has them all beside it.
fn named(file: &Path) -> Value {
    let mut object = json!({"file": file.to_string_lossy()});
    if file.to_str().is_none() {
        object["file_base64"] = STANDARD.encode(file.as_os_str().as_encoded_bytes()).into();
    }
    object
}

fn answer_line(file: &Path, answer: Value, stamp: &Stamp) -> Value {
    let mut line = named(file);
    if let (Value::Object(line), Value::Object(answer)) = (&mut line, answer) {
        line.extend(answer);
    }
    line["hash"] = stamp.as_str().into();
    line
}

fn failure_line(file: &Path, text: &str, error: &Failure) -> Value {
    let mut line = named(file);
    line["error"] = text.into();
    line["code"] = error.word().into();
    line["exit_code"] = error.code().into();
    line
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
