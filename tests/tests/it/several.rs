//! Several models in one budget: who is loaded, who leaves, who waits.

use std::path::PathBuf;

use beast_protocol::{Embed, ErrorCode, Event, Generate, ModelState, ModelStatus, Request};
use beast_tests::gguf::{Gguf, Value};
use beast_tests::{Beast, Client, Home, eventually, project, samples};
use rustix::process::Signal;

/// Small caches, so that a model takes little more than its weights.
pub const SMALL: [&str; 3] = ["n_ctx=512", "n_slots=2", "n_prefixes=2"];

/// A copy of the built-in model that calls itself so.
pub fn copy(home: &Home, name: &str) -> PathBuf {
    let mut gguf = Gguf::parse(&std::fs::read(project("models/cub/cub.gguf")).expect("part of the project"));
    gguf.set("general.name", Value::text(name));
    home.write(&format!("{name}.gguf"), gguf.bytes())
}

/// Memory of one such model in bytes, with small caches.
pub fn need() -> u64 {
    measured(&SMALL)
}

/// The same with this context and as many slots as usual.
pub fn need_of(n_ctx: usize) -> u64 {
    measured(&[&format!("n_ctx={n_ctx}")])
}

fn measured(settings: &[&str]) -> u64 {
    let beast = Beast::with(settings);
    beast.ready();
    beast.status().models[0].n_bytes
}

/// A daemon with a budget for so many tenths of a model, its default one included.
fn with_room_for(n_tenths: u64, more: &[&str]) -> (Beast, Vec<String>) {
    let home = Home::new();
    let paths = ["anna", "bert", "cleo"].map(|name| copy(&home, name).display().to_string());
    let budget = format!("memory_budget={}", need() * n_tenths / 10);
    let beast = home.start(&[&SMALL[..], &[&budget, "idle_unload=never"], more].concat());
    beast.ready();
    (beast, paths.into())
}

fn question(model: &str) -> Generate {
    Generate { model: Some(model.to_owned()), ..samples::commit_msg(&samples::diff("read_all", 3)) }
}

fn babble(model: &str, n: u32) -> Generate {
    Generate { model: Some(model.to_owned()), ..samples::babble(n) }
}

fn row(beast: &Beast, name: &str) -> Option<ModelStatus> {
    beast.status().models.into_iter().find(|model| model.name == name)
}

fn n_loads(beast: &Beast) -> Vec<u32> {
    ["anna", "bert", "cleo"].map(|name| row(beast, name).map_or(0, |model| model.n_loads)).into()
}

#[test]
fn a_budget_that_is_lowered_lets_idle_models_leave() {
    let home = Home::new();
    let paths = ["anna", "bert"].map(|name| copy(&home, name).display().to_string());
    let budget = |n_tenths: u64| format!("memory_budget = \"{}\"\n", need() * n_tenths / 10);
    home.configure(&budget(35));
    let beast = home.start(&[&SMALL[..], &["idle_unload=never"]].concat());
    for path in &paths {
        beast.client().ask(&question(path));
    }
    let is_held = |model: &&ModelStatus| !matches!(model.state, ModelState::Unloaded | ModelState::Failed);
    let n_held = || beast.status().models.iter().filter(is_held).count();
    assert_eq!(n_held(), 3);
    beast.configure(&budget(15));
    beast.signal(Signal::HUP);
    eventually(|| n_held() == 1);
    check_budget(&beast);
    assert!(row(&beast, "bert").is_some_and(|model| model.state == ModelState::Ready), "it was used last");
    // The rest goes on as before.
    assert!(!beast.client().ask(&question(&paths[0])).text.is_empty());
    eventually(|| n_held() == 1);
}

/// The memory of all models that are not certainly gone stays within the budget.
fn check_budget(beast: &Beast) {
    let status = beast.status();
    let is_held = |model: &&ModelStatus| !matches!(model.state, ModelState::Unloaded | ModelState::Failed);
    let held: u64 = status.models.iter().filter(is_held).map(|model| model.n_bytes).sum();
    assert!(held <= status.memory_budget.expect("it is configured"), "{:#?}", status.models);
}

