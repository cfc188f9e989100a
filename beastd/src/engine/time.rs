//! Measures how long steps take on this machine.

use std::time::Instant;

use super::llama::LlamaEngine;
use super::traits::{Engine, EngineError};
use crate::batch::{Batch, KvEdit, Row, SamplingParams, SeqId, SlotId, Token};
use crate::clock::now_us;

/// Longer steps are timed only once.
const SLOW_US: u64 = 50_000;

impl LlamaEngine<'_> {
    /// Microseconds for a prompt of `n_tokens`: the fastest of several runs, since the first may compile kernels, and
    /// the second builds a graph that later ones reuse.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn time_prefill(&mut self, token: Token, n_tokens: usize) -> Result<u64, EngineError> {
        let (seq, slot) = (SeqId(u64::MAX), SlotId(0));
        self.arm(seq, &SamplingParams::GREEDY, None);
        let mut us = u64::MAX;
        for n_before in 0..4 {
            let row = Row { seq, slot, pos: 0, tokens: vec![token; n_tokens], n_draft: 0, sample: true };
            let began_us = now_us();
            self.step(&Batch { edits: vec![KvEdit::Clear(slot)], rows: vec![row] })?;
            us = if n_before == 0 { u64::MAX } else { us.min(now_us() - began_us) };
            if us < u64::MAX && us > SLOW_US {
                break;
            }
        }
        self.disarm(seq);
        self.edit(&[KvEdit::Clear(slot)])?;
        Ok(us)
    }

    /// Microseconds of steps of one sequence with these numbers of tokens, all but the first being drafts. Also returns
    /// how much longer the first two steps of a size take together, because llama.cpp and the GPU's driver rebuild
    /// graphs. Measures in a second round, because the first may compile kernels.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn time_steps(&mut self, token: Token, widths: &[usize]) -> Result<(Vec<(usize, f64)>, f64), EngineError> {
        let (seq, slot) = (SeqId(u64::MAX), SlotId(0));
        self.arm(seq, &SamplingParams::GREEDY, None);
        let (mut usual, mut changes) = (Vec::new(), Vec::new());
        for n_steps in [2, 6] {
            (usual, changes) = (Vec::new(), Vec::new());
            self.edit(&[KvEdit::Clear(slot)])?;
            let mut pos = 0;
            for &width in widths {
                let mut times = Vec::new();
                for _ in 0..n_steps {
                    let row = Row { seq, slot, pos, tokens: vec![token; width], n_draft: width - 1, sample: true };
                    let began = Instant::now();
                    let sampled = self.step(&Batch { edits: Vec::new(), rows: vec![row] })?;
                    times.push(began.elapsed().as_secs_f64() * 1e6);
                    pos += u32::try_from(sampled[0].tokens.len()).expect("a short row");
                }
                let (first, rest) = times.split_at_mut(2);
                rest.sort_unstable_by(f64::total_cmp);
                let us = rest.get(rest.len() / 2).copied().unwrap_or(first[0]);
                usual.push((width, us));
                changes.push(first.iter().sum::<f64>() - us * first.len() as f64);
            }
        }
        self.disarm(seq);
        self.edit(&[KvEdit::Clear(slot)])?;
        changes.sort_unstable_by(f64::total_cmp);
        Ok((usual, changes.get(changes.len() / 2).copied().unwrap_or(0.0).max(0.0)))
    }
}
