#!/bin/sh

# Required parameters:
# @raycast.schemaVersion 1
# @raycast.title Summarize Selection
# @raycast.mode fullOutput

# Optional parameters:
# @raycast.packageName Beast
# @raycast.icon 📝

# Documentation:
# @raycast.description Summarizes what was copied last, of any length.

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

# The last line is what went wrong, when something did.
pbpaste | "$beastctl" summarize 2>&1
