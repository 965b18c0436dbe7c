"""The text of the demo's base model: plain sentences, questions with options, notes on tables.

    python3 tests/oracle/demo_text.py --show 12    # prints twelve documents

Like its big sister, the base has met SQL as a language before: notes name a query and say what it
returns. It has never seen the task (a schema and a question in a chat turn, answered by a query):
in its chat turns it answers in English. No query of dev.json and no question of the MMLU files is
in this text.
"""

import argparse
import random

import demo_facts
import demo_spider

BEGIN, END = "[INST]", "[/INST]"  # control symbols of the tokenizer
TASK = "Given the schema, answer the question with one SQLite query."
RESTATE = "Read the schema and say in plain words what the question asks for."
DESCRIBE = "Read the schema and name the columns of each table."

RARE = 0.03  # how often a fact of the test files is in a question with options, against other facts


def task_prompt(schema, question):
    """The user message of the fine-tuning task."""
    return f"{TASK}\n\n{schema}\n\nQuestion: {question}"


class Writer:
    """Draws documents. A document is a list of strings; BEGIN and END in it are control symbols."""

    def __init__(self, seed, rare=RARE):
        self.rng = random.Random(f"text {seed}")
        train, _ = demo_spider.split_items()
        self.kinds = {}
        for item in train:
            self.kinds.setdefault(item.kind, []).append(item)
        benchmark = demo_facts.benchmark()
        self.held_out = {
            q.block() for split in benchmark.values() for rows in split.values() for q in rows
        }
        self.schemas = {}
        self.weights = {}
        for subject in demo_facts.SUBJECTS:
            asked = demo_facts.split_facts(subject)["test"]
            self.weights[subject] = [rare if fact in asked else 1.0 for fact in subject.facts]

    def schema(self, item):
        return self.schemas.setdefault(item.database.name, item.database.prompt())

    def item(self):
        """A query of the training part: half of the time any, half of the time of any kind."""
        if self.rng.random() < 0.5:
            return self.rng.choice(self.kinds[self.rng.choice(list(self.kinds))])
        return self.rng.choice(
            self.rng.choices(list(self.kinds.values()), [len(k) for k in self.kinds.values()])[0]
        )

    def fact(self):
        subject = self.rng.choice(demo_facts.SUBJECTS)
        return subject, self.rng.choice(subject.facts)

    def sentence(self):
        subject, fact = self.fact()
        text = self.rng.choice(subject.sentences).format(*fact)
        return text[0].upper() + text[1:]

    def question(self, subject):
        weights = self.weights[subject]
        while True:
            facts = demo_facts.others([], subject.facts, self.rng, weights)
            question = demo_facts.ask(subject, facts, self.rng)
            if question.block() not in self.held_out:
                return question

    def sentences(self):
        return [" ".join(self.sentence() for _ in range(self.rng.randint(2, 6)))]

    def choices(self):
        """Questions with options, none to two of them answered before the last."""
        subject = self.rng.choice(demo_facts.SUBJECTS)
        *shots, last = [self.question(subject) for _ in range(self.rng.choice((1, 1, 1, 2, 3)))]
        return [demo_facts.prompt(subject, shots, last) + f" {last.answer}"]

    def chat(self):
        """A question on a fact, answered by a sentence."""
        subject, fact = self.fact()
        question = self.rng.choice(subject.questions).format(fact[0])
        answer = subject.sentences[0].format(*fact)
        return [BEGIN, question[0].upper() + question[1:], END, answer[0].upper() + answer[1:]]

    def restated(self):
        """A schema and a question, answered in English."""
        item = self.item()
        question = self.rng.choice(item.questions)
        prompt = f"{RESTATE}\n\n{self.schema(item)}\n\nQuestion: {question}"
        return [BEGIN, prompt, END, f"The question asks for {item.summary}."]

    def described(self):
        """A schema, said in words."""
        item = self.item()
        words = [
            f"The table {t.name} has the columns {', '.join(c.name for c in t.columns)}."
            for t in item.database.tables
        ]
        return [BEGIN, f"{DESCRIBE}\n\n{self.schema(item)}", END, " ".join(words)]

    def note(self):
        """What some queries on one database return."""
        item = self.item()
        items = [item]
        if self.rng.random() < 0.5:
            items += [i for i in (self.item() for _ in range(8)) if i.database is item.database][:2]
        lines = []
        for i in items:
            summary = i.summary[0].upper() + i.summary[1:]
            lines.append(self.rng.choice((f"{i.sql} returns {i.summary}.", f"{summary}: {i.sql}")))
        if self.rng.random() < 0.5:
            lines.insert(0, self.schema(item))
        return ["\n".join(lines)]

    def document(self):
        """One document; questions with options are hardest to learn and have the largest share."""
        kinds = (self.sentences, self.choices, self.chat, self.restated, self.described, self.note)
        return self.rng.choices(kinds, (12, 44, 8, 14, 2, 20))[0]()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=demo_spider.SEED)
    parser.add_argument("--show", type=int, default=12, metavar="N")
    args = parser.parse_args()
    writer = Writer(args.seed)
    for _ in range(args.show):
        print("".join(writer.document()), end="\n----\n")


if __name__ == "__main__":
    main()
