#!/bin/sh

# Required parameters:
# @raycast.schemaVersion 1
# @raycast.title Fix Clipboard
# @raycast.mode compact

# Optional parameters:
# @raycast.packageName Beast
# @raycast.icon ✏️

# Documentation:
# @raycast.description Corrects spelling and grammar of the text on the clipboard.

# Raycast runs scripts without a login shell and its PATH.
for beastctl in "${BEASTCTL:-}" /opt/homebrew/bin/beastctl /usr/local/bin/beastctl \
    "${HOME:-}/.local/bin/beastctl" "${HOME:-}/.cargo/bin/beastctl" "$(command -v beastctl)"; do
    [ -f "$beastctl" ] && [ -x "$beastctl" ] && break
    beastctl=
done
if [ -z "$beastctl" ]; then
    echo "beastctl not found; try: make install in beast's folder, or set BEASTCTL to its path"
    exit 1
fi
# Makes pbpaste and pbcopy use UTF-8.
export LC_ALL=en_US.UTF-8

if [ -z "$(pbpaste | LC_ALL=C tr -d '[:space:]' | head -c 1)" ]; then
    echo "The clipboard is empty"
    exit 1
fi

if ! words=$(mktemp); then
    echo "Cannot create a temporary file"
    exit 1
fi
trap 'rm -f "$words"' EXIT
# An incomplete answer (--strict) or altered input (a warning) must not replace the clipboard: the rest would be lost.
if ! answer=$(pbpaste | "$beastctl" run fix --no-stream --strict 2>"$words") || [ -s "$words" ]; then
    tail -n 1 "$words"
    exit 1
fi
if [ -z "$answer" ]; then
    echo "The answer is empty; clipboard unchanged"
    exit 1
fi
if ! printf '%s' "$answer" | pbcopy; then
    echo "Cannot copy the corrected text to the clipboard"
    exit 1
fi
echo "Clipboard corrected"
