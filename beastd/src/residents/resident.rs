//! A model that the daemon was asked for: its thread, its state, its users.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use beast_protocol::{LoadStage, ModelState, ModelStatus, WireError};
use tokio::sync::{Notify, watch};

use super::plan::{Bytes, Presence};
use crate::clock::now_us;
use crate::lease::Lease;
use crate::loader::{LoadState, ModelFacts, Progress, Ready};
use crate::metrics::Metrics;
use crate::model_file::names::FileId;
use crate::worker::WorkerHandle;

pub struct Resident {
    /// The name to show.
    pub name: String,
    /// The value of the setting `model` that means its file.
    pub setting: String,
    pub progress: Progress,
    pub worker: WorkerHandle,
    /// The worker's counters.
    pub metrics: Arc<Metrics>,
    /// Requests that keep it loaded.
    pub n_users: watch::Sender<usize>,
    pub(super) id: FileId,
    /// When it was used last, see [`now_us`].
    pub(super) used_us: Arc<AtomicU64>,
    /// Whether its memory is being freed.
    pub(super) is_unloading: AtomicBool,
    pub(super) n_loads: AtomicU32,
    /// Whether no request has begun since it was loaded.
    pub(super) is_fresh: AtomicBool,
    /// What it takes, or will take by an estimate.
    bytes: Mutex<Bytes>,
}

/// A model that stays loaded as long as the lease lives.
pub struct Hold {
    pub resident: Arc<Resident>,
    pub ready: Arc<Ready>,
    pub lease: Lease,
}

/// What identifies a resident.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) setting: String,
    pub(super) id: FileId,
}

impl Resident {
    pub(super) fn new(
        Named { name, setting, id }: Named,
        (progress, worker, metrics): (Progress, WorkerHandle, Arc<Metrics>),
        bytes: Bytes,
    ) -> Self {
        Self {
            name,
            setting,
            progress,
            worker,
            metrics,
            n_users: watch::Sender::new(0),
            id,
            used_us: Arc::new(AtomicU64::new(now_us())),
            is_unloading: AtomicBool::new(false),
            n_loads: AtomicU32::new(0),
            is_fresh: AtomicBool::new(true),
            bytes: Mutex::new(bytes),
        }
    }

    /// The model, if it is loaded.
    pub fn ready(&self) -> Option<Arc<Ready>> {
        match &*self.progress.watch().borrow() {
            LoadState::Ready(ready) => Some(Arc::clone(ready)),
            _ => None,
        }
    }

    /// Facts about the model since it was loaded once.
    pub fn facts(&self) -> Option<Arc<ModelFacts>> {
        self.progress.last()
    }

    pub fn n_users(&self) -> usize {
        *self.n_users.borrow()
    }

    /// Whether a request has to load it first.
    pub(super) fn is_unloaded(&self) -> bool {
        matches!(&*self.progress.watch().borrow(), LoadState::Unloaded { .. })
    }

    pub(super) fn failure(&self) -> Option<WireError> {
        match &*self.progress.watch().borrow() {
            LoadState::Failed(error) => Some(error.clone()),
            _ => None,
        }
    }

    pub(super) fn presence(&self) -> Presence {
        if self.is_unloading.load(Relaxed) {
            return Presence::Unloading;
        }
        match &*self.progress.watch().borrow() {
            LoadState::Loading { .. } => Presence::Loading,
            LoadState::Ready(_) => Presence::Ready,
            LoadState::Failed(_) | LoadState::Unloaded { .. } => Presence::Absent,
        }
    }

    pub(super) fn bytes(&self) -> Bytes {
        let ready = self.ready();
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = ready {
            *bytes = ready.bytes;
        }
        *bytes
    }

    /// A lease on the loaded model.
    pub(super) fn lease(&self, freed: &Arc<Notify>) -> Lease {
        Lease::new(&self.n_users, &self.used_us, freed)
    }

    pub(super) fn touch(&self) {
        self.used_us.store(now_us(), Relaxed);
    }

    /// Whether this is the model of that file. The built-in model's file is known once it was loaded.
    pub(super) fn is_of(&self, id: &FileId) -> bool {
        let of_builtin = || {
            let path = self.facts().filter(|_| self.id == FileId::Builtin)?.model.path.clone();
            FileId::of_file(path.as_ref())
        };
        self.id == *id || of_builtin().is_some_and(|own| own == *id)
    }

    /// Its status. `n_claims` requests wait for it to be loaded.
    pub(super) fn status(&self, n_claims: usize, is_default: bool, is_pinned: bool) -> ModelStatus {
        let as_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let state = match &*self.progress.watch().borrow() {
            LoadState::Loading { .. } => ModelState::Loading,
            LoadState::Ready(_) => ModelState::Ready,
            LoadState::Failed(_) | LoadState::Unloaded { failed: Some(_) } => ModelState::Failed,
            LoadState::Unloaded { failed: None } if self.is_unloading.load(Relaxed) => ModelState::Unloading,
            LoadState::Unloaded { failed: None } => ModelState::Unloaded,
        };
        let idle_us = if self.n_users() > 0 { 0 } else { now_us().saturating_sub(self.used_us.load(Relaxed)) };
        let bytes = self.bytes();
        ModelStatus {
            name: self.name.clone(),
            path: self.facts().map(|facts| facts.model.path.clone()),
            state,
            is_default,
            is_pinned,
            n_bytes: bytes.ram,
            n_gpu_bytes: bytes.gpu,
            n_running: as_u32(self.metrics.n_running.load(Relaxed)),
            n_waiting: as_u32(self.metrics.n_waiting.load(Relaxed) + n_claims),
            n_loads: self.n_loads.load(Relaxed),
            idle_ms: idle_us / 1000,
        }
    }
}

/// The state at the beginning of a load.
pub(super) fn beginning() -> LoadState {
    LoadState::Loading { stage: LoadStage::ModelFile, fraction: 0.0 }
}

/// The state once nothing is loading.
pub(super) async fn settled(resident: &Resident) {
    // If the sender is gone, the last state is final.
    let _ = resident.progress.watch().wait_for(|state| !matches!(state, LoadState::Loading { .. })).await;
}

/// Resolves when no request uses the model.
pub(super) async fn unused(resident: &Resident) {
    // Cannot fail: the sender lives as long as the resident.
    let _ = resident.n_users.subscribe().wait_for(|n| *n == 0).await;
}
