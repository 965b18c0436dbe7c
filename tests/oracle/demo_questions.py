"""What spider_db/demo asks: queries over the demo's databases, each with several wordings.

Imported by demo_spider.py, which splits and writes them; it has no command of its own.
"""

from dataclasses import dataclass, field

import demo_databases
from demo_databases import Database
from demo_query import COUNT, Condition, Query, Term, sql_text


@dataclass
class Item:
    """One query, the questions that ask for it, and one noun phrase that says what it returns."""

    database: Database
    kind: str
    query: Query
    questions: list
    summary: str
    sql: str = field(init=False)

    def __post_init__(self):
        self.sql = sql_text(self.query)
        self.questions = [q[0].upper() + q[1:] for q in self.questions]


def listed(what, whose):
    """Four ways to ask for columns of some rows."""
    return [
        f"what are the {what} of the {whose}?",
        f"show the {what} of all {whose}.",
        f"list the {what} of the {whose}.",
        f"find the {what} of {whose}.",
    ]


def counted(whose):
    return [
        f"how many {whose} are there?",
        f"count the {whose}.",
        f"what is the number of {whose}?",
        f"find the number of {whose}.",
    ]


def amount(number, table):
    return f"{number} {table.one if number == 1 else table.many}"


def filters(table):
    """(words, condition) for every simple condition on one table."""
    for column in table.groups:
        for value in table.values(column):
            yield column.equal.format(value), Condition(Term(table, column), "=", value)
    for column in table.numbers:
        for value in column.grid:
            yield column.over.format(value), Condition(Term(table, column), ">", value)
            yield column.under.format(value), Condition(Term(table, column), "<", value)


WORDS = {
    "avg": ["average", "mean"],
    "max": ["highest", "maximum"],
    "min": ["lowest", "minimum"],
    "sum": ["total", "summed"],
}


def one_table_items(db, t):
    """Items on one table."""
    label = Term(t, t.label)

    def item(kind, questions, summary, select, **rest):
        return Item(db, kind, Query((t,), tuple(select), **rest), questions, summary)

    yield item("count", counted(t.many), f"the number of {t.many}", [COUNT])
    for c in t.plain:
        yield item(
            "column", listed(c.nouns, t.many), f"the {c.nouns} of the {t.many}", [Term(t, c)]
        )
    for c in t.numbers:
        for a, words in WORDS.items():
            yield item(
                "aggregate",
                [f"what is the {w} {c.noun} of the {t.many}?" for w in words]
                + [f"find the {w} {c.noun} of all {t.many}." for w in words],
                f"the {words[0]} {c.noun} of the {t.many}",
                [Term(t, c, a)],
            )
            for words_of, condition in filters(t):
                if condition.term.column is not c:
                    yield item(
                        "aggregate of some",
                        [f"what is the {w} {c.noun} of the {t.many} {words_of}?" for w in words]
                        + [f"find the {w} {c.noun} of all {t.many} {words_of}." for w in words],
                        f"the {words[0]} {c.noun} of the {t.many} {words_of}",
                        [Term(t, c, a)],
                        where=(condition,),
                    )
        yield item(
            "range",
            [
                f"what are the lowest and the highest {c.noun} of the {t.many}?",
                f"find the minimum and the maximum {c.noun} of all {t.many}.",
            ],
            f"the lowest and the highest {c.noun} of the {t.many}",
            [Term(t, c, "min"), Term(t, c, "max")],
        )
    for c in t.groups:
        yield item(
            "distinct",
            [
                f"what are the different {c.nouns} of the {t.many}?",
                f"list the distinct {c.nouns} of all {t.many}.",
            ],
            f"the different {c.nouns} of the {t.many}",
            [Term(t, c)],
            distinct=True,
        )
        yield item(
            "count distinct",
            [
                f"how many different {c.nouns} do the {t.many} have?",
                f"what is the number of different {c.nouns} of the {t.many}?",
            ],
            f"the number of different {c.nouns} of the {t.many}",
            [Term(t, c, "count", True)],
        )
    for words, condition in filters(t):
        some = f"{t.many} {words}"
        yield item(
            "count some", counted(some), f"the number of {some}", [COUNT], where=(condition,)
        )
        for c in t.plain:
            if c is not condition.term.column:
                yield item(
                    "column of some",
                    listed(c.nouns, some),
                    f"the {c.nouns} of the {some}",
                    [Term(t, c)],
                    where=(condition,),
                )
        for c in t.plain:
            if c is not t.label and c is not condition.term.column:
                what = f"{t.label.nouns} and {c.nouns}"
                yield item(
                    "two columns of some",
                    listed(what, some),
                    f"the {what} of the {some}",
                    [label, Term(t, c)],
                    where=(condition,),
                )
    yield from ordered_items(t, item)
    yield from combined_items(t, item)
    yield from grouped_items(t, item)
    yield from nested_items(t, item)


