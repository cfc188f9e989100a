use super::*;
use crate::git::changes::tests::texts;

const DIFF: &str = "diff --git a/a b/a\n+one\n+diff --git\ndiff --git a/b b/b\n+two\ndiff --git a/c b/c\n+three\n";

/// Feeds the diff in pieces of `len` bytes; `+` keeps a file, `-` drops it.
fn kept(wanted: &str, len: usize, limit: usize) -> (String, Option<usize>, bool) {
    let mut sections = Sections::new(&texts(wanted), limit);
    let is_enough = DIFF.as_bytes().chunks(len).any(|piece| sections.take(piece).is_break());
    let Finished { kept, first_missing } = sections.finish();
    (String::from_utf8(kept).unwrap(), first_missing, is_enough)
}

#[test]
fn the_pieces_do_not_matter() {
    for len in 1..DIFF.len() {
        assert_eq!(kept("+++", len, 1000), (DIFF.into(), None, false), "{len}");
        let two = "diff --git a/b b/b\n+two\n";
        assert_eq!(kept("-+-", len, 1000), (two.into(), None, true), "{len}");
        let ends = "diff --git a/a b/a\n+one\n+diff --git\ndiff --git a/c b/c\n+three\n";
        assert_eq!(kept("+-+", len, 1000), (ends.into(), None, false), "{len}");
    }
}

#[test]
fn what_does_not_fit_ends_with_a_whole_line() {
    let (text, first_missing, is_enough) = kept("+++", 7, 59);
    assert_eq!(text, "diff --git a/a b/a\n+one\n+diff --git\ndiff --git a/b b/b\n");
    assert_eq!((first_missing, is_enough), (Some(1), true));
    assert_eq!(kept("+++", 7, DIFF.len()), (DIFF.into(), None, false));
    assert_eq!(kept("+++", 7, 3), (String::new(), Some(0), true));
}
