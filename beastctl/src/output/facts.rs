//! Aligned lines for people, each with a label and a fact.

use super::one_line;

#[derive(Debug, Default)]
pub struct Facts(String);

impl Facts {
    pub fn add(&mut self, label: &str, value: impl Into<Option<String>>) {
        if let Some(value) = value.into() {
            self.0 += &format!("{label:<10}{}\n", one_line(&value));
        }
    }

    pub fn text(self) -> String {
        self.0
    }
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
