//! Kept prefixes on disk, so that a prompt which was computed once need not be computed again after a restart.
//!
//! May know: tokens, files, their owners and modes. Never knows: what stands in a state, how it is made, the scheduler.
//!
//! A file holds one prefix, all numbers little endian: magic (8 bytes), format version (4), SHA-256 of the key (32),
//! number of tokens (8), number of state bytes (8), the tokens (4 each), the state, SHA-256 of all that. Its name is
//! the hash of key and tokens: tokens that do not match it are noticed without reading the state.
//!
//! The files hold what users wrote, as tokens: nobody else may read them. Nor may anybody else write them, for a state
//! goes to an engine that trusts it; the checksum is against accidents only.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use beast_launchd::lock::{self, NotLocked};
use beast_launchd::whole::{self, PRIVATE, WholeFile};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::batch::Token;
use crate::engine::{SavedState, Seal};
use crate::fingerprint::hex;

/// What a state belongs to: a state of another model, cache type or engine build must never be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreKey {
    /// Fingerprint of the model file, see [`crate::fingerprint::fingerprint`].
    pub model: [u8; 32],
    /// The engine and all of its settings that shape a state.
    pub engine: String,
    /// Type of the KV cache's numbers.
    pub kv_type: String,
}

/// How the store stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// Prefixes on disk.
    pub n_entries: usize,
    /// Bytes of their files.
    pub n_bytes: u64,
    /// How often one was read.
    pub n_restored: u64,
}

/// A folder of prefixes. The one that was read or written longest ago goes first when room is needed.
///
/// Several daemons may use one folder. Each knows what was there when it opened the folder and what it has written
/// itself; what another one has removed counts as not there. The bound holds for what each of them knows.
#[derive(Debug)]
pub struct PrefixStore {
    folder: PathBuf,
    key: Hash,
    max_bytes: u64,
    /// The least recently used one first.
    entries: Vec<Entry>,
    /// The latest time of use that any of the files bears.
    newest: SystemTime,
    n_restored: u64,
}

/// A prefix on disk.
#[derive(Debug)]
struct Entry {
    tokens: Vec<Token>,
    /// Length of its file.
    n_bytes: u64,
}

type Hash = [u8; 32];

const MAGIC: [u8; 8] = *b"beastpfx";
const VERSION: u32 = 1;
/// What stands before the tokens.
const HEAD_LEN: usize = 60;
/// Where, in the head, the numbers of tokens and of state bytes begin.
const COUNTS_AT: usize = 44;
const TOKEN_LEN: u64 = 4;
const CHECKSUM_LEN: u64 = size_of::<Seal>() as u64;

const SUFFIX: &str = ".prefix";
/// Of a file that is being written.
const PART_SUFFIX: &str = whole::PART_SUFFIX;
/// How often a file is begun again that another daemon, which is just starting, took for a left-over.
const MAX_BEGINNINGS: usize = 8;

