//! What a client is shown of the worker's events: taken apart into thoughts, text and calls, and no more than it wants.
//! Knows neither the worker nor the client.

use beast_protocol::{Event, FinishReason, Generate, Resume};

use crate::extent::Until;
use crate::tools::AnswerParser;

/// What a client is shown of the worker's events.
pub(crate) struct Shown {
    /// Takes the answer apart, where it is more than text.
    parser: Option<AnswerParser>,
    until: Until,
    /// Tokens of thoughts that may still come, where they have a limit, and what has come.
    limit: Option<(u32, Resume)>,
    /// Whether it has heard that its answer begins.
    has_started: bool,
}

/// Thoughts that have reached their limit.
pub(crate) struct Thought {
    /// What the client has.
    pub(crate) resume: Resume,
    /// What has to follow.
    pub(crate) closing: String,
}

impl Shown {
    /// Nothing has come yet but what a resumed answer brings.
    pub(crate) fn new(request: &Generate, parser: Option<AnswerParser>) -> Self {
        let mut until = Until::new(request.extent);
        if let (Some(resume), None) = (&request.resume, &parser) {
            until.skip(&resume.text);
        }
        let limit = request.max_thought.map(|n| (n, request.resume.clone().unwrap_or_default()));
        Self { parser, until, limit, has_started: false }
    }

    /// The client has heard that its answer begins.
    pub(crate) fn behind_thoughts(self) -> Self {
        Self { has_started: true, ..self }
    }

    /// Takes events apart and cuts them; true when the client needs no more of the answer.
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

    /// The thoughts, when they are longer than they may be.
    pub(crate) fn thought(&mut self) -> Option<Thought> {
        let thoughts = self.parser.as_ref()?.open_thought()?;
        let (_, resume) = self.limit.take_if(|(n, resume)| resume.tokens.len() >= *n as usize)?;
        Some(Thought { resume, closing: thoughts.closing() })
    }
}
