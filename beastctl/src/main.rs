//! Parse, run, print the error chain once, leave with an exit code.

use std::{process::ExitCode, time::Instant};

use beastctl::{
    cli::Cli,
    commands, exit,
    output::{Console, usage_line},
};
use clap::Parser;

fn main() -> ExitCode {
    let started = Instant::now();
    match Cli::try_parse() {
        Ok(cli) => ExitCode::from(run(cli, started)),
        Err(error) => ExitCode::from(usage(&error)),
    }
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
