//! Finds the subject line in an answer, and detects answers that are not a commit message.
//!
//! Knows git's vocabulary and the model's input; never knows which model answers, or when.

use std::collections::HashSet;

use super::message::{clean, is_heading};

/// A first line longer than this is no subject: the model has lost its way.
const MAX_SUBJECT_CHARS: usize = 100;
/// If a line occurs more often than this, the model repeats itself.
const MAX_SAME_LINES: usize = 3;
/// Fewest words of a line that is checked for repeated words.
const MIN_LOOP_WORDS: usize = 6;
/// Fewest words that are recognized as a copy of ours.
const MIN_COPIED_WORDS: usize = 3;
/// Longer instructions are compared up to this word.
const MAX_OWN_WORDS: usize = 2000;
/// Tags around a model's thoughts.
const THOUGHT: [&str; 2] = ["<think>", "</think>"];
/// Phrases with which a model acknowledges a request.
const OPENERS: [&str; 6] = ["sure", "certainly", "of course", "okay", "ok", "absolutely"];
/// Beginnings of lines that address the user, or speak of the answer. Other languages have an `i` of their own.
const TALK: [&str; 20] = [
    "i am ",
    "i have ",
    "i will ",
    "i can ",
    "i would ",
    "i'm ",
    "i'll ",
    "i've ",
    "i'd ",
    "you can ",
    "you need ",
    "you should ",
    "you could ",
    "your code",
    "here is ",
    "here's ",
    "sorry",
    "the above ",
    "the code you ",
    "as an ai ",
];
/// Beginnings of a C preprocessor's lines, and of scripts.
const DIRECTIVES: [&str; 8] = ["#define", "#include", "#if", "#else", "#endif", "#pragma", "#undef", "#!"];
/// Words about our request. A change may be about them too.
const TASK: [&str; 2] = ["one-line commit", "imperative mood"];
/// Beginnings of lines in git's diffs, except for lines of the files themselves.
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
/// Verbs that connect two names.
const VERBS_OF_TWO: [&str; 8] = ["rename", "move", "copy", "change", "replace", "convert", "update", "switch"];
/// Words between the two names.
const BETWEEN: [&str; 5] = [" to ", " into ", " as ", " with ", " by "];
/// Words that may precede the first name.
const KINDS_OF_NAME: [&str; 10] =
    ["the", "file", "files", "folder", "directory", "function", "method", "class", "variable", "module"];

const DIFF: &str = "the model repeats the diff";
const LOOP: &str = "the model repeats itself";
const INSTRUCTIONS: &str = "the model repeats its instructions";
const TALKS: &str = "the model talks about the changes instead";
const CODE: &str = "the model writes code";

/// The model's input, whose words do not count as a message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given<'a> {
    pub instructions: &'a [&'a str],
    /// The diff, and our lines about files without one.
    pub material: &'a str,
}

/// The first line of an answer that is more than a heading, a fence or a greeting, once it is complete. `is_whole`
/// says that the answer is complete. An unusable line is an error, which says why.
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
        // More text could not make it shorter.
        None => rest.and_then(too_long).map(Err),
    }
}

/// The whole answer as a message, for prompts that ask for more than a subject; `None` if nothing is left of it.
pub fn message(answer: &str, comment: &str, given: &Given<'_>) -> Option<Result<String, String>> {
    let message = clean(spoken(answer)?, comment)?;
    Some(check_all(&message, given).map(|()| message))
}

/// The answer without the model's thoughts; `None` while it is thinking.
fn spoken(answer: &str) -> Option<&str> {
    match answer.rsplit_once(THOUGHT[1]) {
        Some((_, spoken)) => Some(spoken),
        None if answer.trim_start().starts_with(THOUGHT[0]) => None,
        None => Some(answer),
    }
}

