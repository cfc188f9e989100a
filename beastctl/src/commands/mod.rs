//! One file per verb, and the dispatch. A verb with more than a few steps has a room of its own.

mod count;
mod generate;
mod history;
mod history_grep;
mod load;
mod models;
mod prompts;
mod removal;
mod status;
mod stop;
mod version;

use std::time::Instant;

use self::generate::Task;
#[cfg(test)]
pub(crate) use self::removal::NotRemoved;
use crate::{
    alfred, bench, chat,
    cli::{Cli, Verb, prompt_verb},
    completions,
    context::Context,
    decide, doctor, embed,
    exit::Result,
    hook, logs, man, map,
    output::Console,
    service,
};

/// Runs a command.
///
/// # Errors
/// Those of the command; [`exit::verdict`] turns them into a line and an exit code.
pub fn run(cli: Cli, console: Console, started: Instant) -> Result<()> {
    let context = Context { console, started, socket: cli.socket, timeout: cli.timeout };
    match cli.verb {
        Verb::Summarize { files, options } => {
            generate::run(&context, Task::of_prompt("summarize", files), None, &options)
        }
        Verb::Ask { question, files, messages, options } => {
            generate::run(&context, Task::Ask { question, files }, messages.as_deref(), &options)
        }
        Verb::Decide(options) => decide::run(&context, &options),
        Verb::Embed(options) => embed::run(&context, &options),
        Verb::Similar(options) => embed::similar::run(&context, &options),
        Verb::CommitMsg { options } => generate::run(&context, Task::CommitMsg, None, &options),
        Verb::Run { prompt, files, messages, options } => {
            generate::run(&context, Task::of_prompt(&prompt, files), messages.as_deref(), &options)
        }
        Verb::Map(options) => map::run(&context, &options),
        // Not reached: `prompt_verb::parse` has already turned it into the help text.
        Verb::Help { .. } => Ok(()),
        Verb::Prompt(words) => Err(prompt_verb::unknown(&words, crate::prompts::folder().ok().as_deref()).into()),
        Verb::Prompts(options) => prompts::run(&context, options),
        Verb::Completions { shell } => completions::run(&context, shell),
        Verb::Man(options) => man::run(&context, &options),
        Verb::Chat { prompt, options } => chat::run(&context, prompt, &options),
        Verb::History(options) => history::run(&context, options),
        Verb::Models(options) => models::run(&context, options),
        Verb::Bench(options) => bench::run(&context, &options),
        Verb::Logs(options) => logs::run(&context, &options),
        Verb::Doctor(options) => doctor::run(&context, &options),
        Verb::Alfred { verb } => alfred::run(&context, verb),
        Verb::Hook { verb } => hook::run(&context, verb),
        Verb::Service { verb } => service::run(&context, &verb),
        Verb::Status { json } => status::run(&context, json),
        Verb::Load { model } => load::load(&context, model.as_deref()),
        Verb::Unload { model } => load::unload(&context, model.as_deref()),
        Verb::Stop => stop::run(&context),
        Verb::Version { json } => version::run(&context, json),
    }
}
