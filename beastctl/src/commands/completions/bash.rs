//! What is particular to bash: it hands words on as they were typed, divides them where others do not, and puts into the
//! line what it gets.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

use clap::Command;
use clap_complete::engine::{self, CompletionCandidate};

/// Which of the words is being typed, from 0.
const INDEX: &str = "BEAST_COMPLETE_INDEX";
/// The part of it that a candidate takes the place of.
const REPLACED: &str = "BEAST_COMPLETE_WORD";
/// Between candidates: a name may hold a line break.
const SEPARATOR: char = '\u{b}';

/// Space after a word is switched off for all and on again where `compopt` can do that, so that a folder or a variable stays
/// open also in the bash of macOS, which cannot.
const SCRIPT: &str = r#"_PROGRAM() {
    local IFS=$'\013' words=("${COMP_WORDS[@]}")
    # What is behind the cursor does not count. A sign that divides words is no part of $2, but of the word.
    if ((BASH_VERSINFO[0] > 3)) && [[ ${words[COMP_CWORD]} != [=:] ]]; then
        words[COMP_CWORD]=$2
    fi
    COMPREPLY=($(VARIABLE=bash INDEX=$COMP_CWORD REPLACED=$2 PROGRAM -- "${words[@]}"))
    compopt +o nospace 2>/dev/null
    if [[ ${COMPREPLY-} == *[=/:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o nospace -o bashdefault -o nosort -F _PROGRAM PROGRAM 2>/dev/null ||
    complete -o nospace -o bashdefault -F _PROGRAM PROGRAM
"#;

/// What bash is to run once, for a program that is called with `variable` when Tab is pressed.
pub(super) fn script(variable: &str, program: &str) -> String {
    let names = [("VARIABLE", variable), ("INDEX", INDEX), ("REPLACED", REPLACED), ("PROGRAM", program)];
    names.iter().fold(SCRIPT.to_owned(), |script, (name, value)| script.replace(name, value))
}

/// The candidates for the word that is being typed.
pub(super) fn found(command: &mut Command, words: &[OsString], folder: Option<&Path>) -> io::Result<String> {
    let index = env::var(INDEX).ok().and_then(|index| index.parse().ok()).unwrap_or(words.len() - 1);
    let (words, index) = joined(words, index);
    let word = words.get(index).map_or(&[][..], |word| word.as_bytes());
    let replaced = env::var_os(REPLACED).unwrap_or_default();
    let kept = unquoted(OsStr::from_bytes(word.strip_suffix(replaced.as_bytes()).unwrap_or_default()));
    let words = words.iter().map(|word| unquoted(word)).collect();
    let mut found = engine::complete(command, words, index, folder)?;
    let is_option = |candidate: &CompletionCandidate| candidate.get_value().as_bytes().starts_with(b"-");
    // Whoever has typed nothing yet looks for names; all options among them would bury those.
    if word.is_empty() && !found.iter().all(is_option) {
        found.retain(|candidate| !is_option(candidate));
    }
    let found = found.iter().map(|candidate| {
        let value = candidate.get_value().as_bytes();
        quoted(&String::from_utf8_lossy(value.strip_prefix(kept.as_bytes()).unwrap_or(value)))
    });
    Ok(found.collect::<Vec<_>>().join(&SEPARATOR.to_string()))
}

/// The words as they stand in the line, and the index of the same word among them: bash makes three of `--color=always`.
fn joined(words: &[OsString], index: usize) -> (Vec<OsString>, usize) {
    let divides = |word: &OsStr| !word.is_empty() && word.as_bytes().iter().all(|byte| b"=:".contains(byte));
    let (mut all, mut new_index) = (Vec::<OsString>::new(), 0);
    for (n, word) in words.iter().enumerate() {
        let continues = divides(word) || n > 0 && divides(&words[n - 1]);
        // The first word is the program, and `=` alone after it belongs to nothing.
        match all.last_mut().filter(|_| continues && n > 1) {
            Some(last) => last.push(word),
            None => all.push(word.clone()),
        }
        if n == index {
            new_index = all.len() - 1;
        }
    }
    all.truncate(new_index + 1);
    (all, new_index)
}

/// bash hands words on as they were typed, with their quotes.
fn unquoted(word: &OsStr) -> OsString {
    let mut plain = Vec::with_capacity(word.len());
    let (mut is_escaped, mut quote) = (false, None);
    for byte in word.as_bytes() {
        match (byte, quote) {
            _ if is_escaped => is_escaped = false,
            (b'\\', None | Some(b'"')) => {
                is_escaped = true;
                continue;
            }
            (b'"' | b'\'', None) => {
                quote = Some(*byte);
                continue;
            }
            (byte, Some(quoting)) if *byte == quoting => {
                quote = None;
                continue;
            }
            _ => {}
        }
        plain.push(*byte);
    }
    OsString::from_vec(plain)
}

/// bash puts a word into the line as it is: a space in a name would end it. The other shells quote themselves.
fn quoted(word: &str) -> String {
    let mut quoted = String::with_capacity(word.len());
    for c in word.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_./:=,+@%^~".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

#[cfg(test)]
#[path = "bash_tests.rs"]
mod tests;
