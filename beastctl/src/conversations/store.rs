//! The folder of conversations: find, read, lock, append, remove.
//!
//! An exchange locks its file, so that no other one can interleave. An empty file is a new conversation without an
//! exchange, invisible to others.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use beast_launchd::{
    file,
    lock::{self, NotLocked},
};

use super::{
    Conversation, ConversationError, Exchange, Head,
    lines::{self, Parsed},
    names,
};

/// Most automatic conversations to keep; the least recently used ones are removed first.
const MAX_AUTOMATIC: usize = 1000;
/// Longer than any context: such a file is something else.
const MAX_BYTES: u64 = 64 << 20;
/// How many taken names to try before giving up.
const MAX_TRIES: usize = 100;
const EXTENSION: &str = "jsonl";

#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    max_automatic: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// Time of the last exchange.
    pub modified: SystemTime,
}

#[derive(Debug)]
pub struct Read {
    pub conversation: Conversation,
    /// Whether its last exchange is damaged, and therefore missing.
    pub is_damaged: bool,
}

impl Store {
    pub fn of_user() -> Result<Self, ConversationError> {
        let folder = beast_launchd::paths::data_dir().map_err(ConversationError::NoPlace)?;
        Ok(Self::at(folder.join("conversations")))
    }

    pub fn at(folder: PathBuf) -> Self {
        Self { folder, max_automatic: MAX_AUTOMATIC }
    }

