//! Where the log goes: files bounded in number and size, and stderr in the foreground.

mod files;

use std::sync::Mutex;

use beast_launchd::shown;
use tracing::{Event, Level, Subscriber, field};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::Config;
use files::LogFiles;

/// Lines that may wait for the disk. Room for each is taken at once: the crate's own limit takes four megabytes.
const MAX_LINES: usize = 8192;

/// Keeps the log going; dropped last, so that the last lines are written.
pub struct Logging {
    _guard: Option<WorkerGuard>,
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Starts logging. A log that cannot be written never stops the daemon: what is left of it goes to stderr.
pub fn start(config: &Config, foreground: bool) -> Logging {
    let (filter, filter_handle) = reload::Layer::new(env_filter(&config.log));
    let (file, guard, problem) = match config.log_dir().map(|folder| LogFiles::open(folder, config.log_files)) {
        Some(Ok(files)) => {
            // Lines are written by a thread of their own; when the disk is slow or full they are dropped, not waited
            // for.
            let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(MAX_LINES).finish(files);
            (Some(fmt::layer().with_ansi(false).fmt_fields(Harmless).with_writer(writer)), Some(guard), None)
        }
        Some(Err(error)) => (None, None, Some(error)),
        None => (None, None, None),
    };
    let stderr = foreground.then(|| {
        let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
        fmt::layer().with_ansi(ansi).fmt_fields(Harmless).with_writer(std::io::stderr)
    });
    let subscriber = Registry::default().with(filter).with(file).with(stderr).with(LastEngineError);
    // Only tests start twice in one process; the first then stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
    if let (Some(error), Some(folder)) = (problem, config.log_dir()) {
        tracing::warn!(folder = %folder.display(), %error, "cannot write log files");
    }
    Logging { _guard: guard, filter: filter_handle }
}

impl Logging {
    /// Logs by another filter from now on.
    pub fn set_filter(&self, filter: &str) {
        // Fails only when the subscriber is gone, with it the log.
        let _ = self.filter.reload(env_filter(filter));
    }
}

/// Names of files, words of clients and of llama.cpp: none of them makes a line of its own, nor commands a terminal.
struct Harmless;

impl<'writer> FormatFields<'writer> for Harmless {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> std::fmt::Result {
        let mut text = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut text), fields)?;
        writer.write_str(&shown::logged(&text))
    }
}

fn env_filter(filter: &str) -> EnvFilter {
    EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Keeps what llama.cpp complains about for [`take_engine_error`], and nothing else: for a process without a log.
pub fn listen_to_engine() {
    // Only tests start twice in one process; the first then stays.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(LastEngineError));
}

/// The last thing that llama.cpp complained about: its functions only say that they failed, the reason is in its log.
static LAST_ENGINE_ERROR: Mutex<Option<String>> = Mutex::new(None);

/// Takes the reason for what just failed in llama.cpp.
pub fn take_engine_error() -> Option<String> {
    LAST_ENGINE_ERROR.lock().ok()?.take()
}

struct LastEngineError;

impl<S: Subscriber> Layer<S> for LastEngineError {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "llama-cpp-2" || *event.metadata().level() != Level::ERROR {
            return;
        }
        let mut message = None;
        event.record(&mut |field: &field::Field, value: &dyn std::fmt::Debug| {
            if field.name() == "message" {
                message = Some(format!("{value:?}").trim_matches(['"', '\\', 'n', ' ']).trim().to_owned());
            }
        });
        if let (Some(message), Ok(mut last)) = (message, LAST_ENGINE_ERROR.lock())
            // The first complaint names the cause, later ones only that loading failed.
            && last.is_none()
        {
            *last = Some(message);
        }
    }
}
