//! The list of staged changes: file, kind of change, number of lines; and which files are generated.

use std::collections::HashMap;

use super::{error::GitError, program::Git};
use crate::output::units::count;

/// Names of generated files.
const GENERATED: &str = include_str!("generated.txt");
/// Suffixes of generated files' names.
const GENERATED_ENDS: &[&str] = &[".min.js", ".min.css", ".map", ".snap"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Git's status letter: A, C, D, M, R or T.
    status: u8,
    /// Old and new mode, in octal.
    modes: [String; 2],
    /// Whether the contents are unchanged.
    is_same: bool,
    from: Option<Vec<u8>>,
    pub(super) path: Vec<u8>,
    /// Lines added and removed; `None` for binary files.
    lines: Option<[u64; 2]>,
    /// Whether a program wrote the file.
    pub(super) is_generated: bool,
}

/// The kind of a change, as far as it matters to its reader.
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

    /// Number of sections in git's diff: a change of type (to a link, for instance) is a removal and an addition.
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

    /// Its line counts and other facts, with this note.
    pub(super) fn counts(&self, note: &str) -> String {
        let [added, removed] = self.lines.unwrap_or_default();
        format!("{}: {} added, {removed} removed, {note}", show(&self.path), count(added, "line"))
    }

    fn mode(&self) -> Option<String> {
        let [old, new] = &self.modes;
        (old != new).then(|| format!("mode changed from {old} to {new}"))
    }
}

/// A path, shown on one line.
pub(super) fn show(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    path.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// The staged changes; `diff` is the git command that lists them raw and with numbers of lines, separated by NULs.
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

/// The output has an entry `:modes hashes status` with paths for each file, then as many entries with numbers of lines.
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
        // For a renamed file both paths follow, which are known already.
        if parts.next()?.is_empty() {
            fields.next()?;
            fields.next()?;
        }
    }
    Some(changes)
}

/// The files that .gitattributes declares generated or not generated.
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
            // The user wants to see a file whose name suggests that it is generated.
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
