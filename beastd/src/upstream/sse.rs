//! Server-sent events from bytes. Bounded: a line that does not end costs its connection and no memory.

/// Longest event in bytes. One is a token or a call's arguments; a server that sends longer ones sends something else.
const MAX_EVENT_LEN: usize = 4 << 20;

/// Why a stream cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadStream {
    /// Bytes that are not UTF-8, also half a character at the end.
    NotUtf8,
    /// An event without an end.
    TooLong,
}

/// The events of one stream; only their data counts.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The line that has not ended.
    line: Vec<u8>,
    /// The data of the event that has not ended.
    data: Option<String>,
}

impl Events {
    /// Takes bytes; returns the data of the events that end in them, up to what cannot be read.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Vec<Result<String, BadStream>> {
        let mut ended = Vec::new();
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&bytes[..at]);
            bytes = &bytes[at + 1..];
            let line = std::mem::take(&mut self.line);
            let data = self.take(&line).transpose();
            let is_bad = matches!(data, Some(Err(_)));
            ended.extend(data);
            if is_bad {
                return ended;
            }
        }
        self.line.extend_from_slice(bytes);
        ended.extend(self.check_len().err().map(Err));
        ended
    }

    /// The end of the stream; returns the data of an event whose last line end is missing.
    ///
    /// # Errors
    /// See [`BadStream`].
    pub(super) fn end(mut self) -> Result<Option<String>, BadStream> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take(&line)?;
        }
        Ok(self.data)
    }

    /// Takes a line; returns the data of the event that it ends.
    fn take(&mut self, line: &[u8]) -> Result<Option<String>, BadStream> {
        let line = std::str::from_utf8(line).map_err(|_| BadStream::NotUtf8)?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Ok(self.data.take());
        }
        if let Some(more) = line.strip_prefix("data:") {
            let more = more.strip_prefix(' ').unwrap_or(more);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    *data += more;
                }
                None => self.data = Some(more.to_owned()),
            }
        }
        self.check_len()?;
        Ok(None)
    }

    fn check_len(&self) -> Result<(), BadStream> {
        let len = self.line.len() + self.data.as_ref().map_or(0, String::len);
        if len > MAX_EVENT_LEN { Err(BadStream::TooLong) } else { Ok(()) }
    }
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
