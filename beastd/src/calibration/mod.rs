//! The fastest settings for this model on this machine: measured once, saved beside the model, used from then on.
//!
//! Repacked weights decode faster and prefill slower on one CPU, and do both faster on another; two cores verify four
//! tokens in the time of three, a GPU in the time of one. So beast measures (`beastd --calibrate`, which `beastctl
//! bench --calibrate` runs) instead of guessing.

mod measure;
pub mod temperatures;

use std::io;
use std::path::{Path, PathBuf};

use beast_launchd::{file, whole};
pub use measure::{Progress, run};
use serde::{Deserialize, Serialize};

use crate::engine::Device;
use crate::fingerprint;

/// Raised when the meaning of a field changes; other versions are ignored.
const VERSION: u32 = 2;
/// A calibration is a few kilobytes of JSON.
const MAX_BYTES: u64 = 1 << 20;
/// A typical request, for comparing variants: tokens of its prompt and of its answer.
const TYPICAL: (f64, f64) = (1000.0, 150.0);
/// Limit for the time of a prefill chunk in milliseconds, since a cancel or a new request waits that long.
const LONGEST_CHUNK_MS: f64 = 1600.0;
/// The same limit for a lone prompt. A new request interrupts its chunk, whose work is then lost; if the engine
/// cannot interrupt it, the new request waits.
const LONGEST_LONE_CHUNK_MS: f64 = 3200.0;
/// The smallest chunk that reaches this share of the best speed is large enough.
const NEARLY_BEST: f64 = 0.97;
/// Both limits on a GPU, where chunks are fast enough for this and cannot be interrupted.
const LONGEST_GPU_CHUNK_MS: f64 = 50.0;
/// Decoding fewer sequences at once must raise total throughput by this factor to be worth taking turns.
const WORTH_TAKING_TURNS: f64 = 1.1;

/// The contents of a calibration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// [`VERSION`] when the file was written.
    pub version: u32,
    /// UTC, RFC 3339.
    pub measured_at: String,
    /// Name and build of the engine.
    pub engine: String,
    pub machine: Machine,
    pub model: Model,
    pub chosen: Chosen,
    /// All variants tried.
    pub variants: Vec<Variant>,
    /// Time of a prefill chunk of n tokens, with the chosen variant.
    pub prefill: Vec<Cost>,
    /// Time of a step that verifies n tokens of one sequence, n − 1 of them drafts.
    pub verify: Vec<Cost>,
    /// Time of a step that decodes one token for each of n sequences.
    pub decode: Vec<SeqCost>,
}

/// The parts of a machine that determine its speed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    /// Cores that this process may use.
    pub n_cores: usize,
    /// The driver's name for the GPU, if one is used.
    #[serde(default)]
    pub gpu: Option<String>,
}

/// A model file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub name: String,
    /// Its fingerprint, in hex.
    pub fingerprint: String,
    /// Size of the weights.
    pub n_bytes: u64,
}

/// The resulting settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Threads that compute.
    pub n_threads: usize,
    /// Whether to repack weights for the CPU.
    pub repack: bool,
    /// Prompt tokens per step while other sequences decode.
    pub prefill_chunk: usize,
    /// Prompt tokens per step for a lone prompt.
    pub lone_chunk: usize,
    /// Sequences to decode in one step.
    pub decode_width: usize,
}

/// A variant and its speed, in tokens per second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Whether weights were repacked for the CPU.
    pub repack: bool,
    /// Threads that compute.
    pub n_threads: usize,
    pub prefill_tps: f64,
    pub decode_tps: f64,
}

/// Time of a step by number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Tokens of the step.
    pub n_tokens: usize,
    pub ms: f64,
}

/// Time of a step by number of sequences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeqCost {
    /// Sequences, one token each.
    pub n_seqs: usize,
    pub ms: f64,
}

/// The calibration of a model, if any.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    Fitting(Box<Calibration>),
    /// A calibration for another model, machine or engine: says what differs.
    Foreign(String),
    /// There is no calibration file.
    Nothing,
}

impl Calibration {
    /// How many of `n_slots` sequences to decode in one step.
    pub fn decode_width(&self, n_slots: usize) -> usize {
        best_width(&self.decode, n_slots)
    }

    /// Recomputes the chunk sizes from the measurements, because the version that wrote the file may have chosen them
    /// by other rules.
    fn choose_chunks(&mut self) {
        let Chosen { prefill_chunk, lone_chunk, .. } = &mut self.chosen;
        let (longest, longest_lone) = longest(&self.machine);
        *prefill_chunk = best_chunk(&self.prefill, longest).unwrap_or(*prefill_chunk);
        *lone_chunk = best_chunk(&self.prefill, longest_lone).unwrap_or(*lone_chunk);
    }

    /// When and where it was measured, for `status`.
    pub fn origin(&self) -> String {
        format!("measured {} on {}", self.measured_at, self.machine.cpu)
    }
}

/// Reads the calibration beside the model, or else in the cache, where it is saved when the model's folder is not
/// writable.
pub fn find(model: &Path, fingerprint: &[u8; 32], engine: &str, gpu: Option<&Device>) -> Found {
    let places = places(model, &fingerprint::hex(fingerprint));
    let Some((path, text)) =
        places.into_iter().find_map(|path| Some((path.clone(), file::read_text(&path, MAX_BYTES).ok()?)))
    else {
        return Found::Nothing;
    };
    let mut calibration: Calibration = match serde_json::from_str(&text) {
        Ok(calibration) => calibration,
        Err(error) => return Found::Foreign(format!("cannot read {}: {error}", path.display())),
    };
    let differs = |what: &str| Found::Foreign(format!("{} is for a different {what}", path.display()));
    match () {
        () if calibration.version != VERSION || calibration.engine != engine => differs("engine version"),
        () if calibration.machine != machine(gpu) => differs("machine"),
        () if calibration.model.fingerprint != fingerprint::hex(fingerprint) => differs("model"),
        () => {
            calibration.choose_chunks();
            Found::Fitting(Box::new(calibration))
        }
    }
}

