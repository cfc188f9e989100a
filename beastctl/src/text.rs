//! Words for errors and hints: quoted for a shell, shortened, listed, or the nearest of some names. Knows nothing else.

/// A name with more than one wrong letter in so many is another name, not a slip.
const LETTERS_PER_SLIP: usize = 3;
/// So many letters that begin a name are meant as that name.
const LETTERS_OF_A_BEGINNING: usize = 3;
/// More names than these make a hint that nobody reads.
const MAX_NAMES: usize = 12;

/// A name or path as a shell takes it.
pub fn quoted(name: &str) -> String {
    // No argument of a program holds a NUL byte, the only thing that no shell can be told.
    shlex::try_quote(name).map_or_else(|_| name.to_owned(), |word| word.into_owned())
}

/// The beginning of a word that may be a whole text, given where a name was meant.
pub fn excerpt(word: &str) -> String {
    const MAX_CHARS: usize = 60;
    match word.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_owned(),
    }
}

/// Names as a list that stays a line.
pub fn some(names: &[String]) -> String {
    match names.get(..MAX_NAMES) {
        Some(some) if names.len() > MAX_NAMES => {
            format!("{} and {} more", some.join(", "), names.len() - MAX_NAMES)
        }
        _ => names.join(", "),
    }
}

/// The end of a sentence about a name that does not exist.
pub fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

/// The most similar of these names, if a slip could have made `name` of it.
pub fn nearest<'a>(name: &str, all: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let is_begun = |other: &str| name.chars().count() >= LETTERS_OF_A_BEGINNING && other.starts_with(name);
    let is_slip = |distance: usize, other: &str| {
        let n = other.chars().count();
        // Of a name that is only one letter long, every other one would be a slip.
        distance <= (n / LETTERS_PER_SLIP).max(1) && distance < n
    };
    let distances = all.into_iter().map(|other| (strsim::osa_distance(name, other), other));
    let likely = distances.filter(|(distance, other)| is_slip(*distance, other) || is_begun(other));
    likely.min_by_key(|(distance, _)| *distance).map(|(_, nearest)| nearest)
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
