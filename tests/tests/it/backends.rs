//! GPU plug-ins that cannot be used: one line says why, and the CPU answers.

use std::path::Path;
use std::process::{Command, Stdio};

use beast_protocol::NoticeKind;
use beast_tests::samples::TEXT;
use beast_tests::{Beast, Home, run, skip};

/// The build that beastd requires, from its message about a plug-in of another build.
fn build() -> Option<String> {
    let home = Home::new();
    let path = plugin(&home, "another", "")?;
    let said = try_backend(&home, &path);
    let (_, rest) = said.split_once("beastd needs ").unwrap_or_else(|| panic!("{said}"));
    Some(rest.split(')').next().expect("a split has a first part").to_owned())
}

/// A library with a section that names a build, and with this code; `None` without a C compiler.
fn plugin(home: &Home, build: &str, code: &str) -> Option<std::path::PathBuf> {
    let section = "__attribute__((section(\".beast_build\"), used))";
    let source = home.write("plugin.c", format!("{section} const char beast_build[] = \"{build}\";\n{code}"));
    let library = home.write("plugins/libggml-vulkan.so", "");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).output();
    match compiled {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(library)
        }
        Err(_) => {
            skip("no C compiler (cc)");
            None
        }
    }
}

/// The output of a trial. A trial ends when its stdin does, so stdin is kept open.
fn try_backend(home: &Home, path: &Path) -> String {
    let mut command = home.beastd(&[]);
    command.arg("--try-backend").arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut trial = command.spawn().expect("beastd is there");
    let stdin = trial.stdin.take();
    let output = trial.wait_with_output().expect("it ends");
    drop(stdin);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("JSON")
}

/// What `status` reports about the plug-in in this home, whose daemon must answer all the same.
#[track_caller]
fn told(home: Home, backend: &str) -> String {
    let folder = home.path("plugins").display().to_string();
    let beast = home.start(&[&format!("backend={backend}"), &format!("backend_dir={folder}"), "draft=none"]);
    let answer = run(&mut beast.ctl(&["summarize", "--max-tokens", "3"]), TEXT);
    assert_eq!(answer.code, Some(0), "{answer}");
    let status = beast.status();
    assert_eq!(status.model.as_ref().map(|model| &*model.backend), Some("CPU"));
    let notices = status.notices.iter().filter(|notice| notice.text.contains("plug-in"));
    let texts: Vec<_> = notices.inspect(|notice| assert_eq!(notice.kind, NoticeKind::Info)).collect();
    assert_eq!(texts.len(), 1, "{:?}", status.notices);
    assert!(beast.run(&["doctor"]).stdout.contains("backend"), "{}", beast.stderr());
    texts[0].text.replace(&folder, "DIR")
}

#[test]
fn a_plug_in_that_is_missing_matters_only_to_who_asked_for_it() {
    let text = told(Home::new(), "cuda");
    assert_eq!(text, "no CUDA plug-in: libggml-cuda.so not found in DIR; using the CPU");
    let beast = Beast::start();
    beast.ready();
    assert!(beast.status().notices.iter().all(|notice| !notice.text.contains("plug-in")));
}

#[test]
fn a_file_that_is_no_library_is_not_loaded() {
    for bytes in ["", "a text\n"] {
        let home = Home::new();
        home.write("plugins/libggml-vulkan.so", bytes);
        let text = told(home, "auto");
        let begin = "cannot use Vulkan plug-in DIR/libggml-vulkan.so: not a beastd plug-in";
        assert!(text.starts_with(begin), "{text}");
    }
}

#[test]
fn a_plug_in_of_another_build_is_not_loaded() {
    let home = Home::new();
    let abort = "#include <stdlib.h>\n__attribute__((constructor)) static void now(void) { abort(); }";
    if plugin(&home, "0123456789abcdef", abort).is_none() {
        return;
    }
    let text = told(home, "vulkan");
    assert!(text.contains("built for another version (build 0123456789abcdef, beastd needs "), "{text}");
}

#[test]
fn a_plug_in_that_ends_its_process_ends_only_its_trial() {
    let Some(build) = build() else { return };
    let home = Home::new();
    let abort = "#include <stdlib.h>\n__attribute__((constructor)) static void now(void) { abort(); }";
    plugin(&home, &build, abort).expect("it was compiled before");
    let text = told(home, "auto");
    assert!(text.contains("loading it crashes (signal: 6"), "{text}");
}

#[test]
fn a_plug_in_without_an_entry_or_a_driver_is_refused() {
    let Some(build) = build() else { return };
    let home = Home::new();
    plugin(&home, &build, "").expect("it was compiled before");
    let text = told(home, "auto");
    assert!(text.contains("llama.cpp cannot load it (") && text.contains("ggml_backend_init"), "{text}");

    // Like a plug-in whose driver is missing: it needs a function that no library has.
    let home = Home::new();
    let missing = "void cuInit_of_no_driver(void);\n\
                   __attribute__((constructor)) static void now(void) { cuInit_of_no_driver(); }";
    plugin(&home, &build, missing).expect("it was compiled before");
    let text = told(home, "auto");
    assert!(text.contains("cuInit_of_no_driver"), "{text}");

    let home = Home::new();
    plugin(&home, &build, "void *ggml_backend_init(void) { return 0; }").expect("it was compiled before");
    let text = told(home, "auto");
    assert!(text.contains("ggml_backend_init returned NULL"), "{text}");
}

/// Takes ten seconds, as it does for users.
#[test]
fn a_plug_in_that_hangs_is_given_up() {
    let Some(build) = build() else { return };
    let home = Home::new();
    let hang = "#include <unistd.h>\n__attribute__((constructor)) static void now(void) { for (;;) pause(); }";
    plugin(&home, &build, hang).expect("it was compiled before");
    let text = told(home, "auto");
    assert!(text.contains("its trial did not finish within 10 s"), "{text}");
}

#[test]
fn a_plug_in_that_says_garbage_and_ends_is_not_believed() {
    let Some(build) = build() else { return };
    let home = Home::new();
    let garbage = "#include <stdio.h>\n#include <unistd.h>\n\
                   __attribute__((constructor)) static void now(void)\n\
                   { puts(\"{devices}\"); fflush(stdout); _exit(0); }";
    plugin(&home, &build, garbage).expect("it was compiled before");
    let text = told(home, "auto");
    assert!(text.contains("invalid output from its trial"), "{text}");
}
