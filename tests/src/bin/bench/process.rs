//! Child processes that are certain to be ended, and waiting for them.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Time for a process to end by itself.
const END_LIMIT: Duration = Duration::from_secs(20);

/// A child process, ended on drop.
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = name(command.get_program());
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// An error if it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.ended()? {
            Some(status) => bail!("{} has ended too early ({status})", self.name),
            None => Ok(()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Once it has been waited for, its process id may be reused.
        let Ok(None) = self.child.try_wait() else { return };
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let mut ended = || Ok(self.child.try_wait()?.map(|_| ()));
        if wait_for("its end", END_LIMIT, Duration::from_millis(5), &mut ended).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs a program to its end and returns its output.
pub fn output(command: &mut Command) -> Result<String> {
    let name = name(command.get_program());
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed ({}): {}", output.status, last_line(&stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The last line of a program's output, which usually is the reason for its failure.
pub fn last_line(text: &str) -> &str {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("without a word").trim()
}

/// Polls until there is a result, within a time limit.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    pause: Duration,
    attempt: &mut dyn FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let until = Instant::now() + limit;
    loop {
        if let Some(outcome) = attempt()? {
            return Ok(outcome);
        }
        if Instant::now() >= until {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        thread::sleep(pause);
    }
}

/// Gives a program a home of its own, without settings from this process's environment.
pub fn isolate(command: &mut Command, home: &Path) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("BEAST_") || text.starts_with("LLAMA_") {
            command.env_remove(&name);
        }
    }
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home);
    for (name, folder) in [
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_STATE_HOME", ".local/state"),
    ] {
        command.env(name, home.join(folder));
    }
}

fn name(program: &OsStr) -> String {
    Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned()
}
