//! Parse, run, print the error chain once, leave with an exit code.

use std::{env, process::ExitCode, time::Instant};

use beastctl::{
    cli::{Cli, Wishes},
    commands, exit,
    output::{Console, error_object, json_line, usage_line},
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
    let console = Console::new(cli.quiet, cli.color);
    match commands::run(cli, console, started) {
        Ok(()) => exit::DONE,
        Err(error) => fail(console, &error),
    }
}

/// Help and version are printed as asked for; a mistake becomes one line like every other error.
fn usage(error: &clap::Error) -> u8 {
    let wishes = Wishes::of(env::args_os().skip(1), env::var_os("BEAST_COLOR").as_deref());
    let console = Console::new(false, Some(wishes.color));
    let text = error.render();
    if !error.use_stderr() {
        let text = if console.stdout_has_colour { text.ansi().to_string() } else { text.to_string() };
        return console.print(&text).map_or_else(|error| fail(console, &error.into()), |()| exit::DONE);
    }
    let line = usage_line(&text.to_string());
    if wishes.stream_json {
        // The line on stderr says the same, whether this one can be written or not.
        let _ = console.print(&json_line(&error_object(&line, exit::of_code(exit::USAGE), exit::USAGE)));
    }
    console.error(&line);
    exit::USAGE
}

fn fail(console: Console, error: &anyhow::Error) -> u8 {
    let (code, line) = exit::verdict(error);
    if let Some(line) = line {
        console.error(&line);
    }
    code
}
