use proptest::prelude::*;

use super::*;

const GB: u64 = 1 << 30;

fn model(gb: u64, presence: Presence, n_users: usize, last_used: u64) -> Candidate {
    Candidate { bytes: Bytes { ram: gb * GB, gpu: 0 }, presence, n_users, is_pinned: false, is_fresh: false, last_used }
}

fn budget(gb: u64) -> Budget {
    Budget { limit: Bytes { ram: gb * GB, gpu: u64::MAX }, is_strict: true }
}

fn claim(model: usize) -> Claim {
    Claim { model, is_overdue: false }
}

use Presence::{Absent, Loading, Ready, Unloading};

#[test]
fn who_fits_is_loaded_beside_the_others_and_who_is_there_begins() {
    let models = [model(2, Ready, 1, 5), model(1, Absent, 0, 0), model(1, Absent, 0, 0)];
    let claims = [claim(1), claim(0), claim(1), claim(2)];
    assert_eq!(plan(&models, &claims, budget(4)), [Step::Admit(1), Step::Load(1)], "one load at a time");
    let models = [model(2, Ready, 1, 5), model(1, Loading, 0, 0), model(1, Absent, 0, 0)];
    assert_eq!(plan(&models, &claims, budget(4)), [Step::Admit(1)]);
}

#[test]
fn the_least_recently_used_leaves_and_none_that_would_not_help() {
    let models = [model(1, Ready, 0, 2), model(2, Ready, 0, 3), model(1, Ready, 0, 4), model(2, Absent, 0, 0)];
    assert_eq!(plan(&models, &[claim(3)], budget(5)), [Step::Evict(0)]);
    assert_eq!(plan(&models, &[claim(3)], budget(4)), [Step::Evict(1)], "the first alone would not be enough");
    // It waits for what leaves already.
    let models = [model(2, Unloading, 0, 2), model(2, Ready, 0, 3), model(2, Absent, 0, 0)];
    assert_eq!(plan(&models, &[claim(2)], budget(4)), []);
}

#[test]
fn memory_of_the_gpu_is_counted_apart() {
    let on_gpu =
        |presence, last_used| Candidate { bytes: Bytes { ram: 0, gpu: 2 * GB }, ..model(0, presence, 0, last_used) };
    let models = [model(3, Ready, 0, 1), on_gpu(Ready, 2), on_gpu(Absent, 0)];
    let budget = Budget { limit: Bytes { ram: 4 * GB, gpu: 3 * GB }, is_strict: true };
    assert_eq!(plan(&models, &[claim(2)], budget), [Step::Evict(1)], "the one on the CPU would not help");
}

#[test]
fn busy_and_pinned_models_stay() {
    let pinned = Candidate { is_pinned: true, ..model(2, Ready, 0, 1) };
    let models = [pinned, model(2, Ready, 1, 2), model(2, Absent, 0, 0)];
    assert_eq!(plan(&models, &[claim(2)], budget(4)), []);
    assert_eq!(plan(&models, &[claim(2)], budget(3)), [Step::Refuse(2)], "not beside the pinned one");
    assert_eq!(plan(&models, &[claim(2)], budget(1)), [Step::Refuse(2)], "not even alone");
}

#[test]
fn a_model_may_try_alone_where_the_limit_is_an_estimate() {
    let estimate = Budget { is_strict: false, ..budget(1) };
    assert_eq!(plan(&[model(2, Absent, 0, 0)], &[claim(0)], estimate), [Step::Load(0)]);
    let models = [model(2, Absent, 0, 0), model(1, Ready, 0, 1)];
    assert_eq!(plan(&models, &[claim(0)], estimate), [Step::Evict(1)]);
}

#[test]
fn in_the_way_of_who_has_waited_too_long_nothing_begins() {
    let models = [model(2, Ready, 1, 1), model(2, Ready, 1, 2), model(2, Absent, 0, 0), model(1, Absent, 0, 0)];
    let overdue = Claim { model: 2, is_overdue: true };
    let claims = [overdue, claim(0), claim(1), claim(3)];
    assert_eq!(plan(&models, &claims, budget(4)), [Step::Admit(2)], "neither the first nor a load before it");
    let models = [model(2, Ready, 0, 1), models[1], models[2], models[3]];
    assert_eq!(plan(&models, &claims, budget(4)), [Step::Admit(2), Step::Evict(0)]);
    // Its model was loaded for a request that came earlier, which takes long.
    let claims = [claim(0), overdue, claim(0)];
    assert_eq!(plan(&models, &claims, budget(4)), [Step::Admit(0)]);
    // All that wait for a model begin once it is loaded.
    let fresh = Candidate { is_fresh: true, ..models[0] };
    let models = [fresh, models[1], models[2], models[3]];
    assert_eq!(plan(&models, &claims, budget(4)), [Step::Admit(0), Step::Admit(2)]);
}

/// So many requests may begin before one that waits is overdue.
const TURNS: u64 = 4;
/// Steps that a request runs.
const LENGTH: u64 = 3;

