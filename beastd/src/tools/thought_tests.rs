use proptest::prelude::*;

use super::*;

#[test]
fn a_template_shows_whose_thoughts_it_writes() {
    for (source, open) in [
        ("{{ '<think>' }}", Some("<think>")),
        ("{{ content.split('</think>')[-1] }}", Some("<think>")),
        ("[THINK]{{ block.thinking }}[/THINK]", Some("[THINK]")),
        ("<|start|>assistant<|channel|>analysis<|message|>", Some("<|channel|>analysis<|message|>")),
        ("{{ '<|channel|>' + 'analysis' }}", Some("<|channel|>analysis<|message|>")),
        ("<|inner_prefix|>", Some("<|inner_prefix|>")),
        ("<seed:think>", Some("<seed:think>")),
        ("<|im_start|>assistant", None),
    ] {
        assert_eq!(Thoughts::detect(source).map(|thoughts| thoughts.open), open, "{source}");
    }
}

#[test]
fn a_prompt_may_end_within_thoughts() {
    let think = Thoughts::detect("<think>").expect("it thinks");
    for (prompt, is_open) in [
        ("<|im_start|>assistant\n<think>\n", true),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", false),
        ("<|im_start|>assistant\n", false),
        ("<think>a</think>b<think>", true),
    ] {
        assert_eq!(think.is_open(prompt), is_open, "{prompt}");
    }
}

#[test]
fn thoughts_can_be_skipped() {
    let skipped = |source: &str, prompt: &str| Thoughts::detect(source).expect("it thinks").skipped(prompt);
    assert_eq!(skipped("<think>", "assistant\n<think>\n"), "\n</think>\n\n");
    assert_eq!(skipped("<think>", "assistant\n<think>\n\n</think>\n\n"), "");
    assert_eq!(skipped("<think>", "assistant\n"), "");
    let channels = "<|channel|>analysis";
    assert_eq!(skipped(channels, "<|start|>assistant"), "<|channel|>final<|message|>");
    assert_eq!(skipped(channels, "<|start|>assistant<|channel|>final<|message|>"), "");
}

proptest! {
    #[test]
    fn any_answer_in_channels_is_taken_apart(thought in "[a-z ]{0,40}", answer in "[a-z ]{1,40}", cut in 1..9usize) {
        let text = format!(
            "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>x{answer}x"
        );
        let harmony = Thoughts::detect("<|channel|>analysis").expect("it thinks");
        let mut parser = super::super::AnswerParser::new(None, Some(harmony), false);
        let pieces: Vec<String> = text.chars().collect::<Vec<_>>().chunks(cut).map(|piece| piece.iter().collect()).collect();
        let mut deltas: Vec<_> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
        deltas.extend(parser.finish());
        let (mut said, mut thought_of) = (String::new(), String::new());
        for delta in deltas {
            match delta {
                beast_protocol::Delta::Text(text) => said += &text,
                beast_protocol::Delta::Reasoning(text) => thought_of += &text,
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert_eq!(said, format!("x{}x", answer));
        prop_assert_eq!(thought_of.trim(), thought.trim());
    }
}
