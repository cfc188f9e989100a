use super::*;

#[test]
fn speed_and_time_left_are_those_of_this_run() {
    let start = Instant::now();
    let mut transfer = Transfer::new("pulling", "m.gguf");
    let first = transfer.text(100_000_000, Some(200_000_000), start);
    assert!(first.contains("50 %, 100.0 MB of 200.0 MB") && !first.contains("/s"), "{first}");
    let later = transfer.text(120_000_000, Some(200_000_000), start + Duration::from_secs(2));
    assert!(later.ends_with("60 %, 120.0 MB of 200.0 MB, 10.0 MB/s, 8s left"), "{later}");
    let end = transfer.text(200_000_000, Some(200_000_000), start + Duration::from_secs(10));
    assert!(end.ends_with("100 %, 200.0 MB of 200.0 MB, 10.0 MB/s"), "{end}");
}

#[test]
fn an_unknown_size_and_a_new_beginning_are_no_trouble() {
    let start = Instant::now();
    let mut transfer = Transfer::new("pulling", "m.gguf");
    assert_eq!(transfer.text(5_000, None, start), "pulling m.gguf: 5.0 kB");
    assert_eq!(transfer.text(0, None, start + Duration::from_secs(2)), "pulling m.gguf: 0 B");
    let text = transfer.text(4_000, None, start + Duration::from_secs(4));
    assert_eq!(text, "pulling m.gguf: 4.0 kB, 2.0 kB/s");
    assert!(transfer.text(0, Some(0), start).contains("0 B"));
}
