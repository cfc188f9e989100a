use super::*;

#[test]
fn the_median_needs_no_order() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    assert_eq!(median(&[]), None);
}

#[test]
fn a_ratio_needs_both_sides() {
    assert_eq!(ratio(&[3.0, 9.0, 4.0], &[2.0]), [2.0]);
    assert!(ratio(&[], &[2.0]).is_empty());
}

#[test]
fn the_slowest_is_compared_with_the_middle() {
    assert_eq!(stretch(&[1.0, 6.0, 2.0]), Some(3.0));
    assert_eq!(stretch(&[]), None);
}

#[test]
fn the_ceiling_is_what_the_best_number_of_guesses_yields() {
    // As on a GPU, where a second token is nearly free. If all drafts are right, a step yields as many tokens as it
    // has.
    let costs = [(1, 10.0), (2, 11.0), (4, 12.0), (8, 20.0)];
    assert_eq!(ceiling(1.0, &costs, 0.0), Some((4.0, 7)));
    // With every second draft right: 1 + 1/2 + 1/4 + 1/8 tokens in 12 ms.
    assert_eq!(ceiling(0.5, &costs, 0.0), Some((1.875 * 10.0 / 12.0, 3)));
    // A drafter that costs as much as the model itself.
    assert_eq!(ceiling(0.5, &costs, 10.0), Some((1.0, 0)));
    assert_eq!(ceiling(0.0, &costs, 0.0), Some((1.0, 0)));
}

#[test]
fn without_the_cost_of_a_single_token_there_is_no_ceiling() {
    assert_eq!(ceiling(0.5, &[(2, 11.0)], 0.0), None);
    assert_eq!(ceiling(0.5, &[], 0.0), None);
}
