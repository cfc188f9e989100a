//! Input: files and stdin become one text, validated before anything is sent.
//!
//! Changes on the way (invalid UTF-8) become warnings; unusable input (empty, binary, too large) is refused here, where
//! the file still has a name.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal, Read},
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use beast_protocol::MAX_FRAME_LEN;
use rustix::event::PollFlags;

use crate::{
    exit::{self, Failing, advice},
    output::units::{above, binary, count},
    wait::{Wait, WaitError},
};

/// Most bytes of input: what fits into one frame.
pub const MAX_LEN: usize = MAX_FRAME_LEN;
/// Name of stdin among several files.
const STDIN: &str = "stdin";
const CHUNK_LEN: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("the input is empty; try: {example}")]
    Empty { example: &'static str },
    #[error("cannot read {name}")]
    Unreadable { name: String, source: io::Error },
    #[error("{name} is binary (a NUL byte at offset {offset})")]
    Binary {
        name: String,
        offset: usize,
        /// The encoding suggested by its first bytes.
        encoding: Option<&'static str>,
    },
    /// Text where a file name was expected.
    #[error("file `{words}` not found; try: {way}")]
    Words {
        words: String,
        /// The command that takes it as text.
        way: String,
    },
    /// Reading stops at the limit, so the size may be unknown.
    #[error(
        "the input is {}, and one request holds at most {}; try: send a part of it, for example with head -c",
        above(.known.unwrap_or(*.limit as u64), *.limit as u64), binary(*.limit as u64)
    )]
    TooLong { known: Option<u64>, limit: usize },
    #[error(
        "the input did not end within {}; try: raise --timeout, or add < /dev/null if there is no input",
        humantime::format_duration(*.0)
    )]
    TimedOut(Duration),
    #[error("`-` is named more than once; try: use `-` once, and name other files")]
    StdinTwice,
}

impl Failing for InputError {
    fn exit_code(&self) -> u8 {
        match self {
            InputError::TooLong { .. } => exit::TOO_LONG,
            InputError::TimedOut(_) => exit::FAILED,
            _ => exit::USAGE,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            InputError::Binary { encoding: Some(encoding), .. } => {
                format!("convert it first with iconv -f {encoding} -t UTF-8")
            }
            InputError::Binary { .. } => {
                "convert it to text first, for example with pdftotext or iconv -t UTF-8".into()
            }
            InputError::Unreadable { name, .. } if name == STDIN => "name a FILE instead of stdin".into(),
            InputError::Unreadable { name, source } if source.kind() == ErrorKind::IsADirectory => {
                advice::files_in(Path::new(name))
            }
            InputError::Unreadable { name, source } => advice::reading(Path::new(name), source),
            _ => return None,
        })
    }
}

/// The input, with warnings for the user.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Input {
    pub text: String,
    /// Changes on the way, one line each.
    pub warnings: Vec<String>,
}

impl Input {
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// Reads the files, or stdin if there are none; `-` is stdin. Several files get a heading each. All files are opened
/// before the first is read, so that a wrong name fails early. Stdin must end within the time limit of `wait`.
pub fn read(files: &[PathBuf], wait: &Wait) -> Result<Input, InputError> {
    let stdin = [PathBuf::from("-")];
    let files = if files.is_empty() { &stdin } else { files };
    Ok(read_all(files, files.len() > 1, wait)?.0)
}

/// Reads the files like [`read`], each with a heading, also a single one; nothing if all are blank.
pub fn read_named(files: &[PathBuf], wait: &Wait) -> Result<Input, InputError> {
    let (input, is_blank) = read_all(files, true, wait)?;
    Ok(if is_blank { Input { text: String::new(), ..input } } else { input })
}

/// Reads at most `limit` bytes of a file, or of stdin for `-`, which need not be text.
pub fn read_bytes(path: &Path, limit: u64, wait: &Wait) -> Result<Vec<u8>, InputError> {
    let Source { name, reader, .. } = open(path, wait)?;
    let mut bytes = Vec::new();
    reader.take(limit).read_to_end(&mut bytes).map_err(|error| failed(&name, error))?;
    Ok(bytes)
}

/// Also says whether all are blank.
fn read_all(files: &[PathBuf], has_headings: bool, wait: &Wait) -> Result<(Input, bool), InputError> {
    check_stdin(files)?;
    let sources = files.iter().map(|file| open(file, wait)).collect::<Result<Vec<_>, _>>()?;
    let known: u64 = sources.iter().map(|source| source.len).sum();
    if known > MAX_LEN as u64 {
        return Err(InputError::TooLong { known: Some(known), limit: MAX_LEN });
    }
    let (mut input, mut is_blank) = (Input::default(), true);
    for Source { name, reader, .. } in sources {
        let start = input.text.len() + if has_headings { input.heading(&name).len() } else { 0 };
        input.add(&name, reader, has_headings, MAX_LEN)?;
        is_blank &= input.text[start..].trim().is_empty();
    }
    Ok((input, is_blank))
}

pub fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Whether nothing arrives on stdin for this long: waiting for a silent pipe looks like a hang.
pub fn stdin_is_silent(wait: &Wait, duration: Duration) -> bool {
    let ready = wait.ready(io::stdin().as_fd(), PollFlags::IN, Instant::now().checked_add(duration));
    matches!(ready, Ok(None))
}

/// Refuses `-` in more than one place: stdin can be read once.
pub fn check_stdin(files: &[PathBuf]) -> Result<(), InputError> {
    match files.iter().filter(|file| is_stdin(file)).count() {
        0 | 1 => Ok(()),
        _ => Err(InputError::StdinTwice),
    }
}

/// Whether `-` was typed in place of a file.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

struct Source<'a> {
    name: String,
    reader: Box<dyn Read + 'a>,
    /// 0 if unknown.
    len: u64,
}

