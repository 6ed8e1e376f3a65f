#!/usr/bin/env bash
# Unpack Chromium's headless shell, for tests/report/test_browser.py; about 90 MB are fetched, once.
# How, and what is where packages cannot be had: scripts/unpack.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/unpack.sh

# The shell, the libraries that are missing here, and a font, without which it draws no letter.
wanted() { added chromium-headless-shell fonts-dejavu-core; }

# The font is not where the system would look for it.
finish() {
    cat >"$fresh/tree/fonts.conf" <<END
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
<include ignore_missing="yes">/etc/fonts/fonts.conf</include>
<dir>$tree/usr/share/fonts</dir>
</fontconfig>
END
}

unpack chromium "no Chromium unpacked here: the report's tests need an installed one"
