#!/bin/sh
# minuano score: what generate wrote gets the log-probability that generate gave it.
. "$MINUANO_SOURCE/tests/cli/support.sh"
model=$MINUANO_SOURCE/checkpoints/demo
score() { # INPUT OUTPUT OPTIONS...
    input=$1 output=$2
    shift 2
    ok score --model "$model" --device reference --input "$input" --output "$output" "$@"
}

# logprob_of FILE LINE
logprob_of() { sed -n "$2p" "$1" | sed 's/.*"logprob":\([-0-9.e]*\).*/\1/'; }
close() { echo "$1 $2" | awk '{ d = $1 - $2; exit !(d < 1e-4 && d > -1e-4) }' || die "$3: generate says $1, score $2"; }

printf '{"prompt_ids":[1,50,60]}\n{"prompt_ids":[1,70]}\n' >prompts
ok generate --model "$model" --device reference --input prompts --output written --max-new-tokens 8 --temperature 1
sed 's/.*"ids":\(\[[0-9,]*\]\).*/{"prompt_ids":[1,50,60],"completion_ids":\1}/; 2s/50,60/70/' written >in
score in out1
[ "$(wc -l <out1)" = 2 ] || die "expected 2 lines"
grep -vqE '^\{"tokens":\[[0-9,]*\],"logprobs":\[[-0-9.,e]*\],"logprob":-[0-9.e-]+\}$' out1 && die "another form: $(cat out1)"
for line in 1 2; do close "$(logprob_of written $line)" "$(logprob_of out1 $line)" "line $line"; done

# A completion that stops: its EOS is its last id, and counts.
printf '{"messages":[{"role":"user","content":"What is the capital of France?"}]}\n' >question
ok tokenize --model "$model" --input question --output question_ids
ok generate --model "$model" --device reference --input question --output stopped --max-new-tokens 60
grep -q '"ids":\[[0-9,]*,2\],"text":"[^"]*[^<>"]","finish_reason":"stop"' stopped || die "it does not stop with an EOS: $(cat stopped)"
sed 's/"ids"/"prompt_ids"/; s/}$/,"completion_ids":'"$(sed 's/.*"ids":\(\[[0-9,]*\]\).*/\1/' stopped)"'}/' question_ids >in_stopped
score in_stopped out_stopped
close "$(logprob_of stopped 1)" "$(logprob_of out_stopped 1)" "a stop"

# Text is cut where the ids leave the prompt's own; order and company change nothing.
printf '{"prompt":"The capital of France is","completion":" Paris."}\n{"prompt":"a","completion":""}\n' >text
score text out2
sed -n 2p out2 | grep -q '^{"tokens":\[\],"logprobs":\[\],"logprob":0.0}$' || die "empty completion: $(sed -n 2p out2)"
cat in text >all
score all out3
cat out1 out2 >expected
same out3 expected
sed -n '4p;3p;2p;1p' all >shuffled
score shuffled out4 --json
sed -n '4p;3p;2p;1p' expected >expected4
same out4 expected4
grep -q '"items":4,"scored":4' out || die "--json: $(cat out)"

# A window that slides over the sequence bounds what is taken; it is named with the line.
mkdir window
cp "$model"/config.json "$model"/*.safetensors "$model"/tokenizer.model window
sed -i 's/"sliding_window": null/"sliding_window": 8/' window/config.json
printf '{"prompt_ids":[1,2,3],"completion_ids":[4,5,6,7,8,9]}\n' >long
ok score --model window --input long --output fits
printf '{"prompt_ids":[1,2,3],"completion_ids":[4,5,6,7,8,9,10]}\n' >>long
fails 1 'long:2: 9 tokens, but the model takes 8 (max_position_embeddings, sliding_window)' \
    score --model window --input long --output none

refuse() { # LINE WORDS
    printf '%s\n' "$1" >bad
    fails 1 "$2" score --model "$model" --input bad --output none
    [ ! -e none ] && [ ! -e none.partial ] || die "a refused input left an output"
}
refuse '{"prompt":"a"}' 'bad:1: expected an object with one key of "completion", "completion_ids", found none of them'
refuse '{"completion":"a"}' 'bad:1: expected an object with one key of "prompt", "prompt_ids", found none of them'
refuse '{"prompt_ids":[1],"completion_ids":["x"]}' 'bad:1: key "completion_ids": element 0'
refuse '{"prompt_ids":[],"completion_ids":[5]}' 'bad:1: the prompt has no tokens'
echo passed
