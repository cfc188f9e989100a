use expect_test::expect;

use super::*;
use crate::output::tables::tests::sample;

#[test]
fn columns_are_aligned_and_bars_are_scaled() {
    expect![[r#"

        speculation: what guessing brings
          batch 1024, context 4096
          writing <an> answer & more, tokens/s
            off           21.7  21.5..21.9  x1.00  ███████████▋
          * lookup        60.0  58.0..61.2  x2.76  ████████████████████████████████  60 of 80 right (75 %)
            draft         no draft model
            other         not measured: beastd ended before the answer did
          first token, ms, less is better
            a single one  0.12
          note: nothing else ran
    "#]]
    .assert_eq(&table_text(&sample(), Layout { width: 100, is_utf8: true }));
}

#[test]
fn a_narrow_terminal_without_blocks_gets_short_bars_of_ascii() {
    expect![[r#"

        speculation: what guessing brings
          batch 1024, context 4096
          writing <an> answer & more, tokens/s
            off           21.7  21.5..21.9  x1.00  ###
          * lookup        60.0  58.0..61.2  x2.76  ########  60 of 80 right (75 %)
            draft         no draft model
            other         not measured: beastd ended before the answer did
          first token, ms, less is better
            a single one  0.12
          note: nothing else ran
    "#]]
    .assert_eq(&table_text(&sample(), Layout { width: 60, is_utf8: false }));
}

#[test]
fn a_table_that_failed_says_why() {
    let table = Table::failed("prefix", "a short text", "beastd ended: no\nmemory".into());
    expect![[r#"

        prefix: a short text
          not measured: beastd ended: no memory
    "#]]
    .assert_eq(&table_text(&table, Layout { width: 80, is_utf8: true }));
}