def ordered_items(t, item):
    """Sorted lists and superlatives."""
    for number in t.numbers:
        for direction, order, high in (
            ("asc", "ascending", number.bottom),
            ("desc", "descending", number.top),
        ):
            by = (Term(t, number), direction)
            for c in t.plain:
                yield item(
                    "sorted",
                    [
                        f"list the {c.nouns} of the {t.many} in {order} order of {number.noun}.",
                        f"show the {c.nouns} of all {t.many}"
                        f" sorted by {number.noun} in {order} order.",
                        f"what are the {c.nouns} of the {t.many},"
                        f" in {order} order of {number.noun}?",
                    ],
                    f"the {c.nouns} of the {t.many} in {order} order of {number.noun}",
                    [Term(t, c)],
                    order=by,
                )
                extreme = "highest" if direction == "desc" else "lowest"
                if c is not number:
                    yield item(
                        "superlative",
                        [
                            f"what is the {c.noun} of the {high} {t.one}?",
                            f"show the {c.noun} of the {t.one} with the {extreme} {number.noun}.",
                            f"find the {c.noun} of the {high} {t.one}.",
                        ],
                        f"the {c.noun} of the {high} {t.one}",
                        [Term(t, c)],
                        order=by,
                        limit=1,
                    )
                    for k in (2, 3, 4, 5):
                        yield item(
                            "top",
                            [
                                f"what are the {c.nouns} of the {k} {high} {t.many}?",
                                f"list the {c.nouns} of the {k} {t.many}"
                                f" with the {extreme} {number.noun}.",
                            ],
                            f"the {c.nouns} of the {k} {high} {t.many}",
                            [Term(t, c)],
                            order=by,
                            limit=k,
                        )


def combined_items(t, item):
    """Two conditions, ranges, patterns."""
    label = [Term(t, t.label)]
    what = t.label.nouns
    for group in t.groups:
        values = t.values(group)
        if group is not t.label:
            for a, b in [(a, b) for a in values for b in values if a < b]:
                some = f"{t.many} {group.equal.format(a)} or {group.either.format(b)}"
                where = (Condition(Term(t, group), "=", a), "or", Condition(Term(t, group), "=", b))
                yield item(
                    "either", listed(what, some), f"the {what} of the {some}", label, where=where
                )
            for value in values:
                some = f"{t.many} not {group.equal.format(value)}"
                where = (Condition(Term(t, group), "!=", value),)
                yield item(
                    "unequal", listed(what, some), f"the {what} of the {some}", label, where=where
                )
        for number in t.numbers:
            for value in values:
                for n in number.grid[::2]:
                    for operator, words in ((">", number.over), ("<", number.under)):
                        some = f"{t.many} {group.equal.format(value)} and {words.format(n)}"
                        where = (
                            Condition(Term(t, group), "=", value),
                            "and",
                            Condition(Term(t, number), operator, n),
                        )
                        yield item(
                            "both",
                            listed(what, some),
                            f"the {what} of the {some}",
                            label,
                            where=where,
                        )
    for number in t.numbers:
        for low, high in zip(number.grid, number.grid[2:]):
            some = f"{t.many} with {number.article} {number.noun} between {low} and {high}"
            where = (Condition(Term(t, number), "between", low, high),)
            yield item(
                "between", listed(what, some), f"the {what} of the {some}", label, where=where
            )
    if t.label not in t.groups:
        for letter in sorted({value[0] for value in t.values(t.label)}):
            some = f"{t.many} whose {t.label.noun} starts with {letter}"
            where = (Condition(Term(t, t.label), "like", f"{letter}%"),)
            yield item(
                "pattern", listed(what, some), f"the {what} of the {some}", label, where=where
            )


