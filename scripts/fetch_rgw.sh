#!/usr/bin/env bash
# Unpack Ceph's S3 gateway (RGW) and the least cluster under it, for tests/rgw.py; about 60 MB are
# fetched, once. How, and what is where packages cannot be had: scripts/unpack.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/unpack.sh

# Of what an installation would add, the programs and the libraries.
wanted() { added radosgw ceph-mon ceph-osd | grep -E '^(radosgw|ceph-(mon|osd|base|common)|lib[^ ]*)='; }

unpack rgw "no RGW here: moto alone stands for S3 in the tests" setpriv
