# Unpack packages of this Debian into a cache folder: `unpack` for the scripts that say which, and
# what is missing without them. Nothing is installed, and no right is needed beyond that to write the
# folder.
#
# The folder appears whole, by one rename, or not at all, and holds what `.fetched` names: the script
# that asked for it, and its packages. Where packages cannot be had (another system, no network) this
# says so and succeeds.

apt=(apt-get -qq -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3)

say() { printf '[%s %3ds] %s\n' "$name" $((SECONDS - started)) "$1"; }
none() { say "$1; $without"; exit 0; }

# What an installation of these would add: name=version, a line each.
added() { "${apt[@]}" -s --no-install-recommends install "$@" 2>/dev/null |
    sed -nE 's/^Inst ([^ ]+) (\[[^]]*\] )?\(([^ ]+).*/\1=\3/p'; }

# Fetch what `wanted` names; apt compares each file with the signed lists.
fetched() {
    packages=$(wanted || true)
    [[ -n $packages ]] || return 1
    say "$(wc -w <<<"$packages") packages"
    # shellcheck disable=SC2086 # a word a package
    (cd "$fresh/debs" && "${apt[@]}" download $packages 2>"$fresh/said")
}

# unpack NAME WITHOUT TOOL...: fetch and unpack what the function `wanted` names into the cache's
# folder of this name; the function `finish`, where there is one, adds to it. Each TOOL must be here.
unpack() {
    name=$1 without=$2
    shift 2
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/backtrans state bytes deb tool
    tree=$cache/$name
    started=$SECONDS
    state=$(cat "scripts/${0##*/}" scripts/unpack.sh | sha256sum)
    if [[ -f $tree/.fetched && $(head -n 1 "$tree/.fetched") == "$state" ]]; then
        return
    fi
    for tool in apt-get dpkg-deb "$@"; do
        command -v "$tool" >/dev/null || none "this system has no $tool"
    done
    mkdir -p "$cache"
    fresh=$(mktemp -d "$cache/$name.XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    mkdir "$fresh/debs" "$fresh/tree"
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
    if declare -F finish >/dev/null; then
        finish
    fi
    printf '%s\n' "$state" "$packages" >"$fresh/tree/.fetched"
    if [[ -e $tree ]]; then
        mv -T "$tree" "$fresh/old"
    fi
    # Another that was as fast has put the same there.
    mv -T "$fresh/tree" "$tree" 2>/dev/null || [[ -f $tree/.fetched ]]
    say "done: $((bytes / 1000000)) MB fetched, $(du -sm "$tree" | cut -f 1) MB in $tree"
}
