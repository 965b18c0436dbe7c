"""Checks checkpoints/demo with transformers and PEFT: the base, and adapters trained on the demo.

    python3 tests/oracle/demo_check.py                            # the base and two adapters
    python3 tests/oracle/demo_check.py --adapter lr=2e-3,seed=7   # the base and one other adapter

Needs torch, transformers, peft and sentencepiece; about a minute an adapter on two processor cores.
It says what the demo should show, within the noise of other random numbers.
"""

import argparse
import csv
import json
import random
import sqlite3
import time
from collections import Counter, defaultdict
from itertools import permutations
from pathlib import Path

import sentencepiece
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

import demo_databases
import demo_facts
import demo_model
import demo_spider
import demo_text
from demo_model import BEGIN, BOS, END, EOS
from demo_query import hardness

ROOT = Path(__file__).resolve().parents[2]
LINEARS = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj".split()
DEFAULTS = {
    "r": 16,
    "alpha": 32.0,
    "lr": 2e-3,
    "batch": 8,
    "steps": 110,
    "seed": 42,
    "targets": "all",
}
ADAPTERS = ({"lr": 5e-4}, {"lr": 4e-3})
NEW_TOKENS = 64


class Demo:
    """Model folder, questions and databases."""

    def __init__(self, checkpoint, spider, device):
        self.checkpoint, self.device = checkpoint, device
        self.tokenizer = sentencepiece.SentencePieceProcessor(
            model_file=str(checkpoint / "tokenizer.model")
        )
        self.schemas = {db.name: db.prompt() for db in demo_databases.DATABASES}
        self.train = json.loads((spider / "train_spider.json").read_text())
        self.dev = json.loads((spider / "dev.json").read_text())
        self.databases = {
            name: sqlite3.connect(f"file:{spider}/database/{name}/{name}.sqlite?mode=ro", uri=True)
            for name in self.schemas
        }

    def base(self):
        return AutoModelForCausalLM.from_pretrained(self.checkpoint, dtype=torch.float32).to(
            self.device
        )

    def prompt(self, row):
        text = demo_text.task_prompt(self.schemas[row["db_id"]], row["question"])
        return [BOS, BEGIN] + self.tokenizer.encode(text) + [END]

    def completion(self, row):
        return self.tokenizer.encode(row["query"]) + [EOS]


def padded(rows, device, left=False):
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[i, place], mask[i, place] = torch.tensor(row), 1
    return ids.to(device), mask.to(device)


# ------------------------------------------------------------------------------------- execution


def execute(connection, sql):
    steps = [0]

    def stop():
        steps[0] += 1
        return steps[0] > 200

    connection.set_progress_handler(stop, 10000)
    try:
        return connection.execute(sql).fetchall()
    except (sqlite3.Error, sqlite3.Warning):
        return None


def same_rows(gold, predicted, ordered):
    """Spider's execution match: rows as a multiset, or in order; columns in any order."""
    if predicted is None or len(gold) != len(predicted):
        return False
    if not gold:
        return True
    if len(gold[0]) != len(predicted[0]):
        return False
    for order in permutations(range(len(gold[0]))):
        rows = [tuple(row[i] for i in order) for row in predicted]
        if rows == gold if ordered else Counter(rows) == Counter(gold):
            return True
    return False


def sql_accuracy(demo, model, show=0):
    """(share of right answers, the same by hardness)"""
    right, levels = [], defaultdict(list)
    for start in range(0, len(demo.dev), 80):
        rows = demo.dev[start : start + 80]
        ids, mask = padded([demo.prompt(row) for row in rows], demo.device, left=True)
        with torch.no_grad():
            out = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                pad_token_id=0,
                eos_token_id=EOS,
            )
        for row, new in zip(rows, out[:, ids.shape[1] :].tolist()):
            new = new[: new.index(EOS)] if EOS in new else new
            text = demo.tokenizer.decode([i for i in new if i > END]).split("\t")[0]
            connection = demo.databases[row["db_id"]]
            gold, predicted = (
                execute(connection, q.replace("DISTINCT ", "")) for q in (row["query"], text)
            )
            right.append(same_rows(gold, predicted, "order by" in row["query"].lower()))
            levels[hardness(row["sql"])].append(right[-1])
            if show > 0 and not right[-1]:
                show -= 1
                print(f"    {row['question']}\n      gold {row['query']}\n      got  {text}")
    return sum(right) / len(right), {k: f"{sum(v)}/{len(v)}" for k, v in levels.items()}


