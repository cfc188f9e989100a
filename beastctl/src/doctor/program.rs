//! The program beastd: present, and of the same version as beastctl.

use std::path::PathBuf;

use super::finding::Finding;
use crate::{
    output::{Verdict, one_line},
    program::ask,
    start::find_beastd,
    wait::{Wait, WaitError},
};

const CHECK: &str = "program";
const CLIENT: &str = env!("CARGO_PKG_VERSION");

/// Also returns the program, if it can be run.
pub(super) fn check(wait: &Wait) -> Result<(Finding, Option<PathBuf>), WaitError> {
    let Some(program) = find_beastd() else {
        let fix = "put beastd beside beastctl, or into a folder in PATH";
        return Ok((Finding::problem(CHECK, "beastd not found beside beastctl or in PATH", fix), None));
    };
    let place = program.display().to_string();
    let said = ask(&program, &["--version"], wait)?.and_then(|said| said.answer());
    let finding = match said {
        Err(words) => {
            let words = format!("cannot run {place}: {}", one_line(&words));
            let fix = "reinstall beast: it may be built for another machine";
            return Ok((Finding::said(Verdict::Problem, CHECK, &words, fix), None));
        }
        Ok(said) => judge(&place, said.trim()),
    };
    Ok((finding, Some(program)))
}

fn judge(place: &str, said: &str) -> Finding {
    match said.strip_prefix("beastd ") {
        Some(CLIENT) => Finding::ok(CHECK, format!("{place}, version {CLIENT}")),
        Some(version) => {
            let text = format!("{place} has version {}, but beastctl has {CLIENT}", one_line(version));
            Finding::warning(CHECK, text, "install both from one package, then beastctl stop")
        }
        None => {
            let text = format!("{place} is not beast's daemon: its --version is `{}`", one_line(said));
            Finding::problem(CHECK, text, format!("move {place} away, or reorder the folders in PATH"))
        }
    }
}
