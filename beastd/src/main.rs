//! The program: arguments, configuration, socket, log, then [`beastd::run`].

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use beast_launchd::{ALREADY_RUNNING, Advised, HttpListener, Listener, Origin, SocketError, cpu, shown, words};
use beast_protocol::LoadStage;
use beastd::calibration;
use beastd::clock::now_us;
use beastd::config::{self, Loaded, Overrides};
use beastd::loader::Progress;
use beastd::logging;
use clap::Parser;

/// Keep a language model in memory and serve it on a Unix socket. Usually started by beastctl, launchd or systemd
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Show all settings and their defaults: beastd --print-config
Stop the daemon: beastctl stop

Exit codes: 0 stopped, 1 failed, 2 usage, 69 another beastd already serves the socket."
)]
struct Args {
    /// Read this configuration instead of ~/.config/beast/config.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Model to load: a GGUF file, auto or builtin
    #[arg(long, value_name = "FILE")]
    model: Option<String>,
    /// Set of defaults: beast or baseline
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Listen here
    #[arg(long, value_name = "PATH")]
    socket: Option<String>,
    /// Set any other configuration key
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Run in the background; return once the socket accepts connections
    #[arg(long)]
    daemonize: bool,
    /// Find the fastest settings for this model on this machine, save them beside the model and exit. Prints JSON
    /// lines; `beastctl bench --calibrate` shows them as a table
    #[arg(long)]
    calibrate: bool,
    /// With --calibrate: save the results even if other programs used the cores
    #[arg(long, requires = "calibrate")]
    force: bool,
    /// Load this model once and exit: the daemon runs this in a child process first, because a damaged file may crash
    /// llama.cpp
    #[arg(long, hide = true, value_name = "FILE", exclusive = true)]
    try_model: Option<PathBuf>,
    /// Load this GPU plug-in, print its devices and exit: the daemon runs this in a child process first, because a
    /// broken plug-in or driver may crash
    #[arg(long, hide = true, value_name = "FILE", exclusive = true)]
    try_backend: Option<PathBuf>,
    /// Print the effective settings and the source of each, then exit
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "toml")]
    print_config: Option<Format>,
}

/// Output format of the settings.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people; can be used as a configuration file.
    Toml,
    /// For programs: with layer, range, and whether SIGHUP applies it.
    Json,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as n_ctx=8192")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

fn main() -> ExitCode {
    cpu::require("beastd", &beastd::engine::needs(), 1);
    let started_us = now_us();
    beastd::engine::settle_environment();
    beastd::engine::keep_memory_together();
    beastd::engine::log_last_words();
    let args = Args::try_parse().unwrap_or_else(|error| {
        if error.use_stderr() {
            // The first paragraph, which may have several lines.
            let text = error.to_string();
            let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            let line = lines.join(" ");
            let line = line.strip_prefix("error: ").unwrap_or(&line);
            say(&Advised::new(line).or_try(|| Some("beastd --help".to_owned())).to_string());
            std::process::exit(error.exit_code());
        }
        error.exit()
    });
    // In a trial, the parent daemon adds the advice.
    let is_trial = args.try_model.is_some();
    match run(args, started_us) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The whole chain of causes, once, on one line.
            let text = format!("{error:#}");
            let step = || (!is_trial).then(|| "beastctl doctor".to_owned());
            say(&Advised::new(&text).or_try(step).to_string());
            ExitCode::from(exit_code(&error))
        }
    }
}

/// Lets programs distinguish a daemon that is not needed from one that failed.
fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref() {
        Some(SocketError::AlreadyRunning { .. }) => ALREADY_RUNNING,
        _ => 1,
    }
}

/// Prints a line that may quote untrusted text, such as a configuration key or a path.
fn say(text: &str) {
    // stderr may be closed.
    let _ = writeln!(std::io::stderr(), "beastd: {}", shown::logged(text));
}

