#!/bin/sh
# A study that is killed and told to stop again and again ends with the report of one that was left alone: report.csv to
# the byte, report.json and report.md but for their times.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/whole" "$work/broken"

cat >"$work/whole/study.json" <<JSON
{
  "name": "interrupted", "output": "run", "model": "$MINUANO_SOURCE/checkpoints/demo",
  "spider": {"folder": "$MINUANO_SOURCE/spider_db/demo", "limit": 24, "train_limit": 64, "max_new_tokens": 32},
  "mmlu": {"folder": "$MINUANO_SOURCE/checkpoints/demo/mmlu", "shots": 1, "limit": 6},
  "defaults": {"lora": {"rank": 4, "alpha": 8, "dropout": 0.1}, "train": {"batch": 4, "accumulation": 2}},
  "trainings": [
    {"name": "first", "train": {"steps": 6, "learning_rate": 2e-3, "checkpoint_every": 2}},
    {"name": "second", "lora": {"rank": 2}, "train": {"steps": 4, "learning_rate": 4e-3, "checkpoint_every": 1}}
  ]
}
JSON
cp "$work/whole/study.json" "$work/broken/study.json"

cd "$work/whole"
"$MINUANO" study study.json --device reference --threads 1 --quiet >/dev/null

# Each attempt gets a little longer than the one before, so that the end is reached on any machine.
cd "$work/broken"
attempt=0
while :; do
    attempt=$((attempt + 1))
    [ $((attempt % 2)) = 0 ] && signal=TERM || signal=KILL
    limit=$(awk "BEGIN { print 0.15 + 0.12 * $attempt }")
    status=0
    timeout -s $signal "$limit" "$MINUANO" study study.json --device reference --threads 1 --quiet \
        >out 2>err || status=$?
    [ $status = 0 ] && break
    case $status in
    137 | 124) ;; # killed, or told to stop
    *) echo "attempt $attempt failed with $status:"; cat err; exit 1 ;;
    esac
    [ $attempt -lt 300 ] || { echo "not done after $attempt attempts"; cat err; exit 1; }
done
[ $attempt -ge 3 ] || { echo "only $attempt attempts: nothing was interrupted"; exit 1; }

without_times() {
    sed -e '/^  "times"/,$d' -e '/^| started |/d' -e '/^| finished |/d' \
        -e '/^| \(first\|second\) | [46] |/s/| [0-9.]* | `/| ` /' "$1"
}
cd "$work"
for name in report.csv report.json report.md; do
    without_times "whole/run/$name" >a
    without_times "broken/run/$name" >b
    cmp a b || { diff a b; exit 1; }
done
grep -q '"complete": true' broken/run/report.json
[ "$(grep -c . broken/run/report.csv)" -gt 30 ]
find broken/run -name '*.tmp.*' | grep . && { echo "half-written files are left"; exit 1; }

# A config that contradicts what was begun is refused; another training may be added.
cd "$work/broken"
if "$MINUANO" study study.json --mmlu-shots 2 --device reference --quiet >/dev/null 2>err; then exit 1; fi
grep -q 'another mmlu' err
echo "the same report after $attempt attempts"
