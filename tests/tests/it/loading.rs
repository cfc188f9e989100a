//! The time between start and first answer: the socket answers, and reports the progress of loading.

use beast_protocol::{ErrorCode, Event, FinishReason, LoadStage, Request, State, Status};
use beast_tests::samples::{TEXT, ask};
use beast_tests::{Beast, Home, eventually, run};

const STAGES: [LoadStage; 6] = [
    LoadStage::ProcessStart,
    LoadStage::Socket,
    LoadStage::ModelFile,
    LoadStage::Weights,
    LoadStage::Context,
    LoadStage::WarmUp,
];

/// A daemon that is stopped in the middle of loading.
fn held() -> (Beast, beast_tests::Gate) {
    let home = Home::with_own_cache();
    let gate = home.gate();
    let beast = home.start(&[]);
    eventually(|| is_at(&beast.status(), LoadStage::ModelFile));
    (beast, gate)
}

fn is_at(status: &Status, wanted: LoadStage) -> bool {
    matches!(status.state, State::Loading { stage, .. } if stage == wanted)
}

#[test]
fn status_tells_of_loading_and_at_the_end_of_all_its_stages() {
    let (beast, gate) = held();
    let status = beast.status();
    assert_eq!(status.model, None);
    let stages: Vec<_> = status.stages.iter().map(|stage| stage.stage).collect();
    assert_eq!(stages, [LoadStage::ProcessStart, LoadStage::Socket], "what is finished so far");
    let text = beast.run(&["status"]);
    assert!(text.answer().starts_with("state     loading: model file 0 %\n"), "{text}");

    gate.open();
    beast.ready();
    let status = beast.status();
    let stages: Vec<_> = status.stages.iter().map(|stage| stage.stage).collect();
    assert_eq!(stages, STAGES);
    for stage in status.stages {
        assert!(stage.us > 0, "{} took some time", stage.stage.label());
    }
    assert!(status.model.is_some());
    let text = beast.run(&["status"]);
    for name in ["process start", "socket", "model file", "weights", "context and buffers", "warm-up", "total"] {
        assert!(text.answer().lines().any(|line| line.contains(name) && line.contains(" ms ")), "{name} in {text}");
    }
}

#[test]
fn a_request_waits_for_the_model_and_is_told_what_for() {
    let (beast, gate) = held();
    let mut watcher = beast.watcher();
    let mut client = beast.client();
    client.send(&Request::Generate(ask(TEXT)));
    let event = client.event();
    assert!(matches!(event, Some(Event::Loading { stage: LoadStage::ModelFile, .. })), "{event:?}");
    let waiting: Vec<_> = (0..3).map(|_| beast.begin(&["ask", "What is a socket?"])).collect();
    eventually(|| watcher.status().n_connections == 5);

    gate.open();
    let answer = client.answer();
    assert_eq!(answer.done().0, FinishReason::Stop);
    // Short stages may be missing, but none is out of order.
    let loading = answer.events.iter().map_while(|event| match event {
        Event::Loading { stage, .. } => STAGES.iter().position(|other| other == stage),
        _ => None,
    });
    assert!(loading.is_sorted(), "{:?}", answer.events);
    for waiting in waiting {
        assert!(waiting.finish().answer().contains("socket"));
    }
}

#[test]
fn a_client_that_leaves_while_the_model_is_loaded_is_forgotten() {
    let (beast, gate) = held();
    let mut watcher = beast.watcher();
    let mut client = beast.client();
    client.send(&Request::Generate(ask(TEXT)));
    client.event();
    let waiting = beast.begin(&["ask", "What is a socket?"]);
    eventually(|| watcher.status().n_connections == 3);
    drop((client, waiting));
    eventually(|| watcher.status().n_connections == 1);
    gate.open();
    run(&mut beast.ctl(&["summarize"]), TEXT).answer();
    assert_eq!(beast.status().n_requests, 1);
}

#[test]
fn a_daemon_that_is_told_to_end_while_it_loads_tells_those_who_wait() {
    let (mut beast, gate) = held();
    let mut watcher = beast.watcher();
    let waiting = beast.begin(&["ask", "What is a socket?"]);
    eventually(|| watcher.status().n_connections == 2);
    let mut client = beast.client();
    client.send(&Request::Generate(ask(TEXT)));
    client.event();
    beast.signal(rustix::process::Signal::TERM);
    assert_eq!(client.answer().error().code, ErrorCode::ShuttingDown);
    let output = waiting.finish();
    assert!(output.failure(75).contains("shutting down"), "{output}");
    gate.open();
    assert_eq!(beast.exit(), Some(0));
    assert!(!beast.socket().exists());
}

#[test]
fn the_built_in_model_says_that_it_is_one_and_where_the_real_one_is() {
    let beast = Beast::start();
    beast.ready();
    let notices: Vec<_> = beast.status().notices.into_iter().map(|notice| notice.text).collect();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("tiny built-in model") && notices[0].contains("beastctl models pull"), "{notices:?}");
}

#[test]
fn the_default_model_is_taken_when_it_is_on_disk() {
    let home = Home::new();
    let folder =
        if cfg!(target_os = "macos") { "Library/Application Support/beast/models" } else { "data/beast/models" };
    let cub = std::fs::read(beast_tests::project("models/cub/cub.gguf")).expect("the built-in model is there");
    let path = home.write(&format!("{folder}/LFM2-2.6B-Q4_K_M.gguf"), cub);
    let beast = home.start(&[]);
    beast.ready();
    let status = beast.status();
    assert_eq!(status.model.map(|model| model.path), Some(path.display().to_string()));
    assert_eq!(status.notices, []);
}
