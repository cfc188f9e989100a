//! The list of staged changes: file, kind of change, number of lines; and which files are generated.

use std::collections::HashMap;

use super::{error::GitError, program::Git};
use crate::output::units::count;

/// Files that programs write, by their names.
const GENERATED: &str = include_str!("generated.txt");
/// The same by the ends of their names.
const GENERATED_ENDS: &[&str] = &[".min.js", ".min.css", ".map", ".snap"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Git's letter: A, C, D, M, R or T.
    status: u8,
    /// The octal numbers that git shows.
    modes: [String; 2],
    /// Whether the contents are what they were.
    is_same: bool,
    from: Option<Vec<u8>>,
    pub(super) path: Vec<u8>,
    /// Lines added and removed; `None` for binary files.
    lines: Option<[u64; 2]>,
    /// Whether no person wrote it.
    pub(super) is_generated: bool,
}

/// What a change is, seen by somebody who wants to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deleted,
    Binary,
    EmptyAdded,
    Renamed,
    ModeOnly,
    Text,
}

impl Change {
    fn kind(&self) -> Kind {
        match (self.status, self.lines) {
            (b'D', _) => Kind::Deleted,
            (b'T', _) => Kind::Text,
            (b'R' | b'C', _) if self.is_same => Kind::Renamed,
            _ if self.is_same => Kind::ModeOnly,
            (_, None) => Kind::Binary,
            (b'A', Some([0, 0])) => Kind::EmptyAdded,
            _ => Kind::Text,
        }
    }

    pub(super) fn has_section(&self) -> bool {
        !self.is_generated && self.kind() == Kind::Text
    }

    /// How many sections git's own diff has for it: what becomes something else (a link, for instance) is removed and
    /// added.
    pub(super) fn n_sections(&self) -> usize {
        if self.status == b'T' { 2 } else { 1 }
    }

    pub(super) fn line(&self) -> Option<String> {
        let path = show(&self.path);
        let from = self.from.as_deref().map(show).unwrap_or_default();
        Some(match self.kind() {
            Kind::Deleted => match self.lines {
                Some([_, n]) if n > 0 => format!("{path}: deleted ({})", count(n, "line")),
                _ => format!("{path}: deleted"),
            },
            Kind::Binary => match self.status {
                b'A' => format!("{path}: binary file added"),
                b'R' => format!("{path}: binary file changed and renamed from {from}"),
                b'C' => format!("{path}: binary file copied from {from} and changed"),
                _ => format!("{path}: binary file changed"),
            },
            Kind::EmptyAdded => format!("{path}: empty file added"),
            Kind::Renamed => {
                let how = if self.status == b'C' { "copied" } else { "renamed" };
                format!("{path}: {how} from {from}{}", self.mode().map(|mode| format!(", {mode}")).unwrap_or_default())
            }
            Kind::ModeOnly => format!("{path}: {}", self.mode().unwrap_or_else(|| "changed".into())),
            Kind::Text if self.is_generated => {
                let n = self.lines.map_or(0, |[added, removed]| added + removed);
                format!("{path}: {} changed, left out", count(n, "line"))
            }
            Kind::Text => return None,
        })
    }

    /// Its numbers, and what the reader should know beside them.
    pub(super) fn counts(&self, note: &str) -> String {
        let [added, removed] = self.lines.unwrap_or_default();
        format!("{}: {} added, {removed} removed, {note}", show(&self.path), count(added, "line"))
    }

    fn mode(&self) -> Option<String> {
        let [old, new] = &self.modes;
        (old != new).then(|| format!("mode changed from {old} to {new}"))
    }
}

/// A path on one line.
pub(super) fn show(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    path.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// The staged changes; `diff` asks for them raw and counted, with NULs.
pub(super) fn changes(git: Git<'_>, diff: &[&str]) -> Result<Vec<Change>, GitError> {
    let bytes = git.output(diff)?;
    let mut changes = parse(&bytes)
        .ok_or_else(|| GitError::Garbled { command: "diff".into(), problem: "a field is missing".into() })?;
    let declared = declared(git, &changes)?;
    for change in &mut changes {
        change.is_generated = declared.get(&change.path).copied().unwrap_or_else(|| is_generated(&change.path));
    }
    Ok(changes)
}

/// First an entry `:modes and hashes and status` with its paths for each file, then as many with the numbers.
fn parse(bytes: &[u8]) -> Option<Vec<Change>> {
    let mut fields = bytes.split(|byte| *byte == 0).peekable();
    let mut changes = Vec::new();
    while let Some(entry) = fields.next_if(|field| field.starts_with(b":")) {
        let words: Vec<&str> = std::str::from_utf8(&entry[1..]).ok()?.split(' ').collect();
        let [old, new, old_hash, new_hash, status] = words[..] else { return None };
        let status = *status.as_bytes().first()?;
        let first = fields.next()?.to_vec();
        let (from, path) =
            if matches!(status, b'R' | b'C') { (Some(first), fields.next()?.to_vec()) } else { (None, first) };
        let modes = [old.to_owned(), new.to_owned()];
        let is_same = old_hash == new_hash;
        changes.push(Change { status, modes, is_same, from, path, lines: None, is_generated: false });
    }
    for change in &mut changes {
        let entry = fields.next()?;
        let mut parts = entry.splitn(3, |byte| *byte == b'\t');
        let mut number = || std::str::from_utf8(parts.next()?).ok();
        let (added, removed) = (number()?, number()?);
        change.lines = added.parse().ok().zip(removed.parse().ok()).map(|(added, removed)| [added, removed]);
        // Of a renamed file the two paths follow; there is nothing new in them.
        if parts.next()?.is_empty() {
            fields.next()?;
            fields.next()?;
        }
    }
    Some(changes)
}

/// What .gitattributes says of each file that it says something of.
fn declared(git: Git<'_>, changes: &[Change]) -> Result<HashMap<Vec<u8>, bool>, GitError> {
    let mut declared = HashMap::new();
    if changes.is_empty() {
        return Ok(declared);
    }
    let mut paths: Vec<u8> = changes.iter().map(|change| change.path.as_slice()).collect::<Vec<_>>().join(&0);
    paths.push(0);
    let bytes = git.answer(&["check-attr", "-z", "--stdin", "linguist-generated", "linguist-vendored"], paths)?;
    let fields: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    for triple in fields.chunks_exact(3) {
        let [path, name, value] = triple else { continue };
        let value: &[u8] = value;
        let is = match value {
            b"set" | b"true" => true,
            // Whoever says so wants to read a file that is taken for generated by its name.
            b"unset" | b"false" if *name == b"linguist-generated" => false,
            _ => continue,
        };
        let known = declared.entry(path.to_vec()).or_insert(is);
        *known |= is;
    }
    Ok(declared)
}

fn is_generated(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    GENERATED.lines().any(|generated| generated.as_bytes() == name)
        || GENERATED_ENDS.iter().any(|end| name.ends_with(end.as_bytes()))
}

#[cfg(test)]
#[path = "changes_tests.rs"]
pub(super) mod tests;
