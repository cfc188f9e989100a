//! On Linux, with file systems that have large pages for files: ext4 since 6.16, XFS for longer.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::ops::Range;
use std::os::linux::fs::MetadataExt;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::engine::large_pages::PAGE;
use rustix::fs::fadvise;
use rustix::io::{Errno, Result};
use rustix::mm::{
    Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, mremap_fixed,
    munmap,
};

/// The model must have been idle for this long before each stretch of work.
const IDLE: Duration = Duration::from_secs(1);
/// Smaller models are not worth the work.
const LEAST_BYTES: u64 = 256 << 20;
/// Pieces that are moved first. If none of them is in a large page then, another process has mapped the file too, or
/// the file system has no large pages.
const N_TRIED: usize = 8;
/// How often this is tried, and the pause between.
const N_ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_secs(60);

/// The repair of one model, in a thread of its own that ends when all is done. Dropping this stops it; to be dropped
/// before the model is unmapped.
pub(in super::super) struct Repair {
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    n_computing: AtomicUsize,
    /// Set by each computation.
    was_used: AtomicBool,
}

impl Repair {
    /// Repairs this file, which the model has just mapped, as soon as it is idle. Nothing comes of it if the file
    /// cannot be read into large pages, or if this process has mapped it more than once: whose mapping is whose is not
    /// known.
    pub(in super::super) fn begin(path: &Path) -> Self {
        let is_worth_it = |file: &File| file.metadata().is_ok_and(|metadata| metadata.len() >= LEAST_BYTES);
        Self::of(beast_launchd::file::open(path).ok().filter(is_worth_it))
    }

    fn of(file: Option<File>) -> Self {
        let shared = Arc::new(Shared::default());
        let only = |file: File| match &Mapped::of(&file).ok()?.parts[..] {
            [only] => Some((file, only.clone())),
            _ => None,
        };
        let start = |(file, part): (File, Part)| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("page repair".into()).spawn(move || shared.run(&file, &part)).ok()
        };
        // Without a thread, pages stay as they are.
        Self { thread: file.and_then(only).and_then(start), shared }
    }

    /// Computes with the model; meanwhile nothing is repaired.
    pub(in super::super) fn pause<T>(&self, compute: impl FnOnce() -> T) -> T {
        self.shared.n_computing.fetch_add(1, Ordering::Relaxed);
        let outcome = compute();
        self.shared.was_used.store(true, Ordering::Relaxed);
        self.shared.n_computing.fetch_sub(1, Ordering::Relaxed);
        outcome
    }
}

impl Drop for Repair {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // Nothing to report.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, file: &File, part: &Part) {
        for _ in 0..N_ATTEMPTS {
            match self.attempt(file, part) {
                Attempt::Ended => return,
                // The process that has tried the model may still have it mapped, or its file is not on the disk yet.
                Attempt::Futile => thread::park_timeout(PAUSE),
            }
        }
    }

    fn attempt(&self, file: &File, part: &Part) -> Attempt {
        let Some(before) = self.waits_for_idleness().then(|| Mapped::of(file).ok()).flatten() else {
            return Attempt::Ended;
        };
        if before.n_large * 10 >= before.n_resident * 9 {
            return Attempt::Ended;
        }
        // If only a part was read into large pages, it is the first.
        let pieces: Vec<_> = part.pieces().collect();
        for (n, &(at, offset)) in pieces.iter().rev().enumerate() {
            if self.is_used() && !self.waits_for_idleness() {
                return Attempt::Ended;
            }
            // SAFETY: the piece belongs to a mapping of this file, which lasts until this thread has ended.
            if let Err(error) = unsafe { move_piece(file, at as *mut c_void, offset) } {
                tracing::debug!(%error, n_moved = n, "cannot move the cached model file into large pages");
                return Attempt::Ended;
            }
            if self.is_over.load(Ordering::Relaxed) {
                return Attempt::Ended;
            }
            if n + 1 == N_TRIED && Mapped::of(file).is_ok_and(|now| now.n_large <= before.n_large) {
                return Attempt::Futile;
            }
        }
        tracing::info!("moved the cached model file from small pages into large ones");
        Attempt::Ended
    }

    fn is_used(&self) -> bool {
        self.was_used.load(Ordering::Relaxed) || self.n_computing.load(Ordering::Relaxed) > 0
    }

    /// False when the model is being dropped.
    fn waits_for_idleness(&self) -> bool {
        while !self.is_over.load(Ordering::Relaxed) {
            self.was_used.store(false, Ordering::Relaxed);
            thread::park_timeout(IDLE);
            if !self.is_used() {
                return !self.is_over.load(Ordering::Relaxed);
            }
        }
        false
    }
}

enum Attempt {
    Ended,
    /// Pages did not become large.
    Futile,
}

/// A part of a file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    addresses: Range<usize>,
    /// Where in the file it begins.
    offset: usize,
}

impl Part {
    /// Address and offset in the file of each piece that can be in a large page.
    fn pieces(&self) -> impl Iterator<Item = (usize, usize)> {
        let Range { start, end } = self.addresses;
        let is_aligned = start % PAGE == self.offset % PAGE;
        let pieces = (start.next_multiple_of(PAGE)..end).step_by(PAGE);
        let pieces = pieces.filter(move |at| is_aligned && at + PAGE <= end);
        pieces.map(move |at| (at, self.offset + (at - start)))
    }
}

