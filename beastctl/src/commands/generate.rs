//! `summarize`, `ask`, `commit-msg` and `run`: material and prompt become a request, its events become an answer.

use std::{
    env,
    io::{self, Stderr},
    mem,
    path::PathBuf,
    time::Instant,
};

use beast_protocol::{Constraint, Generate, Span, Tools};

use super::{
    answering::{Answering, Form},
    asking::Asking,
    commit_message::{self, Guard},
    context::Context,
    conversing::Conversing,
    error::CommandError,
    material, request,
};
use crate::{
    cli::{Options, ToolOptions},
    client::Client,
    constraint,
    exit::{self, During as _, Failure, Result},
    output::{OutputError, Progress, error_object, is_stdout_lost, json_line},
    prompts::{self, Origin, Prompt},
    wait::{Wait, WaitError},
};

/// What git takes for the beginning of a comment, where no repository says otherwise.
const COMMENT: &str = "#";

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
    /// `run` with a text in the place of files.
    Text {
        /// Of the prompt.
        name: String,
        /// What was typed.
        text: String,
    },
}

impl Task {
    /// Files, or a text that can be none.
    pub(super) fn of_prompt(name: String, files: Vec<PathBuf>) -> Self {
        match material::words::text(&name, &files).map(str::to_owned) {
            Some(text) => Task::Text { name, text },
            None => Task::Prompt { name, files },
        }
    }

    /// Whether nobody reads stdin for this.
    fn leaves_stdin(&self) -> bool {
        matches!(self, Task::Prompt { files, .. } if !files.is_empty() && files.iter().all(|file| file.as_os_str() != "-"))
    }

    fn prompt(&self) -> &str {
        match self {
            Task::Ask { .. } => "ask",
            Task::CommitMsg => "commit-msg",
            Task::Prompt { name, .. } | Task::Text { name, .. } => name,
        }
    }
}

/// Answers one task. Whoever reads lines hears of every failure in one, the last.
pub(super) fn run(context: &Context, task: Task, options: &Options) -> Result<()> {
    let outcome = answer(context, task, options);
    if options.output.stream_json { outcome.inspect_err(|error| print_error(context, error)) } else { outcome }
}

/// The last line of a run of `--stream-json` that failed; nothing for what a line has told already.
pub(super) fn print_error(context: &Context, error: &Failure) {
    let (code, line) = (error.code(), error.line());
    let is_told = matches!(error.find(), Some(CommandError::Cut(_)));
    if code != exit::DONE && !is_told {
        let message = line.unwrap_or_else(|| error.to_string());
        // Where stdout cannot be written, the line on stderr has to do.
        let _ = context.console.print(&json_line(&error_object(&message, &error.word(), code)));
    }
}

fn answer(context: &Context, task: Task, options: &Options) -> Result<()> {
    let console = context.console;
    // Everything that is the user's to mend is found before the daemon is troubled.
    check_markdown_wish()?;
    let path = context.socket()?;
    let prompt_name = task.prompt().to_owned();
    let prompt = load_prompt(&prompt_name, options)?;
    let constraint = constraint(options, task.leaves_stdin())?;
    let tools = tools(options)?;
    if is_stdout_lost() {
        console.info("stdout is closed or /dev/null, so nobody sees the answer");
    }
    // Ctrl-C ends the reading at once: there is nothing to tidy up yet.
    let reading = Wait::default().limited(context.timeout);
    let mut conversing = Conversing::begin(options, matches!(task, Task::Ask { .. }), console)?;
    let mut material = match task {
        Task::Ask { question } => material::question(&question, &reading, console)?,
        Task::CommitMsg => material::diff(&reading, console)?,
        Task::Prompt { name, files } => material::files(&name, &files, &reading, console)?,
        Task::Text { text, .. } => material::text(&text, &reading, console)?,
    };
    material.front = conversing.front(&prompt_name, &prompt);
    let warnings = mem::take(&mut material.warnings);
    for warning in &warnings {
        console.warning(warning);
    }
    let (mut request, span) = request::generate(prompt, material, options);
    // What is typed wins over what the prompt itself asks for.
    request.constraint = constraint.or(request.constraint);
    request.tools = tools;
    let form = Form::of(request.constraint.as_ref());
    let guard = guard(&prompt_name, &request, span, options)?;
    conversing.take_part(&prompt_name, &mut request);

    let wait = Wait::start(None).context("cannot watch for Ctrl-C")?.limited_as(&reading);
    let mut asking = Asking::new(&path, !options.no_start, request);
    loop {
        let (client, progress) = reach(context, &asking, &wait)?;
        let notices = warnings.iter().cloned().chain(conversing.loss()).collect();
        let mut answering = Answering::new(context, options, progress, notices).bound_to(form).guarded(guard.as_ref());
        if let Err(error) = answering.follow(client, &mut asking, &wait) {
            if conversing.make_room(&error, asking.request()) {
                answering.give_up();
                continue;
            }
            return Err(broken_off(&mut answering, error));
        }
        let said = answering.said();
        let outcome = answering.finish();
        conversing.loss().iter().for_each(|loss| console.warning(loss));
        conversing.keep(said, console)?;
        return outcome;
    }
}

