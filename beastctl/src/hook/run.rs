//! The running hook: never exceeds its limit, never makes a commit fail.
//!
//! The work runs on a thread of its own, so that neither a hanging disk nor a bug can exceed the limit. That thread
//! changes no files; its result is written here, if it arrives in time.

use std::{
    env,
    ffi::OsString,
    io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use super::suggest::{self, Late, Limit};
use crate::{
    context::Context,
    exit::{Failing, Failure, Result},
    git::{self, Git, GitError, MessageFile, Settings, Staged},
    numbers,
    output::{Progress, one_line},
    wait::{Wait, WaitError},
};

/// Extra time for the result: the work checks the limit itself and reports what it was waiting for.
const GRACE: Duration = Duration::from_millis(100);
/// No progress is shown for anything faster than this.
const PATIENCE: Duration = Duration::from_millis(300);

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Suggestion {
    /// Goes to the top of the file.
    pub(super) message: Option<String>,
    /// Notes for the committer, one line each.
    pub(super) notes: Vec<String>,
}

enum Word {
    /// The repository's settings.
    Settings(Settings, Duration),
    /// The result; `None` when there is nothing to do.
    End(Result<Option<Suggestion>>),
}

/// Writes a suggestion into `file`, or else why there is none. Notes that do not fit there go to stderr.
pub(super) fn run(context: &Context, limit: Duration, file: PathBuf, source: Option<OsString>) {
    if is_unwanted(source.as_ref()) {
        return;
    }
    let (words, heard) = mpsc::channel();
    let (started, socket) = (context.started, context.socket());
    let place = socket.as_ref().ok().cloned();
    let work_file = file.clone();
    let told = words.clone();
    let spawned = thread::Builder::new().spawn(move || {
        let end = guarded(|| work(&words, started, limit, &work_file, socket));
        // Fails after the time limit, when the receiver is gone.
        let _ = words.send(Word::End(end));
    });
    if let Err(error) = spawned {
        let _ = told.send(Word::End(Err(error.into())));
    }

    let mut progress = Progress::new(io::stderr(), context.console.shows_progress(), started + PATIENCE);
    let (mut settings, mut limit) = (Settings::default(), limit);
    let end = loop {
        let until = end(started, limit);
        let due = [progress.due(), until].into_iter().flatten().min();
        let left = due.map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now()));
        match heard.recv_timeout(left) {
            Ok(Word::Settings(read, wanted)) => {
                (settings, limit) = (read, wanted);
                let limit = humantime::format_duration(limit);
                progress.set(
                    format!("beast is writing a message (at most {limit}, Ctrl-C aborts the commit)"),
                    Instant::now(),
                );
            }
            Ok(Word::End(end)) => break end,
            Err(RecvTimeoutError::Timeout) if until.is_none_or(|until| Instant::now() < until) => {
                progress.tick(Instant::now());
            }
            Err(_) => break Err(WaitError::TimedOut(limit).into()),
        }
    };
    progress.erase();
    let suggestion = match end {
        Ok(None) => return,
        Ok(Some(suggestion)) => suggestion,
        // The user will not see the file: git aborts next, and only says that the terminal is dumb.
        Err(error) if matches!(error.find(), Some(GitError::NoEditor)) => {
            return context.console.warning(&reason(&error, None));
        }
        Err(error) => Suggestion { message: None, notes: vec![reason(&error, place.as_deref())] },
    };
    // The commit continues even if this fails.
    let told = match write(&file, &suggestion, &settings) {
        Ok(true) => Vec::new(),
        Ok(false) => suggestion.notes,
        Err(error) => vec![format!("no message: cannot write {}: {error}", file.display())],
    };
    for line in told {
        context.console.warning(&line);
    }
}

/// The deadline for the work; `None` for a limit beyond the range of the clock.
fn end(started: Instant, limit: Duration) -> Option<Instant> {
    started.checked_add(limit.checked_add(GRACE)?)
}

/// Turns a panic into an error, whose message is reported like any other.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::set_hook(Box::new(|_| {}));
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Broken::Panic(said(&*panic)).into()))
}

/// Whether no suggestion is wanted, as far as that is known without git.
fn is_unwanted(source: Option<&OsString>) -> bool {
    // Any source means that there is a message already, or the beginning of one. Only a template may consist of
    // comments alone, which the file will show.
    let has_source = source.is_some_and(|source| !source.is_empty() && source != "template");
    // git sets this when no editor will open: the suggestion would be committed unseen.
    let has_no_editor = env::var_os("GIT_EDITOR").is_some_and(|editor| editor == ":");
    has_source || has_no_editor || git::is_off(env::var_os("BEAST_HOOK"))
}

fn work(
    words: &Sender<Word>,
    started: Instant,
    limit: Duration,
    file: &Path,
    socket: Result<PathBuf>,
) -> Result<Option<Suggestion>> {
    let left = |limit: Duration| limit.saturating_sub(started.elapsed());
    let wait = Wait::default().limited(Some(left(limit)));
    let settings = Settings::read(Git::new(&wait))?;
    if !settings.is_enabled {
        return Ok(None);
    }
    let wanted = settings.limit(numbers::duration);
    let limit = wanted.as_ref().and_then(|wanted| wanted.as_ref().ok()).copied().unwrap_or(limit);
    let wait = Wait::default().limited(Some(left(limit)));
    let git = Git::new(&wait);
    let has_message = MessageFile::read(file)?.has_message(&settings);
    if has_message || git.is_in_the_middle()? || !git.has_editor()? {
        return Ok(None);
    }
    // Sent late, so that a message about waiting appears only if there is something to wait for.
    let _ = words.send(Word::Settings(settings.clone(), limit));
    if let Some(Err(problem)) = wanted {
        return Err(Broken::Setting(problem).into());
    }
    let staged = match Staged::read(git) {
        Err(GitError::NothingStaged) => return Ok(None),
        staged => staged?,
    };
    let limit = Limit { whole: limit, end: started.checked_add(limit) };
    suggest::ask(&socket?, staged, &settings, limit, &wait).map(Some)
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    /// A bug.
    #[error("it crashed: {0}")]
    Panic(String),
    /// git's configuration has an invalid value; the text says what to write instead.
    #[error("{0}")]
    Setting(String),
}

impl Failing for Broken {}

/// What happened and what to do, on one line. Timeouts get advice of their own here, because that of other verbs does
/// not apply.
fn reason(error: &Failure, socket: Option<&Path>) -> String {
    if suggest::is_late(error) {
        let advice = match (error.find(), socket.and_then(beast_launchd::recorded_pid)) {
            (Some(Late::Greeting), Some(pid)) => format!("kill {pid}, which is stuck"),
            (Some(Late::Greeting), None) => "beastctl doctor".into(),
            _ => "git config beast.hookTimeout 30s".into(),
        };
        let doing = error.find().map(|late: &Late| format!(": {late}")).unwrap_or_default();
        return format!("no message in time{doing}; try: {advice}");
    }
    one_line(&format!("no message: {}", error.line().unwrap_or_else(|| error.to_string())))
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without output".into())
}

/// Writes the suggestion, unless the file has got a message meanwhile from a chained hook in the background or an
/// editor. Returns whether the notes are in the file or no longer needed.
fn write(file: &Path, suggestion: &Suggestion, settings: &Settings) -> io::Result<bool> {
    let current = MessageFile::read(file)?;
    if current.has_message(settings) {
        return Ok(true);
    }
    current.write(suggestion.message.as_deref(), &suggestion.notes, settings)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
