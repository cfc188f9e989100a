//! Settings: their layers, sources and checks. Every value that leaves this room is valid.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use beast_launchd::file;
use beast_launchd::paths::{self, PathError};
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use crate::cores;

mod durations;
mod error;
pub mod http;
mod key_file;
mod keys;
mod print;
pub mod upstream;

use durations::parse_duration;
pub use error::{ConfigError, Source};
use http::Http;
use keys::{KEYS, parse_bytes};
use upstream::UpstreamConfig;

/// Larger than any real configuration.
const MAX_BYTES: u64 = 1 << 20;
const DEFAULTS: &str = include_str!("config.default.toml");

/// The defaults that a profile changes.
const PROFILES: [(&str, &str); 2] =
    [("beast", "n_ctx = 4096\nn_batch = 1024"), ("baseline", "n_ctx = 2048\nn_batch = 512")];

/// Variables of the client and the tests, which are no daemon settings.
const OTHER_VARIABLES: [&str; 17] = [
    "BEAST_COLOR",
    "BEAST_FAULTS",
    "BEAST_FUZZ_SECONDS",
    "BEAST_FUZZ_SEED",
    "BEAST_GRAMMARS",
    "BEAST_HOOK",
    "BEAST_HTTP_FUZZ",
    "BEAST_LOG_CONVERSATIONS",
    "BEAST_MARKDOWN",
    "BEAST_PATIENCE",
    "BEAST_RESUMES",
    "BEAST_SOAK",
    "BEAST_TEMPLATE_CASES",
    "BEAST_TIMEOUT",
    "BEAST_TIMINGS",
    "BEAST_TOOL_CASES",
    "BEAST_TOOL_FIRST",
];
/// Prefixes of more such variables.
const OTHER_PREFIXES: [&str; 2] = ["BEAST_TEST_", "BEAST_COMPLETE"];

/// The effective settings. `config.default.toml` documents each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml is the one place that describes them")]
pub struct Config {
    pub model: String,
    pub aliases: String,
    pub memory_budget: String,
    pub pinned: String,
    pub profile: String,
    pub socket: PathBuf,
    pub log_dir: PathBuf,
    pub log: String,
    pub log_files: usize,
    pub n_ctx: usize,
    pub n_slots: usize,
    pub n_prefixes: usize,
    pub prefix_ram_mib: u64,
    pub n_cells: usize,
    pub kv_cache: String,
    pub n_batch: usize,
    pub prefill_chunk: usize,
    pub n_threads: usize,
    pub governor: bool,
    pub backend: String,
    pub backend_dir: PathBuf,
    pub device: String,
    pub n_gpu_layers: i64,
    pub repack: String,
    pub kernels: bool,
    pub calibration: bool,
    pub speculation: String,
    pub draft: String,
    pub n_draft: usize,
    pub prefix_disk_mib: u64,
    pub mmap: bool,
    pub max_tokens: usize,
    pub repeat_penalty: f32,
    pub dry_multiplier: f32,
    pub dry_base: f32,
    pub dry_allowed_length: u32,
    pub dry_penalty_last_n: i64,
    pub xtc_probability: f32,
    pub xtc_threshold: f32,
    pub max_waiting: usize,
    pub max_connections: usize,
    #[serde(deserialize_with = "duration")]
    pub handshake_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub idle_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub stall_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub drain_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub idle_unload: Duration,
    #[serde(deserialize_with = "duration")]
    pub idle_exit: Duration,
    #[serde(deserialize_with = "duration")]
    pub failed_linger: Duration,
    // Strings become addresses and keys, each with its own checks: `http::parse` fills it.
    #[serde(skip)]
    pub http: Http,
    // Tables with names of the user's own, which no default has: `upstream::parse` fills it.
    #[serde(skip)]
    pub upstreams: Vec<UpstreamConfig>,
}

/// Every setting and its source. A setting in a table is `TABLE.KEY`.
type Values = BTreeMap<String, (Value, Source)>;

/// Settings from outside the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// A file other than the default one; it must exist.
    pub file: Option<PathBuf>,
    /// `BEAST_*` variables of the environment, or a test's replacement for them.
    pub env: BTreeMap<String, String>,
    /// Flags: (as typed, key, value).
    pub flags: Vec<(String, String, String)>,
}

/// The effective settings and the source of each.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// Settings that are not understood, one line each.
    pub warnings: Vec<String>,
    values: Values,
}

