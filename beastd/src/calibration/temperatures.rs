//! Temperatures of decisions, fitted to labelled examples and saved beside the model. Knows no questions.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use beast_launchd::file;
use beast_protocol::{KeepTemperatures, QuestionKind};
use serde::{Deserialize, Serialize};

use super::{MAX_BYTES, places_of, write_file};
use crate::fingerprint;

/// Raised when the prompts of decisions change, which makes earlier fits meaningless.
const VERSION: u32 = 1;
/// Valid temperatures; a fit outside this range has failed.
pub const RANGE: std::ops::RangeInclusive<f32> = 0.01..=100.0;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Kept {
    version: u32,
    /// UTC, RFC 3339.
    measured_at: String,
    /// Fingerprint of the model, in hex.
    model: String,
    temperatures: Vec<Fitted>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Fitted {
    kind: QuestionKind,
    temperature: f32,
    n_examples: u32,
}

/// The temperatures of a loaded model.
#[derive(Debug)]
pub struct Temperatures {
    model: PathBuf,
    fingerprint: String,
    kept: Mutex<Kept>,
}

impl Temperatures {
    /// Reads the temperatures of a model; empty if there is no file, or it belongs to another model or version.
    pub fn find(model: &Path, fingerprint: &[u8; 32]) -> Self {
        let fingerprint = fingerprint::hex(fingerprint);
        let read = |path: &PathBuf| file::read_text(path, MAX_BYTES).ok();
        let text = places(model, &fingerprint).iter().find_map(read);
        let kept: Option<Kept> = text.and_then(|text| serde_json::from_str(&text).ok());
        let is_ours = |kept: &Kept| kept.version == VERSION && kept.model == fingerprint;
        let kept = Mutex::new(kept.filter(is_ours).unwrap_or_default());
        Self { model: model.to_owned(), fingerprint, kept }
    }

    /// The temperature for this kind of question; 1 if none was fitted.
    pub fn of(&self, kind: QuestionKind) -> f32 {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fitted = kept.temperatures.iter().find(|fitted| fitted.kind == kind).map(|fitted| fitted.temperature);
        fitted.filter(|temperature| RANGE.contains(temperature)).unwrap_or(1.0)
    }

    /// Saves these temperatures beside the model, or else in the cache, and uses them from now on; returns the path.
    ///
    /// # Errors
    /// When neither is writable.
    pub fn keep(&self, fitted: &KeepTemperatures) -> io::Result<PathBuf> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Kept {
            version: VERSION,
            measured_at: humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
            model: self.fingerprint.clone(),
            temperatures: kept.temperatures.clone(),
        };
        for &(kind, temperature) in &fitted.temperatures {
            next.temperatures.retain(|fitted| fitted.kind != kind);
            next.temperatures.push(Fitted { kind, temperature, n_examples: fitted.n_examples });
        }
        let text = serde_json::to_string_pretty(&next).map_err(io::Error::other)? + "\n";
        let mut outcome = Err(io::ErrorKind::NotFound.into());
        for path in places(&self.model, &self.fingerprint) {
            outcome = write_file(&path, &text).map(|()| path);
            if outcome.is_ok() {
                *kept = next;
                break;
            }
        }
        outcome
    }
}

fn places(model: &Path, fingerprint: &str) -> Vec<PathBuf> {
    places_of(model, fingerprint, "decide.json")
}

#[cfg(test)]
#[path = "temperatures_tests.rs"]
mod tests;
