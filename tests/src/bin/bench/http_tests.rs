use serde_json::json;

use super::*;

#[test]
fn events_are_found_among_what_else_is_sent() {
    assert_eq!(event("HTTP/1.1 200 OK").unwrap(), Line::Other);
    assert_eq!(event("1f3").unwrap(), Line::Other);
    assert_eq!(event("data: {\"a\":1}").unwrap(), Line::Event(json!({ "a": 1 })));
    assert_eq!(event("data: [DONE]").unwrap(), Line::End);
}

#[test]
fn refusals_are_errors() {
    for (line, part) in [("data: {\"error\":{\"message\":\"too long\"}}", "too long"), ("data: {", "no JSON")] {
        let error = format!("{:#}", event(line).unwrap_err());
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn the_code_of_an_answer_is_found() {
    assert_eq!(status("HTTP/1.1 503 Service Unavailable\r\n\r\n"), Some(503));
    assert_eq!(status("SSH-2.0"), None);
}
