//! The table of settings: name, type, range, whether SIGHUP applies it, and whether it affects speed.
//!
//! Checks, `--print-config`, SIGHUP, `beastctl bench` and docs/configuration.md follow from this table. Descriptions
//! and defaults are in `config.default.toml`. Never knows: the source of a value.

use bytesize::ByteSize;
use toml::Value;
use tracing_subscriber::EnvFilter;

use super::Config;
use super::durations::parse_duration;

pub struct Key {
    /// The name as in the file; in a table, `TABLE.KEY`.
    pub name: &'static str,
    pub kind: Kind,
    /// Copies the setting between configurations if SIGHUP can apply it; `None` if it needs a restart.
    pub live: Option<fn(&mut Config, &Config)>,
    /// Whether it affects measured speed, unlike sockets, logs and limits.
    pub is_of_speed: bool,
}

pub enum Kind {
    /// A file or folder, or one of these words.
    Path(&'static [&'static str]),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An integer, both bounds included.
    Number(i64, i64),
    /// A number, both bounds included.
    Real(f64, f64),
    /// True or false.
    Switch,
    /// `30s`, `1h 30m`, `0` or `never`.
    Duration,
    /// The syntax of RUST_LOG.
    Filter,
    /// `auto` or a number of bytes, such as `4 GiB`.
    Bytes,
    /// `NAME=MODEL`, separated by commas.
    Pairs,
    /// Strings that `http.rs` checks.
    Http(&'static str),
    /// Any text; whether it is valid shows only when it is used.
    Text(&'static str),
}

impl Kind {
    /// Checks a value by itself, not against other settings.
    ///
    /// # Errors
    /// Why it is invalid.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let text = value.as_str().unwrap_or_default();
        match self {
            Self::Choice(words) if !words.contains(&text) => Err(format!("it must be one of {}", words.join(", "))),
            Self::Number(min, max) if !value.as_integer().is_some_and(|n| (*min..=*max).contains(&n)) => {
                Err(format!("it must be between {min} and {max}"))
            }
            Self::Real(min, max) if !value.as_float().is_some_and(|n| (*min..=*max).contains(&n)) => {
                Err(format!("it must be between {min} and {max}"))
            }
            Self::Duration => parse_duration(text).map(drop),
            Self::Bytes if text != "auto" => parse_bytes(text).map(drop),
            Self::Pairs => check_pairs(text),
            Self::Filter => EnvFilter::try_new(text).map(drop).map_err(|error| error.to_string()),
            _ => Ok(()),
        }
    }

    /// The type in words.
    pub(super) fn words(&self) -> String {
        let alternatives =
            |words: &[&str]| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Path([]) => "a path".into(),
            Self::Path(words) => format!("a path, or {}", alternatives(words)),
            Self::Choice(words) => alternatives(words),
            Self::Number(min, max) => format!("{min} to {max}"),
            Self::Real(min, max) => format!("{min} to {max}"),
            Self::Switch => "true, false".into(),
            Self::Duration => "a duration such as 30s or 1h 30m, 0, never".into(),
            Self::Bytes => "a size such as 4GiB, or \"auto\"".into(),
            Self::Pairs => "NAME=MODEL, separated by commas".into(),
            Self::Filter => "the syntax of RUST_LOG".into(),
            Self::Http(words) | Self::Text(words) => (*words).into(),
        }
    }
}

/// `4GiB`, `512 MB` or a number of bytes.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let size = text.trim().parse::<ByteSize>().map(|size| size.as_u64());
    // Below this, no model fits; above, nothing is a size of memory.
    let is_possible = |n: &u64| (1..=MAX_BYTES).contains(n);
    size.ok().filter(is_possible).ok_or_else(|| "expected auto, or a size such as 4GiB or 800MB".to_owned())
}

fn check_pairs(text: &str) -> Result<(), String> {
    let is_pair = |pair: &str| pair.split_once('=').is_some_and(|(a, b)| !a.trim().is_empty() && !b.trim().is_empty());
    match text.split(',').map(str::trim).find(|pair| !pair.is_empty() && !is_pair(pair)) {
        Some(pair) => Err(format!("{pair:?} must be NAME=MODEL")),
        None => Ok(()),
    }
}

pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

const fn fixed(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, live: None, is_of_speed: false }
}

const fn of_speed(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, live: None, is_of_speed: true }
}

const fn live(name: &'static str, kind: Kind, copy: fn(&mut Config, &Config)) -> Key {
    Key { name, kind, live: Some(copy), is_of_speed: false }
}

/// Most MiB that can be counted in bytes.
const MAX_MIB: i64 = 1 << 30;
/// The same in bytes.
const MAX_BYTES: u64 = 1 << 50;
const MAX_TOKENS: i64 = 1 << 24;

use Kind::{Choice, Filter, Http, Number, Path, Real, Switch, Text};