/// Why a file is not used, but removed.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it is of another model, cache type, engine or version")]
    Foreign,
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error("it is larger than all together may be")]
    TooLarge,
    #[error("it is a link or something else that is no file")]
    NoFile,
    #[error("others may have written it")]
    NotOurs,
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl PrefixStore {
    /// Opens a folder, which is made when it is missing, and reads which prefixes are there, but not their states.
    ///
    /// Files that cannot be used are removed: damaged ones, those of another key or format version, links, and what
    /// a killed daemon left half-written. So are the least recently used ones above `max_bytes`. Files with names that
    /// are not ours and folders are left alone.
    ///
    /// # Errors
    /// When the folder cannot be made or read, belongs to another user, is open to others and cannot be restricted, or
    /// when what is above the bound cannot be removed.
    pub fn open(folder: &Path, key: StoreKey, max_bytes: u64) -> io::Result<Self> {
        prepare_folder(folder)?;
        let mut store = Self {
            folder: folder.to_owned(),
            key: hash_of_key(&key),
            max_bytes,
            entries: Vec::new(),
            newest: SystemTime::UNIX_EPOCH,
            n_restored: 0,
        };
        let mut found = store.look_around()?;
        found.sort_by_key(|(used, _)| *used);
        store.newest = found.last().map_or(store.newest, |(used, _)| *used);
        store.entries = found.into_iter().map(|(_, entry)| entry).collect();
        store.evict_to(max_bytes)?;
        Ok(store)
    }

    /// The longest stored prefix of `tokens` which is longer than `longer_than` and leaves at least one token to
    /// compute: its length, in tokens.
    pub fn find(&self, tokens: &[Token], longer_than: usize) -> Option<usize> {
        let fits = |len: usize| len > longer_than && len < tokens.len();
        let is_prefix = |entry: &&Entry| fits(entry.tokens.len()) && tokens.starts_with(&entry.tokens);
        self.entries.iter().filter(is_prefix).map(|entry| entry.tokens.len()).max()
    }

    /// Reads the state of the prefix that consists of just these tokens. `None` when it is not there or cannot be used:
    /// its file is removed then, with a warning in the log.
    pub fn read(&mut self, tokens: &[Token]) -> Option<SavedState> {
        let at = self.entries.iter().position(|entry| entry.tokens == tokens)?;
        let mut entry = self.entries.remove(at);
        let path = self.path(tokens);
        match self.load(&path, tokens) {
            Ok((state, n_bytes)) => {
                // Another daemon may have written it anew.
                entry.n_bytes = n_bytes;
                self.entries.push(entry);
                self.n_restored += 1;
                Some(state)
            }
            Err(why) => {
                discard(&path, &why);
                None
            }
        }
    }

    /// Whether the prefix that consists of just these tokens is stored.
    pub fn contains(&self, tokens: &[Token]) -> bool {
        self.entries.iter().any(|entry| entry.tokens == tokens)
    }

    /// Stores a prefix, and removes the least recently used ones to make room for it. Does nothing when it is stored
    /// already, larger than the bound, or without a token.
    ///
    /// Hashes and writes the whole state before it returns, but does not wait for the disk: a file that a power cut
    /// leaves incomplete is found by its length or its checksum.
    ///
    /// # Errors
    /// When the folder cannot be used (see [`PrefixStore::open`]) or the file cannot be written, for instance because
    /// the disk is full. Nothing of the file is left then, and the store can be used on.
    pub fn write(&mut self, tokens: &[Token], state: &SavedState) -> io::Result<()> {
        let n_state = state.bytes().len() as u64;
        let Some(n_bytes) = file_len(tokens.len() as u64, n_state) else { return Ok(()) };
        if tokens.is_empty() || n_bytes > self.max_bytes || self.contains(tokens) {
            return Ok(());
        }
        // Again: somebody may have emptied the cache under a running daemon.
        prepare_folder(&self.folder)?;
        self.evict_to(self.max_bytes - n_bytes)?;

        let head = encode_head(&self.key, tokens, n_state);
        let seal = state.seal(&head);
        let mut part = self.begin_file(&self.path(tokens))?;
        for piece in [&head, state.bytes(), &seal] {
            part.write_all(piece)?;
        }
        self.note_use(part.file());
        part.finish()?;
        self.entries.push(Entry { tokens: tokens.to_vec(), n_bytes });
        Ok(())
    }

    /// How the store stands.
    pub fn stats(&self) -> StoreStats {
        StoreStats { n_entries: self.entries.len(), n_bytes: self.n_bytes(), n_restored: self.n_restored }
    }

    fn n_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.n_bytes).sum()
    }

    fn path(&self, tokens: &[Token]) -> PathBuf {
        self.folder.join(file_name(&self.key, &encode_tokens(tokens)))
    }

    /// Reads what is in the folder, with times of last use, and removes what cannot be used.
    fn look_around(&self) -> io::Result<Vec<(SystemTime, Entry)>> {
        let mut found = Vec::new();
        for item in fs::read_dir(&self.folder)? {
            let item = item?;
            let (name, path) = (item.file_name(), item.path());
            // No kind: it is gone by now.
            let (Some(name), Ok(kind)) = (name.to_str(), item.file_type()) else { continue };
            if kind.is_dir() {
                continue;
            }
            if name.ends_with(PART_SUFFIX) {
                remove_leftover(&path);
            } else if is_our_name(name) {
                let looked = if kind.is_file() { self.look_at(&path, name) } else { Err(Unusable::NoFile) };
                match looked {
                    Ok(entry) => found.push(entry),
                    Err(why) => discard(&path, &why),
                }
            }
        }
        Ok(found)
    }

    /// Reads all of a file but the state.
    fn look_at(&self, path: &Path, name: &str) -> Result<(SystemTime, Entry), Unusable> {
        let (mut file, n_bytes) = self.open_file(path)?;
        let mut head = [0; HEAD_LEN];
        file.read_exact(&mut head)?;
        let n_tokens = self.check_head(&head, n_bytes)?;
        let mut bytes = vec![0; n_tokens * TOKEN_LEN as usize];
        file.read_exact(&mut bytes)?;
        if file_name(&self.key, &bytes) != name {
            return Err(Unusable::Damaged("it has another name than its tokens want"));
        }
        let (numbers, _) = bytes.as_chunks();
        let tokens: Vec<_> = numbers.iter().map(|&number| Token(i32::from_le_bytes(number))).collect();
        Ok((file.metadata()?.modified()?, Entry { tokens, n_bytes }))
    }

    /// Says how many tokens follow; by then the numbers are known to describe a file of just this length.
    fn check_head(&self, head: &[u8; HEAD_LEN], n_bytes: u64) -> Result<usize, Unusable> {
        let expected = encode_head(&self.key, &[], 0);
        if head[..MAGIC.len()] != MAGIC {
            return Err(Unusable::Damaged("it does not begin as such a file does"));
        }
        if head[..COUNTS_AT] != expected[..COUNTS_AT] {
            return Err(Unusable::Foreign);
        }
        let count = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let (n_tokens, n_state) = (count(COUNTS_AT), count(COUNTS_AT + 8));
        if file_len(n_tokens, n_state) != Some(n_bytes) {
            return Err(Unusable::Damaged("it has another length than it says"));
        }
        usize::try_from(n_tokens).map_err(|_| Unusable::TooLarge)
    }

    /// Reads the state, checks all, and notes the use in the file; returns the length of the file too.
    fn load(&mut self, path: &Path, tokens: &[Token]) -> Result<(SavedState, u64), Unusable> {
        let (mut file, n_bytes) = self.open_file(path)?;
        let n_around = file_len(tokens.len() as u64, 0).ok_or(Unusable::TooLarge)?;
        let n_state = n_bytes.checked_sub(n_around).ok_or(Unusable::Damaged("it is too short"))?;

        let expected = encode_head(&self.key, tokens, n_state);
        let mut head = vec![0; expected.len()];
        let mut state = vec![0; usize::try_from(n_state).map_err(|_| Unusable::TooLarge)?];
        let mut seal = Seal::default();
        for piece in [&mut head[..], &mut state, &mut seal] {
            file.read_exact(piece)?;
        }
        if head != expected {
            return Err(Unusable::Damaged("its beginning has changed"));
        }
        let state = SavedState::unseal(&head, state, &seal).ok_or(Unusable::Damaged("its checksum is wrong"))?;
        self.note_use(&file);
        Ok((state, n_bytes))
    }

    /// Opens a file for reading if it is one and ours alone; returns its length too, which is bounded.
    fn open_file(&self, path: &Path) -> Result<(File, u64), Unusable> {
        let file = open_no_link(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(Unusable::NoFile);
        }
        if metadata.uid() != us() || metadata.mode() & 0o077 != 0 {
            return Err(Unusable::NotOurs);
        }
        if metadata.len() > self.max_bytes {
            return Err(Unusable::TooLarge);
        }
        Ok((file, metadata.len()))
    }

    /// Removes the least recently used ones until no more than `max_bytes` are left.
    fn evict_to(&mut self, max_bytes: u64) -> io::Result<()> {
        let mut n_bytes = self.n_bytes();
        while n_bytes > max_bytes {
            let oldest = &self.entries[0];
            remove(&self.path(&oldest.tokens))?;
            tracing::debug!(n_tokens = oldest.tokens.len(), "gave a kept prefix up, to make room");
            n_bytes -= oldest.n_bytes;
            self.entries.remove(0);
        }
        Ok(())
    }

    /// An empty file of mode 0600 that is removed unless it gets its final name; locked, so that another daemon which
    /// opens the folder now sees that somebody writes it.
    fn begin_file(&self, path: &Path) -> io::Result<WholeFile> {
        for _ in 0..MAX_BEGINNINGS {
            let part = WholeFile::create(path, PRIVATE)?;
            // A file system without locks is used without this protection.
            let _ = part.file().lock();
            if part.file().metadata()?.nlink() > 0 {
                return Ok(part);
            }
            // It was removed between its creation and the lock.
        }
        Err(io::Error::other("files that are being written vanish from the folder of kept prefixes"))
    }

    /// Gives the file a time later than every one before, also when the clock was set back or is coarse: it is in these
    /// times that the next daemon finds the order of use.
    fn note_use(&mut self, file: &File) {
        let later = self.newest.checked_add(Duration::from_micros(1)).unwrap_or(self.newest);
        self.newest = SystemTime::now().max(later);
        // This daemon knows the order without.
        let _ = file.set_modified(self.newest);
    }
}