/// What cannot be understood is told, and not taken for a yes or a no.
pub(super) fn check_markdown_wish() -> Result<(), CommandError> {
    match env::var_os("BEAST_MARKDOWN") {
        Some(wish) if !wish.is_empty() && wish != "always" && wish != "never" => {
            Err(CommandError::MarkdownWish(wish.to_string_lossy().into_owned()))
        }
        _ => Ok(()),
    }
}

/// Finds the daemon, or starts one, and sends it a request.
pub(super) fn reach(context: &Context, asking: &Asking<'_>, wait: &Wait) -> Result<(Client, Progress<Stderr>)> {
    let mut progress = Progress::with_spinner(io::stderr(), context.console.shows_progress(), context.started);
    let sent = asking.send(wait, |text| progress.set(text.into(), Instant::now()));
    let client = sent.inspect_err(|_| progress.erase())?;
    Ok((client, progress))
}

/// What has come stays, with its newline; then the reason is told.
pub(super) fn broken_off(answering: &mut Answering<'_>, error: Failure) -> Failure {
    let code = error.code();
    if code == exit::DONE || error.is::<OutputError>() {
        answering.give_up();
        return error;
    }
    if let Err(error) = answering.abandon(code == exit::INTERRUPTED) {
        return error;
    }
    match error.find() {
        Some(WaitError::TimedOut(limit)) if answering.has_text() => CommandError::Incomplete(*limit).into(),
        _ => error,
    }
}

/// What the command line binds the answer to.
pub(super) fn constraint(options: &Options, stdin_is_free: bool) -> Result<Option<Constraint>> {
    let output = &options.output;
    Ok(match (&output.schema, &output.grammar) {
        (Some(path), _) => Some(constraint::schema(path, stdin_is_free)?),
        (None, Some(path)) => Some(constraint::grammar(path, stdin_is_free)?),
        (None, None) => None,
    })
}

/// What an answer of `commit-msg` has to pass: scripts take it as it is. One that is bound to a form is no message.
fn guard(prompt: &str, request: &Generate, span: Span, options: &Options) -> Result<Option<Guard>> {
    let is_free = request.constraint.is_none() && request.tools.functions.is_empty() && !options.output.extract;
    if prompt != commit_message::PROMPT || !is_free {
        return Ok(None);
    }
    // Who writes an instruction may want more than one line.
    let is_ours = prompts::find(prompt, prompts::folder().ok().as_deref())?.origin == Origin::BuiltIn;
    Ok(Some(Guard::new(request, span, is_ours && options.system.is_none(), COMMENT)))
}

/// Functions of the command line; none without `--tools`.
fn tools(options: &Options) -> Result<Tools> {
    let ToolOptions { tools, tool_choice } = &options.tools;
    let read = tools.as_deref().map(|path| constraint::tools(path, tool_choice.as_deref())).transpose()?;
    Ok(read.unwrap_or_default())
}

pub(super) fn load_prompt(name: &str, options: &Options) -> Result<Prompt> {
    // Without a home there are no prompts of the user's own; the built-in ones need none.
    let prompt = prompts::load(name, prompts::folder().ok().as_deref())?;
    Ok(match &options.system {
        Some(system) => prompt.replace(system, &options.param)?,
        None => prompt.fill(&options.param)?,
    })
}
