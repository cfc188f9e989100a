#!/bin/sh

# Required parameters:
# @raycast.schemaVersion 1
# @raycast.title Fix Clipboard
# @raycast.mode compact

# Optional parameters:
# @raycast.packageName Beast
# @raycast.icon ✏️

# Documentation:
# @raycast.description Corrects spelling and grammar of the text on the clipboard, in its place.

# Raycast starts scripts without a login shell, so without its PATH.
for beastctl in "${BEASTCTL:-}" /opt/homebrew/bin/beastctl /usr/local/bin/beastctl \
    "${HOME:-}/.local/bin/beastctl" "${HOME:-}/.cargo/bin/beastctl" "$(command -v beastctl)"; do
    [ -f "$beastctl" ] && [ -x "$beastctl" ] && break
    beastctl=
done
if [ -z "$beastctl" ]; then
    echo "beastctl is not to be found; try: make install in the project's folder, or set BEASTCTL to its path"
    exit 1
fi
# Without this pbpaste and pbcopy take text for something else than UTF-8.
export LC_ALL=en_US.UTF-8

if [ -z "$(pbpaste | LC_ALL=C tr -d '[:space:]' | head -c 1)" ]; then
    echo "The clipboard is empty"
    exit 1
fi

if ! words=$(mktemp); then
    echo "There is no room for temporary files"
    exit 1
fi
trap 'rm -f "$words"' EXIT
# Of a text that is not whole (--strict), or that was not read as it is (a warning), the rest would be lost with the clipboard.
if ! answer=$(pbpaste | "$beastctl" run fix --no-stream --strict 2>"$words") || [ -s "$words" ]; then
    tail -n 1 "$words"
    exit 1
fi
if [ -z "$answer" ]; then
    echo "The answer is empty; the clipboard is as it was"
    exit 1
fi
if ! printf '%s' "$answer" | pbcopy; then
    echo "The corrected text could not be put on the clipboard"
    exit 1
fi
echo "The clipboard is corrected"
