//! Parse, run, print the error chain once, leave with an exit code.

use std::{env, ffi::OsString, process::ExitCode, time::Instant};

use beastctl::{
    cli::Cli,
    commands::{self, completions, prompt_verb},
    exit,
    output::{Console, usage_line},
    prompts,
};

fn main() -> ExitCode {
    let started = Instant::now();
    let arguments: Vec<OsString> = env::args_os().collect();
    if let Some(shell) = env::var_os(completions::VARIABLE).filter(|shell| !shell.is_empty()) {
        return completions::complete(&shell.to_string_lossy(), &arguments, Console::new(true)).into();
    }
    ExitCode::from(match prompt_verb::parse(arguments, prompts::folder().ok().as_deref()) {
        Ok(cli) => run(cli, started),
        Err(error) => match error.downcast_ref() {
            Some(error) => usage(error),
            None => fail(Console::new(false), &error),
        },
    })
}

fn run(cli: Cli, started: Instant) -> u8 {
    let console = Console::new(cli.quiet);
    match commands::run(cli, console, started) {
        Ok(()) => exit::DONE,
        Err(error) => fail(console, &error),
    }
}

/// Help and version are printed as asked for; a mistake becomes one line like every other error.
fn usage(error: &clap::Error) -> u8 {
    let console = Console::new(false);
    let text = error.render().to_string();
    if !error.use_stderr() {
        return console.print(&text).map_or_else(|error| fail(console, &error.into()), |()| exit::DONE);
    }
    console.error(&usage_line(&text));
    exit::USAGE
}

fn fail(console: Console, error: &anyhow::Error) -> u8 {
    let (code, line) = exit::verdict(error);
    if let Some(line) = line {
        console.error(&line);
    }
    code
}
