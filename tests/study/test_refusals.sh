#!/bin/sh
# A study whose config cannot work is refused before anything runs, and the message names file and key.
. "$MINUANO_SOURCE/tests/cli/support.sh"
config() { # TRAININGS EVALUATE
    cat >study.json <<JSON
{
  "output": "run", "model": "$MINUANO_SOURCE/checkpoints/demo",
  "spider": {"folder": "$MINUANO_SOURCE/spider_db/demo", "limit": 4, "train_limit": 8},
  "mmlu": {"folder": "$MINUANO_SOURCE/checkpoints/demo/mmlu", "shots": 0, "limit": 1},
  "defaults": {"train": {"steps": 1, "batch": 2, "accumulation": 1}},
  $1, "evaluate": {$2}
}
JSON
}
one='"trainings": [{"name": "a"}]'

config "$one" '"strengths": [0.5, 2, 0.5]'
fails 1 'study.json: key "evaluate.strengths": expected each once, to six digits, found 0.5 again' study study.json
config "$one" '"strengths": [0.1234567, 0.1234568]'
fails 1 'study.json: key "evaluate.strengths": expected each once' study study.json
config "$one" '"limit": 2'
fails 1 'study.json: key "mmlu.also_shots": expected at most the 5 solved questions of animal_classes, found 50' \
    study study.json --mmlu-also-shots 3,50
fails 1 'study.json: key "mmlu.shots": expected at most the 5' study study.json --mmlu-shots 6
fails 1 'study.json: key "spider.prompt": prompt: expected schema' study study.json --spider-prompt nothing
fails 1 'study.json: key "baseline.prompt": prompt: expected schema' study study.json --baseline-prompt nothing
[ ! -e run ] || die "something ran"

# Numbers in names hold what a folder's name may.
config '"sweep": {"lora": {"alpha": [10.0, 2e20]}, "train": {"learning_rate": [1e-5]}}' '"limit": 2'
fails 1 'lora.alpha' study study.json --dry-run
config '"sweep": {"lora": {"alpha": [10.0, 20]}, "train": {"learning_rate": [1e-5, 0.1]}}' '"limit": 2'
ok study study.json --device reference --dry-run
for name in alpha-10_lr-1e-05 alpha-10_lr-0.1 alpha-20_lr-1e-05; do grep -q "^$name " out || die "no $name: $(cat out)"; done
