use super::*;

fn lark(text: &str) -> String {
    let token = |text: &str| (text == "<think>").then_some(9);
    to_lark(&read(text).expect("a grammar"), token).expect("known tokens")
}

#[test]
fn a_grammar_without_circles_becomes_one_lexeme() {
    for (text, expected) in [
        ("root ::= \"a\" | b\nb ::= [^0-9-]+", "start: R0\nR0: /[a]/ | R1\nR1: (/[^0-9\\u{2D}]/){1,}\n"),
        ("root ::= \"é/\"?", "start: R0\nR0: (/[\\u{E9}]/ /[\\u{2F}]/){0,1}\n"),
        ("# unused rules are left out\nroot ::= .\nx ::= x", "start: R0\nR0: /(?s:.)/\n"),
    ] {
        assert_eq!(lark(text), expected, "{text}");
    }
}

#[test]
fn in_a_grammar_with_circles_a_lexeme_is_one_character() {
    let text = lark("root ::= \"[\" (root (\",\" root)*)? \"]\" | \"[]\"");
    assert_eq!(
        text,
        "start: r0\nr0: (C0 (r0 (C1 r0){0,}){0,1} C2) | (C0 C2)\nC0: /[\\u{5B}]/\nC1: /[\\u{2C}]/\nC2: /[\\u{5D}]/\n"
    );
}

#[test]
fn tokens_are_named_by_their_numbers() {
    assert_eq!(lark("root ::= <think> !<[7]>* \"a\""), "start: r0\nr0: <[9]> (<[^7]>){0,} C0\nC0: /[a]/\n");
    let error = to_lark(&read("root ::= <thought>").expect("a grammar"), |_| None);
    assert_eq!(error, Err("unknown token `<thought>`".into()));
}

#[test]
fn a_deep_chain_of_rules_is_no_lexeme() {
    let chain: String = (0..2000).map(|n| format!("r{n} ::= \"a\" r{}\n", n + 1)).collect();
    let text = lark(&format!("root ::= r0\n{chain}r2000 ::= \"b\""));
    assert!(text.starts_with("start: r0\n"), "{}", &text[..40]);
}

#[test]
fn mistakes_have_their_lines() {
    let deep = format!("root ::= {}", "(".repeat(100));
    for (text, expected) in [
        ("", "there is no `root` rule"),
        ("start ::= \"a\"", "there is no `root` rule"),
        ("start ::= root", "there is no `root` rule"),
        ("this is none", "line 1: `this` is not followed by `::=`"),
        ("root ::= \"a\"\n  | item", "line 2: undefined rule `item`"),
        ("root ::= \"a\n\"", "line 1: unterminated string: `\"` is missing"),
        ("\n\nroot ::= [a-z", "line 3: unterminated character class: `]` is missing"),
        ("root ::= [z-a]", "line 1: the range 'z' to 'a' is empty"),
        ("root ::= []", "line 1: an empty character class matches nothing"),
        ("root ::= (\"a\"\nb ::= \"c\"", "line 1: `(` without `)`"),
        ("root ::= (\"a\"", "line 1: `(` without `)`"),
        ("root ::= \"a\")", "line 1: `)` without `(`"),
        ("root ::= \"a\"{x}", "line 1: invalid repetition `{x}`; expected {3} or {1,3}"),
        ("root ::= \"a\"{5,2}", "line 1: invalid repetition `{5,2}`; expected {3} or {1,3}"),
        ("root ::= \"a\"{999999999}", "line 1: `{999999999}` repeats more than 100000 times"),
        ("root ::= \"a\"{2", "line 1: unterminated repetition: `}` is missing"),
        ("root ::= * \"a\"", "line 1: nothing to repeat before `*`"),
        ("root ::= \"a\"***", "line 1: `*` follows two other repetitions"),
        ("root ::= <think", "line 1: unterminated token: `>` is missing"),
        ("root ::= <[x]>", "line 1: invalid token `<[x]>`"),
        ("root ::= 'a'", "line 1: `'` is unexpected here; literals go in double quotes"),
        ("root ::= \"\\q\"", "line 1: unknown escape `\\q`"),
        ("root ::= \"\\uD800\"", "line 1: invalid escape `\\uD800`"),
        (&deep, "line 1: groups are nested deeper than 64"),
    ] {
        assert_eq!(read(text), Err(expected.into()), "{text}");
    }
}
