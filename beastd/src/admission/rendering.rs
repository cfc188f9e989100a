//! A conversation as the text that the model is given, for whoever wants to see or count it. Answers nothing.

use beast_protocol::{Generate, Message, WireError};

use super::{Admission, invalid};
use crate::template::{self, TemplateError};

impl Admission {
    /// The prompt of a conversation, as text.
    ///
    /// # Errors
    /// [`beast_protocol::ErrorCode::Invalid`] when the template refuses it.
    pub fn rendered(&self, request: &Generate) -> Result<String, WireError> {
        match &self.template {
            None => Ok(template::plain(&request.messages)),
            Some(template) => template
                .render(&request.messages, &self.setting(request)?)
                .map_err(|error| template_refusal(&error, &request.messages)),
        }
    }

    /// The length of the same in tokens, whether it fits or not.
    ///
    /// # Errors
    /// See [`Admission::rendered`].
    pub fn n_rendered(&self, request: &Generate) -> Result<usize, WireError> {
        self.n_prompt(request)
    }
}

/// A template that gave no text for these messages.
pub(super) fn template_refusal(error: &TemplateError, messages: &[Message]) -> WireError {
    invalid(format!("the model's chat template failed: {error}; try: {}", error.advice(messages)))
}
