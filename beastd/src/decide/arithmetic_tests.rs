use super::*;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn tokens_of_an_answer_add_up_and_answers_share_what_they_have() {
    // The first answer begins with tokens of 0.2 and 0.1, the second with one of 0.1; the rest of the vocabulary is
    // ignored.
    let scores = answers(&[vec![0.2f32.ln(), 0.1f32.ln()], vec![0.1f32.ln()]]);
    assert!(close(scores[0].exp(), 0.75) && close(scores[1].exp(), 0.25), "{scores:?}");
}

#[test]
fn what_cannot_be_said_leaves_numbers() {
    let scores = answers(&[vec![f32::NEG_INFINITY], vec![0.0]]);
    assert!(scores.iter().all(|score| score.is_finite()), "{scores:?}");
    let both = answers(&[vec![f32::NEG_INFINITY], vec![f32::NEG_INFINITY]]);
    assert!(close(both[0].exp(), 0.5), "{both:?}");
    assert!(close(average(&[scores, both])[0].exp().ln().signum(), -1.0));
}

#[test]
fn a_bias_for_a_place_falls_out_of_rotations() {
    // The model rates three answers, and has a bias for the position that an answer stands in.
    let (opinion, bias) = ([-0.5, -1.5, -2.5], [2.0, 0.3, -1.0]);
    let rotation = |shift: usize| {
        let scores: Vec<Vec<f32>> =
            (0..3).map(|answer| vec![(opinion[answer] + bias[(answer + shift) % 3]) as f32]).collect();
        answers(&scores)
    };
    let averaged = probabilities(&average(&[rotation(0), rotation(1), rotation(2)]), 1.0);
    let unbiased = probabilities(&opinion.map(f64::from), 1.0);
    for (a, b) in averaged.iter().zip(&unbiased) {
        assert!((a - b).abs() < 1e-6, "{averaged:?} {unbiased:?}");
    }
}

#[test]
fn probabilities_sum_to_1_and_a_temperature_keeps_their_order() {
    let scores = [-0.1, -3.0, -2.0];
    for temperature in [0.1, 1.0, 2.5, 20.0] {
        let probabilities = probabilities(&scores, temperature);
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(probabilities[0] > probabilities[2] && probabilities[2] > probabilities[1], "{probabilities:?}");
    }
    assert!(probabilities(&scores, 2.0)[0] < probabilities(&scores, 1.0)[0]);
}
