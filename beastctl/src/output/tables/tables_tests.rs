use expect_test::expect;
use serde_json::json;

use super::*;

/// A table that uses every feature.
pub(in crate::output::tables) fn sample() -> Table {
    let mut speed = Group::new("speed", "writing <an> answer & more", "tokens/s");
    speed.rows = vec![
        Row::new("off", Samples::from_iter([21.5, 21.9, 21.7])),
        Row { is_marked: true, ..Row::new("lookup", Samples::from_iter([60.0, 58.0, 61.25])) }
            .with("n_accepted", 60, "60 of 80 right (75 %)")
            .with("n_drafted", 80, ""),
        Row::absent("draft", "no draft model"),
        Row::failed("other", "beastd ended\nbefore the answer did"),
    ];
    let mut first = Group::new("first_token", "first token", "ms");
    first.rows.push(Row::new("a single one", Samples::from_iter([0.125])));
    let mut table = Table::new("speculation", "what guessing brings");
    table.facts = vec![Detail::new("n_batch", 1024, "batch 1024"), Detail::new("n_ctx", 4096, "context 4096")];
    table.groups = vec![speed.compared_to("off"), first];
    table.notes.push("nothing else ran".into());
    table
}

#[test]
fn rows_are_compared_by_their_medians() {
    let table = sample();
    let ratios: Vec<_> = table.groups[0].rows.iter().map(|row| row.ratio).collect();
    assert_eq!(ratios, [Some(1.0), Some(60.0 / 21.7), None, None]);
    let without_base = Group { rows: table.groups[0].rows.clone(), ..Group::default() }.compared_to("draft");
    assert!(without_base.rows.iter().all(|row| row.ratio.is_none()));
}

#[test]
fn what_is_not_there_is_no_failure() {
    let mut table = sample();
    assert!(!table.is_complete());
    table.groups[0].rows.pop();
    assert!(table.is_complete());
    assert!(!Table::failed("prefix", "", "no".into()).is_complete());
}

#[test]
fn programs_get_every_sample() {
    let object = table_object(&sample());
    assert_eq!(object["groups"][0]["rows"][1]["samples"], json!([60.0, 58.0, 61.25]));
    let text = serde_json::to_string_pretty(&object["groups"][0]["rows"]).unwrap();
    expect![[r#"
        [
          {
            "label": "off",
            "median": 21.7,
            "min": 21.5,
            "max": 21.9,
            "samples": [
              21.5,
              21.9,
              21.7
            ],
            "ratio": 1.0,
            "details": {},
            "is_chosen": false,
            "error": null,
            "absent": null
          },
          {
            "label": "lookup",
            "median": 60.0,
            "min": 58.0,
            "max": 61.25,
            "samples": [
              60.0,
              58.0,
              61.25
            ],
            "ratio": 2.7649769585253456,
            "details": {
              "n_accepted": 60,
              "n_drafted": 80
            },
            "is_chosen": true,
            "error": null,
            "absent": null
          },
          {
            "label": "draft",
            "median": null,
            "min": null,
            "max": null,
            "samples": [],
            "ratio": null,
            "details": {},
            "is_chosen": false,
            "error": null,
            "absent": "no draft model"
          },
          {
            "label": "other",
            "median": null,
            "min": null,
            "max": null,
            "samples": [],
            "ratio": null,
            "details": {},
            "is_chosen": false,
            "error": "beastd ended\nbefore the answer did",
            "absent": null
          }
        ]"#]]
    .assert_eq(&text);
    let mut object = object;
    object["groups"] = json!([]);
    expect![[r#"{"name":"speculation","title":"what guessing brings","facts":{"n_batch":1024,"n_ctx":4096},"groups":[],"notes":["nothing else ran"],"error":null}"#]].assert_eq(&object.to_string());
}
