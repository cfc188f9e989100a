//! The current date, formatted like Python's `strftime`. Knows no templates.

use jiff::Zoned;
use jiff::fmt::strtime::{BrokenDownTime, Config};

pub(super) fn now(format: &str) -> String {
    strftime(format, &Zoned::now())
}

/// Unknown directives stay as they are, as in the C library.
pub(super) fn strftime(format: &str, time: &Zoned) -> String {
    let config = Config::new().lenient(true);
    BrokenDownTime::from(time).to_string_with_config(&config, format).unwrap_or_else(|_| format.to_owned())
}
