//! Progress text from the daemon's events: the stage, the position in the queue, the number of finished parts.

use std::time::{Duration, Instant};

use beast_protocol::{Event, Part, Round};

use beast_launchd::shown::one_line;

use super::units::span;

/// Shorter times are not shown.
const SHORT: Duration = Duration::from_secs(1);
/// How much of a part's answer to look at: more than fits on a terminal's line.
const MAX_EXCERPT: usize = 1000;

#[derive(Debug, Default)]
pub struct Waiting {
    what: What,
}

#[derive(Debug, Default)]
enum What {
    #[default]
    Nothing,
    Words(String),
    Round {
        round: Round,
        n_done: u32,
        began: Instant,
        /// Beginning of the latest part's answer.
        excerpt: String,
    },
}

impl Waiting {
    /// Takes an event; events without news about waiting are ignored.
    pub fn take(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Loading { stage, fraction } => {
                self.say(format!("loading: {} {:.0} %", stage.label(), fraction * 100.0));
            }
            Event::Queued { position: 0 } => self.say("in the queue".into()),
            Event::Queued { position } => self.say(format!("in the queue, {position} ahead")),
            // The prefill of a single part says nothing about the whole.
            Event::Progress { .. } if self.is_in_round() => {}
            Event::Progress { n_done, n_total } => {
                let percent = f64::from(*n_done) * 100.0 / f64::from((*n_total).max(1));
                self.say(format!("reading the prompt: {percent:.0} %"));
            }
            Event::Round(round) => {
                let excerpt = String::new();
                self.what = What::Round { round: *round, n_done: 0, began: now, excerpt };
            }
            Event::Part(part) => self.part(part),
            _ => {}
        }
    }

    pub fn say(&mut self, words: String) {
        self.what = What::Words(words);
    }

    pub fn text(&self, now: Instant) -> Option<String> {
        match &self.what {
            What::Nothing => None,
            What::Words(words) => Some(words.clone()),
            What::Round { round, n_done, began, excerpt } => {
                Some(round_text(round, *n_done, now.saturating_duration_since(*began), excerpt))
            }
        }
    }

    fn is_in_round(&self) -> bool {
        matches!(self.what, What::Round { round, n_done, .. } if n_done < round.n_parts)
    }

    fn part(&mut self, part: &Part) {
        if let What::Round { n_done, excerpt, .. } = &mut self.what {
            *n_done = part.n_done;
            let end = part.text.floor_char_boundary(MAX_EXCERPT);
            *excerpt = one_line(&part.text[..end]);
        }
    }
}

fn round_text(round: &Round, n_done: u32, elapsed: Duration, excerpt: &str) -> String {
    let (n, of) = ((n_done + 1).min(round.n_parts), round.n_parts);
    let mut text = match round.round {
        0 | 1 => format!("part {n}/{of}"),
        number => format!("merging {n}/{of} (round {number})"),
    };
    if elapsed >= SHORT {
        text += &format!(", {}", in_words(elapsed));
    }
    let n_left = of.saturating_sub(n_done);
    if n_done > 0 && n_left > 0 && elapsed >= SHORT {
        let left = elapsed.mul_f64(f64::from(n_left) / f64::from(n_done));
        text += &format!(", about {} left", in_words(left.max(SHORT)));
    }
    if !excerpt.is_empty() {
        text += &format!("  {excerpt}");
    }
    text
}

fn in_words(time: Duration) -> String {
    span(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
