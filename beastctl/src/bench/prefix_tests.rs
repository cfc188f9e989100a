use beast_protocol::Usage;
use expect_test::expect;

use super::*;
use crate::{
    bench::daemon::tests::answered,
    output::status::tests::status,
    output::tables::{Layout, table_text},
};

fn tallies(n_restored: u32) -> [Tally; WAYS.len()] {
    let ways = [(20, 0, 300), (420, 0, 8000), (420, 400, 310), (420, n_restored, 330)];
    ways.map(|(n_prompt, n_cached, ms)| {
        let answered = answered(n_prompt, 1, [ms, ms, 0]);
        let mut tally = Tally::default();
        tally.push(Answered { usage: Usage { n_cached, ..answered.usage }, ..answered });
        tally
    })
}

#[test]
fn the_ways_are_compared_with_the_text_alone() {
    let table = table(tallies(400), &status(), false);
    expect![[r#"

        prefix: a short text after a long instruction
          first token, ms, less is better
            text alone   300.0  x1.00   ▍          without an instruction: 0 of 20 tokens cached
            cold        8000.0  x26.67  █████████  instruction not cached: 0 of 420 tokens cached
            warm         310.0  x1.03   ▍          cached in memory: 400 of 420 tokens cached
            restored     330.0  x1.10   ▍          cached on disk, after a restart of beastd: 400 of 420 tokens cached
    "#]]
    .assert_eq(&table_text(&table, Layout { width: 110, is_utf8: true }));
}

#[test]
fn a_restart_that_knows_nothing_is_said() {
    let table = table(tallies(0), &status(), false);
    expect!["nothing was restored after the restart; prefixes on disk: 0"].assert_eq(&table.notes.concat());
}

#[test]
fn without_a_place_on_disk_nothing_is_restored() {
    let table = table(tallies(0), &status(), true);
    assert!(table.notes.is_empty() && table.is_complete());
    assert!(table.groups[0].rows[3].absence.is_some());
}