/// How this process has mapped a file.
#[derive(Debug, Default)]
struct Mapped {
    parts: Vec<Part>,
    /// Bytes in memory, and those of them in large pages.
    n_resident: usize,
    n_large: usize,
}

impl Mapped {
    /// From `/proc/self/smaps`; see proc_pid_smaps(5).
    ///
    /// # Errors
    /// Those of reading it.
    fn of(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        let device = metadata.st_dev();
        let device = format!("{:02x}:{:02x}", rustix::fs::major(device), rustix::fs::minor(device));
        let text = std::fs::read_to_string("/proc/self/smaps")?;
        Ok(Self::parse(&text, &device, &metadata.st_ino().to_string()))
    }

    fn parse(text: &str, device: &str, inode: &str) -> Self {
        let (mut mapped, mut is_ours) = (Self::default(), false);
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [range, _, offset, d, i, ..] if range.contains('-') => {
                    is_ours = (d, i) == (device, inode);
                    let hex = |text| usize::from_str_radix(text, 16).unwrap_or(0);
                    let part = range
                        .split_once('-')
                        .map(|(from, to)| Part { addresses: hex(from)..hex(to), offset: hex(offset) });
                    mapped.parts.extend(part.filter(|_| is_ours));
                }
                [key, n, "kB"] if is_ours => {
                    let n_bytes = n.parse::<usize>().unwrap_or(0) << 10;
                    match key {
                        "Rss:" => mapped.n_resident += n_bytes,
                        "FilePmdMapped:" => mapped.n_large += n_bytes,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        mapped
    }
}

/// Moves the 2 MiB at this address into a large page. After an error they are a private copy, or unchanged.
///
/// # Safety
/// `at` is a readable mapping of the file from `offset` on, which nothing unmaps meanwhile.
unsafe fn move_piece(file: &File, at: *mut c_void, offset: usize) -> Result<()> {
    if file.metadata().map_or(true, |metadata| metadata.len() < (offset + PAGE) as u64) {
        return Err(Errno::STALE);
    }
    // SAFETY: as promised by the caller; the other memory is new, and nothing else knows it. `mremap_fixed` takes
    // the place of a mapping in one step, and the new one has the same bytes.
    unsafe {
        // Twice as long, so that a whole page lies in it.
        let room = mmap_anonymous(null_mut(), 2 * PAGE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?;
        let copy = room.byte_add(room.align_offset(PAGE));
        // What is left of the room goes first: once the copy has moved, others may get its place.
        let n_before = copy as usize - room as usize;
        if n_before > 0 {
            munmap(room, n_before)?;
        }
        munmap(copy.byte_add(PAGE), PAGE - n_before)?;
        // Small pages hold the copy as well.
        let _ = madvise(copy, PAGE, Advice::LinuxHugepage);
        copy.cast::<u8>().copy_from_nonoverlapping(at.cast(), PAGE);
        let forget = |memory| {
            // A failure only leaves memory unused.
            let _ = munmap(memory, PAGE);
        };
        mprotect(copy, PAGE, MprotectFlags::READ).inspect_err(|_| forget(copy))?;
        put(copy, at, file, offset)?;
        let length = std::num::NonZeroU64::new(PAGE as u64);
        fadvise(file, offset as u64, length, rustix::fs::Advice::DontNeed)?;
        let anew = mmap(null_mut(), PAGE, ProtFlags::READ, MapFlags::SHARED, file, offset as u64)?;
        madvise(anew, PAGE, Advice::LinuxHugepage)
            .and_then(|()| madvise(anew, PAGE, Advice::LinuxPopulateRead))
            // The file may have been changed, and the model must not.
            .and_then(|()| if is_same(anew, at) { Ok(()) } else { Err(Errno::STALE) })
            .inspect_err(|_| forget(anew))?;
        put(anew, at, file, offset)?;
        // Fills the page table now instead of at first use.
        let _ = madvise(at, PAGE, Advice::LinuxPopulateRead);
        Ok(())
    }
}

/// Moves a large page of memory to this place.
///
/// # Safety
/// As [`move_piece`]; nothing else knows `memory`, which has the bytes that are there.
unsafe fn put(memory: *mut c_void, at: *mut c_void, file: &File, offset: usize) -> Result<()> {
    // SAFETY: as promised by the caller.
    unsafe {
        mremap_fixed(memory, PAGE, PAGE, MremapFlags::MAYMOVE, at).map(drop).inspect_err(|_| {
            // Linux may have unmapped what was there already.
            let _ = mmap(at, PAGE, ProtFlags::READ, MapFlags::SHARED | MapFlags::FIXED_NOREPLACE, file, offset as u64);
            let _ = munmap(memory, PAGE);
        })
    }
}

/// # Safety
/// Both are readable.
unsafe fn is_same(one: *const c_void, other: *const c_void) -> bool {
    // SAFETY: as promised by the caller.
    let [one, other] = [one, other].map(|at| unsafe { std::slice::from_raw_parts(at.cast::<u8>(), PAGE) });
    one == other
}

#[cfg(test)]
#[path = "linux_tests.rs"]
mod tests;
