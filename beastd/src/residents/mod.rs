//! The models of the daemon: which of them a request means, when each is loaded, evicted, and unloaded when idle.
//!
//! Each model has its own thread, scheduler, slots and prefix cache ([`Resident`]). [`plan`] decides who is in memory;
//! this room asks it after each event and does what it says. Knows no sockets and no messages but the status.
//!
//! Runs on the sockets' thread, as sessions do, so nothing changes between two awaits. Only the number of users may
//! fall meanwhile, and a load end, on a worker's thread; both tell [`Residents::drive`].

mod idleness;
mod memory;
pub mod plan;
mod resident;
mod table;
mod targets;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use beast_protocol::{ErrorCode, ModelStatus, WireError};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::clock::now_us;
use crate::config::Config;
use crate::governor::Crowd;
use crate::loader::{self, LoadState, Progress, Ties, need};
use crate::metrics::Metrics;
use crate::model_file::names::{self, FileId};
use crate::worker::shutting_down;
pub use idleness::watch_idleness;
use plan::{Budget, Bytes, Candidate, Presence, Step, plan};
pub use resident::{Hold, Resident};
use resident::{Named, beginning, settled, unused};
use table::{Table, Waiting};
use targets::{is_pinned, pinned, settings};

pub struct Residents {
    config: watch::Sender<Arc<Config>>,
    /// Whether any HTTP request has arrived.
    has_visitors: watch::Sender<bool>,
    table: Mutex<Table>,
    /// Told of all that may change the plan.
    changed: Arc<Notify>,
    crowd: Crowd,
    /// Why the daemon has to end, once a worker has failed.
    pub failure: watch::Sender<Option<WireError>>,
    /// Threads of models that have not ended.
    pub n_workers: watch::Sender<usize>,
}

/// A request that waits for its model. Dropping it gives up.
pub struct Pending {
    grant: oneshot::Receiver<Result<Hold, WireError>>,
    changed: Arc<Notify>,
}

impl Pending {
    /// The outcome, if there is one already.
    pub fn now(&mut self) -> Option<Result<Hold, WireError>> {
        self.grant.try_recv().ok()
    }

    /// The outcome. May be dropped and called again.
    ///
    /// # Errors
    /// Why there is no model.
    pub async fn granted(&mut self) -> Result<Hold, WireError> {
        (&mut self.grant).await.unwrap_or_else(|_| Err(shutting_down()))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Models that were kept for this request are free for others.
        self.changed.notify_one();
    }
}

impl Residents {
    /// Begins to load the configured model, whose progress began with the process.
    pub fn start(
        config: watch::Sender<Arc<Config>>,
        has_visitors: watch::Sender<bool>,
        progress: Progress,
    ) -> Arc<Self> {
        let first = Arc::clone(&config.borrow());
        let ties = Ties { progress, metrics: Arc::new(Metrics::default()), crowd: Crowd::default() };
        let crowd = ties.crowd.clone();
        let setting = first.model.clone();
        let (name, id, setting) = (names::label(&setting), FileId::of(&setting), names::lasting(&setting));
        let named = Named { name, setting, id };
        let (resident, ended) = spawn(named, Some(first), ties, Bytes::default());
        let table = Table {
            all: vec![Arc::clone(&resident)],
            default: Arc::clone(&resident),
            waiting: Vec::new(),
            n_begun: 0,
            pinned: pinned(&config.borrow()),
        };
        let residents = Arc::new(Self {
            config,
            has_visitors,
            table: Mutex::new(table),
            changed: Arc::default(),
            crowd,
            failure: watch::Sender::new(None),
            n_workers: watch::Sender::new(0),
        });
        residents.watch_worker(ended);
        let this = Arc::clone(&residents);
        tokio::spawn(async move {
            settled(&resident).await;
            this.has_loaded(&resident, &Ok(()));
        });
        tokio::spawn(Arc::clone(&residents).drive());
        residents
    }

    /// Answers requests that name no model.
    pub fn default_model(&self) -> Arc<Resident> {
        Arc::clone(&self.lock().default)
    }

    /// All models that were asked for.
    pub fn all(&self) -> Vec<Arc<Resident>> {
        self.lock().all.clone()
    }

