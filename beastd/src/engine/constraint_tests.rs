use std::fmt::Write as _;
use std::time::Instant;

use beast_tests::dice::Dice;
use llama_cpp_2::token::data::LlamaTokenData;

use super::super::llama::tests::{engine, model, row};
use super::super::{Engine, LlamaEngine};
use super::*;
use crate::batch::{Batch, KvEdit, SamplingParams, SeqId, SlotId, Token};

fn ids(model: &LoadedModel, text: &str) -> Vec<LlamaToken> {
    model.model.vocab().tokenize(text.as_bytes(), false, true)
}

fn lark(model: &LoadedModel, text: &str) -> Constraint {
    model.constraints.read(model, Kind::Lark, text).expect("a valid grammar")
}

/// Accepts a text's tokens up to the first that is not allowed: how many of how many, and whether the answer may end
/// there.
fn follow(model: &LoadedModel, mut constraint: Constraint, text: &str) -> (usize, usize, bool) {
    let tokens = ids(model, text);
    let is_taken = |token: &&LlamaToken| {
        let is_allowed = constraint.allows(**token);
        if is_allowed {
            constraint.accept(**token);
        }
        is_allowed
    };
    let n = tokens.iter().take_while(is_taken).count();
    (n, tokens.len(), constraint.allows(model.model.vocab().eos()))
}

#[track_caller]
fn check_whole(model: &LoadedModel, grammar: &str, text: &str, may_end: bool) {
    let (n, n_all, ends) = follow(model, lark(model, grammar), text);
    assert_eq!((n, ends), (n_all, may_end), "{text:?}");
}

#[track_caller]
fn check_refused(model: &LoadedModel, grammar: &str, text: &str) {
    let (n, n_all, _) = follow(model, lark(model, grammar), text);
    assert!(n < n_all, "{text:?} is allowed");
}

/// cub has no tokens for tool calls; any control token will do.
const CALL: &str = r#"
start: TEXT | TEXT? call TEXT?
TEXT: /(.|\n)+/
call: <|fim_pre|> "[" (%json {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}) "]" <|fim_suf|>
"#;

#[test]
fn control_tokens_are_terminals_and_no_text() {
    let model = model();
    check_whole(&model, CALL, "Any text at all: é, \"quotes\" and [brackets].\n", true);
    check_whole(&model, CALL, "<|fim_pre|>[{\"a\": 1}]<|fim_suf|>", true);
    check_whole(&model, CALL, "First text. <|fim_pre|>[{\"a\": 12}]<|fim_suf|> And then.", true);
    check_whole(&model, CALL, "<|fim_pre|>[{\"a\": 12}]", false);
    check_refused(&model, CALL, "<|fim_mid|>");
    check_refused(&model, CALL, "text <|im_start|>");
    check_refused(&model, CALL, "<|fim_pre|>[{\"b\": 1}]");
    check_refused(&model, CALL, "<|fim_pre|>[{\"a\":1}]<|fim_suf|>");
}

#[test]
fn json_in_a_grammar_is_written_like_a_schemas() {
    let model = model();
    let schema = r#"{"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}}, "required": ["a", "b"]}"#;
    let in_grammar = format!("start: %json {schema}");
    check_whole(&model, &in_grammar, "{\"a\": 1, \"b\": true}", true);
    for text in ["{\"a\":1", "{\"a\": 1,\"b\"", "{ \"a\"", "{\n"] {
        check_refused(&model, &in_grammar, text);
        let alone = model.constraints.read(&model, Kind::Schema, schema).expect("a valid schema");
        let (n, n_all, _) = follow(&model, alone, text);
        assert!(n < n_all, "{text:?} is allowed by the schema");
    }
}

#[test]
fn what_is_wrong_with_a_grammar_is_told() {
    let model = model();
    for (text, part) in [
        ("start: <|tool_call_start|>", "unknown special token"),
        ("start: missing", "missing"),
        ("start: \"open", "lexer error"),
        ("start: %json 7", ""),
        ("start: %json {\"type\": \"nonsense\"}", ""),
        ("", ""),
        (&"x".repeat(MAX_LEN + 1), "the limit is"),
    ] {
        let error = model.constraints.read(&model, Kind::Lark, text).expect_err(&text[..text.len().min(40)]);
        assert!(error.contains(part) && !error.is_empty() && !error.contains('\n'), "{error:?}");
    }
}

