# interrupt.sh: sourced by tests of whole studies: runs that are broken off, and reports that must not show it.

# study CONFIG [OPTIONS]: in the current directory, one thread. What it took is left in $work/seconds.
study() {
    begun=$(date +%s.%N)
    "$MINUANO" study "$@" --device reference --threads 1 --quiet || return
    echo "$(date +%s.%N) $begun" | awk '{ print $1 - $2 }' >"$work/seconds"
}

# broken_study LEAST CONFIG [OPTIONS]: the study is killed, and told to stop, in turn, until it is done; at least LEAST
# times. The moments are random (the same numbers on every run) and come as thick as the machine is fast: the whole study, run
# before, takes some twenty attempts, each a little longer than the one before, so that the end is reached on any machine.
broken_study() {
    least=$1 attempt=0 whole=$(cat "$work/seconds")
    shift
    while :; do
        attempt=$((attempt + 1))
        [ $((attempt % 2)) = 0 ] && signal=TERM || signal=KILL
        limit=$(awk "BEGIN { srand($attempt); print 0.15 + $whole / 40 * (1 + $attempt / 10) * (0.5 + rand()) }")
        status=0
        # In the foreground it waits for what it killed.
        timeout --foreground -s $signal "$limit" "$MINUANO" study "$@" --device reference --threads 1 --quiet >out 2>err || status=$?
        [ $status = 0 ] && break
        case $status in
        137 | 124) ;; # killed, or told to stop
        *) echo "attempt $attempt failed with $status:"; cat err; exit 1 ;;
        esac
        [ $attempt -lt 300 ] || { echo "not done after $attempt attempts"; cat err; exit 1; }
    done
    [ $attempt -gt "$least" ] || { echo "only $attempt attempts: too few interruptions"; exit 1; }
}

without_times() {
    sed -e '/^  "times"/,$d' -e '/^| started |/d' -e '/^| finished |/d' \
        -e '/^<dt>started</d' -e '/^<dt>finished</d' \
        -e 's/| [0-9.]* | \([0-9a-f]\{12\} |\)$/| \1/' \
        -e 's/<td class="n">[0-9.]*\(<.td><td class="n">[0-9a-f]\{12\}<\)/\1/' "$1"
}

# same_reports A B: two outputs hold the same: report.csv to the byte, the others but for their times.
same_reports() {
    for name in report.csv report.json report.md report.html; do
        without_times "$1/$name" >"$work/a"
        without_times "$2/$name" >"$work/b"
        cmp "$work/a" "$work/b" || { diff "$work/a" "$work/b"; exit 1; }
    done
    grep -q '"complete": true' "$2/report.json" || { echo "$2: not complete"; exit 1; }
    if find "$2" -name '*.tmp.*' | grep .; then echo "half-written files are left"; exit 1; fi
}