def grouped_items(t, item):
    """One row a group, and which groups."""
    for group in t.groups:
        by = Term(t, group)
        yield item(
            "count by group",
            [
                f"how many {t.many} are there for each {group.noun}?",
                f"show each {group.noun} and its number of {t.many}.",
                f"for each {group.noun}, count the {t.many}.",
            ],
            f"the number of {t.many} for each {group.noun}",
            [by, COUNT],
            group=by,
        )
        for end, order in (("most", "desc"), ("fewest", "asc")):
            yield item(
                "group with most",
                [
                    f"which {group.noun} has the {end} {t.many}?",
                    f"find the {group.noun} with the {end} {t.many}.",
                ],
                f"the {group.noun} with the {end} {t.many}",
                [by],
                group=by,
                order=(COUNT, order),
                limit=1,
            )
        for k in (1, 2, 3):
            for operator, words in ((">", "more"), ("<", "fewer")):
                if (operator, k) != ("<", 1):
                    yield item(
                        "groups with many",
                        [
                            f"which {group.nouns} have {words} than {amount(k, t)}?",
                            f"list the {group.nouns} with {words} than {amount(k, t)}.",
                        ],
                        f"the {group.nouns} with {words} than {amount(k, t)}",
                        [by],
                        group=by,
                        having=(Condition(COUNT, operator, k),),
                    )
        for number in t.numbers:
            for a, words in WORDS.items():
                yield item(
                    "aggregate by group",
                    [
                        f"what is the {w} {number.noun} of the {t.many} for each {group.noun}?"
                        for w in words
                    ]
                    + [
                        f"for each {group.noun}, find the {w} {number.noun} of the {t.many}."
                        for w in words
                    ],
                    f"the {words[0]} {number.noun} of the {t.many} for each {group.noun}",
                    [by, Term(t, number, a)],
                    group=by,
                )


def nested_items(t, item):
    """Comparisons with an average, and set operators."""
    for number in t.numbers:
        average = Query((t,), (Term(t, number, "avg"),))
        for operator, side in ((">", "above"), ("<", "below")):
            some = f"{t.many} with {number.article} {number.noun} {side} the average"
            where = (Condition(Term(t, number), operator, average),)
            yield item(
                "against average", counted(some), f"the number of {some}", [COUNT], where=where
            )
            for c in t.plain:
                yield item(
                    "against average",
                    listed(c.nouns, some),
                    f"the {c.nouns} of the {some}",
                    [Term(t, c)],
                    where=where,
                )
        for group in t.groups:
            by = Term(t, group)
            for n in number.grid:
                over = (Condition(Term(t, number), ">", n),)
                yield item(
                    "except",
                    [
                        f"which {group.nouns} have no {t.many} {number.over.format(n)}?",
                        f"find the {group.nouns} without any {t.many} {number.over.format(n)}.",
                    ],
                    f"the {group.nouns} with no {t.many} {number.over.format(n)}",
                    [by],
                    set_operator=("except", Query((t,), (by,), where=over)),
                )
                for m in [m for m in number.grid if m > n]:
                    under = (Condition(Term(t, number), "<", n),)
                    over = (Condition(Term(t, number), ">", m),)
                    both = f"{t.many} {number.under.format(n)} and {t.many} {number.over.format(m)}"
                    yield item(
                        "intersect",
                        [
                            f"which {group.nouns} have both {both}?",
                            f"find the {group.nouns} that have {both}.",
                        ],
                        f"the {group.nouns} with {both}",
                        [by],
                        where=under,
                        set_operator=("intersect", Query((t,), (by,), where=over)),
                    )


