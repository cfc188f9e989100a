//! The head of a GGUF file, as far as it says how long the file must be: most damaged models are downloads that were cut.
//!
//! `"GGUF"  u32 version  u64 tensors  u64 pairs`, then the pairs of key and value, then name, shape, type and place of each tensor, then,
//! aligned, the tensors. Integers are little-endian. It knows no types of tensors: how many bits a number takes is left to the engine.

use std::io::{self, BufReader, ErrorKind, Read, Seek};

/// What is wrong with a file.
#[derive(Debug)]
pub enum Damage {
    /// It does not begin as such a file does.
    Magic,
    /// It ends before its last tensor does: at least so many bytes are needed.
    Cut(u64),
    /// It ends within its own head.
    Headless,
    /// Its head makes no sense.
    Garbled,
    /// It cannot be read.
    Io(io::Error),
}

impl From<io::Error> for Damage {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Damage::Headless,
            _ => Damage::Io(error),
        }
    }
}

/// Every GGUF file begins so.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";
/// Those whose layout is the one above.
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;
/// Far above every model there is; a file that promises more is damaged.
const MAX_COUNT: u64 = 1 << 24;
const MAX_DEPTH: u32 = 4;
const ALIGNMENT: &[u8] = b"general.alignment";

const U32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// Reads the head of a file of `len` bytes.
///
/// # Errors
/// See [`Damage`].
pub fn check(file: impl Read + Seek, len: u64) -> Result<(), Damage> {
    let mut head = Head { reader: BufReader::with_capacity(64 * 1024, file), at: 0 };
    match head.array() {
        Ok(magic) if magic == *MAGIC => {}
        Ok(_) | Err(Damage::Headless) => return Err(Damage::Magic),
        Err(damage) => return Err(damage),
    }
    if !VERSIONS.contains(&head.u32()?) {
        return Ok(());
    }
    let (n_tensors, n_pairs) = (head.count()?, head.count()?);
    let mut alignment = 32;
    for _ in 0..n_pairs {
        let is_alignment = head.key()? == ALIGNMENT;
        match head.u32()? {
            U32 if is_alignment => alignment = u64::from(head.u32()?).max(1),
            kind => head.skip_value(kind, 0)?,
        }
    }
    let mut end = 0;
    for _ in 0..n_tensors {
        end = head.tensor()?.max(end);
    }
    if n_tensors == 0 {
        return Ok(());
    }
    let needed = head.at.checked_next_multiple_of(alignment).and_then(|start| start.checked_add(end));
    match needed.ok_or(Damage::Garbled)? {
        needed if needed > len => Err(Damage::Cut(needed)),
        _ => Ok(()),
    }
}

/// A reader that knows where it is.
struct Head<R> {
    reader: BufReader<R>,
    at: u64,
}

impl<R: Read + Seek> Head<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, Damage> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Damage> {
        self.array().map(u64::from_le_bytes)
    }

    fn count(&mut self) -> Result<u64, Damage> {
        self.u64().and_then(|n| if n <= MAX_COUNT { Ok(n) } else { Err(Damage::Garbled) })
    }

    fn skip(&mut self, n: u64) -> Result<(), Damage> {
        self.reader.seek_relative(i64::try_from(n).map_err(|_| Damage::Garbled)?)?;
        self.at = self.at.checked_add(n).ok_or(Damage::Garbled)?;
        Ok(())
    }

    fn key(&mut self) -> Result<Vec<u8>, Damage> {
        let len = self.u64()?;
        // The specification allows keys of this length.
        if len > 65_535 {
            return Err(Damage::Garbled);
        }
        let mut key = vec![0; usize::try_from(len).map_err(|_| Damage::Garbled)?];
        self.reader.read_exact(&mut key)?;
        self.at += len;
        Ok(key)
    }

    fn skip_value(&mut self, kind: u32, depth: u32) -> Result<(), Damage> {
        match kind {
            STRING => {
                let len = self.u64()?;
                self.skip(len)
            }
            ARRAY => {
                let (kind, n) = (self.u32()?, self.count()?);
                if depth >= MAX_DEPTH {
                    return Err(Damage::Garbled);
                }
                match size_of(kind) {
                    Some(size) => self.skip(n * size),
                    None => (0..n).try_for_each(|_| self.skip_value(kind, depth + 1)),
                }
            }
            kind => self.skip(size_of(kind).ok_or(Damage::Garbled)?),
        }
    }

    /// The least place at which the tensor can end, counted from the first.
    fn tensor(&mut self) -> Result<u64, Damage> {
        self.key()?;
        let n_dims = self.u32()?;
        if n_dims > 8 {
            return Err(Damage::Garbled);
        }
        let mut n_numbers: u64 = 1;
        for _ in 0..n_dims {
            n_numbers = n_numbers.checked_mul(self.u64()?).ok_or(Damage::Garbled)?;
        }
        let _kind = self.u32()?;
        // No type takes less than a bit for a number.
        self.u64()?.checked_add(n_numbers.div_ceil(8)).ok_or(Damage::Garbled)
    }
}

/// Of the types whose values all have the same size.
fn size_of(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

#[cfg(test)]
#[path = "gguf_tests.rs"]
mod tests;
