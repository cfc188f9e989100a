//! `models list|show|use|rm`.

use std::{fs, path::PathBuf};

use beast_protocol::{ErrorCode, Event, Request, Status, Welcome, WireError};
use expect_test::expect;

use crate::{
    harness::{Beast, Peer, Ran, feed, printed},
    verbs::status,
};

fn run(beast: &Beast, arguments: &[&str]) -> Ran {
    let mut command = beast.command(&[&["models"], arguments].concat());
    command.env("XDG_DATA_HOME", beast.path("data"));
    Ran::of(feed(command, b""), beast.dir.path())
}

fn model(beast: &Beast, name: &str) -> PathBuf {
    beast.write(&format!("data/beast/models/{name}"), "GGUF and more")
}

fn config(beast: &Beast) -> String {
    fs::read_to_string(beast.path("config/beast/config.toml")).unwrap_or_default()
}

#[test]
fn the_list_has_names_and_files() {
    let beast = Beast::new();
    model(&beast, "LFM2-2.6B-Q4_K_M.gguf");
    model(&beast, "my model.gguf");
    beast.write("data/beast/models/Qwen3-4B-Q4_K_M.gguf.part", vec![0; 5000]);
    // Files that are hard to find otherwise: an abandoned download, and a link into a cache that was emptied.
    beast.write("data/beast/models/half.gguf.part", vec![0; 5000]);
    let known = r#"{"url":"https://a.example/half.gguf","sha256":null,"validator":null,"size":null}"#;
    beast.write("data/beast/models/half.gguf.part.json", known);
    std::os::unix::fs::symlink("/no/such.gguf", beast.path("data/beast/models/gone.gguf")).unwrap();
    let listed = run(&beast, &[]);
    expect![[r#"
        lfm2-2.6b         13 B  in use   the default: summaries, commit messages, questions about a text; LFM Open License v1.0
        lfm2-350m     229.3 MB           draft model for speculative decoding with lfm2-2.6b; the smallest model on its own; LFM Open License v1.0
        lfm2.5-1.2b   730.9 MB           newer and faster than the default, knows less; LFM Open License v1.0
        lfm2.5-350m   229.3 MB           titles and keywords on slow machines; LFM Open License v1.0
        qwen2.5-1.5b    1.1 GB           small, many languages, open licence; Apache-2.0
        qwen3-4b        2.5 GB  partial  5.0 kB downloaded so far; try: beastctl models pull qwen3-4b
        smollm3-3b      1.9 GB           trained in the open, six European languages, open licence; Apache-2.0
        gone                    lost     its file was /no/such.gguf, which is gone; try: beastctl models rm gone
        half                    partial  5.0 kB downloaded so far; try: beastctl models pull https://a.example/half.gguf
        my model          13 B  here
    "#]]
    .assert_eq(&listed.stdout);
    let json: serde_json::Value = serde_json::from_str(&run(&beast, &["list", "--json"]).stdout).unwrap();
    assert_eq!(json[0]["state"], "in_use");
    assert_eq!(json[1]["state"], "absent");
    assert_eq!(json[5]["partial_bytes"], 5000);
    assert_eq!((&json[7]["state"], &json[8]["state"]), (&"lost".into(), &"partial".into()));
    assert_eq!(json[9]["name"], "my model");
    assert!(run(&beast, &["show", "half"]).stdout.contains("5.0 kB downloaded so far"));
    assert_eq!(run(&beast, &["--json"]).stdout, run(&beast, &["list", "--json"]).stdout);
}

#[test]
fn one_is_shown_with_all_that_is_known() {
    let beast = Beast::new();
    expect![[r#"
        exit 0
        out: "name      lfm2-2.6b\nfor       the default: summaries, commit messages, questions about a text\nsize      1.6 GB\nlicence   LFM Open License v1.0\ntext      https://huggingface.co/LiquidAI/LFM2-2.6B-GGUF/blob/main/LICENSE\nsampling  --temp 0.3, --min-p 0.15, --repeat-penalty 1.05\ndraft     lfm2-350m\nsource    https://huggingface.co/LiquidAI/LFM2-2.6B-GGUF/resolve/main/LFM2-2.6B-Q4_K_M.gguf\nstate     not on disk; try: beastctl models pull lfm2-2.6b\n"
        err: "#]]
    .assert_eq(&run(&beast, &["show", "lfm2-2.6b"]).report());
    model(&beast, "my model.gguf");
    expect![[r#"
        exit 0
        out: "name      my model\nsize      13 B\nlicence   not known\nsource    not known\nstate     here\nfile      DIR/data/beast/models/my model.gguf\nsha256    not verified: no hash is known\n"
        err: "#]]
    .assert_eq(&run(&beast, &["show", "my model"]).report());
    let json: serde_json::Value =
        serde_json::from_str(&run(&beast, &["show", "--json", "lfm2.5-1.2b"]).stdout).unwrap();
    assert_eq!(json["sampling"]["top_k"], 50);
    let unknown = run(&beast, &["show", "my modle"]);
    assert_eq!(unknown.report(), "exit 2\nout: \"\"\nerr: beastctl: unknown model my modle; try: my model\n");
}

#[test]
fn use_changes_one_line_of_the_configuration() {
    let beast = Beast::new();
    model(&beast, "LFM2-350M-Q4_K_M.gguf");
    let before = "# mine\nn_slots = 2\nmodel = \"auto\" # for now\n";
    beast.write("config/beast/config.toml", before);
    assert_eq!(run(&beast, &["use", "lfm2-350m"]).report(), "exit 0\nout: \"\"\nerr: ");
    let path = beast.path("data/beast/models/LFM2-350M-Q4_K_M.gguf");
    assert_eq!(config(&beast), before.replace("auto", path.to_str().unwrap()));
    assert_eq!(run(&beast, &["use", "builtin"]).code, Some(0));
    assert_eq!(config(&beast), before.replace("auto", "builtin"));
    let own = beast.write("own/a model.gguf", "GGUF and more");
    assert_eq!(run(&beast, &["use", "own/a model.gguf"]).code, Some(0));
    assert_eq!(config(&beast), before.replace("auto", own.to_str().unwrap()));
}

#[test]
fn use_refuses_what_is_no_model() {
    let beast = Beast::new();
    beast.write("notes.gguf", "just words");
    let refused = |name: &str| run(&beast, &["use", name]).report();
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: DIR/notes.gguf is not a GGUF file; try: use the GGUF file itself, not a web page or an archive
    "#]]
    .assert_eq(&refused("notes.gguf"));
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: lfm2-2.6b is not on disk; try: beastctl models pull lfm2-2.6b
    "#]]
    .assert_eq(&refused("lfm2-2.6b"));
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: org/repo:Q4_0 is not on disk; try: beastctl models pull org/repo:Q4_0
    "#]]
    .assert_eq(&refused("org/repo:Q4_0"));
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: cannot read /no/such.gguf: No such file or directory (os error 2); try: ls /no, to see what is there
    "#]]
    .assert_eq(&refused("/no/such.gguf"));
    assert_eq!(config(&beast), "");
}

#[test]
fn what_the_daemon_refuses_is_not_set() {
    let (beast, before) = (Beast::new(), "# mine\nmodel = \"builtin\"\n");
    let path = model(&beast, "mine.gguf");
    beast.write("config/beast/config.toml", before);
    let second = beast.command(&["models", "use", "builtin"]);
    let dir = beast.dir.path().to_owned();
    let daemon = beast.daemon(move |peer| {
        assert_eq!(peer.request(), Request::Use { model: path.to_str().unwrap().into() });
        let second = Ran::of(feed(second, b""), &dir);
        let error = WireError::new(ErrorCode::ModelUnavailable, "no tensor of this name");
        peer.send(&Event::Failed(error));
        second
    });
    let ran = run(&beast, &["use", "mine"]);
    let second = daemon.join().unwrap();
    assert!(ran.code == Some(1) && ran.stderr.contains("no tensor"), "{}", ran.report());
    assert!(
        second.code == Some(75) && second.stderr.contains("config.toml is in use by another beastctl"),
        "{}",
        second.report()
    );
    assert_eq!(config(&beast), before);
    assert_eq!(fs::read_dir(beast.path("config/beast")).unwrap().count(), 1);
}

/// Half a download by another program, under the name of the default model.
#[test]
fn a_cut_file_is_not_the_default_model() {
    let beast = Beast::new();
    let whole = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cub/cub.gguf")).unwrap();
    let path = beast.write("data/beast/models/LFM2-2.6B-Q4_K_M.gguf", &whole[..whole.len() / 2]);
    let listed = run(&beast, &["list"]).stdout;
    assert!(listed.contains("damaged  DIR/data/beast/models/LFM2-2.6B-Q4_K_M.gguf is truncated: it has "), "{listed}");
    for arguments in [["pull", "lfm2-2.6b"], ["use", "auto"], ["use", "lfm2-2.6b"]] {
        let ran = run(&beast, &arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{arguments:?}: {}", ran.stderr);
        let next = "; try: rm DIR/data/beast/models/LFM2-2.6B-Q4_K_M.gguf, and pull the model again\n";
        assert!(ran.stderr.contains(" is truncated: it has ") && ran.stderr.ends_with(next), "{}", ran.stderr);
    }
    assert_eq!(config(&beast), "");
    // A complete file, but not the catalogue's model.
    fs::write(path, whole).unwrap();
    let ran = run(&beast, &["pull", "lfm2-2.6b"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("needs at least 1563668704;"), "{}", ran.report());
}

#[test]
fn the_model_in_use_is_not_removed_by_a_slip() {
    let beast = Beast::new();
    let path = model(&beast, "LFM2-2.6B-Q4_K_M.gguf");
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: LFM2-2.6B-Q4_K_M.gguf is in use; try: switch with beastctl models use first, or pass --force
    "#]]
    .assert_eq(&run(&beast, &["rm", "-y", "lfm2-2.6b"]).report());
    assert!(path.exists());
    assert_eq!(run(&beast, &["rm", "--force", "lfm2-2.6b"]).report(), "exit 0\nout: \"\"\nerr: ");
    assert!(!path.exists());
    assert_eq!(run(&beast, &["rm", "-y", "lfm2-2.6b"]).code, Some(1));
    assert_eq!(run(&beast, &["rm", "-y", "../../config"]).code, Some(2));
}

/// Even if the daemon uses another path to the same folder.
#[test]
fn what_a_running_daemon_has_loaded_is_in_use() {
    let beast = Beast::new();
    let path = model(&beast, "mine.gguf");
    std::os::unix::fs::symlink(beast.path("data/beast"), beast.path("link")).unwrap();
    let loaded = beast.path("link/models/mine.gguf").to_str().unwrap().to_owned();
    let daemon = beast.daemon(move |peer| {
        assert_eq!(peer.request(), Request::Status);
        let mut status = status();
        status.model.as_mut().unwrap().path = loaded;
        peer.send(&Event::Status(Box::new(status)));
    });
    let ran = run(&beast, &["rm", "-y", "mine"]);
    daemon.join().unwrap();
    assert!(ran.code == Some(2) && ran.stderr.contains("mine.gguf is in use"), "{}", ran.report());
    assert!(path.exists());
}

/// A daemon that was started with `--model` and has unloaded its model, whatever the configuration says.
#[test]
fn what_a_running_daemon_loads_next_is_in_use() {
    let beast = Beast::new();
    let path = model(&beast, "mine.gguf");
    let configured = path.to_str().unwrap().to_owned();
    let listener = std::os::unix::net::UnixListener::bind(beast.socket()).unwrap();
    let daemon = std::thread::spawn(move || {
        for _ in 0..2 {
            let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 1));
            assert_eq!(peer.request(), Request::Status);
            let status = Status { model: None, configured: configured.clone(), ..status() };
            peer.send(&Event::Status(Box::new(status)));
        }
    });
    let listed = run(&beast, &["list"]).stdout;
    assert!(listed.lines().any(|line| line.starts_with("mine") && line.contains("in use")), "{listed}");
    let ran = run(&beast, &["rm", "-y", "mine"]);
    daemon.join().unwrap();
    assert!(ran.code == Some(2) && ran.stderr.contains("mine.gguf is in use"), "{}", ran.report());
    assert!(path.exists());
}

#[test]
fn what_beastd_would_load_next_is_in_use() {
    let beast = Beast::alone();
    let path = model(&beast, "mine.gguf");
    let printed = printed(&format!("model = \"{}\"  # profile", path.display()));
    beast.beastd(&format!("[ \"$*\" = --print-config=json ] && echo '{printed}'"));
    let ran = run(&beast, &["rm", "-y", "mine"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("mine.gguf is in use"), "{}", ran.report());
    assert!(path.exists());
}

#[test]
fn a_download_that_was_given_up_can_be_removed() {
    let beast = Beast::new();
    for ending in ["part", "part.json"] {
        beast.write(&format!("data/beast/models/LFM2-350M-Q4_K_M.gguf.{ending}"), "half");
    }
    assert_eq!(run(&beast, &["rm", "-y", "lfm2-350m"]).report(), "exit 0\nout: \"\"\nerr: ");
    assert_eq!(fs::read_dir(beast.path("data/beast/models")).unwrap().count(), 0);
}
