//! Text for errors and hints: shell quoting, excerpts, lists, nearest names. Knows nothing else.

/// With more than one wrong letter per this many, it is a different name, not a typo.
const LETTERS_PER_SLIP: usize = 3;
/// A prefix of this many letters counts as the name.
const LETTERS_OF_A_BEGINNING: usize = 3;
/// Longer lists of names do not get read.
const MAX_NAMES: usize = 12;

/// Quotes a name or path for a shell.
pub fn quoted(name: &str) -> String {
    // Arguments cannot contain NUL, the only character that cannot be quoted.
    shlex::try_quote(name).map_or_else(|_| name.to_owned(), |word| word.into_owned())
}

/// The beginning of text that was given where a name was expected.
pub fn excerpt(word: &str) -> String {
    const MAX_CHARS: usize = 60;
    match word.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_owned(),
    }
}

/// Names as a one-line list.
pub fn some(names: &[String]) -> String {
    match names.get(..MAX_NAMES) {
        Some(some) if names.len() > MAX_NAMES => {
            format!("{} and {} more", some.join(", "), names.len() - MAX_NAMES)
        }
        _ => names.join(", "),
    }
}

/// The end of an error about an unknown name.
pub fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

/// The most similar of these names, if `name` may be a typo of it.
pub fn nearest<'a>(name: &str, all: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let is_begun = |other: &str| name.chars().count() >= LETTERS_OF_A_BEGINNING && other.starts_with(name);
    let is_slip = |distance: usize, other: &str| {
        let n = other.chars().count();
        // Any name would be a typo of a one-letter name.
        distance <= (n / LETTERS_PER_SLIP).max(1) && distance < n
    };
    let distances = all.into_iter().map(|other| (strsim::osa_distance(name, other), other));
    let likely = distances.filter(|(distance, other)| is_slip(*distance, other) || is_begun(other));
    likely.min_by_key(|(distance, _)| *distance).map(|(_, nearest)| nearest)
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
