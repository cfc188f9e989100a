#!/bin/sh
# Stops the answer that is being shown.
# shellcheck source=beastctl.sh
. ./beastctl.sh
if [ -n "${beast_job:-}" ]; then exec "$beastctl" alfred cancel "$beast_job"; fi
