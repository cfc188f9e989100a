//! `summarize`, `ask`, `commit-msg` and `run`: material and prompt become a request, its events an answer.

use std::{
    mem,
    path::{Path, PathBuf},
};

use super::count;
use crate::{
    cli::Options,
    context::Context,
    exit::{During as _, Result},
    input,
    output::{Console, is_stdout_lost},
    turn::{
        self,
        answering::Answering,
        asking::Asking,
        commit_message::Guard,
        conversing::Conversing,
        made::Form,
        material::{self, Material},
        messages::Messages,
        request,
    },
    wait::Wait,
};

#[derive(Debug)]
pub(super) enum Task {
    /// `ask`: the question follows the material.
    Ask {
        question: Vec<String>,
        files: Vec<PathBuf>,
    },
    CommitMsg,
    /// `summarize` and `run`.
    Prompt {
        name: String,
        files: Vec<PathBuf>,
    },
    /// `run` with a text in place of files.
    Text {
        name: String,
        text: String,
    },
}

impl Task {
    pub(super) fn of_prompt(name: &str, files: Vec<PathBuf>) -> Self {
        let text = material::words::text(name, &files).map(str::to_owned);
        let name = name.to_owned();
        match text {
            Some(text) => Task::Text { name, text },
            None => Task::Prompt { name, files },
        }
    }

    fn leaves_stdin(&self) -> bool {
        let Task::Prompt { files, .. } = self else { return false };
        !files.is_empty() && !files.iter().any(|file| input::is_stdin(file))
    }

    fn files(&self) -> &[PathBuf] {
        match self {
            Task::Ask { files, .. } | Task::Prompt { files, .. } => files,
            Task::CommitMsg | Task::Text { .. } => &[],
        }
    }

    fn prompt(&self) -> &str {
        match self {
            Task::Ask { .. } => "ask",
            Task::CommitMsg => "commit-msg",
            Task::Prompt { name, .. } | Task::Text { name, .. } => name,
        }
    }
}

/// Answers one task, in the conversation `messages` if there is one. With `--stream-json`, a failure is also reported
/// as the last line.
pub(super) fn run(context: &Context, task: Task, messages: Option<&Path>, options: &Options) -> Result<()> {
    let outcome = answer(context, task, messages, options);
    if options.output.stream_json { outcome.inspect_err(|error| turn::print_error(context, error)) } else { outcome }
}

fn answer(context: &Context, task: Task, messages: Option<&Path>, options: &Options) -> Result<()> {
    let console = context.console;
    // Reports all mistakes that the user must fix before contacting the daemon.
    turn::is_wanted("BEAST_MARKDOWN")?;
    let path = context.socket()?;
    let prompt_name = task.prompt().to_owned();
    let mut prompt = turn::load_prompt(&prompt_name, options)?;
    let constraint = turn::constraint(options, task.leaves_stdin())?;
    let tools = turn::tools(options)?;
    if is_stdout_lost() {
        console.info("stdout is closed or /dev/null, so the answer is lost");
    }
    // While reading, Ctrl-C may end the process: there is nothing to clean up yet.
    let reading = Wait::default().limited(context.timeout);
    let is_kept = matches!(task, Task::Ask { .. }) && messages.is_none();
    let mut conversing = Conversing::begin(options, is_kept, console)?;
    if let Some(messages) = messages {
        input::check_stdin(&[&[messages.to_owned()], task.files()].concat())?;
    }
    let mut messages = messages.map(|path| Messages::read(path, &reading, console)).transpose()?;
    let mut material = material(task, messages.as_mut(), &reading, console)?;
    material.front = conversing.front(&prompt_name, &prompt);
    if let Some(messages) = &mut messages {
        messages.lead(&prompt_name, &mut prompt, &mut material, options.request.system.as_deref())?;
    }
    let warnings = mem::take(&mut material.warnings);
    for warning in &warnings {
        console.warning(warning);
    }
    let (mut request, span) = request::generate(prompt, material, options);
    // The command line overrides the prompt's own constraint.
    request.constraint = constraint.or(request.constraint);
    request.tools = tools;
    let guard = turn::guard(&prompt_name, &request, span, options)?;
    conversing.take_part(&prompt_name, &mut request);
    if let Some(messages) = messages {
        messages.put_before(&mut request);
    }
    let wait = Wait::start(None).context("cannot watch for Ctrl-C")?.limited_as(&reading);
    if options.output.count_tokens {
        return count::run(context, &path, request, options, &wait);
    }
    let asking = Asking::new(&path, !options.request.no_start, request);
    follow(context, options, (asking, conversing), warnings, guard.as_ref(), &wait)
}

/// What is asked about; without anything else, the last message of a conversation.
fn material(task: Task, mut messages: Option<&mut Messages>, reading: &Wait, console: Console) -> Result<Material> {
    let warnings = messages.as_mut().map(|messages| mem::take(&mut messages.warnings)).unwrap_or_default();
    let mut material = match (task, messages) {
        (Task::Ask { question, files }, None) => material::question(&question, &files, reading, console)?,
        (Task::Ask { question, files }, Some(messages)) => {
            let question = if question.is_empty() { messages.question()? } else { question.join(" ") };
            match files.is_empty() {
                true => Material { text: question, ..Material::default() },
                false => Material { question, ..material::named(&files, reading, console)?.into() },
            }
        }
        (Task::Prompt { files, .. }, Some(messages)) if files.is_empty() => {
            Material { text: messages.question()?, ..Material::default() }
        }
        (Task::CommitMsg, _) => material::diff(reading, console)?,
        (Task::Prompt { name, files }, _) => material::files(&name, &files, reading, console)?,
        (Task::Text { text, .. }, None) => material::text(&text, reading, console)?,
        (Task::Text { text, .. }, Some(_)) => Material { text, ..Material::default() },
    };
    material.warnings.extend(warnings);
    Ok(material)
}

/// Asks until there is an answer, and saves it.
fn follow(
    context: &Context,
    options: &Options,
    (mut asking, mut conversing): (Asking<'_>, Conversing),
    warnings: Vec<String>,
    guard: Option<&Guard>,
    wait: &Wait,
) -> Result<()> {
    let console = context.console;
    let form = Form::of(asking.request().constraint.as_ref());
    loop {
        let (client, progress) = turn::reach(context, &asking, wait)?;
        let notices = warnings.iter().cloned().chain(conversing.loss()).collect();
        let mut answering = Answering::new(context, options, progress, notices).bound_to(form).guarded(guard);
        if let Err(error) = answering.follow(client, &mut asking, wait) {
            if conversing.make_room(&error, asking.request()) {
                answering.give_up();
                continue;
            }
            return Err(turn::broken_off(&mut answering, error));
        }
        let said = answering.said();
        let outcome = answering.finish();
        conversing.loss().iter().for_each(|loss| console.warning(loss));
        conversing.keep(said, console)?;
        return outcome;
    }
}
