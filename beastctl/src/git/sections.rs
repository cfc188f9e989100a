//! Splits git's diff into sections as it arrives, one per file, and keeps the wanted ones up to a limit.

use std::{
    collections::VecDeque,
    ops::ControlFlow::{self, Break, Continue},
};

use super::{changes::Change, diff::Finished};

/// Begins a section. No line of a file begins like this, since a diff prefixes those.
const MARK: &[u8] = b"diff --git ";

#[derive(Debug)]
pub(super) struct Sections {
    /// The sections still to come: each one's change, and whether it is wanted.
    plan: VecDeque<(usize, bool)>,
    current: Option<(usize, bool)>,
    kept: Vec<u8>,
    limit: usize,
    is_line_start: bool,
    /// A partial line that may become a mark.
    held: Vec<u8>,
    first_missing: Option<usize>,
}

impl Sections {
    /// Git's sections are in the order of its list of changes.
    pub(super) fn new(changes: &[Change], limit: usize) -> Self {
        let sections = changes.iter().enumerate();
        let plan = sections.flat_map(|(n, change)| std::iter::repeat_n((n, change.has_section()), change.n_sections()));
        Self {
            plan: plan.collect(),
            current: None,
            kept: Vec::new(),
            limit,
            is_line_start: true,
            held: Vec::new(),
            first_missing: None,
        }
    }

    /// Takes more of the diff; breaks when no more is needed.
    pub(super) fn take(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        let joined;
        let mut rest = bytes;
        if !self.held.is_empty() {
            joined = [&std::mem::take(&mut self.held), bytes].concat();
            rest = &joined;
        }
        while !rest.is_empty() {
            if self.is_line_start {
                if rest.len() < MARK.len() && MARK.starts_with(rest) {
                    self.held = rest.to_vec();
                    return Continue(());
                }
                if rest.starts_with(MARK) {
                    self.next()?;
                }
            }
            let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |n| n + 1);
            self.is_line_start = rest[end - 1] == b'\n';
            self.keep(&rest[..end])?;
            rest = &rest[end..];
        }
        Continue(())
    }

    /// Begins the next section; breaks if no further section is wanted, so that git need not write them.
    fn next(&mut self) -> ControlFlow<()> {
        self.current = self.plan.pop_front();
        let is_wanted = |section: &(usize, bool)| section.1;
        if self.current.iter().chain(&self.plan).any(is_wanted) { Continue(()) } else { Break(()) }
    }

    fn keep(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        let Some((n, true)) = self.current else { return Continue(()) };
        if self.kept.len() + bytes.len() <= self.limit {
            self.kept.extend_from_slice(bytes);
            return Continue(());
        }
        // Part of a line could be misread.
        let end = self.kept.iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n + 1);
        self.kept.truncate(end);
        self.first_missing = Some(n);
        Break(())
    }

    pub(super) fn finish(mut self) -> Finished {
        let held = std::mem::take(&mut self.held);
        let _ = self.keep(&held);
        Finished { kept: self.kept, first_missing: self.first_missing }
    }
}

#[cfg(test)]
#[path = "sections_tests.rs"]
mod tests;
