#!/bin/sh
# A config may extend another, named relative to itself: its own values count more, the command line's most.
. "$MINUANO_SOURCE/tests/cli/support.sh"

mkdir -p base/deep
cat >base/study.json <<JSON
{"name": "base", "output": "out", "model": "./model", "spider": {"folder": "spider", "limit": 7}}
JSON
echo '{"extends": "../study.json", "name": "child", "spider": {"limit": 3}}' >base/deep/child.json
echo '{"extends": "child.json"}' >base/deep/grandchild.json

# Paths of the file that is extended are relative to it, and what is wrong in it is named as lying there.
fails 1 'base/deep/.././model: no such folder' study base/deep/grandchild.json
echo '{"extends": "../study.json", "nam": "child"}' >base/deep/wrong.json
fails 1 'base/deep/wrong.json: unknown key "nam"' study base/deep/wrong.json
echo '{"model": "./model", "limt": 3}' >base/broken.json
echo '{"extends": "../broken.json"}' >base/deep/wrong.json
fails 1 'base/deep/../broken.json: unknown key "limt"' study base/deep/wrong.json
echo '{"extends": 3}' >base/deep/wrong.json
fails 1 'base/deep/wrong.json: key "extends": expected a string, found an integer' study base/deep/wrong.json
echo '{"extends": "wrong.json"}' >base/deep/wrong.json
fails 1 'key "extends": more than 8 files' study base/deep/wrong.json
echo '{"extends": "absent.json"}' >base/deep/wrong.json
fails 1 'base/deep/absent.json' study base/deep/wrong.json

# The nearest value counts: the child's limit, the parent's data and model, the command line over both.
cat >base/whole.json <<JSON
{"output": "never", "model": "$MINUANO_SOURCE/checkpoints/demo", "spider": {"folder": "$MINUANO_SOURCE/spider_db/demo", "limit": 7}}
JSON
echo '{"extends": "../whole.json", "spider": {"limit": 3}}' >base/deep/near.json
ok study base/deep/near.json --device reference --dry-run
grep -q '^base  *0  *0  *3  *0  *0$' out || die "the child's limit: $(cat out)"
ok study base/deep/near.json --device reference --dry-run --spider-limit 5
grep -q '^base  *0  *0  *5  *0  *0$' out || die "the command line's limit: $(cat out)"
