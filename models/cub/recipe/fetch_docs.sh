#!/usr/bin/env bash
# Exists because cub learns from Debian's own texts: fetches the English package descriptions and the documentation
# packages named in doc_packages.txt (unpacked, not installed) into WORK.
#
# Usage: fetch_docs.sh WORK    215 MB; WORK/apt/etc/sources.list must name Debian bookworm and trixie, main
set -euo pipefail

mkdir -p "$1"/apt/{lists/partial,archives/partial,etc,debs} "$1/raw"
work=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
[ -s "$work/apt/etc/sources.list" ] || { echo "fetch_docs: write $work/apt/etc/sources.list first" >&2; exit 2; }
cat >"$work/apt/apt.conf" <<END
Dir::State::Lists "$work/apt/lists";
Dir::Cache::archives "$work/apt/archives";
Dir::Cache::pkgcache "$work/apt/pkgcache.bin";
Dir::Cache::srcpkgcache "$work/apt/srcpkgcache.bin";
Dir::Etc::SourceList "$work/apt/etc/sources.list";
Dir::Etc::SourceParts "/dev/null";
Acquire::GzipIndexes "true";
END
export APT_CONFIG=$work/apt/apt.conf
apt-get -o Acquire::Languages=en update

packages=()
while read -r package; do
  case $package in
    php-doc | python-numpy-doc) packages+=("$package") ;; # only in trixie
    *) packages+=("$package/bookworm") ;;
  esac
done < <(tr -s ' \n' '\n' <"$here/doc_packages.txt")
cd "$work/apt/debs"
apt-get -o APT::Sandbox::User=root download "${packages[@]}"
for deb in *.deb; do dpkg -x "$deb" "$work/raw"; done
