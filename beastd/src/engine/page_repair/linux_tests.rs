use std::fs;
use std::io::Write;

use super::*;

#[test]
fn the_parts_of_a_file_and_their_pages_are_found_among_others() {
    let text = "7f0000200000-7f0000900000 r--s 00000000 fd:01 42 /models/a model.gguf\n\
                Rss:                7168 kB\nFilePmdMapped:      2048 kB\nVmFlags: rd mr me ms\n\
                7f0000900000-7f0000b00000 rw-p 00000000 00:00 0 \nRss:                 512 kB\n\
                7f0000b00000-7f0000e00000 r--s 00900000 fd:01 42 /models/a model.gguf\n\
                Rss:                1024 kB\nFilePmdMapped:         0 kB\n\
                7f0000e00000-7f0001000000 r--s 00f00000 fd:01 42 /models/a model.gguf\n\
                7f0001000000-7f0001200000 r--s 00000000 fd:02 42 /another\nRss:     64 kB\n";
    let mapped = Mapped::parse(text, "fd:01", "42");
    assert_eq!((mapped.n_resident, mapped.n_large), (8192 << 10, 2048 << 10));
    let pieces: Vec<_> = mapped.parts.iter().flat_map(Part::pieces).collect();
    let first = 0x7f00_0020_0000_usize;
    // Those of the first part that lie in it as a whole, and one of the second. The last part begins in the middle of a
    // large page of the file, and not of memory.
    assert_eq!(pieces, [0, 1, 2, 5].map(|n| (first + n * PAGE, n * PAGE)));
}

/// Maps a file that was written, and thus cached in small pages, and moves it while another thread reads it.
#[test]
fn a_reader_finds_the_same_bytes_while_a_file_is_moved() {
    const N_PIECES: usize = 12;
    // Not in /tmp, which is memory on many machines.
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a folder");
    let path = folder.path().join("model");
    let bytes: Vec<u8> = (0..N_PIECES * PAGE + 5000).map(|n| (n / 4096 + n % 7) as u8).collect();
    let mut writer = File::create(&path).expect("it can be written");
    // What is written at once may be in large pages at once.
    bytes.chunks(4096).for_each(|page| writer.write_all(page).expect("it can be written"));
    writer.sync_all().expect("it can be synced");
    let file = File::open(&path).expect("it is there");
    // SAFETY: a mapping of its own, as long as the file, unmapped at the end.
    let start = unsafe { mmap(null_mut(), bytes.len(), ProtFlags::READ, MapFlags::SHARED, &file, 0) };
    let start = start.expect("it can be mapped");
    // SAFETY: as above; its bytes stay the same, which is what is tested.
    let weights = unsafe { std::slice::from_raw_parts(start.cast::<u8>(), bytes.len()) };
    assert!(weights == bytes);
    let before = Mapped::of(&file).expect("Linux has it");
    assert!(before.parts[0].pieces().count() >= N_PIECES - 1, "{before:?}");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut n = 0;
            while !is_over.load(Ordering::Relaxed) || n == 0 {
                assert!(weights == bytes);
                n += 1;
            }
        });
        let repair = Repair::of(File::open(&path).ok());
        let thread = repair.thread.as_ref().expect("it runs");
        // It ends by itself.
        while !thread.is_finished() {
            thread::yield_now();
        }
        drop(repair);
        is_over.store(true, Ordering::Relaxed);
        reader.join().expect("it found the same bytes");
    });
    let after = Mapped::of(&file).expect("Linux has it");
    assert!(after.n_large >= before.n_large && weights == bytes);
    if after.n_large <= before.n_large {
        beast_tests::skip("this system has no large pages for files");
    } else {
        assert!(after.n_large * 2 > after.n_resident, "{before:?}, then {after:?}");
    }
    // SAFETY: nothing uses it any more.
    unsafe { munmap(start, bytes.len()) }.expect("it was mapped");
}

#[test]
fn it_does_not_begin_while_the_model_is_used_and_ends_when_it_is_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model");
    fs::write(&path, "a model").expect("it can be written");
    let repair = Repair::of(File::open(&path).ok());
    assert!(repair.pause(|| repair.shared.is_used()));
    assert!(repair.shared.is_used(), "it was used a moment ago");
    drop(repair);
    drop(Repair::begin(&folder.path().join("nothing")));
}
