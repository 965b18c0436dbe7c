#!/bin/sh
# `minuano train` on two GPUs: the losses of one GPU with twice the accumulation, the same bits every time, and after an
# interruption.
set -eu
[ "$(nvidia-smi -L 2>/dev/null | grep -c '^GPU')" -ge 2 ] || { echo "skipped: two GPUs are needed"; exit 77; }
command -v mpirun >/dev/null || { echo "skipped: mpirun is not installed"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fixtures=$MINUANO_SOURCE/tests/fixtures/train
cat >"$work/run.json" <<CONFIG
{
  "model": "$fixtures/model",
  "output": "one",
  "data": {"jsonl": "$fixtures/examples.jsonl"},
  "lora": {"rank": 4, "dropout": 0.1, "targets": ["q_proj", "v_proj", "down_proj"]},
  "train": {"steps": 3000, "batch": 3, "checkpoint_every": 0}
}
CONFIG
fail() { echo "failed: $1"; exit 1; }
# Replaces its shell, so that in the background its process is mpirun, whose children are the ranks.
two() { exec mpirun -n 2 --oversubscribe --allow-run-as-root "$MINUANO" train "$work/run.json" --device cuda --quiet \
    --train-accumulation 1 --output "$work/$1"; }
# Of the first 100 steps.
losses() { sed 's/.*"loss":\([-0-9.e]*\).*/\1/' "$work/$1/metrics.jsonl" | head -100; }
adapter() { echo "$work/$1/final_adapter/adapter_model.safetensors"; }

"$MINUANO" train "$work/run.json" --device cuda --quiet --train-accumulation 2
(two first)
(two second)
cmp "$(adapter first)" "$(adapter second)" || fail "the same run twice: other bits"

# Gradients differ by the rounding of one sum in fp32; the bf16 copies of the weights then round apart here and there.
losses one >"$work/alone"
losses first | paste "$work/alone" - | awk '
    { d = $1 > $2 ? $1 - $2 : $2 - $1; if (d > most) most = d; if (NR <= 5 && d > early) early = d }
    END { printf "%d steps: losses differ by at most %g, by %g in the first five\n", NR, most, early
          exit !(NR > 0 && most < 0.02 && early < 2e-4) }' || fail "two ranks train otherwise than one"

two stopped >"$work/log" 2>&1 &
run=$!
until [ -s "$work/stopped/metrics.jsonl" ] || ! kill -0 $run 2>/dev/null; do sleep 0.02; done
# To one rank, which stops all: not every launcher of mpirun hands signals on.
kill -USR1 "$(cut -d ' ' -f 1 "/proc/$run/task/$run/children")" || { cat "$work/log"; fail "no rank runs"; }
wait $run && fail "SIGUSR1 to a rank: exit code 0"
grep -q 'is saved: the same command goes on' "$work/log" || { cat "$work/log"; fail "ranks stop"; }
stopped=$(wc -l <"$work/stopped/metrics.jsonl")
(two stopped)
cmp "$(adapter first)" "$(adapter stopped)" || fail "stopped after $stopped steps: other bits"
echo "stopped after $stopped steps, gone on: the same bits"
