//! The only place where the client waits: for the daemon, Ctrl-C, the reader of stdout, or the time limit.
//!
//! Everything that can take long is a `poll` through here, so that no wait outlives its reason. Knows file descriptors
//! and time, never what they carry.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, fstat},
    io::Errno,
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
    low_level::pipe,
};

use crate::exit::{self, Failing, advice};

#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    #[error("stdout was closed")]
    ReaderGone,
    #[error("no answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    #[error("cannot wait for an answer")]
    Poll(#[source] io::Error),
}

impl Failing for WaitError {
    fn exit_code(&self) -> u8 {
        match self {
            WaitError::Interrupted => exit::INTERRUPTED,
            WaitError::ReaderGone => exit::DONE,
            WaitError::TimedOut(_) | WaitError::Poll(_) => exit::FAILED,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            WaitError::Interrupted | WaitError::ReaderGone => None,
            WaitError::TimedOut(_) => Some("raise --timeout, or check beastctl status".into()),
            WaitError::Poll(error) => Some(advice::system(error)),
        }
    }
}

#[derive(Debug, Default)]
pub struct Wait {
    interrupts: Option<Arc<UnixStream>>,
    /// The other end of `interrupts`, into which signals write.
    interrupter: Option<Arc<UnixStream>>,
    /// Ctrl-C was pressed once: the next one ends the process.
    seen: Option<Arc<AtomicBool>>,
    reader: Option<Arc<OwnedFd>>,
    deadline: Option<(Instant, Duration)>,
}

impl Wait {
    /// From here on, Ctrl-C is an event, and the time limit runs.
    pub fn start(limit: Option<Duration>) -> io::Result<Self> {
        // A second Ctrl-C ends the process as usual, in case this program is stuck.
        let seen = Arc::new(AtomicBool::new(false));
        flag::register_conditional_default(SIGINT, Arc::clone(&seen))?;
        flag::register(SIGINT, Arc::clone(&seen))?;
        Ok(Self { seen: Some(seen), ..Self::on(&[SIGINT], limit)? })
    }

    /// Restarts the time limit for the next of several answers.
    pub fn limit(&mut self, limit: Option<Duration>) {
        self.deadline = deadline(limit);
    }

    /// Forgets the Ctrl-C that stopped an answer: the next one stops the next answer and does not end the process.
    pub fn forget_interrupts(&mut self) {
        // First the signals, then the flag: a Ctrl-C in between is lost, but never taken for the second of two.
        if let Some(mut interrupts) = self.interrupts.as_deref() {
            while matches!(interrupts.read(&mut [0; 64]), Ok(n) if n > 0) {}
        }
        if let Some(seen) = &self.seen {
            seen.store(false, Ordering::SeqCst);
        }
    }

    /// Like [`Wait::start`], for a run that must end its child processes first: a second Ctrl-C has no effect, and
    /// SIGTERM counts as the first. SIGHUP is not watched, because nohup(1) needs it ignored.
    pub fn start_with_children(limit: Option<Duration>) -> io::Result<Self> {
        Self::on(&[SIGINT, SIGTERM], limit)
    }

    fn on(signals: &[i32], limit: Option<Duration>) -> io::Result<Self> {
        let (interrupts, writer) = UnixStream::pair()?;
        interrupts.set_nonblocking(true)?;
        for signal in signals {
            pipe::register(*signal, writer.try_clone()?)?;
        }
        let (interrupts, interrupter) = (Some(Arc::new(interrupts)), Some(Arc::new(writer)));
        Ok(Self { interrupts, interrupter, reader: pipe_of_stdout()?, deadline: deadline(limit), seen: None })
    }

    /// The same for another thread, with a time limit of its own. One Ctrl-C ends the waits of all.
    #[must_use]
    pub fn shared(&self) -> Self {
        Self {
            interrupts: self.interrupts.clone(),
            interrupter: self.interrupter.clone(),
            seen: self.seen.clone(),
            reader: self.reader.clone(),
            deadline: None,
        }
    }

