# shellcheck shell=sh
# Finds beastctl for the other scripts, which read this file: Alfred starts them without the PATH of a login shell.
for beastctl in "${BEASTCTL:-}" "${beastctl_path:-}" /opt/homebrew/bin/beastctl /usr/local/bin/beastctl \
    "${HOME:-}/.local/bin/beastctl" "${HOME:-}/.cargo/bin/beastctl" "$(command -v beastctl)"; do
    [ -f "$beastctl" ] && [ -x "$beastctl" ] && break
    beastctl=
done
if [ -z "$beastctl" ]; then
    # A row for a list and a text for a window; each takes what it knows.
    what='beastctl is not to be found'
    try='make install in the folder of beast, or name the program in the configuration of this workflow'
    echo "{\"items\":[{\"title\":\"$what\",\"subtitle\":\"$try\",\"valid\":false}],\"response\":\"$what; try: $try\"}"
    exit 0
fi
# Without this pbpaste takes text for something else than UTF-8.
export LC_ALL=en_US.UTF-8
