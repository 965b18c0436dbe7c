"""Verdicts of the official test-suite evaluator on queries made to part it from others.

    python3 spider_verdicts.py CHECKOUT > ../fixtures/spider/verdicts.jsonl

CHECKOUT is a clone of https://github.com/taoyds/test-suite-sql-eval; needs sqlparse and tqdm. A line is a gold query, a
prediction, and what the evaluator says with DISTINCT removed (its default) and kept. The prediction is stripped and cut
at its first tab, as the evaluator's front end reads its file; that this also makes "1" of every "value" is left out.
"""
import json
import pathlib
import sqlite3
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
sys.path.insert(0, sys.argv[1])
from exec_eval import eval_exec_match  # noqa: E402

NAMES = "SELECT name FROM singer"
PAIRS = [
    # columns in any order, but the same columns
    ("SELECT name, age FROM singer", "SELECT age, name FROM singer"),
    ("SELECT name, age FROM singer", "SELECT name FROM singer"),
    ("SELECT name, age FROM singer", "SELECT name, age, age FROM singer"),
    ("SELECT age, age FROM singer", "SELECT age, id FROM singer"),
    ("SELECT id, age FROM singer", "SELECT id, id FROM singer"),
    ("SELECT id, singer_id, year FROM concert", "SELECT year, id, singer_id FROM concert"),
    ("SELECT * FROM wide", "SELECT f, e, d, c, b, a FROM wide"),
    ("SELECT * FROM wide", "SELECT a, a, c, d, e, f FROM wide"),
    ("SELECT a, b, c FROM wide", "SELECT d, e, f FROM wide"),
    ("SELECT a, e, f FROM wide", "SELECT b, c, f FROM wide"),
    # rows: how often each is there counts, their order where the gold query says so
    (NAMES, NAMES + " ORDER BY name"),
    (NAMES + " ORDER BY id", NAMES + " ORDER BY id DESC"),
    (NAMES + " ORDER BY id", NAMES),
    (NAMES, "SELECT DISTINCT name FROM singer"),
    ("SELECT DISTINCT name FROM singer", NAMES),
    (NAMES, "SELECT name FROM singer GROUP BY name"),
    (NAMES, NAMES + " UNION ALL " + NAMES),
    (NAMES, NAMES + " UNION " + NAMES),
    ("SELECT place FROM concert", "SELECT place FROM concert WHERE id < 5 UNION ALL SELECT 'Lima'"),
    ("SELECT name FROM singer WHERE id IN (SELECT singer_id FROM concert ORDER BY year)",
     "SELECT name FROM singer WHERE id IN (SELECT singer_id FROM concert) ORDER BY id DESC"),
    ("SELECT name FROM singer WHERE note = 'order by' OR id < 3", "SELECT name FROM singer WHERE id IN (7, 2, 1) ORDER BY id DESC"),
    (NAMES + " ORDER\nBY id", NAMES + " ORDER BY id DESC"),
    (NAMES + " Order By id", NAMES + " ORDER BY id DESC"),
    ("SELECT age FROM singer ORDER BY age", "SELECT age FROM singer ORDER BY age, id"),
    ("SELECT name FROM singer ORDER BY age LIMIT 1", "SELECT name FROM singer WHERE age IS NULL"),
    # DISTINCT is a token, whatever its case, not a word within others
    ("SELECT count(DISTINCT country) FROM singer", "SELECT count(country) FROM singer"),
    ("SELECT count(DISTINCT country) FROM singer", "SELECT count(distinct  country) FROM singer"),
    ("SELECT count(DISTINCT(country)) FROM singer", "SELECT count(*) FROM singer"),
    ("SELECT note FROM singer WHERE note = 'distinct'", "SELECT 'distinct'"),
    ("SELECT note FROM singer WHERE note = 'distinct'", "SELECT ''"),
    ("SELECT note FROM singer WHERE note = \"distinct\"", "SELECT DISTINCT note FROM singer WHERE id = 1"),
    ("SELECT name FROM singer -- DISTINCT", "SELECT /* distinct */ name FROM singer"),
    ("SELECT DISTINCT country FROM singer UNION SELECT DISTINCT place FROM concert",
     "SELECT country FROM singer UNION SELECT place FROM concert"),
    ("SELECT country FROM singer EXCEPT SELECT DISTINCT country FROM singer WHERE age > 40",
     "SELECT country FROM singer WHERE country <> 'Chile' OR country IS NULL GROUP BY country"),
    ("SELECT sum(DISTINCT fee) FROM singer", "SELECT sum(fee) FROM singer"),
    # types
    ("SELECT 1", "SELECT 1.0"),
    ("SELECT 1", "SELECT '1'"),
    ("SELECT 1, 10", "SELECT 10.0, 1.0"),
    ("SELECT 1, 10", "SELECT 1.0, 10"),
    ("SELECT fee FROM singer", "SELECT CAST(fee AS INTEGER) FROM singer"),
    ("SELECT fee FROM singer WHERE id IN (1, 3, 4)", "SELECT CAST(fee AS INTEGER) FROM singer WHERE id IN (1, 3, 4)"),
    ("SELECT id, fee FROM singer WHERE id IN (1, 3, 4)", "SELECT id, CAST(fee AS INTEGER) FROM singer WHERE id IN (1, 3, 4)"),
    ("SELECT age FROM singer", "SELECT CAST(age AS TEXT) FROM singer"),
    ("SELECT avg(age) FROM singer", "SELECT sum(age) * 1.0 / count(age) FROM singer"),
    ("SELECT avg(age) FROM singer", "SELECT sum(age) / count(age) FROM singer"),
    ("SELECT avg(age) FROM singer", "SELECT sum(age) / count(*) FROM singer"),
    ("SELECT 0.1 + 0.2", "SELECT 0.3"),
    ("SELECT fee FROM singer WHERE id = 6", "SELECT 100000000000000000000"),
    ("SELECT 9007199254740993", "SELECT 9007199254740992.0"),
    ("SELECT NULL", "SELECT country FROM singer WHERE id = 5"),
    ("SELECT NULL", "SELECT ''"),
    ("SELECT NULL, 1", "SELECT 'None', 1"),
    ("SELECT country FROM singer WHERE id = 1", "SELECT 'brazil'"),
    ("SELECT note FROM singer WHERE id = 6", "SELECT x'00ff'"),
    ("SELECT note FROM singer WHERE id = 6", "SELECT CAST(x'00ff' AS TEXT)"),
    ("SELECT name FROM singer WHERE id = 6", "SELECT 'Jo'"),
    ("SELECT name, id FROM singer WHERE id = 6", "SELECT 6, 'Jo'"),
    ("SELECT 9e999, -9e999", "SELECT -9e999, 9e999"),
    # no rows
    ("SELECT a FROM vacant", "SELECT a, b FROM vacant"),
    ("SELECT a FROM vacant", "SELECT name FROM singer WHERE id > 99"),
    ("SELECT a FROM vacant", NAMES),
    (NAMES, "SELECT a FROM vacant"),
    ("SELECT count(*) FROM vacant", "SELECT 0"),
    ("SELECT sum(a) FROM vacant", "SELECT 0"),
    ("SELECT a FROM vacant", "SELECT no_such_column FROM vacant"),
    ("SELECT a FROM vacant", "SELECT a FROM no_such_table"),
    # how it is written
    (NAMES, NAMES + ";"),
    (NAMES, NAMES + " ; "),
    (NAMES, NAMES + ";;"),
    (NAMES, NAMES + "; SELECT 1"),
    (NAMES, NAMES + "; DROP TABLE nothing_here"),
    (NAMES, NAMES + "; -- all of them"),
    (NAMES, NAMES + "; # all of them"),
    (NAMES, NAMES + " # all of them"),
    (NAMES, NAMES + " -- all of them"),
    (NAMES, NAMES + " /* all of them */"),
    (NAMES, NAMES + " /* all of them"),
    (NAMES, "-- all of them\n" + NAMES),
    (NAMES, NAMES + "\tWHERE id = 1"),
    (NAMES, "SELECT\tname FROM singer"),
    (NAMES, "\u00a0" + NAMES + "\u3000"),
    (NAMES, "SELECT\u00a0name FROM singer"),
    (NAMES, "SELECT name\r\nFROM\n\nsinger"),
    (NAMES, "select NAME from SINGER"),
    (NAMES, "SELECT `name` FROM `singer`"),
    (NAMES, "SELECT [name] FROM [singer]"),
    (NAMES, "SELECT \"name\" FROM \"singer\""),
    (NAMES, "SELECT 'name' FROM singer"),
    (NAMES, "SELECT singer.name FROM singer AS T1"),
    (NAMES, "SELECT T1.name FROM singer AS T1"),
    (NAMES, "(SELECT name FROM singer)"),
    (NAMES, "SELECT * FROM (SELECT name FROM singer)"),
    (NAMES, "WITH t AS (SELECT name FROM singer) SELECT * FROM t"),
    (NAMES, "SELECT name FROM singer WHERE"),
    (NAMES, "SELEC name FROM singer"),
    (NAMES, "EXPLAIN SELECT name FROM singer"),
    (NAMES, "DELETE FROM singer"),
    ("SELECT name FROM singer WHERE country = \"Brazil\"", "SELECT name FROM singer WHERE country = 'Brazil'"),
    ("SELECT name FROM singer WHERE country = \"Brazil\"", "SELECT name FROM singer WHERE country = `Brazil`"),
    ("SELECT name FROM singer WHERE country = 'Brazil'", "SELECT name FROM singer WHERE country = \"name\""),
    ("SELECT name FROM singer WHERE country = 'Brazil'", "SELECT name FROM singer WHERE country = 'brazil'"),
    ("SELECT name FROM singer WHERE country = 'Brazil'", "SELECT name FROM singer WHERE country LIKE 'brazil'"),
    ("SELECT name FROM singer WHERE note = 'it''s'", "SELECT name FROM singer WHERE note = \"it's\""),
    ("SELECT name FROM singer WHERE note = 'it''s'", "SELECT name FROM singer WHERE note = 'it\\'s'"),
    ("SELECT name FROM singer WHERE note = 'a;b'", "SELECT name FROM singer WHERE note = 'a;b'; x"),
    ("SELECT \"group\" FROM concert", "SELECT `group` FROM concert"),
    ("SELECT \"group\" FROM concert", "SELECT group FROM concert"),
    ("SELECT name FROM singer WHERE age >= 30", "SELECT name FROM singer WHERE age > = 30"),
    ("SELECT name FROM singer WHERE age <= 30", "SELECT name FROM singer WHERE age < = 30"),
    ("SELECT name FROM singer WHERE age != 30", "SELECT name FROM singer WHERE age ! = 30"),
    ("SELECT name FROM singer WHERE age != 30", "SELECT name FROM singer WHERE age <> 30"),
    ("SELECT name FROM singer WHERE age >= 30", "SELECT name FROM singer WHERE age >  = 30"),
    ("SELECT place FROM concert WHERE year = 2020", "SELECT place FROM concert WHERE year = YEAR(CURDATE())"),
    ("SELECT place FROM concert WHERE year = 2020", "SELECT place FROM concert WHERE year = year ( curdate ( ) ) "),
    ("SELECT place FROM concert WHERE year = YEAR(CURDATE())", "SELECT place FROM concert WHERE id = 4"),
    ("SELECT place FROM concert WHERE year = 2020", "SELECT place FROM concert WHERE year = YEAR(NOW())"),
    ("SELECT name FROM singer WHERE note = '2020'", "SELECT name FROM singer WHERE note = 'YEAR(CURDATE())'"),
    ("SELECT count(*) FROM singer", "SELECT count(*) AS value FROM singer LIMIT 1"),
    ("SELECT count(*) FROM singer", "SELECT CASE WHEN 1 THEN 7 ELSE 'a;b' END"),
    ("SELECT count(*) FROM singer", "SELECT CASE WHEN 1 THEN 7 END; SELECT 8"),
    ("SELECT name FROM singer WHERE id IS 1", "SELECT name FROM singer WHERE id IS NOT DISTINCT FROM 1"),
    ("SELECT T1.name FROM singer AS T1 JOIN concert AS T2 ON T1.id = T2.singer_id",
     "SELECT name FROM singer, concert WHERE singer.id = singer_id"),
    ("SELECT T1.name FROM singer AS T1 JOIN concert AS T2 ON T1.id = T2.singer_id",
     "SELECT T1.name FROM singer T1 LEFT JOIN concert T2 ON T1.id = T2.singer_id"),
    ("SELECT T1.name FROM singer AS T1 JOIN concert AS T2 ON T1.id = T2.singer_id",
     "SELECT name FROM singer JOIN concert USING (id)"),
    ("SELECT count(*) FROM singer WHERE id NOT IN (SELECT singer_id FROM concert)",
     "SELECT count(*) FROM singer WHERE NOT EXISTS (SELECT 1 FROM concert WHERE singer_id = singer.id)"),
    ("SELECT name FROM singer WHERE born LIKE '1990%'", "SELECT name FROM singer WHERE strftime('%Y', born) = '1990'"),
    ("SELECT name FROM singer WHERE born LIKE '1990%'", "SELECT name FROM singer WHERE YEAR(born) = 1990"),
    ("SELECT name, count(*) FROM singer GROUP BY name", "SELECT count(*), name FROM singer GROUP BY 2"),
    ("SELECT name FROM singer GROUP BY name HAVING count(*) > 1", "SELECT name FROM singer WHERE count(*) > 1"),
    ("SELECT name FROM singer LIMIT 3", "SELECT name FROM singer ORDER BY id LIMIT 3"),
    ("SELECT count(*) FROM wide a, wide b, wide c", "SELECT 125"),
]


def main():
    fixtures = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "spider"
    with tempfile.TemporaryDirectory() as folder:
        database = folder + "/verdicts.sqlite"
        connection = sqlite3.connect(database)
        connection.executescript((fixtures / "verdicts.sql").read_text(encoding="utf-8"))
        connection.commit()
        connection.close()
        before = pathlib.Path(database).read_bytes()
        for gold, pred in PAIRS:
            verdict = {}
            for key, keep in (("official", False), ("distinct", True)):
                verdict[key] = eval_exec_match(db=database, p_str=pred.strip().split("\t")[0], g_str=gold, plug_value=False,
                                               keep_distinct=keep, progress_bar_for_each_datapoint=False)
                pathlib.Path(database).write_bytes(before)  # a prediction may have changed it
            print(json.dumps({"gold": gold, "pred": pred, **verdict}))


main()
