use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::http::answers::tests::answers;
use crate::http::openai::now_s;
use crate::http::resumable::journal::tests::{head, journal_on};

fn script() -> Chunks {
    let head = head("a");
    chat::script(&Fields::new(&head.body), head.identity).expect("it is a request")
}

fn begun(streams: &Streams) -> Arc<Log> {
    let log = Arc::new(Log::new(now_s()));
    streams.insert("a", &log).expect("there is room");
    log
}

async fn ended(log: &Log) -> String {
    let (mut said, mut from) = (Vec::new(), 0);
    while let super::super::log::Read::More(bytes) = log.read(from).await {
        from += bytes.len();
        said.extend(bytes);
    }
    String::from_utf8(said).expect("a stream is text")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_costs_a_stream_its_file_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let streams = Streams::open(Some(folder.path().to_owned()));
    let log = begun(&streams);
    drop(streams.journal(head("a"), &log).await.expect("the folder is writable"));
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    let (said, answers) = answers();
    let told = async {
        said.piece("hello ").await;
        said.piece("world").await;
        said.done().await;
        drop(said);
    };
    tokio::join!(produce(&streams, "a", &log, answers, script(), Some(journal_on(full))), told);
    let text = ended(&log).await;
    assert!(text.contains("hello ") && text.contains("world") && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(journal::scan(folder.path(), 1).is_empty(), "half a stream is none");
    assert!(streams.get("a").is_some());
}

/// A pipe stands in for a disk whose speed the test controls.
#[tokio::test]
async fn a_disk_that_hangs_holds_up_its_own_stream_alone() {
    let streams = Streams::open(None);
    let log = begun(&streams);
    let (mut disk, writer) = std::io::pipe().expect("there are pipes");
    let journal = journal_on(File::from(OwnedFd::from(writer)));
    let (is_written, begins) = oneshot::channel();
    let (go, may_go) = mpsc::channel();
    let disk = thread::spawn(move || {
        let mut bytes = vec![0; 1];
        disk.read_exact(&mut bytes).expect("something is written");
        is_written.send(()).expect("the test waits");
        let was_told = may_go.recv_timeout(Duration::from_secs(20)).is_ok();
        disk.read_to_end(&mut bytes).expect("the writer goes");
        (was_told, String::from_utf8(bytes).expect("lines are text"))
    });
    let (said, answers) = answers();
    let (streams, producing) = (Arc::clone(&streams), Arc::clone(&log));
    let producing =
        tokio::spawn(async move { produce(&streams, "a", &producing, answers, script(), Some(journal)).await });
    // More than the pipe's buffer holds.
    said.piece(&"x".repeat(1024 * 1024)).await;
    begins.await.expect("the disk is there");
    // The runtime has a single thread, so reaching this line shows that it is not blocked.
    assert_eq!(log.len(), 0, "nobody knows more than the disk");
    go.send(()).expect("the disk waits");
    said.piece("the rest").await;
    said.done().await;
    drop(said);
    producing.await.expect("it does not panic");
    let (was_told, lines) = disk.join().expect("it does not panic");
    assert!(was_told, "the disk had to give way first");
    assert!(ended(&log).await.ends_with("data: [DONE]\n\n"));
    let at = |text: &str| lines.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(at("xxxx") < at("the rest") && at("the rest") < at("[DONE]"));
}

#[tokio::test]
async fn a_stream_that_is_stopped_ends_though_its_disk_hangs() {
    let streams = Streams::open(None);
    let log = begun(&streams);
    let (mut disk, writer) = std::io::pipe().expect("there are pipes");
    let journal = journal_on(File::from(OwnedFd::from(writer)));
    let (said, answers) = answers();
    let producing = Arc::clone(&log);
    let in_it = Arc::clone(&streams);
    let producing =
        tokio::spawn(async move { produce(&in_it, "a", &producing, answers, script(), Some(journal)).await });
    said.piece(&"x".repeat(1024 * 1024)).await;
    let disk = spawn_blocking(move || {
        disk.read_exact(&mut [0]).expect("something is written");
        disk
    });
    let disk = disk.await.expect("it does not panic");
    streams.delete("a").await.expect("there is no folder");
    producing.await.expect("it does not panic");
    said.closed().await;
    assert_eq!(log.read(0).await, super::super::log::Read::Stopped(cancelled()));
    // Ends the write that still blocks.
    drop(disk);
}
