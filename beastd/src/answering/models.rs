//! Waits for a request's model, and loads, unloads or selects models on request.

use std::sync::Arc;

use beast_protocol::{Event, WireError};

use super::peer::{Peer, Stopped, counted, unless_gone};
use crate::loader::LoadState;
use crate::residents::Hold;
use crate::shared::{Phase, Shared};
use crate::worker::shutting_down;

/// A requested change of the models in memory. Names are those of [`beast_protocol::Generate::model`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Loads this model, or the default one.
    Load(Option<String>),
    /// Loads this model and makes it the default one.
    Use(String),
    /// Unloads models as soon as no request uses them.
    Unload(Which),
}

/// Which models to unload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    All,
    Default,
    Named(String),
}

/// Makes a change and reports progress; the last event is `Status`.
///
/// # Errors
/// See [`Stopped`].
pub async fn change<P: Peer>(shared: &Arc<Shared>, peer: &mut P, change: Change) -> Result<(), Stopped> {
    counted(shared, change_whole(shared, peer, change)).await
}

async fn change_whole<P: Peer>(shared: &Arc<Shared>, peer: &mut P, change: Change) -> Result<(), Stopped> {
    let residents = &shared.residents;
    let (named, cannot) = match &change {
        Change::Load(model) => (model.as_deref(), "be loaded here"),
        Change::Use(model) => (Some(model.as_str()), "be the default model"),
        Change::Unload(Which::Named(model)) => (Some(model.as_str()), "be unloaded here"),
        Change::Unload(Which::All | Which::Default) => (None, ""),
    };
    if let Some(name) = shared.upstream(named) {
        return Err(Stopped::Refused(shared.upstreams.refusal(&name, cannot)));
    }
    match change {
        Change::Load(model) => drop(wait_until_ready(shared, peer, model.as_deref()).await?),
        Change::Use(model) => {
            if matches!(&*residents.default_model().progress.watch().borrow(), LoadState::Failed(_)) {
                // This process is about to end; the next one reads the configuration again.
                shared.drain();
                return Err(Stopped::Refused(shutting_down()));
            }
            let hold = wait_until_ready(shared, peer, Some(&model)).await?;
            residents.adopt(&hold.resident, &residents.setting_of(&model));
        }
        Change::Unload(which) => {
            let mut phase = shared.phase.subscribe();
            let unloading = async {
                let models = match which {
                    Which::All => residents.all(),
                    Which::Default => vec![residents.default_model()],
                    Which::Named(name) => vec![residents.target(Some(&name)).await?],
                };
                tokio::select! {
                    outcome = residents.unload(models) => outcome,
                    _ = phase.wait_for(|phase| *phase != Phase::Serving) => Err(shutting_down()),
                }
            };
            unless_gone(peer, unloading).await?;
        }
    }
    Ok(peer.send(&[Event::Status(Box::new(shared.status()))]).await?)
}

/// Waits for a model, or the default one, loads it if it was unloaded, and reports progress. The model stays loaded as
/// long as the lease lives.
///
/// # Errors
/// See [`Stopped`].
pub async fn wait_until_ready<P: Peer>(
    shared: &Arc<Shared>,
    peer: &mut P,
    model: Option<&str>,
) -> Result<Hold, Stopped> {
    if let Some(name) = shared.upstream(model) {
        return Err(Stopped::Refused(shared.upstreams.refusal(&name, "do this")));
    }
    let resident = unless_gone(peer, shared.residents.target(model)).await?;
    let mut load = resident.progress.watch();
    let mut pending = shared.residents.claim(&resident);
    let mut phase = shared.phase.subscribe();
    let mut is_queued = false;
    loop {
        if let Some(outcome) = pending.now() {
            return outcome.map_err(Stopped::Refused);
        }
        let state = load.borrow_and_update().clone();
        match state {
            LoadState::Loading { stage, fraction } => peer.send(&[Event::Loading { stage, fraction }]).await?,
            // Another model has to leave first, or is being loaded.
            _ if !is_queued => {
                is_queued = true;
                let position = u32::try_from(shared.residents.n_ahead()).unwrap_or(u32::MAX);
                peer.send(&[Event::Queued { position }]).await?;
            }
            _ => {}
        }
        tokio::select! {
            biased;
            outcome = pending.granted() => return outcome.map_err(Stopped::Refused),
            changed = load.changed() => changed.map_err(|_| gone())?,
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => return Err(gone()),
            stopped = peer.departure() => return Err(stopped),
        }
    }
}

fn gone() -> Stopped {
    let error: WireError = shutting_down();
    Stopped::Refused(error)
}
