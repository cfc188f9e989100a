use super::*;

fn wanted_of(body: &Value) -> Result<Vec<String>, String> {
    let body = body.as_object().expect("a body is an object");
    let mut ids: Vec<_> = wanted(body).map_err(|refusal| refusal.message)?.into_iter().map(str::to_owned).collect();
    ids.sort();
    Ok(ids)
}

#[test]
fn a_lookup_names_what_it_asks_for() {
    assert_eq!(wanted_of(&json!({ "conversation_ids": ["b", "a"] })), Ok(vec!["a".into(), "b".into()]));
    assert_eq!(wanted_of(&json!({ "conversation_ids": [] })), Ok(vec![]));
    for ids in [json!(null), json!("a"), json!(1), json!({}), json!(["a", 1]), json!([["a"]]), json!([null])] {
        let message = wanted_of(&json!({ "conversation_ids": ids })).expect_err("it is no list of names");
        assert_eq!(message, "invalid conversation_ids: expected an array of strings");
    }
    assert!(wanted_of(&json!({})).is_err());
}

#[test]
fn a_name_stands_for_the_streams_of_all_its_models() {
    let ids = HashSet::from(["a/b", "c::d", ""]);
    for (id, expected) in
        [("a/b", true), ("a/b::m", true), ("a/bc", false), ("c::d::e", true), ("c", false), ("::x", false)]
    {
        assert_eq!(is_wanted(&ids, id), expected, "{id}");
    }
}
