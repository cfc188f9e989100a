//! Reads the header of a GGUF file: the model's metadata, and how long the file must be.
//!
//! May know: the format. Never knows: how an engine uses it, or the size of tensor types.
//!
//! `"GGUF"  u32 version  u64 tensors  u64 pairs`, then key-value pairs, then name, shape, type and offset of each
//! tensor, then, aligned, the tensors. Integers are little-endian. Every count is bounded: a damaged file's counts
//! are neither trusted nor allocated.

use std::collections::HashMap;
use std::io::{self, BufReader, ErrorKind, Read, Seek};

/// Why a file is damaged.
#[derive(Debug)]
pub enum Damage {
    Magic,
    /// It ends before its last tensor: at least this many bytes are needed.
    Cut(u64),
    /// It ends inside the header.
    Headless,
    /// The header is invalid.
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

pub const MAGIC: &[u8; 4] = b"GGUF";
/// Versions with the layout above.
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;
/// Far above any real model; larger counts mean damage.
const MAX_COUNT: u64 = 1 << 24;
const MAX_DEPTH: u32 = 4;
/// The specification's limit for keys.
const MAX_KEY: u64 = 65_535;
/// The longest string to keep; those that callers check are short.
const MAX_TEXT: u64 = 4096;
/// The longest array of integers to keep: one for each layer, of which llama.cpp allows so many (`LLAMA_MAX_LAYERS`).
const MOST_INTEGERS: u64 = 512;
const ALIGNMENT: &str = "general.alignment";

const U32: u32 = 4;
const F32: u32 = 6;
const F64: u32 = 12;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// A value; long strings and most arrays are reduced to their length.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Integer(i128),
    Float(f64),
    /// A short string.
    Text(Vec<u8>),
    /// The integers of a requested array, if it is short.
    Integers(Vec<i128>),
    /// The strings of a requested array.
    Texts(Vec<Vec<u8>>),
    /// Anything else: a long string, or an array that was not requested, with its length.
    Other(u64),
}

/// The contents of a header.
#[derive(Debug, Default)]
pub struct Head {
    values: HashMap<String, Value>,
}

impl Head {
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The value of a key that has a short string.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

/// Checks the header of a file of `len` bytes.
///
/// # Errors
/// See [`Damage`].
pub fn check(file: impl Read + Seek, len: u64) -> Result<(), Damage> {
    read(file, len, &[]).map(|_| ())
}

/// Reads the header of a file of `len` bytes, with the strings or integers of these arrays. `None` for an unknown
/// version, which is left to the engine.
///
/// # Errors
/// See [`Damage`].
pub fn read(file: impl Read + Seek, len: u64, arrays: &[&str]) -> Result<Option<Head>, Damage> {
    let mut reader = Reader { reader: BufReader::with_capacity(64 * 1024, file), at: 0, len };
    match reader.array() {
        Ok(magic) if magic == *MAGIC => {}
        Ok(_) | Err(Damage::Headless) => return Err(Damage::Magic),
        Err(damage) => return Err(damage),
    }
    if !VERSIONS.contains(&reader.u32()?) {
        return Ok(None);
    }
    let (n_tensors, n_pairs) = (reader.count()?, reader.count()?);
    let mut head = Head::default();
    for _ in 0..n_pairs {
        let key = String::from_utf8(reader.bytes(MAX_KEY)?).map_err(|_| Damage::Garbled)?;
        let kind = reader.u32()?;
        let value = reader.value(kind, arrays.contains(&&*key))?;
        head.values.insert(key, value);
    }
    let alignment = match head.get(ALIGNMENT) {
        Some(Value::Integer(n)) => u64::try_from(*n).unwrap_or(1).max(1),
        _ => 32,
    };
    let mut end = 0;
    for _ in 0..n_tensors {
        end = reader.tensor()?.max(end);
    }
    if n_tensors == 0 {
        return Ok(Some(head));
    }
    let needed = reader.at.checked_next_multiple_of(alignment).and_then(|start| start.checked_add(end));
    match needed.ok_or(Damage::Garbled)? {
        needed if needed > len => Err(Damage::Cut(needed)),
        _ => Ok(Some(head)),
    }
}

/// A reader that tracks its position.
struct Reader<R> {
    reader: BufReader<R>,
    at: u64,
    len: u64,
}

impl<R: Read + Seek> Reader<R> {
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
        // Seeking does not detect the end of the file, so a damaged count would make us read on beyond it for a long
        // time.
        if self.at > self.len { Err(Damage::Headless) } else { Ok(()) }
    }

