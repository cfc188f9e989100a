use super::*;

fn samples(all: &[f64]) -> Samples {
    all.iter().copied().collect()
}

#[test]
fn the_median_is_in_the_middle() {
    for (all, median) in [
        (&[][..], None),
        (&[3.0], Some(3.0)),
        (&[4.0, 1.0], Some(2.5)),
        (&[9.0, 1.0, 2.0], Some(2.0)),
        (&[8.0, 1.0, 2.0, 4.0], Some(3.0)),
    ] {
        assert_eq!(samples(all).median(), median, "{all:?}");
    }
}

#[test]
fn the_spread_is_from_smallest_to_largest() {
    assert_eq!(samples(&[]).spread(), None);
    assert_eq!(samples(&[5.0, -1.0, 7.0]).spread(), Some((-1.0, 7.0)));
}

#[test]
fn what_is_no_number_is_no_sample() {
    let mut all = samples(&[1.0, f64::NAN]);
    all.push(None);
    all.push(Some(2.0));
    all.push(f64::INFINITY);
    assert_eq!(all.all(), [1.0, 2.0]);
}
