use super::*;

/// `n` examples that answer yes with this probability, `n_right` of them correctly.
fn group(yes: f32, n: usize, n_right: usize) -> Vec<Judged> {
    (0..n).map(|nth| Judged { probabilities: vec![yes, 1.0 - yes], right: usize::from(nth >= n_right) }).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-3
}

#[test]
fn a_model_that_is_as_right_as_it_says_needs_no_temperature() {
    let examples = [group(0.9, 100, 90), group(0.6, 100, 60)].concat();
    let quality = quality(&examples, 1.0);
    assert!(close(quality.accuracy, 0.75) && close(quality.ece, 0.0), "{quality:?}");
    assert!(close(temperature(&examples), 1.0), "{}", temperature(&examples));
}

#[test]
fn a_model_that_is_too_sure_is_cooled_to_what_it_is_worth() {
    // Correct 3 times out of 4 at 99 %: T turns 0.99 into 0.75, so T = logit(0.99) / logit(0.75).
    let examples = group(0.99, 400, 300);
    let expected = (0.99f64 / 0.01).ln() / 3f64.ln();
    let fitted = temperature(&examples);
    assert!((fitted - expected).abs() < 0.01, "{fitted} {expected}");
    let (before, after) = (quality(&examples, 1.0), quality(&examples, fitted));
    assert!(close(before.ece, 0.24) && close(after.ece, 0.0), "{before:?} {after:?}");
    assert!(after.log_loss < before.log_loss && after.accuracy == before.accuracy);
}

#[test]
fn one_that_says_too_little_becomes_surer() {
    let fitted = temperature(&group(0.6, 100, 95));
    assert!(fitted < 0.2, "{fitted}");
}

#[test]
fn a_log_loss_is_the_mean_of_what_each_costs() {
    let examples =
        [Judged { probabilities: vec![0.5, 0.25, 0.25], right: 1 }, Judged { probabilities: vec![0.5, 0.5], right: 0 }];
    assert!(close(quality(&examples, 1.0).log_loss, (4f64.ln() + 2f64.ln()) / 2.0));
}

#[test]
fn extremes_stay_numbers() {
    for examples in [group(1.0, 10, 5), group(0.0, 10, 10), group(1.0, 10, 10), group(0.5, 10, 0), Vec::new()] {
        let fitted = temperature(&examples);
        assert!(fitted.is_finite() && fitted > 0.0, "{fitted}");
        assert!(quality(&examples, fitted).log_loss.is_finite());
    }
}
