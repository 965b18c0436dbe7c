#!/bin/sh
# An installation works wherever it was put, from any folder, by its own files alone.
. "$MINUANO_SOURCE/tests/cli/support.sh"
prefix="$scratch/a place"
cmake --install "$(dirname "$MINUANO")" --prefix "$prefix" >log || die "cmake --install: $(cat log)"
mkdir elsewhere
cd elsewhere || exit 1
ln -s "$prefix/bin/minuano" minuano
MINUANO=./minuano
ok --version
ok demo --device reference --quiet --phases baseline --spider-limit 1 --mmlu-limit 1
ok report runs/demo
grep -qF "$prefix/share/minuano/checkpoints/demo" out || die "the demo's model is not the installation's: $(cat out)"
ok tokenize --model "$prefix/share/minuano/checkpoints/demo" --input /dev/null --output ids
for folder in configs/seed checkpoints/demo/mmlu/test spider_db/demo/database; do
    [ -d "$prefix/share/minuano/$folder" ] || die "$folder is not installed"
done
echo passed
