# support.sh: sourced by the scripts beside it: a scratch folder, and checks that say what they wanted.
set -u
scratch=$(mktemp -d "${TMPDIR:-/tmp}/minuano-cli-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

die() {
    echo "FAILED: $*" >&2
    exit 1
}

# ok ARGUMENTS...: the command succeeds; its words are in out and err.
ok() {
    "$MINUANO" "$@" >out 2>err || die "minuano $*: exit $?: $(cat err)"
}

# fails CODE WORDS ARGUMENTS...: the command exits with CODE and says WORDS.
fails() {
    code=$1 words=$2
    shift 2
    "$MINUANO" "$@" >out 2>err
    found=$?
    [ $found -eq "$code" ] || die "minuano $*: expected exit $code, found $found: $(cat err)"
    grep -qF -- "$words" err || die "minuano $*: expected \"$words\", found: $(cat err)"
}

# same A B: two files are equal.
same() {
    cmp "$1" "$2" >&2 || die "$1 and $2 differ"
}
