#!/bin/sh
# The seed study's recipe, killed and told to stop some twenty times, ends with the report and the lines of one that was left
# alone.
set -eu
. "$MINUANO_SOURCE/tests/study/interrupt.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$MINUANO_SOURCE/tests/study/seed.sh"

mkdir whole broken
(cd whole && on_demo study all >/dev/null)
cd broken
on_demo "broken_study 12" all
same_reports ../whole/run run
cmp ../whole/run/baseline.jsonl run/baseline.jsonl
echo "the same report after $attempt attempts"
