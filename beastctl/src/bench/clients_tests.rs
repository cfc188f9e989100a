use expect_test::expect;

use super::*;
use crate::{
    bench::daemon::tests::answered,
    output::tables::{Layout, table_text},
};

#[test]
fn clients_are_compared_with_one_alone() {
    let mut tallies = vec![Tally::default(), Tally::default()];
    for extra in [0, 10] {
        tallies[0].push(&[answered(100, 48, [1000, 1000, 2350])], Duration::from_millis(3350 + extra));
        let two = [answered(100, 48, [1000, 900, 4700]), answered(100, 48, [2000, 900, 4700 + extra])];
        tallies[1].push(&two, Duration::from_millis(6700));
    }
    let table = Table { groups: groups(&[1, 2], tallies), ..Table::new(PLAN.name, PLAN.title) };
    expect![[r#"

        clients: several clients at once
          all answers together, from first request to last token, tokens/s
            1 client     14.3  14.3..14.3      x1.00  ████████████████████████████████
            2 clients    14.3  14.3..14.3      x1.00  ████████████████████████████████
          each answer, decode only, tokens/s
            1 client     20.0  20.0..20.0      x1.00  ████████████████████████████████
            2 clients    10.0  10.0..10.0      x0.50  ████████████████
          first token, including the wait for a slot, ms, less is better
            1 client   1000.0  1000.0..1000.0  x1.00  █████████████████████▍            slowest 1000.0
            2 clients  1500.0  1000.0..2000.0  x1.50  ████████████████████████████████  slowest 2000.0
    "#]]
    .assert_eq(&table_text(&table, Layout { width: 100, is_utf8: true }));
}
