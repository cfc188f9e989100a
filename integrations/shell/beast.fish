# Alt-I turns the line that you are typing into a shell command, and never runs it:
#   source /usr/share/beast/integrations/shell/beast.fish    # in ~/.config/fish/config.fish
# For another key: set -g beast_key \cg before this line.

function _beast_line --description 'Turn the line into a shell command'
    set -l line (commandline | string collect)
    if not string match -qr '\S' -- "$line"
        return 0
    end
    # A failure has been told on stderr; the line stays.
    set -l answer (printf '%s\n' "$line" | beastctl shell | string collect)
    if test $pipestatus[2] -eq 0 -a -n "$answer"
        commandline -r -- "$answer"
    end
    commandline -f repaint
end

# Only an interactive shell has keys.
if status is-interactive
    set -q beast_key; or set -g beast_key \ei
    bind $beast_key _beast_line
    bind -M insert $beast_key _beast_line
end