/// A machine that does what the plan says. An eviction takes one step.
struct Machine {
    models: Vec<Candidate>,
    /// Steps that a load takes, and those that are left of each.
    load_len: u64,
    n_left: Vec<u64>,
    budget: Budget,
    /// Model, step of arrival, requests that had begun by then.
    waiting: Vec<(usize, u64, u64)>,
    /// Model, step of the end.
    running: Vec<(usize, u64)>,
    n_begun: u64,
    now: u64,
    longest: u64,
    n_refused: usize,
}

impl Machine {
    fn new(sizes: &[(u64, bool)], limit: u64, load_len: u64) -> Self {
        let one = |(size, is_pinned): &(u64, bool)| Candidate { is_pinned: *is_pinned, ..model(*size, Absent, 0, 0) };
        Self {
            models: sizes.iter().map(one).collect(),
            load_len,
            n_left: vec![0; sizes.len()],
            budget: budget(limit),
            waiting: Vec::new(),
            running: Vec::new(),
            n_begun: 0,
            now: 0,
            longest: 0,
            n_refused: 0,
        }
    }

    fn held(&self) -> Bytes {
        self.models.iter().filter(|model| model.presence != Absent).map(|model| model.bytes).sum()
    }

    fn step(&mut self, arrivals: &[usize]) {
        self.now += 1;
        for (model, n_left) in self.models.iter_mut().zip(&mut self.n_left) {
            *n_left = n_left.saturating_sub(1);
            model.presence = match model.presence {
                Loading if *n_left == 0 => Ready,
                Unloading => Absent,
                other => other,
            };
        }
        let now = self.now;
        self.running.retain(|(_, end)| *end > now);
        for n in 0..self.models.len() {
            self.models[n].n_users = self.running.iter().filter(|(model, _)| *model == n).count();
        }
        self.waiting.extend(arrivals.iter().map(|model| (model % self.models.len(), now, self.n_begun)));
        // A load or an eviction leaves the next decision to the next step.
        let steps = plan(&self.models, &self.claims(), self.budget);
        self.begin(&steps);
        steps.into_iter().for_each(|step| self.act(step));
        assert!(self.held().fits(self.budget.limit), "{:?}", self.models);
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |&(model, _, begun): &(usize, u64, u64)| Claim { model, is_overdue: self.n_begun - begun >= TURNS };
        self.waiting.iter().map(claim).collect()
    }

    fn begin(&mut self, steps: &[Step]) {
        for (nth, one) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            if !steps.contains(&Step::Admit(nth)) {
                self.waiting.push(one);
                continue;
            }
            let (model, since, _) = one;
            assert_eq!(self.models[model].presence, Ready);
            self.longest = self.longest.max(self.now - since);
            self.running.push((model, self.now + LENGTH));
            self.n_begun += 1;
            self.models[model].n_users += 1;
            self.models[model].last_used = self.now;
            self.models[model].is_fresh = false;
        }
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Admit(_) => {}
            Step::Load(model) => {
                assert_eq!(self.models[model].presence, Absent);
                self.models[model].presence = Loading;
                self.n_left[model] = self.load_len;
                self.models[model].is_fresh = true;
            }
            Step::Evict(model) => {
                let Candidate { presence, n_users, is_pinned, .. } = self.models[model];
                assert_eq!((presence, n_users, is_pinned), (Ready, 0, false));
                self.models[model].presence = Unloading;
            }
            Step::Refuse(model) => {
                let n = self.waiting.len();
                self.waiting.retain(|one| one.0 != model);
                self.n_refused += n - self.waiting.len();
            }
        }
    }

    /// The most steps that a request may wait.
    fn bound(&self) -> u64 {
        // Until it is overdue, a request begins at least every few steps; then each model before it has its turn: it
        // ends its requests, leaves, and the next one comes.
        let turn = LENGTH + self.load_len + 3;
        turn * (TURNS + self.models.len() as u64 + 1)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_model_starves_and_the_budget_holds(
        sizes in prop::collection::vec((1u64..5, prop::bool::weighted(0.1)), 1..6),
        limit in 4u64..9,
        load_len in 1u64..12,
        arrivals in prop::collection::vec(prop::collection::vec(0usize..6, 0..4), 1..200),
    ) {
        let mut machine = Machine::new(&sizes, limit, load_len);
        for arrivals in &arrivals {
            machine.step(arrivals);
            let oldest = machine.waiting.iter().map(|(_, since, _)| machine.now - since).max().unwrap_or(0);
            prop_assert!(oldest <= machine.bound(), "waits for {oldest} steps: {:?}", machine.models);
        }
        for _ in 0..machine.bound() {
            machine.step(&[]);
        }
        prop_assert!(machine.waiting.is_empty());
        prop_assert!(sizes.iter().any(|(_, is_pinned)| *is_pinned) || machine.n_refused == 0);
    }

    #[test]
    fn a_flood_of_requests_for_one_model_does_not_keep_another_out(n in 1usize..5, at in 0usize..20, load_len in 1u64..12) {
        let mut machine = Machine::new(&[(4, false), (4, false)], 4, load_len);
        for step in 0..300 {
            let mut arrivals = vec![0; n];
            arrivals.extend((step == at).then_some(1));
            machine.step(&arrivals);
        }
        prop_assert!(machine.longest <= machine.bound());
        prop_assert!(machine.models[0].last_used > 100, "nor does the other one keep it out");
    }
}
