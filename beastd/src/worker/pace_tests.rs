use super::Pace;

#[test]
fn a_chunk_is_given_up_while_more_than_a_regular_one_is_left_of_it() {
    let mut pace = Pace::new(128);
    assert_eq!(pace.until_us(5000, 128), None, "it is a regular one");
    assert_eq!(pace.until_us(5000, 256), Some(u64::MAX), "nobody knows what a token takes");
    pace.learn(256, 2560);
    assert_eq!(pace.until_us(5000, 256), Some(5000 + 1280));
}
