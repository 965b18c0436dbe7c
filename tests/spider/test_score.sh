#!/bin/sh
# `spider score` on the demo's own gold queries: all hits; each form of predictions; clear errors.
set -eu
spider=$MINUANO_SOURCE/spider_db/demo
[ -f "$spider/dev.json" ] || { echo "skipped: no spider_db/demo"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sed -n 's/.*"query": "\([^"]*\)", "sql".*/\1/p' "$spider/dev.json" > "$work/gold.sql"
count=$(wc -l < "$work/gold.sql")
[ "$count" -gt 10 ]
sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/{"sql_gerado": "&"}/' "$work/gold.sql" > "$work/gold.jsonl"

score() { "$MINUANO" spider score --quiet --spider "$spider" --predictions "$1" --output "$work/out" --json; }
awk '{ print $0 "\tsome_database" }' "$work/gold.sql" > "$work/gold.txt" # as the official evaluator's files
for form in sql jsonl txt; do
    summary=$(score "$work/gold.$form")
    case $summary in
    "{\"total\":$count,\"judged\":$count,\"missing\":0,\"official\":$count,\"distinct\":$count,\"seed\":$count,"*) ;;
    *) echo "$form: $summary"; exit 1 ;;
    esac
    [ "$(wc -l < "$work/out")" -eq "$count" ]
    head -n 1 "$work/out" | grep -q '^{"index":0,"db_id":".*","hardness":".*","official":true,"distinct":true,"seed":true,"error":null}$'
done

# what other programs put around the lines changes no verdict: a byte order mark, CRLF, blanks, no last newline
cp "$work/out" "$work/plain"
around() { # FILE
    printf '\357\273\277%s' "$(sed 's/.*/\t & \r/' "$1")"
}
around "$work/gold.sql" > "$work/around.sql"
around "$work/gold.jsonl" > "$work/around.jsonl"
sed 'G' "$work/gold.jsonl" > "$work/spread.jsonl"
{ cat "$work/gold.sql"; printf '\n \n'; } > "$work/trailing.sql"
for file in around.sql around.jsonl spread.jsonl trailing.sql; do
    score "$work/$file" >"$work/summary"
    cmp "$work/out" "$work/plain" || { echo "$file: $(cat "$work/summary")"; exit 1; }
done

# no answer, in each form, is a miss and keeps the others' places
sed '2s/.*//' "$work/gold.sql" > "$work/gap.sql"
sed '1s/.*//' "$work/gold.sql" > "$work/first.sql"
sed '$s/.*//' "$work/gold.sql" > "$work/last.sql"
sed '2s/.*/{"pred": null}/' "$work/gold.jsonl" > "$work/gap.jsonl"
for file in gap.sql first.sql last.sql gap.jsonl; do
    score "$work/$file" | grep -q "\"official\":$((count - 1)),\"distinct\":$((count - 1)),.*\"empty\":1}" || {
        echo "an empty line in $file: $(score "$work/$file")"
        exit 1
    }
done

# a list of queries is one to its end, whatever a line begins with
sed '2s/.*/{"pred": 1}/' "$work/gold.sql" > "$work/odd.sql"
score "$work/odd.sql" | grep -q "\"official\":$((count - 1)),.*\"syntax\":1}"

# one line too few: an error that says so, and what stood at the output before stays
head -n 3 "$work/gold.sql" > "$work/short.sql"
cp "$work/out" "$work/before"
if score "$work/short.sql" > "$work/summary"; then exit 1; fi
grep -q "expected $count lines, one an item of the split, found 3" "$work/summary"
cmp "$work/out" "$work/before"
