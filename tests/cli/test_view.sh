#!/bin/sh
# The live view in a real terminal: one of it at any size, nothing of it behind Ctrl-C; plain lines where no terminal is.
. "$MINUANO_SOURCE/tests/cli/support.sh"
command -v tmux >/dev/null || { echo "skipped: no tmux"; exit 77; }
fixtures=$MINUANO_SOURCE/tests/fixtures/train
cat >run.json <<JSON
{
  "model": "$fixtures/model", "output": "run", "data": {"jsonl": "$fixtures/examples.jsonl"},
  "lora": {"rank": 4}, "train": {"steps": 100000, "batch": 3, "accumulation": 2, "checkpoint_every": 0}
}
JSON
tmux() { command tmux -L "minuano-$$" -f /dev/null "$@"; }
trap 'tmux kill-server 2>/dev/null; rm -rf "$scratch"' EXIT
screen() { tmux capture-pane -t view -p; }

# bars N: the screen shows N bars, now or within half a minute.
bars() {
    for _ in $(seq 300); do
        found=$(screen | grep -c '/100000 steps, ')
        [ "$found" = "$1" ] && return
        sleep 0.1
    done
    die "expected $1 bars, found $found: $(screen)"
}

tmux new-session -d -s probe cat 2>err || { echo "skipped: tmux cannot open a terminal here: $(cat err)"; exit 77; }
tmux new-session -d -s view -x 80 -y 24 "env -u CI LC_ALL=C.UTF-8 PS1='ready ' sh" || die "tmux does not start"
tmux send-keys -t view "'$MINUANO' train run.json --device reference --threads 1" Enter
bars 1
screen | grep -q '^run: training$' || die "no title: $(screen)"
screen | grep -q '^loss  *[0-9.]* *[▁▂▃▄▅▆▇█][▁▂▃▄▅▆▇█]' || die "no course of the loss: $(screen)"
for size in '50 12' '30 6' '120 40' '80 24'; do
    tmux resize-window -t view -x "${size% *}" -y "${size#* }"
    sleep 0.5
    for _ in $(seq 100); do [ "$(screen | grep -c '^run: training')" = 1 ] && break; sleep 0.1; done
    if [ "${size% *}" -ge 50 ]; then bars 1; fi # narrower, the bar's line is cut before its words
    [ "$(screen | grep -c '^run: training')" = 1 ] || die "$size: not one view: $(screen)"
done
tmux send-keys -t view C-c
bars 0
screen | grep -q 'interrupted: stopped by Interrupt' || die "no message: $(screen)"
screen | grep -q '[▁▂▃▄▅▆▇█░]' && die "something of the view is left: $(screen)"

# ASCII where the locale is not UTF-8, and no view where the terminal is dumb or a CI's.
tmux send-keys -t view "clear; LC_ALL=C '$MINUANO' train run.json --device reference --threads 1 --output ascii" Enter
bars 1
screen | grep -q '^loss  *[0-9.]* *[_.=+*%#-]' || die "no ASCII course: $(screen)"
tmux send-keys -t view C-c
bars 0
for setting in TERM=dumb CI=true; do
    tmux send-keys -t view \
        "clear; $setting '$MINUANO' train run.json --device reference --threads 1 --output plain --train-steps 30; echo ended'-'$setting" Enter
    for _ in $(seq 600); do screen | grep -q "ended-$setting" && break; sleep 0.1; done # what was typed has quotes there
    screen | grep -q 'training: 30/30 steps, .* in all' || die "$setting: no plain line: $(screen)"
    screen | grep -q '^loss ' && die "$setting: a view: $(screen)"
    rm -rf plain
done
exit 0
