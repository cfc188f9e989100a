#!/bin/sh
# The Script Filter: a row for each prompt.
# shellcheck source=beastctl.sh
. ./beastctl.sh
exec "$beastctl" alfred items -- "${1:-}"
