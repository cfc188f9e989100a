//! The conversation of a single question: earlier turns precede it, and the answer is saved afterwards.

use std::time::SystemTime;

use beast_protocol::{Generate, Role, Sizes};

use super::{TurnError, is_wanted};
use crate::{
    cli::Options,
    client::ClientError,
    conversations::{Conversation, ConversationError, Exchange, Head, Open, Said, Store},
    exit::{self, Failure, Result},
    output::{Console, units::count},
    prompts::Prompt,
};

/// Longer user turns are only saved on request: they contain material, which the user has anyway.
const MAX_UNASKED_LEN: usize = 64 * 1024;

/// The prompt for a question that names none.
const PLAIN: &str = "ask";

/// The role of a question in a conversation.
#[derive(Debug)]
pub(crate) struct Conversing {
    place: Place,
    head: Head,
    question: String,
    /// Number of oldest exchanges that do not fit and are not sent.
    n_left_out: usize,
}

#[derive(Debug)]
enum Place {
    /// The question is not saved.
    Alone,
    /// Starts a conversation when the answer is complete.
    Own,
    /// Continues this conversation, or starts it under its name.
    Open(Box<Open>),
}

impl Conversing {
    /// Finds and locks the conversation. `is_kept` says whether questions are saved by default.
    ///
    /// # Errors
    /// When the requested conversation is unavailable.
    pub(crate) fn begin(options: &Options, is_kept: bool, console: Console) -> Result<Self> {
        let place = match named(options)? {
            Some(open) => Place::Open(Box::new(open)),
            None if is_kept && is_log_wanted(options)? => Place::Own,
            None => Place::Alone,
        };
        if let Place::Open(open) = &place {
            warn_of_damage(open, console);
        }
        Ok(Self { place, head: Head::new("", ""), question: String::new(), n_left_out: 0 })
    }

    /// Text to put before the material, see [`other_prompt`].
    pub(crate) fn front(&self, name: &str, prompt: &Prompt) -> String {
        self.earlier().map(|earlier| other_prompt(earlier, name, prompt)).unwrap_or_default()
    }

    /// Adds earlier turns before the question. The system turn is the conversation's.
    pub(crate) fn take_part(&mut self, prompt: &str, request: &mut Generate) {
        let Some(question) = request.messages.last() else { return };
        if matches!(self.place, Place::Own) && question.content.len() > MAX_UNASKED_LEN {
            self.place = Place::Alone;
        }
        if matches!(self.place, Place::Alone) {
            return;
        }
        self.question.clone_from(&question.content);
        let system = request.messages.iter().find(|message| message.role == Role::System);
        self.head = Head::new(prompt, system.map(|message| message.content.as_str()).unwrap_or_default());
        self.put_before(request);
    }

    fn earlier(&self) -> Option<&Conversation> {
        if let Place::Open(open) = &self.place { open.conversation() } else { None }
    }

    fn put_before(&self, request: &mut Generate) {
        if let Some(conversation) = self.earlier() {
            // Spans of the request refer to its last message, which stays last.
            let question = request.messages.pop();
            request.messages = conversation.messages(self.n_left_out..conversation.exchanges.len());
            request.messages.extend(question);
        }
    }

    /// Drops the oldest exchanges of a conversation that is too long. Returns whether that was the error and
    /// something could be dropped.
    pub(crate) fn make_room(&mut self, error: &Failure, request: &mut Generate) -> bool {
        let n = self.earlier().map_or(0, |earlier| n_to_leave_out(error, &earlier.exchanges[self.n_left_out..]));
        self.n_left_out += n;
        self.put_before(request);
        n > 0
    }

    pub(crate) fn loss(&self) -> Option<String> {
        (self.n_left_out > 0).then(|| left_out(self.n_left_out))
    }

