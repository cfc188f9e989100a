//! `bench` with daemons that only pretend to compute.

use std::{
    fs,
    fs::File,
    os::unix::net::UnixListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use beast_protocol::{ErrorCode, Event, Generate, Request, State, Status, Welcome, WireError};
use expect_test::expect;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    harness::{Beast, Peer, Ran, spawn},
    verbs::status,
};

/// What one daemon of a run replies to a generation: an error, or (`None`) a normal answer.
type Answer = fn() -> Option<WireError>;

const WELL: Answer = || None;
const BADLY: Answer = || Some(WireError::new(ErrorCode::Engine, "the engine broke"));

/// Fake daemons on sockets that a script moves to where the client expects them.
struct Daemons {
    beast: Beast,
    threads: Vec<JoinHandle<()>>,
    requests: Arc<Mutex<Vec<Generate>>>,
}

impl Daemons {
    fn new(answers: &[Answer]) -> Self {
        let beast = Beast::alone();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let threads = answers.iter().enumerate().map(|(n, answer)| {
            let listener = UnixListener::bind(beast.path(&format!("{n}.later"))).unwrap();
            let (end, answer, requests) = (beast.fifo(&format!("{n}.end")), *answer, Arc::clone(&requests));
            thread::spawn(move || serve(&listener, end, answer, &requests))
        });
        let threads = threads.collect();
        fs::create_dir(beast.path("tmp")).unwrap();
        // Each call of this beastd takes the next socket, and exits once its pipe has been opened and closed.
        beast.beastd(
            "case $1 in --print-config=json) echo '{\"n_threads\": {\"value\": 1, \"layer\": \"env\", \"of_speed\": true}}'; exit;; esac\n\
             echo \"$@\" >> arguments\n\
             for n in 0 1 2 3 4 5; do if [ -e $n.later ]; then mv $n.later \"$2\"; exec cat $n.end; fi; done",
        );
        Self { beast, threads, requests }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.beast.command(&[&["bench", "--quick", "--force", "-q"], arguments].concat());
        Ran::of(feed_with_tmp(&mut command, self), self.beast.dir.path())
    }

    /// Checks that all daemons were told to shut down and that the run has left no files.
    fn check_the_end(self) -> Vec<Generate> {
        for thread in self.threads {
            thread.join().unwrap();
        }
        assert_eq!(fs::read_dir(self.beast.path("tmp")).unwrap().count(), 0);
        self.requests.lock().unwrap().drain(..).collect()
    }
}

/// Serves one request per connection until shutdown, or until a failed answer, after which the client kills the daemon.
fn serve(listener: &UnixListener, end: PathBuf, answer: Answer, requests: &Mutex<Vec<Generate>>) {
    loop {
        let mut peer = Peer::accept(listener, &Welcome::current("0.0.1", 1));
        match peer.request() {
            Request::Status => peer.send(&Event::Status(Box::new(status()))),
            Request::Generate(request) => {
                requests.lock().unwrap().push(request);
                match answer() {
                    Some(error) => return peer.send(&Event::Failed(error)),
                    None => peer.answer(&["text"]),
                }
            }
            Request::Shutdown => {
                drop(peer);
                // The fake beastd exits when the last writer of its pipe closes it.
                drop(File::options().write(true).open(end).unwrap());
                return;
            }
            other => panic!("not asked for here: {other:?}"),
        }
    }
}

