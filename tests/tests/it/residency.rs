//! Models that are unloaded and reloaded.

use beast_protocol::{Event, Generate, Request, State};
use beast_tests::{Beast, Home, eventually, samples};

/// Private memory of a process in bytes, on Linux. Does not count pages of the program's own file: the kernel maps
/// and reclaims those as it likes.
#[cfg(target_os = "linux")]
fn held(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let kilobytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    (kilobytes("RssAnon:") + kilobytes("RssShmem:")) * 1024
}

/// The models folder in the home of a test.
const MODELS: &str =
    if cfg!(target_os = "macos") { "Library/Application Support/beast/models" } else { "data/beast/models" };

#[test]
fn an_idle_model_leaves_and_comes_back_for_the_next_request() {
    let beast = Beast::with(&["idle_unload=300ms"]);
    beast.ready();
    let question = samples::commit_msg(&samples::diff("read_all", 3));
    let first = beast.client().ask(&question);
    let mut watcher = beast.client();
    eventually(|| watcher.status().state == State::Unloaded);
    assert!(watcher.status().model.is_none());
    #[cfg(target_os = "linux")]
    eventually(|| held(beast.pid()) <= 8_000_000);
    // Neither this nor another status request loads it.
    assert_eq!(watcher.status().state, State::Unloaded);
    let second = beast.client().ask(&question);
    assert_eq!(second.text, first.text);
    assert!(second.events.iter().any(|event| matches!(event, Event::Loading { .. })), "{:?}", second.events);
}

/// A request at the moment when the idle model is unloaded.
#[test]
fn requests_about_as_far_apart_as_the_idle_time_hold_nobody_up() {
    let beast = Beast::with(&["idle_unload=0"]);
    beast.ready();
    let mut asks = beast.client();
    for _ in 0..30 {
        asks.ask(&samples::commit_msg(&samples::diff("read_all", 3))).done();
    }
    eventually(|| beast.status().state == State::Unloaded);
    let mut unloads = beast.client();
    unloads.send(&Request::Unload { model: None });
    unloads.until(|event| matches!(event, Event::Status(_)));
}

#[test]
fn never_is_never_and_nothing_is_at_once() {
    let beast = Beast::with(&["idle_unload=0"]);
    beast.ready();
    for _ in 0..3 {
        beast.client().ask(&samples::commit_msg(&samples::diff("read_all", 3))).done();
        eventually(|| beast.status().state == State::Unloaded);
    }
    let beast = Beast::with(&["idle_unload=never"]);
    beast.ready();
    beast.client().ask(&samples::commit_msg(&samples::diff("read_all", 3))).done();
    assert_eq!(beast.status().state, State::Ready);
}

#[test]
fn by_hand_it_goes_and_comes() {
    let beast = Beast::start();
    beast.ready();
    for _ in 0..2 {
        let output = beast.run(&["unload"]);
        assert_eq!((output.code, &*output.stdout, &*output.stderr), (Some(0), "", ""));
        assert_eq!(beast.status().state, State::Unloaded);
    }
    assert!(beast.run(&["status"]).answer().contains("unloaded"));
    for _ in 0..2 {
        let output = beast.run(&["load"]);
        assert_eq!((output.code, &*output.stdout, &*output.stderr), (Some(0), "", ""));
        assert_eq!(beast.status().state, State::Ready);
    }
}

