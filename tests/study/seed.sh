# seed.sh: sourced by tests of the seed study's recipe, behind interrupt.sh, in a scratch folder $work: its configs, made to
# run on the tiny model within seconds.
cp -r "$MINUANO_SOURCE/configs/seed" "$work/configs"
cd "$work"

# MMLU with the suite's three subjects, out of the demo's questions.
for split in dev test; do
    mkdir -p mmlu/$split
    for subject in college_computer_science philosophy high_school_macroeconomics; do
        cat "$MINUANO_SOURCE/checkpoints/demo/mmlu/$split"/*.csv >mmlu/$split/${subject}_$split.csv
    done
done
# What a minute of two cores allows; all else is as the recipe says.
sed -e 's/"steps": 100/"steps": 2/' -e 's/"batch": 4/"batch": 2/' "$MINUANO_SOURCE/configs/seed/all.json" >configs/all.json
# on_demo COMMAND CONFIG [OPTIONS]: COMMAND is study, or broken_study and how often at least.
on_demo() {
    command=$1 config=$2
    shift 2
    $command "$work/configs/$config.json" --model "$MINUANO_SOURCE/checkpoints/demo" --spider-folder "$MINUANO_SOURCE/spider_db/demo" \
        --mmlu-folder "$work/mmlu" --baseline-limit 20 --spider-limit 12 --spider-train-limit 32 --mmlu-limit 4 \
        --baseline-max-new-tokens 16 --spider-max-new-tokens 16 --mmlu-max-new-tokens 4 --output run "$@"
}
