//! The zsh script, which also works as a file in `fpath`, with candidates for `_describe`.

use super::found::Found;

/// zsh runs a file from `fpath` in place of the function that it should define, so the script calls that function.
pub(super) const SCRIPT: &str = r#"#compdef beastctl
_beastctl() {
    local word=$PREFIX kind prefix result=1
    # Within quotes zsh hands the word on without them.
    [[ -n ${compstate[quote]} ]] || word=${(Q)PREFIX}
    local -a found open
    found=("${(@f)$(BEAST_COMPLETE=zsh beastctl -- "${(@Q)words[1,CURRENT-1]}" "$word" 2>/dev/null)}")
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
if [[ ${funcstack[1]} = _beastctl ]]; then
    _beastctl "$@"
else
    compdef _beastctl beastctl
fi
"#;

/// The reply to the script: a line for the paths, then one for each candidate.
pub(super) fn told(found: &Found) -> String {
    let mut text = format!("{} {}", found.kind(), found.prefix);
    for word in &found.words {
        let value = word.value.replace('\\', "\\\\").replace(':', "\\:");
        text += &format!("\n{value}");
        if !word.help.is_empty() {
            text += &format!(":{}", word.help.replace('\\', "\\\\"));
        }
    }
    text
}
