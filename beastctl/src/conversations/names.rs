//! Names of conversations: chosen and automatic ones.

use std::time::SystemTime;

use super::ConversationError;

/// Longest name, in bytes.
const MAX_LEN: usize = 64;
/// The form of an automatic name; `d` stands for a digit, and a number may follow.
const FORM: &str = "dddd-dd-dd-dddddd";

/// The rule for names, as advice.
pub const RULE: &str = "use letters, digits, `-`, `_` and `.`, at most 64 bytes, not starting with `.` or `-`";

/// Rejects names that would lead outside the folder or look like an option.
pub fn check(name: &str) -> Result<(), ConversationError> {
    // Letters of any script: the file systems of Linux and macOS accept them.
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_good = (1..=MAX_LEN).contains(&name.len()) && !name.starts_with(['.', '-']) && name.chars().all(is_allowed);
    if is_good { Ok(()) } else { Err(ConversationError::Name(name.into())) }
}

/// An automatic name for this time in UTC, so that names sort by time. `n` is above 1 if the name is taken.
pub(super) fn automatic(time: SystemTime, n: usize) -> String {
    let time = humantime::format_rfc3339_seconds(time).to_string();
    let name: String = time.replace('T', "-").chars().filter(|c| !matches!(c, ':' | 'Z')).collect();
    if n > 1 { format!("{name}-{n}") } else { name }
}

/// Whether a name has the automatic form, so that its conversation may be removed when there are too many.
pub fn is_automatic(name: &str) -> bool {
    let Some((time, rest)) = name.split_at_checked(FORM.len()) else { return false };
    let is_time =
        time.chars().zip(FORM.chars()).all(|(c, form)| if form == 'd' { c.is_ascii_digit() } else { c == form });
    let is_number = |n: &str| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit());
    is_time && (rest.is_empty() || rest.strip_prefix('-').is_some_and(is_number))
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
