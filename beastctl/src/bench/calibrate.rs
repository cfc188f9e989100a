//! `beastctl bench --calibrate`: beastd measures itself and saves the results; this shows the progress and the results.

use std::{
    fs::File,
    path::Path,
    process::{ChildStdout, Stdio},
};

use serde_json::Value;

use super::{
    BenchError, Sinks,
    busy::Trust,
    calibration::{Calibration, Line},
    child::OwnChild,
    daemon::words_in,
    home::Home,
    steps::Steps,
};
use crate::{
    cli::BenchOptions,
    context::Context,
    exit::{During as _, Result},
    output::{
        one_line,
        tables::{Layout, table_text},
    },
    program::{RunError, stream},
    start::StartError,
    wait::Wait,
};

/// A line from beastd has about a hundred bytes, its result a few thousand.
const MAX_LINE: usize = 1024 * 1024;

pub(super) fn run(
    context: &Context,
    options: &BenchOptions,
    program: &Path,
    trust: &Trust,
    sinks: Sinks,
    wait: &Wait,
) -> Result<()> {
    let mut steps = Steps::new(context.console, vec![1.0]);
    steps.set("starting beastd");
    let outcome = calibrate(options, program, wait, &mut steps);
    steps.erase();
    let found = outcome?;
    if sinks.has_tables {
        let calibration = Calibration::parse(&found.object).ok_or_else(|| {
            BenchError::NotCalibrated(
                "cannot parse its results; try: check that beastd --version matches beastctl's".into(),
            )
        })?;
        let mut table = calibration.table();
        table.notes.extend(trust.warning());
        table.notes.extend(found.written.map(|path| format!("saved to {path}")));
        table
            .notes
            .push("a running beastd uses it after a restart: beastctl stop; the next command starts it again".into());
        context.console.print(table_text(&table, Layout::of(context.console)).trim_start())?;
    }
    sinks.finish(context, &found.object)
}

struct Found {
    object: Value,
    written: Option<String>,
}

fn calibrate(options: &BenchOptions, program: &Path, wait: &Wait, steps: &mut Steps) -> Result<Found> {
    // Only stderr goes to this folder: the results belong with the user's own files.
    let home = Home::new()?;
    let words = home.words(0);
    let mut command = OwnChild::command(program);
    command.arg("--calibrate").stdout(Stdio::piped());
    command.stderr(File::create(&words).with_context(|| format!("cannot write {}", words.display()))?);
    if options.force {
        command.arg("--force");
    }
    if let Some(model) = &options.model {
        command.args(["--model", model]);
    }
    let failed = |error: std::io::Error| StartError::Failed { program: program.to_owned(), words: error.to_string() };
    let mut child = OwnChild::spawn(&mut command, home.path()).map_err(failed)?;
    let stdout = child.child.stdout.take().expect("it is piped");
    let (mut object, mut written) = (None, None);
    follow(stdout, wait, |line| match line {
        Line::Progress { n_done, n_total, what } => steps.set_fraction(n_done, n_total, &one_line(&what)),
        Line::Calibration(found) => object = Some(found),
        Line::Written(path) => written = Some(path),
        Line::Other => {}
    })?;
    let status = child.child.wait().context("cannot get the exit status of beastd")?;
    let said = || words_in(&words, status).trim_start_matches("beastd: ").to_owned();
    match object {
        Some(object) if status.success() => Ok(Found { object, written }),
        None if status.success() => Err(BenchError::NotCalibrated("it exited without a result".into()).into()),
        _ => Err(BenchError::NotCalibrated(said()).into()),
    }
}

fn follow(stdout: ChildStdout, wait: &Wait, mut take: impl FnMut(Line)) -> Result<()> {
    let mut pending = Vec::new();
    let outcome = stream(stdout, wait, |bytes| {
        pending.extend_from_slice(bytes);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            take(Line::parse(&pending.drain(..=end).collect::<Vec<_>>()));
        }
        pending.len() <= MAX_LINE
    });
    match outcome {
        Ok(true) => take(Line::parse(&pending)),
        Ok(false) => return Err(BenchError::NotCalibrated("its output is invalid".into()).into()),
        Err(RunError::Wait(error)) => return Err(error.into()),
        Err(error) => return Err(BenchError::NotCalibrated(error.to_string()).into()),
    }
    Ok(())
}