/// Merges the layers and validates the result.
///
/// # Errors
/// See [`ConfigError`].
pub fn load(overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let defaults: Table = DEFAULTS.parse().expect("config.default.toml is valid, a test reads it");
    let mut values: Values =
        flat(defaults, |_| true).into_iter().map(|(key, value)| (key, (value, Source::Default))).collect();

    let warnings = unknown_variables(&values, &overrides.env);
    let (mut layers, upstreams) = read_file(overrides, &values)?;
    for (key, value) in env_layer(&values, &overrides.env) {
        layers.push((key.clone(), Value::String(value), Source::Env(env_name(&key))));
    }
    for (flag, key, value) in &overrides.flags {
        layers.push((key.clone(), Value::String(value.clone()), Source::Flag(flag.clone())));
    }
    // The profile's layer is below the file, but any layer may name it.
    let profile = layers.iter().rev().find(|(key, ..)| key == "profile");
    let profile_source = profile.map_or(Source::Default, |(_, _, source)| source.clone());
    let profile = profile.and_then(|(_, value, _)| value.as_str()).unwrap_or("beast").to_owned();
    for (key, value) in profile_layer(&profile, profile_source)? {
        values.insert(key, (value, Source::Profile(profile.clone())));
    }
    for (key, value, source) in layers {
        let Some((current, _)) = values.get(&key) else {
            if is_table(&values, &key) {
                return Err(ConfigError::Invalid {
                    value: value.to_string(),
                    source_of_key: source,
                    reason: format!("it is a table; write [{key}] and its settings below it"),
                    key,
                });
            }
            let nearest = nearest(&key, values.keys());
            return Err(ConfigError::UnknownKey { key, source_of_key: source, nearest });
        };
        let value = like(current, value, &key, &source)?;
        values.insert(key, (value, source));
    }
    check_local(&upstreams, &values)?;
    resolve_paths(&mut values)?;
    let config = Config { upstreams, ..parse(&values)? };
    check(&config, &values)?;
    Ok(Loaded { config, warnings, values })
}

pub fn process_env() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("BEAST_"))
        .collect()
}

fn env_name(key: &str) -> String {
    format!("BEAST_{}", key.to_ascii_uppercase().replace('.', "_"))
}

/// The settings of a file; a setting in a table becomes `TABLE.KEY`.
fn flat(table: Table, is_table: impl Fn(&str) -> bool) -> Vec<(String, Value)> {
    let mut settings = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(table) if is_table(&key) => {
                settings.extend(table.into_iter().map(|(name, value)| (format!("{key}.{name}"), value)));
            }
            value => settings.push((key, value)),
        }
    }
    settings
}