fn hash_of_key(key: &StoreKey) -> Hash {
    let mut hasher = Sha256::new_with_prefix(key.model);
    for text in [&key.engine, &key.kv_type] {
        // With lengths, so that no text can be taken for the end of one and the beginning of the next.
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().into()
}

/// All that comes before the state.
fn encode_head(key: &Hash, tokens: &[Token], n_state: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_LEN + tokens.len() * TOKEN_LEN as usize);
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend(key);
    head.extend((tokens.len() as u64).to_le_bytes());
    head.extend(n_state.to_le_bytes());
    head.extend(encode_tokens(tokens));
    head
}

fn encode_tokens(tokens: &[Token]) -> Vec<u8> {
    tokens.iter().flat_map(|token| token.0.to_le_bytes()).collect()
}

/// Length of a file with so many tokens and bytes of state, unless that is absurd.
fn file_len(n_tokens: u64, n_state: u64) -> Option<u64> {
    n_tokens.checked_mul(TOKEN_LEN)?.checked_add(n_state)?.checked_add(HEAD_LEN as u64 + CHECKSUM_LEN)
}

/// `tokens` are those of the file, encoded.
fn file_name(key: &Hash, tokens: &[u8]) -> String {
    hex(&Sha256::new_with_prefix(key).chain_update(tokens).finalize()) + SUFFIX
}

