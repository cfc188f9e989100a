use super::*;

#[test]
fn a_server_says_in_two_ways_when_to_come_back() {
    let now = humantime::parse_rfc3339("1994-11-06T08:49:00Z").unwrap();
    let after = |text| retry_after(text, now);
    assert_eq!(after("7"), Some(Duration::from_secs(7)));
    assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(37)));
    assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(after("soon"), None);
}

#[test]
fn a_part_says_where_it_begins() {
    assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
    assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
    assert_eq!(content_range("bytes */10"), None);
    assert_eq!(content_range("5-9/10"), None);
}

#[test]
fn only_a_strong_name_of_a_state_is_one() {
    let head = |headers: &[(&str, &str)]| Head {
        headers: headers.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        ..Head::default()
    };
    assert_eq!(validator(&head(&[("etag", "\"1\""), ("last-modified", "x")])).as_deref(), Some("\"1\""));
    assert_eq!(validator(&head(&[("etag", "W/\"1\""), ("last-modified", "x")])).as_deref(), Some("x"));
    assert_eq!(validator(&head(&[("etag", "W/\"1\"")])), None);
}
