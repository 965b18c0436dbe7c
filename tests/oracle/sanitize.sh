#!/usr/bin/env bash
# sanitize.sh [OPTION ...] [TOOL ...]: the op tests under NVIDIA's compute-sanitizer, on a machine with a GPU; under memcheck
# whole models and trainings, too. Tools: memcheck racecheck initcheck synccheck; all by default. Prints a line a (tool, test)
# with the errors found; exits 1 where there are any, where a test fails or takes too long, 2 where it cannot run.
#
#     -b DIR   the build whose tests run (build/release)
#     -t LIST  tests, named as ctest does ("ops.attention ops.norm"); all by default
#     -j N     so many at a time (4)
#     -s N     seconds that one may take (600)
#     -o DIR   where the logs stay; removed at the end by default
set -euo pipefail
root=$(dirname "$(readlink -f "$0")")/../..

die() {
    echo "sanitize.sh: $*" >&2
    exit 2
}

build=$root/build/release tests='' at_once=4 limit=600 logs=''
while getopts b:t:j:s:o: option; do
    case $option in
    b) build=$OPTARG ;;
    t) tests=$OPTARG ;;
    j) at_once=$OPTARG ;;
    s) limit=$OPTARG ;;
    o) logs=$OPTARG ;;
    *) die "usage: sanitize.sh [-b BUILD] [-t TESTS] [-j N] [-s SECONDS] [-o LOGS] [TOOL ...]" ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- memcheck racecheck initcheck synccheck

sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
[ -x "$sanitizer" ] || die "no compute-sanitizer on PATH or in /usr/local/cuda/bin: it is part of the CUDA toolkit"
nvidia-smi -L 2>/dev/null | grep -q '^GPU' || die "no GPU: nvidia-smi lists none"
year=$("$sanitizer" --version | sed -nE 's/^Version ([0-9]+)\..*/\1/p')
if [ -n "$logs" ]; then
    mkdir -p "$logs"
else
    logs=$(mktemp -d)
    trap 'rm -rf "$logs"' EXIT
fi

# The tests that a tool runs by default.
tests_of() {
    local file name
    for file in "$root"/tests/ops/test_*.c; do
        name=$(basename "$file" .c)
        case $1.$name in
        *.test_gemm) continue ;; # the reference's own product: opens no GPU, which the sanitizer takes for an error
        racecheck.test_linear_choice) continue ;; # large products by cuBLAS alone, for many minutes
        esac
        echo "ops.${name#test_}"
    done
    [ "$1" != memcheck ] || echo model.parity_wide train.training
}

program() {
    echo "$build/tests/${1%%.*}_test_${1#*.}"
}

# Kernels of cuBLAS and cuDNN: what racecheck reports in them is not ours to mend.
libraries='nvjet cutlass xmma cudnn splitK gemv'

# Options of a tool.
options() {
    local kernel leave_out=
    case $1 in
    # 2025.3 (CUDA 13.0) stops in kernels of cuBLAS that it is told to leave out ("failed to handle a hardware exception"). There
    # they are checked, which is slow, and errors_in does not count them.
    racecheck) [ "${year:-0}" -lt 2026 ] || leave_out=$libraries ;;
    # cuBLAS's sum over a split depth reads what its products have stored through TMA, which initcheck does not follow.
    initcheck) leave_out=splitK ;;
    # cuDNN's backward kernel leaves threads out of a barrier.
    synccheck) leave_out=cudnn ;;
    esac
    for kernel in $leave_out; do echo --kernel-name-exclude "kernel_substring=$kernel"; done
}

# Errors and warnings of a log; nothing where the tool did not come to its end.
errors_in() {
    if grep -q 'RACECHECK SUMMARY' "$1"; then
        # A report begins with its kind and first function, all of one kernel.
        grep -E 'Error: |Warning: |Internal Sanitizer' "$1" | grep -cvE "${libraries// /|}" || true
    else
        sed -nE 's/.*ERROR SUMMARY: ([0-9]+) errors?$/\1/p' "$1" | tail -1
    fi
}

check() {
    local tool=$1 test=$2 log=$logs/$1.$2 start=$SECONDS status=0 errors words
    # shellcheck disable=SC2046 # words, each an option
    timeout -k 5 "$limit" "$sanitizer" --tool "$tool" --launch-timeout 60 --print-limit 1000 $(options "$tool") \
        "$(program "$test")" >"$log" 2>&1 || status=$?
    errors=$(errors_in "$log")
    if [ $status = 124 ] || [ $status = 137 ]; then
        words="took longer than $limit s"
    elif [ -z "$errors" ]; then
        words="the sanitizer did not finish: $(tail -1 "$log")"
    elif [ $status = 77 ] && [ "$errors" = 0 ]; then
        words=$(grep -m1 '^skipped' "$log")
    elif [ $status != 0 ] && [ "$errors" = 0 ]; then
        words="the test failed: $(grep -m1 'ERROR' "$log")"
    else
        words="$errors errors"
    fi
    printf '%-10s %-22s %s (%d s)\n' "$tool" "$test" "$words" $((SECONDS - start))
    [ "$words" = "0 errors" ] || [[ $words == skipped* ]] || touch "$logs/failed"
}

rm -f "$logs/failed"
for tool; do
    for test in ${tests:-$(tests_of "$tool")}; do
        [ -x "$(program "$test")" ] || die "no $(program "$test"): build it first"
        while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do wait -n || true; done
        check "$tool" "$test" &
    done
done
wait
[ ! -e "$logs/failed" ]
