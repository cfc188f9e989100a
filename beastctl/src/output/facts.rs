//! Aligned lines for people, a label and what is known of it each.

use std::fmt::Write as _;

use super::one_line;

#[derive(Debug, Default)]
pub struct Facts(String);

impl Facts {
    pub fn add(&mut self, label: &str, value: impl Into<Option<String>>) {
        if let Some(value) = value.into() {
            // Writing to a String cannot fail.
            let _ = writeln!(self.0, "{label:<10}{}", one_line(&value));
        }
    }

    pub fn text(self) -> String {
        self.0
    }
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
