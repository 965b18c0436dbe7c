#!/bin/sh
# configs/README.md documents every key: it holds the tables that the program itself prints.
set -eu
status=0
for command in train study; do
    "$MINUANO" $command --help=markdown >keys.$$
    [ -s keys.$$ ] || { echo "minuano $command --help=markdown printed nothing"; exit 1; }
    while IFS= read -r row; do
        grep -qxF -- "$row" "$MINUANO_SOURCE/configs/README.md" || {
            echo "configs/README.md lacks this row of minuano $command --help=markdown: $row"
            status=1
        }
    done <keys.$$
    rm -f keys.$$
done
exit $status
