use super::*;

/// Whether `rest`, after `text`, makes a number too long.
fn is_too_long(text: &str, rest: &str) -> bool {
    let mut digits = Digits::default();
    digits.take(text.as_bytes());
    digits.exceed_with(rest.as_bytes())
}

#[test]
fn each_part_of_a_number_has_its_bound() {
    let most = "1".repeat(20);
    for text in [&*most, &format!("-{most}"), &format!("{most}."), &format!("[{most}, "), &format!("{most}.{most}")] {
        assert!(!is_too_long("", text), "{text}");
    }
    assert!(is_too_long(&most, "1"));
    assert!(!is_too_long(&most, ", 1"));
    assert!(is_too_long(&most, &format!(", {most}1")), "the next number within the same token");
    assert!(is_too_long(&format!("{most}."), &format!("{most}0")));
    assert!(!is_too_long("1e", "+308"));
    assert!(is_too_long("1e-", "1000"));
    assert!(!is_too_long("[true, ", &most), "no exponent");
}

#[test]
fn texts_hold_any_digits() {
    let many = "1".repeat(50);
    for text in ["{\"a\": \"", "\"\\\"", "\"\\\\\\\""] {
        assert!(!is_too_long(text, &many), "{text}");
    }
    assert!(is_too_long("{\"a\": \"1\\\\\", \"b\": ", &many));
    assert!(is_too_long("{\"11\": ", &many));
}

#[test]
fn calls_are_bounded_and_prose_is_not() {
    let many = "1".repeat(50);
    let is_bounded = |text: &str| {
        let mut digits = Digits::of_calls();
        digits.take(text.as_bytes());
        digits.exceed_with(many.as_bytes())
    };
    for text in ["", "0.", "A 5\" disk holds ", "{\"name", "[ARG", "<|tool_call_"] {
        assert!(!is_bounded(text), "{text}");
    }
    for head in ["<tool_call>\n{\"name\": ", "A 5\" disk. [TOOL_CALLS][{\"name\": "] {
        assert!(is_bounded(&format!("{head}\"f\", \"arguments\": {{\"n\": 0.")), "{head}");
        assert!(!is_bounded(&format!("{head}\"f\", \"arguments\": {{\"n\": \"")), "{head}");
        assert!(is_bounded(&format!("{head}\"f\", \"arguments\": {{\"n\": \"it's\", \"m\": ")), "{head}");
    }
    assert!(is_bounded("f[ARGS]{\"n\": -0."));
    assert!(is_bounded("<|tool_call_start|>[f(a='say \"', n=0."));
    assert!(!is_bounded("<|tool_call_start|>[f(a='"));
}
