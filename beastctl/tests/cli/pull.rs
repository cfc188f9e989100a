//! `models pull` from a faulty web server.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher, Hasher},
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};

use crate::{
    harness::{Beast, PATIENCE, Ran, feed},
    web::{Fault, Page, Web},
};

const REPO: &str = "org/repo-GGUF";
const FILE: &str = "m-Q4_K_M.gguf";

/// Bytes without repetition, so that misplaced ones are noticed.
pub(crate) fn gguf(n: usize) -> Arc<Vec<u8>> {
    let mut bytes = Vec::with_capacity(n + 8);
    bytes.extend(b"GGUF");
    let mut state = 88_172_645_463_325_252_u64;
    while bytes.len() < n {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(n);
    Arc::new(bytes)
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hub with one file, which is stored on another server.
struct Hub {
    hub: Web,
    cdn: Web,
    bytes: Arc<Vec<u8>>,
}

impl Hub {
    fn new(bytes: Arc<Vec<u8>>) -> Self {
        let hub = Self { hub: Web::new(), cdn: Web::new(), bytes };
        let list = format!(
            r#"{{"siblings":[{{"rfilename":"README.md"}},{{"rfilename":"{FILE}"}},{{"rfilename":"m-F16.gguf"}}],
            "cardData":{{"license":"mit"}}}}"#
        );
        hub.hub.page(&format!("/api/models/{REPO}"), Page { bytes: Arc::new(list.into_bytes()), ..Page::default() });
        hub.announce(&hash(&hub.bytes), hub.bytes.len());
        let headers = "ETag: \"cdn-1\"\r\n".into();
        hub.cdn.page("/blob", Page { bytes: Arc::clone(&hub.bytes), headers, ..Page::default() });
        hub
    }

    /// The hub's headers for the file.
    fn announce(&self, hash: &str, size: usize) {
        let headers = format!("X-Linked-Etag: \"{hash}\"\r\nX-Linked-Size: {size}\r\n");
        let location = Some(self.cdn.url("/blob?signature=1"));
        self.hub.page(&format!("/{REPO}/resolve/main/{FILE}"), Page { headers, location, ..Page::default() });
    }

    fn pull(&self, beast: &Beast, more: &[&str]) -> Ran {
        let word = format!("{REPO}:Q4_K_M");
        let mut command = command(beast, &[&["models", "pull", &word], more].concat());
        command.env("HF_ENDPOINT", self.hub.url(""));
        Ran::of(feed(command, b""), beast.dir.path())
    }
}

pub(crate) fn command(beast: &Beast, arguments: &[&str]) -> Command {
    let mut command = beast.command(arguments);
    command.env("XDG_DATA_HOME", beast.path("data")).env("HF_ENDPOINT", "http://127.0.0.1:1");
    command
}

pub(crate) fn models(beast: &Beast) -> PathBuf {
    beast.path("data/beast/models")
}

pub(crate) fn run(beast: &Beast, arguments: &[&str]) -> Ran {
    Ran::of(feed(command(beast, arguments), b""), beast.dir.path())
}

