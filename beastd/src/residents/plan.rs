//! Decides which model is loaded or evicted next, and whose requests may begin. Arithmetic only: no clock, lock, async.
//!
//! - A request for a loaded model begins at once. Requests for the same absent model share one load.
//! - A model is loaded if it fits beside the others, else after the least recently used ones have been evicted. A
//!   pinned model and one with running requests are never evicted.
//! - Nobody waits forever: once a model's oldest request is overdue, no other model is loaded before it, and the
//!   models in its way begin no request that came later until it had its turn. In its own turn, a model begins all
//!   requests that wait for it at once, so that a turn is not spent on a single one.

use std::ops::{Add, Sub};

/// Memory of a model, or for models, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    /// Main memory.
    pub ram: u64,
    /// GPU memory.
    pub gpu: u64,
}

impl Bytes {
    /// No limit.
    pub const MAX: Self = Self { ram: u64::MAX, gpu: u64::MAX };

    /// Whether both amounts are within those of `room`.
    pub fn fits(self, room: Self) -> bool {
        self.ram <= room.ram && self.gpu <= room.gpu
    }
}

impl Add for Bytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { ram: self.ram.saturating_add(other.ram), gpu: self.gpu.saturating_add(other.gpu) }
    }
}

impl Sub for Bytes {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { ram: self.ram.saturating_sub(other.ram), gpu: self.gpu.saturating_sub(other.gpu) }
    }
}

impl std::iter::Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::add)
    }
}

/// Where a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Absent,
    /// Its memory is being filled.
    Loading,
    Ready,
    /// Its memory is being freed.
    Unloading,
}

/// A model at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// What it takes when it is loaded.
    pub bytes: Bytes,
    pub presence: Presence,
    /// Its running requests.
    pub n_users: usize,
    pub is_pinned: bool,
    /// Whether no request has begun since it was loaded.
    pub is_fresh: bool,
    /// Grows with each use.
    pub last_used: u64,
}

/// A request that waits for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Index of the model.
    pub model: usize,
    /// Whether it has waited for too long.
    pub is_overdue: bool,
}

/// The memory for all models together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub limit: Bytes,
    /// Whether this also holds for a model that is alone. Otherwise it may try: the limit is an estimate.
    pub is_strict: bool,
}

/// What to do now. A number is the index of a model, except for a request that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The request of this claim begins.
    Admit(usize),
    Load(usize),
    Evict(usize),
    /// Its waiting requests fail: it never fits.
    Refuse(usize),
}

/// The next steps. `claims` are in order of arrival. After each step is done, and after each event, there may be more.
pub fn plan(models: &[Candidate], claims: &[Claim], budget: Budget) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut absent: Vec<usize> = Vec::new();
    for claim in claims {
        if matches!(models[claim.model].presence, Presence::Absent | Presence::Unloading) {
            push_new(&mut absent, claim.model);
        }
    }
    let never = |model: &usize| never_fits(models, *model, budget);
    steps.extend(absent.iter().copied().filter(never).map(Step::Refuse));
    absent.retain(|model| !never_fits(models, *model, budget));
    let first_overdue = claims.iter().position(|claim| claim.is_overdue && absent.contains(&claim.model));
    let overdue = first_overdue.map(|nth| claims[nth].model);
    let closed = overdue.map_or_else(Vec::new, |model| in_the_way(models, model, budget));

    let mut admitted: Vec<usize> = Vec::new();
    for (nth, claim) in claims.iter().enumerate() {
        // Who came before it may have waited for the load of a model in its way.
        let is_before = first_overdue.is_some_and(|overdue| nth < overdue);
        let is_open = !closed.contains(&claim.model) || is_before || models[claim.model].is_fresh;
        if models[claim.model].presence == Presence::Ready && is_open {
            push_new(&mut admitted, claim.model);
            steps.push(Step::Admit(nth));
        }
    }
    // Loads come one after the other: two at once would take as long, and both would be late.
    if models.iter().all(|model| model.presence != Presence::Loading) {
        let is_idle = |model: usize| models[model].n_users == 0 && !admitted.contains(&model);
        let next = overdue.map_or(absent, |model| vec![model]);
        steps.extend(next.into_iter().find_map(|model| bring(models, model, budget, is_idle)).into_iter().flatten());
    }
    steps
}

