//! `beastctl decide`: typed questions about material, answered by an exit code and a word.
//!
//! Exit code 1 means no and nothing else: a failure that exits with 1 elsewhere exits with 70 here.

mod answers;
mod calibrate;
mod error;
mod fit;

use std::path::Path;

use beast_protocol::{Decide, Decided, Event, Place, Request};
use serde_json::Value;

use self::answers::{Answer, Answers};
pub use self::error::DecideError;
use crate::{
    cli::DecideOptions,
    client::ClientError,
    context::Context,
    exchange::Exchange,
    exit::{self, AlreadyTold, During as _, Failure, Result},
    input::{self, InputError},
    output::{OutputError, json_line},
    turn::material,
    wait::Wait,
};

/// Answers the questions; the exit code is the answer.
pub(super) fn run(context: &Context, options: &DecideOptions) -> Result<()> {
    let outcome = match &options.calibrate {
        Some(path) => calibrate::run(context, options, path).map(|()| exit::DONE),
        None => decide(context, options),
    };
    match outcome {
        Ok(exit::DONE) => Ok(()),
        Ok(code) => Err(AlreadyTold(code).into()),
        Err(error) => Err(unmistakable(error)),
    }
}

/// Gives a failure an exit code that no script mistakes for an answer.
fn unmistakable(error: Failure) -> Failure {
    match error.code() {
        exit::DONE | exit::FAILED | exit::UNSURE => error.with_code(exit::SOFTWARE),
        _ => error,
    }
}

fn decide(context: &Context, options: &DecideOptions) -> Result<u8> {
    let console = context.console;
    let path = context.socket()?;
    let answers = Answers::new(&options.choice, options.score)?;
    if options.questions.iter().any(|question| question.trim().is_empty()) {
        return Err(DecideError::NoQuestion.into());
    }
    if let Some(file) = options.questions.iter().map(Path::new).find(|question| question.is_file()) {
        return Err(DecideError::IsFile(file.to_owned()).into());
    }
    // While reading, Ctrl-C may end the process: there is nothing to clean up yet.
    let reading = Wait::default().limited(context.timeout);
    let (state, warnings) = state(context, options, &reading)?;
    warnings.iter().for_each(|warning| console.warning(warning));
    let questions: Vec<_> = options.questions.iter().map(|question| answers.question(question)).collect();
    let request = Decide {
        model: options.model.name(),
        state,
        questions: questions.clone(),
        drop: options.truncate.map(Place::from),
        is_raw: false,
    };
    let wait = Wait::start(None).context("cannot watch for Ctrl-C")?.limited_as(&reading).without_reader();
    let mut exchange = Exchange::new(context, &path, !options.no_start);
    let decided = exchange.ask(&Request::Decide(request), &wait).and_then(decided);
    exchange.erase();
    let decided = decided?;
    for notice in &decided.notices {
        console.notice(notice);
    }
    let gap = options.unsure.unwrap_or(0.0);
    let n = questions.len();
    if decided.probabilities.len() != n || decided.temperatures.len() != n {
        return Err(DecideError::Mismatch.into());
    }
    let each = questions.into_iter().zip(decided.probabilities).zip(decided.temperatures);
    let answers: Option<Vec<Answer>> = each
        .map(|((question, probabilities), temperature)| Answer::new(question, probabilities, temperature, gap))
        .collect();
    let answers = answers.ok_or(DecideError::Mismatch)?;
    print(context, options, &answers, &decided.model)?;
    Ok(answers::code(&answers))
}

fn print(context: &Context, options: &DecideOptions, answers: &[Answer], model: &str) -> Result<()> {
    let text = match answers {
        _ if options.json => {
            let mut objects: Vec<Value> = answers.iter().map(|answer| answer.object(model)).collect();
            json_line(&if objects.len() == 1 { objects.swap_remove(0) } else { objects.into() })
        }
        [one] => format!("{}\n", one.text()),
        several => several.iter().map(Answer::line).collect(),
    };
    print_all(context, &text)
}

/// Prints the result; a closed pipe is ignored, because the exit code and saved files count without a reader too.
fn print_all(context: &Context, text: &str) -> Result<()> {
    match context.console.print(text) {
        Err(OutputError::ReaderGone) => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// The material, and warnings about what was changed in it.
fn state(context: &Context, options: &DecideOptions, reading: &Wait) -> Result<(String, Vec<String>)> {
    let has_files = !options.files.is_empty();
    if options.no_input || !has_files && input::stdin_is_terminal() {
        return Ok((String::new(), Vec::new()));
    }
    if !has_files {
        material::hint_at_stdin(reading, context.console);
    }
    let input = input::read(&options.files, reading)?;
    if input.is_blank() {
        // An answer about an empty text would look like any other.
        return Err(InputError::Empty { example: "beastctl decide -n QUESTION, if the question needs no input" }.into());
    }
    Ok((input.text, input.warnings))
}

fn decided(event: Event) -> Result<Decided> {
    match event {
        Event::Decided(decided) => Ok(decided),
        _ => Err(ClientError::Lost.into()),
    }
}
