# shellcheck shell=sh
# Finds beastctl. The other scripts source this file, because Alfred runs them without a login shell's PATH.
for beastctl in "${BEASTCTL:-}" "${beastctl_path:-}" /opt/homebrew/bin/beastctl /usr/local/bin/beastctl \
    "${HOME:-}/.local/bin/beastctl" "${HOME:-}/.cargo/bin/beastctl" "$(command -v beastctl)"; do
    [ -f "$beastctl" ] && [ -x "$beastctl" ] && break
    beastctl=
done
if [ -z "$beastctl" ]; then
    # A row for the list and a text for the window; each reads its own key.
    what='beastctl not found'
    try='make install in the folder of beast, or set its path in the configuration of this workflow'
    echo "{\"items\":[{\"title\":\"$what\",\"subtitle\":\"$try\",\"valid\":false}],\"response\":\"$what; try: $try\"}"
    exit 0
fi
# Makes pbpaste use UTF-8.
export LC_ALL=en_US.UTF-8
