//! Bars made of characters.

use std::{env, ffi::OsString};

/// Blocks from an eighth to a full one.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// A bar of at most `width` characters for a share of the whole. Any share above 0 is visible.
pub fn bar(share: f64, width: usize, is_utf8: bool) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let length = share * width as f64;
    if !is_utf8 {
        let n = if share > 0.0 { length.round().max(1.0) } else { 0.0 };
        return "#".repeat(n as usize);
    }
    let n_eighths = if share > 0.0 { (length * 8.0).round().max(1.0) } else { 0.0 } as usize;
    let rest = (n_eighths % 8).checked_sub(1).map(|n| EIGHTHS[n]);
    std::iter::repeat_n(EIGHTHS[7], n_eighths / 8).chain(rest).collect()
}

/// Whether the environment declares a UTF-8 terminal.
pub fn is_utf8() -> bool {
    says_utf8(|name| env::var_os(name))
}

/// The first of these variables that is set decides, as in the C library.
fn says_utf8(var: impl Fn(&str) -> Option<OsString>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(var).find(|value| !value.is_empty());
    let locale = locale.unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
#[path = "bar_tests.rs"]
mod tests;
