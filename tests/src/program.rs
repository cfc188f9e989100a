//! Runs a program from start to end and captures its output.

use std::fmt;
use std::io::{Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::{LONG_LIMIT, holds_within};

/// The output of a program and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// stdout of a program that succeeded and printed nothing on stderr.
    #[track_caller]
    pub fn answer(&self) -> &str {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self}");
        self.stdout.strip_suffix('\n').expect("an answer ends with a newline")
    }

    /// The single line on stderr of a program that failed with this code and printed nothing on stdout.
    #[track_caller]
    pub fn failure(&self, code: i32) -> &str {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{self}");
        let line = self.stderr.strip_suffix('\n').expect("an error ends with a newline");
        assert!(!line.contains('\n') && !line.is_empty(), "an error is one line: {self}");
        line
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {:?}\n---- stdout\n{}\n---- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Runs a command to its end with this on stdin.
#[track_caller]
pub fn run(command: &mut Command, stdin: impl Into<Vec<u8>>) -> Output {
    Running::start(command, stdin).finish()
}

/// A running program, killed on drop.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<ChildStdout>,
    /// What has been read of stdout so far.
    begun: Vec<u8>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// Starts a command with this on stdin.
    pub fn start(command: &mut Command, stdin: impl Into<Vec<u8>>) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program is there");
        let stdin_bytes = stdin.into();
        let mut stdin = child.stdin.take().expect("it is a pipe");
        // Threads, so that neither side blocks the other. A program may end without having read everything.
        std::thread::spawn(move || stdin.write_all(&stdin_bytes));
        let stderr = child.stderr.take().map(read_all);
        let stdout = child.stdout.take();
        Self { child, stdout, begun: Vec::new(), stderr }
    }

    /// Waits until there is output on stdout.
    #[track_caller]
    pub fn wait_for_output(&mut self) {
        let stdout = self.stdout.as_mut().expect("nobody has closed it");
        let limit = Timespec::try_from(LONG_LIMIT).expect("a minute fits");
        let n_ready = poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&limit));
        assert_eq!(n_ready, Ok(1), "nothing comes on stdout");
        let mut bytes = [0; 4096];
        let n = stdout.read(&mut bytes).expect("a pipe can be read");
        assert!(n > 0, "the program has ended without an answer");
        self.begun.extend(&bytes[..n]);
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program has not been waited for");
    }

    /// Sends a signal to the program's process group, which must be its own.
    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.child), signal).expect("the program has not been waited for");
    }

    /// Closes our end of its stdout.
    pub fn close_stdout(&mut self) {
        self.stdout = None;
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Output {
        let stdout = self.stdout.take().map(read_all);
        let stderr = self.stderr.take();
        let mut status = None;
        let ended = holds_within(LONG_LIMIT, || {
            status = self.child.try_wait().expect("the child is ours");
            status.is_some() && [&stdout, &stderr].into_iter().flatten().all(JoinHandle::is_finished)
        });
        assert!(ended, "the program does not end, or a child of its keeps its pipes ({status:?})");
        let mut bytes = std::mem::take(&mut self.begun);
        bytes.extend(said(stdout));
        let text = |bytes| String::from_utf8(bytes).expect("the programs write UTF-8");
        Output { code: status.and_then(|status| status.code()), stdout: text(bytes), stderr: text(said(stderr)) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // After an error, what was read before it is the result.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn said(thread: Option<JoinHandle<Vec<u8>>>) -> Vec<u8> {
    thread.map(|thread| thread.join().expect("reading does not panic")).unwrap_or_default()
}
