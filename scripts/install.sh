#!/usr/bin/env bash
# Make .venv hold exactly what requirements/ pins, and this project, editable. Does nothing when that
# is already so. Needs CPython 3.11 and a package index; nothing else.
#
# No step resolves anything: the lock is complete, so every install is --no-deps. That is also what
# keeps torchvision, torchaudio and torchcodec out (requirements/overrides.txt says why).
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${VENV:-.venv}
stamp=$venv/.installed
state=$(cat pyproject.toml requirements/*.txt scripts/install.sh | sha256sum)
if [[ -f $stamp && $(<"$stamp") == "$state" ]]; then
    exit 0
fi

torch=$(grep '^torch==' requirements/torch.txt)
uv=$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements/lock.txt)
pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps --no-compile)
started=$SECONDS
say() { printf '[install %3ds] %s\n' $((SECONDS - started)) "$1"; }

if [[ ! -x $venv/bin/python ]]; then
    say "virtual environment in $venv"
    python=$(command -v python3.11 || command -v python3)
    "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
        { echo "the lock is for CPython 3.11; $python is $("$python" -V)" >&2; exit 1; }
    "$python" -m venv "$venv"
fi
rm -f "$stamp"

say "$torch"
"${pip[@]}" "$torch" 2>/dev/null ||
    "${pip[@]}" --index-url https://download.pytorch.org/whl/cpu "$torch"

# uv takes a tenth of pip's time, but does not read pip's configuration: where only that leads to an
# index, pip installs the same files.
say "$uv"
"${pip[@]}" "$uv"
say "requirements/lock.txt"
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --only-binary :all: \
    --require-hashes -r requirements/lock.txt ||
    "${pip[@]}" --only-binary :all: --require-hashes -r requirements/lock.txt

say "backtrans, editable"
"${pip[@]}" --no-build-isolation --editable .

# Left by an older or a hand-made environment, they would break the imports.
"$venv/bin/python" -m pip uninstall --quiet --yes torchvision torchaudio torchcodec 2>/dev/null
printf '%s\n' "$state" >"$stamp"
say "done"