/// The encoding indicated by a byte order mark other than UTF-8's.
fn encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        _ => None,
    }
}

fn open<'a>(path: &Path, wait: &'a Wait) -> Result<Source<'a>, InputError> {
    if is_stdin(path) {
        return Ok(Source { name: STDIN.into(), reader: Box::new(Stdin(wait)), len: 0 });
    }
    let name = path.display().to_string();
    let unreadable = |source| InputError::Unreadable { name: name.clone(), source };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    // Checked here, since opening a folder succeeds and only reading fails.
    if metadata.is_dir() {
        return Err(unreadable(ErrorKind::IsADirectory.into()));
    }
    let len = if metadata.is_file() { metadata.len() } else { 0 };
    Ok(Source { name, reader: Box::new(file), len })
}

/// Stdin, which may block. The error is a [`WaitError`] on timeout.
struct Stdin<'a>(&'a Wait);

impl Read for Stdin<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let stdin = io::stdin();
        self.0.ready(stdin.as_fd(), PollFlags::IN, None).map_err(io::Error::other)?;
        // Not through std's buffer, whose contents poll does not see.
        Ok(rustix::io::read(&stdin, bytes)?)
    }
}

fn failed(name: &str, source: io::Error) -> InputError {
    let name = name.into();
    match source.downcast() {
        Ok(WaitError::TimedOut(limit)) => InputError::TimedOut(limit),
        Ok(error) => InputError::Unreadable { name, source: io::Error::other(error) },
        Err(source) => InputError::Unreadable { name, source },
    }
}

impl Input {
    /// Appends the content of a source; `limit` applies to the whole text.
    fn add(&mut self, name: &str, mut reader: impl Read, has_heading: bool, limit: usize) -> Result<(), InputError> {
        if has_heading {
            self.text += &self.heading(name);
        }
        let mut bytes = Vec::new();
        let mut chunk = vec![0; CHUNK_LEN];
        loop {
            let offset = bytes.len();
            // One byte over the limit shows that there is more.
            let room = (limit + 1).saturating_sub(self.text.len() + offset);
            // One read at a time: do not ask a terminal again after its end of file.
            match reader.read(&mut chunk[..room.min(CHUNK_LEN)]) {
                Ok(0) => break,
                Ok(n) => bytes.extend_from_slice(&chunk[..n]),
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => continue,
                Err(error) => return Err(failed(name, error)),
            }
            if let Some(n) = bytes[offset..].iter().position(|byte| *byte == 0) {
                let (offset, encoding) = (offset + n, encoding(&bytes));
                return Err(InputError::Binary { name: name.into(), offset, encoding });
            }
            if self.text.len() + bytes.len() > limit {
                return Err(InputError::TooLong { known: None, limit });
            }
        }
        self.append(name, &bytes);
        if has_heading && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        Ok(())
    }

    /// Appends other input under its name.
    pub fn add_stdin(&mut self, other: Input) {
        self.text += &self.heading(STDIN);
        self.text += &other.text;
        self.warnings.extend(other.warnings);
    }

    fn heading(&self, name: &str) -> String {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        format!("{gap}==> {name} <==\n")
    }

    fn append(&mut self, name: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let n_invalid: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
        if n_invalid > 0 {
            let (n, was) = (count(n_invalid as u64, "byte"), if n_invalid == 1 { "was" } else { "were" });
            self.warnings.push(format!("{n} of invalid UTF-8 {was} replaced in {name}"));
        }
        // The byte order mark that Windows writes is not text.
        self.text += text.strip_prefix('\u{feff}').unwrap_or(&text);
    }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
