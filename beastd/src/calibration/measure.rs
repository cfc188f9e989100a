//! The measurements: loads the model with each variant, computes, takes medians.

use std::path::Path;
use std::time::Instant;

use super::{
    Calibration, Chosen, Cost, Machine, Model, SeqCost, VERSION, Variant, best_chunk, best_variant, best_width,
    longest, machine,
};
use crate::backends;
use crate::batch::{Batch, KvEdit, Row, SamplingParams, SeqId, SlotId, Token};
use crate::clock::now_us;
use crate::config::Config;
use crate::engine::{self, ContextOptions, Device, Engine, KvType, LlamaEngine, LoadError, LoadedModel, ModelOptions};
use crate::fingerprint;
use crate::governor;

/// Repetitions per time; the median counts.
const N_REPEATS: usize = 3;
/// Prompt tokens for comparing variants; decoding measures a tenth as many.
const N_PROMPT: usize = 256;
const N_ANSWER: usize = 24;
/// Largest prefill chunk to try.
const MAX_CHUNK: usize = 512;
/// Larger chunks are skipped once one takes longer than this, in milliseconds.
const SLOW_MS: f64 = 3000.0;
/// Cores that others may use on average during a measurement: housekeeping, a client that shows progress.
const MAX_OTHERS: f64 = 0.15;
/// Most sequences to decode at once.
const MAX_SEQS: usize = 16;

/// Progress of a calibration.
pub struct Progress<'a> {
    pub n_done: usize,
    pub n_total: usize,
    /// Describes the next measurement.
    pub what: &'a str,
}

/// Measures the model at `path`. Takes about a minute for 2.6 billion parameters on two cores.
///
/// # Errors
/// When the model cannot be loaded or run, when memory is short, or when other programs used the cores: wrong results
/// would stay until the next calibration. `is_forced` accepts results despite such contention.
pub fn run(
    config: &Config,
    path: &Path,
    is_forced: bool,
    mut report: impl FnMut(Progress<'_>),
) -> anyhow::Result<Calibration> {
    let device = backends::choose(config).device;
    let machine = machine(device.as_ref());
    let before = governor::sample(now_us());
    let unreadable = |source| LoadError::File { path: path.to_owned(), source };
    let fingerprint = fingerprint::fingerprint(path).map_err(unreadable)?;
    let ways = ways(config, &machine);
    let n_total = ways.len() + 3;
    let mut n_done = 0;
    let mut next = |what: &str| {
        report(Progress { n_done, n_total, what });
        n_done += 1;
    };

    let mut variants = Vec::new();
    let mut memory = Memory { config, path, device: device.as_ref(), loaded: None };
    for (repack, n_threads) in ways {
        next(&describe(repack, n_threads));
        variants.push(Bench::new(config, memory.model(repack)?, n_threads)?.variant(repack)?);
    }
    let best = best_variant(&variants).ok_or_else(|| anyhow::anyhow!("no measurement succeeded"))?;
    let model = memory.model(best.repack)?;
    let mut bench = Bench::new(config, model, best.n_threads)?;
    let (longest, longest_lone) = longest(&machine);
    next("prefill chunk sizes");
    let prefill = bench.prefill()?;
    next("verifying drafts");
    let verify = bench.verify()?;
    next("decoding several sequences");
    let decode = bench.decode()?;
    let chosen = Chosen {
        n_threads: best.n_threads,
        repack: best.repack,
        prefill_chunk: best_chunk(&prefill, longest).unwrap_or(128),
        lone_chunk: best_chunk(&prefill, longest_lone).unwrap_or(128),
        decode_width: best_width(&decode, config.n_slots),
    };
    let others = before.zip(governor::sample(now_us())).map_or(0.0, |(before, after)| after.others_since(before));
    if others > MAX_OTHERS && !is_forced {
        anyhow::bail!(
            "other programs used {others:.1} cores during the measurement, so the results are discarded; try: wait \
             until they finish, or pass --force"
        );
    }
    let measured_at = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let engine = engine::build(config.kernels);
    let model = Model { name: model.name(), fingerprint: fingerprint::hex(&fingerprint), n_bytes: model.n_bytes() };
    Ok(Calibration { version: VERSION, measured_at, engine, machine, model, chosen, variants, prefill, verify, decode })
}

/// The variants to try: weights as stored and repacked, with plausible numbers of threads.
fn ways(config: &Config, machine: &Machine) -> Vec<(bool, usize)> {
    let n_cores = config.n_threads();
    // With all layers on a GPU, neither repacking nor the number of threads matters.
    if machine.gpu.is_some() && config.n_gpu_layers < 0 {
        return vec![(false, 1)];
    }
    let mut threads = match config.n_threads {
        0 => vec![n_cores, machine.n_cores, (n_cores * 3).div_ceil(4), n_cores.div_ceil(2)],
        n_threads => vec![n_threads],
    };
    threads.sort_unstable();
    threads.dedup();
    let repack: &[bool] = match config.repack.as_str() {
        "on" => &[true],
        "off" => &[false],
        _ => &[false, true],
    };
    repack.iter().flat_map(|&repack| threads.iter().rev().map(move |&n_threads| (repack, n_threads))).collect()
}

fn describe(repack: bool, n_threads: usize) -> String {
    let threads = if n_threads == 1 { "1 thread".to_owned() } else { format!("{n_threads} threads") };
    format!("{threads}, weights {}", if repack { "repacked" } else { "as stored" })
}

/// Holds at most one loaded model: two would not fit into memory everywhere.
struct Memory<'a> {
    config: &'a Config,
    path: &'a Path,
    device: Option<&'a Device>,
    /// Whether its weights are repacked, and the model.
    loaded: Option<(bool, LoadedModel)>,
}

