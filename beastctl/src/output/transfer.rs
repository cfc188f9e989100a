//! Progress of a download: bar, bytes, rate, time left.

use std::time::{Duration, Instant};

use super::{
    tables::{bar, is_utf8},
    units::{bytes, span},
};

/// Width of the bar in characters.
const WIDTH: usize = 20;
/// Time before the speed is shown.
const SHORT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Transfer {
    verb: &'static str,
    name: String,
    /// Time and number of bytes at the start of this run, which the speed is computed from.
    began: Option<(Instant, u64)>,
}

impl Transfer {
    /// Progress of a file that is being `verb`, such as "downloading".
    pub fn new(verb: &'static str, name: &str) -> Self {
        Self { verb, name: name.into(), began: None }
    }

    pub fn text(&mut self, done: u64, total: Option<u64>, now: Instant) -> String {
        let (began, before) = *self.began.get_or_insert((now, done));
        if done < before {
            // The download starts over.
            self.began = Some((now, done));
        }
        let elapsed = now.saturating_duration_since(began);
        let speed = done.saturating_sub(before) as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
        let mut text = format!("{} {}: ", self.verb, self.name);
        match total.filter(|total| *total > 0) {
            Some(total) => {
                let share = done as f64 / total as f64;
                let bar = bar(share, WIDTH, is_utf8());
                let space = WIDTH.saturating_sub(bar.chars().count());
                text += &format!("[{bar}{:space$}] {:.0} %, {} of {}", "", share * 100.0, bytes(done), bytes(total));
            }
            None => text += &bytes(done),
        }
        if elapsed >= SHORT && speed >= 1.0 {
            text += &format!(", {}/s", bytes(speed as u64));
            if let Some(left) = total.and_then(|total| total.checked_sub(done)).filter(|left| *left > 0) {
                text += &format!(", {} left", span((left as f64 / speed * 1000.0).max(1000.0) as u64));
            }
        }
        text
    }
}

#[cfg(test)]
#[path = "transfer_tests.rs"]
mod tests;
