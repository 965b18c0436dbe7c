#!/bin/sh
# inspect says what is in each kind of path; a merged folder is a model of the same shape.
set -eu
fixtures=$MINUANO_SOURCE/tests/fixtures/model
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

expect() { # TEXT COMMAND...: the command's output holds TEXT
    text=$1
    shift
    "$@" >"$work/out" 2>"$work/err" || { echo "failed: $*"; cat "$work/err"; exit 1; }
    grep -qF -- "$text" "$work/out" || { echo "$*: expected $text, found:"; cat "$work/out"; exit 1; }
}

expect '"kind":"model"' "$MINUANO" inspect "$fixtures/tiny" --json
expect '"dtypes":{"BF16":70992}' "$MINUANO" inspect "$fixtures/tiny" --json
expect '"tensors":20' "$MINUANO" inspect "$fixtures/sharded" --json
expect '"kind":"adapter"' "$MINUANO" inspect "$fixtures/adapters/qv" --json
expect '[3, 48]' "$MINUANO" inspect "$fixtures/adapters/qv" --tensors
expect '"modules_with_zero_b":0' "$MINUANO" inspect "$fixtures/adapters/qv" --json
expect 'Frobenius norm of s·B·A' "$MINUANO" inspect "$fixtures/adapters/qv"
expect 'base not recorded' "$MINUANO" inspect "$fixtures/adapters/qv"
expect '"kind":"safetensors file"' "$MINUANO" inspect "$fixtures/expected.safetensors" --json

"$MINUANO" merge --model "$fixtures/tiny" --adapter "$fixtures/adapters/all" --output "$work/merged" --quiet
expect '"parameters":70992,"bytes":141984' "$MINUANO" inspect "$work/merged" --json

# What is there is not overwritten; a path that is nothing is an error of the input (1), a missing one of usage (2).
! "$MINUANO" merge --model "$fixtures/tiny" --adapter "$fixtures/adapters/all" --output "$work/merged" 2>"$work/err"
grep -q 'does not exist yet' "$work/err"
code=0; "$MINUANO" inspect "$work/nothing" 2>/dev/null || code=$?
[ "$code" = 1 ]
code=0; "$MINUANO" inspect 2>/dev/null || code=$?
[ "$code" = 2 ]
