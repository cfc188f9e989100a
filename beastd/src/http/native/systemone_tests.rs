use expect_test::expect;

use super::*;

fn parsed(body: Value) -> Result<(Decide, Vec<Named>), Refusal> {
    read(&Fields::new(body.as_object().expect("an object")))
}

fn questions() -> Value {
    json!({
        "route": {
            "type": "choice",
            "instructions": "Which team?",
            "criteria": { "billing": "payments", "shipping": null },
        },
        "urgency": { "type": "score", "instructions": ["How", "urgent?"], "criteria": ["can wait", "today", "now"] },
        "angry": { "type": "noul", "instructions": "Angry?", "criteria": { "true": "shouts" } },
    })
}

#[test]
fn all_three_kinds_become_questions() {
    let (decide, _) =
        parsed(json!({ "state": { "ticket": "late", "n": [1, 2] }, "questions": questions() })).expect("valid");
    assert_eq!(decide.state, r#"{"ticket": "late", "n": [1, 2]}"#);
    let texts: Vec<String> = decide
        .questions
        .iter()
        .map(|Question { text, kind, options }| {
            let options: Vec<_> =
                options.iter().map(|option| format!("{}={}", option.name, option.description)).collect();
            format!("{} {text} {}\n", kind.as_str(), options.join(","))
        })
        .collect();
    expect![[r#"
        choice Which team? billing=payments,shipping=
        score ["How", "urgent?"] 0=can wait,1=today,2=now
        yes_no Angry? yes=shouts,no=
    "#]]
    .assert_eq(&texts.concat());
}

#[test]
fn the_answer_has_the_shapes_of_llama_server() {
    let (_, named) = parsed(json!({ "state": "late", "questions": questions() })).expect("valid");
    let decided = Decided {
        model: "cub".into(),
        probabilities: vec![vec![0.75, 0.25], vec![0.25, 0.25, 0.5], vec![0.625, 0.375]],
        temperatures: vec![1.0; 3],
        usage: beast_protocol::Usage { n_prompt: 239, ..Default::default() },
        timings: beast_protocol::Timings::default(),
        notices: Vec::new(),
    };
    expect![[r#"{"model":"cub","answers":{"route":{"type":"choice","choice":"billing","probabilities":{"billing":0.75,"shipping":0.25},"confidence":0.5},"urgency":{"type":"score","score":1.25,"legend":{"0":"can wait","1":"today","2":"now"},"probabilities":{"0":0.25,"1":0.25,"2":0.5},"confidence":0.0},"angry":{"type":"noul","noul":0.625}},"usage":{"input_tokens":239,"output_tokens":0}}"#]]
        .assert_eq(&body_of(&decided, &named).to_string());
}

#[test]
fn what_makes_no_sense_is_refused_with_the_field() {
    let one = |question: Value| json!({ "state": "x", "questions": { "q": question } });
    let wrong = [
        (json!({ "questions": questions() }), "state"),
        (json!({ "state": "x" }), "questions"),
        (json!({ "state": "x", "questions": {} }), "questions"),
        (json!({ "state": "x", "questions": { "q": 1 } }), "questions.q"),
        (one(json!({ "type": "unknown", "instructions": "x" })), "questions.q.type"),
        (one(json!({ "instructions": "x" })), "questions.q.type"),
        (one(json!({ "type": "noul" })), "questions.q.instructions"),
        (one(json!({ "type": "noul", "instructions": "x", "criteria": [] })), "questions.q.criteria"),
        (one(json!({ "type": "choice", "instructions": "x" })), "questions.q.criteria"),
        (one(json!({ "type": "choice", "instructions": "x", "criteria": {} })), "questions.q.criteria"),
        (one(json!({ "type": "score", "instructions": "x", "criteria": ["one"] })), "questions.q.criteria"),
        (one(json!({ "type": "score", "instructions": "x", "criteria": vec!["x"; 11] })), "questions.q.criteria"),
        (json!({ "state": "x", "questions": questions(), "images": ["https://example.com/a.png"] }), "images"),
        (json!({ "state": "x", "questions": questions(), "images": vec!["data:image/png;base64,AA"; 9] }), "images"),
    ];
    for (body, field) in wrong {
        let refusal = parsed(body.clone()).err().unwrap_or_else(|| panic!("{body} is taken"));
        assert_eq!((refusal.status, refusal.param.as_deref()), (StatusCode::BAD_REQUEST, Some(field)), "{body}");
    }
}

#[test]
fn images_are_known_and_not_supported() {
    let image = "data:image/png;base64,AA";
    let part = json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": image } }] }]);
    for body in [
        json!({ "state": "x", "questions": questions(), "images": [image] }),
        json!({ "state": part, "questions": questions() }),
        json!({ "state": { "messages": part }, "questions": questions() }),
    ] {
        assert_eq!(parsed(body).err().map(|refusal| refusal.status), Some(StatusCode::NOT_IMPLEMENTED));
    }
    assert!(parsed(json!({ "state": "x", "questions": questions(), "images": [] })).is_ok());
}

#[test]
fn confidence_is_0_for_even_odds_and_1_for_certainty() {
    assert_eq!(confidence_of_choice(&[0.25; 4]), 0.0);
    assert_eq!(confidence_of_choice(&[0.0, 1.0]), 1.0);
    assert_eq!(confidence_of_choice(&[1.0]), 1.0);
    assert_eq!(confidence_of_score(&[0.0, 1.0, 0.0]), 1.0);
    assert!(confidence_of_score(&[0.0, 0.2, 0.8]) > confidence_of_score(&[0.2, 0.0, 0.8]), "far is worse than near");
}
