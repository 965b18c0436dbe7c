#!/bin/sh
# `minuano train` asks Spider and MMLU while it trains, and says which rule ended it.
. "$MINUANO_SOURCE/tests/cli/support.sh"
demo=$MINUANO_SOURCE/checkpoints/demo
cat >train.json <<JSON
{
  "model": "$demo", "output": "run",
  "data": {"spider": "$MINUANO_SOURCE/spider_db/demo", "limit": 16, "mmlu": "$demo/mmlu"},
  "lora": {"rank": 2}, "train": {"steps": 6, "batch": 2, "accumulation": 1, "learning_rate": 0},
  "probe": {"every": 2, "spider": 3, "mmlu": 4}, "stop": {"metric": "mmlu", "patience": 1}
}
JSON
ok train train.json --device reference --json
grep -q '"steps":2,"planned_steps":6,"stopped_by":"patience"' out || die "the rule is not told: $(cat out)"
[ "$(grep -c '"spider":{"items":3,.*"mmlu":{"items":4,' run/probes.jsonl)" = 2 ] || die "probes: $(cat run/probes.jsonl)"

sed 's|, "mmlu": "[^"]*"}|}|' train.json >without.json
fails 1 'expected data.mmlu' train without.json --output other
fails 1 'probe.every above 0' train train.json --probe-every 0 --output other
fails 1 'probe.every above 0' train train.json --probe-every 0 --output other --dry-run
[ ! -e other ] || die "a refused training left something behind"

# A study refuses what its probes lack before it asks or trains anything.
cat >study.json <<JSON
{
  "output": "study", "model": "$demo", "spider": {"folder": "$MINUANO_SOURCE/spider_db/demo", "limit": 2},
  "trainings": [{"name": "one"}, {"name": "two", "probe": {"every": 5, "mmlu": 4}}]
}
JSON
fails 1 'study.json: training "two": probe.mmlu needs mmlu.folder' study study.json
[ ! -e study ] || die "a refused study left something behind"
