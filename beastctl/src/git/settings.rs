//! git settings for the hook and for comments.

use std::{ffi::OsString, os::unix::ffi::OsStrExt, time::Duration};

use super::{error::GitError, program::Git};

/// The comment character, unless configured.
const COMMENT: &str = "#";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `beast.hook`: whether the hook does anything.
    pub is_enabled: bool,
    /// `beast.hookTimeout`, unparsed.
    pub timeout: Option<String>,
    pub comment: String,
    /// `i18n.commitEncoding`, unless it is UTF-8.
    pub encoding: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { is_enabled: true, timeout: None, comment: COMMENT.into(), encoding: None }
    }
}

impl Settings {
    pub fn read(git: Git<'_>) -> Result<Self, GitError> {
        // Not `--get-regexp`, which fails when nothing matches.
        let bytes = git.output(&["config", "--list", "--null"])?;
        let mut settings = Self::default();
        for entry in bytes.split(|byte| *byte == 0) {
            settings.take(&String::from_utf8_lossy(entry));
        }
        Ok(settings)
    }

    /// The last value of a key counts, as in git. A key without a value means yes.
    fn take(&mut self, entry: &str) {
        let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
        match key {
            "beast.hook" => self.is_enabled = !is_no(value),
            "beast.hooktimeout" => self.timeout = Some(value.to_owned()),
            "i18n.commitencoding" => {
                let is_ours = ["utf-8", "utf8", ""].iter().any(|name| value.eq_ignore_ascii_case(name));
                self.encoding = (!is_ours).then(|| value.to_owned());
            }
            // With `auto`, git chooses another character only if lines of the message begin with this one, and there
            // is no message yet.
            "core.commentchar" | "core.commentstring" if value == "auto" => self.comment = COMMENT.into(),
            "core.commentchar" | "core.commentstring" if !value.is_empty() => self.comment = value.to_owned(),
            _ => {}
        }
    }

    /// Why a message cannot be written in the repository's encoding. ASCII letters are the same in every encoding
    /// that git supports.
    pub fn unwritable(&self, message: &str) -> Option<String> {
        let encoding = self.encoding.as_ref().filter(|_| !message.is_ascii())?;
        Some(format!("git config i18n.commitEncoding is `{encoding}`, but the message is not plain ASCII"))
    }

    /// The time limit, if one is set; the inner error says what is wrong with it.
    pub fn limit(&self, parse: impl FnOnce(&str) -> Result<Duration, String>) -> Option<Result<Duration, String>> {
        let text = self.timeout.as_deref()?;
        Some(parse(text).map_err(|problem| format!("git config beast.hookTimeout is `{text}`, but {problem}")))
    }
}

/// Whether `BEAST_HOOK` disables the hook.
pub(crate) fn is_off(value: Option<OsString>) -> bool {
    value.is_some_and(|value| std::str::from_utf8(value.as_bytes()).is_ok_and(is_no))
}

/// Whether git reads this value as no.
fn is_no(value: &str) -> bool {
    ["false", "no", "off", "0", ""].iter().any(|no| value.eq_ignore_ascii_case(no))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
