//! One turn: material and prompt become a request, a daemon answers it, and its events become the printed answer.
//! Verbs combine these steps; none is known here.

pub(crate) mod answering;
pub(crate) mod asking;
pub(crate) mod commit_message;
pub(crate) mod conversing;
mod error;
pub(crate) mod made;
pub(crate) mod material;
pub(crate) mod messages;
pub(crate) mod request;

use std::{
    env,
    io::{self, Stderr},
    time::Instant,
};

use beast_protocol::{Constraint, Generate, Span, Tools};

pub use self::error::TurnError;
use self::{answering::Answering, asking::Asking, commit_message::Guard};
use crate::{
    cli::{Options, ToolOptions},
    client::Client,
    constraint,
    context::Context,
    exit::{self, Failure, Result},
    output::{OutputError, Progress, error_object, json_line},
    prompts::{self, Origin, Prompt},
    wait::{Wait, WaitError},
};

const COMMENT: &str = "#";

/// Prints the last line of a failed `--stream-json` run, unless a line has already reported the error.
pub(crate) fn print_error(context: &Context, error: &Failure) {
    let (code, line) = (error.code(), error.line());
    let is_told = matches!(error.find(), Some(TurnError::Cut(_) | TurnError::Repeats(_)));
    if code != exit::DONE && !is_told {
        let message = line.unwrap_or_else(|| error.to_string());
        // If stdout cannot be written, the line on stderr must do.
        let _ = context.console.print(&json_line(&error_object(&message, &error.word(), code)));
    }
}

/// Whether a variable is unset or enables a feature: `never` disables it. An invalid value is an error, not a guess.
pub(crate) fn is_wanted(variable: &'static str) -> Result<bool, TurnError> {
    match env::var_os(variable).unwrap_or_default().to_string_lossy().as_ref() {
        "" | "always" => Ok(true),
        "never" => Ok(false),
        value => Err(TurnError::Wish { variable, value: value.to_owned() }),
    }
}

/// Finds or starts the daemon and sends it a request.
pub(crate) fn reach(context: &Context, asking: &Asking<'_>, wait: &Wait) -> Result<(Client, Progress<Stderr>)> {
    let mut progress = Progress::with_spinner(io::stderr(), context.console.shows_progress(), context.started);
    let sent = asking.send(wait, |text| progress.set(text.into(), Instant::now()));
    let client = sent.inspect_err(|_| progress.erase())?;
    Ok((client, progress))
}

/// Shows what has arrived of the answer, with a newline, and returns the error.
pub(crate) fn broken_off(answering: &mut Answering<'_>, error: Failure) -> Failure {
    let code = error.code();
    if code == exit::DONE || error.is::<OutputError>() {
        answering.give_up();
        return error;
    }
    if let Err(error) = answering.abandon(code == exit::INTERRUPTED) {
        return error;
    }
    match error.find() {
        Some(WaitError::TimedOut(limit)) if answering.has_text() => TurnError::Incomplete(*limit).into(),
        _ => error,
    }
}

pub(crate) fn constraint(options: &Options, stdin_is_free: bool) -> Result<Option<Constraint>> {
    let form = &options.output.form;
    Ok(match (&form.schema, &form.grammar) {
        (Some(path), _) => Some(constraint::schema(path, stdin_is_free)?),
        (None, Some(path)) => Some(constraint::grammar(path, stdin_is_free)?),
        (None, None) => None,
    })
}

/// The guard for an answer of `commit-msg`, which scripts use as it is. A constrained answer is not a message.
pub(crate) fn guard(prompt: &str, request: &Generate, span: Span, options: &Options) -> Result<Option<Guard>> {
    let is_free =
        request.constraint.is_none() && request.tools.functions.is_empty() && !options.output.form.is_extracting();
    if prompt != commit_message::PROMPT || !is_free {
        return Ok(None);
    }
    // A custom instruction may ask for more than one line.
    let is_ours = prompts::find(prompt, prompts::folder().ok().as_deref())?.origin == Origin::BuiltIn;
    Ok(Some(Guard::new(request, span, is_ours && options.request.system.is_none(), COMMENT)))
}

/// Tools from the command line; empty without `--tools`.
pub(crate) fn tools(options: &Options) -> Result<Tools> {
    let ToolOptions { tools, tool_choice } = &options.tools;
    let read = tools.as_deref().map(|path| constraint::tools(path, tool_choice.as_deref())).transpose()?;
    Ok(read.unwrap_or_default())
}

pub(crate) fn load_prompt(name: &str, options: &Options) -> Result<Prompt> {
    // Without a home folder there are only built-in prompts.
    let prompt = prompts::load(name, prompts::folder().ok().as_deref())?;
    Ok(match &options.request.system {
        Some(system) => prompt.replace(system, &options.request.param)?,
        None => prompt.fill(&options.request.param)?,
    })
}
