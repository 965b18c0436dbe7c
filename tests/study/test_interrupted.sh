#!/bin/sh
# A study that is killed and told to stop again and again ends with the report of one that was left alone: report.csv to
# the byte, report.json and report.md but for their times.
set -eu
. "$MINUANO_SOURCE/tests/study/interrupt.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/whole" "$work/broken"

cat >"$work/whole/study.json" <<JSON
{
  "name": "interrupted", "output": "run", "model": "$MINUANO_SOURCE/checkpoints/demo",
  "spider": {"folder": "$MINUANO_SOURCE/spider_db/demo", "limit": 24, "train_limit": 64, "max_new_tokens": 32},
  "mmlu": {"folder": "$MINUANO_SOURCE/checkpoints/demo/mmlu", "shots": 1, "also_shots": [2, 0], "limit": 6},
  "evaluate": {"strengths": [0, 0.5, 1, 1.5], "checkpoints": true, "limit": 7},
  "defaults": {"lora": {"rank": 4, "alpha": 8, "dropout": 0.1}, "train": {"batch": 4, "accumulation": 2}},
  "trainings": [
    {"name": "first", "train": {"steps": 6, "learning_rate": 2e-3, "checkpoint_every": 2},
     "probe": {"every": 3, "spider": 6, "mmlu": 7}},
    {"name": "second", "lora": {"rank": 2}, "train": {"steps": 4, "learning_rate": 4e-3, "checkpoint_every": 1},
     "probe": {"every": 1, "spider": 2}, "stop": {"patience": 2}}
  ]
}
JSON
cp "$work/whole/study.json" "$work/broken/study.json"

cd "$work/whole"
study study.json >/dev/null
cd "$work/broken"
broken_study 12 study.json
same_reports "$work/whole/run" run
for training in first second; do
    for name in whole/run broken/run; do
        sed 's/,"seconds".*//' "$work/$name/trainings/$training/probes.jsonl" >"$work/$(dirname $name)/probes"
    done
    cmp "$work/whole/probes" "$work/broken/probes"
done
grep -q '"stopped_by": "patience"' run/trainings/second/result.json || { echo "no rule stopped the second"; exit 1; }
[ "$(grep -c . run/report.csv)" -gt 30 ]
[ "$(grep -c '^"\(base\|first\|second\)",mmlu,shots,"[02]",42,' run/report.csv)" = 6 ] || { grep shots run/report.csv; exit 1; }
for point in first@0.5 first@1.5 first@step-2 first@step-4 second@0.5 second@step-1; do
    grep -q "$point" run/results.sqlite || { echo "no point $point"; exit 1; }
done

# A config that contradicts what was begun is refused; another training may be added.
if study study.json --mmlu-shots 3 >/dev/null 2>err; then exit 1; fi
grep -q 'another mmlu' err
if study study.json --mmlu-also-shots 2,1 >/dev/null 2>err; then exit 1; fi
grep -q 'key "mmlu.also_shots": expected others than mmlu.shots, each once, found 1 again' err
sed '/"name": "second"/,/^     "probe"/d; s/"every": 3, "spider": 6, "mmlu": 7}},/"every": 3, "spider": 6, "mmlu": 7}}/' study.json >fewer.json
if study fewer.json >/dev/null 2>err; then exit 1; fi
grep -q 'expected training "second", with which .*run was begun' err || { cat err; exit 1; }
echo "the same report after $attempt attempts"