impl Memory<'_> {
    /// The model with or without repacked weights; reuses the loaded one if it matches.
    fn model(&mut self, repack: bool) -> anyhow::Result<&LoadedModel> {
        // Unloads a model that does not match before loading the other.
        self.loaded = self.loaded.take().filter(|(is_repacked, _)| *is_repacked == repack);
        let (_, model) = match &mut self.loaded {
            Some(loaded) => loaded,
            none => none.insert((repack, load(self.config, self.path, repack, self.device)?)),
        };
        Ok(model)
    }
}

fn load(config: &Config, path: &Path, repack: bool, device: Option<&Device>) -> anyhow::Result<LoadedModel> {
    let n_gpu_layers = u32::try_from(config.n_gpu_layers).ok();
    let (mmap, kernels) = (config.mmap, config.kernels);
    let options = ModelOptions { path: path.to_owned(), device: device.cloned(), n_gpu_layers, mmap, repack, kernels };
    Ok(engine::load(&options, |_| true)?)
}

/// A context to measure with.
struct Bench<'model> {
    engine: LlamaEngine<'model>,
    n_threads: usize,
    n_draft: usize,
    n_vocab: i32,
    state: u32,
}

impl<'model> Bench<'model> {
    fn new(config: &Config, model: &'model LoadedModel, n_threads: usize) -> anyhow::Result<Self> {
        let n_draft = config.n_draft().min(model.max_states(KvType::F16) - 1);
        let options = ContextOptions {
            n_cells: 2048,
            is_divided: false,
            kv_type: KvType::F16,
            n_places: MAX_SEQS,
            n_batch: MAX_CHUNK,
            n_ubatch: MAX_CHUNK,
            n_threads,
            n_draft,
        };
        let mut engine = LlamaEngine::new(model, &options)?;
        engine.warm_up(Token(1), model.n_gpu_layers() > 0)?;
        for slot in 0..MAX_SEQS {
            engine.arm(SeqId(slot as u64), &SamplingParams::GREEDY, None);
        }
        let n_draft = engine.n_rollback();
        Ok(Self { engine, n_threads, n_draft, n_vocab: model.n_vocab(), state: 1 })
    }

