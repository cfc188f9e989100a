//! Renders a conversation as the prompt that the model would get, for display or counting. Generates nothing.

use beast_protocol::{Generate, Message, WireError};

use super::{Admission, check_request, invalid};
use crate::template::{self, TemplateError};

impl Admission {
    /// The prompt of a conversation as text.
    ///
    /// # Errors
    /// [`beast_protocol::ErrorCode::Invalid`] when the template rejects it.
    pub fn rendered(&self, request: &Generate) -> Result<String, WireError> {
        match &self.template {
            None => Ok(template::plain(&request.messages)),
            Some(template) => template
                .render(&request.messages, &self.setting(request)?)
                .map_err(|error| template_refusal(&error, &request.messages)),
        }
    }

    /// Length of that prompt in tokens, whether or not it fits.
    ///
    /// # Errors
    /// See [`Admission::rendered`].
    pub fn n_rendered(&self, request: &Generate) -> Result<usize, WireError> {
        self.n_prompt(request)
    }

    /// The same for a request that is refused for whatever an answer to it would be refused, except its length.
    ///
    /// # Errors
    /// See [`Admission::admit`].
    pub fn n_counted(&self, request: &Generate) -> Result<usize, WireError> {
        check_request(request)?;
        self.defaults.settle(&request.sampling, self.vocab.n_tokens())?;
        if self.answering(request, &self.setting(request)?)?.constraint.is_none() {
            self.constraint(request)?;
        }
        match &request.raw {
            Some(raw) => Ok(self.raw(request, raw)?.len()),
            None => self.n_prompt(request),
        }
    }
}

/// The refusal for messages that the template rejected.
pub(super) fn template_refusal(error: &TemplateError, messages: &[Message]) -> WireError {
    invalid(format!("the model's chat template failed: {error}; try: {}", error.advice(messages)))
}
