//! What is saved of questions and answers, and what is sent again later.

use std::{
    fs::{self, File, Permissions},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use beast_protocol::{ErrorCode, Event, FinishReason, Generate, Overflow, Role, Span, Welcome, WireError};
use expect_test::expect;

use crate::harness::{Beast, Peer, Ran, feed, spawn};

/// A daemon that gives one of these answers per connection, and returns the requests.
pub(crate) fn daemon(beast: &Beast, answers: &'static [&'static str]) -> JoinHandle<Vec<Generate>> {
    let listener = UnixListener::bind(beast.socket()).unwrap();
    thread::spawn(move || {
        let answer = |answer: &&str| {
            let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
            let request = peer.generate();
            match *answer {
                "TOO LONG" => {
                    let message = "the input is 5000 tokens and the context holds 4096";
                    peer.send(&Event::Failed(WireError::new(ErrorCode::TooLong, message)));
                }
                // `Beast::new` has an impatient client, which does not retry.
                "LOST" => drop(peer),
                answer => peer.answer(&[answer]),
            }
            request
        };
        answers.iter().map(answer).collect()
    })
}

/// The texts of all turns but the system turn.
pub(crate) fn turns(request: &Generate) -> Vec<&str> {
    let turns = request.messages.iter().filter(|message| message.role != Role::System);
    turns.map(|message| message.content.as_str()).collect()
}

impl Beast {
    pub(crate) fn conversations(&self) -> PathBuf {
        self.path(".local/share/beast/conversations")
    }

    pub(crate) fn n_conversations(&self) -> usize {
        fs::read_dir(self.conversations()).map_or(0, Iterator::count)
    }

    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments, b"");
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{arguments:?}: {}", ran.stdout);
        ran.stdout
    }
}

#[test]
fn continue_sends_the_whole_conversation_byte_for_byte() {
    let beast = Beast::new();
    let daemon = daemon(&beast, &["Yes.\n\tIt is  so.", "no", "maybe"]);
    let first = "is it\nso?  ";
    beast.ok(&["ask", "-s", "Be \"odd\".", &format!("{first}.")]);
    beast.ok(&["ask", "-c", "and now?"]);
    beast.run(&["run", "review", "--continue", "--truncate", "tail"], b"some text");
    let requests = daemon.join().unwrap();
    assert_eq!(turns(&requests[2])[..4], ["is it\nso?  .", "Yes.\n\tIt is  so.", "and now?", "no"]);
    let question = turns(&requests[2])[4];
    let (prompt, text) = question.rsplit_once("\n\n").unwrap();
    assert!(
        prompt.to_lowercase().contains("review"),
        "a prompt that the conversation was not begun with is not lost: {prompt}"
    );
    assert_eq!(text, "some text");
    let (start, end) = (question.len() as u64 - 9, question.len() as u64);
    // Each request begins like the one before, so the daemon's prefix cache applies.
    assert_eq!(requests[0].messages[..], requests[1].messages[..2]);
    assert_eq!(requests[1].messages[..], requests[2].messages[..4]);
    assert_eq!(requests[2].messages[0].content, "Be \"odd\".", "the system turn stays");
    let span = Span { start, end };
    assert!(matches!(&requests[2].overflow, Overflow::Truncate { material, .. } if *material == span));
    assert_eq!(beast.n_conversations(), 1);
}

#[test]
fn a_session_begins_and_goes_on() {
    let beast = Beast::new();
    let daemon = daemon(&beast, &["1", "2", "3"]);
    let session = ["--session", "parser"];
    beast.ok(&[&["ask", "-s", "Be brief.", "a"], &session[..]].concat());
    beast.ok(&[&["ask", "-s", "Be brief.", "b"], &session[..]].concat());
    beast.write("file", "text");
    beast.ok(&[&["summarize", "file"], &session[..]].concat());
    let requests = daemon.join().unwrap();
    assert_eq!(turns(&requests[2])[..4], ["a", "1", "b", "2"]);
}

#[test]
fn only_questions_are_kept_without_being_asked_to() {
    let long = "x".repeat(64 * 1024);
    for (arguments, input, env, n) in [
        (&["ask", "a"][..], "", "", 1),
        (&["ask", "a"], "material", "always", 1),
        (&["ask", "a"], long.as_str(), "", 0),
        (&["ask", "--no-log", "a"], "", "", 0),
        (&["ask", "a"], "", "never", 0),
        (&["ask", "--session", "s", "a"], long.as_str(), "never", 1),
        (&["summarize"], "text", "", 0),
        (&["run", "tldr"], "text", "", 0),
        (&["commit-msg"], "text", "", 0),
        (&["summarize", "--session", "s"], "text", "", 1),
    ] {
        let beast = Beast::new();
        let daemon = daemon(&beast, &["say yes"]);
        let mut command = beast.command(arguments);
        command.env("BEAST_LOG_CONVERSATIONS", env);
        let ran = Ran::of(feed(command, input.as_bytes()), beast.dir.path());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert_eq!(beast.n_conversations(), n, "{arguments:?} with {env:?}");
        daemon.join().unwrap();
    }
}

