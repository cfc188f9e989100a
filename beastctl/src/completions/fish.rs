//! The fish script, in which completing paths is a separate condition.

use std::fmt::Write as _;

use super::found::Found;

const SCRIPT: &str = r#"function __PROGRAM_found
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    VARIABLE=fish PROGRAM -- $words (commandline --current-token --cut-at-cursor) 2>/dev/null
end
function __PROGRAM_words
    set -l found (__PROGRAM_found)
    set -l kind $found[1]
    set -e found[1]
    printf '%s\n' $found
    switch "$kind"
        case gguf
            __fish_complete_suffix .gguf
        case folders
            __fish_complete_directories (commandline --current-token --cut-at-cursor) ''
    end
end
complete --command PROGRAM --keep-order --no-files --arguments '(__PROGRAM_words)'
complete --command PROGRAM --condition 'string match --quiet -- files (__PROGRAM_found)[1]' --force-files
"#;

/// What fish is to run once, for a program that is called with `variable` when Tab is pressed.
pub(super) fn script(variable: &str, program: &str) -> String {
    SCRIPT.replace("VARIABLE", variable).replace("PROGRAM", program)
}

/// A line for the paths, and one for each candidate.
pub(super) fn told(found: &Found) -> String {
    let mut text = found.kind().to_owned();
    for word in &found.words {
        let _ = write!(text, "\n{}", word.value);
        if !word.help.is_empty() {
            let _ = write!(text, "\t{}", word.help);
        }
    }
    text + "\n"
}