fn is_table(values: &Values, key: &str) -> bool {
    values.keys().any(|name| name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

/// Other `BEAST_*` variables belong to the client, so only our settings are read.
fn env_layer(values: &Values, env: &BTreeMap<String, String>) -> Vec<(String, String)> {
    values.keys().filter_map(|key| Some((key.clone(), env.get(&env_name(key))?.clone()))).collect()
}

/// Warns of a `BEAST_*` variable that nothing reads. It may belong to another version, so it is not an error.
fn unknown_variables(values: &Values, env: &BTreeMap<String, String>) -> Vec<String> {
    let names: Vec<String> = values.keys().map(|key| env_name(key)).collect();
    let is_known = |name: &str| {
        names.iter().any(|known| known == name)
            || OTHER_VARIABLES.contains(&name)
            || OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let unknown = env.keys().filter(|name| name.starts_with("BEAST_") && !is_known(name));
    let line = |name: &String| match nearest(name, names.iter()) {
        Some(nearest) => format!("unknown variable {name}; did you mean {nearest}?"),
        None => format!("unknown variable {name}; try: unset {name}"),
    };
    unknown.map(line).collect()
}

type Layer = Vec<(String, Value, Source)>;

fn read_file(overrides: &Overrides, known: &Values) -> Result<(Layer, Vec<UpstreamConfig>), ConfigError> {
    let path = match &overrides.file {
        Some(path) => path.clone(),
        None => match paths::config_dir() {
            Ok(folder) => folder.join("config.toml"),
            // Without a home directory there is no file; a path that needs one fails later.
            Err(_) => return Ok(Default::default()),
        },
    };
    let text = match file::read_text(&path, MAX_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && overrides.file.is_none() => {
            return Ok(Default::default());
        }
        Err(source) => return Err(ConfigError::Read { path, source }),
    };
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
        ConfigError::Syntax { path: path.clone(), message: format!("line {line}: {}", error.message()) }
    })?;
    let upstreams = table.remove(upstream::TABLE).map(|tables| upstream::parse(tables, &path)).transpose()?;
    let settings = flat(table, |key| is_table(known, key)).into_iter();
    let settings = settings.map(|(key, value)| (key, value, Source::File(path.clone()))).collect();
    Ok((settings, upstreams.unwrap_or_default()))
}

fn profile_layer(name: &str, source: Source) -> Result<Table, ConfigError> {
    match PROFILES.iter().find(|(profile, _)| *profile == name) {
        Some((_, text)) => Ok(text.parse().expect("profiles are valid, a test reads them")),
        None => Err(ConfigError::Invalid {
            key: "profile".into(),
            value: Value::from(name).to_string(),
            source_of_key: source,
            reason: "it must be 'beast' or 'baseline'".into(),
        }),
    }
}

/// Parses text from the environment or a flag as the type of the default.
fn like(default: &Value, value: Value, key: &str, source: &Source) -> Result<Value, ConfigError> {
    let parsed = match (default, &value) {
        (Value::Integer(_), Value::String(text)) => text.trim().parse().ok().map(Value::Integer),
        (Value::Float(_), Value::String(text)) => text.trim().parse().ok().map(Value::Float),
        // `1` is a number too; one that large is out of every range.
        (Value::Float(_), Value::Integer(n)) => Some(Value::Float(*n as f64)),
        (Value::Boolean(_), Value::String(text)) => text.trim().parse().ok().map(Value::Boolean),
        _ if default.same_type(&value) => Some(value.clone()),
        _ => None,
    };
    parsed.ok_or_else(|| ConfigError::Invalid {
        key: key.into(),
        value: http::shown(key, &value),
        source_of_key: source.clone(),
        reason: http::hint(key, &value).unwrap_or_else(|| expected(default)),
    })
}

/// What a value of another type should have been.
fn expected(default: &Value) -> String {
    match default {
        Value::String(text) if text.is_empty() => "expected a text in quotes".to_owned(),
        Value::String(_) => format!("expected a text in quotes, like {default}"),
        _ => format!("expected a value like {default}"),
    }
}

fn nearest<'a>(key: &str, keys: impl Iterator<Item = &'a String>) -> Option<String> {
    let (table, own) = split(key);
    let by_distance = keys.map(|name| {
        let (other_table, other) = split(name);
        // A missing table is likelier than a wrong name.
        (strsim::damerau_levenshtein(own, other) + usize::from(table != other_table), name)
    });
    by_distance.min().filter(|(distance, _)| *distance <= own.len().div_ceil(2)).map(|(_, name)| name.clone())
}

/// The table of a setting, and its name in it.
fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('.').unwrap_or(("", key))
}

/// Makes "auto" and relative paths absolute: a daemon changes its working directory.
fn resolve_paths(values: &mut Values) -> Result<(), ConfigError> {
    for (key, auto) in [
        ("socket", paths::socket_path as fn() -> Result<PathBuf, PathError>),
        ("log_dir", paths::log_dir),
        ("model", || Ok(PathBuf::from("auto"))),
        ("draft", || Ok(PathBuf::from("auto"))),
        ("backend_dir", || Ok(PathBuf::from("auto"))),
        ("http.socket", || Ok(PathBuf::from("auto"))),
        ("http.api_key_file", || Ok(PathBuf::from("auto"))),
    ] {
        let beside = PathBuf::from(text_of(values, "socket")).with_file_name("http.sock");
        let Some((Value::String(text), _)) = values.get_mut(key) else { continue };
        let path = match (key, text.as_str()) {
            ("model", "auto" | "builtin") | ("draft", "auto" | "builtin" | "none") | ("log_dir", "none") => continue,
            ("http.socket" | "http.api_key_file", "") => continue,
            ("http.socket", "auto") => beside,
            ("http.api_key_file", text) => absolute(text),
            (_, "auto") => auto()?,
            (_, text) => absolute(text),
        };
        *text = path.to_string_lossy().into_owned();
    }
    Ok(())
}

fn text_of<'a>(values: &'a Values, key: &str) -> &'a str {
    values[key].0.as_str().unwrap_or_default()
}

fn absolute(text: &str) -> PathBuf {
    let home = text.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest)));
    let path = home.unwrap_or_else(|| PathBuf::from(text));
    std::path::absolute(&path).unwrap_or(path)
}

fn parse(values: &Values) -> Result<Config, ConfigError> {
    let mut table = Table::new();
    for (name, (value, _)) in values {
        // One by one, so that an error can name the setting and its source.
        if let Some(key) = keys::find(name) {
            key.kind.check(value).map_err(|reason| invalid(values, name, &reason))?;
        }
        if !http::is_of_http(name) {
            table.insert(name.clone(), value.clone());
        }
    }
    // The values have been checked, but a failure here must not panic: a running daemon reloads with this too.
    let mut config: Config =
        table.try_into().map_err(|error: toml::de::Error| ConfigError::Unusable(error.to_string()))?;
    config.http = http::parse(values, &config.socket)?;
    Ok(config)
}

