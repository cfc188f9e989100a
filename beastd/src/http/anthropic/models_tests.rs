use super::*;

#[test]
fn a_page_holds_the_models() {
    let card = ModelCard { id: "cub".into(), model: None, created: 1_700_000_000, state: "loaded" };
    let model = json!({ "type": "model", "id": "cub", "display_name": "cub", "created_at": "2023-11-14T22:13:20Z" });
    let expected = json!({ "data": [model], "has_more": false, "first_id": "cub", "last_id": "cub" });
    assert_eq!(page(&[card]), expected);
}
