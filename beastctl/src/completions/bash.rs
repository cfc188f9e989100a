//! The bash script. bash passes words as typed, splits them in its own way, and inserts results verbatim.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use clap::Command;

use super::found::Found;
use crate::cli::completers::Paths;

/// Index of the word being typed, from 0.
const INDEX: &str = "BEAST_COMPLETE_INDEX";
/// The part of that word that a candidate replaces.
const REPLACED: &str = "BEAST_COMPLETE_WORD";
/// The quote opened before that part.
const QUOTE: &str = "BEAST_COMPLETE_QUOTE";
/// Separates candidates, which may contain spaces.
const SEPARATOR: char = '\u{b}';

/// The space after a word is off by default and switched on with `compopt` where that exists, so that a folder or
/// variable can be continued even in the bash of macOS, which lacks `compopt`. There, `default` completes any file if
/// we have no candidate.
pub(super) const SCRIPT: &str = r#"_beastctl() {
    local IFS=$'\013' words=("${COMP_WORDS[@]}") quote=${COMP_LINE:0:${COMP_POINT:-0}}
    quote=${quote%"$2"}
    # What is behind the cursor does not count. A sign that divides words is no part of $2, but of the word.
    if ((BASH_VERSINFO[0] > 3)) && [[ ${words[COMP_CWORD]} != [=:] ]]; then
        words[COMP_CWORD]=${words[COMP_CWORD]%%"$2"*}$2
    fi
    COMPREPLY=($(BEAST_COMPLETE=bash BEAST_COMPLETE_INDEX=$COMP_CWORD BEAST_COMPLETE_WORD=$2 \
        BEAST_COMPLETE_QUOTE=${quote:${#quote}?${#quote}-1:0} beastctl -- "${words[@]}"))
    local kind=${COMPREPLY-}
    COMPREPLY=("${COMPREPLY[@]:1}")
    compopt +o nospace +o default 2>/dev/null || return 0
    case $kind in
        files) compopt -o default ;;
        folders) compopt -o dirnames ;;
        gguf)
            COMPREPLY+=($(compgen -f -X '!*.gguf' -- "$2"))
            compopt -o filenames -o plusdirs
            ;;
    esac
    if [[ ${COMPREPLY-} == *[=:] ]]; then
        compopt -o nospace
    fi
}
complete -o nospace -o bashdefault -o default -o nosort -F _beastctl beastctl 2>/dev/null ||
    complete -o nospace -o bashdefault -o default -F _beastctl beastctl
"#;

/// The reply to the script: the kind of paths, and the candidates for the word being typed.
pub(super) fn told(command: Command, words: &[OsString]) -> io::Result<String> {
    let index = env::var(INDEX).ok().and_then(|index| index.parse().ok()).unwrap_or(words.len() - 1);
    let (words, index) = joined(words, index);
    let word = words.get(index).map_or(&[][..], |word| word.as_bytes());
    let replaced = env::var_os(REPLACED).unwrap_or_default();
    let kept = unquoted(OsStr::from_bytes(word.strip_suffix(replaced.as_bytes()).unwrap_or_default()));
    let quote = env::var(QUOTE).ok().and_then(|quote| quote.chars().next()).filter(|c| matches!(c, '\'' | '"'));
    let found = Found::new(command, words[..=index].iter().map(|word| unquoted(word)).collect())?;
    let candidate = |value: &str| {
        let value = value.strip_prefix(&*kept.to_string_lossy()).unwrap_or(value);
        match (found.paths, quote) {
            // With file names among the candidates, bash quotes all of them.
            (Some(Paths::Gguf), _) => value.to_owned(),
            (_, None) => quoted(value),
            (_, Some(quote)) => quoted_within(value, quote),
        }
    };
    let candidates = found.words.iter().map(|word| candidate(&word.value));
    let all: Vec<_> = [found.kind().to_owned()].into_iter().chain(candidates).collect();
    Ok(all.join(&SEPARATOR.to_string()))
}

/// Rejoins the words that bash has split (it makes three of `--color=always`); returns the new index of the same word.
fn joined(words: &[OsString], index: usize) -> (Vec<OsString>, usize) {
    let divides = |word: &OsStr| !word.is_empty() && word.as_bytes().iter().all(|byte| b"=:".contains(byte));
    let (mut all, mut new_index) = (Vec::<OsString>::new(), 0);
    for (n, word) in words.iter().enumerate() {
        let continues = divides(word) || n > 0 && divides(&words[n - 1]);
        // The first word is the program, and an `=` after it is not part of it.
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

/// Removes quotes and escapes from a word: bash passes words as typed.
pub(super) fn unquoted(word: &OsStr) -> OsString {
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

/// Escapes a candidate, which bash inserts verbatim: a space would end the word. Other shells quote candidates
/// themselves.
fn quoted(word: &str) -> String {
    escaped(word, |c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_./:=,+@%^~".contains(c))
}

fn quoted_within(word: &str, quote: char) -> String {
    if quote == '\'' { word.replace('\'', r"'\''") } else { escaped(word, |c| "\\\"$`".contains(c)) }
}

fn escaped(word: &str, is_special: impl Fn(char) -> bool) -> String {
    word.chars().flat_map(|c| is_special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
#[path = "bash_tests.rs"]
mod tests;
