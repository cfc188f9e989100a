#!/bin/sh
# The Text View: starts an answer, then shows its progress on each further run.
# shellcheck source=beastctl.sh
. ./beastctl.sh
if [ -n "${beast_job:-}" ]; then exec "$beastctl" alfred view "$beast_job"; fi
# Text typed under an answer is a new question.
if [ -n "${beast_last:-}" ]; then beast_prompt=ask beast_question=; fi
if [ -n "${1:-}" ]; then printf '%s' "$1"; else pbpaste; fi |
    "$beastctl" alfred start -- "${beast_prompt:-ask}" "${beast_question:-}"