    pub fn entries(&self) -> Result<Vec<Entry>, ConversationError> {
        let failed = |source| failure("read the folder", &self.folder, source);
        let files = match fs::read_dir(&self.folder) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut entries = Vec::new();
        for file in files {
            let path = file.map_err(failed)?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).filter(|name| names::check(name).is_ok());
            let Some(name) = name.filter(|_| path.extension().is_some_and(|extension| extension == EXTENSION)) else {
                continue;
            };
            // Most likely removed since the folder was listed.
            let Ok(metadata) = path.metadata() else { continue };
            if metadata.is_file() && metadata.len() > 0 {
                let modified = metadata.modified().map_err(failed)?;
                entries.push(Entry { name: name.into(), modified });
            }
        }
        entries.sort_by(|a, b| (b.modified, &b.name).cmp(&(a.modified, &a.name)));
        Ok(entries)
    }

    pub fn latest(&self) -> Result<String, ConversationError> {
        self.entries()?.into_iter().next().map(|entry| entry.name).ok_or(ConversationError::Nothing)
    }

    /// The one name that equals this prefix or begins with it.
    ///
    /// # Errors
    /// [`ConversationError::Unknown`], [`ConversationError::Ambiguous`], and see [`Store::entries`].
    pub fn find(&self, prefix: &str) -> Result<String, ConversationError> {
        names::check(prefix)?;
        let names = self.entries()?.into_iter().map(|entry| entry.name);
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        if let Some(exact) = names.iter().position(|name| name == prefix) {
            return Ok(names.swap_remove(exact));
        }
        match names.len() {
            0 => Err(ConversationError::Unknown(prefix.into())),
            1 => Ok(names.remove(0)),
            _ => Err(ConversationError::Ambiguous { prefix: prefix.into(), names }),
        }
    }

    /// Reads a conversation, even while another process continues it.
    pub fn read(&self, name: &str) -> Result<Read, ConversationError> {
        let path = self.path(name)?;
        let bytes = file::read(&path, MAX_BYTES).map_err(|source| missing(name, failure("read", &path, source)))?;
        let parsed = lines::parse(&path, &bytes)?;
        let conversation = parsed.conversation.ok_or_else(|| ConversationError::Unknown(name.into()))?;
        Ok(Read { conversation, is_damaged: parsed.is_damaged })
    }

    /// Locks the conversation of this name for an exchange; creates it if it does not exist.
    pub fn open(&self, name: &str) -> Result<Open, ConversationError> {
        let path = self.path(name)?;
        if names::is_automatic(name) && !path.exists() {
            return Err(ConversationError::Automatic(name.into()));
        }
        self.prepare()?;
        Open::take(name, path, true)
    }

    pub fn open_existing(&self, name: &str) -> Result<Open, ConversationError> {
        let open = Open::take(name, self.path(name)?, false)?;
        if open.conversation.is_none() { Err(ConversationError::Unknown(name.into())) } else { Ok(open) }
    }

    /// Creates a conversation with an automatic name, and removes old ones if there are too many.
    pub fn create(&self, time: SystemTime) -> Result<Open, ConversationError> {
        self.prepare()?;
        let mut n = 1;
        let open = loop {
            let name = names::automatic(time, n);
            let path = self.path(&name)?;
            match new_file().create_new(true).open(&path) {
                Ok(file) => break Open::locked(&name, path, file)?,
                Err(error) if error.kind() == ErrorKind::AlreadyExists && n < MAX_TRIES => n += 1,
                Err(error) => return Err(failure("create", &path, error)),
            }
        };
        self.remove_old()?;
        Ok(open)
    }

    /// Renames a conversation; the new name must be free.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), ConversationError> {
        let (old, new) = (self.path(from)?, self.path(to)?);
        if names::is_automatic(to) {
            return Err(ConversationError::Automatic(to.into()));
        }
        let _open = self.open_existing(from)?;
        // Reserves the new name, since renaming would silently replace a file. Stays locked until then, so that no
        // other process begins a conversation in the file that will be replaced.
        let _reserved = match new_file().create_new(true).open(&new) {
            Ok(file) => Open::locked(to, new.clone(), file)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(ConversationError::Taken(to.into())),
            Err(error) => return Err(failure("create", &new, error)),
        };
        // Somebody may have said something into it before it was locked.
        if fs::metadata(&new).is_ok_and(|data| data.len() > 0) {
            return Err(ConversationError::Taken(to.into()));
        }
        fs::rename(&old, &new).map_err(|error| failure("rename", &old, error))
    }

    /// Removes a conversation, damaged or not, unless it is in use.
    pub fn remove(&self, name: &str) -> Result<(), ConversationError> {
        let path = self.path(name)?;
        let _file = lock::at(&path, || file::open(&path)).map_err(|error| not_locked(name, &path, error))?;
        fs::remove_file(&path).map_err(|source| missing(name, failure("remove", &path, source)))
    }

    /// Whether a file of this name exists, even without content.
    pub fn has_file(&self, name: &str) -> bool {
        self.path(name).is_ok_and(|path| path.is_file())
    }

    /// The file with the lines typed in chats, for the line editor.
    pub fn typed_lines(&self) -> PathBuf {
        self.folder.with_file_name("chat-history")
    }

    fn path(&self, name: &str) -> Result<PathBuf, ConversationError> {
        names::check(name)?;
        Ok(self.folder.join(format!("{name}.{EXTENSION}")))
    }

    /// Ensures that the folder exists and is private.
    fn prepare(&self) -> Result<(), ConversationError> {
        let folder = &self.folder;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| failure("create the folder", folder, source))?;
        let mode = folder.metadata().map_err(|source| failure("look at", folder, source))?.mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(folder, Permissions::from_mode(0o700))
                .map_err(|source| failure("restrict the folder", folder, source))?;
        }
        Ok(())
    }

    fn remove_old(&self) -> Result<(), ConversationError> {
        // The new conversation has no content yet, so it is not included.
        let mut old: Vec<Entry> =
            self.entries()?.into_iter().filter(|entry| names::is_automatic(&entry.name)).collect();
        for entry in old.drain(self.max_automatic.saturating_sub(1).min(old.len())..) {
            match self.remove(&entry.name) {
                // Another process uses it or has removed it; the next run can remove it.
                Ok(()) | Err(ConversationError::InUse(_) | ConversationError::Unknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A conversation that is locked for this process, until dropped.
#[derive(Debug)]
pub struct Open {
    name: String,
    path: PathBuf,
    file: File,
    conversation: Option<Conversation>,
    n_good: u64,
    is_unended: bool,
    is_damaged: bool,
}

impl Open {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The conversation so far; `None` if it is new.
    pub fn conversation(&self) -> Option<&Conversation> {
        self.conversation.as_ref()
    }

    /// Whether its last exchange is damaged; the next one overwrites it.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Appends one exchange, and `head` before the first one, completely or not at all.
    pub fn append(mut self, head: &Head, exchange: &Exchange) -> Result<(), ConversationError> {
        let head = if self.conversation.is_none() { lines::line(head) } else { String::new() };
        let end = if self.is_unended { "\n" } else { "" };
        let text = format!("{end}{head}{}", lines::exchange_lines(exchange));
        if self.is_damaged {
            self.file.set_len(self.n_good).map_err(|source| failure("write", &self.path, source))?;
        }
        if let Err(error) = self.file.write_all(text.as_bytes()) {
            // Part of it may have been written to a full disk.
            let _ = self.file.set_len(self.n_good);
            return Err(failure("write", &self.path, error));
        }
        Ok(())
    }

    fn take(name: &str, path: PathBuf, may_create: bool) -> Result<Self, ConversationError> {
        let file = lock::at(&path, || file::open_with(new_file().create(may_create), &path));
        let file = file.map_err(|error| not_locked(name, &path, error))?;
        Self::read(name, path, file)
    }

    fn locked(name: &str, path: PathBuf, file: File) -> Result<Self, ConversationError> {
        lock::take(&file).map_err(|error| not_locked(name, &path, error))?;
        Self::read(name, path, file)
    }

    fn read(name: &str, path: PathBuf, file: File) -> Result<Self, ConversationError> {
        let bytes = file::read_all(&file, MAX_BYTES).map_err(|source| failure("read", &path, source))?;
        let parsed = lines::parse(&path, &bytes)?;
        let Parsed { conversation, n_good, is_damaged, is_unended } = parsed;
        Ok(Self { name: name.into(), path, file, conversation, n_good, is_unended, is_damaged })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // A new conversation without an exchange leaves no file.
        if self.file.metadata().is_ok_and(|metadata| metadata.len() == 0) && lock::is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Options for appending, so that text written by another process is never overwritten.
fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600);
    options
}

fn not_locked(name: &str, path: &Path, error: NotLocked) -> ConversationError {
    match error {
        NotLocked::Held => ConversationError::InUse(name.into()),
        NotLocked::Io(source) => missing(name, failure("open", path, source)),
    }
}

fn failure(action: &'static str, path: &Path, source: io::Error) -> ConversationError {
    ConversationError::File { action, path: path.to_owned(), source }
}

/// Turns a missing file into an unknown conversation.
fn missing(name: &str, error: ConversationError) -> ConversationError {
    match error {
        ConversationError::File { source, .. } if source.kind() == ErrorKind::NotFound => {
            ConversationError::Unknown(name.into())
        }
        error => error,
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
