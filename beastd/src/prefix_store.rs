//! Cached prefixes on disk, so that a restart does not compute them again.
//!
//! May know: tokens, files, their owners and modes. Never knows: the contents of a state, how it is made, the
//! scheduler.
//!
//! A file holds one prefix, all numbers little-endian: magic (8 bytes), format version (4), SHA-256 of the key (32),
//! number of tokens (8), number of state bytes (8), the tokens (4 each), the state, SHA-256 of everything before. Its
//! name is the hash of key and tokens, so a mismatch is found without reading the state.
//!
//! The files hold users' text as tokens, so they must not be readable by other users. They must not be writable by
//! them either, because the engine trusts a state; the checksum only guards against accidents.

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

/// What a state depends on: a state of a different model, cache type or engine build must never be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreKey {
    /// Fingerprint of the model file, see [`crate::fingerprint::fingerprint`].
    pub model: [u8; 32],
    /// The engine, and all its settings that affect a state.
    pub engine: String,
    /// Number type of the KV cache, and how its cells are divided.
    pub kv_layout: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// Prefixes on disk.
    pub n_entries: usize,
    /// Total size of their files, in bytes.
    pub n_bytes: u64,
    /// Prefixes restored.
    pub n_restored: u64,
}

/// A folder of prefixes, of which the least recently used one is removed first.
///
/// Several models and daemons share a folder. Each store reads prefixes of its own model that existed when it opened
/// the folder, and those that it has written; files that another one removed count as missing. The size limit is for
/// all files together, each store enforces it when it writes.
#[derive(Debug)]
pub struct PrefixStore {
    folder: PathBuf,
    key: Hash,
    max_bytes: u64,
    /// Least recently used first.
    entries: Vec<Entry>,
    /// The latest time of use of any file.
    newest: SystemTime,
    n_restored: u64,
}

/// A prefix on disk.
#[derive(Debug)]
struct Entry {
    name: String,
    /// Empty for a prefix of another model.
    tokens: Vec<Token>,
    /// Length of its file.
    n_bytes: u64,
}

type Hash = [u8; 32];

const MAGIC: [u8; 8] = *b"beastpfx";
const VERSION: u32 = 1;
/// The bytes before the tokens.
const HEAD_LEN: usize = 60;
/// Offsets of the key, and of the token count and the state's length, in the header.
const KEY_AT: usize = 12;
const COUNTS_AT: usize = 44;
const TOKEN_LEN: u64 = 4;
const CHECKSUM_LEN: u64 = size_of::<Seal>() as u64;

const SUFFIX: &str = ".prefix";
/// Suffix of the name while a file is being written.
const PART_SUFFIX: &str = whole::PART_SUFFIX;
/// Retries when another daemon, which is just starting, mistook our file for a leftover.
const MAX_BEGINNINGS: usize = 8;

