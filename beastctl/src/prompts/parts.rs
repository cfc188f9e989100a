//! Splits a prompt file into settings and text. Settings in other formats are rejected: as part of the text they would
//! silently instruct the model.

use super::prompt::Mistake;

/// Misplaced settings are detected within this many lines, blank ones not counted.
const N_LINES_OF_A_HEAD: usize = 3;
/// Fences that other programs use for settings: TOML, JSON, a code block.
const OTHER_FENCES: [&str; 4] = ["+++", ";;;", "```", "~~~"];

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// The settings, without the lines around them.
    pub(super) settings: &'a str,
    /// The first line of the settings, from 1.
    pub(super) settings_line: usize,
    pub(super) body: &'a str,
    /// The first line of the body, from 1.
    pub(super) body_line: usize,
}

struct Line<'a> {
    n: usize,
    start: usize,
    end: usize,
    /// The line, without surrounding blanks.
    text: &'a str,
}

/// Splits the text of a file; `keys` are the names of settings.
pub(super) fn split<'a>(text: &'a str, keys: &[&str]) -> Result<Parts<'a>, Mistake> {
    let mut lines = lines(text);
    match lines.find(|line| !line.text.is_empty()) {
        Some(first) if first.text == "---" => {
            let end = lines.find(|line| line.text == "---").ok_or_else(|| {
                let problem = "the settings that start here have no closing line `---`";
                Mistake::new(first.n, problem).hint("add a line `---` between the settings and the text")
            })?;
            let settings = &text[first.end..end.start];
            Ok(Parts { settings, settings_line: first.n + 1, body: &text[end.end..], body_line: end.n + 1 })
        }
        _ => {
            check_head(text, keys)?;
            Ok(Parts { settings: "", settings_line: 1, body: text, body_line: 1 })
        }
    }
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    text.split_inclusive('\n').enumerate().map(move |(n, line)| {
        let line = Line { n: n + 1, start, end: start + line.len(), text: line.trim() };
        start = line.end;
        line
    })
}

/// Rejects a text without settings that begins as if it had some.
fn check_head(text: &str, keys: &[&str]) -> Result<(), Mistake> {
    let head: Vec<_> = lines(text).filter(|line| !line.text.is_empty()).take(N_LINES_OF_A_HEAD).collect();
    let Some(first) = head.first() else { return Ok(()) };
    if first.text == "+++" {
        let problem = Mistake::new(first.n, "TOML settings (`+++`) are not supported");
        return Err(problem.hint("use YAML between two lines `---`, like `max_tokens: 200`"));
    }
    let is_fence = |text: &str| text == "{" || OTHER_FENCES.iter().any(|fence| text.starts_with(fence));
    // A rule of dashes or a code block may well begin a text; followed by a setting, it is meant as a fence.
    match head.iter().find(|line| is_setting(line.text, keys)) {
        Some(line) if line.n == first.n || is_fence(first.text) || is_dashes(first.text) => Err(outside(line)),
        Some(line) if head.iter().any(|other| other.n < line.n && other.text == "---") => Err(outside(line)),
        _ => Ok(()),
    }
}

fn outside(line: &Line<'_>) -> Mistake {
    let problem = format!("`{}` is a setting, but the file does not start with a line `---`", key(line.text));
    Mistake::new(line.n, problem).hint(
        "put the settings between two lines `---` at the start of the file; without settings, start it with two such \
         lines",
    )
}

fn is_dashes(text: &str) -> bool {
    text.starts_with("--") || text.starts_with('—') || text.starts_with('–')
}

/// Whether a line looks like a setting: `max_tokens: 3`, `max_tokens = 3` or `"max_tokens": 3`.
fn is_setting(text: &str, keys: &[&str]) -> bool {
    let key = key(text);
    let rest = text.trim_start_matches('"').strip_prefix(key).unwrap_or_default();
    let rest = rest.trim_start_matches('"').trim_start();
    let is_colon = rest.strip_prefix(':').is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
    keys.contains(&key) && (is_colon || rest.starts_with('='))
}

fn key(text: &str) -> &str {
    let text = text.trim_start_matches('"');
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
