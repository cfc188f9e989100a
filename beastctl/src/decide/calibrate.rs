//! `decide --calibrate`: answers labelled examples, and has the daemon save the temperature that fits them best.

use std::{io, path::Path};

use beast_launchd::file;
use beast_protocol::{Decide, KeepTemperatures, Place, Question, Request};
use serde::Deserialize;

use super::{
    DecideError,
    answers::Answers,
    decided,
    fit::{self, Judged, Quality},
};
use crate::{
    cli::DecideOptions,
    context::Context,
    exchange::Exchange,
    exit::{During as _, Result},
    wait::Wait,
};

/// Largest file of examples, in bytes.
const MAX_BYTES: u64 = 64 << 20;
/// Fewer examples would measure chance rather than the model.
const LEAST: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    text: String,
    question: Option<String>,
    label: serde_json::Value,
}

/// A labelled text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Example {
    text: String,
    question: Question,
    right: usize,
}

pub(super) fn run(context: &Context, options: &DecideOptions, path: &Path) -> Result<()> {
    let socket = context.socket()?;
    let answers = Answers::new(&options.choice, options.score)?;
    let question = match &options.questions[..] {
        [] => None,
        [question] => Some(question.as_str()),
        several => return Err(DecideError::Questions(several.len()).into()),
    };
    let examples = read(path, &answers, question)?;
    let wait = Wait::start(context.timeout).context("cannot watch for Ctrl-C")?.without_reader();
    let mut exchange = Exchange::new(context, &socket, !options.no_start);
    let outcome = fit_and_keep(context, options, examples, &mut exchange, &wait);
    exchange.erase();
    outcome
}

fn fit_and_keep(
    context: &Context,
    options: &DecideOptions,
    examples: Vec<Example>,
    exchange: &mut Exchange<'_>,
    wait: &Wait,
) -> Result<()> {
    let (n, kind) = (examples.len(), examples.first().map(|example| example.question.kind));
    let Some(kind) = kind else { return Ok(()) };
    let mut judged = Vec::with_capacity(n);
    for Example { text, question, right } in examples {
        let drop = options.truncate.map(Place::from);
        let model = options.model.name();
        let request = Decide { model, state: text, questions: vec![question], drop, is_raw: true };
        let mut decided = decided(exchange.ask(&Request::Decide(request), wait)?)?;
        let probabilities = decided.probabilities.pop().unwrap_or_default();
        if right >= probabilities.len() {
            return Err(DecideError::Mismatch.into());
        }
        judged.push(Judged { probabilities, right });
        exchange.say(format!("examples: {}/{n}", judged.len()));
    }
    let temperature = fit::temperature(&judged);
    let n_examples = u32::try_from(judged.len()).unwrap_or(u32::MAX);
    #[expect(clippy::cast_possible_truncation, reason = "only three digits are meaningful")]
    let temperatures = vec![(kind, temperature as f32)];
    let fitted = KeepTemperatures { model: options.model.name(), temperatures, n_examples };
    exchange.ask(&Request::KeepTemperatures(fitted), wait)?;
    exchange.erase();
    let (before, after) = (fit::quality(&judged, 1.0), fit::quality(&judged, temperature));
    let name = kind.as_str();
    let row = |name: &str, of: fn(Quality) -> f64| format!("{name:<12}{:>8.3}{:>8.3}\n", of(before), of(after));
    let table = [
        format!("{:<12}{:>8}{:>8}\n", "", "before", "after"),
        row("accuracy", |quality| quality.accuracy),
        row("log loss", |quality| quality.log_loss),
        row("ECE", |quality| quality.ece),
        format!("{:<12}{:>8.3}{:>8.3}\n", "temperature", 1.0, temperature),
        format!("saved for {name} questions with this model, fitted to {n_examples} examples\n"),
    ];
    super::print_all(context, &table.concat())
}

fn read(path: &Path, answers: &Answers, question: Option<&str>) -> Result<Vec<Example>, DecideError> {
    let unreadable = |source: io::Error| DecideError::Unreadable { path: path.to_owned(), source };
    let text = file::read_text(path, MAX_BYTES).map_err(unreadable)?;
    let mut examples = Vec::new();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let example = example(text, answers, question);
        examples.push(example.map_err(|why| DecideError::Example { path: path.to_owned(), line, why })?);
    }
    match examples.len() {
        n if n < LEAST => Err(DecideError::TooFew { path: path.to_owned(), n, least: LEAST }),
        _ => Ok(examples),
    }
}

fn example(text: &str, answers: &Answers, question: Option<&str>) -> Result<Example, String> {
    let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let question = line.question.as_deref().or(question).map(str::trim).filter(|question| !question.is_empty());
    let question = answers.question(question.ok_or("no question here or on the command line")?);
    let label = match &line.label {
        serde_json::Value::Bool(is_yes) => if *is_yes { "yes" } else { "no" }.to_owned(),
        serde_json::Value::String(label) => label.trim().to_owned(),
        label => label.to_string(),
    };
    let is_it = |name: &str| name == label || name.eq_ignore_ascii_case(&label);
    match question.options.iter().position(|option| is_it(&option.name)) {
        Some(right) => Ok(Example { text: line.text, question, right }),
        None => Err(format!("label `{}` is not one of the answers", crate::text::excerpt(&label))),
    }
}

#[cfg(test)]
#[path = "calibrate_tests.rs"]
mod tests;
