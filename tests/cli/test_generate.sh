#!/bin/sh
# minuano generate: the same lines whatever the batch, in order, and after a kill.
. "$MINUANO_SOURCE/tests/cli/support.sh"
model=$MINUANO_SOURCE/checkpoints/demo
generate() { # OUTPUT OPTIONS...
    output=$1
    shift
    ok generate --model "$model" --device reference --input prompts --output "$output" --max-new-tokens 12 "$@"
}

for i in 1 2 3 4 5 6; do
    printf '{"prompt":"The capital of"}\n{"prompt":"How many singers %s","n":%s}\n' "$i" "$i"
    printf '{"prompt_ids":[1,5%s,60,7%s]}\n{"messages":[{"role":"user","content":"Which %s?"}]}\n' "$i" "$i" "$i"
done >prompts

generate greedy
[ "$(wc -l <greedy)" = 24 ] || die "expected 24 lines"
grep -vqE '^\{"ids":\[[0-9,]*\],"text":".*","finish_reason":"(stop|length)","logprob":-?[0-9.e-]+\}$' greedy &&
    die "a line has another form: $(head -3 greedy)"
[ "$(sed -n 1p greedy)" = "$(sed -n 5p greedy)" ] || die "the same prompt twice, two greedy answers"
[ ! -e greedy.partial ] || die "the partial file is left"
generate sampled --temperature 1 --seed 7
cmp -s greedy sampled && die "temperature 1 changed nothing"
[ "$(sed -n 1p sampled)" != "$(sed -n 5p sampled)" ] || die "the same prompt on two lines shares its sample"
for batch in 1 7 24; do
    generate found --batch-sequences $batch
    same found greedy
    generate found --batch-sequences $batch --temperature 1 --seed 7
    same found sampled
done
generate found --temperature 1 --seed 8
cmp -s found sampled && die "another seed, the same sample"
generate found --max-new-tokens=1 --json
grep -q '"items":24,"generated":24,"tokens":' out || die "--json: $(cat out)"

# Killed in the middle, with half a line at the end: the same command goes on.
for i in $(seq 48); do printf '{"prompt":"Number %s of the"}\n' "$i"; done >prompts
long="generate --model $model --device reference --input prompts --max-new-tokens 24 --temperature 1 --batch-sequences 4"
# shellcheck disable=SC2086
ok $long --output whole
# shellcheck disable=SC2086
"$MINUANO" $long --output resumed >/dev/null 2>&1 &
process=$!
until [ "$(cat resumed.partial 2>/dev/null | wc -l)" -gt 5 ]; do kill -0 $process 2>/dev/null || break; done
kill -9 $process 2>/dev/null || die "it ended before it could be killed"
wait $process 2>/dev/null
[ ! -e resumed ] || die "a killed run left an output"
printf '{"index":3,"resu' >>resumed.partial
# shellcheck disable=SC2086
fails 1 'resumed.partial: was begun with another "seed"' $long --output resumed --seed 1
# shellcheck disable=SC2086
ok $long --output resumed
grep -q 'of 48 items are done already' err || die "it did not go on: $(cat err)"
same resumed whole

# SIGTERM: exit 1, what is finished is kept.
# shellcheck disable=SC2086
"$MINUANO" $long --output stopped >/dev/null 2>err &
process=$!
until [ "$(cat stopped.partial 2>/dev/null | wc -l)" -gt 3 ]; do kill -0 $process 2>/dev/null || break; done
kill -TERM $process
wait $process
[ $? = 1 ] || die "expected exit 1 after SIGTERM"
grep -q 'items are kept in stopped.partial' err || die "it did not say what is kept: $(cat err)"
# shellcheck disable=SC2086
ok $long --output stopped
same stopped whole

# A run that finished nothing leaves nothing, and what one that was killed so early left is in nobody's way.
printf '{"prompt":"a"}\n' >prompts
printf '{"command":"other work"}\n' >early.partial
generate early
[ ! -e early.partial ] || die "the partial file is left"
mkdir folder
fails 1 'folder: expected a file, found a folder' generate --model "$model" --input prompts --output folder --max-new-tokens 1
# Standard output stays what it is.
"$MINUANO" generate --model "$model" --device reference --input prompts --output /dev/stdout --max-new-tokens 12 2>err | cat >found
same found early
[ ! -e /dev/stdout.partial ] || die "a partial file beside standard output"

refuse() { # LINE WORDS
    printf '{"prompt":"a"}\n%s\n' "$1" >bad
    fails 1 "$2" generate --model "$model" --input bad --output none --max-new-tokens 4
    [ ! -e none ] && [ ! -e none.partial ] || die "a refused input left an output"
}
refuse '{"prompt":1}' 'bad:2: key "prompt": expected a string, found an integer'
refuse '{"prompt_ids":[1,99999]}' 'bad:2: key "prompt_ids": element 1: expected an id from 0 to'
refuse '{"prompt_ids":[]}' 'bad:2: the prompt has no tokens'
refuse '{"prompt":"a","prompt_ids":[1]}' 'found more than one'
refuse '{"messages":[]}' 'bad:2: messages: expected at least one'
refuse '[]' 'found an array'
refuse "{\"prompt_ids\":[$(yes 1, | head -n 5000 | tr -d '\n')1]}" 'bad:2: '
fails 2 max_new_tokens generate --model "$model" --input prompts --output none
fails 2 'from 1 to' generate --model "$model" --input prompts --output none --max-new-tokens 0
# A model without tokenizer.model takes ids alone. This one's heads are too small for a GPU.
tiny=$MINUANO_SOURCE/tests/fixtures/model/tiny
adapter=$MINUANO_SOURCE/tests/fixtures/model/adapters/all
from_ids() { ok generate --model "$tiny" --device reference --max-new-tokens 3 --input ids "$@"; }
printf '{"prompt_ids":[1,2,3]}\n' >ids
from_ids --output found
grep -q '"text":null' found || die "text without a tokenizer: $(cat found)"
fails 1 'prompts:1: key "prompt" is text, but there is no' generate --model "$tiny" --device reference --input prompts --output none --max-new-tokens 3
from_ids --adapter "$adapter" --output adapted
cmp -s found adapted && die "the adapter changed nothing"
from_ids --adapter "$adapter" --strength 0 --output adapted
same found adapted
echo passed