fn embed(beast: &Beast, model: &str) -> Vec<f32> {
    let mut client = beast.client();
    client.send(&Request::Embed(Embed {
        model: Some(model.to_owned()),
        texts: vec!["a text".into()],
        drop_tail: true,
    }));
    match client.until(|event| matches!(event, Event::Embedded(_) | Event::Failed(_))) {
        Event::Embedded(embedded) => embedded.vectors.into_iter().next().expect("a vector"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn three_models_share_room_for_two_and_the_least_recently_used_leaves() {
    let (beast, paths) = with_room_for(22, &[]);
    let [anna, bert, cleo] = &paths[..] else { unreachable!("three models") };
    let expected = beast.client().ask(&samples::commit_msg(&samples::diff("read_all", 3))).text;
    for model in [anna, bert, anna, anna, cleo, anna] {
        assert_eq!(beast.client().ask(&question(model)).text, expected, "all have the same weights");
        check_budget(&beast);
    }
    assert_eq!(n_loads(&beast), [1, 1, 1], "anna was used again before cleo came");
    assert_eq!(row(&beast, "bert").expect("asked for").state, ModelState::Unloaded);
    // Chat and embeddings mixed.
    let vector = embed(&beast, bert);
    assert_eq!(beast.client().ask(&question(anna)).text, expected);
    assert_eq!(embed(&beast, cleo), vector);
    check_budget(&beast);
    assert_eq!(n_loads(&beast), [1, 2, 2]);
    let status = beast.run(&["status"]);
    for name in ["builtin: unloaded", "anna: ready", "bert: unloaded", "cleo: ready"] {
        assert!(status.answer().contains(name), "{status}");
    }
    assert_eq!(beast.client().ask(&samples::commit_msg(&samples::diff("read_all", 3))).text, expected);
}

#[test]
fn requests_for_the_same_absent_model_share_one_load() {
    let (beast, paths) = with_room_for(22, &[]);
    let mut clients: Vec<Client> = (0..6).map(|_| beast.client()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(&Request::Generate(question(&paths[n % 2])));
    }
    for client in &mut clients {
        client.answer().done();
    }
    assert_eq!(n_loads(&beast), [1, 1, 0]);
}

#[test]
fn a_busy_model_stays_and_the_next_one_waits_for_it() {
    let (beast, paths) = with_room_for(12, &[]);
    let mut running = beast.client();
    running.begin(&babble(&paths[0], 300));
    let mut waiting = beast.client();
    waiting.send(&Request::Generate(question(&paths[1])));
    waiting.until(|event| matches!(event, Event::Queued { position: 1 }));
    assert_eq!(row(&beast, "bert").map(|model| (model.state, model.n_waiting)), Some((ModelState::Unloaded, 1)));
    assert_eq!(running.answer().done().1.n_generated, 300);
    waiting.answer().done();
    assert_eq!(row(&beast, "anna").map(|model| model.state), Some(ModelState::Unloaded));
    check_budget(&beast);
}

/// Two clients keep one model busy without a pause, each asking again before the other's answer has ended.
#[test]
fn who_waits_for_a_model_is_not_kept_out_by_a_flood_of_requests_for_another() {
    let (beast, paths) = with_room_for(12, &[]);
    let mut flood: Vec<Client> = (0..2).map(|_| beast.client()).collect();
    flood[0].send(&Request::Generate(babble(&paths[0], 60)));
    let mut waiting = beast.client();
    let mut n_answered = 0;
    for n in 0..40 {
        flood[(n + 1) % 2].send(&Request::Generate(babble(&paths[0], 60)));
        if n == 1 {
            waiting.send(&Request::Generate(question(&paths[1])));
        }
        flood[n % 2].answer().done();
        n_answered += 1;
        if row(&beast, "bert").is_some_and(|model| model.n_loads > 0) {
            break;
        }
    }
    assert!(n_answered < 20, "{n_answered} requests came first");
    waiting.answer().done();
    flood[n_answered % 2].answer().done();
}

#[test]
fn a_client_that_leaves_takes_its_wish_along() {
    let (beast, paths) = with_room_for(12, &[]);
    let mut running = beast.client();
    running.begin(&babble(&paths[0], 400));
    let mut waiting = beast.client();
    waiting.send(&Request::Generate(question(&paths[1])));
    waiting.until(|event| matches!(event, Event::Queued { .. }));
    drop(waiting);
    eventually(|| row(&beast, "bert").is_some_and(|model| model.n_waiting == 0));
    running.answer().done();
    beast.client().ask(&question(&paths[0])).done();
    assert_eq!(n_loads(&beast), [1, 0, 0]);
}

#[test]
fn a_pinned_model_stays_and_one_that_never_fits_is_refused_with_both_sizes() {
    let (beast, paths) = with_room_for(12, &["pinned=builtin"]);
    let error = beast.client().ask(&question(&paths[0])).error();
    assert_eq!(error.code, ErrorCode::ModelUnavailable);
    assert!(error.message.contains("does not fit beside the pinned models"), "{error}");
    let (beast, paths) = with_room_for(12, &["n_ctx=512"]);
    beast.client().ask(&question(&paths[0])).done();
    // Twice its cells in a budget for little more than one.
    let home = Home::new();
    let path = copy(&home, "large").display().to_string();
    let beast = home.start(&["memory_budget=20MiB", "n_ctx=4096", "failed_linger=1h", &format!("model={path}")]);
    let error = beast.client().ask(&samples::ask("Hello?")).error();
    assert_eq!(error.code, ErrorCode::ModelUnavailable);
    assert!(error.message.starts_with("the model large does not fit: it needs "), "{error}");
    assert!(error.message.contains("memory_budget is 20 MiB; try: raise memory_budget"), "{error}");
}

#[test]
fn two_names_of_one_file_are_one_model() {
    let home = Home::new();
    let path = copy(&home, "anna");
    std::os::unix::fs::symlink(&path, home.path("link.gguf")).expect("the home is writable");
    let link = home.path("link.gguf").display().to_string();
    let beast = home.start(&[&SMALL[..], &[&format!("model={}", path.display())]].concat());
    beast.ready();
    beast.client().ask(&question(&link)).done();
    let models = beast.status().models;
    assert_eq!(models.iter().map(|model| (model.n_loads, model.is_default)).collect::<Vec<_>>(), [(1, true)]);
}

#[test]
fn prefixes_of_an_evicted_model_come_back_with_it() {
    let home = Home::with_own_cache();
    let paths = ["anna", "bert"].map(|name| copy(&home, name).display().to_string());
    let budget = format!("memory_budget={}", need() * 6 / 5);
    let beast = home.start(&[&SMALL[..], &[&budget]].concat());
    beast.ready();
    let instruction = "Answer in one word. ".repeat(20);
    let question = |model: &String| Generate {
        model: Some(model.clone()),
        max_tokens: Some(3),
        ..samples::instructed("commit-msg", &instruction)
    };
    // A prefix is worth saving once it was used again.
    let first = beast.client().ask(&question(&paths[0])).text;
    beast.client().ask(&question(&paths[0])).done();
    beast.client().ask(&question(&paths[1])).done();
    let again = beast.client().ask(&question(&paths[0]));
    assert_eq!(again.text, first);
    assert!(again.done().1.n_cached > 0, "{:?}", again.done());
    assert!(beast.status().stored.n_restored > 0);
}

#[test]
fn an_idle_model_leaves_by_itself_and_the_others_stay() {
    let home = Home::new();
    let path = copy(&home, "anna").display().to_string();
    let beast = home.start(&[&SMALL[..], &["idle_unload=300ms", "pinned=builtin"]].concat());
    beast.ready();
    beast.client().ask(&question(&path)).done();
    eventually(|| row(&beast, "anna").is_some_and(|model| model.state == ModelState::Unloaded));
    assert_eq!(row(&beast, "builtin").map(|model| (model.state, model.is_pinned)), Some((ModelState::Ready, true)));
}

/// While one model is busy and another idle, requests for a third take the idle one's place only.
#[test]
fn requests_for_a_third_model_cost_one_model_its_place() {
    let (beast, paths) = with_room_for(22, &[]);
    let [anna, bert, cleo] = &paths[..] else { unreachable!("three models") };
    beast.client().ask(&question(bert)).done();
    let mut running = beast.client();
    running.begin(&babble(anna, 300));
    let mut waiting: Vec<Client> = (0..3).map(|_| beast.client()).collect();
    waiting.iter_mut().for_each(|client| client.send(&Request::Generate(question(cleo))));
    for client in &mut waiting {
        client.answer().done();
    }
    running.answer().done();
    let states = ["anna", "bert", "cleo"].map(|name| row(&beast, name).expect("asked for").state);
    assert_eq!(states, [ModelState::Ready, ModelState::Unloaded, ModelState::Ready]);
    assert_eq!(n_loads(&beast), [1, 1, 1]);
}

/// Each waits for the only place, and none is loaded in vain.
#[test]
fn who_came_first_is_loaded_first_and_answers_before_it_leaves() {
    let (beast, paths) = with_room_for(12, &[]);
    let [anna, bert, cleo] = &paths[..] else { unreachable!("three models") };
    let mut running = beast.client();
    running.begin(&babble(anna, 200));
    let mut waiting: Vec<Client> = Vec::new();
    for model in [bert, cleo] {
        let mut client = beast.client();
        client.send(&Request::Generate(question(model)));
        client.until(|event| matches!(event, Event::Queued { .. }));
        waiting.push(client);
    }
    running.answer().done();
    // The second has its answer only once the first has had its own.
    waiting[1].answer().done();
    assert_eq!(row(&beast, "bert").map(|model| (model.n_loads, model.n_waiting, model.n_running)), Some((1, 0, 0)));
    waiting[0].answer().done();
    assert_eq!(n_loads(&beast), [1, 1, 1]);
}

/// Clients of three models in room for one, all at once: every request is answered.
#[test]
fn many_clients_of_three_models_in_room_for_one_are_all_answered() {
    let (beast, paths) = with_room_for(12, &[]);
    let expected = beast.client().ask(&question(&paths[0])).text;
    std::thread::scope(|scope| {
        for n in 0..6 {
            let (beast, paths, expected) = (&beast, &paths, &expected);
            scope.spawn(move || {
                for turn in 0..4 {
                    let answer = beast.client().ask(&question(&paths[(n + turn) % 3]));
                    assert_eq!(answer.text, *expected);
                    check_budget(beast);
                }
            });
        }
    });
    let n_loads: u32 = n_loads(&beast).iter().sum();
    assert!(n_loads <= 24, "requests share loads: {n_loads}");
}
