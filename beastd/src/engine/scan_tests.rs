use std::cell::Cell;

use proptest::prelude::*;

use super::*;

#[test]
fn the_largest_logit_is_found_wherever_it_is() {
    for n in [0, 1, 255, 256, 2047, 4999] {
        let mut logits = vec![-1.0; 5000];
        logits[n] = 3.5;
        assert_eq!(Scan::of(&logits).argmax(Row::plain(&logits)), n);
        logits[4999] = 3.5;
        assert_eq!(Scan::of(&logits).argmax(Row::plain(&logits)), n, "ties go to the lower token");
    }
}

#[test]
fn logits_that_are_not_numbers_are_noticed() {
    let mut logits = vec![0.5; 1000];
    assert!(Scan::of(&logits).is_sound());
    logits[999] = f32::NAN;
    assert!(!Scan::of(&logits).is_sound());
    logits[999] = f32::INFINITY;
    assert!(!Scan::of(&logits).is_sound());
    assert!(!Scan::of(&[f32::NEG_INFINITY; 1000]).is_sound());
    logits[999] = f32::NEG_INFINITY;
    assert!(Scan::of(&logits).is_sound(), "a token may be impossible");
}

fn sorted(logits: &[f32]) -> Vec<(i32, f32)> {
    let mut all: Vec<(i32, f32)> = (0..).zip(logits.iter().copied()).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all
}

proptest! {
    #[test]
    fn the_top_is_what_sorting_everything_finds(
        logits in proptest::collection::vec(-40.0_f32..40.0, 1..4000),
        k in 1..40_usize,
    ) {
        let mut expected = sorted(&logits);
        let is_open = expected.windows(2).take(k).any(|pair| pair[0].1 == pair[1].1);
        expected.truncate(k);
        match Scan::of(&logits).top(Row::plain(&logits), k) {
            Some(top) => prop_assert_eq!(top, expected),
            None => prop_assert!(is_open || k >= logits.len().div_ceil(BLOCK)),
        }
    }

    #[test]
    fn equals_among_the_top_are_left_to_others(
        values in proptest::collection::vec(0..6_i8, 2000..3000),
        k in 1..7_usize,
    ) {
        let logits: Vec<f32> = values.into_iter().map(f32::from).collect();
        prop_assert_eq!(Scan::of(&logits).top(Row::plain(&logits), k), None);
    }

    #[test]
    fn what_is_large_enough_comes_in_order(
        logits in proptest::collection::vec(-4.0_f32..4.0, 0..2000),
        floor in -5.0_f32..5.0,
    ) {
        let expected: Vec<_> = (0..).zip(logits.iter().copied()).filter(|(_, logit)| *logit >= floor).collect();
        prop_assert_eq!(Scan::of(&logits).at_least(Row::plain(&logits), floor), expected);
    }

    #[test]
    fn a_changed_row_is_scanned_like_a_new_one(
        logits in proptest::collection::vec(-4.0_f32..4.0, 1..2000),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), -9.0_f32..9.0), 0..20),
    ) {
        let mut fresh = logits.clone();
        let mut changed: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
        for (at, value) in changes {
            let at = at.index(logits.len());
            fresh[at] = value;
            let n = at / BLOCK;
            let block = || logits[n * BLOCK..logits.len().min((n + 1) * BLOCK)].to_vec();
            changed.entry(n).or_insert_with(block)[at % BLOCK] = value;
        }
        let scan = Scan::of(&logits).with(&changed);
        let row = Row::changed(&logits, &changed);
        prop_assert_eq!(&scan.maxima, &Scan::of(&fresh).maxima);
        prop_assert_eq!(scan.argmax(row), Scan::of(&fresh).argmax(Row::plain(&fresh)));
        prop_assert_eq!(row.iter().map(|(_, logit)| logit).collect::<Vec<_>>(), fresh);
    }

    #[test]
    fn many_rows_are_scanned_as_one_by_one(n_rows in 0..20_usize, n in 1..1500_usize, n_threads in 1..6_usize) {
        let row = |i: usize| (0..n).map(|j| ((i * 7919 + j * 104_729) % 997) as f32).collect();
        let rows: Vec<Vec<f32>> = (0..n_rows).map(row).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let asked_of = Cell::new(false);
        let scanners = Scanners(OnceLock::from(Threads::of(n_threads)));
        let all = scanners.scan((n_rows, n), Duration::from_micros(50), || {
            asked_of.set(true);
            rows.clone()
        });
        prop_assert!(asked_of.get());
        prop_assert_eq!(all.len(), n_rows);
        for (scan, row) in all.iter().zip(&rows) {
            let alone = Scan::of(row);
            prop_assert_eq!((&scan.maxima, scan.best, scan.has_nan), (&alone.maxima, alone.best, alone.has_nan));
        }
    }
}

#[test]
fn a_row_that_is_not_all_numbers_is_found_among_many() {
    let mut rows = vec![vec![0.5; 3000]; 9];
    rows[7][2990] = f32::NAN;
    let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let all = Scanners(OnceLock::from(Threads::of(3))).scan((9, 3000), Duration::ZERO, || rows);
    let sound: Vec<usize> = (0..9).filter(|&n| all[n].is_sound()).collect();
    assert_eq!(sound, [0, 1, 2, 3, 4, 5, 6, 8]);
}

#[test]
fn helpers_stay_for_the_next_rows_and_survive_rows_that_do_not_come() {
    let scanners = Scanners(OnceLock::from(Threads::of(4)));
    let rows = [vec![1.0; 600], vec![2.0; 600], vec![3.0; 600]];
    for expected in [0, 50, 5_000].map(Duration::from_micros) {
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            scanners.scan((3, 600), expected, || panic!("the GPU is gone"))
        }));
        assert!(failed.is_err());
        let all = scanners.scan((3, 600), expected, || rows.iter().map(Vec::as_slice).collect());
        assert_eq!(all.iter().map(Scan::max).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
    }
}
