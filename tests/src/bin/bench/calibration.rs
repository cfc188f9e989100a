//! beastd's calibration on this machine: read, or made by beastd itself if there is none.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use beast_protocol::Tuning;
use serde_json::Value;

use crate::{
    Setup,
    beast::{Beast, LIMIT, daemon, home},
    process::{Process, last_line, wait_for},
    report::say,
};

/// What a report shows of it and computes with.
pub struct Calibration {
    pub in_words: String,
    /// Time of a step that verifies this many tokens of one sequence, in milliseconds; empty if not measured.
    pub verify_costs: Vec<(u32, f64)>,
}

/// Lets beastd calibrate the machine once, unless that was done. Failures appear in the report: the measurements then
/// show the daemon without calibration.
pub fn ensure(setup: &Setup, is_busy: bool) {
    let in_words = find(setup, is_busy).unwrap_or_else(|error| format!("not calibrated: {error:#}"));
    say(&format!("  {in_words}"));
    // Without these costs the theoretical limit is unknown, as the report will say.
    let verify_costs = verify_costs(&setup.model).unwrap_or_default();
    setup.calibration.get_or_init(|| Calibration { in_words, verify_costs });
}

fn find(setup: &Setup, is_busy: bool) -> Result<String> {
    say("calibration");
    let tuning = tuning(setup)?;
    if tuning.is_calibrated {
        return Ok(in_words(&tuning));
    }
    // A calibration made now would be saved, and all daemons would use it.
    ensure!(!is_busy, "the machine is busy with other things");
    say("  beastd --calibrate");
    calibrate(setup)?;
    Ok(in_words(&self::tuning(setup)?))
}

fn verify_costs(model: &Path) -> Result<Vec<(u32, f64)>> {
    let calibration: Value = serde_json::from_str(&fs::read_to_string(file_of(model))?)?;
    parse_costs(&calibration["verify"]).context("the calibration tells no `verify`")
}

fn parse_costs(verify: &Value) -> Option<Vec<(u32, f64)>> {
    let cost = |cost: &Value| Some((u32::try_from(cost["n_tokens"].as_u64()?).ok()?, cost["ms"].as_f64()?));
    verify.as_array()?.iter().map(cost).collect()
}

/// Where beastd saves it.
fn file_of(model: &Path) -> PathBuf {
    let mut path = model.as_os_str().to_owned();
    path.push(".calibration.json");
    path.into()
}

fn tuning(setup: &Setup) -> Result<Tuning> {
    Ok(Beast::start(setup)?.status()?.tuning)
}

fn in_words(tuning: &Tuning) -> String {
    let origin = if tuning.is_calibrated { "calibrated" } else { "not calibrated" };
    let weights = if tuning.is_repacked { "repacked" } else { "as stored" };
    format!("beastd is {origin} ({}), weights {weights}, {} decoded at once", tuning.origin, tuning.decode_width)
}

fn calibrate(setup: &Setup) -> Result<()> {
    let home = home()?;
    let said = home.path().join("said");
    let stdout = File::create(&said)?;
    let mut command = daemon(setup, home.path());
    command.arg("--calibrate").args(["--set", &format!("n_threads={}", setup.n_threads)]);
    command.stdin(Stdio::null()).stderr(stdout.try_clone()?).stdout(stdout);
    let mut process = Process::start(&mut command)?;
    let mut ended = || process.ended();
    let status = wait_for("the end of beastd --calibrate", LIMIT, Duration::from_millis(100), &mut ended)?;
    let said = String::from_utf8_lossy(&fs::read(&said)?).into_owned();
    ensure!(status.success(), "beastd --calibrate ended with {status}: {}", last_line(&said));
    Ok(())
}

#[cfg(test)]
#[path = "calibration_tests.rs"]
mod tests;
