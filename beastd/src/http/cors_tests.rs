use super::*;

/// The headers that a preflight for these names allows.
fn allowed(is_listed: bool, asked: &[&str]) -> Option<String> {
    let mut headers = HeaderMap::new();
    for value in asked {
        headers.append(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_str(value).expect("a value"));
    }
    let reply = preflight(is_listed, &headers);
    let names = reply.headers().get(ACCESS_CONTROL_ALLOW_HEADERS)?;
    Some(names.to_str().expect("it is text").to_owned())
}

#[test]
fn a_listed_page_may_send_the_headers_that_it_names() {
    let names = "anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key,x-stainless-os";
    assert_eq!(allowed(true, &[names]), Some(names.replace(',', ", ")));
    assert_eq!(allowed(true, &["X-Conversation-Id", "a ,, b"]), Some("X-Conversation-Id, a, b".into()));
    assert_eq!(allowed(false, &[names]), None);
    assert_eq!(allowed(true, &[]), None);
}

#[test]
fn what_is_no_list_of_names_is_not_repeated() {
    let many = vec!["x"; MAX_NAMES + 1].join(",");
    let long = "x".repeat(MAX_NAME + 1);
    for asked in ["a b", "a, b: c", "a;b", "\"a\"", "a/b", &many, &long] {
        assert_eq!(allowed(true, &[asked]), None, "{asked}");
    }
    assert!(allowed(true, &[&many[2..]]).is_some());
    assert!(allowed(true, &[&long[1..]]).is_some());
}
