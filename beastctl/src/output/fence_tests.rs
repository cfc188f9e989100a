use super::*;

fn block(text: &str) -> Option<(String, bool)> {
    first_code_block(text)
}

fn closed(code: &str) -> Option<(String, bool)> {
    Some((code.into(), true))
}

#[test]
fn the_first_block_is_taken_whatever_its_fence() {
    assert_eq!(block("Here:\n```rust\nfn a() {}\n\nb\n```\nand\n```\nc\n```"), closed("fn a() {}\n\nb\n"));
    assert_eq!(block("~~~ sh, with `ticks`\n```\nls\n~~~"), closed("```\nls\n"));
    assert_eq!(block("````\n```\ninner\n```\n````"), closed("```\ninner\n```\n"));
    assert_eq!(block("```\r\na\r\n```\r\n"), closed("a\r\n"));
    assert_eq!(block("```\n```"), closed(""));
}

#[test]
fn a_block_in_a_list_loses_the_indentation_of_the_list() {
    assert_eq!(block("1. do\n\n   ```sh\n   ls\n     deeper\n  less\n   ```\n"), closed("ls\n  deeper\nless\n"));
    assert_eq!(block("```\n    ```\n```"), closed("    ```\n"));
    assert_eq!(block("- ```\n  ls\n  ```\n"), closed("ls\n"));
    assert_eq!(block("10. ```sh\n    ls\n    ```\n"), closed("ls\n"));
}

#[test]
fn what_is_not_closed_says_so() {
    assert_eq!(block("```sh\nls\n``"), Some(("ls\n``".into(), false)));
    assert_eq!(block("```sh"), Some((String::new(), false)));
    assert_eq!(block("```sh\nls\n``` no"), Some(("ls\n``` no".into(), false)));
}

#[test]
fn no_fence_is_no_block() {
    for text in ["", "ls -l", "``\nls\n``", "```ls```", "text ```\nls\n", "    code"] {
        assert_eq!(block(text), None, "{text}");
    }
}

#[test]
fn the_beginning_of_a_closing_fence_is_known() {
    let (fence, info) = Fence::open("  ```rust x ").unwrap();
    assert_eq!((info, fence.indent()), ("rust x", 2));
    for beginning in ["", " ", "     ", "`", "  ``", "```", "````", "```  "] {
        assert!(fence.may_be_closed_by(beginning), "{beginning:?}");
    }
    for beginning in ["a", "      ", "` ", "``x", "``` x", "~"] {
        assert!(!fence.may_be_closed_by(beginning), "{beginning:?}");
    }
}
