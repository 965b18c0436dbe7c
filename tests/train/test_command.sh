#!/bin/sh
# `minuano train` from outside: the plan, a run stopped by a signal and gone on with, ranks, exit codes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fixtures=$MINUANO_SOURCE/tests/fixtures/train
cat >"$work/run.json" <<CONFIG
{
  "model": "$fixtures/model",
  "output": "whole",
  "data": {"jsonl": "$fixtures/examples.jsonl"},
  "lora": {"rank": 4, "targets": ["q_proj", "v_proj", "down_proj"]},
  "train": {"steps": 600, "batch": 3, "accumulation": 2, "checkpoint_every": 0}
}
CONFIG
train() { "$MINUANO" train "$work/run.json" --device reference --threads 1 --quiet "$@"; }
fail() { echo "failed: $1"; exit 1; }
expect_code() { # CODE WORDS COMMAND...: exit code and words of the message
    code=0
    wanted=$1 words=$2
    shift 2
    "$@" >"$work/out" 2>&1 || code=$?
    [ $code = "$wanted" ] && grep -q -- "$words" "$work/out" || {
        cat "$work/out"
        fail "$*: exit code $code, expected $wanted with \"$words\""
    }
}
wait_for_steps() { # PID FOLDER: until the run has written some, or is gone
    until [ -s "$work/$2/metrics.jsonl" ] || ! kill -0 "$1" 2>/dev/null; do sleep 0.05; done
}

train --dry-run --json | grep -q '"steps":600,"steps_per_epoch":6,' || fail "the plan"
[ ! -e "$work/whole" ] || fail "--dry-run wrote something"

began=$(date +%s%3N)
train --json | grep -q '"steps":600,' || fail "the run"
took=$(($(date +%s%3N) - began)) # milliseconds
[ "$(wc -l <"$work/whole/metrics.jsonl")" = 600 ] || fail "one line a step"

for signal in TERM USR1 INT; do
    # --output of the command line is relative to the current directory.
    "$MINUANO" train "$work/run.json" --device reference --threads 1 --output "$work/$signal" \
        >"$work/log" 2>&1 &
    run=$!
    wait_for_steps $run $signal
    kill -$signal $run 2>/dev/null || true
    code=0
    wait $run || code=$?
    [ $code = 1 ] && grep -q 'is saved: the same command goes on' "$work/log" ||
        { cat "$work/log"; fail "SIG$signal: exit code $code"; }
    train --output "$work/$signal" >/dev/null
    cmp "$work/whole/final_adapter/adapter_model.safetensors" \
        "$work/$signal/final_adapter/adapter_model.safetensors" || fail "SIG$signal changed the bits"
    [ "$(wc -l <"$work/$signal/metrics.jsonl")" = 600 ] || fail "SIG$signal: one line a step"
done

expect_code 1 '"lora.rank" differs' train --lora-rank 5
expect_code 1 'run.json: key "data": expected one of "data.jsonl" and "data.spider"' train --data-spider "$work"
expect_code 1 'run.json: key "lora.targets": expected at least one' train --lora-targets ''
printf '{"ids":[1,2],"loss_mask":[0,0]}\n' >"$work/masked.jsonl"
expect_code 1 'run.json: no examples to train on: 1 found' train --data-jsonl "$work/masked.jsonl" --output "$work/none"
[ ! -e "$work/none" ] || fail "a run without examples left a folder"
awk 'BEGIN { for (i = 0; i < 200; i++) ones = ones ",1"; ones = substr(ones, 2); print "{\"ids\":[" ones "],\"loss_mask\":[" ones "]}" }' \
    >"$work/long.jsonl"
# The model's 128 positions cut what train.max_length would leave.
"$MINUANO" train "$work/run.json" --device reference --data-jsonl "$work/long.jsonl" --output "$work/cut" --train-steps 1 --train-batch 1 \
    --train-accumulation 1 >"$work/log" 2>&1 || { cat "$work/log"; fail "an example longer than the positions"; }
grep -q 'train: 1 examples (1 cut, ' "$work/log" && grep -q '"tokens":128,' "$work/cut/metrics.jsonl" || { cat "$work/log"; fail "128 positions"; }
expect_code 1 'cannot open' train --data-jsonl "$work/none.jsonl"
expect_code 2 'unknown option' train --train-stepps 5
expect_code 2 'unknown key "train.stepps"; did you mean "train.steps"' train --set train.stepps=5

if command -v mpirun >/dev/null; then
    # What an MPI keeps to itself at exit is not ours to free: no leak report under a sanitizer.
    ASAN_OPTIONS=detect_leaks=0
    export ASAN_OPTIONS
    # About three seconds on any machine: time enough for a signal.
    steps=$((600 * (1 + 3000 / (took + 1))))
    # Replaces its shell, so that in the background its process is mpirun, whose children are the ranks.
    ranks() { exec mpirun -n 2 --oversubscribe --allow-run-as-root "$MINUANO" train "$work/run.json" \
        --device reference --threads 1 --train-steps $steps --train-accumulation 1 --output "$work/ranks"; }
    ranks >"$work/log" 2>&1 &
    run=$!
    # To one rank, which stops all: not every launcher of mpirun hands signals on.
    wait_for_steps $run ranks
    kill -USR1 "$(cut -d ' ' -f 1 "/proc/$run/task/$run/children")" || { cat "$work/log"; fail "no rank runs"; }
    wait $run && fail "SIGUSR1 to a rank: exit code 0"
    grep -q 'is saved: the same command goes on' "$work/log" || { cat "$work/log"; fail "ranks stop"; }
    (ranks) >"$work/log" 2>&1 || { cat "$work/log"; fail "ranks go on"; }
    [ "$(wc -l <"$work/ranks/metrics.jsonl")" = $steps ] || fail "ranks: one line a step"
else
    echo "mpirun is not installed: ranks were not tried"
fi
