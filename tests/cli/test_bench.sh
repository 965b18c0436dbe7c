#!/bin/sh
# minuano bench: every op of the table has its row, every job runs, wrong usage is named.
. "$MINUANO_SOURCE/tests/cli/support.sh"

ok bench --random tiny --tokens 256 --device reference --json
for op in $(sed -n 's/^    X(\([a-z0-9_]*\), mn_[a-z0-9_]*_fn).*/\1/p' "$MINUANO_SOURCE/include/minuano/ops.h"); do
    case $op in
    *_workspace | load_convert | store_convert | random_normal) continue ;; # sizes; what fills the benches
    esac
    grep -q "\"name\":\"$op[ \"]" out || die "no row for $op"
done
grep -q '"rate":-\|"rate":0\.0,\|nan\|inf' out && die "a rate that is none: $(cat out)"

for job in train score generate; do
    ok bench $job --random tiny --tokens 128 --length 32 --steps 2 --batch 2 --new-tokens 4 --device reference --json
    grep -q "\"name\":\"$job\"" out || die "bench $job: $(cat out)"
done

for job in mmlu spider; do
    ok bench $job --random tiny --questions 24 --new-tokens 4 --rounds 2 --tokens 64 --device reference --json
    grep -q "\"name\":\"$job\",\"shape\":\"24, 2[04] prefixes" out || die "bench $job: $(cat out)"
done

# On the reference device the bits are the same, whatever shares a pass; but for a prefix computed apart.
ok bench passes --random tiny --batch 3 --length 16 --prefix 40 --new-tokens 4 --rank 4 --device reference
[ "$(grep -c 'one pass\|a pass each\|no shared prefix' out)" = 6 ] || die "bench passes: $(cat out)"
[ "$(grep 'a pass each' out | grep -c ' 0 of 9 differ')" = 2 ] || die "bench passes: $(cat out)"
grep -q 'score: one pass.* 3 x 3 x (40 + 16), 48 % shared' out || die "bench passes: $(cat out)"
grep -q 'score: no shared prefix.* 0 % shared' out || die "bench passes: $(cat out)"

ok bench --random tiny --tokens 64 --device reference --json --only rmsnorm
grep -q '"name":"rmsnorm_forward"' out || die "--only leaves out what it names: $(cat out)"
grep -q 'attention\|adamw' out && die "--only lets others in: $(cat out)"
fails 1 "--attention cudnn: " bench --random tiny --tokens 64 --device reference --attention cudnn
fails 2 'expected mistral-7b or tiny, found "gigantic"' bench --random gigantic --device reference
fails 2 "at least one sequence" bench train --random tiny --tokens 16 --length 32 --device reference
fails 2 "at least one sequence" bench score --random tiny --tokens 16 --length 32 --device reference
