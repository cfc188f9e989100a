//! `alfred`: rows and text in the formats of Alfred's Script Filter and Text View.
//!
//! Alfred polls for text (`rerun`) with a new process each time, so a background job (`jobs.rs`) writes the answer.
//! Every failure is a row or text as well, because stderr is invisible there.

mod items;
mod jobs;

use std::{env, ffi::OsString, path::PathBuf, time::Duration};

use serde_json::{Value, json};

#[cfg(test)]
pub(crate) use self::jobs::JobError;
use self::jobs::{Jobs, State};
use crate::{
    cli::AlfredVerb,
    context::Context,
    exit::{Failure, Result},
    input,
    output::json_line,
    prompts,
    wait::Wait,
};

/// Polling interval for an answer, in seconds; Alfred accepts 0.1 to 5.
const RERUN: f64 = 0.2;
/// Time limit for an answer: nobody watches a window for longer.
const LIMIT: Duration = Duration::from_secs(600);

pub(super) fn run(context: &Context, verb: AlfredVerb) -> Result<()> {
    let object = match verb {
        AlfredVerb::Items { query } => {
            items::items(&query, &env::var("beast_text").unwrap_or_default(), prompts::folder().ok().as_deref())
        }
        AlfredVerb::Start { prompt, question } => start(context, &prompt, &question).unwrap_or_else(failed),
        AlfredVerb::View { job } => view(&job).unwrap_or_else(failed),
        AlfredVerb::Cancel { job } => return Ok(jobs()?.cancel(&job)?),
    };
    Ok(context.console.print(&json_line(&object))?)
}

fn start(context: &Context, prompt: &str, question: &str) -> Result<Value> {
    let input = input::read(&[], &Wait::default().limited(context.timeout))?;
    if input.is_blank() {
        return Ok(text_view("No text: copy some, or type it after the prompt's name.", ""));
    }
    let mut command = vec![OsString::from("--timeout"), format!("{}s", LIMIT.as_secs()).into()];
    if let Some(socket) = &context.socket {
        command.extend(["--socket".into(), socket.into()]);
    }
    match question.trim() {
        "" => command.extend(["run".into(), "--".into(), prompt.into()]),
        question => command.extend(["ask".into(), "--".into(), question.into()]),
    }
    let jobs = jobs()?;
    // Opening a new window closes the one before.
    jobs.sweep();
    let job = jobs.start(&env::current_exe()?, &command, &input)?;
    Ok(view_of(&job, &State::running(String::new())))
}

fn view(job: &str) -> Result<Value> {
    Ok(view_of(job, &jobs()?.state(job)?))
}

fn view_of(job: &str, State { text, footer, is_running }: &State) -> Value {
    let mut view = text_view(text, footer);
    if *is_running {
        view["rerun"] = json!(RERUN);
        view["variables"] = json!({ "beast_job": job });
    } else {
        // Text typed from now on is a new question.
        view["variables"] = json!({ "beast_job": "", "beast_last": job });
    }
    view
}

/// Always contains the whole text, so that it does not matter what the window shows already.
fn text_view(text: &str, footer: &str) -> Value {
    json!({
        "response": text,
        "footer": footer,
        "behaviour": { "response": "replace", "scroll": "end" },
        // Without a job, Alfred stops polling.
        "variables": { "beast_job": "" },
    })
}

fn failed(error: Failure) -> Value {
    text_view(&error.line().unwrap_or_else(|| error.to_string()), "failed")
}

/// The jobs in the folder that Alfred sets for each workflow, or else in our cache folder.
fn jobs() -> Result<Jobs> {
    let folder = env::var_os("alfred_workflow_cache").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let folder = match folder {
        Some(folder) => folder,
        None => beast_launchd::paths::cache_dir()?.join("alfred"),
    };
    Ok(Jobs::new(folder))
}
