//! `alfred`: the JSON for its windows, and the jobs behind them.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
    sync::mpsc,
    time::{Duration, Instant, SystemTime},
};

use beast_protocol::{ErrorCode, Event, FinishReason, WireError};
use serde_json::Value;

use crate::harness::{Beast, PATIENCE, Peer, Ran, feed};

fn alfred(beast: &Beast, arguments: &[&str], input: &str) -> Value {
    let ran = Ran::of(feed(command(beast, arguments), input.as_bytes()), beast.dir.path());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

fn command(beast: &Beast, arguments: &[&str]) -> Command {
    let mut command = beast.command(&[&["alfred"], arguments].concat());
    command.env("alfred_workflow_cache", beast.path("alfred"));
    command
}

/// Checks what Alfred's documentation requires of a Text View.
pub(crate) fn check_view(view: &Value) {
    assert!(view["response"].is_string() && view["footer"].is_string(), "{view}");
    if let Some(rerun) = view.get("rerun") {
        assert!((0.1..=5.0).contains(&rerun.as_f64().unwrap()), "{view}");
    }
    let behaviour = &view["behaviour"];
    assert!(
        ["replace", "append", "prepend", "replacelast"].map(Value::from).contains(&behaviour["response"]),
        "{view}"
    );
    assert!(["auto", "start", "end"].map(Value::from).contains(&behaviour["scroll"]), "{view}");
    assert!(view["variables"].as_object().unwrap().values().all(Value::is_string), "{view}");
}

/// Checks what Alfred's documentation requires of a Script Filter.
pub(crate) fn check_items(object: &Value) {
    for item in object["items"].as_array().unwrap() {
        assert!(item["title"].as_str().is_some_and(|title| !title.is_empty()), "{item}");
        assert!(["subtitle", "arg", "autocomplete", "match"].iter().all(|field| item[field].is_string()), "{item}");
        assert!(item["valid"].is_boolean(), "{item}");
        assert!(item["text"]["copy"].is_string() && item["text"]["largetype"].is_string(), "{item}");
        assert!(item.get("uid").is_none_or(Value::is_string), "{item}");
    }
}

pub(crate) fn job(view: &Value) -> String {
    view["variables"]["beast_job"].as_str().unwrap().to_owned()
}

fn look(beast: &Beast, job: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    look_again(|| alfred(beast, &["view", job], ""), is_it)
}

/// Reloads the view, as Alfred does, until `is_it` accepts it.
pub(crate) fn look_again(show: impl Fn() -> Value, is_it: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let view = show();
        check_view(&view);
        if is_it(&view) {
            return view;
        }
        assert!(Instant::now() < until, "{view}");
    }
}

pub(crate) fn is_over(view: &Value) -> bool {
    view.get("rerun").is_none()
}

#[test]
fn rows_have_the_documented_fields() {
    let beast = Beast::new();
    beast.write("config/beast/prompts/pirate.md", "Arr.");
    for query in ["", "p", "tldr some text", "what?"] {
        let items = alfred(&beast, &["items", "--", query], "");
        check_items(&items);
        assert!(!items["items"].as_array().unwrap().is_empty());
    }
    let items = alfred(&beast, &["items"], "");
    let titles: Vec<&str> =
        items["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap()).collect();
    assert!(
        titles.contains(&"pirate") && titles.contains(&"summarize") && titles.last() == Some(&"ask …"),
        "{titles:?}"
    );
}

#[test]
fn an_answer_is_shown_while_it_comes() {
    let beast = Beast::new();
    let (go_on, may_go_on) = mpsc::channel();
    let daemon = beast.daemon(move |peer| {
        let request = peer.generate();
        peer.started();
        peer.say(&["first"]);
        may_go_on.recv().unwrap();
        peer.say(&[" second\n"]);
        peer.done(FinishReason::Stop);
        request
    });
    let view = alfred(&beast, &["start", "tldr"], "some text");
    check_view(&view);
    assert_eq!((&view["response"], is_over(&view)), (&"…".into(), false));
    let job = job(&view);
    let view = look(&beast, &job, |view| view["response"] == "first");
    assert_eq!((&view["variables"]["beast_job"], &view["rerun"]), (&job.as_str().into(), &0.2.into()));
    go_on.send(()).unwrap();
    let view = look(&beast, &job, is_over);
    assert_eq!((&view["response"], &view["footer"]), (&"first second".into(), &"".into()));
    assert_eq!((&view["variables"]["beast_job"], &view["variables"]["beast_last"]), (&"".into(), &job.as_str().into()));
    assert_eq!(daemon.join().unwrap().messages[1].content, "some text");
}

#[test]
fn a_question_goes_with_its_text() {
    let beast = Beast::new();
    let daemon = beast.daemon(|peer| {
        let request = peer.generate();
        peer.started();
        peer.say(&["cut"]);
        peer.done(FinishReason::MaxTokens);
        request
    });
    let view = alfred(&beast, &["start", "--", "ask", "-why?"], "some text");
    let view = look(&beast, &job(&view), is_over);
    assert_eq!(daemon.join().unwrap().messages[1].content, "some text\n\n-why?");
    assert_eq!(view["footer"], "beastctl: warning: the answer is truncated at 3 tokens (--max-tokens)");
}

#[test]
fn what_is_lost_of_the_text_is_told_at_the_end() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.answer(&["yes"]);
    });
    let ran = Ran::of(feed(command(&beast, &["start", "tldr"]), b"caf\xe9"), beast.dir.path());
    let view = look(&beast, &job(&serde_json::from_str(&ran.stdout).unwrap()), is_over);
    assert_eq!(view["footer"], "beastctl: warning: 1 byte of invalid UTF-8 was replaced in stdin");
}