    fn variant(&mut self, repack: bool) -> anyhow::Result<Variant> {
        let mut prefill = Vec::new();
        let mut decode = Vec::new();
        for _ in 0..N_REPEATS {
            let prompt = self.tokens(N_PROMPT);
            prefill.push(self.step(vec![row(0, 0, prompt, 0, true)], true)?);
            let pos = N_PROMPT;
            let mut ms = 0.0;
            for n in 0..N_ANSWER {
                let token = self.tokens(1);
                ms += self.step(vec![row(0, pos + n, token, 0, true)], false)?;
            }
            decode.push(ms / N_ANSWER as f64);
        }
        let n_threads = self.n_threads;
        let prefill_tps = N_PROMPT as f64 * 1000.0 / median(&mut prefill);
        Ok(Variant { repack, n_threads, prefill_tps, decode_tps: 1000.0 / median(&mut decode) })
    }

    fn prefill(&mut self) -> anyhow::Result<Vec<Cost>> {
        let mut costs = Vec::new();
        for n_tokens in [16, 32, 64, 128, 256, MAX_CHUNK] {
            let mut times = Vec::new();
            for _ in 0..N_REPEATS {
                let tokens = self.tokens(n_tokens);
                times.push(self.step(vec![row(0, 0, tokens, 0, true)], true)?);
            }
            let ms = median(&mut times);
            costs.push(Cost { n_tokens, ms });
            if ms > SLOW_MS {
                break;
            }
        }
        Ok(costs)
    }

    fn verify(&mut self) -> anyhow::Result<Vec<Cost>> {
        let sizes = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 48, 64];
        let n_max = self.n_draft + 1;
        let mut costs = Vec::new();
        for n_tokens in sizes.into_iter().filter(|n| *n <= n_max) {
            let mut times = Vec::new();
            for _ in 0..N_REPEATS {
                // Decoding always follows a prompt, here a short one.
                let prompt = self.tokens(16);
                self.step(vec![row(0, 0, prompt, 0, false)], true)?;
                let tokens = self.tokens(n_tokens);
                times.push(self.step(vec![row(0, 16, tokens, n_tokens - 1, true)], false)?);
            }
            costs.push(Cost { n_tokens, ms: median(&mut times) });
        }
        Ok(costs)
    }

    fn decode(&mut self) -> anyhow::Result<Vec<SeqCost>> {
        let mut costs = Vec::new();
        for n_seqs in [1, 2, 3, 4, 6, 8, 12, MAX_SEQS] {
            let mut times = Vec::new();
            for _ in 0..N_REPEATS {
                let prompts = (0..n_seqs).map(|slot| row(slot, 0, self.tokens(16), 0, false)).collect();
                self.step(prompts, true)?;
                let rows = (0..n_seqs).map(|slot| row(slot, 16, self.tokens(1), 0, true)).collect();
                times.push(self.step(rows, false)?);
            }
            costs.push(SeqCost { n_seqs, ms: median(&mut times) });
        }
        Ok(costs)
    }

    /// Time of a step in milliseconds; `is_fresh` clears the context first.
    fn step(&mut self, rows: Vec<Row>, is_fresh: bool) -> anyhow::Result<f64> {
        if is_fresh {
            let clear: Vec<_> = (0..MAX_SEQS).map(|slot| KvEdit::Clear(SlotId(slot as u32))).collect();
            self.engine.edit(&clear)?;
        }
        let batch = Batch { edits: Vec::new(), rows };
        let began = Instant::now();
        self.engine.step(&batch)?;
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    }

    /// Arbitrary tokens: the time does not depend on them. Skips the first few ids, which are control tokens in most
    /// vocabularies.
    fn tokens(&mut self, n: usize) -> Vec<Token> {
        let mut next = || {
            // Marsaglia 2003, <https://doi.org/10.18637/jss.v008.i14>: xorshift32.
            self.state ^= self.state << 13;
            self.state ^= self.state >> 17;
            self.state ^= self.state << 5;
            Token(100 + i32::try_from(self.state >> 1).unwrap_or(0) % (self.n_vocab - 200).max(1))
        };
        (0..n).map(|_| next()).collect()
    }
}

fn row(slot: usize, pos: usize, tokens: Vec<Token>, n_draft: usize, sample: bool) -> Row {
    let (seq, slot, pos) = (SeqId(slot as u64), SlotId(slot as u32), pos as u32);
    Row { seq, slot, pos, tokens, n_draft, sample }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
