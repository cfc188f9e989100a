use super::*;

#[test]
fn lines_and_words_are_those_of_the_file() {
    let text = "\na: 1.50\nb:\n  - {c: yes, d: ~}\n  - |\n    text\n    more\n";
    let node = parse(text).unwrap();
    let Value::Map(entries) = &node.value else { panic!("{node:?}") };
    assert_eq!((line(&entries[0].0), line(&entries[1].0)), (2, 3));
    assert_eq!((line(&entries[0].1), source(&entries[0].1, text)), (2, "1.50"));
    let Value::List(items) = &entries[1].1.value else { panic!("{node:?}") };
    assert_eq!(items[0].value.to_json().to_string(), r#"{"c":"yes","d":null}"#);
    assert_eq!(items[1].value, Value::Text("text\nmore\n".into()));
    let written = source(&items[1], text);
    assert_eq!(line(&items[1]) + written.find("more").map_or(0, |n| written[..n].matches('\n').count()), 7);
}

/// A file of a few lines must not expand to gigabytes.
#[test]
fn aliases_do_not_explode() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        text += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "));
    }
    assert!(parse(&text).is_err());
    assert!(parse(&"[".repeat(100_000)).is_err(), "nor may the stack overflow");
}
