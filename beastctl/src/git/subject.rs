//! Finds the subject line in an answer, and detects answers that are not a commit message.
//!
//! Knows git's vocabulary and the model's input; never knows who answers, or when.

use std::collections::HashSet;

use super::message::{clean, is_heading};

/// A longer first line is not a subject: the model has lost its way.
const MAX_SUBJECT_CHARS: usize = 200;
/// A line that comes more often than this is a model that goes round in circles.
const MAX_SAME_LINES: usize = 3;
/// From so many words on, a line whose words are mostly the same ones is a loop.
const MIN_LOOP_WORDS: usize = 6;
/// From so many words on, a copy of ours is known as a copy.
const MIN_COPIED_WORDS: usize = 3;
/// Longer instructions are compared up to here.
const MAX_OWN_WORDS: usize = 2000;
/// Before a thought of the model, and after it.
const THOUGHT: [&str; 2] = ["<think>", "</think>"];
/// What a model says before it does what it is asked.
const OPENERS: [&str; 6] = ["sure", "certainly", "of course", "okay", "ok", "absolutely"];
/// How lines of git's diffs begin, apart from those of the files themselves.
const DIFF_STARTS: [&str; 21] = [
    "diff --git ",
    "diff --cc ",
    "diff --combined ",
    "--- a/",
    "--- b/",
    "--- \"",
    "--- /dev/null",
    "+++ ",
    "@@ ",
    "@@@ ",
    "new file mode ",
    "deleted file mode ",
    "old mode ",
    "new mode ",
    "similarity index ",
    "dissimilarity index ",
    "rename from ",
    "rename to ",
    "Binary files ",
    "GIT binary patch",
    "\\ No newline",
];
/// Verbs that take two names.
const VERBS_OF_TWO: [&str; 8] = ["rename", "move", "copy", "change", "replace", "convert", "update", "switch"];
/// What stands between the two.
const BETWEEN: [&str; 5] = [" to ", " into ", " as ", " with ", " by "];
/// What may stand before the first.
const KINDS_OF_NAME: [&str; 10] =
    ["the", "file", "files", "folder", "directory", "function", "method", "class", "variable", "module"];

const DIFF: &str = "the model repeats the diff";
const LOOP: &str = "the model repeats itself";
const INSTRUCTIONS: &str = "the model repeats its instructions";

/// What the model was given: its words are not those of a message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given<'a> {
    pub instructions: &'a [&'a str],
    /// The diff, and our words about what has none.
    pub material: &'a str,
}

/// The first line of an answer that is more than a heading, a fence or a greeting, as soon as it is whole; `is_whole`
/// tells that no more of the answer will come. What is wrong with the line is the error.
pub fn subject(answer: &str, comment: &str, is_whole: bool, given: &Given<'_>) -> Option<Result<String, String>> {
    let answer = spoken(answer)?.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = answer.split('\n').collect();
    let rest = lines.pop().filter(|_| !is_whole);
    if is_whole {
        lines = answer.split('\n').collect();
    }
    let found = lines.iter().find_map(|line| Some((*line, candidate(line, comment)?)));
    match found {
        Some((line, message)) => Some(check(line, &message, given).map(|()| message)),
        // More of it could not make it shorter.
        None => rest.and_then(too_long).map(Err),
    }
}

/// All of an answer as a message, for prompts that ask for more than a subject; `None` when nothing is left of it.
pub fn message(answer: &str, comment: &str, given: &Given<'_>) -> Option<Result<String, String>> {
    let message = clean(spoken(answer)?, comment)?;
    Some(check_all(&message, given).map(|()| message))
}

/// Without what the model has thought; `None` while it thinks.
fn spoken(answer: &str) -> Option<&str> {
    match answer.rsplit_once(THOUGHT[1]) {
        Some((_, spoken)) => Some(spoken),
        None if answer.trim_start().starts_with(THOUGHT[0]) => None,
        None => Some(answer),
    }
}