/// Why a file is removed instead of used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it has a different version")]
    Foreign,
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error("it is larger than the whole cache may be")]
    TooLarge,
    #[error("it is not a regular file")]
    NoFile,
    #[error("other users can write to it")]
    NotOurs,
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl PrefixStore {
    /// Opens a folder, creating it if needed, and lists its prefixes without reading their states.
    ///
    /// Removes unusable files: damaged ones, those of another format version, links, and partial files of a killed
    /// daemon. Also removes the least recently used ones above `max_bytes`. Files of another key stay as long as there
    /// is room, folders and files with other names are left alone.
    ///
    /// # Errors
    /// When the folder cannot be created or read, belongs to another user, is open to others and cannot be
    /// restricted, or when surplus files cannot be removed.
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

    /// The length in tokens of the longest stored prefix of `tokens` that is longer than `longer_than` and leaves at
    /// least one token to compute.
    pub fn find(&self, tokens: &[Token], longer_than: usize) -> Option<usize> {
        let fits = |len: usize| len > longer_than && len < tokens.len();
        let is_prefix = |entry: &&Entry| fits(entry.tokens.len()) && tokens.starts_with(&entry.tokens);
        self.entries.iter().filter(is_prefix).map(|entry| entry.tokens.len()).max()
    }

    /// Reads the state of the prefix with exactly these tokens. `None` when it is missing or unusable; an unusable file
    /// is removed with a warning.
    pub fn read(&mut self, tokens: &[Token]) -> Option<SavedState> {
        let at = self.entries.iter().position(|entry| entry.tokens == tokens)?;
        let mut entry = self.entries.remove(at);
        let path = self.path(tokens);
        match self.load(&path, tokens) {
            Ok((state, n_bytes)) => {
                // Another daemon may have rewritten it.
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

    /// Whether the prefix with exactly these tokens is stored.
    pub fn contains(&self, tokens: &[Token]) -> bool {
        self.entries.iter().any(|entry| entry.tokens == tokens)
    }

    /// Stores a prefix and removes the least recently used ones above the limit. Does nothing if it is already stored,
    /// larger than the limit, or empty.
    ///
    /// Writes the whole state, but does not wait for the disk: a file left incomplete by a power failure is found by
    /// its length or checksum.
    ///
    /// # Errors
    /// When the folder is unusable (see [`PrefixStore::open`]) or the file cannot be written, for example because the
    /// disk is full. No partial file remains, and the store stays usable.
    pub fn write(&mut self, tokens: &[Token], state: &SavedState) -> io::Result<()> {
        let n_state = state.bytes().len() as u64;
        let Some(n_bytes) = file_len(tokens.len() as u64, n_state) else { return Ok(()) };
        if tokens.is_empty() || n_bytes > self.max_bytes || self.contains(tokens) {
            return Ok(());
        }
        // Repeated here, because the cache may have been deleted under a running daemon.
        prepare_folder(&self.folder)?;
        self.notice_others()?;
        self.evict_to(self.max_bytes - n_bytes)?;

        let head = encode_head(&self.key, tokens, n_state);
        let seal = state.seal(&head);
        let name = file_name(&self.key, &encode_tokens(tokens));
        let mut part = self.begin_file(&self.folder.join(&name))?;
        for piece in [&head, state.bytes(), &seal] {
            part.write_all(piece)?;
        }
        self.note_use(part.file());
        part.finish()?;
        // Another daemon may have written the same.
        self.entries.retain(|entry| entry.name != name);
        self.entries.push(Entry { name, tokens: tokens.to_vec(), n_bytes });
        Ok(())
    }

    /// Statistics of this model's prefixes.
    pub fn stats(&self) -> StoreStats {
        let own: Vec<_> = self.entries.iter().filter(|entry| !entry.tokens.is_empty()).collect();
        let n_bytes = own.iter().map(|entry| entry.n_bytes).sum();
        StoreStats { n_entries: own.len(), n_bytes, n_restored: self.n_restored }
    }

    /// Adds files that other stores have written meanwhile, as the latest ones, and forgets those that they removed.
    fn notice_others(&mut self) -> io::Result<()> {
        let mut there = Vec::new();
        for item in fs::read_dir(&self.folder)? {
            let item = item?;
            if let (Ok(name), Ok(metadata)) = (item.file_name().into_string(), item.metadata()) {
                there.push((name, metadata.len()));
            }
        }
        self.entries.retain(|entry| there.iter().any(|(name, _)| *name == entry.name));
        for (name, n_bytes) in there {
            if is_our_name(&name) && !self.entries.iter().any(|entry| entry.name == name) {
                self.entries.push(Entry { name, tokens: Vec::new(), n_bytes });
            }
        }
        Ok(())
    }

    fn n_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.n_bytes).sum()
    }

    fn path(&self, tokens: &[Token]) -> PathBuf {
        self.folder.join(file_name(&self.key, &encode_tokens(tokens)))
    }

    /// Lists the folder, with times of last use, and removes unusable files.
    fn look_around(&self) -> io::Result<Vec<(SystemTime, Entry)>> {
        let mut found = Vec::new();
        for item in fs::read_dir(&self.folder)? {
            let item = item?;
            let (name, path) = (item.file_name(), item.path());
            // A file without a type has just been removed.
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

    /// Reads a file except for its state.
    fn look_at(&self, path: &Path, name: &str) -> Result<(SystemTime, Entry), Unusable> {
        let (mut file, n_bytes) = self.open_file(path)?;
        let mut head = [0; HEAD_LEN];
        file.read_exact(&mut head)?;
        let n_tokens = self.check_head(&head, n_bytes)?;
        let (name, modified) = (name.to_owned(), file.metadata()?.modified()?);
        let mut bytes = vec![0; n_tokens * TOKEN_LEN as usize];
        file.read_exact(&mut bytes)?;
        let key: Hash = head[KEY_AT..COUNTS_AT].try_into().expect("32 bytes");
        if file_name(&key, &bytes) != name {
            return Err(Unusable::Damaged("its name does not match its tokens"));
        }
        if key != self.key {
            bytes.clear();
        }
        let (numbers, _) = bytes.as_chunks();
        let tokens: Vec<_> = numbers.iter().map(|&number| Token(i32::from_le_bytes(number))).collect();
        Ok((modified, Entry { name, tokens, n_bytes }))
    }

    /// Checks the counts against the file's length and returns the number of tokens.
    fn check_head(&self, head: &[u8; HEAD_LEN], n_bytes: u64) -> Result<usize, Unusable> {
        if head[..MAGIC.len()] != MAGIC {
            return Err(Unusable::Damaged("its magic number is wrong"));
        }
        if head[MAGIC.len()..KEY_AT] != VERSION.to_le_bytes() {
            return Err(Unusable::Foreign);
        }
        let count = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let (n_tokens, n_state) = (count(COUNTS_AT), count(COUNTS_AT + 8));
        if file_len(n_tokens, n_state) != Some(n_bytes) {
            return Err(Unusable::Damaged("its length does not match its header"));
        }
        usize::try_from(n_tokens).map_err(|_| Unusable::TooLarge)
    }

    /// Reads the state, verifies everything, and records the use in the file; also returns the file's length.
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
            return Err(Unusable::Damaged("its header has changed"));
        }
        let state = SavedState::unseal(&head, state, &seal).ok_or(Unusable::Damaged("its checksum is wrong"))?;
        self.note_use(&file);
        Ok((state, n_bytes))
    }

    /// Opens a private regular file for reading; also returns its length, which is within limits.
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

    /// Removes the least recently used files down to `max_bytes`.
    fn evict_to(&mut self, max_bytes: u64) -> io::Result<()> {
        let mut n_bytes = self.n_bytes();
        while n_bytes > max_bytes {
            let oldest = &self.entries[0];
            remove(&self.folder.join(&oldest.name))?;
            tracing::debug!(name = oldest.name, "evicted a cached prefix");
            n_bytes -= oldest.n_bytes;
            self.entries.remove(0);
        }
        Ok(())
    }

    /// Creates an empty file of mode 0600 that is removed unless it gets its final name. It is locked, so that
    /// another daemon sees that it is being written.
    fn begin_file(&self, path: &Path) -> io::Result<WholeFile> {
        for _ in 0..MAX_BEGINNINGS {
            let part = WholeFile::create(path, PRIVATE)?;
            // File systems without locks lack this protection.
            let _ = part.file().lock();
            if part.file().metadata()?.nlink() > 0 {
                return Ok(part);
            }
            // Another daemon removed it between creation and lock.
        }
        Err(io::Error::other("files vanish from the prefix cache folder while they are written"))
    }

    /// Gives the file a later time than all others, even if the clock was set back or is coarse: the next daemon
    /// reads the order of use from these times.
    fn note_use(&mut self, file: &File) {
        let later = self.newest.checked_add(Duration::from_micros(1)).unwrap_or(self.newest);
        self.newest = SystemTime::now().max(later);
        // On failure only the next daemon lacks the order; this one keeps it in memory.
        let _ = file.set_modified(self.newest);
    }
}

fn hash_of_key(key: &StoreKey) -> Hash {
    let mut hasher = Sha256::new_with_prefix(key.model);
    for text in [&key.engine, &key.kv_layout] {
        // Lengths are included, so that no two keys encode alike.
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().into()
}

/// Encodes everything before the state.
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

/// Length of a file with this many tokens and state bytes; `None` on overflow.
fn file_len(n_tokens: u64, n_state: u64) -> Option<u64> {
    n_tokens.checked_mul(TOKEN_LEN)?.checked_add(n_state)?.checked_add(HEAD_LEN as u64 + CHECKSUM_LEN)
}

/// The name of a file; `tokens` are encoded as in the file.
fn file_name(key: &Hash, tokens: &[u8]) -> String {
    hex(&Sha256::new_with_prefix(key).chain_update(tokens).finalize()) + SUFFIX
}

fn is_our_name(name: &str) -> bool {
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.strip_suffix(SUFFIX).is_some_and(is_hash)
}

/// Opens for reading; does not follow links or block on pipes.
fn open_no_link(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Removes a file, or a link itself; succeeds if it is already gone.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes an unusable file. A failure does no harm, because the file is not in the index.
fn discard(path: &Path, why: &Unusable) {
    match why {
        Unusable::Io(error) if error.kind() == io::ErrorKind::NotFound => return,
        Unusable::Foreign => tracing::debug!(path = %path.display(), "removing a cached prefix: {why}"),
        _ => tracing::warn!(path = %path.display(), "removing a cached prefix: {why}"),
    }
    if let Err(error) = remove(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove it");
    }
}

/// Removes partial files of a killed daemon. A daemon that still writes holds a lock, which ends with its process.
fn remove_leftover(path: &Path) {
    let file = open_no_link(path);
    if file.as_ref().is_ok_and(|file| matches!(lock::take(file), Err(NotLocked::Held))) {
        return;
    }
    // We still hold the lock: a writer that waits for it sees that the file is gone, and creates another.
    if let Err(error) = remove(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove a leftover file");
    }
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Ensures that the folder exists, belongs to us, and is private.
fn prepare_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Checks and restricts the opened folder, since its path may lead elsewhere by then.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let (opened, is_link) = match rustix::fs::open(folder, flags | OFlags::NOFOLLOW, Mode::empty()) {
        // The folder itself may be a link, for example to a larger disk.
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
    // The target of a link may have its mode on purpose.
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
