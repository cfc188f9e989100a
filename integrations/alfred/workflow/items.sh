#!/bin/sh
# The Script Filter: one row per prompt.
# shellcheck source=beastctl.sh
. ./beastctl.sh
exec "$beastctl" alfred items -- "${1:-}"
