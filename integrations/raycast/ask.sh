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

# The last line is what went wrong, when something did.
exec "$beastctl" ask -- "$1" </dev/null 2>&1
