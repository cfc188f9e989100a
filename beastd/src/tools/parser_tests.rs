use proptest::prelude::*;

use super::*;

/// Parses an answer and shows its parts on one line, which must not depend on how it is cut into pieces.
fn apart(format: Option<Format>, thinks: bool, is_thinking: bool, pieces: &[&str]) -> String {
    let thoughts = if thinks { Thoughts::detect("<think>") } else { None };
    taken_apart(AnswerParser::new(format, thoughts, is_thinking), pieces)
}

fn taken_apart(mut parser: AnswerParser, pieces: &[&str]) -> String {
    let mut deltas: Vec<Delta> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
    deltas.extend(parser.finish());
    let mut out = String::new();
    let mut last = "";
    for delta in deltas {
        let (kind, text) = match delta {
            Delta::Text(text) => ("text", text),
            Delta::Reasoning(text) => ("thought", text),
            Delta::Call { index, name, id } => {
                assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{id}");
                last = "";
                ("call", format!("{index} {name}"))
            }
            Delta::Arguments { text, .. } => ("arguments", text),
        };
        if kind != last {
            out += &format!("|{kind}:");
        }
        out += &text;
        last = kind;
    }
    out
}

const ANSWERS: [(Option<Format>, bool, bool, &str, &str); 12] = [
    (
        Some(Format::Lfm2),
        false,
        false,
        "Sure.\n<|tool_call_start|>[get_weather(city='Orl\\'é\\n', n=3, f=.5, deep={'a': [True, None, (1, 2)], 2: \"x\"}), g()]<|tool_call_end|>\n",
        "|text:Sure.|call:0 get_weather|arguments:{\"city\": \"Orl'é\\n\", \"n\": 3, \"f\": 0.5, \"deep\": {\"a\": [true, null, [1, 2]], \"2\": \"x\"}}|call:1 g|arguments:{}",
    ),
    (
        Some(Format::Lfm2),
        false,
        false,
        "<|tool_call_start|>[f(**{'a b': False, 'c': {}})]<|tool_call_end|>",
        "|call:0 f|arguments:{\"a b\": false, \"c\": {}}",
    ),
    (
        Some(Format::Hermes),
        true,
        false,
        "<think>\nHm </thin\n</think>\n\nLet me.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}\\\"{\", \"b\": [1, {}]}}\n</tool_call>\n<tool_call>\n{\"arguments\": {\"x\": 1}, \"name\": \"g\"}\n</tool_call>",
        "|thought:Hm </thin|text:Let me.|call:0 f|arguments:{\"a\": \"}\\\"{\", \"b\": [1, {}]}|call:1 g|arguments:{\"x\": 1}",
    ),
    (Some(Format::Hermes), true, true, "\nthinks\n</think>\n\nsays \n", "|thought:thinks|text:says \n"),
    (None, true, false, "a < b <tool_call> c\n\n  d <", "|text:a < b <tool_call> c\n\n  d <"),
    (Some(Format::Hermes), false, false, " \n plain <tool ", "|text: \n plain <tool "),
    (
        Some(Format::Llama3),
        false,
        false,
        "\n{\"name\": \"f\", \"parameters\": {\"a\": 1}}",
        "|call:0 f|arguments:{\"a\": 1}",
    ),
    (
        Some(Format::Llama3),
        false,
        false,
        "<|python_tag|>{\"name\" : \"f\" , \"parameters\" : {\"a\": 1} }",
        "|call:0 f|arguments:{\"a\": 1}",
    ),
    (Some(Format::Llama3), false, false, "<|pyth {", "|text:<|pyth {"),
    (
        Some(Format::Mistral),
        false,
        false,
        "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": \"]\"}, \"id\": \"abcdefghi\"}, {\"name\": \"g\", \"arguments\": {}}]",
        "|call:0 f|arguments:{\"a\": \"]\"}|call:1 g|arguments:{}",
    ),
    (
        Some(Format::MistralArgs),
        false,
        false,
        "ok[TOOL_CALLS]f[ARGS]{\"a\": {}}[TOOL_CALLS]g[ARGS]{}",
        "|text:ok|call:0 f|arguments:{\"a\": {}}|call:1 g|arguments:{}",
    ),
    (
        Some(Format::Hermes),
        false,
        false,
        "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"cut",
        "|call:0 f|arguments:{\"a\": \"cut",
    ),
];

#[test]
fn each_format_is_taken_apart() {
    for (format, thinks, is_thinking, answer, expected) in ANSWERS {
        assert_eq!(apart(format, thinks, is_thinking, &[answer]), expected);
    }
}

#[test]
fn ids_are_new_and_those_of_mistral_are_short() {
    let id = |format| match AnswerParser::new(Some(format), None, false).push("[TOOL_CALLS][{\"name\": \"f\"}]").pop() {
        Some(Delta::Call { id, .. }) => id,
        deltas => panic!("{deltas:?}"),
    };
    assert_eq!(id(Format::Mistral).len(), 9);
    assert_ne!(id(Format::Mistral), id(Format::Mistral));
}

proptest! {
    #[test]
    fn however_an_answer_is_cut_the_deltas_add_up_to_the_same(n in 0..ANSWERS.len(), mut cuts in prop::collection::vec(0..300usize, 0..20)) {
        let (format, thinks, is_thinking, answer, expected) = ANSWERS[n];
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut begin = 0;
        for cut in cuts {
            let cut = answer.floor_char_boundary(cut.min(answer.len()));
            pieces.push(&answer[begin..cut.max(begin)]);
            begin = cut.max(begin);
        }
        pieces.push(&answer[begin..]);
        prop_assert_eq!(apart(format, thinks, is_thinking, &pieces), expected);
    }
}