    /// Requests the model for one request.
    pub fn claim(self: &Arc<Self>, resident: &Arc<Resident>) -> Pending {
        let (grant, granted) = oneshot::channel();
        let resident = Arc::clone(resident);
        {
            let mut table = self.lock();
            // It may have been forgotten meanwhile.
            if !table.all.iter().any(|one| Arc::ptr_eq(one, &resident)) {
                table.all.push(Arc::clone(&resident));
            }
            let waiting = Waiting { resident, since: Instant::now(), n_begun: table.n_begun, grant };
            table.waiting.push(waiting);
        }
        self.turn();
        if !self.lock().waiting.is_empty() {
            // The driver has to look again when a request becomes overdue.
            self.changed.notify_one();
        }
        Pending { grant: granted, changed: Arc::clone(&self.changed) }
    }

    /// Requests in the way of one that waits.
    pub fn n_ahead(&self) -> usize {
        self.lock().all.iter().map(|resident| resident.n_users()).sum()
    }

    /// Makes a loaded model the default one; `setting` is how the configuration names it.
    pub fn adopt(&self, resident: &Arc<Resident>, setting: &str) {
        self.lock().default = Arc::clone(resident);
        self.config.send_if_modified(|now| {
            let is_new = now.model != setting;
            if is_new {
                tracing::info!(model = setting, "switched models");
                // A draft model is configured for one main model only.
                *now = Arc::new(Config { model: setting.to_owned(), draft: "auto".into(), ..(**now).clone() });
            }
            is_new
        });
    }

    /// Unloads one model, or all, once no request uses it. Dropping this does not stop an unload that has begun.
    ///
    /// # Errors
    /// [`ErrorCode::ShuttingDown`] when its thread has ended.
    pub async fn unload(self: &Arc<Self>, models: Vec<Arc<Resident>>) -> Result<(), WireError> {
        for resident in models {
            settled(&resident).await;
            unused(&resident).await;
            if let Some(done) = self.begin_unload(&resident) {
                done.await.unwrap_or_else(|_| Err(shutting_down()))?;
            }
        }
        Ok(())
    }

    /// Stops all workers.
    pub async fn stop(&self) {
        for resident in self.all() {
            resident.progress.abandon();
            resident.worker.stop().await;
        }
    }

    /// Waits until all workers have ended.
    pub async fn ended(&self) {
        // Cannot fail: the sender is ours.
        let _ = self.n_workers.subscribe().wait_for(|n| *n == 0).await;
    }

    /// The counters of all models together.
    pub fn metrics(&self) -> Metrics {
        let sum = Metrics::default();
        self.all().iter().for_each(|resident| sum.include(&resident.metrics));
        sum
    }

