//! The present day in words, as `strftime` of Python gives it. Knows no templates.

use jiff::Zoned;
use jiff::fmt::strtime::{BrokenDownTime, Config};

/// The local time in the words of `format`.
pub(super) fn now(format: &str) -> String {
    strftime(format, &Zoned::now())
}

/// What is no directive stays as it is, which is what the C library does.
pub(super) fn strftime(format: &str, time: &Zoned) -> String {
    let config = Config::new().lenient(true);
    BrokenDownTime::from(time).to_string_with_config(&config, format).unwrap_or_else(|_| format.to_owned())
}