/// In every state, checking one token agrees with the mask of all tokens.
#[test]
fn one_token_is_allowed_exactly_when_the_mask_allows_it() {
    let model = model();
    let vocab: Vec<LlamaToken> = model.model.vocab().tokens().collect();
    let object = model.constraints.read(&model, Kind::Schema, r#"{"type":"object"}"#).expect("a valid schema");
    let texts = ["So: <|fim_pre|>[{\"a\": 1}]<|fim_suf|> x", "{\"key\": [1, \"two\", {}], \"é\": null}"];
    for (mut constraint, text) in [lark(&model, CALL), object].into_iter().zip(texts) {
        for token in ids(&model, text).into_iter().chain([model.model.vocab().eos()]) {
            let all = vocab.iter().map(|&token| LlamaTokenData::new(token, 0.0, 0.0));
            let mut candidates = LlamaTokenDataArray::from_iter(all, false);
            assert_eq!(constraint.mask(&mut candidates), Ok(()));
            let mut is_allowed = vec![false; vocab.len()];
            candidates.data.iter().for_each(|data| is_allowed[data.id().0 as usize] = true);
            let differing = |other: &&LlamaToken| constraint.allows(**other) != is_allowed[other.0 as usize];
            let differing: Vec<_> = vocab.iter().filter(differing).collect();
            assert!(differing.is_empty(), "before {token} of {text:?}: {differing:?}");
            constraint.accept(token);
        }
        let end = model.model.vocab().eos();
        let allowed: Vec<_> = vocab.iter().filter(|token| constraint.allows(**token)).collect();
        assert!(allowed.contains(&&end) && allowed.iter().all(|token| model.model.vocab().is_eog(**token)));
    }
}

/// The part of a text that a schema allows, and whether the answer may end there.
fn taken(model: &LoadedModel, schema: &str, text: &str) -> (String, bool) {
    let tokens = ids(model, text);
    let constraint = model.constraints.read(model, Kind::Schema, schema).expect("a valid schema");
    let (n, _, ends) = follow(model, constraint, text);
    let mut bytes = Vec::new();
    tokens[..n].iter().for_each(|&token| model.model.vocab().token_to_piece_into(token, &mut bytes, true, None));
    (String::from_utf8(bytes).expect("whole characters"), ends)
}

#[test]
fn a_number_does_not_go_on_for_ever() {
    let model = model();
    let many = "7".repeat(60);
    for kind in ["integer", "number"] {
        let (text, ends) = taken(&model, &format!(r#"{{"type":"{kind}"}}"#), &many);
        assert!((15..=20).contains(&text.len()) && ends, "{kind}: {text}");
    }
    let (text, ends) = taken(&model, r#"{"type":"number"}"#, &format!("0.{many}"));
    assert!((15..=22).contains(&text.len()) && ends, "{text}");
    let (text, ends) = taken(&model, r#"{"type":"number"}"#, "1e12345");
    assert!(text.len() <= 5 && ends, "{text}");
    let array = r#"{"type":"array","items":{"type":"integer"}}"#;
    assert_eq!(taken(&model, array, "[12345678901234567890, 12345678901234567890]").0.len(), 44);
}

#[test]
fn a_number_in_a_call_does_not_go_on_for_ever() {
    let model = model();
    let schema = r#"{"type": "object", "properties": {"x": {"type": "number", "minimum": 0}}, "required": ["x"]}"#;
    let head = r#"{"name": "f", "arguments": "#;
    let grammar = format!("start: {} (%json {schema})", serde_json::Value::from(head));
    check_whole(&model, &grammar, &format!("{head}{{\"x\": 0.{}}}", "7".repeat(20)), true);
    check_refused(&model, &grammar, &format!("{head}{{\"x\": 0.{}", "7".repeat(60)));
}

#[test]
fn digits_that_must_come_do_come() {
    let model = model();
    let many = "7".repeat(60);
    assert_eq!(taken(&model, &format!(r#"{{"type":"string","const":"{many}"}}"#), &format!("\"{many}\"")).0.len(), 62);
    assert_eq!(taken(&model, r#"{"type":"string"}"#, &format!("\"{many}\"")).0.len(), 62);
    // A number may be longer while it is not a multiple of 10.
    let tens = model.constraints.read(&model, Kind::Schema, r#"{"type":"integer","multipleOf":10}"#);
    let mut constraint = tens.expect("a valid schema");
    ids(&model, &many[..20]).into_iter().for_each(|token| constraint.accept(token));
    assert!(!constraint.allows(model.model.vocab().eos()));
    let zero = ids(&model, "0")[0];
    assert!(constraint.allows(zero));
    constraint.accept(zero);
    assert!(constraint.allows(model.model.vocab().eos()) && !constraint.allows(zero));
}

#[test]
fn one_token_of_a_long_number_is_allowed_exactly_when_the_mask_allows_it() {
    let model = model();
    let vocab: Vec<LlamaToken> = model.model.vocab().tokens().collect();
    let mut constraint = model.constraints.read(&model, Kind::Schema, r#"{"type":"number"}"#).expect("a valid schema");
    for token in ids(&model, "12345678901234567890") {
        constraint.accept(token);
        let all = vocab.iter().map(|&token| LlamaTokenData::new(token, 0.0, 0.0));
        let mut candidates = LlamaTokenDataArray::from_iter(all, false);
        assert_eq!(constraint.mask(&mut candidates), Ok(()));
        let allowed: Vec<_> = candidates.data.iter().map(|data| data.id()).collect();
        let singly: Vec<_> = vocab.iter().copied().filter(|token| constraint.allows(*token)).collect();
        assert_eq!(allowed, singly);
    }
}

/// The model's answer under a constraint; `None` if it has not ended after `n_max` tokens.
fn said(
    engine: &mut LlamaEngine<'_>,
    model: &LoadedModel,
    constraint: Constraint,
    sampling: &SamplingParams,
    n_max: usize,
) -> Option<String> {
    let (seq, slot) = (SeqId(0), SlotId(0));
    engine.edit(&[KvEdit::Clear(slot)]).expect("emptied");
    engine.arm(seq, sampling, None);
    engine.constrain(seq, constraint);
    let prompt = "<|im_start|>user\nWhat is a daemon?<|im_end|>\n<|im_start|>assistant\n";
    let mut known: Vec<Token> = ids(model, prompt).into_iter().map(|token| Token(token.0)).collect();
    let mut n_done = 0;
    let n_prompt = known.len();
    let mut bytes = Vec::new();
    while known.len() < n_prompt + n_max {
        let rows = vec![row(0, n_done, &known[n_done..], true)];
        n_done = known.len();
        let Token(token) = engine.step(&Batch { edits: vec![], rows }).expect("room").remove(0).tokens[0];
        if model.model.vocab().is_eog(LlamaToken(token)) {
            return Some(String::from_utf8(bytes).expect("whole characters"));
        }
        model.model.vocab().token_to_piece_into(LlamaToken(token), &mut bytes, true, None);
        known.push(Token(token));
    }
    None
}

#[test]
fn any_object_comes_to_an_end() {
    let model = model();
    let mut engine = engine(&model);
    let mut n_ended = 0;
    for seed in 0..6 {
        let object = model.constraints.read(&model, Kind::Schema, r#"{"type":"object"}"#).expect("a valid schema");
        let temp = [0.0, 0.5, 1.0][seed as usize % 3];
        let sampling = SamplingParams { temp, seed, ..SamplingParams::GREEDY };
        let Some(text) = said(&mut engine, &model, object, &sampling, 400) else { continue };
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|value| value.is_object()), "{text}");
        n_ended += 1;
    }
    assert!(n_ended >= 3, "{n_ended} of 6 ended");
}

#[test]
fn text_around_a_call_ends_where_the_model_ends_it() {
    let model = model();
    let mut engine = engine(&model);
    let free = said(&mut engine, &model, lark(&model, "start: /(.|\\n)*/"), &SamplingParams::GREEDY, 200);
    let call = said(&mut engine, &model, lark(&model, CALL), &SamplingParams::GREEDY, 200);
    assert!(free.as_ref().is_some_and(|text| !text.is_empty()), "{free:?}");
    assert_eq!(free, call, "it makes no call by itself");
    let required = CALL.replace("TEXT | TEXT? call TEXT?", "call");
    let required = said(&mut engine, &model, lark(&model, &required), &SamplingParams::GREEDY, 200).expect("it ends");
    assert!(required.starts_with("<|fim_pre|>[{\"a\": ") && required.ends_with("<|fim_suf|>"), "{required}");
}

/// Why tokens are checked one at a time. The limit is generous, because tests run in parallel.
#[test]
fn free_text_is_not_slowed_down_by_masks() {
    let model = model();
    let mut text = String::new();
    (0..200).for_each(|n| write!(text, "line {n} of some text; ").expect("a string"));
    let began = Instant::now();
    let (n, n_all, _) = follow(&model, lark(&model, CALL), &text);
    let each = began.elapsed() / u32::try_from(n_all).expect("few");
    assert_eq!(n, n_all);
    assert!(each.as_micros() < 1000, "{each:?} for each of {n_all} tokens, the reading of the grammar included");
}

/// The whole vocabulary, as candidates.
fn all_tokens(model: &LoadedModel) -> LlamaTokenDataArray {
    let all = model.model.vocab().tokens().map(|token| LlamaTokenData::new(token, 0.0, 0.0));
    LlamaTokenDataArray::from_iter(all, false)
}

/// Each of these has blocked a daemon, or used up its memory, when llama.cpp evaluated it.
#[test]
fn what_would_cost_too_much_is_refused_or_bounded_at_each_step() {
    let model = model();
    let optional = |part: &str, n: usize| format!("root ::= {}", format!("{part}? ").repeat(n));
    let nested = format!("root ::= {}\"a\"{}", "(".repeat(60), ")* \"a\"?".repeat(60));
    for text in [
        optional("[a-z]", 250),
        optional("\"a\"", 3000),
        "root ::= (\"a\"{0,1000}){0,1000}".to_owned(),
        "root ::= r r r r r r r r\nr ::= [a-z]? r? [a-z]? r? [a-z]?".to_owned(),
        "root ::= root root | \"a\" | \"\"".to_owned(),
        "root ::= ([a-z]* [a-z]* [a-z]* [a-z]* root?)*".to_owned(),
        nested,
    ] {
        let shown = &text[..text.len().min(60)];
        let Ok(mut constraint) = model.constraints.read(&model, Kind::Gbnf, &text) else { continue };
        for token in ids(&model, &"ab".repeat(40)) {
            let began = Instant::now();
            let outcome = constraint.mask(&mut all_tokens(&model));
            assert!(began.elapsed().as_secs() < 5, "{shown}: {:?}", began.elapsed());
            if outcome.is_err() || !constraint.allows(token) {
                break;
            }
            constraint.accept(token);
        }
    }
}

#[test]
fn a_dead_end_and_what_llguidance_gives_up_say_why() {
    let model = model();
    let mut constraint = model.constraints.read(&model, Kind::Gbnf, "root ::= \"yes\" <[999999]> \"no\"");
    match &mut constraint {
        Err(error) => assert!(!error.is_empty()),
        Ok(constraint) => {
            for token in ids(&model, "yes") {
                assert!(constraint.allows(token));
                constraint.accept(token);
            }
            assert_eq!(constraint.mask(&mut all_tokens(&model)), Err("no token can follow".into()));
        }
    }
    let objects: Vec<_> = (0..5000).map(|n| serde_json::json!({ "key": n, "name": format!("object {n}") })).collect();
    let text = serde_json::json!({ "enum": objects }).to_string();
    if let Ok(mut constraint) = model.constraints.read(&model, Kind::Schema, &text) {
        assert_eq!(constraint.mask(&mut all_tokens(&model)), Ok(()));
    }
}

#[test]
fn what_is_too_large_to_be_read_says_so_in_plain_words() {
    let model = model();
    let text = format!("root ::= {}", "\"a\"? ".repeat(3000));
    assert_eq!(
        model.constraints.read(&model, Kind::Gbnf, &text).map(drop),
        Err("it has too many optional parts in a row".into())
    );
}

#[test]
fn what_was_read_before_begins_anew() {
    let model = model();
    let read = || model.constraints.read(&model, Kind::Gbnf, "root ::= \"ab\"").expect("a grammar");
    let token = ids(&model, "a")[0];
    let mut first = read();
    assert!(first.allows(token));
    first.accept(token);
    assert!(read().allows(token) && !first.allows(token));
}

/// Compiles a constraint and, if it is valid, follows it for a few tokens.
fn try_constraint(model: &LoadedModel, kind: Kind, bytes: &[u8]) {
    let Ok(mut constraint) = model.constraints.read(model, kind, &String::from_utf8_lossy(bytes)) else { return };
    let mut dice = Dice::new(bytes.len() as u64);
    for _ in 0..8 {
        let mut candidates = all_tokens(model);
        if constraint.mask(&mut candidates).is_err() {
            return;
        }
        let token = dice.one_of(&candidates.data).id();
        constraint.accept(token);
    }
}

#[test]
fn any_grammar_is_followed_or_refused() {
    let model = model();
    let corpus: [&[u8]; 4] = [
        b"root ::= \"yes\" | \"no\"",
        b"root ::= object\nvalue ::= object | array | string | number | (\"true\" | \"null\") ws\nobject ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" ws\narray ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\nstring ::= \"\\\"\" ([^\"\\\\] | \"\\\\\" [\"\\\\bfnrt])* \"\\\"\" ws\nnumber ::= \"-\"? [0-9]{1,15} ws\nws ::= | \" \" | \"\\n\" [ \\t]{0,20}",
        b"root ::= item+ .?\nitem ::= [a-z]* <[42]> !<[7]> \"\\x41\\u00fc\"\n",
        b"root ::= a{2,} (b | c)?\na ::= [^a-c] # one\nb ::= root \"b\"\nc ::= \"\"",
    ];
    let words = [
        "root ::= ",
        "root",
        "(",
        ")",
        "|",
        "*",
        "{0,100000}",
        "{3}",
        "[a-z]?",
        "\"a\"",
        ".",
        "\n",
        "<[1]>",
        "!<[1]>",
        "[^]",
        "::=",
    ];
    beast_tests::fuzz::fuzz("GBNF", &corpus, &words, |bytes| try_constraint(&model, Kind::Gbnf, bytes));
}

#[test]
fn any_schema_is_followed_or_refused() {
    let model = model();
    let corpus: [&[u8]; 4] = [
        br#"{"type":"object","properties":{"a":{"type":"integer","minimum":0},"b":{"type":"array","items":{"enum":["x",1,null]},"maxItems":3}},"required":["a"],"additionalProperties":false}"#,
        br##"{"$defs":{"node":{"type":"object","properties":{"next":{"$ref":"#/$defs/node"}}}},"$ref":"#/$defs/node"}"##,
        br#"{"anyOf":[{"type":"string","pattern":"^[a-z]{1,9}$","maxLength":4},{"type":"number","exclusiveMinimum":1.5,"multipleOf":0.5},{"const":[1]}]}"#,
        br#"{"type":["string","null"],"format":"date-time","allOf":[{"minLength":2},{"maxLength":30}],"oneOf":[true,{}]}"#,
    ];
    let words = [
        r##"{"$ref":"#"}"##,
        r#""items":"#,
        r#""pattern":"(a*)*b","#,
        r#""minLength":99999999,"#,
        r#""enum":["#,
        r#""required":["a"],"#,
        "[[[[",
        r#"{"type":"object"},"#,
        r#""patternProperties":{"^x":{}},"#,
        r#""uniqueItems":true,"#,
        "1e308",
        "-0",
    ];
    beast_tests::fuzz::fuzz("schemas", &corpus, &words, |bytes| try_constraint(&model, Kind::Schema, bytes));
}