    /// The status of each model, and the memory for all; `None` if the machine does not report it.
    pub fn status(&self) -> (Vec<ModelStatus>, Option<u64>) {
        let config = self.config();
        let table = self.lock();
        let of = |resident: &Arc<Resident>| {
            let n_claims = table.waiting.iter().filter(|one| Arc::ptr_eq(&one.resident, resident)).count();
            resident.status(n_claims, Arc::ptr_eq(resident, &table.default), is_pinned(resident, &table.pinned))
        };
        (table.all.iter().map(of).collect(), config.memory_budget().or_else(memory::spare))
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the plan, and unloads models that were idle for too long, until the daemon ends.
    async fn drive(self: Arc<Self>) {
        let (mut config, mut visitors) = (self.config.subscribe(), self.has_visitors.subscribe());
        loop {
            let next = self.turn();
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                changed = config.changed() => match changed {
                    Ok(()) => {
                        self.lock().pinned = pinned(&self.config());
                        self.shed();
                    }
                    Err(_) => return,
                },
                changed = visitors.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Does what can be done now. Returns when to look again if nothing happens until then.
    fn turn(self: &Arc<Self>) -> Option<Instant> {
        let config = self.config();
        let mut table = self.lock();
        table.waiting.retain(|one| !one.grant.is_closed());
        for resident in table.all.clone() {
            if let Some(error) = resident.failure() {
                table.refuse(&resident, &error);
            }
        }
        if table.waiting.is_empty() {
            return self.leave_idle(&table, &config);
        }
        let budget = self.budget(&table, &config);
        let models: Vec<Candidate> = table.all.iter().map(|one| candidate(one, &table.pinned, budget)).collect();
        let now = Instant::now();
        let steps = plan(&models, &table.claims(now), budget);
        self.admit(&mut table, &steps);
        for step in steps {
            match step {
                Step::Admit(_) => {}
                Step::Load(n) => self.begin_load(&table, n, &config),
                Step::Evict(n) => {
                    tracing::info!(model = table.all[n].name, "evicting a model to make room");
                    drop(self.begin_unload(&table.all[n]));
                }
                Step::Refuse(n) => {
                    let resident = Arc::clone(&table.all[n]);
                    table.refuse(&resident, &too_large(&resident.name, models[n].bytes.ram, budget));
                }
            }
        }
        let overdue_at = table.waiting.iter().map(|one| one.since + table::LONGEST_WAIT).filter(|at| *at > now).min();
        let idle_at = self.leave_idle(&table, &config);
        overdue_at.into_iter().chain(idle_at).min()
    }

    /// Unloads idle models, the longest unused first, while all together are above the configured budget: it may have
    /// been lowered. Busy ones leave when the next load needs their room.
    fn shed(self: &Arc<Self>) {
        let config = self.config();
        let Some(limit) = config.memory_budget() else { return };
        let table = self.lock();
        let mut held: u64 = table.all.iter().filter(|one| is_held(one)).map(|one| one.bytes().ram).sum();
        let mut idle: Vec<&Arc<Resident>> = table.all.iter().filter(|one| may_leave(one, &table)).collect();
        idle.sort_by_key(|one| one.used_us.load(Relaxed));
        for resident in idle {
            if held <= limit {
                break;
            }
            held = held.saturating_sub(resident.bytes().ram);
            tracing::info!(model = resident.name, "evicting a model: memory_budget is lower");
            drop(self.begin_unload(resident));
        }
    }

    /// Unloads models that were idle for too long; returns when the next one will have been.
    fn leave_idle(self: &Arc<Self>, table: &Table, config: &Config) -> Option<Instant> {
        let is_first = table.n_begun == 0 && !*self.has_visitors.borrow();
        let most = idleness::longest(config.idle_unload, is_first);
        let most_us = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        let mut next: Option<u64> = None;
        for resident in &table.all {
            if !may_leave(resident, table) {
                continue;
            }
            let at_us = resident.used_us.load(Relaxed).saturating_add(most_us);
            if at_us <= now_us() {
                tracing::info!(model = resident.name, idle = ?config.idle_unload, "idle, unloading the model");
                drop(self.begin_unload(resident));
            } else if at_us < u64::MAX {
                next = Some(next.map_or(at_us, |next| next.min(at_us)));
            }
        }
        let after = next.map(|at_us| Duration::from_micros(at_us.saturating_sub(now_us())));
        // `None` for a time beyond the clock's range.
        after.and_then(|after| Instant::now().checked_add(after))
    }

    fn budget(&self, table: &Table, config: &Config) -> Budget {
        let is_waited_for = |one: &Waiting| one.resident.presence() == Presence::Absent;
        if !table.waiting.iter().any(is_waited_for) {
            return Budget { limit: Bytes::MAX, is_strict: false };
        }
        let on_gpu: Bytes = table.all.iter().filter(|one| is_held(one)).map(|one| one.bytes()).sum();
        let gpu = if on_gpu.gpu == 0 { u64::MAX } else { need::usable_on_gpu().saturating_add(on_gpu.gpu) };
        let ram = config.memory_budget();
        let limit = Bytes { ram: ram.or_else(memory::spare).unwrap_or(u64::MAX), gpu };
        Budget { limit, is_strict: ram.is_some() }
    }

    /// Lets the requests begin that the plan admits.
    fn admit(&self, table: &mut Table, steps: &[Step]) {
        for (nth, one) in std::mem::take(&mut table.waiting).into_iter().enumerate() {
            // The engine may have failed meanwhile.
            let ready = one.resident.ready().filter(|_| steps.contains(&Step::Admit(nth)));
            let Some(ready) = ready else {
                table.waiting.push(one);
                continue;
            };
            table.n_begun += 1;
            one.resident.is_fresh.store(false, Relaxed);
            let lease = one.resident.lease(&self.changed);
            // Fails if the client is gone.
            let _ = one.grant.send(Ok(Hold { resident: one.resident, ready, lease }));
        }
    }

    fn begin_load(self: &Arc<Self>, table: &Table, n: usize, config: &Arc<Config>) {
        let resident = Arc::clone(&table.all[n]);
        let is_default = Arc::ptr_eq(&resident, &table.default);
        let settings = if is_default { Arc::clone(config) } else { settings(config, &resident.setting) };
        resident.is_fresh.store(true, Relaxed);
        resident.progress.set(beginning());
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = resident.worker.load(settings).await;
            this.has_loaded(&resident, &outcome);
        });
    }

    /// Takes note of the end of a load. If it failed, so do the requests that wait for it.
    fn has_loaded(&self, resident: &Arc<Resident>, outcome: &Result<(), WireError>) {
        match outcome {
            Ok(()) if resident.failure().is_some() => {}
            Ok(()) => {
                resident.touch();
                resident.n_loads.fetch_add(1, Relaxed);
            }
            Err(error) => {
                // A worker that has ended has set the state itself.
                let unloaded = || LoadState::Unloaded { failed: Some(error.clone()) };
                let is_loading = |state: &LoadState| matches!(state, LoadState::Loading { .. });
                resident.progress.advance(|state| is_loading(state).then(unloaded));
                let mut table = self.lock();
                table.refuse(resident, error);
                table.forget_useless(resident);
            }
        }
        self.changed.notify_one();
    }

    /// Unloads an unused model. The receiver gets the outcome once the memory is free; `None` if it is not loaded.
    fn begin_unload(self: &Arc<Self>, resident: &Arc<Resident>) -> Option<oneshot::Receiver<Result<(), WireError>>> {
        let is_leaving = resident.progress.advance(|state| match state {
            LoadState::Ready(_) => Some(LoadState::Unloaded { failed: None }),
            _ => None,
        });
        if !is_leaving {
            return None;
        }
        resident.is_unloading.store(true, Relaxed);
        let (done, outcome) = oneshot::channel();
        let (this, resident) = (Arc::clone(self), Arc::clone(resident));
        tokio::spawn(async move {
            let outcome = resident.worker.unload().await;
            resident.is_unloading.store(false, Relaxed);
            this.changed.notify_one();
            // The caller may be gone.
            let _ = done.send(outcome);
        });
        Some(outcome)
    }

    /// Notices the end of a worker's thread, and why the daemon has to end too.
    fn watch_worker(self: &Arc<Self>, ended: oneshot::Receiver<Result<(), WireError>>) {
        self.n_workers.send_modify(|n| *n += 1);
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let panicked = || WireError::new(ErrorCode::Engine, "the worker panicked; the log says where");
            if let Err(error) = ended.await.unwrap_or_else(|_| Err(panicked())) {
                this.failure.send_replace(Some(error));
            }
            this.n_workers.send_modify(|n| *n -= 1);
            this.changed.notify_one();
        });
    }
}

