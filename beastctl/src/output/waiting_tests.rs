use beast_protocol::{LoadStage, Span};
use expect_test::expect;

use super::*;

fn part(round: u32, n_done: u32, n_parts: u32, text: &str) -> Event {
    let (index, n_tokens, n_overlap, is_cut, span) = (0, 100, 0, false, Span::default());
    Event::Part(Part { round, index, n_done, n_parts, span, n_tokens, n_overlap, is_cut, text: text.into() })
}

#[test]
fn each_event_has_its_words() {
    let start = Instant::now();
    let mut waiting = Waiting::default();
    assert_eq!(waiting.text(start), None);
    let mut lines = String::new();
    let mut take = |seconds: u64, event: Option<Event>| {
        let now = start + Duration::from_secs(seconds);
        event.iter().for_each(|event| waiting.take(event, now));
        lines += &format!("{}\n", waiting.text(now).unwrap());
    };
    take(0, Some(Event::Loading { stage: LoadStage::Weights, fraction: 0.25 }));
    take(0, Some(Event::Queued { position: 0 }));
    take(0, Some(Event::Queued { position: 2 }));
    take(0, Some(Event::Progress { n_done: 2, n_total: 5 }));
    take(10, Some(Event::Round(Round { round: 1, n_parts: 12, n_tokens: 38_211 })));
    take(12, None);
    take(20, Some(part(1, 1, 12, "First\n\x1b[31mline")));
    take(22, Some(Event::Progress { n_done: 2, n_total: 5 }));
    take(70, Some(part(1, 6, 12, "")));
    take(80, Some(part(1, 12, 12, "Last.")));
    take(80, Some(Event::Round(Round { round: 2, n_parts: 3, n_tokens: 900 })));
    take(83, Some(part(2, 1, 3, "Both")));
    take(84, Some(part(2, 3, 3, "All")));
    take(85, Some(Event::Progress { n_done: 5, n_total: 5 }));
    expect![[r#"
        loading: weights 25 %
        in the queue
        in the queue, 2 ahead
        reading the prompt: 40 %
        part 1/12
        part 1/12, 2s
        part 2/12, 10s, about 1m 50s left  First  [31mline
        part 2/12, 12s, about 2m 12s left  First  [31mline
        part 7/12, 1m, about 1m left
        part 12/12, 1m 10s  Last.
        merging 1/3 (round 2)
        merging 2/3 (round 2), 3s, about 6s left  Both
        merging 3/3 (round 2), 4s  All
        reading the prompt: 100 %
    "#]]
    .assert_eq(&lines);
}
