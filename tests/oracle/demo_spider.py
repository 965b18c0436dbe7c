"""Makes spider_db/demo: five small databases and questions about them, in Spider's layout.

    python3 tests/oracle/demo_spider.py            # writes spider_db/demo
    python3 tests/oracle/demo_spider.py --show 30  # prints thirty questions and writes nothing

Every gold query is run before it is written. Queries are split first and worded afterwards: no
query of dev.json is in train_spider.json or in the text of the base model. The same seed gives the
same questions; .sqlite files also carry the version of the SQLite that wrote them.
"""

import argparse
import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import demo_databases
import demo_questions
from demo_query import hardness, parse_of

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "spider_db" / "demo"
SEED = 42
TRAIN_QUESTIONS = 1000
DEV_QUESTIONS = 160
DEV_SHARE = 0.15  # of the queries of each kind, at least two


def split_items(seed=SEED):
    """(train, dev): queries held out kind by kind; empty results only where the kind needs them."""
    rng = random.Random(f"split {seed}")
    connections = {db.name: db.connect() for db in demo_databases.DATABASES}
    kinds = defaultdict(list)
    for item in demo_questions.all_items():
        if connections[item.database.name].execute(item.sql).fetchall() or rng.random() < 0.1:
            kinds[item.kind].append(item)
    train, dev = [], []
    for kind in sorted(kinds):
        items = kinds[kind]
        rng.shuffle(items)
        held = max(2, round(DEV_SHARE * len(items)))
        dev += items[:held]
        train += items[held:]
    return train, dev


def draw(items, count, rng):
    """count (item, question) pairs, kinds in turn: common kinds do not crowd out rare ones."""
    kinds = defaultdict(list)
    for item in items:
        kinds[item.kind].append(item)
    drawn, asked, used = [], set(), set()
    while len(drawn) < count:
        for kind in sorted(kinds):
            item = rng.choice([i for i in kinds[kind] if id(i) not in used] or kinds[kind])
            question = rng.choice(item.questions)
            if (item.database.name, question) not in asked:
                asked.add((item.database.name, question))
                used.add(id(item))
                drawn.append((item, question))
    rng.shuffle(drawn)
    return drawn[:count]


def splits(seed=SEED):
    """{"train_spider": pairs, "dev": pairs}"""
    train, dev = split_items(seed)
    return {
        "train_spider": draw(train, TRAIN_QUESTIONS, random.Random(f"train {seed}")),
        "dev": sorted(
            draw(dev, DEV_QUESTIONS, random.Random(f"dev {seed}")),
            key=lambda pair: pair[0].database.name,
        ),
    }


def write_json(path, value):
    """One array element a line: readable, and short in a diff."""
    lines = ",\n".join(json.dumps(v, ensure_ascii=False) for v in value)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def write(out, seed):
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "tables.json", [db.schema() for db in demo_databases.DATABASES])
    for db in demo_databases.DATABASES:
        db.write(out / "database" / db.name / f"{db.name}.sqlite")
    for name, pairs in splits(seed).items():
        rows, levels = [], Counter()
        for item, question in pairs:
            sql = parse_of(item.query, item.database)
            levels[hardness(sql)] += 1
            rows.append({"db_id": item.database.name, "question": question, "query": item.sql})
            if name == "dev":  # training asks for no hardness
                rows[-1]["sql"] = sql
        write_json(out / f"{name}.json", rows)
        print(
            f"{name}: {len(rows)} questions, "
            f"{len({(r['db_id'], r['query']) for r in rows})} queries, {dict(levels)}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--show", type=int, default=0, metavar="N")
    args = parser.parse_args()
    if args.show:
        for item, question in splits(args.seed)["train_spider"][: args.show]:
            level = hardness(parse_of(item.query, item.database))
            print(f"{item.database.name} [{item.kind}, {level}]\n  {question}\n  {item.sql}")
        return
    write(args.out, args.seed)


if __name__ == "__main__":
    main()
