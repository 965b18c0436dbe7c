#!/bin/sh
# A sweep that is killed and told to stop some twenty times ends with the report of one that was left alone; another value in
# a list trains its own combinations and leaves the finished ones as they are.
set -eu
. "$MINUANO_SOURCE/tests/study/interrupt.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/whole" "$work/broken"

cat >"$work/sweep.json" <<JSON
{
  "name": "sweep", "output": "run", "model": "$MINUANO_SOURCE/checkpoints/demo",
  "spider": {"folder": "$MINUANO_SOURCE/spider_db/demo", "limit": 12, "train_limit": 32, "max_new_tokens": 24},
  "mmlu": {"folder": "$MINUANO_SOURCE/checkpoints/demo/mmlu", "shots": 0, "limit": 3},
  "defaults": {"train": {"steps": 3, "batch": 4, "accumulation": 1, "checkpoint_every": 1}},
  "sweep": {"lora": {"rank": [2, 4]}, "train": {"learning_rate": [2e-3, 4e-3]}}
}
JSON
cp "$work/sweep.json" "$work/whole"
cp "$work/sweep.json" "$work/broken"
cd "$work/whole"
study sweep.json >/dev/null
[ "$(ls run/trainings)" = "rank-2_lr-0.002
rank-2_lr-0.004
rank-4_lr-0.002
rank-4_lr-0.004" ] || { ls run/trainings; exit 1; }
cd "$work/broken"
broken_study 12 sweep.json
same_reports "$work/whole/run" run

before=$(stat -c %Y.%i run/trainings/rank-2_lr-0.002/final_adapter/adapter_model.safetensors)
sed -i 's/"rank": \[2, 4\]/"rank": [2, 4, 8]/' sweep.json
study sweep.json >/dev/null
[ -s run/trainings/rank-8_lr-0.004/final_adapter/adapter_model.safetensors ]
[ "$before" = "$(stat -c %Y.%i run/trainings/rank-2_lr-0.002/final_adapter/adapter_model.safetensors)" ]
[ "$(grep -c '"kind": "adapter"' run/report.json)" = 6 ]
echo "the same report after $attempt attempts"
