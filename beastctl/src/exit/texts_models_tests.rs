//! Errors of the rooms that download and select models.

use super::*;
use crate::models::ModelError;

#[test]
fn of_models() {
    let text = |text: &str| text.to_owned();
    let url = || text("https://some.where/model.gguf");
    let file_error = |action, error| ModelError::File(FileError { action, path: file(), source: os(error) });
    let unknown =
        |nearest: Option<&str>| ModelError::Unknown { word: text("lfm2-26b"), nearest: nearest.map(str::to_owned) };
    let choice = |n_found, there: &[&str]| ModelError::Choice {
        repo: text("org/name"),
        wanted: text("Q4_0"),
        n_found,
        there: there.iter().copied().map(str::to_owned).collect(),
    };
    let denied = |page: Option<&str>, had_token| ModelError::Denied {
        status: 403,
        url: url(),
        page: page.map(str::to_owned),
        had_token,
    };
    let gave_up = |n_kept| ModelError::GaveUp { url: url(), reason: text("connection reset"), n_tries: 5, n_kept };
    let cut = |needed| ModelError::Cut { path: file(), n_bytes: 13, needed };
    let samples = samples!(ModelError {
        Wait: [ModelError::Wait(WaitError::Interrupted), ModelError::Wait(WaitError::TimedOut(Duration::from_secs(1)))],
        File: [file_error("read", Errno::NOENT), file_error("write", Errno::NOSPC), file_error("make", Errno::ACCESS),],
        Unknown: [unknown(Some("lfm2-2.6b")), unknown(None)],
        NotHere: [ModelError::NotHere(text("lfm2-2.6b"))],
        Upstream: [ModelError::Upstream { name: text("team"), url: text("https://a/v1"), done: "removed" }],
        Choice: [choice(0, &[]), choice(0, &["org/name:Q8_0"]), choice(2, &["org/name/a.gguf", "org/name/b.gguf"])],
        Split: [ModelError::Split(text("model-00001-of-00002.gguf"))],
        Offline: [ModelError::Offline(text("lfm2-2.6b"))],
        Denied: [
            denied(Some("https://some.where/page"), false),
            denied(Some("https://some.where/page"), true),
            denied(None, false),
        ],
        Missing: [ModelError::Missing(url())],
        Status: [ModelError::Status { status: 500, url: url() }],
        Misled: [ModelError::Misled { url: url(), reason: text("more than 10 redirects") }],
        Unreachable: [ModelError::Unreachable { url: url(), reason: text("no such host") }],
        GaveUp: [gave_up(0), gave_up(34_000_000)],
        TooManyRequests: [ModelError::TooManyRequests { url: url(), pause: Duration::from_secs(90) }],
        NoLength: [ModelError::NoLength(url())],
        Listing: [ModelError::Listing(url())],
        WrongHash: [ModelError::WrongHash { name: text("model.gguf"), found: text("1f"), wanted: text("2e") }],
        OtherHash: [ModelError::OtherHash { path: file(), found: text("1f"), wanted: text("2e") }],
        NotGguf: [ModelError::NotGguf(text("/some/file"))],
        Cut: [cut(Some(1_563_668_704)), cut(None)],
        Garbled: [ModelError::Garbled(file())],
        NoRoom: [ModelError::NoRoom {
            name: text("model.gguf"),
            needed: 1_600_000_000,
            free: 34_000_000,
            folder: "/some".into(),
        }],
        Locked: [ModelError::Locked(text("model.gguf"))],
        Taken: [ModelError::Taken(file())],
        Folder: [ModelError::Folder(file())],
        Usage: [ModelError::Usage { what: text("a model has no name"), hint: text("--name OTHER.gguf") }],
        InUse: [ModelError::InUse(text("model.gguf"))],
        Config: [ModelError::Config { path: file(), message: text("line 3: a value is expected") }],
    });
    check(
        samples,
        expect![[r#"
            130 (silent)
            1   no answer within 1s; try: raise --timeout, or check beastctl status
            1   cannot read /some/file: No such file or directory (os error 2); try: ls /some, to see what is there
            1   cannot write /some/file: No space left on device (os error 28); try: free some space there, or write somewhere else
            1   cannot make /some/file: Permission denied (os error 13); try: ls -ld /some, to see who may write there
            2   unknown model lfm2-26b; try: lfm2-2.6b
            2   unknown model lfm2-26b; try: use a name from beastctl models list, ORG/REPO:QUANT, a URL or the path of a GGUF file
            1   lfm2-2.6b is not on disk; try: beastctl models pull lfm2-2.6b
            2   another server computes team (https://a/v1), so it cannot be removed here; try: pass -m team, or change [upstream.team] in config.toml
            2   org/name has no GGUF file for Q4_0; try: use another repository: this one has no GGUF files
            2   org/name has no GGUF file for Q4_0; try: org/name:Q8_0
            2   org/name has more than one GGUF file for Q4_0; try: org/name/a.gguf, org/name/b.gguf
            2   model-00001-of-00002.gguf is part of a split model, which beast does not support; try: use a smaller quantization in a single file
            1   lfm2-2.6b is not on disk, and --offline forbids downloads; try: leave out --offline, or beastctl models list
            1   the server denies access to https://some.where/model.gguf (403); try: export HF_TOKEN=..., after accepting the licence at https://some.where/page
            1   the server denies access to https://some.where/model.gguf (403); try: accept the licence at https://some.where/page with the account of HF_TOKEN
            1   the server denies access to https://some.where/model.gguf (403); try: use another URL: only the hub gets HF_TOKEN
            1   https://some.where/model.gguf not found (404); try: beastctl models list, or open the URL in a browser
            1   the server returned 500 for https://some.where/model.gguf; try: open the URL in a browser
            1   the server of https://some.where/model.gguf redirects in a loop or to an invalid URL (more than 10 redirects); try: open the URL in a browser
            1   cannot reach https://some.where/model.gguf (no such host); try: check the network, and HTTPS_PROXY if there is a proxy, then repeat the command
            1   gave up on https://some.where/model.gguf after 5 tries without a new byte (connection reset); try: repeat the command later
            1   gave up on https://some.where/model.gguf after 5 tries without a new byte (connection reset); try: repeat the command later, which resumes after 34.0 MB
            75  the server of https://some.where/model.gguf is rate limiting: retry after 1m 30s; try: repeat the command then
            1   the server does not report the size of https://some.where/model.gguf; try: pass --sha256 HEX to verify that it is complete
            1   cannot parse the list of files at https://some.where/model.gguf; try: use ORG/REPO/FILE.gguf, or another HF_ENDPOINT
            1   model.gguf has the wrong SHA-256: 1f, expected 2e; it was deleted; try: repeat the command; use another source if it happens twice
            1   /some/file has the wrong SHA-256: 1f, expected 2e; try: get another copy of the file, or check it with sha256sum
            1   /some/file is not a GGUF file; try: use the GGUF file itself, not a web page or an archive
            1   /some/file is truncated: it has 13 bytes and needs at least 1563668704; try: rm /some/file, and pull the model again
            1   /some/file is truncated: it ends inside the header, after 13 bytes; try: rm /some/file, and pull the model again
            1   /some/file is damaged: its header is invalid; try: rm /some/file, and pull the model again
            1   model.gguf needs 1.6 GB, but only 34.0 MB is free in /some; try: free space with beastctl models rm, or use a smaller model
            75  model.gguf is in use by another beastctl; try: repeat the command when it is done
            2   /some/file already exists and came from a different source; try: pass --name OTHER.gguf, or beastctl models rm first
            2   /some/file is a folder; try: pass --name OTHER.gguf, or move it away
            2   a model has no name; try: --name OTHER.gguf
            2   model.gguf is in use; try: switch with beastctl models use first, or pass --force
            1   /some/file: line 3: a value is expected; try: fix that line
        "#]],
    );
}