/// All settings, in the order of `config.default.toml`.
pub static KEYS: [Key; 59] = [
    fixed("model", Path(&["auto", "builtin"])),
    live("aliases", Kind::Pairs, |to, from| to.aliases.clone_from(&from.aliases)),
    live("memory_budget", Kind::Bytes, |to, from| to.memory_budget.clone_from(&from.memory_budget)),
    live("pinned", Text("names of models, separated by commas"), |to, from| to.pinned.clone_from(&from.pinned)),
    of_speed("profile", Choice(&["beast", "baseline"])),
    fixed("socket", Path(&["auto"])),
    fixed("log_dir", Path(&["auto", "none"])),
    live("log", Filter, |to, from| to.log.clone_from(&from.log)),
    fixed("log_files", Number(1, 1000)),
    of_speed("n_ctx", Number(64, MAX_TOKENS)),
    // llama.cpp numbers sequences up to 255 (LLAMA_MAX_SEQ).
    of_speed("n_slots", Number(1, 64)),
    of_speed("n_prefixes", Number(0, 128)),
    of_speed("prefix_ram_mib", Number(0, MAX_MIB)),
    of_speed("n_cells", Number(0, 64 * MAX_TOKENS)),
    of_speed("kv_cache", Choice(&["auto", "f16", "q8_0"])),
    // The smallest step that can show whether drafts can be rolled back has two tokens.
    of_speed("n_batch", Number(2, 1 << 20)),
    of_speed("prefill_chunk", Number(0, 1 << 20)),
    of_speed("n_threads", Number(0, 1024)),
    of_speed("governor", Switch),
    of_speed("backend", Choice(&["auto", "cpu", "cuda", "rocm", "vulkan"])),
    fixed("backend_dir", Path(&["auto"])),
    of_speed("device", Text("\"auto\", or the name or number of a device")),
    of_speed("n_gpu_layers", Number(-1, i32::MAX as i64)),
    of_speed("repack", Choice(&["auto", "on", "off"])),
    of_speed("kernels", Switch),
    of_speed("calibration", Switch),
    of_speed("speculation", Choice(&["auto", "lookup", "draft", "off"])),
    of_speed("draft", Path(&["auto", "builtin", "none"])),
    of_speed("n_draft", Number(0, 64)),
    of_speed("prefix_disk_mib", Number(0, MAX_MIB)),
    of_speed("mmap", Switch),
    fixed("max_tokens", Number(1, MAX_TOKENS)),
    fixed("repeat_penalty", Real(0.0, 100.0)),
    fixed("dry_multiplier", Real(0.0, 100.0)),
    fixed("dry_base", Real(1.0, 100.0)),
    fixed("dry_allowed_length", Number(0, MAX_TOKENS)),
    fixed("dry_penalty_last_n", Number(-1, MAX_TOKENS)),
    fixed("xtc_probability", Real(-1.0, 1.0)),
    fixed("xtc_threshold", Real(-1.0, 1.0)),
    fixed("max_waiting", Number(0, 4096)),
    fixed("max_connections", Number(1, 4096)),
    live("idle_unload", Kind::Duration, |to, from| to.idle_unload = from.idle_unload),
    live("idle_exit", Kind::Duration, |to, from| to.idle_exit = from.idle_exit),
    live("handshake_timeout", Kind::Duration, |to, from| to.handshake_timeout = from.handshake_timeout),
    live("idle_timeout", Kind::Duration, |to, from| to.idle_timeout = from.idle_timeout),
    live("stall_timeout", Kind::Duration, |to, from| to.stall_timeout = from.stall_timeout),
    live("drain_timeout", Kind::Duration, |to, from| to.drain_timeout = from.drain_timeout),
    live("failed_linger", Kind::Duration, |to, from| to.failed_linger = from.failed_linger),
    fixed("http.listen", Http("addresses such as 127.0.0.1:8484, separated by commas")),
    fixed("http.socket", Path(&["auto", ""])),
    fixed("http.ollama", Switch),
    fixed("http.ollama_listen", Http("an address such as 127.0.0.1:11434")),
    live("http.api_key", Http("a key of visible ASCII"), |to, from| to.http.take_keys_of(&from.http)),
    live("http.api_key_file", Path(&[""]), |to, from| to.http.take_keys_of(&from.http)),
    live("http.hosts", Http("names, separated by commas"), |to, from| to.http.hosts.clone_from(&from.http.hosts)),
    live("http.origins", Http("origins, separated by commas"), |to, from| {
        to.http.origins.clone_from(&from.http.origins);
    }),
    live("http.models", Choice(&["any", "strict"]), |to, from| to.http.is_strict = from.http.is_strict),
    fixed("http.max_body_mib", Number(1, 1024)),
    fixed("http.max_connections", Number(1, 4096)),
];