/// Saves it beside the model, else in the cache; returns the path.
///
/// # Errors
/// When neither is writable.
pub fn write(calibration: &Calibration, model: &Path) -> io::Result<PathBuf> {
    let text = serde_json::to_string_pretty(calibration).map_err(io::Error::other)? + "\n";
    let mut outcome = Err(io::ErrorKind::NotFound.into());
    for path in places(model, &calibration.model.fingerprint) {
        outcome = write_file(&path, &text).map(|()| path);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
    std::fs::create_dir_all(folder)?;
    // Atomically: a daemon may be starting.
    whole::write(path, text.as_bytes(), whole::PRIVATE)
}

fn places(model: &Path, fingerprint: &str) -> Vec<PathBuf> {
    let cached = format!("{fingerprint}.json");
    places_named(model, ".calibration.json", &cached)
}

/// Paths for `what` (the kind of file) of a model: beside it, then in the cache.
fn places_of(model: &Path, fingerprint: &str, what: &str) -> Vec<PathBuf> {
    places_named(model, &format!(".{what}"), &format!("{fingerprint}.{what}"))
}

fn places_named(model: &Path, suffix: &str, cached: &str) -> Vec<PathBuf> {
    let mut beside = model.as_os_str().to_owned();
    beside.push(suffix);
    let cache = beast_launchd::paths::cache_dir().ok();
    let cached = cache.map(|folder| folder.join("calibration").join(cached));
    std::iter::once(PathBuf::from(beside)).chain(cached).collect()
}

/// This machine.
pub fn machine(gpu: Option<&Device>) -> Machine {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = cpu_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    Machine { cpu, n_cores, gpu: gpu.map(|device| device.description.clone()) }
}

/// Linux lists the CPU's name in /proc/cpuinfo; elsewhere the architecture must do.
fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned())
}

/// Limits for the time of a prefill chunk in milliseconds: while others decode, and for a lone prompt.
fn longest(machine: &Machine) -> (f64, f64) {
    match machine.gpu {
        Some(_) => (LONGEST_GPU_CHUNK_MS, LONGEST_GPU_CHUNK_MS),
        None => (LONGEST_CHUNK_MS, LONGEST_LONE_CHUNK_MS),
    }
}

/// The variant that answers a typical request fastest.
fn best_variant(variants: &[Variant]) -> Option<Variant> {
    let (n_prompt, n_answer) = TYPICAL;
    let seconds = |variant: &Variant| n_prompt / variant.prefill_tps + n_answer / variant.decode_tps;
    variants.iter().copied().min_by(|a, b| seconds(a).total_cmp(&seconds(b)))
}

/// The smallest chunk that is nearly as fast as the fastest one within the time limit.
fn best_chunk(prefill: &[Cost], longest_ms: f64) -> Option<usize> {
    let prefill = smoothed(prefill);
    let speed = |cost: &Cost| cost.n_tokens as f64 / cost.ms;
    let short: Vec<_> = prefill.iter().filter(|cost| cost.ms <= longest_ms).collect();
    let best = short.iter().map(|cost| speed(cost)).fold(0.0, f64::max);
    let chosen = short.iter().find(|cost| speed(cost) >= best * NEARLY_BEST);
    chosen.copied().or(prefill.first()).map(|cost| cost.n_tokens)
}

/// Models the time of a chunk as a fixed part (reading the weights) plus a part per token (multiplying with them).
/// Fitted by least squares of the relative errors: on a shared machine single times are a few percent off, and one of
/// them would otherwise tip the choice.
fn smoothed(prefill: &[Cost]) -> Vec<Cost> {
    let [mut w, mut n, mut ms, mut nn, mut nms] = [0.0; 5];
    for cost in prefill {
        let (x, weight) = (cost.n_tokens as f64, cost.ms.powi(-2));
        w += weight;
        n += weight * x;
        ms += weight * cost.ms;
        nn += weight * x * x;
        nms += weight * x * cost.ms;
    }
    let each = (w * nms - n * ms) / (w * nn - n * n);
    let fixed = (ms - each * n) / w;
    // One point defines no line, and a negative slope or intercept is not physical.
    if prefill.len() < 2 || !(each > 0.0 && fixed >= 0.0) {
        return prefill.to_vec();
    }
    prefill.iter().map(|cost| Cost { ms: fixed + each * cost.n_tokens as f64, ..*cost }).collect()
}

/// How many of `n_slots` sequences to decode in one step: all, unless fewer yield clearly more.
fn best_width(decode: &[SeqCost], n_slots: usize) -> usize {
    let speed = |cost: &SeqCost| cost.n_seqs as f64 / cost.ms;
    let Some(all) = decode.iter().rfind(|cost| cost.n_seqs <= n_slots).map(speed) else { return n_slots };
    let fewer = decode.iter().filter(|cost| cost.n_seqs < n_slots && speed(cost) >= all * WORTH_TAKING_TURNS);
    fewer.max_by(|a, b| speed(a).total_cmp(&speed(b))).map_or(n_slots, |cost| cost.n_seqs)
}

#[cfg(test)]
#[path = "calibration_tests.rs"]
mod tests;
