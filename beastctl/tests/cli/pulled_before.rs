//! `models pull` where the file that is here, or a part of it, may be of another source or state than the one that is asked for.

use std::{fs, sync::Arc};

use crate::{
    harness::Beast,
    pull::{gguf, hash, models, run},
    web::{Fault, Page, Web},
};

/// The size is the same, and the server sends the rest of the new file behind what came of the old one.
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
        assert!(ran.stderr.contains("begins anew: it has changed on the server"), "{}", ran.stderr);
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
    assert!(refused.starts_with("exit 1\nout: \"\"") && refused.contains("has another SHA-256"), "{refused}");
    let refused = pull(&["--name", "other.gguf"]);
    assert!(refused.starts_with("exit 2\nout: \"\"") && refused.contains("without --name"), "{refused}");
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
    assert!(other.code == Some(2) && other.stderr.contains("came from elsewhere"), "{}", other.report());
    let record = fs::read_to_string(models(&beast).join("m.gguf.json")).unwrap();
    assert!(!record.contains("secret"), "{record}");
}
