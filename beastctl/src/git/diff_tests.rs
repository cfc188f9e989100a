use expect_test::expect;

use super::*;
use crate::git::changes::tests::texts;

#[test]
fn what_is_missing_is_named_and_counted() {
    let kept = b"diff --git a/a b/a\n+caf\xe9\0\n".to_vec();
    let staged = Staged::of(&texts("++-"), Finished { kept, first_missing: Some(1) });
    expect![[r#"
        f2: 9 lines changed, left out
        f1: 4 lines added, 5 removed, the diff left out

        diff --git a/a b/a
        +caf��
    "#]]
    .assert_eq(&staged.text);
    assert_eq!(
        staged.warnings,
        ["the diff of f1 is too long and was truncated", "replaced 2 invalid bytes in the staged diff"]
    );
}

#[test]
fn names_have_an_end_as_well() {
    let staged = Staged::of(&texts(&"-".repeat(MAX_LINES + 2)), Finished::default());
    assert_eq!(staged.text.lines().count(), MAX_LINES + 1);
    assert!(staged.text.ends_with("\nand 2 more files\n"), "{}", staged.text);
    assert_eq!(staged.warnings, ["the model does not see the names of 2 changed files"]);
}
