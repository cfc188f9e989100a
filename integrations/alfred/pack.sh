#!/bin/sh
# Packs the workflow, which is a zip file that Alfred imports: pack.sh [FILE, by default beast.alfredworkflow here].
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-beast.alfredworkflow}
case $out in /*) ;; *) out=$PWD/$out ;; esac
if ! command -v zip >/dev/null; then
    echo "pack.sh: zip is not installed; try: apt-get install zip" >&2
    exit 1
fi
# zip adds to a file that is there already.
rm -f "$out"
cd "$here/workflow"
zip -q -X "$out" info.plist ./*.sh
echo "$out"