    /// Saves question and answer. If saving was not requested, failing to do so is only a warning.
    ///
    /// # Errors
    /// When a requested conversation cannot be written.
    pub(crate) fn keep(self, said: Said, console: Console) -> Result<()> {
        if said.text.is_empty() {
            return Ok(());
        }
        let Self { place, mut head, question, .. } = self;
        head.model.clone_from(&said.model);
        let exchange = Exchange::new(question, said);
        match place {
            Place::Alone => Ok(()),
            Place::Open(open) => Ok(open.append(&head, &exchange)?),
            Place::Own => {
                let kept = Store::of_user().and_then(|store| store.create(SystemTime::now())?.append(&head, &exchange));
                kept.unwrap_or_else(|error| warn_of_log(error, console));
                Ok(())
            }
        }
    }
}

/// The conversation for `--session` or `-c`.
pub(crate) fn named(options: &Options) -> Result<Option<Open>, ConversationError> {
    let conversation = &options.conversation;
    let open = match &conversation.session {
        Some(name) => Store::of_user()?.open(name)?,
        None if conversation.latest => {
            let store = Store::of_user()?;
            store.open_existing(&store.latest()?)?
        }
        None => return Ok(None),
    };
    if let (Some(system), Some(earlier)) = (&options.request.system, open.conversation())
        && *system != earlier.head.system
    {
        return Err(ConversationError::OtherSystem(open.name().into()));
    }
    Ok(Some(open))
}

/// The instruction of a prompt other than the conversation's. The system turn stays, so that the daemon need not
/// prefill everything again; the instruction goes into the next question instead. Empty for `ask`, which continues
/// any conversation.
pub(crate) fn other_prompt(earlier: &Conversation, name: &str, prompt: &Prompt) -> String {
    let is_same = name == PLAIN || prompt.system == earlier.head.system;
    if is_same { String::new() } else { prompt.system.trim().to_owned() }
}

/// Whether to save an unnamed conversation.
pub(crate) fn is_log_wanted(options: &Options) -> Result<bool, TurnError> {
    if options.conversation.no_log { Ok(false) } else { is_wanted("BEAST_LOG_CONVERSATIONS") }
}

pub(crate) fn warn_of_damage(open: &Open, console: Console) {
    if open.is_damaged() {
        console.warning(&damage(open.name()));
    }
}

/// The warning about a conversation whose end is damaged.
pub(crate) fn damage(name: &str) -> String {
    format!("the last exchange of the conversation `{name}` is damaged and was skipped")
}

pub(crate) fn warn_of_log(error: ConversationError, console: Console) {
    let line = Failure::from(error).line();
    console.warning(&format!("the conversation is not saved: {}", line.unwrap_or_default()));
}

/// How many of these exchanges, oldest first, to drop after this error; 0 if it is another error. If both sizes are
/// known, as many as their share of the text suggests; the next attempt shows whether that was enough.
pub(crate) fn n_to_leave_out(error: &Failure, exchanges: &[Exchange]) -> usize {
    if error.code() != exit::TOO_LONG {
        return 0;
    }
    let sizes = match error.find() {
        Some(ClientError::Daemon(error)) => error.sizes,
        _ => None,
    };
    let len = |exchange: &Exchange| (exchange.question.content.len() + exchange.answer.content.len()) as u64;
    // Assumes that the prompt contains only this text, which drops too few rather than too many.
    let all: u64 = exchanges.iter().map(len).sum();
    let needed = sizes.map_or(0, |Sizes { n_prompt, n_ctx }| {
        all * u64::from(n_prompt.saturating_sub(n_ctx)) / u64::from(n_prompt.max(1))
    });
    let mut gone = 0;
    let enough = exchanges.iter().position(|exchange| {
        gone += len(exchange);
        gone >= needed
    });
    enough.map_or(exchanges.len(), |n| n + 1)
}

pub(crate) fn left_out(n: usize) -> String {
    let n = count(n as u64, "oldest exchange");
    format!("the context is full: no longer sending the {n} of this conversation")
}

#[cfg(test)]
#[path = "conversing_tests.rs"]
mod tests;