#[test]
fn what_is_no_whole_answer_is_not_kept() {
    for answer in [&["LOST"], &["TOO LONG"], &[" \n"]] {
        let beast = Beast::new();
        daemon(&beast, answer);
        beast.run(&["ask", "a", "--session", "s"], b"");
        assert_eq!(beast.n_conversations(), 0, "{answer:?}");
    }
}

#[test]
fn a_cut_answer_is_marked() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.started();
        peer.say(&["half"]);
        peer.done(FinishReason::MaxTokens);
    });
    let ran = beast.run(&["ask", "a", "--session", "s", "--strict"], b"");
    assert_eq!(ran.code, Some(5));
    assert_eq!(beast.ok(&["history", "show", "s"]), "> a\n\nhalf […]\n");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_asked() {
    let beast = Beast::new();
    let report = |arguments: &[&str]| beast.run(arguments, b"").report();
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: no conversations yet; try: start one with beastctl ask 'QUESTION' or beastctl chat
    "#]]
    .assert_eq(&report(&["ask", "-c", "a"]));
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: the argument '--continue' cannot be used with '--system <TEXT>'; try: beastctl ask --help
    "#]]
    .assert_eq(&report(&["ask", "-c", "-s", "b", "a"]));
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: invalid value 'a/b' for '--session <NAME>': use letters, digits, `-`, `_` and `.`, at most 64 bytes, not starting with `.` or `-`; try: beastctl ask --help
    "#]]
    .assert_eq(&report(&["ask", "--session", "a/b", "a"]));
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: no conversation `2026-11-23-071530`, and names of this form are assigned automatically; try: use another name
    "#]]
    .assert_eq(&report(&["ask", "--session", "2026-11-23-071530", "a"]));
    let mut command = beast.command(&["ask", "a"]);
    command.env("BEAST_LOG_CONVERSATIONS", "off");
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: invalid BEAST_LOG_CONVERSATIONS `off`; expected `always` or `never`; try: export BEAST_LOG_CONVERSATIONS=never
    "#]]
    .assert_eq(&Ran::of(feed(command, b""), beast.dir.path()).report());
    assert_eq!(report(&["ask", "--session", "s", "--no-log", "a"]).lines().next(), Some("exit 2"));
    assert_eq!(beast.n_conversations(), 0);
}

#[test]
fn another_system_turn_needs_another_session() {
    let beast = Beast::new();
    daemon(&beast, &["1"]);
    beast.ok(&["ask", "a", "--session", "s"]);
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: the conversation `s` has a different system turn; try: leave out -s, or use another --session
    "#]]
    .assert_eq(&beast.run(&["ask", "b", "--session", "s", "-s", "Rhyme."], b"").report());
}

