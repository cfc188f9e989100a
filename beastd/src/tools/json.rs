//! JSON formatted as Python's `json.dumps` does. Knows no schema and no call.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CharEscape, Formatter, Serializer};
use std::io;

/// Encloses the number of a mark, which stands for a control token in user text. Never escaped.
pub const MARK_EDGE: char = '\u{f8ff}';

/// The options of Python's `json.dumps` that templates use.
#[derive(Debug, Clone, Default)]
pub struct JsonStyle {
    /// Whether to escape everything but ASCII.
    pub ensure_ascii: bool,
    /// Indentation per level; `None` for a single line.
    pub indent: Option<String>,
    /// Between items, and between key and value.
    pub separators: Option<(String, String)>,
}

impl JsonStyle {
    /// The text of a value.
    pub fn write(&self, value: &Value) -> String {
        let between = if self.indent.is_some() { "," } else { ", " };
        let (item, key) = self.separators.clone().unwrap_or_else(|| (between.into(), ": ".into()));
        let formatter = Python { style: self, item, key, depth: 0, is_empty: true };
        let mut bytes = Vec::new();
        value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter)).expect("a value has no other form");
        String::from_utf8(bytes).expect("JSON is text")
    }
}

/// Python's default style: a blank after each comma and colon.
pub fn to_json(value: &Value) -> String {
    JsonStyle::default().write(value)
}

/// A number in Python's shortest form: `1e+22`, `1e-05`, `2.0`.
pub fn python_float(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "nan".into() } else { format!("{value}") };
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').expect("the form of such a number");
    let exponent: i32 = exponent.parse().expect("the form of such a number");
    match exponent {
        -4..16 if value.fract() == 0.0 => format!("{value}.0"),
        -4..16 => format!("{value}"),
        _ => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

struct Python<'a> {
    style: &'a JsonStyle,
    item: String,
    key: String,
    depth: usize,
    is_empty: bool,
}

impl Python<'_> {
    fn line<W: ?Sized + io::Write>(&self, writer: &mut W) -> io::Result<()> {
        let Some(indent) = &self.style.indent else { return Ok(()) };
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(indent.as_bytes()))
    }

    fn begin<W: ?Sized + io::Write>(&mut self, writer: &mut W, mark: &[u8]) -> io::Result<()> {
        (self.depth, self.is_empty) = (self.depth + 1, true);
        writer.write_all(mark)
    }

    fn next<W: ?Sized + io::Write>(&mut self, writer: &mut W, is_first: bool) -> io::Result<()> {
        self.is_empty = false;
        if !is_first {
            writer.write_all(self.item.as_bytes())?;
        }
        self.line(writer)
    }

    fn end<W: ?Sized + io::Write>(&mut self, writer: &mut W, mark: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if !self.is_empty {
            self.line(writer)?;
        }
        self.is_empty = false;
        writer.write_all(mark)
    }
}

impl Formatter for Python<'_> {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(python_float(value).as_bytes())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"[")
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.next(writer, first)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"{")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.next(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(self.key.as_bytes())
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // Control characters are escaped individually, all but DEL.
        if !self.style.ensure_ascii {
            return writer.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            if (c.is_ascii() && c != '\u{7f}') || c == MARK_EDGE {
                writer.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"\\/"),
            CharEscape::Backspace => writer.write_all(b"\\b"),
            CharEscape::FormFeed => writer.write_all(b"\\f"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04x}"),
        }
    }
}
