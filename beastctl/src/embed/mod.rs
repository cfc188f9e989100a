//! `beastctl embed`: texts as vectors. `beastctl similar`: texts ranked by their similarity to a query.

mod error;
mod index;
pub(super) mod similar;
mod units;
mod vectors;

use serde::Serialize;

pub use self::error::EmbedError;
use self::vectors::Vectors;
use crate::{
    cli::EmbedOptions,
    context::Context,
    exit::{During as _, Result},
    input::InputError,
    output::json_line,
    wait::Wait,
};

/// Prints one vector per text.
pub(super) fn run(context: &Context, options: &EmbedOptions) -> Result<()> {
    if options.binary && context.console.stdout_is_terminal {
        return Err(EmbedError::BinaryToTerminal.into());
    }
    let path = context.socket()?;
    // While reading, Ctrl-C may end the process: there is nothing to clean up yet.
    let reading = Wait::default().limited(context.timeout);
    let sources = units::read(&options.files, &reading, context.console)?;
    if sources.iter().all(|source| source.text.trim().is_empty()) {
        return Err(InputError::Empty { example: "beastctl embed notes.txt" }.into());
    }
    let units = units::split(&sources, options.by);
    let wait = Wait::start(None).context("cannot watch for Ctrl-C")?.limited_as(&reading);
    let mut vectors = Vectors::new(context, (&path, !options.no_start), options.model.name(), &wait);
    let outcome = vectors.embed(&units, |units, vectors| {
        for (unit, vector) in units.iter().zip(vectors) {
            if vector.is_truncated && !options.truncate {
                let place = units::place(unit, &sources[unit.source]);
                return Err(EmbedError::TooLong { place }.into());
            }
            if options.binary {
                let bytes: Vec<u8> = vector.numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                context.console.print_bytes(&bytes)?;
            } else {
                let file = sources[unit.source].name.as_deref();
                let line =
                    Line { file, line: unit.line, text: unit.text, embedding: Some(&vector.numbers), score: None };
                context.console.print(&json_line(&line))?;
            }
        }
        Ok(())
    });
    vectors.end();
    outcome?;
    vectors.warn();
    Ok(())
}

/// A line of output. Not a JSON value, whose numbers have double precision: a float would be printed with 17 digits.
#[derive(Serialize)]
struct Line<'a> {
    file: Option<&'a str>,
    line: usize,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<&'a [f32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
}
