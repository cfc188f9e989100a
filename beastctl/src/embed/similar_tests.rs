use super::*;

#[test]
fn the_product_is_that_of_all_numbers() {
    for n in [0, 1, 15, 16, 17, 100] {
        let numbers: Vec<f32> = (0..n).map(|n| n as f32 / 8.0 - 3.0).collect();
        let expected: f32 = numbers.iter().map(|number| number * number).sum();
        assert!((dot(&numbers, &numbers) - expected).abs() <= expected * 1e-6, "{n}");
    }
}
