#!/bin/sh
# minuano tokenize: its lines, its flags, and how it refuses.
. "$MINUANO_SOURCE/tests/cli/support.sh"
model=$MINUANO_SOURCE/tests/fixtures/tokenizer

# The golden lines of Hugging Face, as the command's input and output.
sed -n 's/^{"text": \(.*\), "special": \(\[.*\]\), "plain": \(\[.*\]\), "decoded".*/{"text":\1}/p' "$model/golden.jsonl" >texts
sed -n 's/^{"text": .*, "special": \(\[.*\]\), "plain": \(\[.*\]\), "decoded".*/{"ids":\1}/p' "$model/golden.jsonl" | tr -d ' ' >special
sed -n 's/^{"text": .*, "special": \(\[.*\]\), "plain": \(\[.*\]\), "decoded".*/{"ids":\2}/p' "$model/golden.jsonl" | tr -d ' ' >plain
sed -n 's/^{"messages": \(.*\), "chat": .*, "ids": .*/{"messages":\1}/p' "$model/golden.jsonl" >chats
sed -n 's/^{"messages": .*, "ids": \(\[.*\]\)}/{"ids":\1}/p' "$model/golden.jsonl" | tr -d ' ' >chat_ids
[ "$(wc -l <texts)" -gt 50 ] && [ "$(wc -l <chats)" -gt 5 ] || die "the golden lines were not understood"

ok tokenize --model "$model" --input texts --output found
same found plain
ok tokenize --model "$model" --input texts --output found --parse-special
same found special
ok tokenize --model "$model" --input texts --output found --parse-special --add-bos
sed 's/\[/[1,/; s/,\]/]/' special >expected
same found expected
for flags in "" --parse-special --add-bos "--parse-special --add-bos"; do # messages have their own BOS
    # shellcheck disable=SC2086
    ok tokenize --model "$model" --input chats --output found $flags
    same found chat_ids
done
ok tokenize --model "$model" --input texts --output found --json
grep -q '^{"lines":59,"tokens":[0-9]*}$' out || die "--json: $(cat out)"

# null is as good as absent.
printf '{"text":"a"}\n{"text":null,"messages":[{"role":"user","content":"b"}]}\n{"text":"c","messages":null}\n' >nulls
ok tokenize --model "$model" --input nulls --output found
[ "$(wc -l <found)" = 3 ] || die "a key that is null: $(cat err)"

# What is wrong is named, and what stood at the output stays.
echo before >kept
printf '{"text":"a"}\n\n{"text":7}\n' >bad
fails 1 'bad:3: key "text": expected a string, found an integer' tokenize --model "$model" --input bad --output kept
[ "$(cat kept)" = before ] || die "a failed run changed its output"
printf '{"text":"a"}\n{"text"\n' >bad
fails 1 'bad:2: not JSON' tokenize --model "$model" --input bad --output kept
printf '{"other":1}\n' >bad
fails 1 'bad:1: expected an object with "text" or "messages", found neither' tokenize --model "$model" --input bad --output kept
printf '{"messages":[{"role":"assistant","content":"x"}]}\n' >bad
fails 1 'bad:1: message 0: expected role "user"' tokenize --model "$model" --input bad --output kept
fails 1 'nowhere' tokenize --model "$model" --input nowhere --output kept
fails 1 'no/such' tokenize --model no/such --input texts --output kept
fails 2 'input' tokenize --model "$model" --output kept
fails 2 "see 'minuano tokenize --help'" tokenize --model "$model" --inputs texts --output kept
fails 2 'unknown option "--inputs"' tokenize --model "$model" --inputs texts --output kept
[ "$(ls -A | grep -c tmp)" = 0 ] || die "temporary files are left: $(ls -A)"
: >empty
ok tokenize --model "$model" --input empty --output found
[ ! -s found ] || die "an empty input gives an empty output"
echo passed
