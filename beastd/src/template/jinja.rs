//! Jinja with limits: a template that nests too deep, does not terminate or writes without end fails. Knows no
//! messages.

use std::io;

use minijinja::{Environment, Value};
use serde_json::Value as Json;

use super::error::TemplateError;
use super::{clock, functions, meter, source};
use crate::large_stack;

const NAME: &str = "chat";
/// Steps for a small conversation.
const FUEL: u64 = 200_000;
/// Further steps per byte of input: some templates compare every message with every other.
const FUEL_OF_BYTE: u64 = 1_000;
/// Hard limit on steps: a few seconds.
const MAX_FUEL: u64 = 50_000_000;
/// Output limit, besides a multiple of the input; also the limit for a single value.
const MAX_OUTPUT: usize = 1 << 20;
const OUTPUT_OF_BYTE: usize = 16;
/// Hard limit on output: eight times the longest request.
const MAX_ROOM: usize = 256 << 20;

/// A compiled template.
#[derive(Debug)]
pub(super) struct Jinja {
    environment: Environment<'static>,
}

impl Jinja {
    /// Compiles a template.
    ///
    /// # Errors
    /// When it is not valid Jinja, or nests too deep.
    pub(super) fn new(text: &str) -> Result<Self, TemplateError> {
        Self::with_time(text, clock::now)
    }

    /// The same with another `strftime_now`.
    pub(super) fn with_time(
        text: &str,
        now: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Result<Self, TemplateError> {
        on_large_stack(|| {
            let mut environment = functions::environment();
            environment.add_function("strftime_now", move |format: &str| now(format));
            environment.add_template_owned(NAME, source::prepare(text)?).map_err(|error| TemplateError::of(&error))?;
            Ok(Self { environment })
        })
    }

    /// Renders the template with these variables.
    ///
    /// # Errors
    /// When the template rejects them, fails, or exceeds a limit.
    pub(super) fn render(&self, variables: &Json) -> Result<String, TemplateError> {
        let n_bytes = n_bytes(variables);
        let fuel = FUEL.saturating_add(FUEL_OF_BYTE.saturating_mul(n_bytes as u64)).min(MAX_FUEL);
        let room = MAX_OUTPUT.saturating_add(OUTPUT_OF_BYTE.saturating_mul(n_bytes)).min(MAX_ROOM);
        on_large_stack(|| {
            meter::start(room, n_bytes);
            let mut environment = self.environment.clone();
            environment.set_fuel(Some(fuel));
            let template = environment.get_template(NAME).map_err(|error| TemplateError::of(&error))?;
            let mut output = Bounded { bytes: Vec::new(), room };
            template
                .render_captured_to(Value::from_serialize(variables), &mut output)
                .map_err(|error| TemplateError::of(&error))?;
            String::from_utf8(output.bytes).map_err(|error| TemplateError::Failed(error.to_string()))
        })
    }
}

/// Parsing, macros and nested values recurse, so they run on a large stack.
fn on_large_stack<T: Send>(task: impl FnOnce() -> Result<T, TemplateError> + Send) -> Result<T, TemplateError> {
    large_stack::run(task).unwrap_or_else(|why| Err(TemplateError::Failed(why)))
}

/// Bytes of all strings, plus one per value.
fn n_bytes(value: &Json) -> usize {
    1 + match value {
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(n_bytes).sum(),
        Json::Object(entries) => entries.iter().map(|(key, value)| key.len() + n_bytes(value)).sum(),
        _ => 0,
    }
}

struct Bounded {
    bytes: Vec<u8>,
    room: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.room {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "jinja_tests.rs"]
mod tests;