/// Starts the thread of a model.
fn spawn(
    named: Named,
    first: Option<Arc<Config>>,
    ties: Ties,
    bytes: Bytes,
) -> (Arc<Resident>, oneshot::Receiver<Result<(), WireError>>) {
    let (progress, metrics) = (ties.progress.clone(), Arc::clone(&ties.metrics));
    let (worker, ended) = loader::spawn(first, ties);
    (Arc::new(Resident::new(named, (progress, worker, metrics), bytes)), ended)
}

fn candidate(resident: &Resident, pinned: &[String], budget: Budget) -> Candidate {
    let bytes = resident.bytes();
    Candidate {
        // What does not fit into the GPU stays outside.
        bytes: Bytes { gpu: bytes.gpu.min(budget.limit.gpu), ..bytes },
        presence: resident.presence(),
        n_users: resident.n_users(),
        is_pinned: is_pinned(resident, pinned),
        is_fresh: resident.is_fresh.load(Relaxed),
        last_used: resident.used_us.load(Relaxed),
    }
}

/// Whether a model is loaded, and nothing uses, awaits or pins it.
fn may_leave(resident: &Arc<Resident>, table: &Table) -> bool {
    let is_idle = resident.presence() == Presence::Ready && resident.n_users() == 0;
    let is_wanted = table.waiting.iter().any(|one| Arc::ptr_eq(&one.resident, resident));
    is_idle && !is_wanted && !is_pinned(resident, &table.pinned)
}

fn is_held(resident: &Resident) -> bool {
    resident.presence() != Presence::Absent
}

/// The error for a model that never fits.
fn too_large(name: &str, needed: u64, budget: Budget) -> WireError {
    if needed > budget.limit.ram {
        return need::too_large(name, needed, budget.limit.ram);
    }
    let text = format!(
        "the model {name} does not fit beside the pinned models; try: pin fewer models, or raise memory_budget"
    );
    WireError::new(ErrorCode::ModelUnavailable, text)
}
