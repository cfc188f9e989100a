//! Errors among the last lines of the daemon's log.

use std::path::PathBuf;

use super::finding::Finding;
use crate::{
    exit::Failure,
    logs::files,
    output::{Verdict, units::count},
    wait::Wait,
};

const CHECK: &str = "log";
/// How many of the last lines to check.
const N_LINES: usize = 200;

/// beastd's message when it rejects a new configuration and keeps the current one.
const REFUSED: &str = "configuration not reloaded";
/// beastd's messages when it accepts a configuration, at its start and later.
const READ: [&str; 2] = ["beastd: listening", "configuration reloaded"];

/// `folder` is `None` if no log is written; `is_configuration_fine` says whether beastd accepts the current
/// configuration.
pub(super) fn check(folder: Option<PathBuf>, is_configuration_fine: bool) -> Finding {
    let Some(folder) = folder else {
        return Finding::ok(CHECK, "log files are off");
    };
    // Reading this few lines needs no time limit.
    let tail = |files: Vec<_>| Ok((files.len(), files::tail(&files, N_LINES, &Wait::default())?));
    match files::list(&folder).map_err(Failure::from).and_then(tail) {
        Err(error) => Finding::advised(Verdict::Warning, CHECK, error.advised(), "beastctl logs"),
        Ok((0, _)) => Finding::ok(CHECK, format!("nothing in {} yet", folder.display())),
        Ok((_, tail)) => judge(&String::from_utf8_lossy(&tail.bytes), is_configuration_fine),
    }
}

fn judge(lines: &str, is_configuration_fine: bool) -> Finding {
    // A line begins with time, level and target.
    let level = |line: &str| line.split_whitespace().nth(1) == Some("ERROR");
    let mut errors: Vec<&str> = Vec::new();
    for line in lines.lines() {
        if level(line) {
            errors.push(line);
        } else if READ.iter().any(|words| line.contains(words)) {
            errors.retain(|error| !error.contains(REFUSED));
        }
    }
    if is_configuration_fine {
        // The configuration has been fixed but not reloaded yet.
        errors.retain(|error| !error.contains(REFUSED));
    }
    match errors.last() {
        None => Finding::ok(CHECK, format!("no error in its last {}", count(lines.lines().count() as u64, "line"))),
        Some(last) => {
            let n = count(errors.len() as u64, "error");
            let text = format!("{n} in its last {N_LINES} lines, the last one: {last}");
            Finding::warning(CHECK, text, "beastctl logs -n 200")
        }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