/// Checks that span several settings.
fn check(config: &Config, values: &Values) -> Result<(), ConfigError> {
    if config.n_batch < config.n_slots {
        return Err(invalid(values, "n_batch", &format!("it must be at least n_slots, which is {}", config.n_slots)));
    }
    if config.prefill_chunk > config.n_batch {
        let reason = format!("it must be at most n_batch, which is {}", config.n_batch);
        return Err(invalid(values, "prefill_chunk", &reason));
    }
    if config.n_cells != 0 && config.n_cells < config.n_ctx {
        return Err(invalid(values, "n_cells", "it must be 0, or at least n_ctx: one request needs that much"));
    }
    Ok(())
}

/// Another server's model cannot be in memory here. Called before names become paths.
fn check_local(upstreams: &[UpstreamConfig], values: &Values) -> Result<(), ConfigError> {
    for key in ["model", "draft", "pinned"] {
        let text = text_of(values, key);
        let is_upstream = |name: &&str| upstreams.iter().any(|upstream| upstream.name.eq_ignore_ascii_case(name));
        if let Some(name) = words(text).find(is_upstream) {
            let reason = format!("another server computes {name}, so it is never in memory here; name a local model");
            return Err(invalid(values, key, &reason));
        }
    }
    Ok(())
}

fn invalid(values: &Values, key: &str, reason: &str) -> ConfigError {
    let (value, source) = &values[key];
    ConfigError::Invalid {
        key: key.into(),
        value: http::shown(key, value),
        source_of_key: source.clone(),
        reason: reason.into(),
    }
}

/// The parts of a list that is separated by commas.
fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(serde::de::Error::custom)
}

impl Config {
    /// KV cells for all slots together, with a context of `n_ctx` tokens per request.
    pub fn n_cells(&self, n_ctx: usize) -> usize {
        if self.n_cells == 0 { self.n_slots * n_ctx } else { self.n_cells.min(self.n_slots * n_ctx) }
    }

    /// Memory for all models in bytes; `None` for what the machine can spare.
    pub fn memory_budget(&self) -> Option<u64> {
        if self.memory_budget == "auto" { None } else { parse_bytes(&self.memory_budget).ok() }
    }

    /// Names of models, and what they stand for; upstream models stand for themselves.
    pub fn aliases(&self) -> Vec<(String, String)> {
        let pairs = words(&self.aliases).filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(alias, model)| (alias.trim().to_owned(), model.trim().to_owned()));
        pairs.chain(self.upstreams.iter().map(|upstream| (upstream.name.clone(), upstream.name.clone()))).collect()
    }

    /// Names of the models that are never evicted.
    pub fn pinned(&self) -> impl Iterator<Item = &str> {
        words(&self.pinned)
    }

    /// Prompt tokens per step. On a CPU 128 is as fast as larger chunks and keeps waits short; a GPU needs more to be
    /// busy.
    pub fn prefill_chunk(&self, on_gpu: bool) -> usize {
        let auto = if on_gpu { 512 } else { 128 };
        if self.prefill_chunk == 0 { auto.min(self.n_batch) } else { self.prefill_chunk }
    }

    /// Most tokens to draft at once. llama.cpp keeps the states of a row of drafts together: a step must hold more than
    /// such a row.
    pub fn n_draft(&self) -> usize {
        if self.speculation == "off" { 0 } else { self.n_draft.min(self.n_batch.saturating_sub(2)) }
    }

    pub fn n_threads(&self) -> usize {
        if self.n_threads > 0 { self.n_threads } else { cores::worth_a_thread() }
    }

    /// Most threads that a calibration may choose.
    pub fn most_threads(&self) -> usize {
        if self.n_threads > 0 { self.n_threads } else { cores::allowed() }
    }

    /// These settings, except that those which SIGHUP can apply come from `fresh`.
    pub fn with_live_settings_of(&self, fresh: &Config) -> Config {
        let mut next = self.clone();
        for copy in KEYS.iter().filter_map(|key| key.live) {
            copy(&mut next, fresh);
        }
        next
    }

    /// Folder of the log files, if enabled.
    pub fn log_dir(&self) -> Option<&Path> {
        (self.log_dir.as_os_str() != "none").then_some(&self.log_dir)
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