def two_table_items(db, child, parent):
    """Items on a child table joined with its parent."""
    key = Term(child, child.key_of(parent))
    what, name = Term(child, child.label), Term(parent, parent.label)
    owned = f"{child.many} {child.relation}"

    def item(kind, questions, summary, select, **rest):
        return Item(db, kind, Query((child, parent), tuple(select), **rest), questions, summary)

    for mine in child.plain:
        for theirs in parent.plain:
            yield item(
                "pairs",
                [
                    f"show the {mine.noun} of each {child.one}"
                    f" and the {theirs.noun} of its {parent.one}.",
                    f"for each {child.one}, list its {mine.noun}"
                    f" and the {theirs.noun} of its {parent.one}.",
                ],
                f"the {mine.noun} of each {child.one} and the {theirs.noun} of its {parent.one}",
                [Term(child, mine), Term(parent, theirs)],
            )
    for words, condition in filters(parent):
        some = f"{owned} {parent.many} {words}"
        yield item(
            "count across", counted(some), f"the number of {some}", [COUNT], where=(condition,)
        )
        for c in child.plain:
            yield item(
                "column across",
                listed(c.nouns, some),
                f"the {c.nouns} of the {some}",
                [Term(child, c)],
                where=(condition,),
            )
        for number in child.numbers:
            for direction, order, high in (
                ("asc", "ascending", number.bottom),
                ("desc", "descending", number.top),
            ):
                by = (Term(child, number), direction)
                yield item(
                    "sorted across",
                    [
                        f"list the {child.label.nouns} of the {some}"
                        f" in {order} order of {number.noun}.",
                        f"show the {child.label.nouns} of all {some}"
                        f" sorted by {number.noun} in {order} order.",
                    ],
                    f"the {child.label.nouns} of the {some} in {order} order of {number.noun}",
                    [what],
                    where=(condition,),
                    order=by,
                )
                best = f"{high} {child.one} {child.relation} {parent.many} {words}"
                yield item(
                    "superlative across",
                    [
                        f"what is the {child.label.noun} of the {best}?",
                        f"find the {child.label.noun} of the {best}.",
                    ],
                    f"the {child.label.noun} of the {best}",
                    [what],
                    where=(condition,),
                    order=by,
                    limit=1,
                )
    for words, condition in filters(child):
        some = f"{parent.many} that have {child.many} {words}"
        yield item(
            "owners",
            listed(parent.label.nouns, some),
            f"the {parent.label.nouns} of the {some}",
            [name],
            distinct=True,
            where=(condition,),
        )
    yield item(
        "count by owner",
        [
            f"how many {child.many} does each {parent.one} have? Show its {parent.label.noun} too.",
            f"show the {parent.label.noun} of each {parent.one} and its number of {child.many}.",
        ],
        f"the {parent.label.noun} of each {parent.one} and its number of {child.many}",
        [name, COUNT],
        group=key,
    )
    for c in parent.plain:
        for end, order in (("most", "desc"), ("fewest", "asc")):
            yield item(
                "owner with most",
                [
                    f"what is the {c.noun} of the {parent.one} with the {end} {child.many}?",
                    f"find the {c.noun} of the {parent.one} that has the {end} {child.many}.",
                ],
                f"the {c.noun} of the {parent.one} with the {end} {child.many}",
                [Term(parent, c)],
                group=key,
                order=(COUNT, order),
                limit=1,
            )
        for k in (1, 2, 3):
            some = f"{parent.many} with more than {amount(k, child)}"
            yield item(
                "owners with many",
                listed(c.nouns, some),
                f"the {c.nouns} of the {some}",
                [Term(parent, c)],
                group=key,
                having=(Condition(COUNT, ">", k),),
            )
        none = Query((child,), (key,))
        some = f"{parent.many} that have no {child.many}"
        where = (Condition(Term(parent, parent.primary), "in", none, negated=True),)
        yield Item(
            db,
            "owners of none",
            Query((parent,), (Term(parent, c),), where=where),
            listed(c.nouns, some),
            f"the {c.nouns} of the {some}",
        )


def all_items():
    """Every item of every database, in a fixed order, each query once."""
    seen = set()
    for db in demo_databases.DATABASES:
        items = [i for t in db.tables for i in one_table_items(db, t)]
        items += [i for child, parent in db.joins for i in two_table_items(db, child, parent)]
        for item in items:
            if (db.name, item.sql) not in seen:
                seen.add((db.name, item.sql))
                yield item
