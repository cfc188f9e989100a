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
    /// The limit for thoughts in tokens, if there is one.
    max_thought: Option<u32>,
    /// Whether the answer is brought to its end where it repeats itself.
    may_close: bool,
    /// Whether it is being brought to its end.
    is_closing: bool,
    /// The answer so far, as the client has it, if it may continue as another request.
    said: Option<Resume>,
    /// Whether the client has received `Started`, which the events of a continued answer repeat.
    has_started: bool,
}

/// An answer that continues as another request.
#[derive(Debug)]
pub(crate) struct Continuation {
    /// The answer so far, as the client has it.
    pub(crate) said: Resume,
    pub(crate) why: Why,
}

/// Why an answer continues as another request.
#[derive(Debug)]
pub(crate) enum Why {
    /// Its thoughts have reached their limit; this text closes them.
    Thoughts { closing: String },
    /// It repeats itself and is to end. This event ends it if it cannot continue.
    Repeats { done: Box<Event> },
}

impl Shown {
    /// A filter for a new or resumed answer.
    pub(crate) fn new(request: &Generate, parser: Option<AnswerParser>) -> Self {
        let mut until = Until::new(request.extent);
        if let (Some(resume), None) = (&request.resume, &parser) {
            until.skip(&resume.text);
        }
        let max_thought = request.max_thought;
        let may_close = request.soft_limit.is_some() && request.constraint.is_none();
        let may_continue = max_thought.is_some() || may_close;
        let said = may_continue.then(|| request.resume.clone().unwrap_or_default());
        Self { parser, until, max_thought, may_close, is_closing: false, said, has_started: false }
    }

    /// Continues an answer for this reason: the client has already received `Started`.
    pub(crate) fn continued(self, why: &Why) -> Self {
        let is_closing = matches!(why, Why::Repeats { .. });
        Self { has_started: true, may_close: self.may_close && !is_closing, is_closing, ..self }
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
                    if let Some(said) = &mut self.said {
                        said.text += text;
                        said.tokens.extend(&*tokens);
                    }
                }
                Event::Done { reason, .. } => {
                    if self.until.is_over() && *reason == FinishReason::Cancelled {
                        *reason = FinishReason::StopText;
                    }
                    if self.is_closing && matches!(reason, FinishReason::Stop | FinishReason::StopText) {
                        *reason = FinishReason::Closed;
                    }
                }
                _ => {}
            }
        }
        is_over
    }

    /// Whether the answer has to continue as another request, after these events. Takes its end from them.
    pub(crate) fn continuation(&mut self, events: &mut Vec<Event>) -> Option<Continuation> {
        let repeats = |event: &mut Event| matches!(event, Event::Done { reason: FinishReason::Repetition, .. });
        let why = if let Some(thoughts) = self.parser.as_ref().and_then(AnswerParser::open_thought)
            && let (Some(n), Some(said)) = (self.max_thought, &self.said)
            && said.tokens.len() >= n as usize
        {
            Why::Thoughts { closing: thoughts.closing() }
        } else if self.may_close
            && let Some(done) = events.pop_if(repeats)
        {
            Why::Repeats { done: Box::new(done) }
        } else {
            return None;
        };
        Some(Continuation { said: self.said.take()?, why })
    }
}
