use super::*;

#[test]
fn the_largest_logit_is_found_wherever_it_is() {
    for n in [0, 1, 1023, 1024, 2047, 4999] {
        let mut logits = vec![-1.0; 5000];
        logits[n] = 3.5;
        assert_eq!(argmax(&logits), n);
        logits[4999] = 3.5;
        assert_eq!(argmax(&logits), n, "ties go to the lower token");
    }
}

#[test]
fn logits_that_are_not_numbers_are_noticed() {
    assert!(!vec![f32::NAN; 10][argmax(&[f32::NAN; 10])].is_finite());
    assert_eq!(argmax(&[f32::NAN, 2.0, 5.0]), 2);
}
