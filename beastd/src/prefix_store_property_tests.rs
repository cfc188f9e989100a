//! Compares the store with a simple list.

use proptest::prelude::*;

use super::tests::{folder, names, open, state, tokens, write};

#[derive(Debug, Clone)]
enum Op {
    Write(i32),
    Read(i32),
    Find(i32, usize),
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..8).prop_map(Op::Write),
        3 => (1..8).prop_map(Op::Read),
        2 => (0..10, 0..9_usize).prop_map(|(n, longer_than)| Op::Find(n, longer_than)),
        1 => Just(Op::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The list is in order of use. Prefixes are the first n numbers, and up to four of them fit.
    #[test]
    fn it_does_what_a_simple_list_does(ops in proptest::collection::vec(op(), 1..60)) {
        const BOUND: u64 = 2500;
        let total = |model: &[i32]| model.iter().map(|&n| 60 + 4 * n as u64 + 500 + 32).sum::<u64>();
        let (folder, mut model) = (folder(), Vec::<i32>::new());
        let mut store = open(folder.path(), BOUND);
        for op in ops {
            match op {
                Op::Write(n) => {
                    write(&mut store, &tokens(0..n));
                    model.extend((!model.contains(&n)).then_some(n));
                    while total(&model) > BOUND {
                        model.remove(0);
                    }
                }
                Op::Read(n) => {
                    let is_there = model.contains(&n).then_some(n);
                    prop_assert_eq!(store.read(&tokens(0..n)), is_there.map(|n| state(&tokens(0..n))));
                    model.retain(|&other| other != n);
                    model.extend(is_there);
                }
                Op::Find(n, longer_than) => {
                    let fits = |&&other: &&i32| other < n && other as usize > longer_than;
                    let longest = model.iter().filter(fits).max().map(|&n| n as usize);
                    prop_assert_eq!(store.find(&tokens(0..n), longer_than), longest);
                }
                Op::Restart => store = open(folder.path(), BOUND),
            }
            let held: Vec<_> = store.entries.iter().map(|entry| entry.tokens.len() as i32).collect();
            prop_assert_eq!(&held, &model);
            prop_assert_eq!(names(folder.path()).len(), model.len());
            prop_assert_eq!(store.stats().n_bytes, total(&model));
        }
    }
}
