//! Random grammars and schemas from several clients at once: all other clients are served meanwhile. Small in every
//! test run; `BEAST_GRAMMARS=10000` makes it large, and `BEAST_FUZZ_SEED` repeats a run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use beast_protocol::{ErrorCode, Generate, Request};
use beast_tests::dice::{Dice, asked};
use beast_tests::grammars::constraint;
use beast_tests::samples::{ask, commit_msg, diff, subject};
use beast_tests::{Beast, Client};

const N_CLIENTS: usize = 3;
/// Far longer than needed on an idle machine, because other tests run at the same time.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much more memory the daemon may use while it processes several grammars.
const ROOM: u64 = 600 << 20;

/// Outcomes of requests with a grammar or schema.
#[derive(Debug, Default)]
struct Ends {
    whole: AtomicUsize,
    cut: AtomicUsize,
    refused: AtomicUsize,
    left: AtomicUsize,
}

/// Sends a request with a constraint, and sometimes disconnects before the answer.
fn try_one(beast: &Beast, client: &mut Client, n: u64, seed: u64, ends: &Ends) {
    let mut dice = Dice::new(seed.wrapping_mul(1 << 32).wrapping_add(n));
    let constraint = Some(constraint(&mut dice));
    let request = Generate { constraint, max_tokens: Some(1 + dice.below(40) as u32), ..ask("Say something.") };
    if dice.below(8) == 0 {
        client.send(&Request::Generate(request));
        *client = beast.client();
        ends.left.fetch_add(1, Relaxed);
        return;
    }
    let end = match client.ask(&request).end {
        Ok((reason, _)) if reason.is_cut() => &ends.cut,
        Ok(_) => &ends.whole,
        Err(error) => {
            let is_expected = matches!(error.code, ErrorCode::Invalid | ErrorCode::Overloaded);
            assert!(is_expected, "constraint {n} of seed {seed}: {error:?}");
            &ends.refused
        }
    };
    end.fetch_add(1, Relaxed);
}

/// Requests the status until the clients are done. Returns the time of each request, and the daemon's peak memory.
fn watch(beast: &Beast, is_over: &AtomicBool) -> (Vec<Duration>, u64) {
    let mut client = beast.client();
    let (mut times, mut peak) = (Vec::new(), 0);
    while !is_over.load(Relaxed) {
        let began = Instant::now();
        client.status();
        times.push(began.elapsed());
        if times.len() % 64 == 1 {
            peak = peak.max(beast.held_memory().unwrap_or(0));
        }
        // As often as a busy observer would; more often, this test itself would slow the daemon down.
        thread::sleep(Duration::from_millis(2));
    }
    times.sort();
    (times, peak)
}

#[test]
fn grammars_and_schemas_hold_up_nobody_else() {
    let (n_all, seed) = (asked("BEAST_GRAMMARS", 60), asked("BEAST_FUZZ_SEED", 1));
    let beast = Beast::with(&["max_waiting=64"]);
    beast.ready();
    let ordinary = commit_msg(&diff("read_all", 4));
    assert_eq!(beast.client().ask(&ordinary).text, subject("read_all"));
    let before = beast.held_memory().unwrap_or(0);
    let (ends, next, is_over) = (Ends::default(), AtomicU64::new(0), AtomicBool::new(false));
    let (n_ordinary, slowest) = (AtomicUsize::new(0), Mutex::new(Duration::ZERO));
    let (times, peak) = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&beast, &is_over));
        scope.spawn(|| {
            let mut client = beast.client();
            while !is_over.load(Relaxed) {
                let began = Instant::now();
                let answer = client.ask(&ordinary);
                assert_eq!(answer.text, subject("read_all"), "{:?}", answer.end);
                n_ordinary.fetch_add(1, Relaxed);
                let mut slowest = slowest.lock().expect("nobody panics with it");
                *slowest = slowest.max(began.elapsed());
            }
        });
        let clients: Vec<_> = (0..N_CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = beast.client();
                    loop {
                        let n = next.fetch_add(1, Relaxed);
                        if n >= n_all {
                            break;
                        }
                        try_one(&beast, &mut client, n, seed, &ends);
                    }
                })
            })
            .collect();
        // Stops the other clients even if one has failed.
        let outcomes: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        is_over.store(true, Relaxed);
        assert!(outcomes.iter().all(Result::is_ok), "a client failed");
        watcher.join().expect("the status comes")
    });
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    let slowest = slowest.into_inner().expect("nobody panicked with it");
    println!(
        "{n_all} grammars and schemas, seed {seed}: {ends:?}; {} times the status: median {:?}, p99 {:?}, most {:?}; \
         {n_ordinary:?} other answers, the slowest in {slowest:?}; memory from {} to at most {} MB",
        times.len(),
        at(50),
        at(99),
        at(100),
        before / 1_000_000,
        peak / 1_000_000,
    );
    assert!(at(100) < PATIENCE, "the status took {:?}", at(100));
    assert!(peak < before + ROOM, "{before} bytes became {peak}");
    assert!(n_ordinary.into_inner() > 0, "others are served");
    assert_eq!(beast.client().ask(&ordinary).text, subject("read_all"));
    beast.idle();
}
