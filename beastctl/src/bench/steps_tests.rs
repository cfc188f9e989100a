use expect_test::expect;

use super::*;

#[test]
fn tables_count_by_their_weights() {
    let weights = [1.0, 3.0];
    let fractions = [(0, 0, 0), (0, 1, 2), (1, 0, 0), (1, 1, 3), (1, 9, 3), (2, 0, 0), (7, 1, 1)]
        .map(|(n_tables, n_done, n_total)| fraction(&weights, n_tables, n_done, n_total));
    assert_eq!(fractions, [0.0, 0.125, 0.25, 0.5, 1.0, 1.0, 1.0]);
    assert_eq!(fraction(&[], 0, 1, 2), 0.0);
}

#[test]
fn the_line_says_how_long_it_will_take_once_it_can_tell() {
    let lines = [(0.0, 0, true), (0.01, 1, true), (0.25, 20, true), (0.25, 21, false), (1.0, 100, true)]
        .map(|(done, seconds, is_utf8)| line(done, "draft, 1 of 3", Duration::from_secs(seconds), is_utf8) + "\n");
    expect![[r#"
        [                    ]   0 %  draft, 1 of 3
        [▎                   ]   1 %  draft, 1 of 3
        [█████               ]  25 %  draft, 1 of 3, about 1m left
        [#####               ]  25 %  draft, 1 of 3, about 1m 3s left
        [████████████████████] 100 %  draft, 1 of 3
    "#]]
    .assert_eq(&lines.concat());
}
