#!/bin/sh
# `mmlu`, stopped by a signal and started again, ends with the file and the summary of a whole run; other settings do not mix
# with what was begun.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
exec_run() { # replaces its shell, so that a signal meets the program
    exec "$MINUANO" mmlu --quiet --device reference --model "$MINUANO_SOURCE/checkpoints/demo" --mmlu "$MINUANO_SOURCE/checkpoints/demo/mmlu" \
        --shots 2 --output "$@"
}
run() { (exec_run "$@"); }
run "$work/whole" >"$work/whole.summary"
[ "$(wc -l <"$work/whole")" -eq 168 ]
[ ! -e "$work/whole.partial" ]

# What a killed run leaves: its identity, some answers, half a line.
(exec_run "$work/cut" >/dev/null) &
job=$!
while [ -e /proc/$job ] && [ "$(cat "$work/cut.partial" 2>/dev/null | wc -l)" -lt 3 ]; do sleep 0.01; done
kill -KILL $job 2>/dev/null || true
if wait $job; then
    echo "it was done before the signal came"
else
    printf '{"index":160,"resu' >>"$work/cut.partial"
    if run "$work/cut" --limit 5 2>"$work/log"; then exit 1; fi
    grep -q 'was begun with another "limit"' "$work/log"
fi
run "$work/cut" >"$work/cut.summary"
cmp "$work/whole" "$work/cut"
cmp "$work/whole.summary" "$work/cut.summary"
