use super::*;

fn found(text: &str) -> Option<String> {
    embedded_json(text).map(|(source, value)| {
        assert_eq!(serde_json::from_str::<Value>(&source).unwrap(), value);
        source
    })
}

#[test]
fn json_is_found_wherever_it_stands() {
    for (text, expected) in [
        ("{\"a\": 1}", "{\"a\": 1}"),
        (" [1, 2]\n", "[1, 2]"),
        ("Sure! Here you are:\n```json\n{\"a\": [1]}\n```\nAnything else?", "{\"a\": [1]}"),
        ("```\n[]\n```", "[]"),
        ("It is {\"a\": \"}\"}, I think.", "{\"a\": \"}\"}"),
        ("As [1] says, {braces} matter: {\"a\": {\"b\": [1, 2]}}.", "{\"a\": {\"b\": [1, 2]}}"),
        ("```python\nx = [\n```\nand {\"a\":1}", "{\"a\":1}"),
        ("```sh\nls\n```\nand {\"a\":1}", "{\"a\":1}"),
        ("{\"a\":1} then {", "{\"a\":1}"),
    ] {
        assert_eq!(found(text).unwrap_or_default(), expected, "{text}");
    }
}

#[test]
fn a_part_of_what_was_meant_is_none() {
    for text in ["", "none", "42", "\"text\"", "{\"a\": [1, 2], \"b\": ", "```json\n{\"a\": [1],\n", "[1, 2", "{a: 1}"]
    {
        assert_eq!(found(text), None, "{text}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(found(&deep), None);
}
