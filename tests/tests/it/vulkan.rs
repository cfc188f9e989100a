//! The Vulkan plug-in on Mesa's software GPU: slow, but the same code as on a real one. `make test-vulkan` builds the
//! plug-in first, which takes too long for every run of the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use beast_protocol::{Generate, RawPrompt, Sampling};
use beast_tests::samples::{commit_msg, diff, subject};
use beast_tests::{Beast, Client, Home, project, skip};

/// Paths of the plug-in and of the software driver's manifest.
fn parts() -> Option<(PathBuf, PathBuf)> {
    let plugin = project("target/plugins/libggml-vulkan.so");
    if !plugin.is_file() {
        skip("no Vulkan plug-in in target/plugins; make test-vulkan builds it");
        return None;
    }
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let drivers = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let is_lavapipe =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lvp_icd"));
    let Some(driver) = drivers.map(|entry| entry.path()).find(is_lavapipe) else {
        skip("no software driver for Vulkan (Debian: mesa-vulkan-drivers)");
        return None;
    };
    Some((plugin, driver))
}

/// Starts a daemon with this driver and the plug-ins in a folder.
fn start(home: Home, plugins: &Path, driver: &Path, settings: &[&str]) -> Beast {
    let folder = format!("backend_dir={}", plugins.display());
    let settings = [&["backend=vulkan", &folder, "draft=none"], settings].concat();
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let mut command = home.beastd(&arguments);
    // Older loaders read the second variable. llama.cpp uses a GPU of type CPU only if the third one names it.
    command.env("VK_DRIVER_FILES", driver).env("VK_ICD_FILENAMES", driver).env("GGML_VK_VISIBLE_DEVICES", "0");
    Beast::launch(home, command)
}

fn backend(beast: &Beast) -> (String, Vec<String>) {
    let status = beast.status();
    let texts = status.notices.into_iter().map(|notice| notice.text).collect();
    (status.model.map(|model| model.backend).unwrap_or_default(), texts)
}

/// Answers are short, because a software GPU takes a second per token.
#[test]
fn several_clients_get_the_answers_of_the_model_from_a_gpu() {
    let Some((plugin, driver)) = parts() else { return };
    let folder = plugin.parent().expect("a file has a folder");
    // Makes steps short, and few of them are timed while the model is loaded.
    let quick = ["prefill_chunk=16", "speculation=off"];
    let settings = [&["n_ctx=512", "n_slots=2", "n_prefixes=2"][..], &quick].concat();
    let beast = start(Home::new(), folder, &driver, &settings);
    // The request that ends first leaves a gap below the slot of the other one.
    let requests = [("parse_header", 2), ("open_socket", 5)];
    thread::scope(|scope| {
        let ask = |(function, n)| {
            let request = Generate { max_tokens: Some(n), ..commit_msg(&diff(function, 3)) };
            let client = beast.client();
            scope.spawn(move || (client_answer(client, &request), function))
        };
        for thread in requests.map(ask) {
            let (text, function) = thread.join().expect("the request is answered");
            assert!(!text.trim().is_empty() && subject(function).starts_with(text.trim()), "{function}: {text}");
        }
    });
    let (backend, notices) = backend(&beast);
    assert!(backend.starts_with("Vulkan0"), "{backend}: {notices:?}");
}

/// The first step of four greedy rows is searched by the GPU and by beastd, the others by the GPU alone.
#[test]
fn likeliest_tokens_are_found_by_the_gpu() {
    let Some((plugin, driver)) = parts() else { return };
    let folder = plugin.parent().expect("a file has a folder");
    let settings = ["n_ctx=512", "n_slots=4", "n_prefixes=0", "speculation=off", "log=beastd=debug"];
    let beast = start(Home::new(), folder, &driver, &settings);
    let request = Generate {
        raw: Some(RawPrompt::Text("Once upon a time".into())),
        sampling: Sampling { temp: Some(0.0), ..Sampling::default() },
        max_tokens: Some(4),
        ignore_eos: true,
        ..Generate::default()
    };
    let texts: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| client_answer(beast.client(), &request))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the request is answered")).collect()
    });
    assert!(!texts[0].is_empty() && texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    assert!(beast.stderr().contains("greedy sampling on the GPU"), "{}", beast.stderr());
}

fn client_answer(mut client: Client, request: &Generate) -> String {
    client.ask(request).text
}

/// The plug-in links the Vulkan loader; here its file is changed to link a library that does not exist.
#[test]
fn without_vulkans_loader_the_cpu_answers() {
    let Some((plugin, driver)) = parts() else { return };
    let home = Home::new();
    let mut bytes = fs::read(&plugin).expect("the plug-in can be read");
    let (name, other) = (b"libvulkan.so.1\0", b"libvulkan.so.0\0");
    let at = bytes.windows(name.len()).position(|window| window == name).expect("it needs the loader");
    bytes[at..at + other.len()].copy_from_slice(other);
    let plugins = home.write("plugins/libggml-vulkan.so", bytes).parent().expect("a folder").to_owned();
    let beast = start(home, &plugins, &driver, &[]);
    let answer = beast.client().ask(&commit_msg(&diff("open_socket", 3)));
    assert_eq!(answer.text.trim(), subject("open_socket"));
    let (backend, notices) = backend(&beast);
    assert_eq!(backend, "CPU");
    assert!(notices.iter().any(|text| text.contains("libvulkan.so.0")), "{notices:?}");
}