fn run(args: Args, started_us: u64) -> anyhow::Result<()> {
    if let Some(path) = &args.try_model {
        return beastd::trial::child(path).map_err(anyhow::Error::msg);
    }
    if let Some(path) = &args.try_backend {
        return beastd::backends::child(path).map_err(anyhow::Error::msg);
    }
    let overrides = overrides(&args);
    let loaded = config::load(&overrides)?;
    if args.print_config.is_some() || args.calibrate {
        // No log is open yet.
        loaded.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
    }
    if let Some(format) = args.print_config {
        let text = match format {
            Format::Toml => loaded.print(),
            Format::Json => loaded.json(),
        };
        let mut out = std::io::stdout();
        let text = if out.is_terminal() { shown::harmless(&text) } else { text.into() };
        out.write_all(text.as_bytes()).context("cannot write the configuration")?;
        return Ok(());
    }
    if args.calibrate {
        return calibrate(&loaded.config, args.force);
    }
    let listening_us = now_us();
    let listener = beast_launchd::listen(&loaded.config.socket)?;
    let listened_us = now_us();
    let endpoints = beastd::http::bind(&loaded.config.http)?;

    // After binding, so that clients can connect as soon as the parent returns; before the first thread, because fork
    // keeps only one.
    let foreground = !args.daemonize || listener.origin != Origin::Bound;
    if !foreground {
        let mut background = daemonize::Daemonize::new().umask(0o077);
        // If the file cannot be written, the daemon runs without it.
        if let Ok(file) = words::begin(&listener.path) {
            background = background.stderr(file);
        }
        background.start().context("cannot run in the background")?;
    } else {
        words::forget(&listener.path);
    }
    listener.record_pid()?;
    endpoints.iter().try_for_each(HttpListener::record_pid)?;
    let logging = logging::start(&loaded.config, foreground);
    log_panics();
    let progress = Progress::new();
    progress.finished(LoadStage::ProcessStart, listening_us - started_us);
    progress.finished(LoadStage::Socket, listened_us - listening_us);
    let outcome = serve(listener, endpoints, loaded, overrides, progress, &logging);
    if let Err(error) = &outcome {
        tracing::error!("{error:#}");
    }
    // Flushes the log.
    drop(logging);
    outcome
}

fn calibrate(config: &config::Config, is_forced: bool) -> anyhow::Result<()> {
    beastd::engine::log_to_tracing();
    let located = beastd::model_file::locate(&config.model)?;
    let mut out = std::io::stdout();
    let outcome =
        calibration::run(config, &located.path, is_forced, |calibration::Progress { n_done, n_total, what }| {
            let line = serde_json::json!({ "progress": { "n_done": n_done, "n_total": n_total, "what": what } });
            // The calibration does not need a reader.
            let _ = writeln!(out, "{line}");
        })
        // The message already contains its causes.
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let path = calibration::write(&outcome, &located.path).context("cannot save the calibration")?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::json!({ "calibration": outcome }))?;
    writeln!(out, "{}", serde_json::json!({ "written": path }))?;
    Ok(())
}

fn serve(
    listener: Listener,
    endpoints: Vec<HttpListener>,
    loaded: Loaded,
    overrides: Overrides,
    progress: Progress,
    logging: &logging::Logging,
) -> anyhow::Result<()> {
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let (version, socket) = (beastd::shared::VERSION, listener.path.display());
    tracing::info!(version, %socket, origin = ?listener.origin, "listening");
    // One thread is enough for sockets and leaves the cores to the engine. Threads that tokenize large prompts exit
    // soon after, so that an idle daemon stays idle.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_keep_alive(Duration::from_secs(1))
        .build()?;
    let outcome = runtime.block_on(beastd::run(listener, endpoints, loaded, overrides, progress, logging));
    runtime.shutdown_background();
    outcome
}

fn overrides(args: &Args) -> Overrides {
    let own = [("model", &args.model), ("profile", &args.profile), ("socket", &args.socket)];
    let own = own.into_iter().filter_map(|(key, value)| Some((format!("--{key}"), key.to_owned(), value.clone()?)));
    let set = args.set.iter().map(|(key, value)| ("--set".to_owned(), key.clone(), value.clone()));
    // The daemon changes its working directory before SIGHUP may read the file again.
    let file = args.config.as_ref().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone()));
    Overrides { file, env: config::process_env(), flags: own.chain(set).collect() }
}

/// In the background, stderr does not show a panic.
fn log_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        tracing::error!("{info}");
        default(info);
    }));
}