/// `auto` means the default model as soon as its file exists; here that is a copy of the built-in one under its name.
#[test]
fn a_model_that_was_fetched_is_used_without_a_restart() {
    let beast = Beast::start();
    beast.ready();
    let pid = beast.pid();
    let name = format!("{MODELS}/LFM2-2.6B-Q4_K_M.gguf");
    let fetched = beast.write(&name, std::fs::read(beast.unpacked()).expect("it was unpacked"));
    let output = beast.run(&["models", "use", "auto"]);
    assert_eq!(output.code, Some(0), "{output}");
    let status = beast.status();
    assert_eq!((status.pid, status.model.expect("loaded").path), (pid, fetched.display().to_string()));
    let output = beast.run(&["models", "use", "builtin"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(beast.status().model.expect("loaded").path, beast.unpacked().display().to_string());
    let output = beast.run(&["models", "use", "/nowhere/model.gguf"]);
    assert_ne!(output.code, Some(0), "{output}");
}

/// The configuration does not name it: the daemon was started with it.
#[test]
fn the_model_that_comes_back_is_not_removed_by_a_slip() {
    let home = Home::new();
    let cub = std::fs::read(beast_tests::project("models/cub/cub.gguf")).expect("the built-in model is there");
    let path = home.write(&format!("{MODELS}/mine.gguf"), cub);
    let beast = home.start(&[&format!("model={}", path.display())]);
    beast.ready();
    assert_eq!(beast.run(&["unload"]).code, Some(0));
    assert!(beast.run(&["status"]).answer().contains(&format!("{}, unloaded", path.display())));
    let output = beast.run(&["models", "rm", "-y", "mine"]);
    assert!(output.failure(2).contains("mine.gguf is in use"), "{output}");
    assert!(path.exists());
}

/// Running requests finish on the model that they started with.
#[test]
fn another_model_takes_over_beside_the_first() {
    let beast = Beast::start();
    beast.ready();
    let mut running = beast.client();
    running.begin(&Generate { max_tokens: Some(300), ..samples::babble(300) });
    let copy = beast.write("copy of cub.gguf", std::fs::read(beast.unpacked()).expect("it was unpacked"));
    let mut other = beast.client();
    other.send(&Request::Use { model: copy.display().to_string() });
    assert_eq!(running.answer().done().1.n_generated, 300);
    let Event::Status(status) = other.until(|event| matches!(event, Event::Status(_) | Event::Failed(_))) else {
        panic!("it can be loaded")
    };
    assert_eq!(status.model.expect("it is loaded").path, copy.display().to_string());
    beast.client().ask(&samples::commit_msg(&samples::diff("read_all", 3))).done();
    // A model that cannot be loaded changes nothing.
    let mut wrong = beast.client();
    wrong.send(&Request::Use { model: "/nowhere/model.gguf".into() });
    let end = wrong.until(|event| matches!(event, Event::Status(_) | Event::Failed(_)));
    assert!(matches!(&end, Event::Failed(error) if error.message.contains("/nowhere/model.gguf")), "{end:?}");
    beast.client().ask(&samples::commit_msg(&samples::diff("read_all", 3))).done();
    assert_eq!(beast.status().model.expect("it is back").path, copy.display().to_string());
}

/// Once its answer is computed, the model need not wait until it is read.
#[test]
fn a_client_that_stops_reading_keeps_no_model() {
    let beast = Beast::start();
    beast.ready();
    let mut stalled = beast.client();
    // More pieces than a socket buffers.
    stalled.begin(&samples::babble(1500));
    let mut watcher = beast.client();
    eventually(|| watcher.status().n_running == 0);
    let mut unloads = beast.client();
    unloads.send(&Request::Unload { model: None });
    unloads.until(|event| matches!(event, Event::Status(_)));
    assert_eq!(watcher.status().state, State::Unloaded);
    // When the client reads at last, the answer is complete.
    assert_eq!(stalled.answer().done().1.n_generated, 1500);
}

/// Neither a request that arrives during an unload nor the next change waits forever.
#[test]
fn a_request_in_the_middle_of_an_unload_holds_nobody_up() {
    let beast = Beast::with(&["idle_unload=never"]);
    beast.ready();
    let question = samples::commit_msg(&samples::diff("read_all", 3));
    for _ in 0..20 {
        let (mut asks, mut unloads) = (beast.client(), beast.client());
        unloads.send(&Request::Unload { model: None });
        asks.send(&Request::Generate(question.clone()));
        assert!(matches!(unloads.until(|event| matches!(event, Event::Status(_))), Event::Status(_)));
        asks.answer().done();
    }
}

#[test]
fn an_unload_that_waits_holds_no_load_up_and_ends_with_its_client() {
    let beast = Beast::start();
    beast.ready();
    let mut running = beast.client();
    running.begin(&samples::babble(3900));
    let mut unloads = beast.client();
    unloads.send(&Request::Unload { model: None });
    let copy = beast.write("copy of cub.gguf", std::fs::read(beast.unpacked()).expect("it was unpacked"));
    let is_status = |event: &Event| matches!(event, Event::Status(_));
    // These models are loaded already.
    let mut loads = beast.client();
    for model in [None, Some("builtin".to_owned())] {
        loads.send(&Request::Load { model });
        loads.until(is_status);
    }
    drop(unloads);
    // This one is loaded beside the running request.
    loads.send(&Request::Use { model: copy.display().to_string() });
    drop(running);
    let Event::Status(status) = loads.until(is_status) else { unreachable!("a status was waited for") };
    assert_eq!(status.model.expect("it is loaded").path, copy.display().to_string());
}

#[test]
fn a_model_that_cannot_be_loaded_is_told_to_whoever_asked_for_it_alone() {
    let beast = Beast::start();
    beast.ready();
    let broken = beast.write("broken.gguf", "GGUF and then nothing");
    let mut wrong = beast.client();
    wrong.send(&Request::Use { model: broken.display().to_string() });
    beast.client().ask(&samples::commit_msg(&samples::diff("read_all", 3))).done();
    let end = wrong.until(|event| matches!(event, Event::Status(_) | Event::Failed(_)));
    assert!(matches!(&end, Event::Failed(error) if error.message.contains("GGUF")), "{end:?}");
    assert_eq!(beast.status().model.expect("it stays").path, beast.unpacked().display().to_string());
    assert_eq!(beast.status().state, State::Ready);
}

/// The way out if a model cannot be loaded: the next daemon uses the other one.
#[test]
fn another_model_is_chosen_while_the_daemon_says_why_there_is_none() {
    let home = Home::new();
    home.configure("model = \"/nowhere/model.gguf\"\nfailed_linger = \"1h\"\n");
    let question = ["ask", "Why?", "--max-tokens", "3"];
    assert_eq!(home.run(&question).code, Some(1));
    let output = home.run(&["models", "use", "builtin"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(home.run(&question).code, Some(0));
    assert_eq!(home.run(&["stop"]).code, Some(0));
}
