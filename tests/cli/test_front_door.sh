#!/bin/sh
# ./minuano on machines that lack something, played by stand-ins: what is missing is named, installed only by those who may,
# and a checkout that was moved is configured anew.
. "$MINUANO_SOURCE/tests/cli/support.sh"
mkdir -p bin "a checkout"
cp "$MINUANO_SOURCE/minuano" "a checkout/"
for tool in sh cat dirname env ln grep mkdir mktemp readlink rm sed; do ln -s "$(command -v $tool)" bin/; done

# play NAME LINES...: a program of that name in the path of the front door.
play() {
    name=$1
    shift
    { echo '#!/bin/sh'; printf '%s\n' "$@"; } >"bin/$name"
    chmod +x "bin/$name"
}
# door CODE WORDS ARGUMENTS...: the front door exits with CODE and says WORDS.
door() {
    code=$1 words=$2
    shift 2
    PATH="$scratch/bin" "a checkout/minuano" "$@" >out 2>err </dev/null
    found=$?
    [ $found = "$code" ] || die "minuano $*: expected exit $code, found $found: $(cat err)"
    grep -qF -- "$words" out err || die "minuano $*: expected \"$words\", found: $(cat out err)"
}

play dpkg-query 'case $4 in ninja-build|clang) exit 1 ;; esac' 'printf "install ok installed"'
play id 'echo 1000'
play apt-get 'echo "apt-get $*" >>"'"$scratch"'/calls"'
door 1 'neither root nor sudo is at hand: ninja-build' demo
door 1 'neither root nor sudo is at hand: ninja-build clang' test
[ ! -e calls ] || die "it installed as nobody: $(cat calls)"
door 1 "'./minuano demo' installs what is needed" doctor

play sudo 'exec "$@"'
play apt-get 'echo "apt-get $*" >>"'"$scratch"'/calls"' 'exit 100'
door 1 'apt-get failed' demo
grep -qx 'apt-get update -q' calls || die "it did not ask for the lists: $(cat calls)"

# Installed, then configured, built and run.
play apt-get 'echo "apt-get $*" >>"'"$scratch"'/calls"'
play cmake 'echo "cmake $*" >>"'"$scratch"'/calls"' 'mkdir -p build/release' ': >build/release/build.ninja' \
    'echo "CMAKE_HOME_DIRECTORY:INTERNAL=$(readlink -f .)" >build/release/CMakeCache.txt'
play ninja 'echo ninja >>"'"$scratch"'/calls"' "ln -sf '$MINUANO' \"\$2/minuano\""
: >calls
door 0 'installing ninja-build' demo --help
grep -q 'install .*--no-install-recommends ninja-build' calls || die "it installed something else: $(cat calls)"
: >calls
door 0 'minuano 0' --version
grep -q cmake calls && die "it was configured twice: $(cat calls)"
mv "a checkout" moved
mkdir "a checkout"
mv moved "a checkout/minuano.git"
ln -s minuano.git/minuano "a checkout/minuano" # a link to the script finds the checkout
door 0 'build/release was configured in' --version
grep -q 'cmake --fresh --preset release' calls || die "it was not configured anew: $(cat calls)"
: >calls
door 0 'minuano 0' --version
grep -q cmake calls && die "it was configured twice: $(cat calls)"

# A formatter that the system does not have keeps nobody from the tests.
mkdir "a checkout/minuano.git/tests"
printf '#!/bin/sh\necho tests run\n' >"a checkout/minuano.git/tests/run.sh"
chmod +x "a checkout/minuano.git/tests/run.sh"
play dpkg-query 'case $4 in clang-format-14) exit 1 ;; esac' 'printf "install ok installed"'
play apt-get 'case $* in *clang-format-14) exit 100 ;; esac'
door 0 'without clang-format 14 the format is not checked' test
grep -qx 'tests run' out || die "it ran no tests: $(cat out err)"

rm bin/dpkg-query bin/ninja
door 1 'neither Debian nor Ubuntu; please install: gcc g++ ninja pkg-config jansson sqlite3 libcrypto' demo
echo passed
