//! Durations as they are written. Knows no settings.

use std::time::Duration;

/// `5m`, `1h 30m`, `0` or `never`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    match text.trim() {
        "never" => Ok(Duration::MAX),
        "0" => Ok(Duration::ZERO),
        text => {
            humantime::parse_duration(text).map_err(|_| "expected a duration such as 30s, 5m, 1h, 0 or never".into())
        }
    }
}