    /// Reads a length, then a string of at most `max` bytes.
    fn bytes(&mut self, max: u64) -> Result<Vec<u8>, Damage> {
        let len = self.u64()?;
        if len > max {
            return Err(Damage::Garbled);
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| Damage::Garbled)?];
        self.reader.read_exact(&mut bytes)?;
        self.at += len;
        Ok(bytes)
    }

    fn value(&mut self, kind: u32, is_wanted: bool) -> Result<Value, Damage> {
        match kind {
            STRING => {
                let len = self.u64()?;
                if len > MAX_TEXT {
                    self.skip(len)?;
                    return Ok(Value::Other(len));
                }
                let mut bytes = vec![0; usize::try_from(len).map_err(|_| Damage::Garbled)?];
                self.reader.read_exact(&mut bytes)?;
                self.at += len;
                Ok(Value::Text(bytes))
            }
            ARRAY => self.array_value(0, is_wanted),
            F32 => Ok(Value::Float(f64::from(f32::from_le_bytes(self.array()?)))),
            F64 => Ok(Value::Float(f64::from_le_bytes(self.array()?))),
            kind => self.integer(kind).map(Value::Integer),
        }
    }

    fn integer(&mut self, kind: u32) -> Result<i128, Damage> {
        Ok(match kind {
            0 | 7 => self.array::<1>()?[0].into(),
            1 => i8::from_le_bytes(self.array()?).into(),
            2 => u16::from_le_bytes(self.array()?).into(),
            3 => i16::from_le_bytes(self.array()?).into(),
            U32 => self.u32()?.into(),
            5 => i32::from_le_bytes(self.array()?).into(),
            10 => self.u64()?.into(),
            11 => i64::from_le_bytes(self.array()?).into(),
            _ => return Err(Damage::Garbled),
        })
    }

    fn array_value(&mut self, depth: u32, is_wanted: bool) -> Result<Value, Damage> {
        let (kind, n) = (self.u32()?, self.count()?);
        if depth >= MAX_DEPTH {
            return Err(Damage::Garbled);
        }
        match (kind, size_of(kind)) {
            (kind, Some(_)) if is_wanted && n <= MOST_INTEGERS && !matches!(kind, F32 | F64) => {
                return (0..n).map(|_| self.integer(kind)).collect::<Result<_, _>>().map(Value::Integers);
            }
            (_, Some(size)) => self.skip(n * size)?,
            (STRING, _) if is_wanted => {
                let texts = (0..n).map(|_| self.bytes(MAX_KEY)).collect::<Result<_, _>>()?;
                return Ok(Value::Texts(texts));
            }
            (STRING, _) => {
                for _ in 0..n {
                    let len = self.u64()?;
                    self.skip(len)?;
                }
            }
            (ARRAY, _) => {
                for _ in 0..n {
                    self.array_value(depth + 1, false)?;
                }
            }
            _ => return Err(Damage::Garbled),
        }
        Ok(Value::Other(n))
    }

    /// The smallest possible end of the tensor, relative to the first one.
    fn tensor(&mut self) -> Result<u64, Damage> {
        self.bytes(MAX_KEY)?;
        let n_dims = self.u32()?;
        if n_dims > 8 {
            return Err(Damage::Garbled);
        }
        let mut n_numbers: u64 = 1;
        for _ in 0..n_dims {
            n_numbers = n_numbers.checked_mul(self.u64()?).ok_or(Damage::Garbled)?;
        }
        let _kind = self.u32()?;
        // Every type takes at least one bit per number.
        self.u64()?.checked_add(n_numbers.div_ceil(8)).ok_or(Damage::Garbled)
    }
}

/// The size of a type whose values all have the same size.
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
