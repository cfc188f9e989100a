use super::*;

const INSTRUCTION: &str =
    "Write a one-line commit message for these changes. Use the imperative mood. Reply with only the message.";
const REDUCE: &str = "The input is a list of descriptions of changes to single files, all of one commit. Write a one-line commit \
                      message for all of them. Use the imperative mood. Reply with only the message.";
const DIFF: &str = "\
Cargo.lock: 120 lines changed, left out
to here.txt: renamed from moved.txt

diff --git a/README.md b/README.md
index 5936a48..1f9f159 100644
--- a/README.md
+++ b/README.md
@@ -1,3 +1,4 @@ # Title
 # A small tool that reads files
-fn old(name: &str) {
+Read files of any size
+    let n = read(name);
";

fn given() -> Given<'static> {
    Given { instructions: &[INSTRUCTION, REDUCE], material: DIFF }
}

/// The result for a complete answer.
fn found(answer: &str) -> Option<Result<String, String>> {
    subject(answer, "#", true, &given())
}

#[track_caller]
fn accepts(answer: &str, message: &str) {
    assert_eq!(found(answer), Some(Ok(message.to_owned())), "{answer:?}");
}

#[track_caller]
fn refuses(answer: &str, problem: &str) {
    let found = found(answer);
    assert!(matches!(&found, Some(Err(text)) if text.contains(problem)), "{answer:?} gave {found:?}");
}

#[test]
fn code_talk_and_words_about_the_task_are_no_message() {
    for answer in ["#define PATCHLEVEL 12", "#include <stdio.h>", "#!/bin/bash\nexit", "`#define X 1`"] {
        refuses(answer, CODE);
    }
    for answer in ["let x = 5;", "@pytest.mark.parametrize(\"path\", paths)", "if (size < 0) {", "`return f(x);`"] {
        refuses(answer, CODE);
    }
    for message in [
        "Update @types/node to 22",
        "Add a missing ;",
        "Explain what { begins",
        "Set n = 5 in the tests",
        "Accept Vec<Vec<Vec<f32>>> as input",
        "Re-export uuid::uuid::Uuid",
        "Reject the broadcast address FF:FF:FF:FF:FF:FF",
        "Drop the stray `return foo();`",
        "@angular/cli: Fix build() on Windows",
        "Bump 1.1.1.1 to 1.1.1.2",
    ] {
        let given = Given::default();
        assert_eq!(subject(message, "#", true, &given), Some(Ok(message.into())));
    }
    refuses("curl_post_method(data, curl_post_method_method_method_", LOOP);
    for answer in [
        "I'm ready to help you with your project.",
        "You can use `read` to read a file.",
        "Your code is already correct.",
        "Here is what has changed",
        "As an AI language model, I cannot see it.",
    ] {
        refuses(answer, TALKS);
    }
    for answer in [
        "This is a one-line commit message.",
        "The code is implemented in the imperative mood.",
        "Your code is a one-line commit message",
    ] {
        refuses(answer, INSTRUCTIONS);
    }
    let about = Given { instructions: &[INSTRUCTION], material: "diff --git a/hook b/hook\n+In the imperative mood\n" };
    let message = "Explain the imperative mood";
    assert_eq!(subject(message, "#", true, &about), Some(Ok(message.into())), "which the change is about");
    refuses("curl", "says nothing about the changes");
    refuses("test_done", "says nothing about the changes");
    accepts("Update hosts", "Update hosts");
    accepts("#12: close the reader", "12: close the reader");
    for message in [
        "I test girano in parallelo",
        "I README: ret en stavefejl",
        "Please clippy",
        "Your own prompts may be empty",
        "-v: print it",
    ] {
        accepts(message, message);
    }
}

#[test]
fn the_first_line_with_words_is_the_message() {
    for answer in [
        "Add a reader",
        "\n\nAdd a reader\n\nIt reads.",
        "Here is the commit message:\n\nAdd a reader",
        "Here's a one-line commit message for the changes you made:\n**Add a reader**",
        "Sure!\n```text\nAdd a reader\n```",
        "```Add a reader```",
        "\"Add a reader\n\nIt reads.\"",
        "Subject: Add a reader",
        "### Commit message\nAdd a reader",
        "---\n- Add a reader\n- Use it",
        "# Add a reader",
        "<think>\nA reader?\ndiff --git\n</think>\n\nAdd a reader",
        "Add a reader\r\n",
    ] {
        accepts(answer, "Add a reader");
    }
    // Human messages that resemble other things.
    for message in [
        "feat(parser): read `--- a/` lines",
        "Rename moved.txt to here.txt",
        "rename `a` to `b`",
        "Rename old_name to new_name in README.md",
        "Rename README.md to README.rst",
        "Update Cargo.lock",
        "Read files of any size",
        "Write a test for commit messages",
        "Fix README.md, and Cargo.lock",
        "Ändere den Titel",
        "タイトルを変更",
    ] {
        accepts(message, message);
    }
}

