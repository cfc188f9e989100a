//! Errors of the verbs and of what they ask a model.

use super::*;

#[test]
fn of_a_turn() {
    let wish = |variable, value: &str| TurnError::Wish { variable, value: value.into() };
    let no_json = serde_json::from_str::<serde_json::Value>("{").unwrap_err();
    let samples = samples!(TurnError {
        Cut: [TurnError::Cut("the answer is truncated at 9 tokens (--max-tokens)".into())],
        Repeats: [TurnError::Repeats("the answer repeats itself and is truncated at 9 tokens".into())],
        Wish: [wish("BEAST_MARKDOWN", "no"), wish("BEAST_LOG_CONVERSATIONS", "maybe")],
        DeadEnd: [TurnError::DeadEnd("no token can follow".into())],
        Withheld: [TurnError::Withheld("the answer is truncated at 9 tokens (--max-tokens)".into())],
        NoJson: [TurnError::NoJson(no_json)],
        NoJsonFound: [TurnError::NoJsonFound],
        NoMessage: [TurnError::NoMessage("the model repeats the diff".into())],
        Incomplete: [TurnError::Incomplete(Duration::from_secs(90))],
        Cancelled: [TurnError::Cancelled],
        NoQuestion: [TurnError::NoQuestion],
    });
    check(
        samples,
        expect![[r#"
            5   the answer is truncated at 9 tokens (--max-tokens); try: raise --max-tokens, or shorten the input
            5   the answer repeats itself and is truncated at 9 tokens; try: --repeat-penalty 1.1, --temp 0.7, or a larger model: beastctl models list
            2   invalid BEAST_MARKDOWN `no`; expected `always` or `never`; try: export BEAST_MARKDOWN=never
            2   invalid BEAST_LOG_CONVERSATIONS `maybe`; expected `always` or `never`; try: export BEAST_LOG_CONVERSATIONS=never
            5   no output: the grammar or schema reached a dead end: no token can follow; try: change the grammar or schema
            5   no output: the answer is truncated at 9 tokens (--max-tokens); try: raise --max-tokens, or shorten the input
            5   no output: the answer is not valid JSON (EOF while parsing an object at line 1 column 1); try: repeat the command, or simplify the --schema
            5   no output: the answer contains no JSON; try: repeat the command, or pass a --schema
            1   no message: the model repeats the diff; try: repeat the command, commit less at once, or use a larger model: beastctl models list
            1   the answer did not finish within 1m 30s; try: raise --timeout, or lower --max-tokens
            75  beastd cancelled the answer; try: repeat the command
            2   no question given; try: beastctl ask 'QUESTION'
        "#]],
    );
}

#[test]
fn of_verbs() {
    let error = NotRemoved("the answer was no").into();
    check(
        vec![Sample { name: "NotRemoved".into(), error }],
        expect![[r#"
            2   nothing removed: the answer was no; try: -y
        "#]],
    );
}

#[test]
fn of_the_end_of_a_daemon() {
    let refused = |error| StopError::Refused { pid: 4711, source: os(error) };
    let samples = samples!(StopError {
        Refused: [refused(Errno::PERM), refused(Errno::SRCH)],
        StillRunning: [StopError::StillRunning(Duration::from_secs(60))],
    });
    check(
        samples,
        expect![[r#"
            1   cannot stop beastd (process 4711): Operation not permitted (os error 1); try: run this as the user who started it: ps -o user= -p 4711
            1   cannot stop beastd (process 4711): No such process (os error 3); try: beastctl status, to see whether it still runs
            1   beastd did not exit within 1m; try: raise --timeout, or check beastctl status
        "#]],
    );
}

#[test]
fn of_decisions() {
    let path = || PathBuf::from("/some/file");
    let samples = samples!(DecideError {
        Choice: [DecideError::Choice("two answers are the same")],
        NoQuestion: [DecideError::NoQuestion],
        IsFile: [DecideError::IsFile(path())],
        Questions: [DecideError::Questions(2)],
        Unreadable: [DecideError::Unreadable { path: path(), source: os(Errno::ACCESS) }],
        Example: [DecideError::Example { path: path(), line: 3, why: "label `b` is not one of the answers".into() }],
        TooFew: [DecideError::TooFew { path: path(), n: 3, least: 10 }],
        Mismatch: [DecideError::Mismatch],
    });
    check(
        samples,
        expect![[r#"
        2   invalid --choice: two answers are the same; try: use 2 to 26 distinct answers, such as --choice bug,feature,question
        2   the question is empty; try: beastctl decide 'QUESTION'
        2   /some/file is a file, not a question; try: beastctl decide -f /some/file QUESTION
        2   --calibrate takes one question, not 2; try: give one QUESTION, or a `question` in each line of the file
        2   cannot read /some/file: Permission denied (os error 13); try: ls -ld /some/file, to see who may read it
        2   invalid example in line 3 of /some/file: label `b` is not one of the answers; try: write lines such as {"text": "I love it", "label": "yes"}
        2   too few examples in /some/file: 3, and at least 10 are needed; try: add more examples
        70  invalid response from beastd: the answers do not match the questions; try: beastctl stop, then repeat the command
    "#]],
    );
}

#[test]
fn of_embeddings() {
    let samples = samples!(EmbedError {
        BinaryToTerminal: [EmbedError::BinaryToTerminal],
        NoQuery: [EmbedError::NoQuery],
        IsFile: [EmbedError::IsFile("my notes.md".into())],
        TooLong: [EmbedError::TooLong { place: "notes.txt:3".into() }],
        OtherModel: [EmbedError::OtherModel],
        Mismatch: [EmbedError::Mismatch],
    });
    check(
        samples,
        expect![[r#"
            2   --binary is not for a terminal; try: redirect it, like > vectors.f32
            2   the query is empty; try: beastctl similar 'QUERY' FILE
            2   my notes.md is a file, not a query; try: beastctl similar QUERY 'my notes.md'
            4   notes.txt:3 is longer than the context; try: pass --truncate to embed its beginning, or raise n_ctx
            1   the model changed during the command; try: repeat the command
            1   invalid response from beastd: the vectors do not match the texts; try: beastctl stop, then repeat the command
        "#]],
    );
}

#[test]
fn of_many_files() {
    let path = || PathBuf::from("/some/file");
    let foreign = |option| MapError::Foreign { path: path(), line: 3, option };
    let samples = samples!(MapError {
        IsFile: [MapError::IsFile("my notes.md".into())],
        EmptyList: [MapError::EmptyList(path())],
        Stdin: [MapError::Stdin],
        HasNul: [MapError::HasNul(path())],
        LongList: [MapError::LongList(path())],
        InUse: [MapError::InUse(path())],
        SameFile: [MapError::SameFile],
        Foreign: [foreign("--out"), foreign("--failed")],
        Failed: [MapError::Failed { n_failed: 3, n_files: 2000, step: "name these files again" }],
    });
    check(
        samples,
        expect![[r#"
        2   my notes.md is a file, not a prompt; try: beastctl map summarize 'my notes.md'
        2   /some/file names no files; try: find . -type f > LIST, for a list
        2   `-` is not a file of its own; try: beastctl run for stdin, or --files-from - for names on stdin
        2   /some/file contains NUL bytes; try: -0, if names in it end with one
        2   /some/file is longer than 128 MiB; try: split it into several lists
        75  /some/file is in use by another beastctl map; try: wait until that has ended, or use another file
        2   --out and --failed are the same file; try: give each a file of its own
        2   /some/file:3: not a line of beastctl map; try: --out with another file, or remove that line
        2   /some/file:3: not a line of beastctl map; try: --failed with another file, or remove that line
        1   3 of 2000 files failed; try: name these files again
    "#]],
    );
}

#[test]
fn of_measuring() {
    let samples = samples!(BenchError {
        MachineBusy: [BenchError::MachineBusy("cargo uses 2.0 of 2 cores".into())],
        NotMeasured: [BenchError::NotMeasured("clients, prefix".into())],
        NotCalibrated: [
            BenchError::NotCalibrated("it exited without a result".into()),
            BenchError::NotCalibrated("there is no model; try: --model FILE".into()),
        ],
    });
    check(
        samples,
        expect![[r#"
            75  cannot measure now: cargo uses 2.0 of 2 cores; try: repeat the command when the machine is idle, or pass --force for unreliable numbers
            1   not measured: clients, prefix; try: fix what the tables name, then beastctl bench --only clients,prefix
            1   beastd could not calibrate: it exited without a result; try: beastd --calibrate, to see its full output
            1   beastd could not calibrate: there is no model; try: --model FILE
        "#]],
    );
}

#[test]
fn of_small_commands() {
    let mut all = samples!(CompletionError {
        NoShell: [CompletionError::NoShell(Some("/bin/tcsh".into())), CompletionError::NoShell(None)],
    });
    all.extend(samples!(ManError {
        Unknown: [ManError::Unknown { command: "statsu".into(), nearest: Some("status".into()) }],
    }));
    all.extend(samples!(JobError {
        Gone: [JobError::Gone],
        File: [JobError::File(FileError::of("save the answer to", Path::new("/some/folder"))(os(Errno::ACCESS)))],
    }));
    all.extend(samples!(LogError { None: [LogError::None("/some/folder".into())], Off: [LogError::Off] }));
    let unreadable = FileError::of(READ, &file())(os(Errno::ACCESS));
    all.push(Sample { name: "FileError".into(), error: unreadable.into() });
    check(
        all,
        expect![[r#"
            2   cannot detect the shell: SHELL is "/bin/tcsh"; try: beastctl completions bash, zsh or fish
            2   cannot detect the shell: SHELL is not set; try: beastctl completions bash, zsh or fish
            2   unknown command `statsu`, did you mean `status`?; try: beastctl man, which lists the commands
            1   this answer no longer exists; try: ask again
            1   cannot save the answer to /some/folder: Permission denied (os error 13); try: ls -ld /some, to see who may write there
            1   no log files in /some/folder; try: start one with beastd --daemonize, or check log_dir with beastd --print-config
            1   log files are off: log_dir is "none"; try: set log_dir = "auto" in config.toml, or run beastd in the foreground, which logs to stderr
            1   cannot read /some/file: Permission denied (os error 13); try: ls -ld /some/file, to see who may read it
        "#]],
    );
}
