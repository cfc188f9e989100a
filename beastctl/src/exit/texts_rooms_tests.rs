//! Errors of the rooms that handle files, programs and arguments.

use super::*;

#[test]
fn of_input() {
    let unreadable = |name: &str, error| InputError::Unreadable { name: name.into(), source: os(error) };
    let samples = samples!(InputError {
        Empty: [InputError::Empty { example: "beastctl ask 'QUESTION'" }],
        Unreadable: [
            unreadable("/some/file", Errno::NOENT),
            unreadable("file", Errno::NOENT),
            unreadable("/some/folder", Errno::ISDIR),
            unreadable("/some/file", Errno::ACCESS),
            unreadable("/some/file/inside", Errno::NOTDIR),
            unreadable("/some/file", Errno::IO),
            unreadable("stdin", Errno::ISDIR),
        ],
        Binary: [
            InputError::Binary { name: "/some/file".into(), offset: 3, encoding: None },
            InputError::Binary { name: "/some/file".into(), offset: 1, encoding: Some("UTF-16") },
        ],
        TimedOut: [InputError::TimedOut(Duration::from_secs(1))],
        Words: [InputError::Words { words: "hello".into(), way: "echo hello | beastctl fix".into() }],
        TooLong: [
            InputError::TooLong { known: Some(40_000_000), limit: 33_554_432 },
            InputError::TooLong { known: None, limit: 33_554_432 },
        ],
        StdinTwice: [InputError::StdinTwice],
    });
    check(
        samples,
        expect![[r#"
            2   the input is empty; try: beastctl ask 'QUESTION'
            2   cannot read /some/file: No such file or directory (os error 2); try: ls /some, to see what is there
            2   cannot read file: No such file or directory (os error 2); try: ls, to see what is there
            2   cannot read /some/folder: Is a directory (os error 21); try: name its files, like /some/folder/*
            2   cannot read /some/file: Permission denied (os error 13); try: ls -ld /some/file, to see who may read it
            2   cannot read /some/file/inside: Not a directory (os error 20); try: use another path: a part of this one is a file, not a folder
            2   cannot read /some/file: Input/output error (os error 5); try: repeat the command, and see dmesg for the cause
            2   cannot read stdin: Is a directory (os error 21); try: name a FILE instead of stdin
            2   /some/file is binary (a NUL byte at offset 3); try: convert it to text first, for example with pdftotext or iconv -t UTF-8
            2   /some/file is binary (a NUL byte at offset 1); try: convert it first with iconv -f UTF-16 -t UTF-8
            1   the input did not end within 1s; try: raise --timeout, or add < /dev/null if there is no input
            2   file `hello` not found; try: echo hello | beastctl fix
            4   the input is 38.1 MiB, and one request holds at most 32 MiB; try: send a part of it, for example with head -c
            4   the input is more than 32 MiB, and one request holds at most 32 MiB; try: send a part of it, for example with head -c
            2   `-` is named more than once; try: use `-` once, and name other files
        "#]],
    );
}

#[test]
fn of_constraints() {
    let unreadable = |name: &str, error| ConstraintError::Unreadable { name: name.into(), source: os(error) };
    let samples = samples!(ConstraintError {
        Unreadable: [
            unreadable("/some/file", Errno::NOENT),
            unreadable("stdin", Errno::IO),
            unreadable("/some/folder", Errno::ISDIR)
        ],
        StdinTaken: [ConstraintError::StdinTaken { option: "--schema" }],
        TooLong: [ConstraintError::TooLong { name: "/some/file".into(), limit: 262144 }],
        NotAFile: [ConstraintError::NotAFile { name: "/some/pipe".into() }],
        Tool: [ConstraintError::Tool { name: "/some/file".into(), n: 2, problem: "`name` must be text".into() }],
        NoSuchTool: [ConstraintError::NoSuchTool {
            name: "/some/file".into(),
            choice: "then".into(),
            known: "auto, none, required, now".into(),
        }],
        Malformed: [ConstraintError::Malformed {
            name: "/some/file".into(),
            line: 2,
            column: 7,
            problem: "no JSON: expected `,` or `}`".into(),
            hint: "fix it until jq . /some/file accepts it".into(),
        }],
    });
    check(
        samples,
        expect![[r#"
            2   cannot read /some/file: No such file or directory (os error 2); try: ls /some, to see what is there
            2   cannot read stdin: Input/output error (os error 5); try: name a FILE instead of `-`
            2   cannot read /some/folder: Is a directory (os error 21); try: name a file in it, like /some/folder/NAME
            2   stdin is the input, so --schema cannot read `-`; try: pass --schema a file name
            2   /some/file is larger than 256 KiB; try: remove what the answer does not need
            2   /some/pipe is not a regular file; try: save it to a file first
            2   /some/file: tool 2: `name` must be text; try: {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
            2   --tool-choice then: /some/file has no such tool; try: use one of auto, none, required, now
            2   /some/file:2:7: no JSON: expected `,` or `}`; try: fix it until jq . /some/file accepts it
        "#]],
    );
}

#[test]
fn of_output() {
    let of_file = |error| OutputError::File { path: file(), source: os(error) };
    let samples = samples!(OutputError {
        ReaderGone: [OutputError::ReaderGone],
        Write: [OutputError::Write(os(Errno::NOSPC)), OutputError::Write(os(Errno::BADF))],
        File: [of_file(Errno::NOENT), of_file(Errno::ACCESS), of_file(Errno::NOSPC), of_file(Errno::ISDIR)],
    });
    check(
        samples,
        expect![[r#"
            0   (silent)
            1   cannot write to stdout: No space left on device (os error 28); try: free some space there, or write somewhere else
            1   cannot write to stdout: Bad file descriptor (os error 9); try: redirect it to a file, like > answer.txt
            1   cannot write /some/file: No such file or directory (os error 2); try: mkdir -p /some
            1   cannot write /some/file: Permission denied (os error 13); try: ls -ld /some, to see who may write there
            1   cannot write /some/file: No space left on device (os error 28); try: free some space there, or write somewhere else
            1   cannot write /some/file: Is a directory (os error 21); try: name a file in it, like /some/file/NAME
        "#]],
    );
}

#[test]
fn of_prompts() {
    let all = || vec!["ask".to_owned(), "tldr".to_owned()];
    let nearest = || Some("tldr".to_owned());
    let variable = |all: Vec<String>| PromptError::UnknownVariable {
        prompt: "tldr".into(),
        key: "lenght".into(),
        nearest: all.first().cloned(),
        all,
    };
    let samples = samples!(PromptError {
        Name: [PromptError::Name("../x".into())],
        BuiltIn: [PromptError::BuiltIn("tldr".into())],
        Unknown: [
            PromptError::Unknown { name: "tdlr".into(), nearest: nearest(), all: all() },
            PromptError::Unknown { name: "my haiku".into(), nearest: None, all: all() },
        ],
        Unreadable: [
            PromptError::Unreadable { path: file(), source: os(Errno::ACCESS) },
            PromptError::Unreadable { path: "/some/ask.md".into(), source: os(Errno::ISDIR) },
        ],
        Malformed: [PromptError::Malformed {
            file: "/some/file".into(),
            line: 2,
            problem: "unknown key `model`".into(),
            hint: "one of description, system".into(),
        }],
        NoCommand: [PromptError::NoCommand { word: "tdlr".into(), nearest: nearest() }],
        UnknownVariable: [variable(vec!["length".into()]), variable(Vec::new())],
        MissingVariables: [PromptError::MissingVariables {
            prompt: "tldr".into(),
            keys: vec!["to".into(), "by".into()]
        }],
        EmptyVariable: [PromptError::EmptyVariable { prompt: "tldr".into(), key: "to".into() }],
        NoFolder: [PromptError::NoFolder(PathError::HomeNotSet { or: " or XDG_CONFIG_HOME" })],
        Exists: [PromptError::Exists { path: file(), name: "tldr".into() }],
        Reserved: [PromptError::Reserved("status".into())],
        NoText: [PromptError::NoText("haiku".into())],
        NoFile: [PromptError::NoFile("tldr".into())],
        Unwritable: [
            PromptError::Unwritable { path: file(), source: os(Errno::ACCESS) },
            PromptError::Unwritable { path: file(), source: os(Errno::ROFS) },
        ],
        NoTerminal: [
            PromptError::NoTerminal { name: "my haiku".into(), is_own: true },
            PromptError::NoTerminal { name: "tldr".into(), is_own: false },
        ],
    });
    check(
        samples,
        expect![[r#"
            2   invalid prompt name `../x`; try: use a name without `/` that starts with a letter or digit; its file is NAME.md
            2   the prompt `tldr` is built in; try: edit a copy with beastctl prompts edit tldr, or use another name
            2   no prompt `tdlr`, did you mean `tldr`?; try: use one of ask, tldr, or beastctl prompts new tdlr
            2   no prompt `my haiku`; try: use one of ask, tldr, or beastctl prompts new 'my haiku'
            2   cannot read /some/file: Permission denied (os error 13); try: ls -ld /some/file, to see who may read it
            2   cannot read /some/ask.md: Is a directory (os error 21); try: mv /some/ask.md /some/ask.md.old, which is in the way
            2   /some/file:2: unknown key `model`; try: one of description, system
            2   unknown command `tdlr`, did you mean `tldr`?; try: beastctl --help for commands, beastctl prompts for prompts
            2   the prompt `tldr` has no variable `lenght`, did you mean `length`?; try: use one of length
            2   the prompt `tldr` has no variable `lenght`; try: leave out -p: it has no variables
            2   the prompt `tldr` needs a value for to, by; try: -p to=VALUE -p by=VALUE
            2   the value of `to` is empty, but the prompt `tldr` needs one; try: -p to=VALUE
            2   HOME is not set; try: set it or XDG_CONFIG_HOME
            2   /some/file exists already; try: beastctl prompts edit tldr
            2   `status` is a command; try: use another name
            2   the text of `haiku` is empty; try: beastctl prompts new haiku 'Write a haiku about the input.'
            2   the prompt `tldr` is built in and has no file; try: beastctl prompts show tldr, or beastctl prompts edit tldr to create your own copy
            1   cannot write /some/file: Permission denied (os error 13); try: ls -ld /some, to see who may write there
            1   cannot write /some/file: Read-only file system (os error 30); try: use another folder, or run mount to see why this one is read-only
            2   cannot open an editor: stdin, stdout and stderr must be a terminal; try: beastctl prompts path 'my haiku', for the file to change
            2   cannot open an editor: stdin, stdout and stderr must be a terminal; try: beastctl prompts new tldr --from tldr, for a copy to change
        "#]],
    );
}

#[test]
fn of_conversations() {
    let of_file =
        |action, error| ConversationError::File { action, path: "/some/parser.jsonl".into(), source: os(error) };
    let ambiguous = |n: usize| ConversationError::Ambiguous {
        prefix: "p".into(),
        names: (0..n).map(|n| format!("p{n}")).collect(),
    };
    let samples = samples!(ConversationError {
        Name: [ConversationError::Name("a b".into())],
        Automatic: [ConversationError::Automatic("2026-11-23-120000".into())],
        Unknown: [ConversationError::Unknown("parser".into())],
        Ambiguous: [ambiguous(2), ambiguous(9)],
        Nothing: [ConversationError::Nothing],
        Taken: [ConversationError::Taken("parser".into())],
        InUse: [ConversationError::InUse("parser".into())],
        OtherSystem: [ConversationError::OtherSystem("parser".into())],
        OtherVersion: [ConversationError::OtherVersion { path: "/some/parser.jsonl".into(), version: 9 }],
        Damaged: [ConversationError::Damaged {
            path: "/some/parser.jsonl".into(),
            line: 3,
            problem: "expected value".into(),
        }],
        File: [
            of_file("read", Errno::ACCESS),
            of_file("write", Errno::NOSPC),
            of_file("write", Errno::ROFS),
            of_file("create the folder", Errno::ACCESS),
        ],
        NoPlace: [ConversationError::NoPlace(PathError::HomeNotSet { or: " or XDG_DATA_HOME" })],
    });
    check(
        samples,
        expect![[r#"
            2   invalid conversation name `a b`; try: use letters, digits, `-`, `_` and `.`, at most 64 bytes, not starting with `.` or `-`
            2   no conversation `2026-11-23-120000`, and names of this form are assigned automatically; try: use another name
            2   no conversation `parser`; try: beastctl history, to list the names
            2   `p` matches 2 conversations; try: use one of p0, p1
            2   `p` matches 9 conversations; try: use one of p0, p1, p2, p3, p4, …
            2   no conversations yet; try: start one with beastctl ask 'QUESTION' or beastctl chat
            2   a conversation `parser` already exists; try: use another name
            75  the conversation `parser` is in use by another process; try: repeat the command when it has its answer, or use another --session
            2   the conversation `parser` has a different system turn; try: leave out -s, or use another --session
            1   /some/parser.jsonl:1: unsupported file version 9; this beastctl reads 1; try: install a newer beastctl, or use another --session
            1   /some/parser.jsonl:3: expected value; try: fix that line, or beastctl history rm parser
            1   cannot read /some/parser.jsonl: Permission denied (os error 13); try: ls -ld /some/parser.jsonl, to see who may read it
            1   cannot write /some/parser.jsonl: No space left on device (os error 28); try: free some space there, or beastctl history rm
            1   cannot write /some/parser.jsonl: Read-only file system (os error 30); try: use another folder, or run mount to see why this one is read-only
            1   cannot create the folder /some/parser.jsonl: Permission denied (os error 13); try: ls -ld /some, to see who may write there
            1   no folder for conversations: HOME is not set; try: set it or XDG_DATA_HOME
        "#]],
    );
}

#[test]
fn of_git_and_its_hook() {
    let failed = |reason: &str| GitError::Failed { command: "diff".into(), reason: reason.into() };
    let samples = samples!(GitError {
        Missing: [GitError::Missing(os(Errno::NOENT)), GitError::Missing(os(Errno::ACCESS))],
        Failed: [
            failed("fatal: not a git repository (or any of the parent directories): .git"),
            failed("fatal: detected dubious ownership in repository at '/some/folder'"),
        ],
        NoInput: [
            GitError::NoInput { command: "diff".into(), reason: "fatal: not a git repository".into() },
            GitError::NoInput { command: "diff".into(), reason: "fatal: bad config line 1".into() },
        ],
        Wait: [GitError::Wait(WaitError::Interrupted)],
        Garbled: [GitError::Garbled { command: "diff".into(), problem: "a field is missing".into() }],
        NothingStaged: [GitError::NothingStaged],
        NoEditor: [GitError::NoEditor],
    });
    check(
        samples,
        expect![[r#"
            1   cannot run git: No such file or directory (os error 2); try: install git, or put it into a folder in PATH
            1   cannot run git: Permission denied (os error 13); try: git --version, to check that it runs
            2   git diff failed: fatal: not a git repository (or any of the parent directories): .git; try: cd into a git repository
            2   git diff failed: fatal: detected dubious ownership in repository at '/some/folder'; try: git status, for details, or cd into another git repository
            2   the input is empty, and git diff failed: fatal: not a git repository; try: git diff --staged | beastctl commit-msg
            2   the input is empty, and git diff failed: fatal: bad config line 1; try: git status, for details
            130 (silent)
            1   cannot parse the output of git diff: a field is missing; try: git diff --staged | beastctl commit-msg
            2   the staged diff is empty; try: git add FILE, or git diff | beastctl commit-msg
            2   git has no editor that works on this terminal; try: git config --global core.editor nano, or git commit -m MESSAGE
        "#]],
    );
    let of_file = |action, error| HookError::File(FileError { action, path: file(), source: os(error) });
    let samples = samples!(HookError {
        Git: [HookError::Git(GitError::NothingStaged)],
        Foreign: [HookError::Foreign(file())],
        TwoForeign: [HookError::TwoForeign(file())],
        Outside: [HookError::Outside(file())],
        Linked: [HookError::Linked { folder: file(), real: file() }],
        NotFolder: [
            HookError::NotFolder { path: "/dev/null".into(), by: "core.hooksPath" },
            HookError::NotFolder { path: "/dev/null".into(), by: "the default folder" },
            HookError::NotFolder { path: file(), by: "the default folder" }
        ],
        NoWorkTree: [HookError::NoWorkTree],
        Managed: [
            HookError::Managed { path: file(), manager: crate::git::Manager::HUSKY },
            HookError::Managed { path: file(), manager: crate::git::Manager::PRE_COMMIT },
            HookError::Managed { path: file(), manager: crate::git::Manager::LEFTHOOK }
        ],
        Dead: [HookError::Dead { path: file(), manager: crate::git::Manager::LEFTHOOK }],
        Called: [HookError::Called(file())],
        Named: [HookError::Named(file())],
        Changed: [HookError::Changed(file())],
        NotExecutable: [HookError::NotExecutable { path: file(), who: "git" }],
        NoFolder: [HookError::NoFolder],
        NotInstalled: [HookError::NotInstalled(file())],
        File: [
            of_file("read", Errno::ACCESS),
            of_file("write", Errno::ACCESS),
            of_file("make the folder", Errno::ROFS)
        ],
    });
    check(
        samples,
        expect![[r#"
            2   the staged diff is empty; try: git add FILE, or git diff | beastctl commit-msg
            2   /some/file is another program's hook; try: pass --chain to run it first, or add `beastctl hook run "$@" || :` at its end
            2   /some/file is another program's hook, and prepare-commit-msg.beast-chained exists as well; try: pass --chain --force to run the newer one first and drop prepare-commit-msg.beast-chained, or add `beastctl hook run "$@" || :` yourself
            2   git looks for hooks in /some/file (core.hooksPath), which is outside of this repository; try: pass --force to install it for all repositories that use that folder
            2   /some/file is a link to /some/file, which is outside of this repository; try: pass --force to install it for all repositories that use that folder
            2   git looks for hooks in /dev/null (core.hooksPath), which is not a folder; try: find where it is set with git config --show-origin core.hooksPath, then unset it there
            2   git looks for hooks in /dev/null (the default folder), which is not a folder; try: use another path: /dev/null is neither a file nor a folder
            2   git looks for hooks in /some/file (the default folder), which is not a folder; try: mv /some/file /some/file.old, which is in the way
            2   not in a work tree (a bare repository, or a .git folder); try: cd into a work tree: git worktree list shows them
            2   /some/file is managed by husky; try: add `PATH="$PATH:/usr/local/bin:/opt/homebrew/bin:$HOME/.local/bin" beastctl hook run "$@" || :` to .husky/prepare-commit-msg
            2   /some/file is managed by pre-commit; try: beastctl help hook install, for the lines to add to .pre-commit-config.yaml
            2   /some/file is managed by lefthook; try: beastctl help hook install, for the lines to add to lefthook.yml
            2   lefthook has moved beastctl's hook to /some/file, where it never runs; try: beastctl help hook install, for the lines to add to lefthook.yml
            2   /some/file already calls `beastctl hook run`; try: check beastctl hook status, or remove that line first
            2   /some/file depends on its own name ($0) and would do nothing under another one; try: add `beastctl hook run "$@" || :` at the end of the script that it runs
            2   /some/file has been changed since it was installed; try: pass --force, which keeps a copy beside it (prepare-commit-msg.beast-old)
            1   /some/file is not executable, so git does not run it; try: chmod +x '/some/file'
            2   core.hooksPath is empty, so git runs no hooks in this repository; try: git config --unset core.hooksPath, or set it to a folder
            1   the hook is not installed in /some/file; try: beastctl hook install
            1   cannot read /some/file: Permission denied (os error 13); try: ls -ld /some/file, to see who may read it
            1   cannot write /some/file: Permission denied (os error 13); try: ls -ld /some, to see who may write there
            1   cannot make the folder /some/file: Read-only file system (os error 30); try: use another folder, or run mount to see why this one is read-only
        "#]],
    );
}
