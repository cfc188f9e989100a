use expect_test::expect;

use super::*;
use crate::{
    bench::daemon::tests::answered,
    output::status::tests::status,
    output::tables::{Layout, table_text},
};

#[test]
fn an_answer_has_three_speeds() {
    let mut speeds = Speeds::default();
    speeds.push(answered(400, 65, [4010, 4000, 3200]));
    speeds.push(answered(400, 65, [5010, 5000, 4000]));
    let facts = facts(&status(), &speeds);
    let table = Table { facts, groups: speeds.into_groups("beast"), ..Table::new(PLAN.name, PLAN.title) };
    expect![[r#"

        generation: one answer at a time
          prompt 400 tokens, answer 65, context 0, batch 512, 2 threads, prefill in chunks of 128
          first token, ms, less is better
            beast  4510.0  4010.0..5010.0
          prefill, tokens/s
            beast    90.0  80.0..100.0
          decode, tokens/s
            beast    18.0  16.0..20.0
    "#]]
    .assert_eq(&table_text(&table, Layout { width: 100, is_utf8: true }));
}

/// Without a second token there is no time between tokens, and without a sample no median.
#[test]
fn an_answer_of_one_token_has_no_speed() {
    let mut speeds = Speeds::default();
    speeds.push(answered(400, 1, [10, 10, 0]));
    assert_eq!((speeds.prompt.all().len(), speeds.answer.all().len()), (1, 0));
}
