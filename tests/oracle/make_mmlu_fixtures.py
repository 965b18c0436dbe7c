"""Writes tests/fixtures/mmlu/: a small folder in MMLU's layout, and what Python's csv module and numpy say about it.

Run: python3 tests/oracle/make_mmlu_fixtures.py   (needs numpy)
"""
import csv, hashlib, json, pathlib
import numpy as np

root = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "mmlu"
for split in ("dev", "test", "val"):
    (root / split).mkdir(parents=True, exist_ok=True)

# Every trap of the real files: fields over lines, CRLF, doubled quotes, U+FEFF, "N/A", spaces around.
rows = {
    "philosophy": [
        ["Which of these, if any, is\na virtue?", "courage", "N/A", "nan", "red, blue", "A"],
        ['  He said: "no"  ', "\ufeffone", "two ", " three", "four\r\nfive", "D"],
        ["Plain", "1", "2", "3", "4", "C"],
        ["Fourth?", "a", "b", "c", "d", "B"],
        ["Fifth?", "e", "f", "g", "h", "A"],
    ],
    "zoo_facts": [[f"How many legs has animal {i}?", "two", "four", "six", "eight", "ABCD"[i % 4]] for i in range(7)],
}
for subject, questions in rows.items():
    for split in ("dev", "test", "val"):
        with open(root / split / f"{subject}_{split}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\r\n" if subject == "philosophy" else "\n").writerows(questions)

orders = {f"{seed},{n}": np.random.default_rng(seed).permutation(n).tolist()
          for seed, n in [(42, 1), (42, 2), (42, 5), (42, 100), (42, 311), (42, 390), (0, 17), (4294967295, 1000)]}
with open(root / "numpy_permutations.json", "w") as file:
    json.dump(orders, file, separators=(",", ":"))
    file.write("\n")