/// A line that may be a message, without what models put around one.
fn candidate(line: &str, comment: &str) -> Option<String> {
    let line = line.trim();
    let is_fence = line.starts_with("```");
    let inner = if is_fence { line.trim_matches('`').trim() } else { line };
    // After a fence only the name of a language may stand.
    if is_fence && !inner.contains(' ') {
        return None;
    }
    let message = clean(inner, comment)?;
    let message = message.strip_prefix("**").and_then(|text| text.strip_suffix("**")).unwrap_or(&message);
    let message = unopened(unlisted(message)).trim();
    let is_opener = OPENERS.contains(&words(message).join(" ").as_str());
    let has_words = message.contains(char::is_alphanumeric);
    (has_words && !is_opener && !is_heading(message) && !message.ends_with(':')).then(|| message.to_owned())
}

/// Without the mark of a list.
fn unlisted(line: &str) -> &str {
    let rest = ["- ", "* ", "• ", "1. ", "1) "].iter().find_map(|mark| line.strip_prefix(mark));
    rest.unwrap_or(line)
}

/// Without a quote that a later line closes.
fn unopened(line: &str) -> &str {
    let opens = |c: &char| matches!(c, '"' | '“' | '«') && !line[c.len_utf8()..].contains(['"', '”', '»']);
    line.chars().next().filter(opens).map_or(line, |c| &line[c.len_utf8()..])
}

fn check(raw: &str, message: &str, given: &Given<'_>) -> Result<(), String> {
    let problem = match too_long(message) {
        Some(problem) => problem,
        None if is_of_diff(raw) || is_of_diff(message) || copies_diff(raw, message, given.material) => DIFF.into(),
        None if is_loop(message) => LOOP.into(),
        None if copies_ours(message, given) => INSTRUCTIONS.into(),
        None if names_only_files(message, given.material) || is_from_same_to_same(message) => {
            format!("`{message}` says nothing about the changes")
        }
        None => return Ok(()),
    };
    Err(problem)
}

fn check_all(message: &str, given: &Given<'_>) -> Result<(), String> {
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let count = |line: &str| lines.iter().filter(|other| **other == line).count();
    if lines.iter().any(|line| count(line) > MAX_SAME_LINES) {
        return Err(LOOP.into());
    }
    let first = lines.first().copied().unwrap_or_default();
    check(first, first, given)?;
    match () {
        () if lines.iter().any(|line| is_of_diff(line)) => Err(DIFF.into()),
        () if lines.iter().any(|line| copies_ours(line, given)) => Err(INSTRUCTIONS.into()),
        () => Ok(()),
    }
}

fn too_long(line: &str) -> Option<String> {
    let n_chars = line.trim().chars().count();
    (n_chars > MAX_SUBJECT_CHARS)
        .then(|| format!("the first line of the answer exceeds {MAX_SUBJECT_CHARS} characters"))
}

/// Whether git has written this line, wherever in it that begins.
fn is_of_diff(line: &str) -> bool {
    let line = line.trim_start_matches(['`', '"', '\'', '*', ' ']);
    let is_range = |word: &str| {
        let is_hash = |text: &str| text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        word.split_once("..").is_some_and(|(old, new)| is_hash(old) && is_hash(new))
    };
    // Nobody's subject begins with a mark of an added line.
    line.starts_with('+')
        || DIFF_STARTS.iter().any(|start| line.starts_with(start))
        || ["diff --git", "@@ -"].iter().any(|part| line.contains(part))
        || line.split_whitespace().any(is_range)
}

/// Whether a message is a line of a file. What reads like a sentence and is added may well say what the commit does.
fn copies_diff(raw: &str, message: &str, material: &str) -> bool {
    let is_prose = message.starts_with(char::is_alphabetic)
        && message.split_whitespace().nth(1).is_some()
        && !message.contains(['{', '}', '(', ')', ';', '=', '<', '>', '[', ']', '|']);
    let raw = raw.trim_end();
    let n_before = own_len(material);
    material[n_before..].lines().any(|line| {
        let content = line.get(1..).unwrap_or_default().trim();
        let bare = content.trim_start_matches(['#', '*', '/', ' ']);
        let is_same = !bare.is_empty() && (content == message || content == raw.trim_start() || bare == message);
        line == raw && raw.starts_with(['+', '-', '@']) || is_same && !(is_prose && line.starts_with('+'))
    })
}

