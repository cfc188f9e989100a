use super::*;

#[test]
fn lines_and_words_are_those_of_the_file() {
    let node = parse("a: 1.50\nb:\n  - {c: yes, d: ~}\n  - |\n    text\n    more\n", 1).unwrap();
    let Value::Map(entries) = &node.value else { panic!("{node:?}") };
    assert_eq!((entries[0].0.line, entries[1].0.line), (2, 3));
    assert_eq!((entries[0].1.line, entries[0].1.source.as_str()), (2, "1.50"));
    let Value::List(items) = &entries[1].1.value else { panic!("{node:?}") };
    assert_eq!(items[0].value.to_json(), r#"{"c":"yes","d":null}"#);
    assert_eq!(items[1].value, Value::Text("text\nmore\n".into()));
    assert_eq!(
        items[1].line + items[1].source.find("more").map_or(0, |n| items[1].source[..n].matches('\n').count()),
        7
    );
}

/// A file of a few lines must not become gigabytes.
#[test]
fn aliases_do_not_explode() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        text += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "));
    }
    assert!(parse(&text, 0).is_err());
    assert!(parse(&"[".repeat(100_000), 0).is_err(), "nor may the stack overflow");
}