fn is_our_name(name: &str) -> bool {
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.strip_suffix(SUFFIX).is_some_and(is_hash)
}

/// Opens for reading: not through a link, not waiting at a pipe.
fn open_no_link(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Removes a file, or the link itself; that it is gone already is as good.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a file that cannot be used. One that cannot be removed either is in nobody's way: it is not in the index.
fn discard(path: &Path, why: &Unusable) {
    match why {
        Unusable::Io(error) if error.kind() == io::ErrorKind::NotFound => return,
        Unusable::Foreign => tracing::debug!(path = %path.display(), "removing a kept prefix: {why}"),
        _ => tracing::warn!(path = %path.display(), "removing a kept prefix: {why}"),
    }
    if let Err(error) = remove(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove it");
    }
}

/// Removes what a killed daemon has not finished. Whoever still writes holds a lock, which ends with the process.
fn remove_leftover(path: &Path) {
    let file = open_no_link(path);
    if file.as_ref().is_ok_and(|file| matches!(lock::take(file), Err(NotLocked::Held))) {
        return;
    }
    // Still locked by us: who has just made it waits for the lock, sees that it is gone, and makes another.
    if let Err(error) = remove(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove a left-over");
    }
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The folder exists, belongs to us, and lets nobody else in.
fn prepare_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // What is checked and restricted is what was opened: the name may be another thing by then.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let (opened, is_link) = match rustix::fs::open(folder, flags | OFlags::NOFOLLOW, Mode::empty()) {
        // The folder itself may be a link, to a larger disk for instance.
        Err(Errno::LOOP | Errno::NOTDIR) => (rustix::fs::open(folder, flags, Mode::empty())?, true),
        opened => (opened?, false),
    };
    let opened = File::from(opened);
    let metadata = opened.metadata()?;
    let refuse = |why: &str| {
        let text = format!("the folder {} {why}", folder.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    };
    if metadata.uid() != us() {
        return refuse("belongs to another user");
    }
    if metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    // What a link leads to may be open for a reason.
    if is_link {
        return refuse("is open to other users; chmod 700 it");
    }
    opened.set_permissions(Permissions::from_mode(metadata.mode() & 0o700))
}

#[cfg(test)]
#[path = "prefix_store_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "prefix_store_property_tests.rs"]
mod property_tests;
