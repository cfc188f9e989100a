//! `models pull` where a file or partial download exists, which may be from another source or version than the
//! requested one.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use crate::{
    harness::Beast,
    pull::{gguf, hash, models, run},
    web::{Fault, Page, Web},
};

/// The size is the same, and the server offers the rest of the new file as a continuation of the old one.
#[test]
fn two_states_of_a_file_are_not_glued_together() {
    let sha256 = |bytes: &[u8]| format!("ETag: \"{}\"\r\n", hash(bytes));
    let cases: [fn(&[u8]) -> String; 3] = [
        |bytes| format!("ETag: \"{}\"\r\n", bytes[100]),
        |bytes| format!("Last-Modified: Sun, 06 Nov 1994 08:49:{} GMT\r\n", 10 + bytes[100] % 50),
        sha256,
    ];
    for headers in cases {
        let (beast, web) = (Beast::new(), Web::new());
        let old = gguf(300_000);
        let mut new = old.to_vec();
        new[4..].reverse();
        let page = |bytes: &Arc<Vec<u8>>| Page { bytes: Arc::clone(bytes), headers: headers(bytes), location: None };
        web.page("/m.gguf", page(&old));
        web.faults([Fault::Cut(100_000), Fault::Status(500, "")]);
        let pull = ["models", "pull", &web.url("/m.gguf"), "--retries", "0"];
        assert_eq!(run(&beast, &pull).code, Some(1));
        let new = Arc::new(new);
        web.page("/m.gguf", page(&new));
        web.faults([Fault::NoIfRange]);
        let ran = run(&beast, &["models", "pull", &web.url("/m.gguf")]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stderr.contains(": it has changed on the server"), "{}", ran.stderr);
        assert!(fs::read(models(&beast).join("m.gguf")).unwrap() == *new, "the bytes are of both");
    }
}

#[test]
fn a_file_of_this_disk_is_checked_as_one_that_is_fetched() {
    let beast = Beast::new();
    let bytes = gguf(1000);
    beast.write("m.gguf", &**bytes);
    let pull = |more: &[&str]| run(&beast, &[&["models", "pull", "./m.gguf"], more].concat()).report();
    assert_eq!(pull(&["--sha256", &hash(&bytes)]), "exit 0\nout: \"DIR/m.gguf\\n\"\nerr: ");
    let wrong = "0".repeat(64);
    let refused = pull(&["--sha256", &wrong]);
    assert!(refused.starts_with("exit 1\nout: \"\"") && refused.contains("has the wrong SHA-256"), "{refused}");
    let refused = pull(&["--name", "other.gguf"]);
    assert!(refused.starts_with("exit 2\nout: \"\"") && refused.contains("leave out --name"), "{refused}");
}

#[test]
fn another_query_is_another_file() {
    let (beast, web) = (Beast::new(), Web::new());
    let headers = "ETag: \"1\"\r\n".to_owned();
    web.page("/m.gguf", Page { bytes: gguf(1000), headers, location: None });
    let pull = |query: &str| run(&beast, &["models", "pull", &web.url(&format!("/m.gguf?{query}"))]);
    assert_eq!(pull("v=secret").code, Some(0));
    assert_eq!(pull("v=secret").code, Some(0));
    assert_eq!(web.asked().len(), 1, "the second time it is there");
    let other = pull("v=2");
    assert!(other.code == Some(2) && other.stderr.contains("came from a different source"), "{}", other.report());
    let record = fs::read_to_string(models(&beast).join("m.gguf.json")).unwrap();
    assert!(!record.contains("secret"), "{record}");
}

/// A mirror of the same bytes resumes where the first source stopped. A mirror that fails changes nothing.
#[test]
fn a_part_outlives_another_source() {
    let (beast, first, second) = (Beast::new(), Web::new(), Web::new());
    let bytes = gguf(300_000);
    let headers = format!("ETag: \"{}\"\r\n", hash(&bytes));
    for web in [&first, &second] {
        web.page("/m.gguf", Page { bytes: Arc::clone(&bytes), headers: headers.clone(), location: None });
    }
    first.faults([Fault::Cut(100_000), Fault::Status(500, "")]);
    let pull = |web: &Web| run(&beast, &["models", "pull", &web.url("/m.gguf"), "--retries", "0"]);
    assert_eq!(pull(&first).code, Some(1));
    let known = fs::metadata(models(&beast).join("m.gguf.part.json")).unwrap();
    assert_eq!(known.permissions().mode() & 0o777, 0o600, "an address may hold a password");
    let part = models(&beast).join("m.gguf.part");
    second.faults([Fault::Status(404, ""), Fault::Status(500, "")]);
    for _ in 0..2 {
        assert_eq!(pull(&second).code, Some(1));
        assert_eq!(fs::metadata(&part).unwrap().len(), 100_000);
    }
    let ran = pull(&second);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(fs::read(models(&beast).join("m.gguf")).unwrap() == **bytes);
    assert_eq!(second.asked()[3].get("range"), Some("bytes=100000-"));
}

#[test]
fn a_part_of_another_file_goes_with_a_word() {
    let (beast, first, second) = (Beast::new(), Web::new(), Web::new());
    let bytes = gguf(200_000);
    let tagged = |bytes, tag: &str| Page { bytes, headers: format!("ETag: \"{tag}\"\r\n"), location: None };
    first.page("/m.gguf", tagged(gguf(300_000), "a"));
    second.page("/m.gguf", tagged(Arc::clone(&bytes), "b"));
    first.faults([Fault::Cut(100_000), Fault::Status(500, "")]);
    assert_eq!(run(&beast, &["models", "pull", &first.url("/m.gguf"), "--retries", "0"]).code, Some(1));
    let ran = run(&beast, &["models", "pull", &second.url("/m.gguf")]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains(": the partial download is from a different source"), "{}", ran.stderr);
    assert!(fs::read(models(&beast).join("m.gguf")).unwrap() == **bytes);
}