    /// Ends the waits of all threads as Ctrl-C does.
    pub fn interrupt(&self) {
        if let Some(mut interrupter) = self.interrupter.as_deref() {
            // A full pipe has interrupted them already.
            let _ = interrupter.write(&[0]);
        }
    }

    #[must_use]
    pub fn limited(mut self, limit: Option<Duration>) -> Self {
        self.deadline = deadline(limit);
        self
    }

    /// With the time limit of another wait, part of which may be used up.
    #[must_use]
    pub fn limited_as(mut self, other: &Wait) -> Self {
        self.deadline = other.deadline;
        self
    }

    /// Continues after stdout is closed, for a run whose result is not its output.
    #[must_use]
    pub fn without_reader(mut self) -> Self {
        self.reader = None;
        self
    }

    /// Waits until `fd` is ready for one of `flags`, or has failed; `None` when `until` comes first.
    pub fn ready(
        &self,
        fd: BorrowedFd<'_>,
        flags: PollFlags,
        until: Option<Instant>,
    ) -> Result<Option<PollFlags>, WaitError> {
        self.poll(Some((fd, flags)), until)
    }

    pub fn pause(&self, duration: Duration) -> Result<(), WaitError> {
        self.poll(None, Instant::now().checked_add(duration)).map(drop)
    }

    fn poll(
        &self,
        wanted: Option<(BorrowedFd<'_>, PollFlags)>,
        until: Option<Instant>,
    ) -> Result<Option<PollFlags>, WaitError> {
        loop {
            let now = Instant::now();
            if let Some((deadline, limit)) = self.deadline
                && now >= deadline
            {
                return Err(WaitError::TimedOut(limit));
            }
            let next = [until, self.deadline.map(|(deadline, _)| deadline)].into_iter().flatten().min();

            let interrupts = self.interrupts.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN));
            // macOS reports a closed reader only when polling for HUP; Linux always does.
            let reader = self.reader.as_ref().map(|fd| PollFd::new(fd, PollFlags::HUP));
            let wanted = wanted.as_ref().map(|(fd, flags)| PollFd::new(fd, *flags));
            let places = [interrupts.is_some(), reader.is_some(), wanted.is_some()];
            let mut fds: Vec<PollFd<'_>> = [interrupts, reader, wanted].into_iter().flatten().collect();
            match poll(&mut fds, next.map(|next| timespec(next.saturating_duration_since(now))).as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(WaitError::Poll(error.into())),
            }
            let mut seen = fds.iter().map(PollFd::revents);
            let [interrupted, gone, ready] =
                places.map(|is_there| if is_there { seen.next() } else { None }.unwrap_or(PollFlags::empty()));
            if !interrupted.is_empty() {
                return Err(WaitError::Interrupted);
            }
            if gone.intersects(PollFlags::ERR | PollFlags::HUP) {
                return Err(WaitError::ReaderGone);
            }
            if !ready.is_empty() {
                return Ok(Some(ready));
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(None);
            }
        }
    }
}

fn deadline(limit: Option<Duration>) -> Option<(Instant, Duration)> {
    limit.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)))
}

/// Stdout, if its reader can go away. A terminal or file has no such reader.
fn pipe_of_stdout() -> io::Result<Option<Arc<OwnedFd>>> {
    let stdout = io::stdout();
    let kind = fstat(&stdout).map(|stat| FileType::from_raw_mode(stat.st_mode));
    match kind {
        Ok(FileType::Fifo | FileType::Socket) => Ok(Some(Arc::new(stdout.as_fd().try_clone_to_owned()?))),
        _ => Ok(None),
    }
}

// Capped: some systems reject time limits of centuries.
fn timespec(duration: Duration) -> Timespec {
    let seconds = duration.as_secs().min(u64::from(u32::MAX));
    Timespec { tv_sec: seconds.cast_signed(), tv_nsec: duration.subsec_nanos().into() }
}
