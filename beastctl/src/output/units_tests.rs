use super::*;

#[test]
fn sizes_are_readable() {
    let sizes = [0, 999, 1_500, 24_000_000, 2_569_000_000].map(bytes);
    assert_eq!(sizes, ["0 B", "999 B", "1.5 kB", "24.0 MB", "2.6 GB"]);
    assert_eq!(parameters(2_569_000_000), "2.6 B");
}

#[test]
fn times_are_readable() {
    assert_eq!([0, 900, 61_500].map(span), ["0s", "900ms", "1m 1s"]);
}

#[test]
fn there_is_no_part_of_nothing() {
    assert_eq!((percent(0, 0), percent(1, 4)), (None, Some(25.0)));
}

#[test]
fn one_of_a_kind_has_no_plural() {
    assert_eq!([0, 1, 2].map(|n| count(n, "token")), ["0 tokens", "1 token", "2 tokens"]);
}

#[test]
fn long_numbers_are_grouped() {
    for (n, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (38_211, "38,211"), (1_234_567, "1,234,567")] {
        assert_eq!(grouped(n), expected);
    }
}

#[test]
fn limits_are_round() {
    assert_eq!(above((32 << 20) + 1, 32 << 20), "more than 32 MiB");
    assert_eq!(above(42 << 20, 32 << 20), "42.0 MiB");
    assert_eq!(
        ["32 MiB", "256 KiB", "1 GiB", "1.5 kB", "0 B"].map(str::to_owned),
        [32 << 20, 256 << 10, 1 << 30, 1500, 0].map(binary)
    );
}
