#!/bin/sh
# The seed study's recipe on the tiny model: its four phases one by one give the report of all at once, in the folders and
# the lines that its README names; a phase that comes too early says what it lacks.
set -eu
. "$MINUANO_SOURCE/tests/study/interrupt.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$MINUANO_SOURCE/tests/study/seed.sh"

mkdir whole early parts
(cd whole && on_demo study all >/dev/null)
cd early
if on_demo study phase3 >/dev/null 2>err; then echo "phase 3 ran without adapters"; exit 1; fi
grep -q 'expected the adapter of "lr_0.0002_max_steps_100", found nothing: the phase "train" comes before' err
cd ../parts
for phase in phase1 phase2 phase3; do on_demo study $phase >/dev/null; done
# What a killed process was writing goes away with the next start; what only looks alike stays.
touch run/report.json.tmp.1 run/notes.tmp.x
mkdir -p run/models/finetuning_results/step-3.tmp.12/adapter
on_demo study phase4 >/dev/null
[ ! -e run/report.json.tmp.1 ] && [ ! -e run/models/finetuning_results/step-3.tmp.12 ] && [ -e run/notes.tmp.x ]
rm run/notes.tmp.x
cd ../whole/run
same_reports . ../../parts/run
cmp baseline.jsonl ../../parts/run/baseline.jsonl

for rate in 0.0002 0.0001; do
    [ -s models/finetuning_results/lr_${rate}_max_steps_100/final_adapter/adapter_config.json ]
done
[ "$(wc -l <baseline.jsonl)" = 20 ]
for key in '^{"id":"' '","pergunta":"' '","sql_esperado":"SELECT' '","sql_gerado":"'; do
    [ "$(grep -c "$key" baseline.jsonl)" = 20 ] || { echo "baseline.jsonl lacks $key"; exit 1; }
done
grep -q '^| baseline | all | 20 |' report.md
grep -q '^| lr_0.0001_max_steps_100 | all | 12 |' report.md

# Its own figures and the faults of its protocol are in the report; --spider-limit 12 stands for its first 100.
[ "$(grep -c '^- Fault of the protocol: ' report.md)" = 8 ]
grep -q '^- Fault of the protocol: SQL is measured on adapters merged into the 4-bit weights' report.md
grep -q '^- Fault of the protocol: only the first 12 questions' report.md
grep -q "^- The seed study's own figures: [0-9]* of 20 replies of baseline are the gold query" report.md
grep -q '^- Its execution metric, both run and sets of rows equal: [0-9]* of 12 by lr_0.0001_max_steps_100' report.md
[ "$(grep -c '"kind": "baseline"' report.json)" = 1 ] && [ "$(grep -c '"kind": "adapter"' report.json)" = 2 ]
grep -q '"Fault of the protocol: the prompt holds no schema' report.json
