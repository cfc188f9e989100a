use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::engine::fake::ByteVocab;

fn pieces(text: &str, n_max: usize, n_overlap: usize) -> Vec<Piece> {
    split(text, &ByteVocab, Sizes { n_max, n_overlap }, || true)
}

fn show(text: &str, n_max: usize, n_overlap: usize) -> String {
    let pieces = pieces(text, n_max, n_overlap);
    let line = |piece: &Piece| format!("{:?} {} {}\n", &text[piece.span.clone()], piece.n_tokens, piece.n_overlap);
    pieces.iter().map(line).collect()
}

#[test]
fn prose_is_cut_after_sentences_and_paragraphs() {
    let text =
        "One is here. Two is here as well. Three is last.\n\nA new thought begins. It goes on for a while. It ends.";
    expect![[r#"
        "One is here. Two is here as well. " 34 0
        "Three is last.\n\nA new thought begins. " 38 0
        "It goes on for a while. It ends." 32 0
    "#]]
    .assert_eq(&show(text, 40, 0));
}

#[test]
fn code_is_cut_before_what_is_not_indented() {
    let text =
        "fn one() {\n    first();\n}\nfn two() {\n    second();\n    third();\n}\nfn three() {\n    fourth();\n}\n";
    expect![[r#"
        "fn one() {\n    first();\n}\nfn two() {\n" 37 0
        "    second();\n    third();\n}\n" 29 0
        "fn three() {\n    fourth();\n}\n" 29 0
    "#]]
    .assert_eq(&show(text, 48, 0));
}

#[test]
fn an_overlap_begins_with_a_sentence_or_a_word() {
    let text = "One is here. Two is here as well. Three is last. Four is behind it. Five comes. Six comes later.";
    expect![[r#"
        "One is here. Two is here as well. " 34 0
        "well. Three is last. Four is behind " 36 6
        "behind it. Five comes. Six comes " 33 7
        "Six comes later." 16 10
    "#]]
    .assert_eq(&show(text, 40, 14));
}

#[test]
fn a_piece_knows_the_file_that_it_is_from() {
    let words = "one two three four five six seven eight nine ten ".repeat(4);
    let text = &format!("==> a.txt <==\n{words}\n\n==> b.txt <==\nthe end\n");
    let pieces = pieces(text, 120, 0);
    let headings: Vec<_> = pieces.iter().map(|piece| piece.heading.clone().map(|span| &text[span])).collect();
    let texts: Vec<_> = pieces.iter().map(|piece| &text[piece.span.clone()]).collect();
    expect![[r#"
        (
            [
                None,
                Some(
                    "==> a.txt <==",
                ),
                Some(
                    "==> a.txt <==",
                ),
            ],
            [
                "==> a.txt <==\none two three four five six seven eight nine ten one two three four five ",
                "six seven eight nine ten one two three four five six seven eight nine ten one two three ",
                "four five six seven eight nine ten \n\n==> b.txt <==\nthe end\n",
            ],
        )
    "#]]
    .assert_debug_eq(&(headings, texts));
}

#[test]
fn a_text_without_any_good_place_is_cut_all_the_same() {
    let text = "é".repeat(100);
    let pieces = pieces(&text, 30, 5);
    assert!(pieces.len() > 6);
    assert!(pieces.iter().all(|piece| piece.span.len() <= 30 && text.is_char_boundary(piece.span.start)));
}

#[test]
fn the_same_lines_again_and_again_make_the_same_pieces() {
    let text = "y\n".repeat(5000);
    let pieces = pieces(&text, 300, 20);
    let distinct: std::collections::HashSet<_> = pieces.iter().map(|piece| &text[piece.span.clone()]).collect();
    assert!(pieces.len() > 30 && distinct.len() <= 3, "{} of {}", distinct.len(), pieces.len());
}

#[test]
fn whoever_has_seen_enough_gets_what_there_is() {
    let mut n = 0;
    let pieces = split(&"word ".repeat(1000), &ByteVocab, Sizes { n_max: 50, n_overlap: 0 }, || {
        n += 1;
        n <= 3
    });
    assert_eq!(pieces.len(), 3);
}

#[test]
fn what_goes_is_where_it_was_asked_to_go() {
    let text = "one two three four five six seven eight nine ten ".repeat(10);
    let gone = |ends| {
        let gone = shorten(&text, &ByteVocab, 100, ends);
        (text[..gone.start].len(), text[gone.end..].len())
    };
    let (first, nothing) = gone(Ends::First);
    assert!((88..=100).contains(&first) && nothing == 0, "{first} {nothing}");
    let (nothing, last) = gone(Ends::Last);
    assert!(nothing == 0 && (88..=100).contains(&last), "{nothing} {last}");
    let (first, last) = gone(Ends::Both);
    assert!((44..=50).contains(&first) && (44..=50).contains(&last), "{first} {last}");
    assert_eq!(shorten(&text, &ByteVocab, 490, Ends::Both), 0..0, "what fits stays whole");
}

fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("a"),
        Just("word "),
        Just("end. "),
        Just("\n"),
        Just("\n\n"),
        Just("    in"),
        Just("é"),
        Just("🦀"),
        Just("==> f <==\n"),
        Just("diff --git a b\n"),
        Just("}\n"),
        Just("。"),
        Just(" ")
    ];
    proptest::collection::vec(word, 0..400).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_byte_is_lost_none_is_out_of_order_and_no_piece_is_too_long(text in words(), n_max in 16usize..200, share in 0usize..4) {
        let n_overlap = n_max * share / 16;
        let pieces = pieces(&text, n_max, n_overlap);
        let mut covered = 0;
        let mut n_new = 0;
        for piece in &pieces {
            let Range { start, end } = piece.span;
            prop_assert!(start <= covered && covered < end, "{pieces:?}");
            let n_named = piece.heading.as_ref().map_or(0, |line| line.len() + 1);
            prop_assert!(end - start + n_named <= n_max, "{piece:?}");
            prop_assert!(covered - start <= n_overlap.max(4), "{piece:?}");
            prop_assert!(text.is_char_boundary(start) && text.is_char_boundary(end));
            prop_assert_eq!(piece.n_tokens, end - start, "a byte is a token here");
            prop_assert_eq!(piece.n_overlap, covered - start);
            if let Some(heading) = &piece.heading {
                prop_assert!(heading.end <= start && text[heading.end..].starts_with('\n'), "{heading:?}");
            }
            n_new += piece.n_tokens - piece.n_overlap;
            covered = end;
        }
        prop_assert_eq!(covered, text.len());
        prop_assert_eq!(n_new, text.len());
    }

    #[test]
    fn what_stays_is_as_long_as_asked(text in words(), n_keep in 0usize..500) {
        for ends in [Ends::First, Ends::Last, Ends::Both] {
            let gone = shorten(&text, &ByteVocab, n_keep, ends);
            prop_assert!(text.is_char_boundary(gone.start) && text.is_char_boundary(gone.end));
            let n_left = text.len() - gone.len();
            prop_assert!(n_left <= n_keep, "{} of {} stay, and {} may", n_left, text.len(), n_keep);
            prop_assert_eq!(gone.is_empty(), text.len() <= n_keep);
        }
    }
}

#[test]
fn known_ends_split_like_a_vocabulary() {
    let text = "One word and another, then more of them.\n".repeat(40);
    let known = KnownEnds(token_ends(&text, &ByteVocab));
    let sizes = Sizes { n_max: 200, n_overlap: 20 };
    assert_eq!(split(&text, &known, sizes, || true), split(&text, &ByteVocab, sizes, || true));
    // Without the ends of all characters: every byte is in a piece, and none is cut within a character.
    let text = "ä ö ü ".repeat(300);
    let known = KnownEnds((1..=text.len() / 2).map(|n| 2 * n).collect());
    let pieces = split(&text, &known, sizes, || true);
    assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.n_tokens <= 200), "{pieces:?}");
    assert_eq!((pieces[0].span.start, pieces[pieces.len() - 1].span.end), (0, text.len()));
    assert!(pieces.windows(2).all(|two| two[1].span.start <= two[0].span.end));
}
