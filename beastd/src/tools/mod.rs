//! What an answer is made of besides text: thoughts and calls of functions, in the format of each model family.

use beast_protocol::{Delta, Event};

/// Takes an answer apart while it comes.
#[derive(Debug)]
pub struct AnswerParser;

impl AnswerParser {
    /// More text of the answer.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        vec![Delta::Text(text.to_owned())]
    }

    /// What was held back when the answer ends.
    pub fn finish(&mut self) -> Vec<Delta> {
        Vec::new()
    }

    /// Fills the pieces of a batch of events.
    pub fn take_apart(&mut self, events: &mut Vec<Event>) {
        for event in events.iter_mut() {
            if let Event::Piece { text, deltas, .. } = event {
                *deltas = self.push(text);
            }
        }
        if matches!(events.last(), Some(Event::Done { .. })) {
            let deltas = self.finish();
            if !deltas.is_empty() {
                let (text, tokens, sampled_at_us, logprobs) = (String::new(), Vec::new(), 0, Vec::new());
                let rest = Event::Piece { text, tokens, sampled_at_us, deltas, logprobs };
                events.insert(events.len() - 1, rest);
            }
        }
    }
}
