use beast_protocol::{Part, Round, Span};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn progress(n_done: u32, n_total: u32) -> Event {
    Event::Progress { n_done, n_total }
}

#[test]
fn a_length_that_nobody_reads_in_time_is_known_before_anything_is_sent() {
    assert!(is_too_long(2 << 20, 10 * SECOND));
    assert!(!is_too_long(1 << 20, 10 * SECOND));
    assert!(!is_too_long(4 << 20, 60 * SECOND));
    assert!(!is_too_long(1 << 20, Duration::MAX));
}

#[test]
fn a_prompt_is_given_up_when_its_speed_is_far_too_low() {
    let begun = Instant::now();
    let end = begun + 10 * SECOND;
    let mut pace = Pace::default();
    pace.hear(&progress(1000, 3000), begun);
    assert!(!pace.is_hopeless(begun + SECOND, end), "nothing is known of its speed");
    pace.hear(&progress(1500, 3000), begun + SECOND);
    assert!(!pace.is_hopeless(begun + SECOND, end), "three seconds are needed, and nine are left");
    let mut pace = Pace::default();
    pace.hear(&progress(0, 3000), begun);
    pace.hear(&progress(100, 3000), begun + SECOND);
    assert!(pace.is_hopeless(begun + SECOND, end), "29 seconds are needed");
}

#[test]
fn parts_are_given_up_by_how_many_have_ended() {
    let begun = Instant::now();
    let end = begun + 10 * SECOND;
    let part = |n_parts| {
        let span = Span { start: 0, end: 9 };
        let text = String::new();
        Event::Part(Part {
            round: 1,
            index: 3,
            n_done: 1,
            n_parts,
            span,
            n_tokens: 9,
            n_overlap: 0,
            is_cut: false,
            text,
        })
    };
    let after = |n_parts: u32| {
        let mut pace = Pace::default();
        pace.hear(&Event::Round(Round { round: 1, n_parts, n_tokens: 9 }), begun);
        assert!(!pace.is_hopeless(begun + SECOND, end));
        pace.hear(&part(n_parts), begun + SECOND);
        pace.is_hopeless(begun + SECOND, end)
    };
    assert!(!after(40), "four or eight at once would need nine seconds, or five");
    assert!(after(100));
}

#[test]
fn what_is_read_has_no_pace_any_more() {
    let begun = Instant::now();
    let mut pace = Pace::default();
    pace.hear(&progress(0, 3000), begun);
    pace.hear(&progress(1, 3000), begun + SECOND);
    assert!(pace.is_hopeless(begun + SECOND, begun + 2 * SECOND));
    pace.hear(&Event::Started { model: "cub".into(), n_prompt: 9, n_ctx: 9, notices: Vec::new() }, begun + SECOND);
    assert!(!pace.is_hopeless(begun + SECOND, begun + 2 * SECOND));
}
