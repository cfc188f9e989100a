#!/bin/sh
# Stops the current answer.
# shellcheck source=beastctl.sh
. ./beastctl.sh
if [ -n "${beast_job:-}" ]; then exec "$beastctl" alfred cancel "$beast_job"; fi
