//! `beastctl map`: one prompt on each of many files, some at once. With `--out` it can be resumed after any end.
//!
//! Each of a few threads reads a file, asks the daemon and sends the outcome to the main thread, which alone writes.

mod answer;
mod error;
mod names;
mod outcome;
mod record;
mod task;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

pub use self::error::MapError;
use self::{
    answer::Answer,
    outcome::Outcomes,
    record::{Record, Stamp},
    task::Task,
};
use crate::{
    cli::MapOptions,
    context::Context,
    exit::{During as _, Failure, Result},
    start,
    wait::Wait,
};

/// A daemon whose status takes longer is stuck.
const STATUS_LIMIT: Duration = Duration::from_secs(10);
/// Longest interval between looks at the progress line.
const TICK: Duration = Duration::from_secs(1);

/// What became of a file.
#[derive(Debug)]
enum Outcome {
    /// An earlier run has answered it.
    Skipped,
    Answered(Answer, Stamp),
    Failed(Failure),
}

/// Answers all files.
pub(super) fn run(context: &Context, options: &MapOptions) -> Result<()> {
    // Reports all mistakes that the user must fix before contacting the daemon.
    if Path::new(&options.prompt).is_file() {
        return Err(MapError::IsFile(options.prompt.clone()).into());
    }
    let socket = context.socket()?;
    let task = Task::new(options)?;
    // While reading, Ctrl-C may end the process: there is nothing to clean up yet.
    let files = names::files(options, &Wait::default())?;
    let (out, answered) = options.out.as_deref().map(Record::of_answers).transpose()?.unzip();
    let failed = options.failed.as_deref();
    if out.as_ref().zip(failed).is_some_and(|(out, failed): (&Record, _)| out.is_at(failed)) {
        return Err(MapError::SameFile.into());
    }
    let failed = failed.map(Record::of_failures).transpose()?;
    let mut wait = Wait::start(None).context("cannot watch for Ctrl-C")?;
    if out.is_some() {
        wait = wait.without_reader();
    }
    let n_jobs = match options.jobs {
        Some(n) => n.into(),
        None => n_slots(&socket, &task, &wait.shared().limited(context.timeout))?,
    };
    let job = Job { context, socket: &socket, task: &task, answered: answered.unwrap_or_default() };
    let outcomes = Outcomes::new(context, files.len(), out, failed);
    job.work(&files, n_jobs, outcomes, &wait)
}

fn n_slots(socket: &Path, task: &Task, wait: &Wait) -> Result<usize> {
    let mut client = start::connect(socket, !task.options.request.no_start, wait, |_| {})?;
    let status = client.status(wait, Some(Instant::now() + STATUS_LIMIT))?;
    Ok(status.n_slots.max(1) as usize)
}

/// What all threads share.
struct Job<'a> {
    context: &'a Context,
    socket: &'a Path,
    task: &'a Task,
    answered: HashSet<Stamp>,
}

impl Job<'_> {
    /// Answers the files, `n_jobs` at once. An error that concerns all of them ends the work of all threads.
    fn work(&self, files: &[PathBuf], n_jobs: usize, mut outcomes: Outcomes<'_>, wait: &Wait) -> Result<()> {
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::sync_channel(n_jobs);
        thread::scope(|scope| {
            for _ in 0..n_jobs.min(files.len()) {
                let (sender, next, wait) = (sender.clone(), &next, wait.shared());
                scope.spawn(move || {
                    self.take_turns(files, next, wait, |file, outcome| sender.send((file, outcome)).is_ok())
                });
            }
            drop(sender);
            loop {
                match receiver.recv_timeout(TICK.min(outcomes.until_due())) {
                    Ok((file, outcome)) => {
                        if !outcomes.take(file, outcome) {
                            wait.interrupt();
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => outcomes.tick(),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        });
        outcomes.finish()
    }

    /// One thread's work: takes the next file until there is none or `tell` returns false.
    fn take_turns<'f>(
        &self,
        files: &'f [PathBuf],
        next: &AtomicUsize,
        mut wait: Wait,
        tell: impl Fn(&'f Path, Outcome) -> bool,
    ) {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            wait.limit(self.context.timeout);
            let outcome = self.answer(file, &wait).unwrap_or_else(Outcome::Failed);
            let is_over = matches!(&outcome, Outcome::Failed(error) if outcome::ends_all(error));
            if !tell(file, outcome) || is_over {
                return;
            }
        }
    }

    fn answer(&self, file: &Path, wait: &Wait) -> Result<Outcome> {
        // Reading and skipping files waits for nothing, and would not notice Ctrl-C.
        wait.pause(Duration::ZERO)?;
        let asked = self.task.asked(file, wait)?;
        let stamp = self.task.stamp(file, &asked);
        if self.answered.contains(&stamp) {
            return Ok(Outcome::Skipped);
        }
        Ok(Outcome::Answered(answer::ask(self.socket, self.task, asked, wait)?, stamp))
    }
}
