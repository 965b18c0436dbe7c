#!/bin/sh
# Each public header compiles alone, as C and as C++ users would include it first.
set -eu
status=0
for header in "$MINUANO_SOURCE"/include/minuano/*.h; do
    if ! ${CC:-cc} -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -I "$MINUANO_SOURCE/include" -x c -fsyntax-only "$header"; then
        echo "does not compile alone: $header"
        status=1
    fi
done
exit $status
