//! Saves a chat, and continues without saving when that fails.

use std::time::SystemTime;

use super::ChatError;
use crate::{
    cli::Options,
    conversations::{Conversation, ConversationError, Exchange, Head, Open, Store, check_name, is_automatic},
    output::Console,
    turn::conversing::{is_log_wanted, named, warn_of_damage, warn_of_log},
};

#[derive(Debug)]
pub(super) enum Log {
    /// The chat is only in memory.
    Off,
    /// There is no file yet: the first exchange creates it, with this name if there is one.
    New(Option<String>),
    /// The chat is saved in the file of this name. If the user requested that, a failure is an error.
    At { name: String, is_wanted: bool },
}

impl Log {
    /// The log that the command line requests, and the conversation to continue.
    pub(super) fn begin(options: &Options, console: Console) -> crate::exit::Result<(Self, Option<Conversation>)> {
        let Some(open) = named(options)? else {
            return Ok((if is_log_wanted(options)? { Log::New(None) } else { Log::Off }, None));
        };
        warn_of_damage(&open, console);
        let name = open.name().to_owned();
        Ok(match open.conversation() {
            Some(conversation) => (Log::At { name, is_wanted: true }, Some(conversation.clone())),
            None => (Log::New(Some(name)), None),
        })
    }

    /// Locks the file for an exchange, if there is one.
    ///
    /// # Errors
    /// Another process is in the middle of an exchange, the file is damaged, or a requested file is unavailable.
    pub(super) fn open(&mut self, console: Console) -> Result<Option<Open>, ConversationError> {
        let opened = match &*self {
            Log::Off | Log::New(None) => return Ok(None),
            Log::New(Some(name)) => Store::of_user().and_then(|store| store.open(name)),
            Log::At { name, .. } => Store::of_user().and_then(|store| store.open_existing(name)),
        };
        match opened {
            Ok(open) => {
                warn_of_damage(&open, console);
                return Ok(Some(open));
            }
            // The user removed the file, so it must not reappear with what was said before.
            Err(error @ ConversationError::Unknown(_)) => self.give_up(error, console),
            Err(error) => self.fail(error, console)?,
        }
        Ok(None)
    }

    /// Saves an exchange, and before the first one `head`.
    ///
    /// # Errors
    /// A requested file cannot be written.
    pub(super) fn keep(
        &mut self,
        open: Option<Open>,
        head: &Head,
        exchange: &Exchange,
        console: Console,
    ) -> Result<(), ConversationError> {
        let open = match open {
            Some(open) => Ok(open),
            None if matches!(self, Log::New(_)) => Store::of_user().and_then(|store| store.create(SystemTime::now())),
            None => return Ok(()),
        };
        let kept = open.and_then(|open| {
            let name = open.name().to_owned();
            open.append(head, exchange).map(|()| name)
        });
        match kept {
            Ok(name) => {
                *self = Log::At { name, is_wanted: self.is_wanted() };
                Ok(())
            }
            Err(error) => self.fail(error, console),
        }
    }

    /// Gives the conversation this name.
    ///
    /// # Errors
    /// The name is invalid or taken, or the conversation is not being saved; then nothing changes.
    pub(super) fn save(&mut self, to: &str) -> crate::exit::Result<()> {
        let store = Store::of_user()?;
        match &*self {
            Log::Off => return Err(ChatError::Typed("this conversation is not saved".into()).into()),
            Log::At { name, .. } => store.rename(name, to)?,
            Log::New(_) => {
                check_name(to)?;
                if is_automatic(to) {
                    return Err(ConversationError::Automatic(to.into()).into());
                }
                if store.has_file(to) {
                    return Err(ConversationError::Taken(to.into()).into());
                }
                *self = Log::New(Some(to.into()));
                return Ok(());
            }
        }
        *self = Log::At { name: to.into(), is_wanted: true };
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        if !matches!(self, Log::Off) {
            *self = Log::New(None);
        }
    }

    fn is_wanted(&self) -> bool {
        matches!(self, Log::New(Some(_)) | Log::At { is_wanted: true, .. })
    }

    /// Handles a failure. If the user did not request saving, the chat continues without it.
    fn fail(&mut self, error: ConversationError, console: Console) -> Result<(), ConversationError> {
        if self.is_wanted() || !error.is_of_the_system() {
            return Err(error);
        }
        self.give_up(error, console);
        Ok(())
    }

    fn give_up(&mut self, error: ConversationError, console: Console) {
        warn_of_log(error, console);
        *self = Log::Off;
    }
}
