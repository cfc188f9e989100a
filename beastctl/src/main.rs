//! Parses arguments, runs the command, prints the error chain once, exits.

use std::{env, ffi::OsString, process::ExitCode, time::Instant};

use beastctl::{
    cli::{Cli, Wishes, command_of, mistakes, prompt_verb},
    commands, completions,
    exit::{self, Failure},
    output::{Console, error_object, json_line, usage_line},
    prompts,
};
use clap::error::ErrorKind;

fn main() -> ExitCode {
    beast_launchd::cpu::require("beastctl", &[], exit::SOFTWARE.into());
    let started = Instant::now();
    let arguments: Vec<OsString> = env::args_os().collect();
    if let Some(shell) = env::var_os(completions::VARIABLE).filter(|shell| !shell.is_empty()) {
        return completions::complete(&shell.to_string_lossy(), &arguments, Console::new(true, None)).into();
    }
    let folder = prompts::folder().ok();
    ExitCode::from(match prompt_verb::parse(arguments, folder.as_deref()) {
        Ok(cli) => run(cli, started),
        Err(error) => refuse(&error),
    })
}

fn run(cli: Cli, started: Instant) -> u8 {
    let console = Console::new(cli.quiet, cli.color);
    match commands::run(cli, console, started) {
        Ok(()) => exit::DONE,
        Err(error) => fail(console, &error),
    }
}

/// Prints help and version as requested; turns a usage error into one line like any other error.
fn refuse(error: &Failure) -> u8 {
    let wishes = Wishes::of(env::args_os().skip(1), env::var_os("BEAST_COLOR").as_deref());
    let console = Console::new(false, Some(wishes.color));
    let usage = error.find::<clap::Error>();
    if let Some(usage) = usage.filter(|usage| !usage.use_stderr()) {
        let text = usage.render();
        let text = if console.stdout_has_colour { text.ansi().to_string() } else { text.to_string() };
        return match console.print_painted(&text) {
            Ok(()) => exit::DONE,
            // Even `decide --help` must not exit with the code for no.
            Err(error) => match fail(console, &error.into()) {
                exit::NO if command_of(env::args_os().skip(1)) == "beastctl decide" => exit::SOFTWARE,
                code => code,
            },
        };
    }
    // Disambiguates an option from the environment variable that sets it.
    let nothing = [ErrorKind::MissingSubcommand, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    if usage.is_some_and(|usage| nothing.contains(&usage.kind())) {
        console.lines(&mistakes::help(env::args_os().skip(1)).to_string());
        return exit::USAGE;
    }
    let (code, line) = match usage {
        Some(usage) => {
            let arguments = || env::args_os().skip(1);
            let variables = prompt_verb::variables(arguments(), prompts::folder().ok().as_deref());
            let told = mistakes::told(usage, arguments(), &variables);
            (exit::USAGE, Some(usage_line(&told, &command_of(arguments()))))
        }
        None => (error.code(), error.line()),
    };
    let line = line.unwrap_or_default();
    if console.stderr_is_terminal && usage.is_some_and(|usage| usage.kind() == ErrorKind::InvalidSubcommand) {
        // Similar names; programs only get the line.
        console.lines(&format!("{}\n", mistakes::help(env::args_os().skip(1))));
    }
    if wishes.stream_json {
        // stderr has the same line, so a failure to write this one does not matter.
        let _ = console.print(&json_line(&error_object(&line, exit::of_code(code), code)));
    }
    console.error(&line);
    code
}

fn fail(console: Console, error: &Failure) -> u8 {
    let (code, line) = (error.code(), error.line());
    if let Some(line) = line {
        console.error(&line);
    }
    code
}
