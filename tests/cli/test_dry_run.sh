#!/bin/sh
# --dry-run of what answers prints work and memory, and leaves nothing behind.
. "$(dirname "$0")/support.sh"
model=$MINUANO_SOURCE/checkpoints/demo

# field NAME: a number of the JSON line in `out`.
field() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" out; }

printf '%s\n' '{"prompt": "one two three"}' '{"prompt": "four"}' >prompts.jsonl
printf '%s\n' '{"prompt": "one", "completion": " two three"}' >completions.jsonl
before=$(ls | sort)

ok generate --device reference --model "$model" --input prompts.jsonl --output never --max-new-tokens 7 --dry-run --json
[ "$(field items)" = 2 ] || die "generate: items: $(cat out)"
[ "$(field new_tokens)" = 14 ] || die "generate: new tokens: $(cat out)"
[ "$(field bytes_needed)" -gt "$(field weights)" ] || die "generate: bytes: $(cat out)"

ok score --device reference --model "$model" --input completions.jsonl --output never --dry-run
grep -q '^items  *1, 1 at once' out || die "score: $(cat out)"
grep -q '^weights  *[0-9]' out || die "score: $(cat out)"

ok mmlu --device reference --model "$model" --mmlu "$model/mmlu" --shots 2 --output never --dry-run --json
[ "$(field items)" = 168 ] || die "mmlu: items: $(cat out)"
[ "$(field tokens_shared)" -gt "$(field tokens_computed)" ] || die "mmlu: shared tokens: $(cat out)"

ok spider --device reference --model "$model" --spider "$MINUANO_SOURCE/spider_db/demo" --max-new-tokens 64 --output never --dry-run --json
[ "$(field items)" = 160 ] || die "spider: items: $(cat out)"
[ "$(field new_tokens)" = 10240 ] || die "spider: new tokens: $(cat out)"

# A study: systems by phases and curves, its trainings' steps, all its items, the memory of both kinds of work.
sweep=$MINUANO_SOURCE/configs/sweep.json
ok study "$sweep" --device reference --output never --dry-run --evaluate-strengths 0,0.5,1 --evaluate-limit 10 --json
grep -q '"name":"rank-16_targets-q.k.v.o_lr-0.004","steps":60,' out || die "study: systems: $(cat out)"
grep -q ',"steps":480,"items":3112,' out || die "study: 9 systems of 328 items, 8 points of 20: $(cat out)"
ok study "$sweep" --device reference --output never --dry-run --phases train
grep -q '^base  *0  *0  *0  *0  *0$' out || die "study: the base without its phases: $(cat out)"
grep -q '^480 training steps, 0 items$' out || die "study: $(cat out)"
grep -q '^memory of the largest training, rank-16_targets-q.k.v.o_lr-0.0005$' out || die "study: memory: $(cat out)"
if grep -q 'memory of answering' out; then die "study: nothing is answered: $(cat out)"; fi

rm -f out err
[ "$(ls | sort)" = "$before" ] || die "a dry run left something behind: $(ls)"
fails 2 "" generate --dry-run
