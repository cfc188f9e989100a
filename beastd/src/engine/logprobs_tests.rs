use super::*;

#[test]
fn probabilities_add_up_to_one_and_come_in_order() {
    let logits: Vec<f32> = (0..5000).map(|n| ((n * 7919) % 5000) as f32 / 400.0).collect();
    let all = logprobs(&logits, Token(17), logits.len());
    let sum: f64 = all.top.iter().map(|(_, logprob)| f64::from(*logprob).exp()).sum();
    assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    assert!(all.top.is_sorted_by(|a, b| a.1 >= b.1));
    assert!(all.top.contains(&(Token(17), all.chosen)));
    for n in [0, 1, 5, 20] {
        assert_eq!(logprobs(&logits, Token(17), n).top, all.top[..n], "the {n} likeliest");
    }
}

#[test]
fn ties_go_to_the_lower_token_and_what_is_impossible_is_left_out() {
    let logits = [1.0, f32::NEG_INFINITY, 3.0, 3.0, f32::NAN];
    let top: Vec<Token> = largest(&logits, 5).into_iter().map(|(token, _)| token).collect();
    assert_eq!(top, [Token(2), Token(3), Token(0)]);
}

#[test]
fn large_logits_do_not_overflow() {
    let sure = logprobs(&[-3000.0, 4000.0, 3990.0], Token(1), 2);
    assert!(sure.chosen <= 0.0 && sure.chosen > -1e-4, "{sure:?}");
    assert!((sure.top[1].1 + 10.0).abs() < 1e-3, "{sure:?}");
}
