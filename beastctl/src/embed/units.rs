//! Splits inputs into the texts to embed: lines, paragraphs or files. Knows no vectors.

use std::path::{Path, PathBuf};

use crate::{
    cli::By,
    input::{self, InputError},
    output::{Console, one_line},
    turn::material,
    wait::Wait,
};

/// Bytes of a passage, the part of a file that gets a vector of its own: a few paragraphs. Short enough to have one
/// topic, and long enough that a file does not become hundreds of vectors.
const PASSAGE: usize = 1200;

/// A file, or stdin.
#[derive(Debug)]
pub(super) struct Source {
    /// `None` for stdin.
    pub name: Option<String>,
    pub text: String,
}

/// A text with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit<'a> {
    /// Index of its source.
    pub source: usize,
    /// Its first line, from 1.
    pub line: usize,
    pub text: &'a str,
}

/// Reads all files, or stdin if there are none. Of several files, one that is not text is skipped with a warning.
pub(super) fn read(files: &[PathBuf], wait: &Wait, console: Console) -> Result<Vec<Source>, InputError> {
    let stdin = [PathBuf::from("-")];
    let files = if files.is_empty() { &stdin } else { files };
    input::check_stdin(files)?;
    let mut sources = Vec::new();
    for file in files {
        let is_stdin = input::is_stdin(file);
        if is_stdin {
            material::hint_at_stdin(wait, console);
        }
        let name = (!is_stdin).then(|| file.display().to_string());
        match input::read(std::slice::from_ref(file), wait) {
            Ok(input) => {
                input.warnings.iter().for_each(|warning| console.warning(warning));
                sources.push(Source { name, text: input.text });
            }
            Err(error @ InputError::Binary { .. }) if files.len() > 1 => console.warning(&format!("skipped: {error}")),
            Err(error) => return Err(error),
        }
    }
    Ok(sources)
}

/// The units of all sources; blank ones are left out.
pub(super) fn split(sources: &[Source], by: By) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    for (source, Source { text, .. }) in sources.iter().enumerate() {
        let parts = match by {
            By::Line => lines(text),
            By::Paragraph => paragraphs(text),
            By::File => vec![(1, text.trim_end())],
        };
        let parts = parts.into_iter().filter(|(_, text)| !text.trim().is_empty());
        units.extend(parts.map(|(line, text)| Unit { source, line, text }));
    }
    units
}

/// Parts of files of about [`PASSAGE`] bytes, split between paragraphs where possible.
pub(super) fn passages(sources: &[Source]) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    for (source, Source { text, .. }) in sources.iter().enumerate() {
        let mut begin: Option<(usize, usize)> = None;
        let mut end = 0;
        let offset = |part: &str| part.as_ptr().addr() - text.as_ptr().addr();
        for (line, part) in paragraphs(text).into_iter().flat_map(|(line, part)| short(line, part)) {
            let (from, to) = (offset(part), offset(part) + part.len());
            match begin {
                Some((_, start)) if to - start <= PASSAGE => end = to,
                Some((first, start)) => {
                    units.push(Unit { source, line: first, text: &text[start..end] });
                    (begin, end) = (Some((line, from)), to);
                }
                None => (begin, end) = (Some((line, from)), to),
            }
        }
        units.extend(begin.map(|(line, start)| Unit { source, line, text: &text[start..end] }));
    }
    units
}

/// A paragraph longer than a passage, as its lines.
fn short(line: usize, paragraph: &str) -> Vec<(usize, &str)> {
    if paragraph.len() <= PASSAGE {
        return vec![(line, paragraph)];
    }
    lines(paragraph)
        .into_iter()
        .map(|(nth, text)| (line + nth - 1, text))
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

fn lines(text: &str) -> Vec<(usize, &str)> {
    (1..).zip(text.lines().map(str::trim_end)).collect()
}

/// Runs of lines without a blank one, each with the number of its first line.
fn paragraphs(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut begin = None;
    let mut offset = 0;
    for (nth, line) in (1..).zip(text.split_inclusive('\n')) {
        match (line.trim().is_empty(), begin) {
            (false, None) => begin = Some((nth, offset)),
            (true, Some((first, start))) => {
                found.push((first, text[start..offset].trim_end()));
                begin = None;
            }
            _ => {}
        }
        offset += line.len();
    }
    found.extend(begin.map(|(first, start)| (first, text[start..].trim_end())));
    found
}

/// Where a unit is: `FILE:LINE`, or `LINE` for stdin.
pub(super) fn place(unit: &Unit<'_>, source: &Source) -> String {
    match &source.name {
        Some(name) => format!("{}:{}", one_line(name), unit.line),
        None => unit.line.to_string(),
    }
}

/// The path of a source that can have an index: a file whose name will mean the same in the next search.
pub(super) fn indexed(source: &Source) -> Option<PathBuf> {
    Path::new(source.name.as_deref()?).canonicalize().ok().filter(|path| path.is_file())
}

#[cfg(test)]
#[path = "units_tests.rs"]
mod tests;
