#!/bin/sh
# Written by `beastctl hook install`; `beastctl hook uninstall` takes it away.
# Unchanged as long as its checksum is @SUM@
chained="${0%/*}/prepare-commit-msg.beast-chained"
if [ -f "$chained" ] && [ -x "$chained" ]; then
    "$chained" "$@" || exit $?
fi
beastctl=@PROGRAM@
if ! [ -f "$beastctl" ] || ! [ -x "$beastctl" ]; then
    beastctl=$(PATH="$PATH:/usr/local/bin:/opt/homebrew/bin:$HOME/.local/bin"; command -v beastctl) || {
        [ -n "$2" ] || echo "beast: no message: beastctl not found; try: reinstall it, or rm $0" >&2
        exit 0
    }
fi
"$beastctl" hook run --limit @LIMIT@ -- "$@"
exit 0
