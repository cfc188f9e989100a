# Alt-I turns the line that you are typing into a shell command, and never runs it:
#   source /usr/share/beast/integrations/shell/beast.zsh    # in ~/.zshrc
# For another key: beast_key='^G' before this line.

_beast_line() {
  emulate -L zsh
  [[ -n ${BUFFER//[[:space:]]/} ]] || return 0
  local answer
  # Progress and errors go to the terminal, below the line.
  zle -I
  answer=$(print -r -- "$BUFFER" | beastctl shell) || return 0
  [[ -n $answer ]] || return 0
  BUFFER=$answer
  CURSOR=$#BUFFER
}

# Only an interactive shell has keys.
if [[ -o interactive ]]; then
  zle -N _beast_line
  bindkey -M emacs "${beast_key:-^[i}" _beast_line
  bindkey -M viins "${beast_key:-^[i}" _beast_line
fi
