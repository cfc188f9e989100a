//! Escape sequences: colours and other terminal commands inside text. Knows only text.

/// The first character of every escape sequence.
pub(crate) const ESCAPE: char = '\u{1b}';
/// Ends a sequence that contains text, such as a link.
const BELL: char = '\u{7}';

/// The text as a terminal would show it, without colours. An incomplete sequence at the end is removed too.
pub(crate) fn removed(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != ESCAPE {
            shown.push(c);
            continue;
        }
        match rest.next_if(|c| *c != '\n') {
            // Parameters, then one letter.
            Some('[') => {
                while rest.next_if(|c| matches!(c, '\u{20}'..='\u{3f}')).is_some() {}
                rest.next_if(|c| matches!(c, '\u{40}'..='\u{7e}'));
            }
            // Text, then a bell, or another escape with its backslash. Never continues on the next line.
            Some(']' | 'P' | 'X' | '^' | '_') => {
                while rest.next_if(|c| !matches!(*c, BELL | ESCAPE | '\n')).is_some() {}
                rest.next_if_eq(&BELL);
            }
            // The choice of a character set.
            Some('\u{20}'..='\u{2f}') => {
                while rest.next_if(|c| matches!(c, '\u{20}'..='\u{2f}')).is_some() {}
                rest.next_if(|c| matches!(c, '\u{30}'..='\u{7e}'));
            }
            _ => {}
        }
    }
    shown
}

#[cfg(test)]
#[path = "escapes_tests.rs"]
mod tests;
