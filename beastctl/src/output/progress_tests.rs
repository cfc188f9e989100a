use super::*;

const SHOW: &str = "\r\x1b[K";

fn check(is_enabled: bool, script: impl FnOnce(&mut Progress<Vec<u8>>, Instant), expected: &[&str]) {
    let start = Instant::now();
    let mut progress = Progress::new(Vec::new(), is_enabled, start);
    script(&mut progress, start);
    let expected: String = expected.iter().flat_map(|text| [SHOW, text]).collect();
    assert_eq!(String::from_utf8(progress.err).unwrap(), expected);
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn what_is_over_quickly_is_never_shown() {
    check(
        true,
        |progress, start| {
            progress.set("loading".into(), start);
            assert_eq!(progress.due(), Some(start + PACE));
            progress.tick(start + ms(149));
            progress.erase();
            assert_eq!(progress.due(), None);
            progress.tick(start + ms(500));
        },
        &[],
    );
}

#[test]
fn the_line_changes_at_its_own_pace_and_shows_the_newest() {
    check(
        true,
        |progress, start| {
            progress.set("10 %".into(), start + ms(200));
            progress.set("20 %".into(), start + ms(210));
            progress.set("30 %".into(), start + ms(220));
            assert_eq!(progress.due(), Some(start + ms(350)));
            progress.tick(start + ms(350));
            progress.erase();
            progress.erase();
        },
        &["10 %", "30 %", ""],
    );
}

#[test]
fn nobody_looks_nothing_shows() {
    check(
        false,
        |progress, start| {
            progress.set("loading".into(), start + ms(1000));
            assert_eq!(progress.due(), None);
            progress.erase();
        },
        &[],
    );
}

#[test]
fn a_line_never_wraps() {
    let start = Instant::now();
    let mut progress = Progress::new(Vec::new(), true, start);
    progress.set("ü".repeat(5000), start + ms(1000));
    assert!(String::from_utf8(progress.err).unwrap().chars().count() < 5000);
}

fn spinning(start: Instant) -> Progress<Vec<u8>> {
    Progress { frames: ASCII_FRAMES, ..Progress::new(Vec::new(), true, start) }
}

#[test]
fn a_spinner_moves_without_news_ten_times_a_second_at_most() {
    let start = Instant::now();
    let mut progress = spinning(start);
    assert_eq!(progress.due(), None);
    progress.set("wait".into(), start);
    assert_eq!(progress.due(), Some(start + PACE));
    for at in [150, 151, 200, 249, 250, 300] {
        progress.tick(start + ms(at));
    }
    progress.set("go".into(), start + ms(320));
    progress.tick(start + ms(350));
    assert_eq!(progress.due(), Some(start + ms(450)));
    progress.erase();
    assert_eq!(progress.due(), None);
    progress.tick(start + ms(1000));
    let expected: String = ["| wait", "/ wait", "- go", ""].iter().flat_map(|text| [SHOW, text]).collect();
    assert_eq!(String::from_utf8(progress.err).unwrap(), expected);
}

#[test]
fn all_frames_are_as_wide_as_each_other() {
    for frames in [FRAMES, ASCII_FRAMES] {
        assert!(frames.iter().all(|frame| cut(frame, 0).is_empty() && cut(frame, 1) == *frame));
    }
}
