#!/bin/sh
# An adapter that changes nothing is refused by name by what scores with it, unless it is allowed; then the answers are
# the base's.
. "$MINUANO_SOURCE/tests/cli/support.sh"
demo=$MINUANO_SOURCE/checkpoints/demo
cat >train.json <<JSON
{
  "model": "$demo", "output": "still", "data": {"spider": "$MINUANO_SOURCE/spider_db/demo", "limit": 8},
  "lora": {"rank": 2}, "train": {"steps": 1, "batch": 2, "learning_rate": 0}
}
JSON
echo '{"id": 1, "prompt": "the"}' >prompts.jsonl
echo '{"id": 1, "prompt": "the", "completion": " sea"}' >pairs.jsonl

ok train train.json --device reference --quiet
ok inspect still/final_adapter
grep -q 'dead, it changes nothing' out || die "inspect does not say that the adapter is dead: $(cat out)"
grep -q 'base [0-9a-f]\{64\}$' out || die "inspect does not name the base: $(cat out)"

dead='still/final_adapter: a dead adapter: every B is zero'
fails 1 "$dead" generate --model "$demo" --adapter still/final_adapter --max-new-tokens 2 --input prompts.jsonl \
    --output g.jsonl
fails 1 "$dead" score --model "$demo" --adapter still/final_adapter --input pairs.jsonl --output s.jsonl
fails 1 "$dead" mmlu --model "$demo" --adapter still/final_adapter --mmlu "$demo/mmlu" --limit 1 --output m.jsonl
fails 1 "$dead" spider --model "$demo" --adapter still/final_adapter --spider "$MINUANO_SOURCE/spider_db/demo" \
    --limit 1 --output q.jsonl
fails 1 "$dead" merge --model "$demo" --adapter still/final_adapter --output merged

ok score --model "$demo" --adapter still/final_adapter --allow-dead-adapter --input pairs.jsonl --output dead.jsonl
ok score --model "$demo" --input pairs.jsonl --output base.jsonl
same dead.jsonl base.jsonl