/// A line that may be a message, without the decoration that models put around one.
fn candidate(line: &str, comment: &str) -> Option<String> {
    let line = line.trim();
    let is_fence = line.starts_with("```");
    let inner = if is_fence { line.trim_matches('`').trim() } else { line };
    // Only the name of a language may follow a fence.
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

/// The line without a list marker.
fn unlisted(line: &str) -> &str {
    let rest = ["- ", "* ", "• ", "1. ", "1) "].iter().find_map(|mark| line.strip_prefix(mark));
    rest.unwrap_or(line)
}

/// The line without a quote that a later line closes.
fn unopened(line: &str) -> &str {
    let opens = |c: &char| matches!(c, '"' | '“' | '«') && !line[c.len_utf8()..].contains(['"', '”', '»']);
    line.chars().next().filter(opens).map_or(line, |c| &line[c.len_utf8()..])
}

fn check(raw: &str, message: &str, given: &Given<'_>) -> Result<(), String> {
    let problem = match too_long(message) {
        Some(problem) => problem,
        None if is_of_diff(raw) || is_of_diff(message) || copies_diff(raw, message, given.material) => DIFF.into(),
        None if is_code(raw) => CODE.into(),
        None if is_loop(message) => LOOP.into(),
        None if copies_ours(message, given) || is_about_task(message, given) => INSTRUCTIONS.into(),
        None if is_talk(message) => TALKS.into(),
        None if is_one_word(message) || names_only_files(message, given.material) || is_from_same_to_same(message) => {
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

/// Whether git wrote this line, even if it starts in the middle.
fn is_of_diff(line: &str) -> bool {
    let line = line.trim_start_matches(['`', '"', '\'', '*', ' ']);
    let is_range = |word: &str| {
        let is_hash = |text: &str| text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        word.split_once("..").is_some_and(|(old, new)| is_hash(old) && is_hash(new))
    };
    // No subject begins with the mark of an added line.
    line.starts_with('+')
        || DIFF_STARTS.iter().any(|start| line.starts_with(start))
        || ["diff --git", "@@ -"].iter().any(|part| line.contains(part))
        || line.split_whitespace().any(is_range)
}

/// Whether a line is a directive, which would look like a message without its comment character, a statement, or a
/// decorator with arguments.
fn is_code(raw: &str) -> bool {
    let (raw, marks) = (raw.trim(), ['`', ' ', '\t']);
    // A mark at the end alone is that of code within a sentence.
    let code = if raw.starts_with('`') { raw.trim_matches(marks) } else { raw };
    let has_arguments = code.split_whitespace().next().is_some_and(|word| word.contains('('));
    DIRECTIVES.iter().any(|start| code.starts_with(start))
        || code.starts_with('@') && has_arguments
        || code.ends_with([';', '{']) && code.contains(['=', '(', '"'])
}

/// Whether a message speaks of what we asked for, which is not what was changed.
fn is_about_task(message: &str, given: &Given<'_>) -> bool {
    let message = message.to_lowercase();
    let material = given.material.to_lowercase();
    TASK.iter().any(|words| message.contains(words) && !material.contains(words))
}

/// Scripts without blanks say more in one.
fn is_one_word(message: &str) -> bool {
    message.is_ascii() && message.split_whitespace().nth(1).is_none()
}

fn is_talk(message: &str) -> bool {
    let message = message.to_lowercase().replace('’', "'");
    TALK.iter().any(|start| message.starts_with(start))
}

/// Whether a message copies a line of a file. An added line that reads like a sentence may well say what the commit
/// does, so it does not count.
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

/// Length of our own lines, which precede the diff; 0 for text that the user piped in.
fn own_len(material: &str) -> usize {
    match material.find("diff --git ") {
        Some(0) => 0,
        Some(n) if material[..n].ends_with('\n') => n,
        _ => material.len(),
    }
}

/// Whether one word, or a few, are repeated again and again, or a part of a name three times in a row.
fn is_loop(message: &str) -> bool {
    let all = words(message);
    let distinct: HashSet<&String> = all.iter().collect();
    // Other marks may well stand between: `Vec<Vec<Vec<f32>>>`, `FF:FF:FF`.
    let parts = message.split(|c: char| c.is_whitespace() || c == '_').filter(|part| !part.is_empty());
    let parts: Vec<_> = parts.map(str::to_lowercase).collect();
    let is_word = |part: &str| part.chars().nth(1).is_some() && part.chars().all(char::is_alphabetic);
    all.len() >= MIN_LOOP_WORDS && distinct.len() * 3 <= all.len()
        || parts.windows(3).any(|three| three[0] == three[1] && three[1] == three[2] && is_word(&three[0]))
}

/// Whether a message consists of our own words, perhaps with a few left out.
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

/// Whether almost all words occur in a text, in this order and close together.
fn is_within(said: &[String], text: &[String]) -> bool {
    let needed = said.len() - said.len() / 6;
    let window = said.len() * 2;
    (0..text.len()).any(|start| {
        let part = &text[start..text.len().min(start + window)];
        part.len() >= needed && n_common(said, part) >= needed
    })
}

/// Length of the longest common subsequence.
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

/// `Rename X to X`, and the like.
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
