#!/bin/sh
# Rooms include downwards only, and siblings do not know each other:
#   cli > study > spider, mmlu, bench > train, infer > model, text > dist, reference, kernels > base
# A public header belongs to the room named beside it.
set -eu
cd "$MINUANO_SOURCE"

room_of_header() {
    case $1 in
    arena | file | interrupt | json | log | parallel | random | settings | status) echo base ;;
    device | ops) echo device ;;
    audit | safetensors) echo model ;;
    sql) echo spider ;;
    language | probe | report | results | statistics | study_status) echo study ;;
    *) echo "$1" ;;
    esac
}

level() {
    case $1 in
    base) echo 0 ;;
    device | reference | kernels) echo 1 ;;
    dist) echo 2 ;;
    model | text) echo 3 ;;
    train | infer) echo 4 ;;
    spider | mmlu | bench) echo 5 ;;
    study) echo 6 ;;
    cli) echo 7 ;;
    *) echo "unknown room $1" >&2; exit 1 ;;
    esac
}

status=0
for file in host/*/*.c host/*/*.h host/*/*.cc kernels/*.cu kernels/*.cuh kernels/*.h; do
    [ -e "$file" ] || continue
    case $file in
    kernels/*) room=kernels ;;
    *) room=$(echo "$file" | cut -d/ -f2) ;;
    esac
    for header in $(sed -n 's|^#include "minuano/\([a-z_]*\)\.h".*|\1|p' "$file"); do
        below=$(room_of_header "$header")
        # The ops table and the pool are contracts: host/base/device.c fills in what all devices share.
        [ "$room/$below" = base/device ] && [ "$(basename "$file")" = device.c ] && continue
        if [ "$below" != "$room" ] && [ "$(level "$below")" -ge "$(level "$room")" ] &&
            ! { [ "$below" = device ] && [ "$(level "$room")" = 1 ]; }; then
            echo "$file ($room) includes minuano/$header.h ($below)"
            status=1
        fi
    done
    for header in $(sed -n 's|^#include "\(.*/.*\)".*|\1|p' "$file" | grep -v '^minuano/' || true); do
        echo "$file includes \"$header\": rooms share headers of include/minuano only"
        status=1
    done
done
exit $status
