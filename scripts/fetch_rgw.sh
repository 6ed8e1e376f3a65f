#!/usr/bin/env bash
# Unpack Ceph's S3 gateway (RGW) and the least cluster under it from the packages of this Debian into
# a cache folder, for tests/rgw.py; about 60 MB are fetched, once. Nothing is installed, and no right
# is needed beyond that to write the folder. Does nothing when that is already so.
#
# The folder appears whole, by one rename, or not at all. Where packages cannot be had (another
# system, no network) this says so and succeeds: the tests then skip RGW, and say so too.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/backtrans
tree=$cache/rgw
stamp=$tree/.fetched
state=$(sha256sum <scripts/fetch_rgw.sh)
if [[ -f $stamp && $(head -n 1 "$stamp") == "$state" ]]; then
    exit 0
fi

started=$SECONDS
say() { printf '[rgw %3ds] %s\n' $((SECONDS - started)) "$1"; }
none() { say "no RGW here: $1; moto alone stands for S3 in the tests"; exit 0; }

for tool in apt-get dpkg-deb setpriv; do
    command -v "$tool" >/dev/null || none "this system has no $tool"
done
mkdir -p "$cache"
fresh=$(mktemp -d "$cache/rgw.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
mkdir "$fresh/debs" "$fresh/tree"
apt=(apt-get -qq -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3)

# Of what an installation would add, the programs and the libraries: name=version, a line each.
wanted() {
    "${apt[@]}" -s --no-install-recommends install radosgw ceph-mon ceph-osd 2>/dev/null |
        sed -nE 's/^Inst ((radosgw|ceph-(mon|osd|base|common)|lib[^ ]*)) \(([^ ]+).*/\1=\4/p'
}

# Fetch it all; apt compares each file with the signed lists.
fetched() {
    packages=$(wanted || true)
    [[ -n $packages ]] || return 1
    say "$(wc -w <<<"$packages") packages"
    # shellcheck disable=SC2086 # a word a package
    (cd "$fresh/debs" && "${apt[@]}" download $packages 2>"$fresh/said")
}

if ! fetched; then
    say "this system's package lists are missing or old: new ones, beside them"
    mkdir -p "$fresh/lists/partial" "$fresh/archives/partial"
    apt+=(-o Dir::State::Lists="$fresh/lists" -o Dir::Cache="$fresh/archives")
    # A source that does not answer may be one that is not needed.
    "${apt[@]}" update 2>/dev/null || true
    fetched || { cat "$fresh/said" 2>/dev/null; none "its packages cannot be fetched"; }
fi
bytes=$(du -sb "$fresh/debs" | cut -f 1)
for deb in "$fresh"/debs/*.deb; do
    dpkg-deb --extract "$deb" "$fresh/tree"
done
printf '%s\n' "$state" "$packages" >"$fresh/tree/.fetched"

if [[ -e $tree ]]; then
    mv -T "$tree" "$fresh/old"
fi
# Another that was as fast has put the same there.
mv -T "$fresh/tree" "$tree" 2>/dev/null || [[ -f $stamp ]]
say "done: $((bytes / 1000000)) MB fetched, $(du -sm "$tree" | cut -f 1) MB in $tree"
