#!/bin/sh

# Required parameters:
# @raycast.schemaVersion 1
# @raycast.title Commit Message
# @raycast.mode compact

# Optional parameters:
# @raycast.packageName Beast
# @raycast.icon 🌱
# @raycast.currentDirectoryPath ~
# @raycast.argument1 { "type": "text", "placeholder": "Repository", "optional": true }

# Documentation:
# @raycast.description Copies a commit message for the staged changes to the clipboard.

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

case ${1:-} in
    '') folder=. ;;
    \~) folder=$HOME ;;
    \~/*) folder=$HOME/${1#\~/} ;;
    *) folder=$1 ;;
esac
PATH=$PATH:/opt/homebrew/bin:/usr/local/bin
unset CDPATH
if ! problem=$({ cd -- "$folder" && git rev-parse --git-dir; } 2>&1); then
    printf '%s\n' "$problem" | tail -n 1
    exit 1
fi
cd -- "$folder" || exit 1
if git diff --staged --quiet; then
    echo "Nothing is staged; try: git add FILE"
    exit 1
fi
if ! words=$(mktemp); then
    echo "Cannot create a temporary file"
    exit 1
fi
trap 'rm -f "$words"' EXIT
# With empty stdin it reads the staged changes. Warnings go to a file, not into the message.
if ! message=$("$beastctl" --timeout 60s commit-msg --no-stream --strict </dev/null 2>"$words"); then
    tail -n 1 "$words"
    exit 1
fi
if ! printf '%s' "$message" | pbcopy; then
    echo "Cannot copy the message to the clipboard"
    exit 1
fi
printf '%s\n' "$message" | head -n 1
