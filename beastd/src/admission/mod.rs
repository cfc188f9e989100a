//! Turns a wire request into tokens and validated parameters, or refuses it with a reason.

pub mod beside;
mod calls;
mod marks;
mod overflow;
mod raw;
mod rendering;
pub mod scored;

use std::borrow::Cow;
use std::sync::Arc;

use beast_protocol::{self as wire, ErrorCode, Generate, Message, Notice, Priority, Role, Speculation, WireError};

use crate::admitted::{Admitted, Resumed};
use crate::batch::{Ending, Token};
use crate::engine::{Constraint, Vocab};
use crate::sampling::SamplingDefaults;
use crate::speculation::Wish;
use crate::template::{self, ChatTemplate, Setting};
use crate::tools::AnswerParser;
use calls::Answering;
use marks::Specials;
use overflow::Fitted;
pub use overflow::cut_out;

/// Most tokens to report log-probabilities for, per token of an answer.
pub const MAX_LOGPROBS: u32 = 100;
/// Stop strings per request.
const MAX_STOPS: usize = 256;
/// Bytes per stop string.
const MAX_STOP_LEN: usize = 4096;

/// Validates requests for one model and turns them into tokens.
pub struct Admission {
    vocab: Arc<dyn Vocab>,
    /// `None` for a model without a template; its prompts are plain text.
    template: Option<ChatTemplate>,
    defaults: SamplingDefaults,
    /// Context of one request in tokens.
    n_ctx: usize,
    /// Token limit of an answer if the request sets none.
    max_tokens: usize,
    specials: Specials,
    /// Text of the BOS token; empty without one.
    bos: String,
    /// Bytes of the longest token; the length of a text divided by this is its least number of tokens.
    longest_token: usize,
}

impl Admission {
    pub fn new(
        vocab: Arc<dyn Vocab>,
        template: Option<ChatTemplate>,
        defaults: SamplingDefaults,
        n_ctx: usize,
        max_tokens: usize,
    ) -> Self {
        let longest_token = vocab.longest_token().max(1);
        let specials = Specials::new(vocab.special_texts());
        let bos = vocab.bos_text();
        Self { vocab, template, defaults, n_ctx, max_tokens, specials, bos, longest_token }
    }

    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    pub fn vocab(&self) -> &dyn Vocab {
        &*self.vocab
    }

