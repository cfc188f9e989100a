use super::*;

fn check(text: &str, expected: &str) {
    let options = serde_json::to_string(&json_options()).expect("it is JSON");
    assert_eq!(
        with_json_options(text).expect("sound"),
        expected.replace("OPTIONS", &format!("\"x-guidance\":{options}"))
    );
}

#[test]
fn every_schema_gets_the_options() {
    check("start: %json {\"a\": 1}\nx: %json{} | \"b\"", "start: %json {\"a\":1,OPTIONS}\nx: %json {OPTIONS} | \"b\"");
    check("start: %json true", "start: %json {OPTIONS}");
    check("start: %lark {\n start: %json {}\n}", "start: %lark {\n start: %json {OPTIONS}\n}");
}

#[test]
fn what_only_looks_like_one_stays() {
    for text in [
        r#"start: "%json {}" "\"%json {}""#,
        r"start: /%json {}\/ %json {}/ /é/",
        "start: \"a\" // %json {}\n# %json {}\n",
        "start: %json {\"a\": ",
        "start: %json 7",
        "start: \"open %json {}",
        "",
    ] {
        check(text, text);
    }
}

#[test]
fn a_schema_with_options_of_its_own_keeps_them() {
    let text = "start: %json {\"x-guidance\":{\"lenient\":true}}";
    assert_eq!(with_json_options(text).as_deref(), Ok(text));
}
