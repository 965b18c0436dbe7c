#!/bin/sh
# The embedded demo shows what it promises: the base writes no SQL and knows its facts; the better adapter answers at least
# 60 % of the questions that it was not trained on.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$MINUANO" demo --quiet
"$MINUANO" report runs/demo --format csv >report.csv

# Accuracy of a system on a whole task; names are quoted in the report.
accuracy() {
    awk -F, -v name="\"$1\"" -v task="$2" -v slice="$3" '$1 == name && $2 == task && $3 == slice {print $8}' report.csv
}
holds() { awk "BEGIN {exit !($1)}" || { echo "expected $1"; exit 1; }; }

holds "$(accuracy base spider all) <= 0.15"
holds "$(accuracy base mmlu micro) >= 0.70"
holds "$(accuracy gentle spider all) >= 0.60 || $(accuracy eager spider all) >= 0.60"
