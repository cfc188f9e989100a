//! Full disks, and files in place of folders. A limit on file sizes stands in for a full disk: it needs no
//! privileges, and writing fails in the same way, only with another error number.

use beast_protocol::State;
use beast_tests::samples::TEXT;
use beast_tests::{Beast, Home, eventually, project, run};

/// A shell command that runs `"$@"` with files of at most `n_blocks` blocks of 512 bytes. It ignores the signal,
/// which would kill the program before it sees the error.
fn limited(n_blocks: usize) -> String {
    format!("trap '' XFSZ; ulimit -f {n_blocks}; exec \"$@\"")
}

#[test]
fn a_disk_full_while_unpacking_is_told_to_the_client() {
    let home = Home::with_own_cache();
    let gate = home.gate();
    let command = home.beastd_through(&limited(2000), &["--set", "failed_linger=1m"]);
    let beast = Beast::launch(home, command);
    // One client that already waits for the model, and one that comes after loading has failed.
    let mut watcher = beast.watcher();
    let waiting = beast.begin(&["ask", "What is a socket?"]);
    eventually(|| watcher.status().n_connections == 2);
    gate.open();
    for output in [waiting.finish(), run(&mut beast.ctl(&["summarize"]), TEXT)] {
        let line = output.failure(1);
        let expected = format!("beastctl: cannot unpack the built-in model to {}: ", beast.unpacked().display());
        assert!(line.starts_with(&expected) && line.contains("free some space"), "{line}");
    }
    assert!(matches!(beast.status().state, State::Failed { .. }));
    assert!(names_beside(&beast.unpacked()).is_empty(), "half a model is not left behind");
}

#[test]
fn a_disk_full_while_logging_does_not_hurt_answers() {
    let home = Home::new();
    // Enough for the lock file with the process id, but not for the log lines of the first requests.
    let command = home.beastd_through(&limited(2), &["--set", "log=debug"]);
    let beast = Beast::launch(home, command);
    let first = run(&mut beast.ctl(&["summarize"]), TEXT);
    assert_ne!(first.answer(), "");
    for _ in 0..5 {
        assert_eq!(run(&mut beast.ctl(&["summarize"]), TEXT), first);
    }
    let log = beast.log_files();
    assert!(log.contains("listening") && !log.contains("request=5"), "there was no room for more: {log}");
    assert_eq!(beast.status().n_requests, 6);
}

#[test]
fn a_home_where_nothing_can_be_written_has_the_built_in_model_all_the_same() {
    let home = Home::new();
    // Not even root can create a folder inside a file.
    let file = home.write("read-only", "no folder");
    let folders = ["HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"];
    let mut command = home.beastd(&[]);
    command.envs(folders.map(|name| (name, file.join("home"))));
    let beast = Beast::launch(home, command);
    let mut ask = beast.ctl(&["summarize"]);
    ask.envs(folders.map(|name| (name, file.join("home"))));
    assert_ne!(run(&mut ask, TEXT).answer(), "");
    let unpacked = beast.socket().with_file_name("cub.gguf");
    assert!(
        unpacked.is_file() && beast.status().model.expect("it has answered").path == unpacked.to_str().expect("plain")
    );
    assert!(beast.stderr().contains("a built-in model is elsewhere"), "{}", beast.stderr());
}

#[test]
fn a_file_in_the_place_of_the_log_folder_costs_the_log_and_nothing_else() {
    let home = Home::new();
    let folder = home.log_dir();
    home.write(folder.strip_prefix(home.path("")).expect("it lies there").to_str().expect("plain"), "in the way");
    let beast = home.start(&[]);
    run(&mut beast.ctl(&["summarize"]), TEXT).answer();
    assert!(beast.stderr().contains("cannot write log files"), "{}", beast.stderr());
    assert_eq!(std::fs::read_to_string(folder).expect("it is still there"), "in the way");
}

#[test]
fn no_log_folder_is_made_when_none_is_wanted() {
    let beast = Beast::with(&["log_dir=none"]);
    run(&mut beast.ctl(&["summarize"]), TEXT).answer();
    assert!(!beast.log_dir().exists());
}

#[test]
fn the_built_in_model_is_unpacked_once_and_mended_when_it_is_damaged() {
    let home = Home::with_own_cache();
    let original = std::fs::read(project("models/cub/cub.gguf")).expect("the built-in model is there");
    let mut beast = home.start(&[]);
    beast.ready();
    let path = beast.unpacked();
    assert!(std::fs::read(&path).expect("it is unpacked") == original);
    let written =
        |path: &std::path::Path| std::fs::metadata(path).and_then(|data| data.modified()).expect("it is there");
    let first = written(&path);

    beast.kill();
    beast.restart();
    beast.ready();
    assert_eq!(written(&path), first, "an unharmed file is left alone");

    beast.kill();
    std::fs::write(&path, &original[..1000]).expect("it is ours");
    beast.restart();
    run(&mut beast.ctl(&["summarize"]), TEXT).answer();
    assert!(std::fs::read(&path).expect("it is mended") == original);
}

#[test]
fn daemons_that_unpack_at_the_same_time_all_answer() {
    // One cache for three daemons with a socket each.
    let home = Home::with_own_cache();
    let sockets: Vec<_> = (0..3).map(|n| home.path(&format!("{n}.sock")).display().to_string()).collect();
    std::thread::scope(|scope| {
        let home = &home;
        let start = |socket: &String| {
            let output = run(&mut home.ctl(&["summarize", "--socket", socket]), TEXT);
            assert_ne!(output.answer(), "");
            assert_eq!(home.run(&["stop", "--socket", socket]).code, Some(0));
        };
        for socket in &sockets {
            scope.spawn(move || start(socket));
        }
    });
    assert_eq!(names_beside(&home.unpacked()), ["cub.gguf", "prefixes"]);
}

fn names_beside(path: &std::path::Path) -> Vec<std::ffi::OsString> {
    let folder = std::fs::read_dir(path.parent().expect("it has a folder")).expect("it was made");
    let mut names: Vec<_> = folder.flatten().map(|file| file.file_name()).collect();
    names.sort();
    names
}
