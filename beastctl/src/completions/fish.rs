//! The fish script, in which completing paths is a separate condition.

use super::found::Found;

pub(super) const SCRIPT: &str = r#"function __beastctl_found
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    BEAST_COMPLETE=fish beastctl -- $words (commandline --current-token --cut-at-cursor) 2>/dev/null
end
function __beastctl_words
    set -l found (__beastctl_found)
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
complete --command beastctl --keep-order --no-files --arguments '(__beastctl_words)'
complete --command beastctl --condition 'string match --quiet -- files (__beastctl_found)[1]' --force-files
"#;

/// The reply to the script: a line for the paths, then one for each candidate.
pub(super) fn told(found: &Found) -> String {
    let mut text = found.kind().to_owned();
    for word in &found.words {
        text += &format!("\n{}", word.value);
        if !word.help.is_empty() {
            text += &format!("\t{}", word.help);
        }
    }
    text + "\n"
}
