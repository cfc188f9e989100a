//! The configuration, as validated by beastd.

use std::path::Path;

use super::finding::Finding;
use crate::{
    output::Verdict,
    settings::Settings,
    wait::{Wait, WaitError},
};

const CHECK: &str = "configuration";

/// Also returns the settings, which are empty if beastd rejects them.
pub(super) fn check(program: &Path, wait: &Wait) -> Result<(Finding, Settings), WaitError> {
    let file = beast_launchd::paths::config_dir().map(|folder| folder.join("config.toml"));
    let place = file.as_ref().map_or("config.toml".into(), |file| file.display().to_string());
    Ok(match Settings::ask(program, wait)? {
        Err(error) => {
            let words = error.to_string();
            let words = words.strip_prefix("beastd: ").unwrap_or(&words);
            let fix = format!("fix {place}, or the BEAST_... variable it names");
            (Finding::said(Verdict::Problem, CHECK, words, &fix), Settings::default())
        }
        Ok(settings) => {
            let text = match file {
                Ok(file) if file.exists() => place,
                _ => format!("defaults (there is no {place})"),
            };
            (Finding::ok(CHECK, text), settings)
        }
    })
}
