//! The log: files bounded in number and size, and stderr in the foreground.

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

/// Most lines that may wait for the disk. The queue is allocated at once: at the crate's default size it takes four
/// megabytes.
const MAX_LINES: usize = 8192;

/// Keeps the log open. Drop it last, so that the last lines are written.
pub struct Logging {
    _guard: Option<WorkerGuard>,
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Starts logging. Failing to write the log never stops the daemon; stderr must do.
pub fn start(config: &Config, foreground: bool) -> Logging {
    let (filter, filter_handle) = reload::Layer::new(env_filter(&config.log));
    let (file, guard, problem) = match config.log_dir().map(|folder| LogFiles::open(folder, config.log_files)) {
        Some(Ok(files)) => {
            // A separate thread writes the lines; when the disk is slow or full, lines are dropped.
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
    // Only tests start logging twice in one process; the first one stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
    if let (Some(error), Some(folder)) = (problem, config.log_dir()) {
        tracing::warn!(folder = %folder.display(), %error, "cannot write log files");
    }
    Logging { _guard: guard, filter: filter_handle }
}

impl Logging {
    pub fn set_filter(&self, filter: &str) {
        // Fails only when the subscriber is gone.
        let _ = self.filter.reload(env_filter(filter));
    }
}

/// Escapes file names and text from clients and llama.cpp, which must not forge lines or control a terminal.
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

/// Captures only llama.cpp's errors, for [`take_engine_error`]: for processes without a log.
pub fn listen_to_engine() {
    // Only tests start logging twice in one process; the first one stays.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(LastEngineError));
}

/// llama.cpp's last error: its functions only report failure and log the reason.
static LAST_ENGINE_ERROR: Mutex<Option<String>> = Mutex::new(None);

/// Takes the logged reason for the last failure in llama.cpp.
pub fn take_engine_error() -> Option<String> {
    LAST_ENGINE_ERROR.lock().ok()?.take()
}

/// Adds that reason to an error: only the log says whether memory ran out.
pub fn with_engine_error(error: String) -> String {
    explained(error, take_engine_error())
}

fn explained(error: String, reason: Option<String>) -> String {
    let Some(reason) = reason else { return error };
    let error = match ["allocate memory", "bad_alloc"].iter().any(|words| reason.to_lowercase().contains(words)) {
        true => "not enough memory to load the model; try: close other programs, or use a smaller model".into(),
        false => error,
    };
    format!("{error} (llama.cpp: {reason})")
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
            // The first error names the cause; later ones only report failure.
            && last.is_none()
        {
            *last = Some(message);
        }
    }
}

#[cfg(test)]
#[path = "logging_tests.rs"]
mod tests;
