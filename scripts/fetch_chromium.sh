#!/usr/bin/env bash
# Unpack Chromium's headless shell from the packages of this Debian into a cache folder, for
# tests/report/test_browser.py; about 90 MB are fetched, once. Nothing is installed, and no right is
# needed beyond that to write the folder. Does nothing when that is already so.
#
# The folder appears whole, by one rename, or not at all. Where packages cannot be had (another
# system, no network) this says so and succeeds: the tests then take a Chromium that is installed, or
# are skipped, and say so.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/backtrans
tree=$cache/chromium
stamp=$tree/.fetched
state=$(sha256sum <scripts/fetch_chromium.sh)
if [[ -f $stamp && $(head -n 1 "$stamp") == "$state" ]]; then
    exit 0
fi

started=$SECONDS
say() { printf '[chromium %3ds] %s\n' $((SECONDS - started)) "$1"; }
none() { say "no Chromium unpacked here: $1; the report's tests need an installed one"; exit 0; }

for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || none "this system has no $tool"
done
mkdir -p "$cache"
fresh=$(mktemp -d "$cache/chromium.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
mkdir "$fresh/debs" "$fresh/tree"
apt=(apt-get -qq -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3)

# What an installation would add: the shell, the libraries that are missing here, and a font, without
# which it draws no letter. name=version, a line each.
wanted() {
    "${apt[@]}" -s --no-install-recommends install chromium-headless-shell fonts-dejavu-core 2>/dev/null |
        sed -nE 's/^Inst ([^ ]+) (\[[^]]*\] )?\(([^ ]+).*/\1=\3/p'
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
# The font is not where the system would look for it.
cat >"$fresh/tree/fonts.conf" <<END
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
<include ignore_missing="yes">/etc/fonts/fonts.conf</include>
<dir>$tree/usr/share/fonts</dir>
</fontconfig>
END
printf '%s\n' "$state" "$packages" >"$fresh/tree/.fetched"

if [[ -e $tree ]]; then
    mv -T "$tree" "$fresh/old"
fi
# Another that was as fast has put the same there.
mv -T "$fresh/tree" "$tree" 2>/dev/null || [[ -f $stamp ]]
say "done: $((bytes / 1000000)) MB fetched, $(du -sm "$tree" | cut -f 1) MB in $tree"
