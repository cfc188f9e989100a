use proptest::prelude::*;

use super::*;

fn piece(text: &str) -> Event {
    Event::Piece { text: text.into(), tokens: vec![1], sampled_at_us: 0, deltas: Vec::new(), logprobs: Vec::new() }
}

/// The cut answer and whether its end was found, which must not depend on how it is cut into pieces.
fn cut(extent: Extent, answer: &str, len: usize) -> (String, bool) {
    let mut until = Until::new(extent);
    let chars: Vec<char> = answer.chars().collect();
    let mut text = String::new();
    let mut n_ends = 0;
    for chunk in chars.chunks(len) {
        let mut events = vec![piece(&chunk.iter().collect::<String>())];
        n_ends += usize::from(until.cut(&mut events));
        for event in events {
            let Event::Piece { text: more, .. } = event else { panic!("{event:?}") };
            text += &more;
        }
    }
    assert!(n_ends <= 1);
    (text, until.is_over())
}

#[test]
fn an_answer_ends_where_it_is_wanted() {
    for (extent, answer, expected, is_over) in [
        (Extent::Whole, "a\nb\n", "a\nb\n", false),
        (Extent::Line, "a\nb\n", "a", true),
        (Extent::Line, "\n \n a b\r\nc", "\n \n a b\r", true),
        (Extent::Line, "a", "a", false),
        (
            Extent::CodeBlock,
            "Here:\n```rust\nfn f() {}\n```\nIt does nothing.\n",
            "Here:\n```rust\nfn f() {}\n```",
            true,
        ),
        (Extent::CodeBlock, "```\na\n``\n~~~\n````\nb", "```\na\n``\n~~~\n````", true),
        (Extent::CodeBlock, "1. ```sh\n   ls\n   ```\n2. x\n", "1. ```sh\n   ls\n   ```", true),
        (Extent::CodeBlock, "no ``` code\nat all\n", "no ``` code\nat all\n", false),
        (Extent::CodeBlock, "```sh\n        ```\n```\nx\n", "```sh\n        ```\n```", true),
    ] {
        for len in [1, 3, 1000] {
            assert_eq!(cut(extent, answer, len), (expected.to_owned(), is_over), "{answer:?} by {len}");
        }
    }
}

#[test]
fn thoughts_are_no_part_of_the_answer() {
    let mut until = Until::new(Extent::Line);
    let mut event = piece("<think>\na\n</think>\nb\nc");
    if let Event::Piece { deltas, .. } = &mut event {
        *deltas = vec![Delta::Reasoning("a\n".into()), Delta::Text("b\nc".into())];
    }
    let mut events = vec![event, piece("d")];
    assert!(until.cut(&mut events));
    let [Event::Piece { deltas, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(deltas[..], [Delta::Reasoning("a\n".into()), Delta::Text("b".into())]);
}

#[test]
fn an_answer_that_goes_on_ends_at_the_same_place() {
    let mut until = Until::new(Extent::CodeBlock);
    until.skip("```\nls");
    let mut events = vec![piece(" -l\n```\nThat is all.")];
    assert!(until.cut(&mut events));
    assert_eq!(events, [piece(" -l\n```")]);
}

proptest! {
    #[test]
    fn any_cut_is_the_same_however_it_comes(answer in "[a`~ \n.0-9-]{0,60}", len in 1..9usize) {
        for extent in [Extent::Line, Extent::CodeBlock] {
            let (text, is_over) = cut(extent, &answer, len);
            prop_assert_eq!((text.clone(), is_over), cut(extent, &answer, 1000));
            prop_assert!(answer.starts_with(&text));
            prop_assert!(is_over || text == answer);
        }
    }
}
