//! `summarize`, `ask`, `commit-msg` and `run`: material and prompt become a request, its events an answer.

use std::{mem, path::PathBuf};

use crate::{
    cli::Options,
    context::Context,
    exit::{During as _, Result},
    output::is_stdout_lost,
    turn::{
        self,
        answering::{Answering, Form},
        asking::Asking,
        conversing::Conversing,
        material, request,
    },
    wait::Wait,
};

#[derive(Debug)]
pub(super) enum Task {
    /// `ask`: the question follows the material.
    Ask {
        question: Vec<String>,
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
        !files.is_empty() && files.iter().all(|file| file.as_os_str() != "-")
    }

    fn prompt(&self) -> &str {
        match self {
            Task::Ask { .. } => "ask",
            Task::CommitMsg => "commit-msg",
            Task::Prompt { name, .. } | Task::Text { name, .. } => name,
        }
    }
}

/// Answers one task. With `--stream-json`, a failure is also reported as the last line.
pub(super) fn run(context: &Context, task: Task, options: &Options) -> Result<()> {
    let outcome = answer(context, task, options);
    if options.output.stream_json { outcome.inspect_err(|error| turn::print_error(context, error)) } else { outcome }
}

fn answer(context: &Context, task: Task, options: &Options) -> Result<()> {
    let console = context.console;
    // Reports all mistakes that the user must fix before contacting the daemon.
    turn::is_wanted("BEAST_MARKDOWN")?;
    let path = context.socket()?;
    let prompt_name = task.prompt().to_owned();
    let prompt = turn::load_prompt(&prompt_name, options)?;
    let constraint = turn::constraint(options, task.leaves_stdin())?;
    let tools = turn::tools(options)?;
    if is_stdout_lost() {
        console.info("stdout is closed or /dev/null, so the answer is lost");
    }
    // While reading, Ctrl-C may end the process: there is nothing to clean up yet.
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
    // The command line overrides the prompt's own constraint.
    request.constraint = constraint.or(request.constraint);
    request.tools = tools;
    let form = Form::of(request.constraint.as_ref());
    let guard = turn::guard(&prompt_name, &request, span, options)?;
    conversing.take_part(&prompt_name, &mut request);

    let wait = Wait::start(None).context("cannot watch for Ctrl-C")?.limited_as(&reading);
    let mut asking = Asking::new(&path, !options.no_start, request);
    loop {
        let (client, progress) = turn::reach(context, &asking, &wait)?;
        let notices = warnings.iter().cloned().chain(conversing.loss()).collect();
        let mut answering = Answering::new(context, options, progress, notices).bound_to(form).guarded(guard.as_ref());
        if let Err(error) = answering.follow(client, &mut asking, &wait) {
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
