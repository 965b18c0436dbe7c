#!/bin/sh
# Real Spider and MMLU go through the embedded model as they are: prompts that its positions do not hold are cut and counted,
# a database that is missing is counted, and nothing is left out.
. "$MINUANO_SOURCE/tests/cli/support.sh"
[ -d "$MINUANO_SHARED/spider" ] || { echo "skipped: no real data beside the build"; exit 77; }
model=$MINUANO_SOURCE/checkpoints/demo
lines() { [ "$(wc -l <"$1")" -eq "$2" ] || die "$1: expected $2 lines, found $(wc -l <"$1")"; }

ok spider --model "$model" --spider "$MINUANO_SHARED/spider" --max-new-tokens 2 --output sql --json
grep -q '^{"total":1034,"judged":972,"missing":62,' out || die "the summary: $(cat out)"
lines sql 1034
cut=$(grep -c '"cut":true' sql)
[ "$cut" -gt 0 ] || die "no prompt was cut"
grep -q "$cut of 1034 prompts are cut at the left to 1022 tokens" err || die "it did not say that $cut are cut: $(cat err)"

ok mmlu --model "$model" --mmlu "$MINUANO_SHARED/mmlu" --subjects professional_law,world_religions --limit 3 --output answers
lines answers 6

cat >run.json <<JSON
{
  "model": "$model", "output": "run", "data": {"spider": "$MINUANO_SHARED/spider"},
  "train": {"steps": 2, "batch": 2, "accumulation": 1}
}
JSON
ok train run.json
grep -q 'train: 6[0-9]* examples ([1-9][0-9]* cut, [1-9][0-9]* dropped)' err || die "it did not say what is cut: $(cat err)"
ok spider --model "$model" --adapter run/final_adapter --spider "$MINUANO_SHARED/spider" --limit 3 --max-new-tokens 2 --output adapted
lines adapted 3
echo passed