/// How to bring this model in now: by a load, or by evictions first. An empty list waits for evictions that have begun;
/// `None` if it has to wait for running requests.
fn bring(models: &[Candidate], model: usize, budget: Budget, is_idle: impl Fn(usize) -> bool) -> Option<Vec<Step>> {
    if models[model].presence == Presence::Unloading {
        return Some(Vec::new());
    }
    if fits(models, model, budget, |_| false) {
        return Some(vec![Step::Load(model)]);
    }
    let is_leaving = |other: usize| models[other].presence == Presence::Unloading;
    if fits(models, model, budget, is_leaving) {
        return Some(Vec::new());
    }
    let idle = by_age(models).into_iter().filter(|other| is_idle(*other) && !models[*other].is_pinned);
    let leaving = few(models, model, budget, is_leaving, idle)?;
    Some(leaving.into_iter().map(Step::Evict).collect())
}

/// The models that have to go for this one, the least recently used ones.
fn in_the_way(models: &[Candidate], model: usize, budget: Budget) -> Vec<usize> {
    let is_leaving = |other: usize| models[other].presence == Presence::Unloading;
    if fits(models, model, budget, is_leaving) {
        return Vec::new();
    }
    let (idle, busy): (Vec<usize>, Vec<usize>) =
        by_age(models).into_iter().filter(|other| !models[*other].is_pinned).partition(|&n| models[n].n_users == 0);
    few(models, model, budget, is_leaving, idle.into_iter().chain(busy)).unwrap_or_default()
}

/// Takes models from the front of a list until `model` fits without them, and without those that leave anyway. Leaves
/// out those whose memory does not help. `None` if all of them are not enough.
fn few(
    models: &[Candidate],
    model: usize,
    budget: Budget,
    is_leaving: impl Fn(usize) -> bool,
    list: impl Iterator<Item = usize>,
) -> Option<Vec<usize>> {
    let mut taken = Vec::new();
    for other in list {
        taken.push(other);
        if !fits(models, model, budget, |n| is_leaving(n) || taken.contains(&n)) {
            continue;
        }
        for other in taken.clone() {
            if fits(models, model, budget, |n| is_leaving(n) || (n != other && taken.contains(&n))) {
                taken.retain(|n| *n != other);
            }
        }
        return Some(taken);
    }
    None
}

/// Whether this model fits beside the others, except those that `is_gone` names.
fn fits(models: &[Candidate], model: usize, budget: Budget, is_gone: impl Fn(usize) -> bool) -> bool {
    let stay = models.iter().enumerate().filter(|(n, _)| *n != model && !is_gone(*n));
    let held: Vec<Bytes> =
        stay.filter(|(_, other)| other.presence != Presence::Absent).map(|(_, other)| other.bytes).collect();
    let is_alone = held.is_empty() && !budget.is_strict;
    is_alone || (held.into_iter().sum::<Bytes>() + models[model].bytes).fits(budget.limit)
}

/// Whether this model does not even fit once all models that may leave have left.
fn never_fits(models: &[Candidate], model: usize, budget: Budget) -> bool {
    let stays = |other: &Candidate| other.is_pinned && matches!(other.presence, Presence::Loading | Presence::Ready);
    !fits(models, model, budget, |n| !stays(&models[n]))
}

/// The loaded models, least recently used first.
fn by_age(models: &[Candidate]) -> Vec<usize> {
    let mut ready: Vec<usize> = (0..models.len()).filter(|n| models[*n].presence == Presence::Ready).collect();
    ready.sort_by_key(|n| models[*n].last_used);
    ready
}

fn push_new(list: &mut Vec<usize>, model: usize) {
    if !list.contains(&model) {
        list.push(model);
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