/// The download is complete, and only now is a hash given.
#[test]
fn a_hash_that_comes_late_is_checked_against_what_is_here() {
    let (beast, web) = (Beast::new(), Web::new());
    let bytes = gguf(300_000);
    beast.write("data/beast/models/m.gguf.part", &**bytes);
    let known = format!(r#"{{"url":"{}","sha256":null,"validator":"\"1\"","size":300000}}"#, web.url("/m.gguf"));
    beast.write("data/beast/models/m.gguf.part.json", known);
    let ran = run(&beast, &["models", "pull", &web.url("/m.gguf"), "--sha256", &hash(&bytes)]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(web.asked().len(), 0);
}

/// A captive portal: every address returns the portal's page until login.
#[test]
fn a_web_page_in_between_costs_nothing() {
    let (beast, web) = (Beast::new(), Web::new());
    let bytes = gguf(300_000);
    let headers = "ETag: \"1\"\r\n".to_owned();
    let model = Page { bytes: Arc::clone(&bytes), headers, location: None };
    web.page("/m.gguf", model.clone());
    web.faults([Fault::Cut(100_000), Fault::Status(500, "")]);
    let pull = || run(&beast, &["models", "pull", &web.url("/m.gguf"), "--retries", "0"]);
    assert_eq!(pull().code, Some(1));
    web.page("/m.gguf", Page { bytes: Arc::new(b"<html>please log in</html>".to_vec()), ..Page::default() });
    let ran = pull();
    assert!(ran.code == Some(1) && ran.stderr.contains("is not a GGUF file"), "{}", ran.report());
    web.page("/m.gguf", model);
    assert_eq!(pull().code, Some(0));
    assert_eq!(web.asked().last().unwrap().get("range"), Some("bytes=100000-"));
    assert!(fs::read(models(&beast).join("m.gguf")).unwrap() == **bytes);
}

#[test]
fn no_file_gets_its_name_without_its_record() {
    let (beast, web) = (Beast::new(), Web::new());
    web.page("/m.gguf", Page { bytes: gguf(1000), headers: "ETag: \"1\"\r\n".into(), location: None });
    fs::create_dir_all(models(&beast).join("m.gguf.json")).unwrap();
    let ran = run(&beast, &["models", "pull", &web.url("/m.gguf")]);
    assert!(
        ran.code == Some(1) && ran.stderr.contains("cannot write DIR/data/beast/models/m.gguf.json"),
        "{}",
        ran.report()
    );
    assert!(!models(&beast).join("m.gguf").exists());
}

#[test]
fn a_folder_in_the_place_of_the_file_is_seen_at_once() {
    let (beast, web) = (Beast::new(), Web::new());
    fs::create_dir_all(models(&beast).join("m.gguf")).unwrap();
    let ran = run(&beast, &["models", "pull", &web.url("/m.gguf")]);
    let words = "beastctl: DIR/data/beast/models/m.gguf is a folder; try: pass --name OTHER.gguf, or move it away\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), words));
    assert_eq!(web.asked().len(), 0);
}

#[test]
fn a_cut_answer_without_a_length_is_not_the_whole_file() {
    let (beast, web) = (Beast::new(), Web::new());
    let bytes = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cub/cub-draft.gguf")).unwrap();
    web.page("/m.gguf", Page { bytes: Arc::new(bytes.clone()), ..Page::default() });
    web.faults([Fault::NoLength(1_000_000), Fault::NoLength(1_000_000), Fault::NoLength(usize::MAX)]);
    let ran = run(&beast, &["models", "pull", &web.url("/m.gguf"), "--sha256", &hash(&bytes)]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(fs::read(models(&beast).join("m.gguf")).unwrap() == bytes);
    assert_eq!(web.asked().len(), 3);
    assert_eq!(web.n_sent(), bytes.len() as u64);
}

/// After a power cut a file can be longer than the bytes that reached the disk.
#[test]
fn what_a_power_cut_left_behind_is_not_built_upon() {
    let (beast, web) = (Beast::new(), Web::new());
    let bytes = gguf(300_000);
    web.page("/m.gguf", Page { bytes: Arc::clone(&bytes), headers: "ETag: \"1\"\r\n".into(), location: None });
    web.faults([Fault::Cut(100_000), Fault::Status(500, "")]);
    let pull = || run(&beast, &["models", "pull", &web.url("/m.gguf"), "--retries", "0"]);
    assert_eq!(pull().code, Some(1));
    let part = models(&beast).join("m.gguf.part");
    fs::OpenOptions::new().write(true).open(part).unwrap().set_len(150_000).unwrap();
    assert_eq!(pull().code, Some(0));
    assert!(fs::read(models(&beast).join("m.gguf")).unwrap() == **bytes);
    assert_eq!(web.asked().last().unwrap().get("range"), Some("bytes=100000-"));
}

#[test]
fn without_a_hash_or_a_name_of_the_state_nothing_is_glued_together() {
    let (beast, web) = (Beast::new(), Web::new());
    let bytes = gguf(300_000);
    web.page("/m.gguf", Page { bytes: Arc::clone(&bytes), ..Page::default() });
    web.faults([Fault::Cut(100_000)]);
    let ran = run(&beast, &["models", "pull", &web.url("/m.gguf")]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(web.asked().iter().all(|asked| asked.get("range").is_none()));
    assert!(fs::read(models(&beast).join("m.gguf")).unwrap() == **bytes);
}