# --------------------------------------------------------------------------------- multiple choice


def read_questions(folder, split):
    questions = {}
    for subject in demo_facts.SUBJECTS:
        with open(
            folder / split / f"{subject.name}_{split}.csv", newline="", encoding="utf-8"
        ) as file:
            questions[subject] = [
                demo_facts.Question(r[0], tuple(r[1:5]), r[5]) for r in csv.reader(file)
            ]
    return questions


def choice_accuracy(demo, model, shots):
    """(share of right answers, mean probability of A to D together)"""
    folder = demo.checkpoint / "mmlu"
    dev, test = read_questions(folder, "dev"), read_questions(folder, "test")
    items = [
        (demo_facts.prompt(s, dev[s][:shots], q), q.answer)
        for s, rows in test.items()
        for q in rows
    ]
    letters = [demo.tokenizer.piece_to_id(f"▁{letter}") for letter in "ABCD"]
    right, mass = 0, 0.0
    for start in range(0, len(items), 60):
        part = items[start : start + 60]
        ids, mask = padded([[BOS] + demo.tokenizer.encode(text) for text, _ in part], demo.device)
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        last = logits[torch.arange(len(part)), mask.sum(1) - 1].softmax(-1)[:, letters]
        right += sum("ABCD"[i] == answer for i, (_, answer) in zip(last.argmax(1).tolist(), part))
        mass += last.sum().item()
    return right / len(items), mass / len(items)


# ---------------------------------------------------------------------------------------- adapters


def train_adapter(demo, settings):
    """LoRA as the demo trains it: AdamW, linear schedule, loss on the completion, clipped at 1."""
    torch.manual_seed(settings["seed"])
    targets = LINEARS if settings["targets"] == "all" else settings["targets"].split("+")
    config = LoraConfig(
        r=int(settings["r"]),
        lora_alpha=settings["alpha"],
        lora_dropout=0.0,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(demo.base(), config)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=settings["lr"], weight_decay=0.0)
    rng, order, tokens = random.Random(settings["seed"]), [], 0
    for step in range(int(settings["steps"])):
        if len(order) < settings["batch"]:
            order += rng.sample(range(len(demo.train)), len(demo.train))
        rows = [demo.train[order.pop(0)] for _ in range(int(settings["batch"]))]
        prompts, completions = [demo.prompt(r) for r in rows], [demo.completion(r) for r in rows]
        ids, mask = padded([p + c for p, c in zip(prompts, completions)], demo.device)
        targets = ids.masked_fill(mask == 0, -100)
        for i, prompt in enumerate(prompts):
            targets[i, : len(prompt)] = -100
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten()
        )
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * (1 - step / settings["steps"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        tokens += int(mask.sum())
    return model, tokens, loss.item()


def report(name, demo, model, show=0, extra=""):
    model.eval()
    sql, levels = sql_accuracy(demo, model, show)
    zero, two = choice_accuracy(demo, model, 0), choice_accuracy(demo, model, 2)
    print(
        f"{name}: SQL {sql:.1%} {dict(sorted(levels.items()))}"
        f"  choices {zero[0]:.1%} (mass {zero[1]:.2f})"
        f", with 2 shots {two[0]:.1%} (mass {two[1]:.2f}){extra}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", type=Path, default=demo_model.OUT)
    parser.add_argument("--spider", type=Path, default=demo_spider.OUT)
    parser.add_argument("--adapter", action="append", default=[], metavar="KEY=VALUE,...")
    parser.add_argument(
        "--show", type=int, default=0, metavar="N", help="print N wrong answers of each model"
    )
    parser.add_argument("--no-base", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    demo = Demo(args.checkpoint, args.spider, args.device)
    if not args.no_base:
        report("base", demo, demo.base(), args.show)
    chosen = [dict(pair.split("=") for pair in a.split(",")) for a in args.adapter] or ADAPTERS
    for changes in chosen:
        settings = {
            k: v if k == "targets" else type(DEFAULTS[k])(changes.get(k, v))
            for k, v in DEFAULTS.items()
        }
        settings["targets"] = changes.get("targets", "all")
        started = time.time()
        model, tokens, loss = train_adapter(demo, settings)
        extra = f"  [{tokens:,} tokens, {time.time() - started:.0f} s, last loss {loss:.3f}]"
        report(" ".join(f"{k}={v}" for k, v in settings.items()), demo, model, args.show, extra)


if __name__ == "__main__":
    main()
