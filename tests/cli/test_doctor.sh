#!/bin/sh
# minuano doctor: says what is here, in words and as JSON, and finds models in the hub cache.
. "$MINUANO_SOURCE/tests/cli/support.sh"
ok doctor
for word in processor: memory: devices: libraries: sqlite: hub: missing:; do
    grep -q "$word" out || die "no $word in: $(cat out)"
done
snapshot=hub/models--owner--tiny--one/snapshots/abc
mkdir -p "$snapshot" hub/models--owner--tiny--one/refs hub/models--owner--broken
cp "$MINUANO_SOURCE/tests/fixtures/model/tiny/config.json" "$snapshot"
printf abc >hub/models--owner--tiny--one/refs/main
ok doctor --json --hub-cache hub
grep -q '"models":\["owner/tiny--one"\]' out || die "the model was not found: $(cat out)"
[ "$(wc -l <out)" = 1 ] || die "--json is one line"
grep -q '"attention":\["own"' out || die "no attention of a device: $(cat out)"
HF_HOME=$scratch/elsewhere HF_HUB_CACHE='' ok doctor --json
grep -q '"cache":"[^"]*/elsewhere/hub","exists":false' out || die "HF_HOME is not heard: $(cat out)"
echo passed
