//! The zsh script, which also works as a file in `fpath`, with candidates for `_describe`.

use std::fmt::Write as _;

use super::found::Found;

/// A file of the `fpath` runs in the place of the function that is wanted, so the script calls that.
const SCRIPT: &str = r#"#compdef PROGRAM
_PROGRAM() {
    local word=$PREFIX kind prefix result=1
    # Within quotes zsh hands the word on without them.
    [[ -n ${compstate[quote]} ]] || word=${(Q)PREFIX}
    local -a found open
    found=("${(@f)$(VARIABLE=zsh PROGRAM -- "${(@Q)words[1,CURRENT-1]}" "$word" 2>/dev/null)}")
    kind=${found[1]%% *} prefix=${found[1]#* }
    shift found
    # A variable goes on with its value.
    open=(${(M)found:#*=(|:*)}) found=(${found:#*=(|:*)})
    (( $#found )) && _describe -V 'value' found && result=0
    (( $#open )) && _describe -V 'value' open -S '' && result=0
    [[ -n $prefix ]] && compset -P "${(b)prefix}"
    case $kind in
        files) _files && result=0 ;;
        gguf) _path_files -g '*.gguf(-.)' && result=0
            _path_files -/ && result=0 ;;
        folders) _path_files -/ && result=0 ;;
    esac
    return result
}
if [[ ${funcstack[1]} = _PROGRAM ]]; then
    _PROGRAM "$@"
else
    compdef _PROGRAM PROGRAM
fi
"#;

/// What zsh is to run once, for a program that is called with `variable` when Tab is pressed.
pub(super) fn script(variable: &str, program: &str) -> String {
    SCRIPT.replace("VARIABLE", variable).replace("PROGRAM", program)
}

/// A line for the paths, and one for each candidate.
pub(super) fn told(found: &Found) -> String {
    let mut text = format!("{} {}", found.kind(), found.prefix);
    for word in &found.words {
        let value = word.value.replace('\\', "\\\\").replace(':', "\\:");
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{value}");
        if !word.help.is_empty() {
            let _ = write!(text, ":{}", word.help.replace('\\', "\\\\"));
        }
    }
    text
}