#[test]
fn a_log_that_cannot_be_written_breaks_no_answer() {
    let beast = Beast::new();
    daemon(&beast, &["yes", "yes"]);
    beast.write(".local/share/beast", "a file");
    expect![[r#"
        exit 0
        out: "yes\n"
        err: beastctl: warning: the conversation is not saved: cannot create the folder DIR/.local/share/beast/conversations: Not a directory (os error 20); try: move away the file that is in the place of one of these folders
    "#]]
    .assert_eq(&beast.run(&["ask", "a"], b"").report());
    let mut homeless = beast.command(&["ask", "a"]);
    homeless.env_remove("HOME");
    expect![[r#"
        exit 0
        out: "yes\n"
        err: beastctl: warning: the conversation is not saved: no folder for conversations: HOME is not set; try: set it or XDG_DATA_HOME
    "#]]
    .assert_eq(&Ran::of(feed(homeless, b""), beast.dir.path()).report());
}

#[test]
fn a_session_that_cannot_be_written_is_an_error_before_anything_is_asked() {
    let beast = Beast::new();
    beast.write(".local/share/beast", "a file");
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: cannot create the folder DIR/.local/share/beast/conversations: Not a directory (os error 20); try: move away the file that is in the place of one of these folders
    "#]]
    .assert_eq(&beast.run(&["ask", "a", "--session", "s"], b"").report());
}

/// A limit on file size fails like a full disk, in the middle of a write.
#[test]
fn half_an_exchange_is_never_left() {
    for (arguments, code) in [("ask a", 0), ("ask a --session s", 1)] {
        let beast = Beast::new();
        beast.daemon(|peer| {
            peer.generate();
            peer.answer(&["long ".repeat(2000).as_str()]);
        });
        let environment = beast.command(&[]);
        let program = beast.program.display();
        let script = format!("trap '' XFSZ; ulimit -f 1; exec '{program}' {arguments}");
        let mut limited = Command::new("/bin/sh");
        limited.args(["-c", &script]).current_dir(beast.dir.path()).env_clear();
        limited.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
        limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ran = Ran::of(spawn(&mut limited), beast.dir.path());
        assert_eq!((ran.code, ran.stdout.len()), (Some(code), 10_000), "{}", ran.stderr);
        assert!(ran.stderr.contains("cannot write DIR/.local/share/beast/conversations/"), "{}", ran.stderr);
        assert_eq!(beast.n_conversations(), 0, "{arguments}");
    }
}

#[test]
fn a_killed_client_leaves_the_conversation_as_it_was() {
    let beast = Beast::new();
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let welcome = Welcome::current("0.0.1", 4711);
    for answer in ["1", "2"] {
        let mut killed = spawn(beast.command(&["ask", "lost", "--session", "s"]).stdin(Stdio::null()));
        let mut peer = Peer::accept(&listener, &welcome);
        peer.generate();
        peer.started();
        peer.say(&["half"]);
        killed.kill().unwrap();
        killed.wait().unwrap();
        let asking = spawn(beast.command(&["ask", "kept", "--session", "s"]).stdin(Stdio::null()));
        let mut peer = Peer::accept(&listener, &welcome);
        peer.generate();
        peer.answer(&[answer]);
        assert_eq!(Ran::of(asking, beast.dir.path()).report(), format!("exit 0\nout: \"{answer}\\n\"\nerr: "));
    }
    assert_eq!(beast.ok(&["history", "show", "s"]), "> kept\n\n1\n\n> kept\n\n2\n");
}

#[test]
fn a_conversation_that_is_in_use_is_busy() {
    let beast = Beast::new();
    let (tell, told) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    beast.daemon(move |peer| {
        peer.generate();
        tell.send(()).unwrap();
        may_go_on.recv().unwrap();
        peer.answer(&["yes"]);
    });
    let first = spawn(beast.command(&["ask", "a", "--session", "s"]).stdin(Stdio::null()));
    told.recv().unwrap();
    expect![[r#"
        exit 75
        out: ""
        err: beastctl: the conversation `s` is in use by another process; try: repeat the command when it has its answer, or use another --session
    "#]]
    .assert_eq(&beast.run(&["ask", "b", "--session", "s"], b"").report());
    assert_eq!(beast.run(&["history", "rm", "s"], b"").code, Some(75));
    go_on.send(()).unwrap();
    assert_eq!(Ran::of(first, beast.dir.path()).code, Some(0));
    assert_eq!(beast.ok(&["history", "show", "s"]), "> a\n\nyes\n");
}

#[test]
fn a_conversation_that_has_grown_too_long_loses_its_oldest_part_and_says_so() {
    let lost = "beastctl: warning: the context is full: no longer sending the 1 oldest exchange of this conversation\n";
    for goes_on in [&["ask", "-c", "b"][..], &["ask", "--session", "s", "b"], &["chat", "--session", "s"]] {
        let beast = Beast::new();
        let daemon = daemon(&beast, &["yes", "TOO LONG", "no"]);
        beast.ok(&["ask", "--session", "s", "a"]);
        let input: &[u8] = if goes_on[0] == "chat" { b"b\n" } else { b"" };
        let ran = beast.run(goes_on, input);
        assert_eq!(ran.report(), format!("exit 0\nout: \"no\\n\"\nerr: {lost}"), "{goes_on:?}");
        let asked = daemon.join().unwrap();
        assert_eq!((turns(&asked[1]), turns(&asked[2])), (vec!["a", "yes", "b"], vec!["b"]));
        assert_eq!(beast.ok(&["history", "show", "s"]), "> a\n\nyes\n\n> b\n\nno\n", "all of it is kept");
    }
}

#[test]
fn a_question_that_is_too_long_by_itself_is_refused() {
    for goes_on in [&["ask", "-c", "b"][..], &["chat", "--session", "s"]] {
        let beast = Beast::new();
        daemon(&beast, &["yes", "TOO LONG", "TOO LONG"]);
        beast.ok(&["ask", "--session", "s", "a"]);
        let input: &[u8] = if goes_on[0] == "chat" { b"b\n" } else { b"" };
        let ran = beast.run(goes_on, input);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""), "{ran:?}");
        assert_eq!(ran.stderr, "beastctl: the input is 5000 tokens and the context holds 4096\n");
    }
}

#[test]
fn what_was_left_out_is_a_notice_of_the_object() {
    let beast = Beast::new();
    daemon(&beast, &["yes", "TOO LONG", "no"]);
    beast.ok(&["ask", "a"]);
    let object: serde_json::Value =
        serde_json::from_str(&beast.run(&["ask", "-c", "--json", "b"], b"").stdout).unwrap();
    let notice = &object["notices"][0];
    assert!(notice.to_string().contains("the 1 oldest exchange of this conversation"), "{object}");
}

#[test]
fn damage_is_told_and_a_cut_end_is_mended() {
    let beast = Beast::new();
    let daemon = daemon(&beast, &["1", "2", "3"]);
    for question in ["a", "b"] {
        beast.ok(&["ask", question, "--session", "s"]);
    }
    let path = beast.conversations().join("s.jsonl");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    let told = "beastctl: warning: the last exchange of the conversation `s` is damaged and was skipped\n";
    assert_eq!(
        beast.run(&["history", "show", "s"], b"").report(),
        format!("exit 0\nout: \"> a\\n\\n1\\n\"\nerr: {told}")
    );
    assert_eq!(beast.run(&["ask", "c", "--session", "s"], b"").stderr, told);
    assert_eq!(turns(&daemon.join().unwrap()[2]), ["a", "1", "c"]);
    assert_eq!(beast.ok(&["history", "show", "s"]), "> a\n\n1\n\n> c\n\n3\n");
    fs::write(&path, String::from_utf8(whole).unwrap().replacen("{\"role\":\"user\"", "{\"role\":\"us\"", 1)).unwrap();
    let ran = beast.run(&["ask", "d", "-c"], b"");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("/conversations/s.jsonl:2: not a turn"), "{}", ran.stderr);
    let ran = beast.run(&["history"], b"");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    assert!(ran.stderr.contains("s.jsonl:2:"), "{}", ran.stderr);
    beast.ok(&["history", "rm", "s"]);
}

#[test]
fn history_lists_shows_and_removes() {
    let beast = Beast::new();
    daemon(&beast, &["1", "2", "3", "4"]);
    beast.ok(&["ask", "a", "--session", "talk"]);
    beast.ok(&["ask", "b", "--session", "talk"]);
    beast.ok(&["ask", "c", "--session", "tale"]);
    let list = beast.ok(&["history"]);
    assert!(list.starts_with("tale ") && list.contains("\ntalk ") && list.contains("2 turns  a\n"), "{list}");
    assert_eq!(beast.ok(&["history", "show"]), "> c\n\n3\n", "the newest");
    assert_eq!(beast.ok(&["history", "show", "talk"]), "> a\n\n1\n\n> b\n\n2\n");
    let objects: serde_json::Value = serde_json::from_str(&beast.ok(&["history", "list", "--json"])).unwrap();
    assert_eq!((&objects[1]["name"], &objects[1]["turns"]), (&"talk".into(), &2.into()));
    let object: serde_json::Value = serde_json::from_str(&beast.ok(&["history", "show", "talk", "--json"])).unwrap();
    assert_eq!(object["exchanges"][1]["answer"], "2");

    let report = |arguments: &[&str]| beast.run(arguments, b"").report();
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: `tal` matches 2 conversations; try: use one of tale, talk
    "#]]
    .assert_eq(&report(&["history", "rm", "talk", "tal"]));
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: no conversation `x`; try: beastctl history, to list the names
    "#]]
    .assert_eq(&report(&["history", "rm", "talk", "x"]));
    assert_eq!(beast.n_conversations(), 2, "a slip costs nothing");
    beast.ok(&["history", "rm", "talk", "talk"]);
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: nothing removed: cannot ask for confirmation without a terminal; try: -y
    "#]]
    .assert_eq(&report(&["history", "rm", "--all"]));
    assert_eq!(report(&["history", "rm"]).lines().next(), Some("exit 2"));
    beast.ok(&["history", "rm", "--all", "--force"]);
    assert_eq!((beast.n_conversations(), beast.ok(&["history"])), (0, String::new()));
    assert_eq!(beast.ok(&["history", "list", "--json"]), "[]\n");
    assert_eq!(beast.ok(&["history", "rm", "--all"]), "", "there is nothing to ask about");
}

#[test]
fn a_folder_that_cannot_be_read_is_told() {
    let beast = Beast::new();
    fs::create_dir_all(beast.conversations()).unwrap();
    fs::set_permissions(beast.conversations(), Permissions::from_mode(0o000)).unwrap();
    // Root can read it anyway.
    if File::open(beast.conversations()).is_err() {
        assert_eq!(beast.run(&["history"], b"").code, Some(1));
    }
    fs::set_permissions(beast.conversations(), Permissions::from_mode(0o700)).unwrap();
}
