//! Tunes the engine for this machine: from the configuration, else from the calibration, else from defaults.

use crate::calibration::{self, Calibration, Found};
use crate::config::Config;
use crate::engine::{self, Device, EngineError, KvType};
use crate::fingerprint;
use crate::model_file::Located;
use crate::scheduler::Limits;

/// Limit for the time of a prefill chunk on a GPU in microseconds: it cannot be interrupted.
const LONGEST_CHUNK_US: u64 = 50_000;
/// Prompt lengths to time, the longer one only if the shorter one was quick. Larger chunks take no longer per token.
const N_TIMED: [usize; 2] = [32, 256];
/// Chunks are multiples of this, to suit GPU kernels.
const CHUNK_STEP: usize = 32;

/// The resolved settings.
pub(super) struct Tuning {
    /// Identifies the model; `None` when its file cannot be read, which loading will report.
    pub(super) fingerprint: Option<[u8; 32]>,
    pub(super) n_threads: usize,
    pub(super) repack: bool,
    calibration: Option<Calibration>,
    origin: String,
}

impl Tuning {
    pub(super) fn new(config: &Config, located: &Located, gpu: Option<&Device>) -> Self {
        let fingerprint = fingerprint::fingerprint(&located.path).ok();
        let found = match fingerprint {
            Some(fingerprint) if config.calibration => {
                calibration::find(&located.path, &fingerprint, &engine::build(config.kernels), gpu)
            }
            _ => Found::Nothing,
        };
        let (calibration, origin) = match found {
            Found::Fitting(calibration) => {
                let origin = calibration.origin();
                (Some(*calibration), origin)
            }
            Found::Foreign(why) => (None, format!("{why}; try: beastctl bench --calibrate")),
            Found::Nothing if !config.calibration => (None, "calibration is turned off".to_owned()),
            Found::Nothing => (None, "not calibrated yet; try: beastctl bench --calibrate".to_owned()),
        };
        let chosen = calibration.as_ref().map(|calibration| calibration.chosen);
        let repack = match &*config.repack {
            "on" => true,
            "off" => false,
            // On x86, repacked weights prefill at little more than half the speed and decode no faster than our kernels
            // with plain ones; llama.cpp's matrix instructions for Arm need them, and nobody has measured ours there.
            _ => chosen.map_or(!cfg!(target_arch = "x86_64"), |chosen| chosen.repack),
        };
        let n_threads = match (config.n_threads, chosen) {
            (0, Some(chosen)) => chosen.n_threads,
            _ => config.n_threads(),
        };
        Self { fingerprint, n_threads, repack, calibration, origin }
    }

    /// For a GPU that has all layers: more CPU threads would only take turns waiting for it.
    pub(super) fn leave_to_gpu(&mut self) {
        self.n_threads = 1;
    }

    /// Limits with the largest chunk that the GPU computes within [`LONGEST_CHUNK_US`], unless the chunk is configured
    /// or calibrated. `time` returns the microseconds for a prompt of the given number of tokens.
    ///
    /// # Errors
    /// Those of the engine.
    pub(super) fn timed(
        &self,
        config: &Config,
        limits: Limits,
        mut time: impl FnMut(usize) -> Result<u64, EngineError>,
    ) -> Result<Limits, EngineError> {
        if self.calibration.is_some() || config.prefill_chunk > 0 {
            return Ok(limits);
        }
        let mut chunk = CHUNK_STEP;
        for n in N_TIMED.map(|n| n.min(limits.n_batch).min(limits.n_cells / 2).max(1)) {
            let us = time(n)?;
            chunk = chunk_of(n, us).min(limits.n_batch);
            if us > LONGEST_CHUNK_US / 2 {
                break;
            }
        }
        Ok(Limits { prefill_chunk: chunk, lone_chunk: chunk, ..limits })
    }