    /// Validates a request and turns it into tokens, with notices for the user. Takes time proportional to the text, so
    /// not on the sockets' thread.
    ///
    /// # Errors
    /// [`ErrorCode::Invalid`] for an invalid request, [`ErrorCode::TooLong`] with both sizes, also for one that asks to
    /// be answered in parts and has to be.
    pub fn admit(&self, request: &Generate) -> Result<(Admitted, Vec<Notice>), WireError> {
        check_request(request)?;
        self.check_resume(request)?;
        let mut sampling = self.defaults.settle(&request.sampling, self.vocab.n_tokens())?;
        // No request has more tokens than the context, and the engine allocates memory for `last_n`.
        let n_most = u32::try_from(self.n_ctx).unwrap_or(u32::MAX);
        sampling.penalties.last_n = sampling.penalties.last_n.min(n_most);
        sampling.dry.last_n = sampling.dry.last_n.min(n_most);
        let setting = self.setting(request)?;
        let Answering { constraint: of_tools, parser, shown } = self.answering(request, &setting)?;
        let constraint = match of_tools {
            Some(constraint) => Some(constraint),
            None => self.constraint(request)?,
        };
        let n_asked = request.max_tokens.map_or(self.max_tokens, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let Fitted { messages, prompt, notices } = match &request.raw {
            Some(raw) => Fitted { messages: Cow::Borrowed(&[]), prompt: self.raw(request, raw)?, notices: Vec::new() },
            None => self.fit(request, &setting, n_asked)?,
        };
        let shared = self.shared(&messages, &setting, &prompt);
        let resumed = self.resumed(request, &shown);
        let n_known = prompt.len() + resumed.tokens.len();
        if n_known >= self.n_ctx {
            let text = format!(
                "cannot resume the answer: with its prompt it is {n_known} tokens and the context holds {}; try: \
                 repeat the request",
                self.n_ctx
            );
            return Err(WireError::new(ErrorCode::TooLong, text));
        }
        let room = self.n_ctx - n_known;
        let n_max_tokens = n_asked.saturating_sub(resumed.tokens.len()).min(room);
        // Thoughts, which may come first, would be cut short, and so would forms.
        let may_think = |parser: &AnswerParser| resumed.tokens.is_empty() || parser.open_thought().is_some();
        let may_end = constraint.is_none() && !parser.as_ref().is_some_and(may_think);
        if let Some(from) = request.soft_limit.filter(|_| may_end) {
            sampling.ending = Ending { from: from as usize, to: resumed.tokens.len() + n_max_tokens };
        }
        let admitted = Admitted {
            prompt,
            shared,
            sampling,
            n_logprobs: request.logprobs.map(|n| n as usize),
            wanted: Vec::new(),
            n_max_tokens,
            stop: request.stop.clone(),
            distinct: request.distinct,
            ignore_eos: request.ignore_eos,
            wish: wish(request),
            constraint,
            is_background: request.priority == Priority::Background,
            resumed,
            parser,
            shown,
        };
        Ok((admitted, notices))
    }

    /// Length of a prompt in tokens, whether or not it fits.
    ///
    /// # Errors
    /// When the template rejects it.
    pub fn n_prompt(&self, request: &Generate) -> Result<usize, WireError> {
        self.prompt(&request.messages, &self.setting(request)?).map(|prompt| prompt.len())
    }

    /// Refuses a partial answer longer than any answer can be, without tokenizing it.
    fn check_resume(&self, request: &Generate) -> Result<(), WireError> {
        let Some(resume) = &request.resume else { return Ok(()) };
        if resume.tokens.len() >= self.n_ctx || resume.text.len() / self.longest_token >= self.n_ctx {
            let (n_tokens, n_bytes) = (resume.tokens.len(), resume.text.len());
            let text = format!(
                "cannot resume the answer: its {n_tokens} tokens and {n_bytes} bytes exceed the context of {} tokens; \
                 try: repeat the request",
                self.n_ctx
            );
            return Err(WireError::new(ErrorCode::TooLong, text));
        }
        Ok(())
    }

    /// The tokens of a partial answer from another daemon. A different model numbers tokens differently; then the
    /// text is tokenized again.
    fn resumed(&self, request: &Generate, shown: &[(Token, String)]) -> Resumed {
        let Some(resume) = &request.resume else { return Resumed::default() };
        let n_shown = resume.text.len();
        let tokens: Vec<Token> = resume.tokens.iter().map(|&token| Token(token)).collect();
        let is_known = |token: &Token| usize::try_from(token.0).is_ok_and(|n| n < self.vocab.n_tokens());
        let mut bytes = Vec::new();
        for token in tokens.iter().filter(|token| is_known(token)) {
            match shown.iter().find(|(control, _)| control == token) {
                Some((_, text)) => bytes.extend(text.bytes()),
                None => self.vocab.piece(*token, &mut bytes),
            }
        }
        // A character cut in two was sent as U+FFFD.
        match tokens.iter().all(is_known) && String::from_utf8_lossy(&bytes).starts_with(&resume.text) {
            true => Resumed { tokens, n_shown },
            // Shown markers are replaced by their text.
            false => Resumed { tokens: self.vocab.tokenize(&resume.text, false, !shown.is_empty()), n_shown },
        }
    }

    fn constraint(&self, request: &Generate) -> Result<Option<Constraint>, WireError> {
        let outcome = match &request.constraint {
            None => return Ok(None),
            Some(_) if request.ignore_eos => {
                Err("cannot combine a grammar or schema with ignore_eos; try: use one of them".to_owned())
            }
            Some(wire::Constraint::Grammar(text)) => self
                .vocab
                .grammar(text)
                .map_err(|error| format!("invalid GBNF grammar: {error}; try: fix that line, or simplify the grammar")),
            Some(wire::Constraint::Schema(text)) => self.vocab.schema(text).map_err(|error| {
                format!("cannot use the JSON schema: {error}; try: remove that, or simplify the schema")
            }),
        };
        outcome.map(Some).map_err(invalid)
    }

    fn prompt(&self, messages: &[Message], setting: &Setting) -> Result<Vec<Token>, WireError> {
        let Some(template) = &self.template else {
            return Ok(self.vocab.tokenize(&template::plain(messages), true, false));
        };
        let marked = self.specials.mark(messages, setting);
        let text = template
            .render(&marked.messages, &marked.setting)
            .map_err(|error| rendering::template_refusal(&error, messages))?;
        Ok(marked.tokenize(&text, &*self.vocab, self.adds_bos(&text)))
    }

    /// Lengths of prompt prefixes that other requests are likely to share: the system turn, and for a long prompt all
    /// but the last token, which must be computed to continue from.
    fn shared(&self, messages: &[Message], setting: &Setting, prompt: &[Token]) -> Vec<usize> {
        // Stopping before the last token costs an extra step, 1 % of the prefill of a prompt this long.
        const WORTH_A_STEP: usize = 256;
        let mut lengths = Vec::new();
        if prompt.len() >= WORTH_A_STEP {
            lengths.push(prompt.len() - 1);
        }
        let next = match messages {
            [system, next, ..] if system.role == Role::System => Some(next),
            // Tools count as instructions too.
            [first, ..] if !setting.tools.is_empty() => Some(first),
            _ => None,
        };
        if let Some(next) = next.filter(|_| self.template.is_some()) {
            // Rendering twice with different user text shows what stays the same, whatever the template looks like.
            let content = if next.content.starts_with('x') { "y" } else { "x" };
            let other: Vec<Message> = match messages {
                [system, ..] if system.role == Role::System => vec![system.clone(), Message::new(next.role, content)],
                _ => vec![Message::new(next.role, content)],
            };
            let setting = Setting { continue_last: false, ..setting.clone() };
            if let Ok(other) = self.prompt(&other, &setting) {
                lengths.push(prompt.iter().zip(&other).take_while(|(a, b)| a == b).count());
            }
        }
        lengths
    }

    /// Whether the tokenizer should add BOS: not when the template already wrote it.
    fn adds_bos(&self, text: &str) -> bool {
        self.vocab.adds_bos() && (self.bos.is_empty() || !text.starts_with(&self.bos))
    }
}

/// The kinds of drafts that a request allows. A seed asks for a reproducible answer, but the engine's rounding
/// depends on the number of tokens in a step, and drafts would make that number depend on timing.
fn wish(request: &Generate) -> Wish {
    match request.speculation {
        Speculation::Auto if request.sampling.seed.is_some() => Wish::OFF,
        Speculation::Auto => Wish::ANY,
        Speculation::Off => Wish::OFF,
        Speculation::Lookup => Wish { lookup: true, draft: false },
        Speculation::Draft => Wish { lookup: false, draft: true },
    }
}

fn check_request(request: &Generate) -> Result<(), WireError> {
    if request.raw.is_none() && request.messages.iter().all(|message| message.content.trim().is_empty()) {
        return Err(invalid("the request contains no text; try: send at least one message"));
    }
    if request.max_tokens == Some(0) {
        return Err(invalid("max_tokens is 0; try: set it to 1 or more"));
    }
    if let Some(n) = request.logprobs.filter(|&n| n > MAX_LOGPROBS) {
        return Err(invalid(format!("logprobs is {n}; it must be at most {MAX_LOGPROBS}")));
    }
    if request.stop.iter().any(String::is_empty) {
        return Err(invalid("a stop string is empty; try: leave it out"));
    }
    // The stream searches for each stop string after every token.
    if request.stop.len() > MAX_STOPS {
        return Err(invalid(format!(
            "too many stop strings: {} (at most {MAX_STOPS}); try: send fewer",
            request.stop.len()
        )));
    }
    if let Some(text) = request.stop.iter().find(|text| text.len() > MAX_STOP_LEN) {
        return Err(invalid(format!(
            "a stop string is too long: {} bytes (at most {MAX_STOP_LEN}); try: shorten it",
            text.len()
        )));
    }
    let last = request.messages.last();
    if request.template.continue_last
        && last.is_none_or(|last| last.role != Role::Assistant || !last.tool_calls.is_empty())
    {
        return Err(invalid(
            "cannot continue the last message: it is not text of the assistant; try: end the conversation with such a \
             message",
        ));
    }
    calls::check(&request.tools)
}

fn invalid(message: impl Into<String>) -> WireError {
    WireError::new(ErrorCode::Invalid, message)
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
