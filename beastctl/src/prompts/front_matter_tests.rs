use expect_test::{Expect, expect};

use super::*;

fn read(text: &str) -> Prompt {
    parse("name", text, None).unwrap_or_else(|mistake| panic!("{mistake:?} in\n{text}"))
}

/// Each mistake as `LINE: problem [hint]`.
fn mistakes(texts: &[&str], expected: Expect) {
    let line = |text: &&str| match parse("name", text, None) {
        Err(Mistake { line, problem, hint }) => {
            let hint = hint.map(|hint| format!(" [{hint}]")).unwrap_or_default();
            format!("{line}: {problem}{hint}\n")
        }
        Ok(prompt) => panic!("{prompt:?} from\n{text}"),
    };
    expected.assert_eq(&texts.iter().map(line).collect::<String>());
}

#[test]
fn settings_are_optional() {
    assert_eq!(read("Do it.\n"), Prompt { name: "name".into(), system: "Do it.".into(), ..Prompt::default() });
    assert_eq!(read("---\n---\nDo it.").system, "Do it.");
    assert_eq!(read("---\n# nothing\n\n---\nDo it.").system, "Do it.");
    assert_eq!(read("\n---\nmax_tokens: 3\n---\nDo it.").max_tokens, Some(3));
}

#[test]
fn every_setting_is_read() {
    let prompt = read(
        "---\r\ndescription: 'a: b'\r\n# why\r\n\r\nmax_tokens: 20\r\nsampling: {temp: 0, top_p: 0.9, top_k: 40, min_p: 0.05, seed: 7}\r\n\
         variables:\r\n  to: English\r\n  n: 1.50\r\n  loud: true\r\n  who:\r\n  none: ''\r\nreduce: |\r\n  Merge {{to}}.\r\n\
         schema: {type: object, properties: {zebra: {type: string, enum: [a, 1, 2.5, true, null]}, ant: {}}}\r\n\
         ---\r\n\r\nDo\r\n---\r\nit {{to}} {{ n }} {{loud}} {{who}}{{none}}.\r\n",
    );
    expect![[r#"
        Prompt {
            name: "name",
            system: "Do\r\n---\r\nit {{to}} {{ n }} {{loud}} {{who}}{{none}}.",
            instruction: "",
            description: Some(
                "a: b",
            ),
            model: None,
            variables: [
                Variable {
                    name: "to",
                    default: Some(
                        "English",
                    ),
                },
                Variable {
                    name: "n",
                    default: Some(
                        "1.50",
                    ),
                },
                Variable {
                    name: "loud",
                    default: Some(
                        "true",
                    ),
                },
                Variable {
                    name: "who",
                    default: None,
                },
                Variable {
                    name: "none",
                    default: Some(
                        "",
                    ),
                },
            ],
            sampling: Sampling {
                temp: Some(
                    0.0,
                ),
                top_p: Some(
                    0.9,
                ),
                top_k: Some(
                    40,
                ),
                min_p: Some(
                    0.05,
                ),
                seed: Some(
                    7,
                ),
                repeat_penalty: None,
                repeat_last_n: None,
                frequency_penalty: None,
                presence_penalty: None,
                logit_bias: [],
                dry_multiplier: None,
                dry_base: None,
                dry_allowed_length: None,
                dry_penalty_last_n: None,
                xtc_probability: None,
                xtc_threshold: None,
            },
            max_tokens: Some(
                20,
            ),
            soft_limit: None,
            distinct: false,
            stop: [],
            one_line: false,
            think: None,
            schema: Some(
                "{\"type\":\"object\",\"properties\":{\"zebra\":{\"type\":\"string\",\"enum\":[\"a\",1,2.5,true,null]},\"ant\":{}}}",
            ),
            reduce: Some(
                "Merge {{to}}.",
            ),
        }
    "#]]
    .assert_debug_eq(&prompt);
}

#[test]
fn the_text_opens_the_user_turn_when_there_is_a_system_turn() {
    let prompt = read("---\nsystem: |\n  You are terse.\n---\nRate the text.\n");
    assert_eq!((prompt.system.as_str(), prompt.instruction.as_str()), ("You are terse.", "Rate the text."));
    let prompt = read("---\nsystem: You are terse.\n---\n");
    assert_eq!((prompt.system.as_str(), prompt.instruction.as_str()), ("You are terse.", ""));
}

#[test]
fn long_input_is_refused_reduced_or_merged() {
    assert_eq!(read("x").reduce, None);
    assert_eq!(read("---\nreduce: false\n---\nx").reduce, None);
    assert_eq!(read("---\nreduce: true\n---\nx").reduce.as_deref(), Some(""));
    assert_eq!(read("---\nreduce: Merge.\n---\nx").reduce.as_deref(), Some("Merge."));
}

#[test]
fn what_is_no_yaml_has_a_line() {
    mistakes(
        &[
            "---\ndescription: x\n",
            "---\nnonsense\n---\nx",
            "---\n- a\n- b\n---\nx",
            "---\ndescription: a: b\n---\nx",
            "---\n\ndescription: \"open\nmax_tokens: 3\n---\nx",
            "---\nmax_tokens: 3\nmax_tokens: 4\n---\nx",
            "---\nvariables:\n  a: 1\n b: 2\n---\nx",
            "---\nmax_tokens: *nobody\n---\nx",
            "---\n? [a, b]\n: x\n---\nx",
        ],
        expect![[r#"
            1: the settings that start here have no closing line `---` [add a line `---` between the settings and the text]
            2: the settings must be a map, lines of the form `key: value`, not text
            2: the settings must be a map, lines of the form `key: value`, not a list
            2: mapping values are not allowed in this context [quote text that contains `: `]
            3: unclosed quote
            3: duplicate mapping key `max_tokens` is not allowed here
            4: while parsing a block mapping, did not find expected key
            2: reference to unknown value
            2: expected string scalar
        "#]],
    );
}

#[test]
fn a_wrong_key_is_told_with_the_right_one() {
    mistakes(
        &[
            "---\n\ndescripton: x\n---\nx",
            "---\nauthor: x\n---\nx",
            "---\ntemp: 1\n---\nx",
            "---\nsampling:\n  temp: 1\n  topp: 1\n---\nx",
            "---\nsampling:\n  mirostat: 1\n---\nx",
        ],
        expect![[r#"
            3: unknown key `descripton`, did you mean `description`? [one of description, model, system, variables, sampling, max_tokens, soft_limit, distinct, stop, one_line, think, schema, reduce]
            2: unknown key `author` [one of description, model, system, variables, sampling, max_tokens, soft_limit, distinct, stop, one_line, think, schema, reduce]
            2: unknown key `temp` [put `temp` under `sampling:`, indented by two more spaces]
            4: unknown key `topp` of `sampling`, did you mean `top_p`? [one of temp, top_p, top_k, min_p, repeat_penalty, dry_multiplier, dry_base, dry_allowed_length, dry_penalty_last_n, xtc_probability, xtc_threshold, seed]
            3: unknown key `mirostat` of `sampling` [one of temp, top_p, top_k, min_p, repeat_penalty, dry_multiplier, dry_base, dry_allowed_length, dry_penalty_last_n, xtc_probability, xtc_threshold, seed]
        "#]],
    );
}

#[test]
fn a_wrong_value_is_told_with_what_it_must_be() {
    mistakes(
        &[
            "---\nmax_tokens: 0\n---\nx",
            "---\nmax_tokens: many\n---\nx",
            "---\nmax_tokens: 1.5\n---\nx",
            "---\nmax_tokens: '3'\n---\nx",
            "---\nsoft_limit: 3\n---\nx",
            "---\nmax_tokens: 3\nsoft_limit: 3\n---\nx",
            "---\nsoft_limit: output\n---\nx",
            "---\nmax_tokens:\n---\nx",
            "---\ndescription: 3\n---\nx",
            "---\ndescription: |\n  two\n  lines\n---\nx",
            "---\nsystem: [a]\n---\nx",
            "---\nvariables: [to]\n---\nx",
            "---\nvariables:\n  to: {a: b}\n---\nx",
            "---\nvariables:\n  to me: a\n---\nx",
            "---\nsampling: 3\n---\nx",
            "---\nsampling:\n  temp: -1\n---\nx",
            "---\nsampling:\n\n  top_p: 0\n---\nx",
            "---\nsampling:\n  top_k: -1\n---\nx",
            "---\nsampling:\n  min_p: 1.5\n---\nx",
            "---\nsampling:\n  seed: 4294967296\n---\nx",
            "---\nsampling:\n  temp: .inf\n---\nx",
            "---\nreduce: 3\n---\nx",
            "---\nreduce:\n---\nx",
            "---\nreduce: yes\n---\nx",
            "---\nreduce: maybe\n---\nx",
            "---\nschema: 3\n---\nx",
        ],
        expect![[r#"
            2: `max_tokens` is 0, but must be a whole number, from 1 to 4294967295
            2: `max_tokens` must be a number, not text
            2: `max_tokens` is 1.5, but must be a whole number, from 1 to 4294967295
            2: `max_tokens` must be a number, not text
            2: `soft_limit` needs `max_tokens`, and must be less than that
            3: `soft_limit` is 3, but must be less than `max_tokens`
            2: `soft_limit` must be a number or `input`, not text
            2: `max_tokens` must be a number, not nothing
            2: `description` must be text, not a number
            3: `description` must be one line
            2: `system` must be text, not a list
            2: `variables` must be a map, lines of the form `key: value`, not a list
            3: `to` must be text, a number, true or false, not a map
            3: invalid variable name `to me` [use ASCII letters, digits, `_` and `-`]
            2: `sampling` must be a map, lines of the form `key: value`, not a number
            3: `temp` is -1, but must be a number, 0 or more
            4: `top_p` is 0, but must be a number, above 0 and at most 1
            3: `top_k` is -1, but must be a whole number, from 0 to 4294967295
            3: `min_p` is 1.5, but must be a number, from 0 to 1
            3: `seed` is 4294967296, but must be a whole number, from 0 to 4294967295
            3: value `.inf` is not a finite number
            2: `reduce` must be true, false, or an instruction, not a number
            2: `reduce` must be true, false, or an instruction, not nothing
            2: `reduce` is `yes`, but must be true, false, or an instruction
            2: `reduce` is `maybe`, but must be true, false, or an instruction
            2: `schema` must be a map or the path of a JSON file, not a number
        "#]],
    );
}

#[test]
fn variables_and_texts_belong_together() {
    mistakes(
        &[
            "one\ntwo {{to}}\n",
            "---\nvariables:\n  language: x\n---\nLine 5 {{language}}\n\nand {{langage}}",
            "---\nvariables:\n  a: x\nsystem: |\n  {{a}}\n  two\n  three {{b}}\n---\nx",
            "---\nvariables:\n  a: x\nsystem: >-\n  folded {{a}}\n  and\n  {{b}}\n---\nx",
            "---\nreduce: Merge {{all}}\n---\nx",
            "---\nvariables:\n  used: x\n  idle: x\n---\n{{used}}",
            "text {{open\nand more",
            "{{}}",
        ],
        expect![[r#"
            2: unknown variable `{{to}}` [declare it under `variables:`; for literal braces, use a variable with the default "{{"]
            7: unknown variable `{{langage}}`, did you mean `language`? [declare it under `variables:`; for literal braces, use a variable with the default "{{"]
            7: unknown variable `{{b}}` [declare it under `variables:`; for literal braces, use a variable with the default "{{"]
            7: unknown variable `{{b}}` [declare it under `variables:`; for literal braces, use a variable with the default "{{"]
            2: unknown variable `{{all}}` [declare it under `variables:`; for literal braces, use a variable with the default "{{"]
            4: unused variable `idle` [{{idle}} in the text, or without the variable]
            1: `{{` without `}}` after it [write {{NAME}} for a variable]
            1: unknown variable `{{}}` [declare it under `variables:`; for literal braces, use a variable with the default "{{"]
        "#]],
    );
}

#[test]
fn settings_that_are_written_otherwise_are_told() {
    mistakes(
        &["+++\nmax_tokens = 3\n+++\nx", "max_tokens: 3\nx", "\n\n---\nmax_tokens: 0\n---\nx"],
        expect![[r#"
            1: TOML settings (`+++`) are not supported [use YAML between two lines `---`, like `max_tokens: 200`]
            1: `max_tokens` is a setting, but the file does not start with a line `---` [put the settings between two lines `---` at the start of the file; without settings, start it with two such lines]
            4: `max_tokens` is 0, but must be a whole number, from 1 to 4294967295
        "#]],
    );
}

#[test]
fn a_prompt_that_is_not_written_is_told() {
    mistakes(
        &[include_str!("../../prompts/template.txt"), "Replace this line with the instruction.\nWrite a haiku."],
        expect![[r#"
            49: the prompt has no instruction yet: replace this line
            1: the prompt has no instruction yet: replace this line
        "#]],
    );
}

#[test]
fn a_prompt_says_something() {
    mistakes(
        &["", " \n\n", "---\n---\n \n", "---\nsystem: ''\n---\n", "---\nmax_tokens: 3\n---"],
        expect![[r#"
            1: the prompt has no text [add an instruction as the text of the file]
            2: the prompt has no text [add an instruction as the text of the file]
            3: the prompt has no text [add an instruction as the text of the file]
            3: the prompt has no text [add an instruction as the text of the file]
            3: the prompt has no text [add an instruction as the text of the file]
        "#]],
    );
}

#[test]
fn a_schema_lies_beside_the_prompt() {
    let dir = tempfile::tempdir().unwrap();
    let written = "{ \"type\": \"object\",\n  \"properties\": {\"b\": {}, \"a\": {}} }\n";
    std::fs::write(dir.path().join("good.json"), written).unwrap();
    std::fs::write(dir.path().join("bad.json"), "{\n  \"type\": object\n}").unwrap();
    std::fs::write(dir.path().join("list.json"), "[1]").unwrap();
    std::fs::write(dir.path().join("latin.json"), b"{\n\"\xe9\"}").unwrap();
    std::fs::write(dir.path().join("long.json"), " ".repeat(300_000)).unwrap();
    std::fs::create_dir(dir.path().join("folder.json")).unwrap();
    let read = |file: &str| parse("name", &format!("---\nmax_tokens: 9\nschema: {file}\n---\nx"), Some(dir.path()));
    // As written: the order of its keys is the order of the answer.
    assert_eq!(read("good.json").unwrap().schema.as_deref(), Some(written));
    let absolute = dir.path().join("good.json");
    assert!(read(absolute.to_str().unwrap()).unwrap().schema.is_some());
    let message = |file: &str| {
        let Mistake { line, problem, .. } = read(file).unwrap_err();
        format!("{line}: {problem}\n").replace(&dir.path().display().to_string(), "DIR")
    };
    expect![[r#"
        3: schema DIR/none.json not found
        3: the schema DIR/bad.json:2:11: invalid JSON: expected value
        3: the schema DIR/list.json:1:1: a JSON schema must be an object or true
        3: the schema DIR/latin.json:2: invalid UTF-8 on this line
        3: the schema DIR/long.json:1: the file is larger than 256 KiB
        3: cannot read the schema DIR/folder.json: is a directory
    "#]]
    .assert_eq(&["none.json", "bad.json", "list.json", "latin.json", "long.json", "folder.json"].map(message).concat());
}

#[test]
fn any_text_is_a_prompt_or_a_mistake() {
    let corpus: [&[u8]; 4] = [
        b"---\ndescription: Poems\nmax_tokens: 9\ntemp: 0.3\nstop: [a, 'b']\nvars:\n  to: French\n---\nWrite about {{input}} in {{to}}.\n",
        b"---\nschema: none.json\n# comment\nsystem: >\n  Long\n  text\n---\nx",
        b"No settings at all {{input}}",
        b"\xef\xbb\xbf---\r\nmax_tokens: 1\r\n---\r\nx",
    ];
    let words = [
        "---\n",
        "{{input}}",
        "{{",
        "}}",
        "max_tokens: ",
        "temp: .inf",
        "&a [*a]",
        "!!binary ",
        "- ",
        "? ",
        "\u{2028}",
    ];
    beast_tests::fuzz::fuzz("front matter", &corpus, &words, |bytes| {
        drop(parse("name", &String::from_utf8_lossy(bytes), None));
    });
}
