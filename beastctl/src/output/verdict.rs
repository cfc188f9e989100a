//! The results of checks, one line each: `ok       disk     text; try: fix`.

use beast_launchd::shown::one_line;

use super::console::Console;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Ok,
    /// It works, but could be better.
    Warning,
    /// It prevents something from working.
    Problem,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Problem => "problem",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Verdict::Ok => "\x1b[32m",
            Verdict::Warning => "\x1b[33m",
            Verdict::Problem => "\x1b[1;31m",
        }
    }
}

impl Console {
    /// A line on stdout for a finding; untrusted text in it is sanitized.
    pub fn verdict_line(&self, verdict: Verdict, check: &str, text: &str) -> String {
        let word = format!("{:<9}", verdict.word());
        let (on, off) = if self.stdout_has_colour { (verdict.colour(), "\x1b[0m") } else { ("", "") };
        format!("{on}{word}{off}{check:<15}{}\n", one_line(text))
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
