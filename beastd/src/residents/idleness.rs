//! Ends an idle daemon, and says how long a model may be idle.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::loader::LoadState;
use crate::shared::{Phase, Shared};

/// Grace period of a daemon that has answered nothing yet: the client that started it is about to ask. HTTP clients
/// start no daemon, so the first HTTP request ends the period.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// How long something may be idle if the setting is `idle`.
pub(super) fn longest(idle: Duration, is_first: bool) -> Duration {
    if is_first { idle.max(FIRST_REQUEST) } else { idle }
}

/// Ends the daemon after `idle_exit` without a request if the service manager restarts it on demand.
pub async fn watch_idleness(shared: Arc<Shared>) {
    if !shared.is_kept {
        return;
    }
    let mut answering = shared.answering.subscribe();
    let mut load = shared.residents.default_model().progress.watch();
    let mut config = shared.config.subscribe();
    let mut phase = shared.phase.subscribe();
    let mut has_visitors = shared.has_visitors.subscribe();
    let mut is_first = true;
    loop {
        if answering.wait_for(|n| *n == 0).await.is_err() {
            return;
        }
        let mut since = Instant::now();
        let mut was_ready = false;
        loop {
            let is_ready = matches!(&*load.borrow_and_update(), LoadState::Ready(_));
            if is_ready && !was_ready {
                // Loading time does not count as idle.
                since = Instant::now();
            }
            was_ready = is_ready;
            is_first &= !*has_visitors.borrow_and_update();
            let settings = shared.config();
            // `None` for `never`, which exceeds the range of the clock.
            let exit_at = since.checked_add(longest(settings.idle_exit, is_first));
            tokio::select! {
                () = sleep_until(exit_at.unwrap_or(since)), if exit_at.is_some() => {
                    if shared.n_connections.load(Relaxed) == 0 {
                        tracing::info!(idle = ?settings.idle_exit, "idle, exiting; the next request restarts beastd");
                        return shared.drain();
                    }
                    // An idle client is still connected. Its disconnect would not wake this loop, so wait for another
                    // period.
                    since = Instant::now();
                }
                // The borrowed value must not be held across another branch's await.
                is_there = async { answering.wait_for(|n| *n > 0).await.is_ok() } => match is_there {
                    true => {
                        is_first = false;
                        break;
                    }
                    false => return,
                },
                changed = load.changed() => if changed.is_err() { return },
                changed = has_visitors.changed() => if changed.is_err() { return },
                changed = config.changed() => if changed.is_err() { return },
                () = async { let _ = phase.wait_for(|phase| *phase != Phase::Serving).await; } => return,
            }
        }
    }
}
