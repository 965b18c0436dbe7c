"""One structure for a query of the demo, its SQL text, its parse as Spider keeps it, its hardness.

Imported by demo_questions.py; it has no command of its own. Text and parse come from the same
Query, so the two cannot disagree.
"""

from dataclasses import dataclass
from typing import Optional

from demo_databases import Column, Table

AGGREGATES = ("none", "max", "min", "count", "sum", "avg")
OPERATORS = ("not", "between", "=", ">", "<", ">=", "<=", "!=", "in", "like")


@dataclass(frozen=True)
class Term:
    """A column, or `*`, with an aggregate around it."""

    table: Optional[Table]
    column: Optional[Column]
    aggregate: str = "none"
    distinct: bool = False


@dataclass(frozen=True)
class Condition:
    term: Term
    operator: str
    value: object  # number, string, or Query
    value2: object = None
    negated: bool = False


@dataclass(frozen=True)
class Query:
    tables: tuple  # one table, or (child, parent) joined over child.key = parent.key
    select: tuple
    distinct: bool = False
    where: tuple = ()  # conditions with "and" / "or" between them
    group: Optional[Term] = None
    having: tuple = ()
    order: Optional[tuple] = None  # (term, "asc" or "desc")
    limit: Optional[int] = None
    set_operator: Optional[tuple] = None  # ("intersect" | "union" | "except", Query)


STAR = Term(None, None)
COUNT = Term(None, None, "count")


def sql_text(query):
    """The query as one line of SQLite."""
    joined = len(query.tables) == 2

    def term(t):
        name = "*" if t.column is None else t.column.name
        if joined and t.column is not None:
            name = f"T{query.tables.index(t.table) + 1}.{name}"
        if t.distinct:
            name = f"DISTINCT {name}"
        return name if t.aggregate == "none" else f"{t.aggregate}({name})"

    def literal(value):
        if isinstance(value, Query):
            return f"({sql_text(value)})"
        return f"'{value}'" if isinstance(value, str) else str(value)

    def condition(c):
        operator = ("not " if c.negated else "") + c.operator
        text = f"{term(c.term)} {operator.upper()} {literal(c.value)}"
        return text if c.value2 is None else f"{text} AND {literal(c.value2)}"

    def conditions(items):
        return " ".join(c.upper() if isinstance(c, str) else condition(c) for c in items)

    text = "SELECT " + ("DISTINCT " if query.distinct else "")
    text += ", ".join(term(t) for t in query.select)
    if joined:
        child, parent = query.tables
        key = child.key_of(parent).name
        text += f" FROM {child.name} AS T1 JOIN {parent.name} AS T2 ON T1.{key} = T2.{key}"
    else:
        text += f" FROM {query.tables[0].name}"
    if query.where:
        text += f" WHERE {conditions(query.where)}"
    if query.group:
        text += f" GROUP BY {term(query.group)}"
    if query.having:
        text += f" HAVING {conditions(query.having)}"
    if query.order:
        text += f" ORDER BY {term(query.order[0])}" + (" DESC" if query.order[1] == "desc" else "")
    if query.limit:
        text += f" LIMIT {query.limit}"
    if query.set_operator:
        text += f" {query.set_operator[0].upper()} {sql_text(query.set_operator[1])}"
    return text


def parse_of(query, database):
    """The query in the form that Spider's process_sql.get_sql returns."""
    tables = list(database.tables)

    def column_unit(t, aggregate):
        number = 0 if t.column is None else database.column_id(t.table, t.column)
        return [AGGREGATES.index(aggregate), number, t.distinct]

    def value_unit(t, aggregate=None):
        return [0, column_unit(t, aggregate or t.aggregate), None]

    def literal(value):
        if isinstance(value, Query):
            return parse_of(value, database)
        if isinstance(value, str):
            return f'"{value}"'
        return None if value is None else float(value)

    def conditions(items):
        return [
            c
            if isinstance(c, str)
            else [
                c.negated,
                OPERATORS.index(c.operator),
                value_unit(c.term),
                literal(c.value),
                literal(c.value2),
            ]
            for c in items
        ]

    joins = []
    if len(query.tables) == 2:
        child, parent = query.tables
        left, right = Term(child, child.key_of(parent)), Term(parent, parent.primary)
        joins = [[False, OPERATORS.index("="), value_unit(left), column_unit(right, "none"), None]]
    parse = {
        "from": {
            "table_units": [["table_unit", tables.index(t)] for t in query.tables],
            "conds": joins,
        },
        "select": [
            query.distinct,
            [[AGGREGATES.index(t.aggregate), value_unit(t, "none")] for t in query.select],
        ],
        "where": conditions(query.where),
        "groupBy": [column_unit(query.group, "none")] if query.group else [],
        "having": conditions(query.having),
        "orderBy": [query.order[1], [value_unit(query.order[0])]] if query.order else [],
        "limit": query.limit,
        "intersect": None,
        "union": None,
        "except": None,
    }
    if query.set_operator:
        parse[query.set_operator[0]] = parse_of(query.set_operator[1], database)
    return parse


def hardness(sql):
    """Spider's hardness of a parsed query, for the summary that this script prints."""
    conditions = [sql["from"]["conds"], sql["where"], sql["having"]]
    units = [c for part in conditions for c in part if not isinstance(c, str)]
    c1 = (
        sum(bool(sql[k]) for k in ("where", "groupBy", "orderBy", "limit"))
        + len(sql["from"]["table_units"])
        - 1
    )
    c1 += sum(c == "or" for part in conditions for c in part) + sum(
        c[1] == OPERATORS.index("like") for c in units
    )
    c2 = sum(isinstance(v, dict) for c in units for v in c[3:5])
    c2 += sum(sql[k] is not None for k in ("intersect", "union", "except"))
    aggregates = sum(s[0] != 0 for s in sql["select"][1])
    aggregates += sum(c[0] != 0 for c in sql["where"] if not isinstance(c, str))
    aggregates += sum(g[0] != 0 for g in sql["groupBy"])
    if sql["orderBy"]:
        aggregates += sum(u[0] != 0 for v in sql["orderBy"][1] for u in v[1:] if u)
    aggregates += sum(c[0] != 0 for c in sql["having"])
    others = (
        (aggregates > 1)
        + (len(sql["select"][1]) > 1)
        + (len(sql["where"]) > 1)
        + (len(sql["groupBy"]) > 1)
    )
    if c1 <= 1 and others == 0 and c2 == 0:
        return "easy"
    if c2 == 0 and ((others <= 2 and c1 <= 1) or (c1 <= 2 and others < 2)):
        return "medium"
    if (
        (others > 2 and c1 <= 2 and c2 == 0)
        or (2 < c1 <= 3 and others <= 2 and c2 == 0)
        or (c1 <= 1 and others == 0 and c2 <= 1)
    ):
        return "hard"
    return "extra"
