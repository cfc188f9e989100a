//! Moves prefixes between the engine's cells and the disk. Knows neither files nor the content of a state.

use super::Worker;
use crate::engine::{Engine, EngineError};
use crate::scheduler::Sequence;

impl<E: Engine> Worker<'_, E> {
    /// Restores prefixes of waiting prompts from disk, if they are longer than those in memory.
    pub(super) fn restore_prefixes(&mut self) -> Result<(), EngineError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let longer = |sequence: &Sequence| {
            let n = store.find(&sequence.tokens, self.scheduler.prefix_len(&sequence.tokens))?;
            Some(sequence.tokens[..n].to_vec())
        };
        let wanted: Vec<_> = self.scheduler.waiting().filter_map(longer).collect();
        for tokens in wanted {
            let is_there = self.scheduler.prefix_len(&tokens[..]) >= tokens.len();
            let Some(place) = (!is_there).then(|| self.scheduler.begin_restore(tokens.len())).flatten() else {
                continue;
            };
            self.engine.edit(&self.scheduler.take_edits())?;
            let state = store.read(&tokens);
            let is_restored = match state {
                Some(state) => self.engine.restore(place, &state)?,
                None => false,
            };
            tracing::debug!(n_tokens = tokens.len(), is_restored, "restored a prefix from disk");
            self.scheduler.restored(place, is_restored.then_some(tokens));
        }
        Ok(())
    }

    /// Saves prefixes that are worth it to disk, until a command arrives.
    pub(super) fn save_prefixes(&mut self) -> Result<(), EngineError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        while let Some((place, tokens)) = self.scheduler.next_to_save() {
            self.engine.edit(&self.scheduler.take_edits())?;
            let state = self.engine.save(place)?;
            if let Err(error) = store.write(&tokens, &state) {
                tracing::warn!(%error, "cannot save a prefix to disk");
            }
            if !self.inbox.commands.is_empty() {
                break;
            }
        }
        Ok(())
    }
}