#[test]
fn what_fails_is_told_once() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.started();
        peer.say(&["half"]);
        peer.send(&Event::Failed(WireError::new(ErrorCode::Engine, "it broke; try: again")));
    });
    let view = alfred(&beast, &["start", "tldr"], "text");
    let view = look(&beast, &job(&view), is_over);
    assert_eq!(view["response"], "half\n\nbeastctl: it broke; try: again");
    let view = alfred(&beast, &["start", "nothing"], "text");
    let view = look(&beast, &job(&view), is_over);
    assert!(view["response"].as_str().unwrap().starts_with("beastctl: no prompt `nothing`"), "{view}");
    let view = alfred(&beast, &["start", "tldr"], " \n");
    check_view(&view);
    assert!(is_over(&view) && view["response"].as_str().unwrap().starts_with("No text"), "{view}");
    for job in ["1-2", "../x"] {
        let view = alfred(&beast, &["view", job], "");
        check_view(&view);
        assert_eq!((&view["response"], is_over(&view)), (&"this answer no longer exists; try: ask again".into(), true));
    }
}

#[test]
fn without_a_folder_there_is_still_a_text() {
    let beast = Beast::new();
    let mut command = command(&beast, &["start", "tldr"]);
    command.env_remove("HOME").env_remove("alfred_workflow_cache");
    let ran = Ran::of(feed(command, b"text"), beast.dir.path());
    let view: Value = serde_json::from_str(&ran.stdout).unwrap();
    check_view(&view);
    assert!(view["response"].as_str().unwrap().starts_with("HOME is not set"), "{view}");
}

/// A daemon whose answer lasts until the client disconnects.
fn endless(beast: &Beast) -> std::thread::JoinHandle<bool> {
    beast.daemon(|peer: &mut Peer| {
        peer.generate();
        peer.started();
        peer.say(&["half"]);
        peer.sees_the_end()
    })
}

fn folder(beast: &Beast, job: &str) -> PathBuf {
    beast.path("alfred").join(format!("job-{job}"))
}

#[test]
fn an_answer_can_be_stopped() {
    let beast = Beast::new();
    let daemon = endless(&beast);
    let job = job(&alfred(&beast, &["start", "tldr"], "text"));
    look(&beast, &job, |view| view["response"] == "half");
    for _ in 0..2 {
        let ran = Ran::of(feed(command(&beast, &["cancel", &job]), b""), beast.dir.path());
        assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ");
    }
    assert!(daemon.join().unwrap(), "the daemon hears of it");
    let view = look(&beast, &job, is_over);
    assert_eq!((&view["response"], &view["footer"]), (&"half".into(), &"stopped".into()));
}

#[test]
fn a_process_that_is_gone_is_not_waited_for() {
    let beast = Beast::new();
    let daemon = endless(&beast);
    let job = job(&alfred(&beast, &["start", "tldr"], "text"));
    look(&beast, &job, |view| view["response"] == "half");
    let process = fs::read_to_string(folder(&beast, &job).join("process")).unwrap();
    let group = rustix::process::Pid::from_raw(process.parse().unwrap()).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    assert!(daemon.join().unwrap());
    let view = look(&beast, &job, is_over);
    assert_eq!(view["response"], "half\n\nthe process that wrote this answer was killed");
}

#[test]
fn jobs_that_nobody_looks_at_end_and_old_ones_go() {
    let beast = Beast::new();
    let daemon = endless(&beast);
    let first = job(&alfred(&beast, &["start", "tldr"], "text"));
    look(&beast, &first, |view| view["response"] == "half");
    let seen = |age: u64| {
        let time = SystemTime::now() - Duration::from_secs(age);
        File::options().write(true).open(folder(&beast, &first).join("seen")).unwrap().set_modified(time).unwrap();
    };
    // The window counts as open, unless this machine took longer than a window may stay closed.
    let looked = Instant::now();
    seen(0);
    alfred(&beast, &["start", "missing"], "text");
    let is_slow = looked.elapsed() > Duration::from_secs(10);
    assert!(is_slow || !is_over(&alfred(&beast, &["view", &first], "")));
    seen(11);
    alfred(&beast, &["start", "missing"], "text");
    assert!(daemon.join().unwrap(), "its window is closed");
    look(&beast, &first, is_over);
    seen(590);
    alfred(&beast, &["start", "missing"], "text");
    assert!(folder(&beast, &first).exists());
    seen(610);
    alfred(&beast, &["start", "missing"], "text");
    assert!(!folder(&beast, &first).exists());
}

#[test]
fn nobody_else_reads_an_answer() {
    use std::os::unix::fs::PermissionsExt;
    let beast = Beast::new();
    let job = job(&alfred(&beast, &["start", "missing"], "text"));
    look(&beast, &job, is_over);
    let mode = |path: PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
    let folder = folder(&beast, &job);
    assert_eq!([mode(beast.path("alfred")), mode(folder.clone())], [0o700; 2]);
    assert_eq!([mode(folder.join("text")), mode(folder.join("answer")), mode(folder.join("error"))], [0o600; 3]);
}