/// What of the material are words of ours: the lines above the diff. What somebody has piped in has none.
fn own_len(material: &str) -> usize {
    match material.find("diff --git ") {
        Some(0) => 0,
        Some(n) if material[..n].ends_with('\n') => n,
        _ => material.len(),
    }
}

/// Whether one word, or a few, come again and again.
fn is_loop(message: &str) -> bool {
    let all = words(message);
    let distinct: HashSet<&String> = all.iter().collect();
    all.len() >= MIN_LOOP_WORDS && distinct.len() * 3 <= all.len()
}

/// Whether a message is made of our own words, a few of them left out or not.
fn copies_ours(message: &str, given: &Given<'_>) -> bool {
    let said = words(message);
    let ours = given.material[..own_len(given.material)].lines();
    said.len() >= MIN_COPIED_WORDS
        && given.instructions.iter().copied().chain(ours).any(|text| {
            let mut text = words(text);
            text.truncate(MAX_OWN_WORDS);
            is_within(&said, &text)
        })
}

/// Whether almost all words stand in a text in this order and near each other.
fn is_within(said: &[String], text: &[String]) -> bool {
    let needed = said.len() - said.len() / 6;
    let window = said.len() * 2;
    (0..text.len()).any(|start| {
        let part = &text[start..text.len().min(start + window)];
        part.len() >= needed && n_common(said, part) >= needed
    })
}

/// The length of the longest common subsequence.
fn n_common(one: &[String], other: &[String]) -> usize {
    let mut row = vec![0; other.len() + 1];
    for a in one {
        let mut diagonal = 0;
        for (n, b) in other.iter().enumerate() {
            let above = row[n + 1];
            row[n + 1] = if a == b { diagonal + 1 } else { above.max(row[n]) };
            diagonal = above;
        }
    }
    row[other.len()]
}

fn names_only_files(message: &str, material: &str) -> bool {
    let names: Vec<&str> = message.split_whitespace().map(|word| word.trim_matches(name_marks)).collect();
    names.iter().filter(|name| !name.is_empty() && **name != "and").all(|name| {
        let bare = name.strip_prefix("a/").or_else(|| name.strip_prefix("b/")).unwrap_or(name);
        bare.contains(['.', '/']) && material.contains(bare)
    })
}

fn name_marks(c: char) -> bool {
    matches!(c, ',' | ':' | '`' | '"' | '\'' | '*') || c.is_whitespace()
}

/// `Rename X to X`, and its kind.
fn is_from_same_to_same(message: &str) -> bool {
    let Some((verb, rest)) = message.split_once(' ') else { return false };
    let verb = verb.trim_end_matches(':').to_lowercase();
    let verb = verb.trim_end_matches(['d', 's']).trim_end_matches('e');
    let takes_two = VERBS_OF_TWO.iter().any(|known| known.trim_end_matches('e') == verb);
    takes_two
        && BETWEEN.iter().any(|between| {
            rest.match_indices(between).any(|(n, _)| is_same_name(&rest[..n], &rest[n + between.len()..]))
        })
}

fn is_same_name(before: &str, after: &str) -> bool {
    let bare = |name: &str| {
        let name = name.trim_end_matches('.').trim_matches(name_marks).trim_end_matches('.');
        name.strip_prefix("a/").or_else(|| name.strip_prefix("b/")).unwrap_or(name).to_owned()
    };
    let before = before.split(' ').skip_while(|word| *word == "from" || KINDS_OF_NAME.contains(word));
    let before = before.collect::<Vec<_>>().join(" ");
    let after = [" in ", " for ", ", "].iter().fold(after, |text, end| text.split(end).next().unwrap_or(text));
    !bare(&before).is_empty() && bare(&before) == bare(after)
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

#[cfg(test)]
#[path = "subject_tests.rs"]
mod tests;
