#!/bin/sh
# Packs the workflow as a zip file that Alfred imports: pack.sh [FILE] (default: ./beast.alfredworkflow).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-beast.alfredworkflow}
case $out in /*) ;; *) out=$PWD/$out ;; esac
if ! command -v zip >/dev/null; then
    echo "pack.sh: zip is not installed; try: apt-get install zip" >&2
    exit 1
fi
# zip adds to an existing file.
rm -f "$out"
cd "$here/workflow"
zip -q -X "$out" info.plist ./*.sh
echo "$out"
