"""MMLU's parquet files, as Hugging Face's cais/mmlu has them, as the JSONL that minuano reads.

    python3 mmlu_parquet.py FOLDER_WITH_PARQUET OUTPUT

FOLDER_WITH_PARQUET holds dev-*.parquet, validation-*.parquet and test-*.parquet: the folder `all` of the data set. Needs
pyarrow. Nothing is changed on the way: text, order and answers are those of the original CSV files.
"""
import json
import pathlib
import sys

import pyarrow.parquet as parquet

KEYS = ["question", "subject", "choices", "answer"]


def convert(source, split, target):
    files = sorted(source.glob(f"{split}-*.parquet"))
    if not files:
        sys.exit(f"{source}: expected {split}-*.parquet, found none")
    with open(target / f"{split}.jsonl", "w", encoding="utf-8") as out:
        for file in files:
            for row in parquet.read_table(file, columns=KEYS).to_pylist():
                print(json.dumps(row, ensure_ascii=False), file=out)


if len(sys.argv) != 3:
    sys.exit(__doc__)
target = pathlib.Path(sys.argv[2])
target.mkdir(parents=True, exist_ok=True)
for name in ("dev", "validation", "test"):
    convert(pathlib.Path(sys.argv[1]), name, target)