pub(crate) fn left(beast: &Beast) -> Vec<String> {
    let entries = fs::read_dir(models(beast)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn pulled(hub: &Hub, beast: &Beast, ran: &Ran) {
    assert_eq!(ran.report(), format!("exit 0\nout: \"DIR/data/beast/models/{FILE}\\n\"\nerr: {}", ran.stderr));
    assert!(fs::read(models(beast).join(FILE)).unwrap() == **hub.bytes, "the bytes are others");
    assert_eq!(left(beast), [FILE.to_owned(), format!("{FILE}.json")]);
}

#[test]
fn a_quantization_is_pulled_from_the_hub_and_its_token_stays_there() {
    let (beast, hub) = (Beast::new(), Hub::new(gguf(300_000)));
    let word = format!("{REPO}:q4_k_m");
    let mut command = command(&beast, &["models", "pull", &word]);
    command.env("HF_ENDPOINT", hub.hub.url("/")).env("HF_TOKEN", "hf_secret");
    let ran = Ran::of(feed(command, b""), beast.dir.path());
    pulled(&hub, &beast, &ran);
    assert_eq!(ran.stderr, "", "no word where nobody reads along");
    assert!(hub.hub.asked().iter().all(|asked| asked.get("authorization") == Some("Bearer hf_secret")));
    assert!(hub.cdn.asked().iter().all(|asked| asked.get("authorization").is_none()));
    assert_eq!(hub.cdn.asked().len(), 1);
    let record = fs::read_to_string(models(&beast).join(format!("{FILE}.json"))).unwrap();
    assert!(record.contains(&hash(&hub.bytes)) && record.contains("mit"), "{record}");
    // Again: the file exists, and no network is needed.
    assert_eq!(hub.pull(&beast, &[]).code, Some(0));
    assert_eq!(hub.pull(&beast, &["--offline"]).code, Some(0));
    assert_eq!(hub.cdn.asked().len(), 1);
}

/// 200 MB with ten random disconnects: the bytes are right, and hardly any is sent twice.
#[test]
fn ten_cuts_at_random_cost_hardly_any_traffic() {
    const N: usize = 200_000_000;
    let (beast, hub) = (Beast::new(), Hub::new(gguf(N)));
    let random = |at: u64| {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u64(at);
        usize::try_from(hasher.finish() % (N as u64 / 11)).unwrap() + 1
    };
    let cuts: Vec<usize> = (0..10).map(random).collect();
    hub.cdn.faults(cuts.iter().map(|n| Fault::Cut(*n)));
    let ran = hub.pull(&beast, &[]);
    pulled(&hub, &beast, &ran);
    assert_eq!(hub.cdn.asked().len(), 11, "{cuts:?}");
    let most = N as u64 * 12 / 10;
    assert!(hub.cdn.n_sent() <= most, "{} bytes were sent for {N}, with cuts {cuts:?}", hub.cdn.n_sent());
}

#[test]
fn what_came_is_kept_for_the_next_run() {
    let (beast, hub) = (Beast::new(), Hub::new(gguf(2_000_000)));
    hub.cdn.faults([Fault::Cut(1_500_000)]);
    hub.hub.faults([Fault::None, Fault::None, Fault::Status(500, "")]);
    let ran = hub.pull(&beast, &["--retries", "0"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("the server returned 500") && ran.stderr.contains("resumes after 1.5 MB"),
        "{}",
        ran.stderr
    );
    assert_eq!(left(&beast), [format!("{FILE}.part"), format!("{FILE}.part.json")]);
    let listed = run(&beast, &["models", "rm", "-y", "other"]);
    assert_eq!(listed.code, Some(2));
    let ran = hub.pull(&beast, &[]);
    pulled(&hub, &beast, &ran);
    assert_eq!(hub.cdn.n_sent(), 2_000_000);
    assert_eq!(hub.cdn.asked()[1].get("range"), Some("bytes=1500000-"));
}

/// Ctrl-C and a kill leave the partial download, and the next run resumes it.
#[test]
fn an_interrupted_pull_goes_on_in_the_next_run() {
    let (beast, hub) = (Beast::new(), Hub::new(gguf(2_000_000)));
    let part = models(&beast).join(format!("{FILE}.part"));
    let word = format!("{REPO}:Q4_K_M");
    for (signal, n) in [(Signal::INT, 500_000), (Signal::KILL, 700_000)] {
        hub.cdn.faults([Fault::Stall(n)]);
        let before = fs::metadata(&part).map_or(0, |meta| meta.len());
        let mut command = command(&beast, &["models", "pull", &word]);
        command.env("HF_ENDPOINT", hub.hub.url(""));
        let child = feed(command, b"");
        let begun = Instant::now();
        while fs::metadata(&part).map_or(0, |meta| meta.len()) < before + n as u64 {
            assert!(begun.elapsed() < PATIENCE, "the bytes never came");
            std::thread::yield_now();
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let ran = Ran::of(child, beast.dir.path());
        assert_eq!(ran.code, (signal == Signal::INT).then_some(130), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    let ran = hub.pull(&beast, &[]);
    // The lock of the killed process is released too.
    pulled(&hub, &beast, &ran);
    assert_eq!(hub.cdn.n_sent(), 2_000_000);
}

#[test]
fn lies_about_lengths_do_not_get_into_the_file() {
    let (beast, hub) = (Beast::new(), Hub::new(gguf(500_000)));
    let cut = || Fault::Cut(100_000);
    // Too long at first; too short; too long in the middle; a range other than the requested one.
    hub.cdn.faults([
        Fault::Length(600_000),
        Fault::Length(10),
        cut(),
        Fault::Length(600_000),
        Fault::OtherRange,
        cut(),
    ]);
    let ran = hub.pull(&beast, &[]);
    pulled(&hub, &beast, &ran);
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_server_without_parts_begins_anew() {
    let (beast, hub) = (Beast::new(), Hub::new(gguf(500_000)));
    hub.cdn.faults([Fault::Cut(100_000), Fault::NoRanges]);
    let ran = hub.pull(&beast, &[]);
    pulled(&hub, &beast, &ran);
    assert!(ran.stderr.contains("the server does not resume downloads"), "{}", ran.stderr);
}

#[test]
fn a_file_that_changes_in_between_begins_anew() {
    let (beast, mut hub) = (Beast::new(), Hub::new(gguf(500_000)));
    hub.cdn.faults([Fault::Cut(100_000)]);
    hub.hub.faults([Fault::None, Fault::None, Fault::Status(500, "")]);
    assert_eq!(hub.pull(&beast, &["--retries", "0"]).code, Some(1));
    let mut other = hub.bytes.to_vec();
    other.reverse();
    other[..4].copy_from_slice(b"GGUF");
    hub.bytes = Arc::new(other);
    hub.announce(&hash(&hub.bytes), hub.bytes.len());
    hub.cdn.page("/blob", Page { bytes: Arc::clone(&hub.bytes), ..Page::default() });
    let ran = hub.pull(&beast, &[]);
    pulled(&hub, &beast, &ran);
    assert!(ran.stderr.contains(": it has changed on the server"), "{}", ran.stderr);
}

#[test]
fn a_wrong_hash_leaves_nothing() {
    let (beast, hub) = (Beast::new(), Hub::new(gguf(200_000)));
    hub.announce(&"ab".repeat(32), hub.bytes.len());
    let ran = hub.pull(&beast, &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("wrong SHA-256") && ran.stderr.contains(&"ab".repeat(32)), "{}", ran.stderr);
    assert_eq!(left(&beast), Vec::<String>::new());
}

#[test]
fn refusals_say_what_to_do() {
    let cases: [(Fault, &str); 4] = [
        (Fault::Status(401, ""), "export HF_TOKEN=..., after accepting the licence at"),
        (Fault::Status(403, ""), "export HF_TOKEN=..., after accepting the licence at"),
        (Fault::Status(404, ""), "not found (404)"),
        (Fault::Status(429, "Retry-After: 3600\r\n"), "rate limiting: retry after 1h"),
    ];
    for (fault, words) in cases {
        let (beast, hub) = (Beast::new(), Hub::new(gguf(1000)));
        hub.hub.faults([Fault::None, fault.clone()]);
        let ran = hub.pull(&beast, &[]);
        let code = if matches!(fault, Fault::Status(429, _)) { 75 } else { 1 };
        assert_eq!(ran.code, Some(code), "{fault:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words) && ran.stderr.lines().count() == 1, "{fault:?}: {}", ran.stderr);
        assert!(!models(&beast).join(FILE).exists());
    }
}

#[test]
fn a_busy_server_is_asked_again() {
    let (beast, hub) = (Beast::new(), Hub::new(gguf(100_000)));
    hub.hub.faults([Fault::Status(503, ""), Fault::None, Fault::Status(429, "Retry-After: 0\r\n")]);
    hub.cdn.faults([Fault::Status(500, "")]);
    let ran = hub.pull(&beast, &[]);
    pulled(&hub, &beast, &ran);
}

#[test]
fn a_file_that_does_not_fit_is_not_begun() {
    let (beast, hub) = (Beast::new(), Hub::new(gguf(1000)));
    hub.announce(&hash(&hub.bytes), usize::MAX / 4);
    hub.cdn.faults([Fault::Length(usize::MAX / 4)]);
    let ran = hub.pull(&beast, &[]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("needs 4611686018.4 GB") && ran.stderr.contains("is free in DIR/data"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::metadata(models(&beast).join(format!("{FILE}.part"))).map_or(0, |meta| meta.len()), 0);
}

#[test]
fn two_at_once_are_one() {
    let (beast, hub) = (Beast::new(), Hub::new(gguf(100_000)));
    fs::create_dir_all(models(&beast)).unwrap();
    let lock = fs::File::create(models(&beast).join(format!("{FILE}.lock"))).unwrap();
    lock.lock().unwrap();
    let ran = hub.pull(&beast, &[]);
    assert_eq!(ran.code, Some(75));
    assert!(ran.stderr.contains("in use by another beastctl"), "{}", ran.stderr);
    assert_eq!(hub.cdn.asked().len(), 0);
    drop(lock);
    pulled(&hub, &beast, &hub.pull(&beast, &[]));
}

#[test]
fn offline_means_no_connection_at_all() {
    let (beast, hub) = (Beast::new(), Hub::new(gguf(1000)));
    let ran = hub.pull(&beast, &["--offline"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("--offline forbids"), "{}", ran.stderr);
    let url = hub.cdn.url("/blob.gguf");
    assert_eq!(run(&beast, &["models", "pull", "--offline", &url]).code, Some(1));
    assert_eq!((hub.hub.asked().len(), hub.cdn.asked().len()), (0, 0));
}

#[test]
fn what_the_hubs_own_programs_fetched_is_used() {
    let (beast, hub) = (Beast::new(), Hub::new(gguf(1000)));
    let cache = beast.path("hf/hub/models--org--repo-GGUF");
    let blob = beast.write(&format!("hf/hub/models--org--repo-GGUF/blobs/{}", hash(&hub.bytes)), &**hub.bytes);
    fs::create_dir_all(cache.join("snapshots/abc")).unwrap();
    beast.write("hf/hub/models--org--repo-GGUF/refs/main", "abc");
    std::os::unix::fs::symlink(&blob, cache.join("snapshots/abc").join(FILE)).unwrap();
    let word = format!("{REPO}:Q4_K_M");
    let pull = || {
        let mut command = command(&beast, &["models", "pull", "--offline", &word]);
        command.env("HF_HOME", beast.path("hf"));
        Ran::of(feed(command, b""), beast.dir.path())
    };
    let ran = pull();
    pulled(&hub, &beast, &ran);
    assert!(fs::symlink_metadata(models(&beast).join(FILE)).unwrap().is_symlink());
    assert_eq!(run(&beast, &["models", "rm", "-y", FILE]).code, Some(0));
    assert!(blob.exists(), "the cache is not ours");
    // A damaged file is rejected, with a message.
    fs::write(&blob, "GGUF and nonsense").unwrap();
    let ran = pull();
    assert!(ran.code == Some(1) && ran.stderr.contains("is damaged and will not be used"), "{}", ran.report());
}

#[test]
fn any_address_will_do() {
    let (beast, web) = (Beast::new(), Web::new());
    let bytes = gguf(300_000);
    let headers = "ETag: \"v1\"\r\n".to_owned();
    web.page("/my%20model.gguf", Page { bytes: Arc::clone(&bytes), headers, location: None });
    web.faults([Fault::Cut(100_000), Fault::Cut(50_000)]);
    let ran = run(&beast, &["models", "pull", &web.url("/my%20model.gguf?secret=1")]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "DIR/data/beast/models/my model.gguf\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("not verified: no hash is known"), "{}", ran.stderr);
    assert!(fs::read(models(&beast).join("my model.gguf")).unwrap() == **bytes);
    assert_eq!(web.asked()[1].get("if-range"), Some("\"v1\""));
    assert_eq!(web.n_sent(), 300_000);
    // With a hash, and under another name.
    let digest = hash(&bytes);
    let url = web.url("/my%20model.gguf");
    let ran = run(&beast, &["models", "pull", &url, "--sha256", &digest, "--name", "other.gguf"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let wrong = run(&beast, &["models", "pull", &url, "--sha256", &"0".repeat(64), "--name", "third.gguf"]);
    assert!(wrong.code == Some(1) && wrong.stderr.contains("wrong SHA-256"), "{}", wrong.report());
}

#[test]
fn a_web_page_is_no_model() {
    let (beast, web) = (Beast::new(), Web::new());
    web.page("/m.gguf", Page { bytes: Arc::new(b"<html>please log in</html>".to_vec()), ..Page::default() });
    let ran = run(&beast, &["models", "pull", &web.url("/m.gguf")]);
    assert!(ran.code == Some(1) && ran.stderr.contains("is not a GGUF file"), "{}", ran.report());
    assert!(!models(&beast).join("m.gguf").exists());
}

#[test]
fn nobody_listens() {
    let beast = Beast::new();
    let ran = run(&beast, &["models", "pull", "lfm2-350m"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("cannot reach http://127.0.0.1:1/") && ran.stderr.contains("connection refused"));
    assert_eq!(left(&beast), Vec::<String>::new(), "nothing came, nothing is left");
    let ran = run(&beast, &["models", "pull", "lfm2-350n"]);
    assert_eq!(ran.report(), "exit 2\nout: \"\"\nerr: beastctl: unknown model lfm2-350n; try: lfm2-350m\n");
}
