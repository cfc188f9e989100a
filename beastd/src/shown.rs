//! Filters a request's events for its client: splits the answer into thoughts, text and calls, and cuts it to the
//! extent that the client wants. Knows neither the worker nor the client.

use beast_protocol::{Event, FinishReason, Generate, Resume};

use crate::extent::Until;
use crate::tools::AnswerParser;

/// The filter of one request.
pub(crate) struct Shown {
    /// Splits the answer; `None` if it is only text.
    parser: Option<AnswerParser>,
    until: Until,
    /// The limit for thoughts in tokens, if there is one, and the answer so far.
    limit: Option<(u32, Resume)>,
    /// Whether the client has received `Started`, which the events after the thoughts repeat.
    has_started: bool,
}

/// Thoughts that have reached their limit.
pub(crate) struct Thought {
    /// The answer so far, as the client has it.
    pub(crate) resume: Resume,
    /// The text that closes the thoughts.
    pub(crate) closing: String,
}

impl Shown {
    /// A filter for a new or resumed answer.
    pub(crate) fn new(request: &Generate, parser: Option<AnswerParser>) -> Self {
        let mut until = Until::new(request.extent);
        if let (Some(resume), None) = (&request.resume, &parser) {
            until.skip(&resume.text);
        }
        let limit = request.max_thought.map(|n| (n, request.resume.clone().unwrap_or_default()));
        Self { parser, until, limit, has_started: false }
    }

    /// Continues after the thoughts: the client has already received `Started`.
    pub(crate) fn behind_thoughts(self) -> Self {
        Self { has_started: true, ..self }
    }

    /// Splits and cuts events; true when the client needs no more of the answer.
    pub(crate) fn take(&mut self, events: &mut Vec<Event>) -> bool {
        if self.has_started {
            events.retain(|event| !matches!(event, Event::Started { .. }));
        }
        if let Some(parser) = &mut self.parser {
            parser.take_apart(events);
        }
        let is_over = self.until.cut(events);
        for event in events {
            match event {
                Event::Piece { text, tokens, .. } => {
                    if let Some((_, resume)) = &mut self.limit {
                        resume.text += text;
                        resume.tokens.extend(&*tokens);
                    }
                }
                Event::Done { reason, .. } if self.until.is_over() && *reason == FinishReason::Cancelled => {
                    *reason = FinishReason::StopText;
                }
                _ => {}
            }
        }
        is_over
    }

    /// The thoughts, once they have reached their limit.
    pub(crate) fn thought(&mut self) -> Option<Thought> {
        let thoughts = self.parser.as_ref()?.open_thought()?;
        let (_, resume) = self.limit.take_if(|(n, resume)| resume.tokens.len() >= *n as usize)?;
        Some(Thought { resume, closing: thoughts.closing() })
    }
}
