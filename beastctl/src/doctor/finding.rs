//! The result of a check.

use std::{io, path::Path};

use beast_launchd::Advised;
use serde_json::{Value, json};

use crate::{
    exit::{Failing, FileError, READ},
    output::{Verdict, one_line},
    text::quoted,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
    pub(super) text: String,
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, text: text.into(), fix: None }
    }

    pub(super) fn warning(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, text: text.into(), fix: Some(fix.into()) }
    }

    pub(super) fn problem(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Problem, text: text.into(), fix: Some(fix.into()) }
    }

    pub(super) fn of_error(check: &'static str, error: &impl Failing) -> Self {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::said(Verdict::Problem, check, &format!("{error}{cause}"), &error.hint().unwrap_or_default())
    }

    pub(super) fn unreadable(check: &'static str, path: &Path, error: io::Error) -> Self {
        Self::of_error(check, &FileError::of(READ, path)(error))
    }

    /// A finding if the mode gives other users access to a private file or folder.
    pub(super) fn too_open(check: &'static str, what: &str, path: &Path, mode: u32, right: &str) -> Option<Self> {
        let mode = mode & 0o777;
        (mode & 0o077 != 0).then(|| {
            let place = path.display().to_string();
            let text = format!("{what} {place} is open to other users (mode {mode:04o})");
            Self::problem(check, text, format!("chmod {right} {}", quoted(&place)))
        })
    }

    /// A finding from another room's message, which may include a fix.
    pub(super) fn said(verdict: Verdict, check: &'static str, words: &str, fix: &str) -> Self {
        Self::advised(verdict, check, Advised::new(&one_line(words)), fix)
    }

    /// A finding with the message's own fix, or else this one.
    pub(super) fn advised(verdict: Verdict, check: &'static str, message: Advised, fix: &str) -> Self {
        let Advised { text, step } = message.or_try(|| Some(fix.into()));
        Self { check, verdict, text, fix: step }
    }

    pub(super) fn line(&self) -> String {
        Advised { text: self.text.clone(), step: self.fix.clone() }.to_string()
    }

    pub(super) fn object(&self) -> Value {
        json!({ "check": self.check, "verdict": self.verdict.word(), "text": self.text, "fix": self.fix })
    }
}
