#!/bin/sh

# Required parameters:
# @raycast.schemaVersion 1
# @raycast.title Ask Beast
# @raycast.mode fullOutput

# Optional parameters:
# @raycast.packageName Beast
# @raycast.icon 💬
# @raycast.argument1 { "type": "text", "placeholder": "Question" }

# Documentation:
# @raycast.description Asks the local model a question.

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

# On failure the last line is the error.
exec "$beastctl" ask -- "$1" </dev/null 2>&1
