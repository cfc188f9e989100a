//! Input lines from a pipe or a file.

use std::{borrow::Cow, io, mem, os::fd::AsFd as _};

use rustix::{event::PollFlags, io::Errno};

use crate::{
    exit::Result,
    input::{InputError, MAX_LEN},
    output::Console,
    wait::Wait,
};

const CHUNK_LEN: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    is_ended: bool,
}

impl Lines {
    /// The next line without its newline; `None` after the last one.
    pub(super) fn next(&mut self, wait: &Wait, console: Console) -> Result<Option<String>> {
        let mut n_searched = 0;
        loop {
            if let Some(n) = self.bytes[n_searched..].iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=n_searched + n).collect();
                return text(&line[..line.len() - 1], console).map(Some);
            }
            n_searched = self.bytes.len();
            if self.is_ended {
                let line = mem::take(&mut self.bytes);
                return if line.is_empty() { Ok(None) } else { text(&line, console).map(Some) };
            }
            if n_searched > MAX_LEN {
                return Err(InputError::TooLong { known: None, limit: MAX_LEN }.into());
            }
            self.read(wait)?;
        }
    }

    fn read(&mut self, wait: &Wait) -> Result<()> {
        let stdin = io::stdin();
        wait.ready(stdin.as_fd(), PollFlags::IN, None)?;
        let mut bytes = [0; CHUNK_LEN];
        // Bypasses std's buffer, because poll does not see bytes that were read into it.
        match rustix::io::read(&stdin, &mut bytes) {
            Ok(0) => self.is_ended = true,
            Ok(n) => self.bytes.extend(&bytes[..n]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(InputError::Unreadable { name: "stdin".into(), source: error.into() }.into()),
        }
        Ok(())
    }
}

fn text(line: &[u8], console: Console) -> Result<String> {
    if let Some(offset) = line.iter().position(|byte| *byte == 0) {
        return Err(InputError::Binary { name: "a line of stdin".into(), offset, encoding: None }.into());
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    if matches!(text, Cow::Owned(_)) {
        console.warning("a line of stdin is not UTF-8; invalid bytes are replaced");
    }
    Ok(text.into_owned())
}
