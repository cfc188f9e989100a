use std::fs;

use expect_test::expect;

use super::*;

/// Title, subtitle and argument of each row.
fn rows(query: &str, text: &str, folder: Option<&Path>) -> String {
    let items = items(query, text, folder);
    let row = |item: &Value| {
        let field = |name: &str| item[name].as_str().unwrap().to_owned();
        let mark = if item["valid"] == true { '*' } else { '-' };
        format!("{mark} {} | {} | {:?}\n", field("title"), field("subtitle"), field("arg"))
    };
    items["items"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_name_is_a_prompt_and_other_words_are_a_question() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Some(dir.path());
    for name in ["xy", "axy", "xyz"] {
        fs::write(dir.path().join(format!("{name}.md")), format!("---\ndescription: {name}!\n---\nText")).unwrap();
    }
    expect![[r#"
        * xy | xy!: the clipboard | ""
        * xyz | xyz!: the clipboard | ""
        * axy | axy!: the clipboard | ""
        * ask: xy | Answer a question | "xy"
    "#]]
    .assert_eq(&rows("xy", "", folder));
    expect![[r#"
        * axy | axy!: my text here | "my text here"
        * ask: axy my text here | Answer a question | "axy my text here"
    "#]]
    .assert_eq(&rows(" axy  my text here ", "", folder).replace("axy  my", "axy my"));
    assert_eq!(rows("why is it so?", "", None), "* ask: why is it so? | Answer a question | \"why is it so?\"\n");
    assert_eq!(rows("ask why?", "", None), "* ask: why? | Answer a question | \"why?\"\n");
    assert_eq!(rows("ask", "", None), "- ask … | Answer a question | \"\"\n");
}

#[test]
fn a_selection_is_the_text_of_all() {
    let text = "one\ntwo ".repeat(20);
    let rows = rows("tldr", &text, None);
    assert!(rows.starts_with("* tldr | ") && rows.contains(": one two one two"), "{rows}");
    let question = items("what is it?", &text, None);
    let row = &question["items"][0];
    assert_eq!((&row["arg"], &row["variables"]["beast_question"]), (&json!(text), &json!("what is it?")));
    assert!(row["subtitle"].as_str().unwrap().chars().count() <= MAX_SHOWN + 20);
}

#[test]
fn prompts_of_the_users_own_are_there_and_broken_ones_say_so() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pirate.md"), "Say it like a pirate.").unwrap();
    fs::write(dir.path().join("pirate2.md"), "").unwrap();
    let rows = rows("pirate", "", Some(dir.path())).replace(&dir.path().display().to_string(), "DIR");
    expect![[r#"
        * pirate | Your own prompt: the clipboard | ""
        - pirate2 | DIR/pirate2.md:1: the prompt has no text | ""
        * ask: pirate | Answer a question | "pirate"
    "#]]
    .assert_eq(&rows);
}