#[test]
fn an_answer_is_looked_at_as_soon_as_its_first_line_is_whole() {
    let so_far = |answer: &str| subject(answer, "#", false, &given());
    for answer in
        ["", "Add", "Add a reader", "\n", "```\n", "Here is the message:\n", "<think>\nAdd a reader\n", "Sure!\n"]
    {
        assert_eq!(so_far(answer), None, "{answer:?}");
    }
    assert_eq!(so_far("Add a reader\n"), Some(Ok("Add a reader".into())));
    assert_eq!(so_far("```\nAdd a reader\n"), Some(Ok("Add a reader".into())));
    assert!(matches!(so_far(&"file.".repeat(100)), Some(Err(_))), "a line that is too long need not end");
    for answer in ["", "\n", "```\n```", "Here is the message:", "---", "<think>\nAdd"] {
        assert_eq!(found(answer), None, "{answer:?}");
    }
}

/// Lines that models have answered with, and every other kind that git writes.
#[test]
fn a_line_of_a_diff_is_never_a_message() {
    for line in [
        "diff --git a/README.md b/README.md",
        "`diff --git a/README.md b/README.md`",
        "The diff --git a/README.md b/README.md",
        "index 5936a48..1f9f159",
        "index 5936a48..1f9f159 100644",
        "index 0000000..e69de29",
        "--- a/README.md",
        "--- /dev/null",
        "+++ b/README.md",
        "+++ /dev/null",
        "@@ -1,3 +1,4 @@",
        "@@ -1,3 +1,4 @@ # Title",
        "new file mode 100644",
        "deleted file mode 100644",
        "old mode 100644",
        "similarity index 90%",
        "rename from moved.txt",
        "rename to here.txt",
        "Binary files a/x.png and b/x.png differ",
        "GIT binary patch",
        "\\ No newline at end of file",
        "+Read files of any size",
        "-fn old(name: &str) {",
        "fn old(name: &str) {",
        "let n = read(name);",
        "# A small tool that reads files",
        "A small tool that reads files",
    ] {
        refuses(line, "repeats the diff");
        refuses(&format!("{line}\nAdd a reader\n"), "repeats the diff");
        let body = message(&format!("Add a reader\n\n{line}"), "#", &given());
        let is_of_git = !line.contains("old(") && !line.contains("read(") && !line.contains("small tool");
        assert_eq!(matches!(body, Some(Err(_))), is_of_git, "{line}: {body:?}");
    }
}

#[test]
fn what_we_have_written_is_never_a_message() {
    for line in [
        INSTRUCTION,
        REDUCE,
        "Write a one-line commit message for these changes",
        "Write one-line commit message for these changes.",
        "List of files, all of one commit.",
        "A list of descriptions of changes to single files",
        "Use the imperative mood",
        "Reply with only the message.",
        "Cargo.lock: 120 lines changed, left out",
        "Cargo.lock: 120 lines changed",
        "to here.txt: renamed from moved.txt",
    ] {
        refuses(line, "");
        assert!(matches!(message(line, "#", &given()), Some(Err(_))), "{line}");
    }
}

#[test]
fn what_says_nothing_is_no_message() {
    for line in [
        "Rename README.md to README.md",
        "Rename `README.md` to `README.md`.",
        "Renamed README.md to README.md",
        "Rename the file README.md to README.md",
        "Rename a/README.md to b/README.md",
        "rename: README.md to README.md",
        "Move from src to src",
        "Change X into X",
        "Replace x with x in y",
        "README.md",
        "README.md, Cargo.lock",
        "`a/README.md`",
    ] {
        refuses(line, "says nothing");
    }
    assert_eq!(found("Commit message"), None);
    refuses("file.file.file.file.file.file.file", "repeats itself");
    refuses("add the the the add the the add", "repeats itself");
    refuses(&"b".repeat(101), "exceeds 100 characters");
}

#[test]
fn a_prompt_of_ones_own_may_ask_for_more_than_a_subject() {
    let body = "Add a reader\n\n- it reads\n- it ends";
    assert_eq!(message(body, "#", &given()), Some(Ok(body.to_owned())));
    assert_eq!(message("```\n```", "#", &given()).and_then(Result::ok), None);
    let round = "Add b\n- it\n- it\n\n- it\n- it";
    assert_eq!(message(round, "#", &given()), Some(Err("the model repeats itself".into())));
}
