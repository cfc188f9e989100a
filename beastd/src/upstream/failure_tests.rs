use expect_test::expect;
use serde_json::json;

use super::*;

#[test]
fn each_fault_has_its_code_and_a_next_step() {
    let refused = |status, words: &str| Fault::Refused { status, words: words.into(), retry_after: None };
    let faults = [
        Fault::Unreachable("connection refused".into()),
        refused(400, "unknown parameter top_k"),
        refused(400, "maximum context length is 4096"),
        refused(401, "invalid key sk-1234\nplease log in"),
        refused(404, "no such model"),
        refused(429, "too many requests; try: a paid plan"),
        refused(500, ""),
        Fault::Redirect("https://evil.example.com/?key=sk-1234".into()),
        Fault::NotAStream("text/html: <h1>Hello</h1>".into()),
        Fault::NotJson("EOF at line 1".into()),
        Fault::NotUtf8,
        Fault::TooLong,
        Fault::Reported("out of memory".into()),
        Fault::Died("connection reset".into()),
        Fault::Cut,
        Fault::Silent(Duration::from_secs(120)),
    ];
    let lines: String = faults
        .iter()
        .map(|fault| {
            let error = fault.told("team", "http://a/v1", Some("sk-1234"));
            assert!(!error.message.contains("sk-1234") && !error.message.contains('\n'));
            assert_eq!(error.message.matches("; try: ").count(), 1, "{}", error.message);
            format!("{:?} {}\n", error.code, error.message)
        })
        .collect();
    expect![[r#"
        ModelUnavailable upstream team (http://a/v1) cannot be reached: connection refused; try: start that server, or change url in [upstream.team]
        Invalid upstream team (http://a/v1) refused (400): unknown parameter top_k; try: leave out what the server does not know
        TooLong upstream team (http://a/v1) refused (400): maximum context length is 4096; try: shorten the input, or pass --truncate
        ModelUnavailable upstream team (http://a/v1) refused (401): invalid key (key) please log in; try: check the variable that api_key_env in [upstream.team] names
        ModelUnavailable upstream team (http://a/v1) refused (404): no such model; try: check url and model in [upstream.team]
        Overloaded upstream team (http://a/v1) refused (429): too many requests, try a paid plan; try: repeat the command later
        Engine upstream team (http://a/v1) refused (500): no reason given; try: see the log of that server
        ModelUnavailable upstream team (http://a/v1) redirects to https://evil.example.com/?key=(key), which is not followed; try: change url in [upstream.team], if that address is right
        Engine upstream team (http://a/v1) did not send a stream of events: text/html: <h1>Hello</h1>; try: check url in [upstream.team]; it usually ends with /v1
        Engine upstream team (http://a/v1) sent invalid JSON: EOF at line 1; try: see the log of that server
        Engine upstream team (http://a/v1) sent invalid UTF-8; try: see the log of that server
        Engine upstream team (http://a/v1) sent an event without an end; try: see the log of that server
        Engine upstream team (http://a/v1) failed: out of memory; try: see the log of that server
        Engine upstream team (http://a/v1) closed the connection before the end: connection reset; try: see the log of that server
        Engine upstream team (http://a/v1) ended the answer without a finish_reason, so it is incomplete; try: see the log of that server
        Engine upstream team (http://a/v1) sent nothing for 2m; try: raise timeout in [upstream.team], or see the log of that server
    "#]].assert_eq(&lines);
}

#[test]
fn words_are_found_and_bounded() {
    for error in [
        json!({"error": {"message": "why"}}),
        json!({"error": "why"}),
        json!({"message": "why", "code": 3}),
        json!({"detail": "why"}),
        json!("why"),
    ] {
        assert_eq!(words_of(&error).as_deref(), Some("why"), "{error}");
    }
    assert_eq!(words_of(&json!({"detail": [1]})), None);
    assert_eq!(harmless(&"x".repeat(1000), None).chars().count(), MAX_WORDS + 1);
    assert_eq!(harmless("a\u{1b}[31m\nb", None), "a [31m b");
}
