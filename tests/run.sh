#!/usr/bin/env bash
# run.sh [STAGE ...]: everything that can be tested on this machine. Stages: format release clang sanitize; all by default.
# The release stage compiles the CUDA kernels too where a toolkit is found.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
jobs=$(nproc)
still=() # what a test is started with

stage() { printf '\n=== %s (%s)\n' "$1" "$(date +%T)"; }

run_format() {
    stage "format: clang-format 14 has nothing to change"
    command -v clang-format-14 >/dev/null || { echo "skipped: no clang-format-14"; return; }
    find host include kernels tests -regex '.*\.\(c\|h\|cc\|cu\|cuh\)' -print0 | xargs -0 clang-format-14 --dry-run -Werror
}

# build_and_test PRESET [ctest arguments]
build_and_test() {
    local preset=$1
    shift
    stage "$preset: build"
    cmake --preset "$preset" -DMINUANO_TESTS=ON -DMINUANO_WERROR=ON >/dev/null
    cmake --build --preset "$preset" -j "$jobs" -- --quiet
    stage "$preset: test"
    "${still[@]}" ctest --preset "$preset" -j "$jobs" "$@"
}

run_release() { build_and_test release; }
run_clang() { build_and_test clang -LE slow; }
# Address space that moves by 32 bits, as Ubuntu 24.04 sets it, is more than the sanitizers of gcc 13 bear: it holds still.
run_sanitize() {
    if setarch -R true 2>/dev/null; then still=(setarch -R); fi
    build_and_test sanitize -LE slow
}

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(format release clang sanitize)
for name in "${stages[@]}"; do "run_$name"; done
