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

# Data that is not there is told before a weight is read, and a model without a tokenizer by its file.
fails() { # words, then arguments
    words=$1; shift
    if "$MINUANO" mmlu --device reference --output "$work/none" "$@" 2>"$work/log"; then exit 1; fi
    grep -q "$words" "$work/log" || { cat "$work/log"; exit 1; }
}
fails 'nowhere' --model "$MINUANO_SOURCE/checkpoints/demo" --mmlu "$work/nowhere"
if grep -q 'loaded in' "$work/log"; then exit 1; fi
mkdir "$work/mute"
cp "$MINUANO_SOURCE"/checkpoints/demo/*.json "$MINUANO_SOURCE"/checkpoints/demo/*.safetensors "$work/mute"
fails 'mute/tokenizer.model: not there' --model "$work/mute" --mmlu "$MINUANO_SOURCE/checkpoints/demo/mmlu"

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

# Where the model's window is shorter than its positions, prompts are cut from the left to the window.
mkdir "$work/window"
cp "$MINUANO_SOURCE"/checkpoints/demo/*.json "$MINUANO_SOURCE"/checkpoints/demo/*.safetensors \
    "$MINUANO_SOURCE"/checkpoints/demo/tokenizer.model "$work/window"
sed -i 's/"sliding_window": null/"sliding_window": 100/' "$work/window/config.json"
run "$work/cut.left" --model "$work/window" --shots 5 --limit 2 >"$work/log"
[ "$(wc -l <"$work/cut.left")" -eq 14 ]
