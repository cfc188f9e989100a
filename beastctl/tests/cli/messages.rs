//! `--messages`: a conversation that the caller provides.

use beast_protocol::{Generate, Role};
use expect_test::expect;

use crate::harness::{Beast, Ran};

const CHAT: &str = r#"[{"role":"system","content":"Be brief."},{"role":"user","content":"a?"},
    {"role":"assistant","content":"b"},{"role":"user","content":"c?"}]"#;

fn asked(arguments: &[&str], file: &str, input: &[u8]) -> (Ran, Generate) {
    let beast = Beast::new();
    beast.write("m.json", file);
    beast.write("x.txt", "text");
    let daemon = beast.daemon(|peer| {
        let request = peer.generate();
        peer.answer(&["d"]);
        request
    });
    let ran = beast.run(arguments, input);
    assert_eq!(beast.run(&["history", "--json"], b"").stdout, "[]\n", "nothing is saved");
    (ran, daemon.join().unwrap())
}

fn turns(request: &Generate) -> Vec<(Role, &str)> {
    request.messages.iter().map(|message| (message.role, message.content.as_str())).collect()
}

#[test]
fn ask_and_run_continue_it() {
    use Role::{Assistant, System, User};
    let (ran, request) = asked(&["ask", "--messages", "m.json"], CHAT, b"not read");
    assert_eq!(ran.report(), "exit 0\nout: \"d\\n\"\nerr: ");
    let expected = [(System, "Be brief."), (User, "a?"), (Assistant, "b"), (User, "c?")];
    assert_eq!(turns(&request), expected);
    let (_, request) = asked(&["ask", "--messages", "-"], "", format!("{{\"messages\": {CHAT}}}").as_bytes());
    assert_eq!(turns(&request), expected);
    let answered = CHAT.replace(r#",{"role":"user","content":"c?"}"#, "");
    let (_, request) = asked(&["ask", "--messages", "m.json", "and", "c?"], &answered, b"not read");
    assert_eq!(turns(&request)[3], (User, "and c?"));
    let (_, request) = asked(&["ask", "--messages", "m.json", "-f", "x.txt"], CHAT, b"");
    assert_eq!(turns(&request)[3], (User, "==> x.txt <==\ntext\n\nc?"));
    let (_, request) = asked(&["translate", "--messages", "m.json"], CHAT, b"not read");
    let (first, last) = (turns(&request)[0], turns(&request)[3]);
    assert_eq!(first, (System, "Be brief."));
    assert!(last.1.starts_with("Translate") && last.1.ends_with("\n\nc?"), "{last:?}");
    let (_, request) = asked(&["run", "tldr", "--messages", "m.json", "x.txt"], &answered, b"not read");
    assert!(turns(&request)[3].1.ends_with("text"), "{request:?}");
}

#[test]
fn what_is_wrong_is_found_before_the_daemon_is_troubled() {
    let beast = Beast::new();
    beast.write("m.json", CHAT);
    beast.write("tool.json", r#"[{"role":"tool","content":"x"}]"#);
    beast.write("none.json", "[]");
    beast.write("broken.json", "[\n{]");
    beast.write("large.json", vec![b' '; (32 << 20) + 1]);
    let refused = |arguments: &[&str], input: &[u8]| beast.run(&[arguments, &["--no-start"]].concat(), input).report();
    let mut said = String::new();
    for name in ["tool.json", "none.json", "broken.json", "large.json", "missing.json", "."] {
        said += &refused(&["ask", "--messages", name], b"");
    }
    said += &refused(&["ask", "--messages", "-"], b"a\0");
    said += &refused(&["ask", "--messages", "-"], b"");
    said += &refused(&["ask", "--messages", "m.json", "-s", "Other."], b"");
    said += &refused(&["ask", "--messages", "m.json", "-c"], b"");
    said += &refused(&["run", "tldr", "--messages", "m.json", "--session", "x"], b"");
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: tool.json: message 1: unknown role `tool`; try: use system, user or assistant
        exit 2
        out: ""
        err: beastctl: none.json has no user message; try: add one, or pass the QUESTION as an argument
        exit 2
        out: ""
        err: beastctl: broken.json:2:2: invalid JSON: key must be a string; try: fix it until jq . broken.json accepts it
        exit 4
        out: ""
        err: beastctl: large.json is larger than 32 MiB; try: drop the oldest messages
        exit 2
        out: ""
        err: beastctl: cannot read missing.json: No such file or directory (os error 2); try: ls, to see what is there
        exit 2
        out: ""
        err: beastctl: cannot read .: is a directory; try: name its files, like ./*
        exit 2
        out: ""
        err: beastctl: stdin is binary (a NUL byte at offset 1); try: convert it to text first, for example with pdftotext or iconv -t UTF-8
        exit 2
        out: ""
        err: beastctl: stdin:1:1: invalid JSON: EOF while parsing a value; try: echo '[{"role": "user", "content": "Hello"}]' | beastctl ask --messages -
        exit 2
        out: ""
        err: beastctl: m.json has a system message, and --system is another; try: leave one of them out
        exit 2
        out: ""
        err: beastctl: the argument '--messages <FILE>' cannot be used with '--continue'; try: beastctl ask --help
        exit 2
        out: ""
        err: beastctl: the argument '--messages <FILE>' cannot be used with '--session <NAME>'; try: beastctl run --help
    "#]].assert_eq(&said);
}
