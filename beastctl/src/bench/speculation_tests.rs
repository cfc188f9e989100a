use beast_protocol::Usage;
use expect_test::expect;

use super::*;
use crate::{
    bench::daemon::tests::answered,
    output::tables::{Layout, table_text},
};

fn status(drafters: &[&str], draft_model: Option<&str>, reason: Option<&str>) -> SpeculationStatus {
    SpeculationStatus {
        drafters: drafters.iter().map(ToString::to_string).collect(),
        draft_model: draft_model.map(Into::into),
        reason: reason.map(Into::into),
        ..SpeculationStatus::default()
    }
}

#[test]
fn what_is_not_there_is_not_measured() {
    let reason = Some("draft = \"none\"");
    for (way, status, expected) in [
        (Speculation::Off, status(&[], None, reason), None),
        (Speculation::Lookup, status(&["lookup"], None, reason), None),
        (Speculation::Lookup, status(&[], None, None), Some("prompt lookup is off")),
        (Speculation::Draft, status(&["lookup"], None, reason), Some("no draft model: draft = \"none\"")),
        (Speculation::Draft, status(&[], None, Some("")), Some("no draft model")),
        (Speculation::Draft, status(&["lookup", "draft"], Some("cub-draft"), None), None),
    ] {
        assert_eq!(absence(way, &status).as_deref(), expected, "{way:?}");
    }
}

#[test]
fn short_answers_together_are_one_sample() {
    let mut tally = Tally::default();
    let guessed = |n_drafted, n_accepted, answered: Answered| Answered {
        usage: Usage { n_drafted, n_accepted, ..answered.usage },
        ..answered
    };
    tally.push(&[guessed(8, 6, answered(50, 21, [9, 9, 1000])), guessed(2, 1, answered(50, 11, [9, 9, 500]))]);
    assert_eq!((tally.speeds.all(), tally.n_drafted, tally.n_accepted), (&[20.0][..], 10, 7));
    tally.push(&[answered(50, 1, [9, 9, 0])]);
    assert_eq!(tally.speeds.all().len(), 1, "an answer of one token has no speed");
}

#[test]
fn the_ways_stand_beside_each_other() {
    let tally = |ms, n_drafted, n_accepted| {
        let mut tally = Tally { n_drafted, n_accepted, ..Tally::default() };
        tally.push(&[answered(50, 41, [9, 9, ms])]);
        tally
    };
    let group_of = |task, status| group(task, [tally(2000, 0, 0), tally(800, 40, 30), tally(2500, 0, 0)], status);
    let there = status(&["lookup", "draft"], Some("cub-draft"), None);
    let missing = status(&["lookup"], None, Some("the model has none"));
    let groups = vec![group_of(&TASKS[0], &there), group_of(&TASKS[1], &missing)];
    let table = Table { groups, ..Table::new(PLAN.name, PLAN.title) };
    expect![[r#"

        speculation: speculative decoding, measured in turn
          an answer that copies the prompt, tokens/s
            off     20.0  x1.00  ████████████▊
            lookup  50.0  x2.50  ████████████████████████████████  30 of 40 accepted (75 %)
            draft   16.0  x0.80  ██████████▎                       no drafts
          an answer that does not, tokens/s
            off     20.0  x1.00  ████████████▊
            lookup  50.0  x2.50  ████████████████████████████████  30 of 40 accepted (75 %)
            draft   no draft model: the model has none
    "#]]
    .assert_eq(&table_text(&table, Layout { width: 90, is_utf8: true }));
    let failed = row("off", Speculation::Off, Tally::default(), &there);
    assert!(failed.failure.is_some());
}
