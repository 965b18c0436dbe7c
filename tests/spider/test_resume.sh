#!/bin/sh
# `spider` with sampling, stopped by a signal and started again, ends with the file of a whole run;
# other settings do not mix with what was begun.
set -eu
model=$MINUANO_SOURCE/checkpoints/demo spider=$MINUANO_SOURCE/spider_db/demo
[ -f "$model/config.json" ] || { echo "skipped: no checkpoints/demo"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

exec_run() {
    exec "$MINUANO" spider --quiet --device reference --model "$model" --spider "$spider" --split train \
        --limit 120 --temperature "$2" --max-new-tokens 40 --batch 4 --output "$1" > "$1.summary"
}
run() { (exec_run "$@"); }
run "$work/whole" 0.7
[ "$(wc -l < "$work/whole")" -eq 120 ]
[ ! -e "$work/whole.partial" ]

(exec_run "$work/halves" 0.7 2> "$work/log") &
job=$!
while [ -e /proc/$job ] && [ "$(cat "$work/halves.partial" 2>/dev/null | wc -l)" -lt 5 ]; do sleep 0.05; done
kill -TERM $job 2>/dev/null || true
if wait $job; then
    echo "it was done before the signal came"
else
    [ ! -e "$work/halves" ]
    printf '{"index":7,"offi' >> "$work/halves.partial" # a line that was being written
    if run "$work/halves" 0.8 2> "$work/log"; then exit 1; fi
    grep -q 'was begun with another "temperature"' "$work/log"
fi
run "$work/halves" 0.7
cmp "$work/whole" "$work/halves"
cmp "$work/whole.summary" "$work/halves.summary"
