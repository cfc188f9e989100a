#!/bin/sh

# Required parameters:
# @raycast.schemaVersion 1
# @raycast.title Summarize Selection
# @raycast.mode fullOutput

# Optional parameters:
# @raycast.packageName Beast
# @raycast.icon 📝

# Documentation:
# @raycast.description Summarizes the text on the clipboard, however long.

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

# On failure the last line is the error.
pbpaste | "$beastctl" summarize 2>&1
