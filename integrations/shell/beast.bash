# Alt-I turns the line that you are typing into a shell command, and never runs it:
#   source /usr/share/beast/integrations/shell/beast.bash    # in ~/.bashrc
# For another key: beast_key='\C-g' before this line.

_beast_line() {
  [[ -n ${READLINE_LINE//[[:space:]]/} ]] || return 0
  local answer
  # A failure has been told on stderr; the line stays.
  answer=$(printf '%s\n' "$READLINE_LINE" | beastctl shell) || return 0
  [[ -n $answer ]] || return 0
  READLINE_LINE=$answer
  READLINE_POINT=${#answer}
}

# Only an interactive shell has keys.
if [[ $- == *i* ]]; then
  for _beast_map in emacs-standard vi-insert; do
    bind -m "$_beast_map" -x "\"${beast_key:-\\ei}\": _beast_line"
  done
  unset _beast_map
fi
