#!/bin/sh
# `study --status` from another process: what a running study is at, what a killed one has done, what a finished one did.
. "$MINUANO_SOURCE/tests/cli/support.sh"
cat >study.json <<JSON
{
  "name": "watched", "output": "run", "model": "$MINUANO_SOURCE/checkpoints/demo",
  "spider": {"folder": "$MINUANO_SOURCE/spider_db/demo", "limit": 6, "train_limit": 64, "max_new_tokens": 16},
  "mmlu": {"folder": "$MINUANO_SOURCE/checkpoints/demo/mmlu", "shots": 0, "limit": 1},
  "defaults": {"lora": {"rank": 2}, "train": {"batch": 2, "accumulation": 1}},
  "trainings": [
    {"name": "first", "train": {"steps": 40, "checkpoint_every": 10}, "probe": {"every": 5, "mmlu": 4}},
    {"name": "second", "train": {"steps": 5, "learning_rate": 0}, "probe": {"every": 1, "mmlu": 4},
     "stop": {"metric": "mmlu", "patience": 2}}
  ],
  "allow_dead_adapter": true
}
JSON
fails 1 'run/results.sqlite: no such file' study --status run
fails 2 'expected RUN' study --status

"$MINUANO" study study.json --device reference --threads 1 --quiet >log 2>&1 &
study=$!
for _ in $(seq 600); do # until some steps are there
    "$MINUANO" study --status run --json >out 2>err && grep -q '"name":"first".*"last_step":{"step":[2-9]' out && break
    kill -0 $study 2>/dev/null || die "the study ended before it was seen training: $(cat log)"
    sleep 0.05
done
grep -q '"running":true' out || die "a running study is not seen running: $(cat out)"
grep -q "\"process\":$study,\"phase\":\"adapter 1 of 2\",\"title\":\"first: training\"" out || die "now: $(cat out)"
grep -q '"name":"base","spider":{"done":6,"planned":6},"mmlu":{"done":7,"planned":7}' out || die "base: $(cat out)"
grep -q '"name":"second","spider":{"done":0,"planned":6}' out || die "second: $(cat out)"
grep -q '"planned_steps":40' out || die "planned steps: $(cat out)"
grep -q '"last_probe":{"step":[0-9]*,"mmlu":{"items":4' out || die "the last probe: $(cat out)"
kill -KILL $study
wait $study 2>/dev/null

ok study --status run
grep -q '^watched: not running, not finished' out || die "killed: $(cat out)"
grep -q '^it was at adapter 1 of 2: first: training: ' out || die "killed: $(cat out)"

# Asked again and again it neither keeps a study from beginning nor changes what it finds.
(while :; do "$MINUANO" study --status run >/dev/null 2>&1; done) &
asking=$!
"$MINUANO" study study.json --device reference --threads 1 --quiet >log 2>&1 || die "the study failed: $(cat log)"
kill $asking
wait $asking 2>/dev/null
ok study --status run
grep -q '^watched: finished, ' out || die "finished: $(cat out)"
grep -q '^39 of 39 items' out || die "finished: $(cat out)"
grep -q '^first  *6/6  *7/7  *40/40 ' out || die "finished: $(cat out)"
grep -q '^second  *6/6  *7/7  *2/5 .* stop.patience$' out || die "stopped: $(cat out)"
ok study --status run --json
grep -q '"running":false,"started":"20[^"]*","finished":"20' out || die "finished: $(cat out)"
