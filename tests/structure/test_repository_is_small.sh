#!/bin/sh
# What git keeps of a checkout stays under 12 MB.
set -eu
cd "$MINUANO_SOURCE"
git ls-files >/dev/null 2>&1 || { echo "skipped: not a git checkout"; exit 77; }
bytes=$(git ls-files -z | xargs -0 stat -c %s | awk '{ n += $1 } END { print n }')
[ "$bytes" -lt 12000000 ] || { echo "failed: the files take $bytes bytes"; exit 1; }
echo "$bytes bytes"