fn object(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[test]
fn what_the_daemon_says_becomes_a_table() {
    let daemons = Daemons::new(&[WELL, WELL]);
    let ran = daemons.run(&["--only", "generation", "--json", "bench.json", "--svg", "bench.svg"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let (_, table) = ran.stdout.split_once("\n\n").unwrap();
    expect![[r#"
        generation: one answer at a time
          prompt 9 tokens, answer 3, context 4096, batch 1024, 2 threads, prefill in chunks of 128
          first token, ms, less is better
            beast     3.0
          prefill, tokens/s
            beast  2500.0
          decode, tokens/s
            beast   500.0
    "#]]
    .assert_eq(table);
    let arguments = fs::read_to_string(daemons.beast.path("arguments")).unwrap();
    let settings: Vec<_> = arguments.lines().map(|line| line.split_once(".sock ").unwrap().1).collect();
    expect![[r#"
        --set model=auto --set log_dir=none --set log=error --set n_threads=1 --set prefix_disk_mib=0
        --set model=auto --set log_dir=none --set log=error --set n_threads=1 --set prefix_disk_mib=0"#]]
    .assert_eq(&settings.join("\n"));

    let written = fs::read_to_string(daemons.beast.path("bench.json")).unwrap();
    let object: Value = serde_json::from_str(&written).unwrap();
    assert_eq!((&object["is_quick"], &object["n_repeats"]), (&true.into(), &1.into()));
    assert_eq!(object["settings"]["n_threads"], "1");
    expect![[r#"{"key":"prompt","title":"prefill","unit":"tokens/s","rows":[{"label":"beast","median":2500.0,"min":2500.0,"max":2500.0,"samples":[2500.0],"ratio":null,"details":{},"is_chosen":false,"error":null,"absent":null}]}"#]].assert_eq(&object["tables"][0]["groups"][1].to_string());
    assert!(fs::read_to_string(daemons.beast.path("bench.svg")).unwrap().ends_with("</svg>\n"));

    let requests = daemons.check_the_end();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].ignore_eos && requests[0].sampling.temp == Some(0.0));
}

/// A table that fails does not affect the others, but the run fails.
#[test]
fn what_cannot_be_measured_stays_with_its_reason() {
    let daemons = Daemons::new(&[WELL, BADLY, WELL, WELL]);
    let ran = daemons.run(&["--only", "profiles,generation", "--json"]);
    let line =
        "beastctl: not measured: generation; try: fix what the tables name, then beastctl bench --only generation\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), line));
    let tables = &object(&ran)["tables"];
    assert_eq!((&tables[0]["error"], &tables[0]["groups"]), (&"the engine broke".into(), &Value::Array(Vec::new())));
    assert_eq!((&tables[1]["error"], &tables[1]["name"]), (&Value::Null, &"profiles".into()));
    assert_eq!(tables[1]["groups"][0]["rows"][1]["ratio"], 1.0);
    daemons.check_the_end();
}

#[test]
fn a_model_that_cannot_be_loaded_is_the_end() {
    let daemons = Daemons::new(&[]);
    let listener = UnixListener::bind(daemons.beast.path("0.later")).unwrap();
    daemons.beast.fifo("0.end");
    let daemon = thread::spawn(move || {
        let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 1));
        assert_eq!(peer.request(), Request::Status);
        let message = "cannot open /m.gguf; try: another --model".into();
        peer.send(&Event::Status(Box::new(Status { state: State::Failed { message }, ..status() })));
    });
    let ran = daemons.run(&["--model", "/m.gguf"]);
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: cannot open /m.gguf; try: another --model
    "#]]
    .assert_eq(&ran.report());
    daemon.join().unwrap();
    daemons.check_the_end();
}

#[test]
fn a_beastd_that_does_not_start_says_why() {
    let check = |script: &str| {
        let daemons = Daemons::new(&[]);
        daemons.beast.beastd(script);
        let ran = daemons.run(&[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""));
        daemons.check_the_end();
        ran.stderr
    };
    expect![[r#"
        beastctl: cannot start DIR/beastd: beastd: config.toml:3: unknown key; try: run beastd in the foreground to see its output
    "#]].assert_eq(&check("echo 'beastd: config.toml:3: unknown key' >&2; exit 2"));
    let dies = "case $1 in --print-config=json) echo {}; exit;; esac\necho 'INFO x' >&2\necho 'beastd: no socket; try: another' >&2\nexit 1";
    expect![[r#"
        beastctl: cannot start DIR/beastd: beastd: no socket; try: another
    "#]]
    .assert_eq(&check(dies));
    let ran = Beast::alone().run(&["bench"], b"");
    expect![[r#"
        exit 3
        out: ""
        err: beastctl: cannot find the program beastd; try: put beastd beside beastctl, or into a folder in PATH
    "#]]
    .assert_eq(&ran.report());
}

/// An output file that cannot be written is found before ten minutes of measuring, not after.
#[test]
fn a_place_for_results_is_looked_at_first() {
    let daemons = Daemons::new(&[]);
    let ran = daemons.run(&["--svg", "no/such/folder.svg"]);
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: cannot write no/such/folder.svg: No such file or directory (os error 2); try: mkdir -p no/such
    "#]]
    .assert_eq(&ran.report());
    assert!(!daemons.beast.path("arguments").exists(), "nothing was started");
    daemons.check_the_end();
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let daemons = Daemons::new(&[WELL]);
    let listener = UnixListener::bind(daemons.beast.path("1.later")).unwrap();
    daemons.beast.fifo("1.end");
    let mut command = daemons.beast.command(&["bench", "--only", "generation", "--force", "-q", "--svg", "bench.svg"]);
    let child = feed_with_tmp(&mut command, &daemons);
    let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 1));
    assert_eq!(peer.request(), Request::Status);
    peer.send(&Event::Status(Box::new(status())));
    let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 1));
    peer.generate();
    peer.started();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = Ran::of(child, daemons.beast.dir.path());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(130), ""));
    assert!(peer.sees_the_end());
    let left: Vec<_> = fs::read_dir(daemons.beast.dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("svg")), "{left:?}");
    daemons.check_the_end();
}

fn feed_with_tmp(command: &mut Command, daemons: &Daemons) -> Child {
    spawn(command.env("TMPDIR", daemons.beast.path("tmp")).stdin(Stdio::null()))
}