    /// The scheduler's limits.
    pub(super) fn limits(&self, config: &Config, n_ctx: usize, on_gpu: bool) -> Limits {
        let chosen = self.calibration.as_ref().map(|calibration| calibration.chosen);
        let prefill_chunk = match chosen {
            Some(chosen) if config.prefill_chunk == 0 => chosen.prefill_chunk.min(config.n_batch),
            _ => config.prefill_chunk(on_gpu),
        };
        let lone_chunk = match chosen {
            Some(chosen) if config.prefill_chunk == 0 => chosen.lone_chunk.min(config.n_batch),
            _ => prefill_chunk,
        };
        let decode_width = self.calibration.as_ref().map(|calibration| calibration.decode_width(config.n_slots));
        Limits {
            n_slots: config.n_slots,
            n_prefixes: config.n_prefixes,
            n_cells: config.n_cells(n_ctx),
            n_batch: config.n_batch,
            prefill_chunk,
            lone_chunk: lone_chunk.max(prefill_chunk),
            n_waiting: config.max_waiting,
            decode_width: decode_width.unwrap_or(config.n_slots).max(1),
            n_prefix_cells: usize::MAX,
            // On a CPU, each cell in use costs every token of every sequence: attention scans the mask of the whole
            // pool. Four parts of a full context at once took 1.2 times as long as one after the other (LFM2-350M; 1.0
            // for 2.6B).
            n_background_cells: if on_gpu { usize::MAX } else { n_ctx },
            is_adjacent: false,
            is_parallel: on_gpu,
        }
    }

    /// Measured cost of a step of n tokens: (tokens, microseconds).
    pub(super) fn verify_costs(&self) -> Vec<(usize, f64)> {
        let is_for_these = |calibration: &&Calibration| calibration.chosen.n_threads == self.n_threads;
        let calibration = self.calibration.as_ref().filter(is_for_these);
        let costs = calibration.map(|calibration| calibration.verify.iter());
        costs.into_iter().flatten().map(|cost| (cost.n_tokens, cost.ms * 1000.0)).collect()
    }

    /// The description for `status`.
    pub(super) fn status(&self, limits: Limits, kv_type: KvType) -> beast_protocol::Tuning {
        beast_protocol::Tuning {
            origin: self.origin.clone(),
            is_calibrated: self.calibration.is_some(),
            is_repacked: self.repack,
            kv_cache: kv_type.name().to_owned(),
            decode_width: u32::try_from(limits.decode_width).unwrap_or(u32::MAX),
        }
    }
}

/// The largest chunk within [`LONGEST_CHUNK_US`], if `n` tokens took `us`.
fn chunk_of(n: usize, us: u64) -> usize {
    let n_in_time = (n as u64).saturating_mul(LONGEST_CHUNK_US) / us.max(1);
    let n_in_time = usize::try_from(n_in_time).unwrap_or(usize::MAX);
    (n_in_time / CHUNK_STEP * CHUNK_STEP).max(CHUNK_STEP)
}

/// Most cells of cached prefixes, from their limit in bytes. `state_bytes` is the size of a prefix per token, and
/// fixed.
pub(super) fn prefix_cells(config: &Config, limits: Limits, state_bytes: (u64, u64)) -> usize {
    let (per_token, per_prefix) = state_bytes;
    if config.prefix_ram_mib == 0 {
        return usize::MAX;
    }
    let n_bytes = config.prefix_ram_mib.saturating_mul(1 << 20).saturating_sub(per_prefix * limits.n_prefixes as u64);
    usize::try_from(n_bytes / per_token.max(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_as_long_as_others_may_wait() {
        // 13,000 tokens a second, like an H100 on LFM2-2.6B; 1,000, like a small GPU; and slower than a CPU.
        assert_eq!([chunk_of(256, 19_700), chunk_of(256, 256_000), chunk_of(256, 5_000_000)], [640, 32, 32]);
        assert_eq!(chunk_of(256, 100_000), 128);
        assert_eq!(chunk_of(256, 0), usize::try_from(256 * LONGEST_CHUNK_US).expect("it fits"));
    }
}
