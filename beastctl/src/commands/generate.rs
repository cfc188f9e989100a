//! `summarize`, `ask`, `commit-msg` and `run`: material and prompt become a request, its events become an answer.

use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use beast_protocol::{Generate, Message, Request, Role, Sampling, Speculation};

use super::{CommandError, Context, answering::Answering};
use crate::{
    cli::Options,
    client::ClientError,
    exit,
    input::{self, Input, InputError},
    output::{Console, OutputError, Progress},
    prompts::{self, Prompt},
    start,
    wait::{Wait, WaitError},
};

/// After this time without input a person is told what is being waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be done with what.
#[derive(Debug)]
pub(super) enum Task {
    /// `ask`: the question goes after the material.
    Ask {
        /// Its words.
        question: Vec<String>,
    },
    /// `commit-msg`.
    CommitMsg,
    /// `summarize` and `run`.
    Prompt {
        /// Of the prompt.
        name: String,
        /// Its material.
        files: Vec<PathBuf>,
    },
}

impl Task {
    pub(super) fn summarize(files: Vec<PathBuf>) -> Self {
        Task::Prompt { name: "summarize".into(), files }
    }

    fn prompt(&self) -> &str {
        match self {
            Task::Ask { .. } => "ask",
            Task::CommitMsg => "commit-msg",
            Task::Prompt { name, .. } => name,
        }
    }
}

/// Answers one task.
pub(super) fn run(context: &Context, task: Task, options: &Options) -> Result<()> {
    let console = context.console;
    // Everything that is the user's to mend is found before the daemon is troubled.
    let path = context.socket()?;
    let prompt = load_prompt(task.prompt(), options)?;
    let material = match task {
        Task::Ask { question } => question_and_material(&question, console)?,
        Task::CommitMsg => diff(console)?,
        Task::Prompt { name, files } => from_files(&name, &files, console)?,
    };
    for warning in &material.warnings {
        console.warning(warning);
    }
    let request = Request::Generate(generate(prompt, material.text, options));

    let wait = Wait::start(context.timeout).context("cannot watch for Ctrl-C")?;
    let mut progress = Progress::new(io::stderr(), console.shows_progress(), context.started);
    let client = start::connect(&path, !options.no_start, &wait, |text| progress.set(text.into(), Instant::now()));
    // The request is dropped once it is sent: an answer can take minutes, and its input tens of megabytes.
    let sent = client.and_then(|mut client| {
        client.send(&request, &wait)?;
        drop(request);
        Ok(client)
    });
    let mut client = sent.inspect_err(|_| progress.erase())?;
    let mut answering = Answering::new(context, options, progress, material.warnings);
    let outcome = answering.follow(&mut client, &wait);
    match outcome {
        Ok(()) => answering.finish(),
        Err(error) => Err(broken_off(&mut answering, error)),
    }
}

/// What has come stays, with its newline; then the reason is told.
fn broken_off(answering: &mut Answering<'_>, error: anyhow::Error) -> anyhow::Error {
    let (code, _) = exit::verdict(&error);
    if code == exit::DONE || error.is::<OutputError>() {
        answering.give_up();
        return error;
    }
    if let Err(error) = answering.abandon(code == exit::INTERRUPTED) {
        return error;
    }
    match error.downcast_ref() {
        Some(ClientError::Wait(WaitError::TimedOut(limit))) if answering.has_text() => {
            CommandError::Incomplete(*limit).into()
        }
        _ => error,
    }
}

fn load_prompt(name: &str, options: &Options) -> Result<Prompt> {
    // Without a home there are no prompts of the user's own; the built-in ones need none.
    let folder = beast_launchd::paths::config_dir().ok().map(|folder| folder.join("prompts"));
    let prompt = prompts::load(name, folder.as_deref())?;
    Ok(match &options.system {
        Some(system) => Prompt { system: system.clone(), ..prompt },
        None => prompt,
    })
}

/// The instruction is the system turn and the material the user turn: so the daemon can keep the beginning, which is the
/// same for every input, and reads only what is new.
fn generate(prompt: Prompt, material: String, options: &Options) -> Generate {
    let system = Message { role: Role::System, content: prompt.system };
    let user = Message { role: Role::User, content: material };
    let has_system = !system.content.trim().is_empty();
    Generate {
        messages: if has_system { vec![system, user] } else { vec![user] },
        sampling: Sampling {
            temp: options.temp,
            top_p: options.top_p,
            top_k: options.top_k,
            min_p: options.min_p,
            seed: options.seed,
        },
        max_tokens: options.max_tokens.or(prompt.max_tokens),
        stop: options.stop.clone(),
        ignore_eos: false,
        speculation: Speculation::Auto,
    }
}

fn from_files(prompt: &str, files: &[PathBuf], console: Console) -> Result<Input, InputError> {
    if files.is_empty() {
        hint_at_stdin(console);
    }
    let input = input::read(files)?;
    if input.is_blank() {
        let example = match prompt {
            "summarize" => "cat FILE | beastctl summarize, or beastctl summarize FILE",
            _ => "cat FILE | beastctl run PROMPT, or beastctl run PROMPT FILE",
        };
        return Err(InputError::Empty { example });
    }
    Ok(input)
}

fn diff(console: Console) -> Result<Input, InputError> {
    if input::stdin_is_terminal() {
        return input::staged_diff();
    }
    hint_at_stdin(console);
    let input = input::read(&[])?;
    if input.is_blank() {
        return Err(InputError::Empty { example: "git diff --staged | beastctl commit-msg" });
    }
    Ok(input)
}

/// The question follows the material, as a person would ask.
fn question_and_material(words: &[String], console: Console) -> Result<Input> {
    let names_stdin = words.iter().any(|word| word == "-");
    let question = words.iter().filter(|word| *word != "-").map(String::as_str).collect::<Vec<_>>().join(" ");
    let question = question.trim();
    if input::stdin_is_terminal() && !names_stdin {
        if question.is_empty() {
            return Err(CommandError::NoQuestion.into());
        }
        return Ok(Input { text: question.into(), warnings: Vec::new() });
    }
    hint_at_stdin(console);
    let mut input = input::read(&[])?;
    match (input.is_blank(), question.is_empty()) {
        (true, true) => return Err(InputError::Empty { example: "beastctl ask 'QUESTION'" }.into()),
        // A pipe without anything in it: many programs start others that way.
        (true, false) => input.text = question.into(),
        (false, true) => {}
        (false, false) => input.text = format!("{}\n\n{question}", input.text.trim_end()),
    }
    Ok(input)
}

/// A program that waits for input in silence looks as if it hung.
fn hint_at_stdin(console: Console) {
    if !console.stderr_is_terminal || console.is_quiet {
        return;
    }
    if input::stdin_is_terminal() {
        console.info("reading from the terminal, Ctrl-D ends it");
    } else if input::stdin_is_silent(PATIENCE) {
        console.info("waiting for input on stdin");
    }
}

#[cfg(test)]
#[path = "generate_tests.rs"]
mod tests;
