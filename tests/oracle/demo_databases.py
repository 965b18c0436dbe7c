"""The five databases of spider_db/demo: tables, rows, and the words that questions use for them.

Imported by demo_spider.py, which makes the files; it has no command of its own.
Schemas are short (at most about 90 tokens each), because the demo trains on two processor cores.
"""

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    name: str
    kind: str  # "primary", "key", "label", "group" or "number"
    noun: str = ""
    nouns: str = ""
    equal: str = ""  # group: "from {}"
    either: str = ""  # group, after "or"
    over: str = ""  # number: "older than {}"
    under: str = ""
    top: str = ""  # number: "oldest"
    bottom: str = ""
    grid: tuple = ()  # number: the values that questions name
    grouped: bool = False  # a label that also groups

    @property
    def type(self):
        return "text" if self.kind in ("label", "group") else "number"

    @property
    def article(self):
        return "an" if self.noun[0] in "aeiou" else "a"


@dataclass(frozen=True, eq=False)
class Table:
    name: str
    one: str
    many: str
    columns: tuple
    rows: tuple
    relation: str = ""  # child to parent: books "by" authors

    @property
    def primary(self):
        """The primary key column, None when the key is made of the foreign keys."""
        return next((c for c in self.columns if c.kind == "primary"), None)

    @property
    def label(self):
        return next(c for c in self.columns if c.kind == "label")

    @property
    def groups(self):
        return [c for c in self.columns if c.kind == "group" or c.grouped]

    @property
    def numbers(self):
        return [c for c in self.columns if c.kind == "number"]

    @property
    def plain(self):
        return [c for c in self.columns if c.kind not in ("primary", "key")]

    @property
    def keys(self):
        return [c for c in self.columns if c.kind == "key"]

    def key_of(self, parent):
        return next(c for c in self.keys if c.name == parent.primary.name)

    def values(self, column):
        place = self.columns.index(column)
        return sorted({row[place] for row in self.rows})


@dataclass(frozen=True, eq=False)
class Database:
    name: str
    tables: tuple
    joins: tuple  # (child, parent)

    def column_id(self, table, column):
        """Spider numbers the columns of all tables from 1; 0 is `*`."""
        flat = [(t, c) for t in self.tables for c in t.columns]
        return 1 + next(i for i, (t, c) in enumerate(flat) if t is table and c is column)

    def primary_keys(self):
        """Every column of every primary key: two numbers of one table are one composite key."""
        for t in self.tables:
            yield from (self.column_id(t, c) for c in ([t.primary] if t.primary else t.keys))

    def schema(self):
        """This database's element of tables.json."""
        flat = [(i, c) for i, t in enumerate(self.tables) for c in t.columns]
        return {
            "db_id": self.name,
            "table_names_original": [t.name for t in self.tables],
            "table_names": [t.name.replace("_", " ") for t in self.tables],
            "column_names_original": [[-1, "*"]] + [[i, c.name] for i, c in flat],
            "column_names": [[-1, "*"]] + [[i, c.name.replace("_", " ")] for i, c in flat],
            "column_types": ["text"] + [c.type for _, c in flat],
            "primary_keys": list(self.primary_keys()),
            "foreign_keys": [
                [
                    self.column_id(child, child.key_of(parent)),
                    self.column_id(parent, parent.primary),
                ]
                for child, parent in self.joins
            ],
        }

    def prompt(self):
        """The schema as minuano's prompts show it: one CREATE TABLE a line."""
        lines = []
        for t in self.tables:
            parts = [
                f"{c.name} {c.type}" + (" PRIMARY KEY" if c is t.primary else "") for c in t.columns
            ]
            if not t.primary:
                parts.append(f"PRIMARY KEY ({', '.join(c.name for c in t.keys)})")
            for child, parent in self.joins:
                if child is t:
                    key = parent.primary.name
                    parts.append(f"FOREIGN KEY ({key}) REFERENCES {parent.name} ({key})")
            lines.append(f"CREATE TABLE {t.name} ({', '.join(parts)});")
        return "\n".join(lines)

    def connect(self, path=":memory:"):
        """A connection to a new database with every row in it."""
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA page_size = 1024")
        script = (
            self.prompt()
            .replace(" number PRIMARY KEY", " integer PRIMARY KEY")
            .replace(" number", " integer")
        )
        connection.executescript(script)
        for t in self.tables:
            marks = ", ".join("?" * len(t.columns))
            connection.executemany(f"INSERT INTO {t.name} VALUES ({marks})", t.rows)
        connection.commit()
        return connection

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        connection = self.connect(path)
        connection.execute("VACUUM")
        connection.close()


def primary(name):
    return Column(name, "primary")


def key(name):
    return Column(name, "key")


def label(name, **words):
    return Column(name, "label", name, name + "s", **words)


def group(name, nouns, equal, either=None):
    return Column(name, "group", name, nouns, equal=equal, either=either or equal)


def number(name, over, under, top, bottom, grid, noun=None, nouns=None):
    return Column(
        name,
        "number",
        noun or name,
        nouns or (noun or name) + "s",
        over=over,
        under=under,
        top=top,
        bottom=bottom,
        grid=tuple(grid),
    )


FARM = Table(
    "farm",
    "farm",
    "farms",
    (
        primary("farm_id"),
        label("name"),
        group("region", "regions", "in the {}"),
        number(
            "area",
            "with an area above {}",
            "with an area below {}",
            "largest",
            "smallest",
            range(20, 90, 10),
        ),
    ),
    (
        (1, "Green Hill", "north", 35),
        (2, "Old Mill", "south", 62),
        (3, "Sunny Field", "east", 48),
        (4, "Long Lake", "north", 85),
        (5, "Red Barn", "west", 27),
        (6, "Blue Creek", "south", 74),
        (7, "Stone Gate", "east", 19),
        (8, "High Meadow", "north", 56),
    ),
)
ANIMAL = Table(
    "animal",
    "animal",
    "animals",
    (
        primary("animal_id"),
        label("name"),
        group("species", "species", "of the species {}"),
        number(
            "weight",
            "heavier than {} kilos",
            "lighter than {} kilos",
            "heaviest",
            "lightest",
            range(50, 650, 100),
        ),
        key("farm_id"),
    ),
    (
        (1, "Bella", "cow", 520, 1),
        (2, "Rosa", "cow", 610, 2),
        (3, "Tom", "goat", 64, 2),
        (4, "Luna", "horse", 480, 4),
        (5, "Max", "sheep", 72, 4),
        (6, "Daisy", "sheep", 81, 4),
        (7, "Bruno", "horse", 455, 6),
        (8, "Mia", "goat", 49, 8),
        (9, "Otto", "cow", 575, 8),
        (10, "Lily", "sheep", 45, 3),
        (11, "Rex", "horse", 390, 2),
        (12, "Nina", "goat", 58, 6),
        (13, "Emma", "cow", 340, 8),
        (14, "Gus", "sheep", 66, 2),
    ),
    relation="on",
)

AUTHOR = Table(
    "author",
    "author",
    "authors",
    (
        primary("author_id"),
        label("name"),
        group("country", "countries", "from {}"),
        number("age", "older than {}", "younger than {}", "oldest", "youngest", range(30, 80, 5)),
    ),
    (
        (1, "Ana Costa", "Brazil", 44),
        (2, "Peter Lind", "Norway", 67),
        (3, "Sara Kim", "Korea", 36),
        (4, "Marie Blanc", "France", 58),
        (5, "Joao Dias", "Brazil", 71),
        (6, "Ingrid Moe", "Norway", 39),
        (7, "Paul Roux", "France", 29),
        (8, "Lee Park", "Korea", 52),
    ),
)
BOOK = Table(
    "book",
    "book",
    "books",
    (
        primary("book_id"),
        label("title"),
        group("genre", "genres", "of the genre {}"),
        number(
            "pages",
            "with more than {} pages",
            "with fewer than {} pages",
            "longest",
            "shortest",
            range(100, 500, 50),
            "number of pages",
            "numbers of pages",
        ),
        key("author_id"),
    ),
    (
        (1, "Night Train", "crime", 310, 2),
        (2, "White Sand", "poetry", 95, 1),
        (3, "The Tide", "novel", 420, 1),
        (4, "Cold Harbour", "crime", 275, 6),
        (5, "Paper Moon", "novel", 365, 3),
        (6, "Silver Leaf", "poetry", 120, 4),
        (7, "Lost Map", "travel", 240, 5),
        (8, "Far Islands", "travel", 185, 2),
        (9, "Empty House", "crime", 330, 4),
        (10, "Garden Song", "poetry", 110, 8),
        (11, "Northern Road", "travel", 205, 2),
        (12, "Last Summer", "novel", 455, 4),
        (13, "Deep River", "novel", 290, 5),
        (14, "Quiet Street", "crime", 260, 1),
    ),
    relation="by",
)

FERRY = Table(
    "ferry",
    "ferry",
    "ferries",
    (
        primary("ferry_id"),
        label("name"),
        group("harbour", "harbours", "based in {}"),
        number(
            "seats",
            "with more than {} seats",
            "with fewer than {} seats",
            "largest",
            "smallest",
            range(40, 200, 20),
            "number of seats",
            "numbers of seats",
        ),
    ),
    (
        (1, "Albatross", "Bergen", 120),
        (2, "Pelican", "Lisbon", 85),
        (3, "Seagull", "Bergen", 60),
        (4, "Dolphin", "Piraeus", 180),
        (5, "Marlin", "Lisbon", 145),
        (6, "Osprey", "Dover", 95),
        (7, "Turtle", "Piraeus", 45),
        (8, "Walrus", "Dover", 155),
    ),
)
TRIP = Table(
    "trip",
    "trip",
    "trips",
    (
        primary("trip_id"),
        label("destination"),
        group("season", "seasons", "in {}"),
        number(
            "price",
            "that cost more than {}",
            "that cost less than {}",
            "most expensive",
            "cheapest",
            range(10, 80, 10),
        ),
        key("ferry_id"),
    ),
    (
        (1, "Corfu", "summer", 55, 4),
        (2, "Crete", "spring", 42, 4),
        (3, "Malta", "autumn", 38, 2),
        (4, "Calais", "winter", 18, 6),
        (5, "Skye", "summer", 27, 1),
        (6, "Faroe", "spring", 64, 1),
        (7, "Madeira", "summer", 72, 5),
        (8, "Hydra", "autumn", 22, 7),
        (9, "Jersey", "spring", 31, 8),
        (10, "Naxos", "summer", 47, 4),
        (11, "Azores", "winter", 66, 5),
        (12, "Ostend", "autumn", 15, 8),
        (13, "Tinos", "spring", 35, 4),
        (14, "Lofoten", "summer", 58, 1),
    ),
    relation="on",
)

STUDENT = Table(
    "student",
    "student",
    "students",
    (
        primary("student_id"),
        label("name"),
        group("city", "cities", "from {}"),
        number("age", "older than {}", "younger than {}", "oldest", "youngest", range(10, 28, 2)),
    ),
    (
        (1, "Clara", "Vienna", 12),
        (2, "David", "Prague", 17),
        (3, "Elsa", "Vienna", 21),
        (4, "Felix", "Graz", 15),
        (5, "Greta", "Prague", 25),
        (6, "Hugo", "Vienna", 11),
        (7, "Irene", "Graz", 19),
        (8, "Jakob", "Brno", 23),
    ),
)
TEACHER = Table(
    "teacher",
    "teacher",
    "teachers",
    (
        primary("teacher_id"),
        label("name"),
        number(
            "salary",
            "earning more than {}",
            "earning less than {}",
            "best paid",
            "worst paid",
            range(30, 80, 5),
            nouns="salaries",
        ),
    ),
    ((1, "Weber", 42), (2, "Novak", 58), (3, "Huber", 36), (4, "Dvorak", 71), (5, "Bauer", 49)),
)
LESSON = Table(
    "lesson",
    "lesson",
    "lessons",
    (
        key("student_id"),
        key("teacher_id"),
        label("instrument", grouped=True, equal="on the {}", either="on the {}"),
        number(
            "minutes",
            "longer than {} minutes",
            "shorter than {} minutes",
            "longest",
            "shortest",
            range(25, 95, 10),
            "number of minutes",
            "numbers of minutes",
        ),
    ),
    (
        (1, 1, "piano", 30),
        (1, 3, "flute", 45),
        (2, 2, "violin", 60),
        (3, 4, "piano", 90),
        (3, 2, "violin", 50),
        (4, 1, "piano", 40),
        (5, 4, "cello", 75),
        (6, 3, "flute", 20),
        (7, 2, "violin", 55),
        (7, 1, "piano", 60),
        (5, 2, "cello", 80),
        (2, 1, "piano", 35),
    ),
    relation="of",
)

MUSEUM = Table(
    "museum",
    "museum",
    "museums",
    (
        primary("museum_id"),
        label("name"),
        group("city", "cities", "in {}"),
        number(
            "rooms",
            "with more than {} rooms",
            "with fewer than {} rooms",
            "largest",
            "smallest",
            range(5, 50, 5),
            "number of rooms",
            "numbers of rooms",
        ),
    ),
    (
        (1, "Modern Wing", "Madrid", 24),
        (2, "City Gallery", "Oslo", 12),
        (3, "Royal House", "Madrid", 46),
        (4, "Glass Hall", "Rome", 31),
        (5, "East Side", "Berlin", 9),
        (6, "Tower Rooms", "Oslo", 17),
        (7, "Villa Rossi", "Rome", 6),
        (8, "Iron Bridge", "Berlin", 38),
    ),
)
PAINTING = Table(
    "painting",
    "painting",
    "paintings",
    (
        primary("painting_id"),
        label("title"),
        group("style", "styles", "in the {} style"),
        number(
            "value",
            "worth more than {}",
            "worth less than {}",
            "most valuable",
            "least valuable",
            range(15, 95, 10),
        ),
        key("museum_id"),
    ),
    (
        (1, "The Window", "cubist", 80, 3),
        (2, "Harvest", "realist", 35, 1),
        (3, "Blue Dream", "abstract", 60, 1),
        (4, "Fishermen", "realist", 25, 4),
        (5, "Morning", "baroque", 90, 3),
        (6, "Two Chairs", "cubist", 45, 2),
        (7, "Storm", "baroque", 70, 4),
        (8, "Yellow Line", "abstract", 20, 6),
        (9, "Dancers", "realist", 55, 8),
        (10, "The Bridge", "cubist", 65, 8),
        (11, "Market Day", "realist", 40, 3),
        (12, "Silence", "abstract", 15, 5),
        (13, "Old Man", "baroque", 85, 3),
        (14, "Red Square", "abstract", 50, 8),
    ),
    relation="in",
)

DATABASES = (
    Database("book_club", (AUTHOR, BOOK), ((BOOK, AUTHOR),)),
    Database("city_museum", (MUSEUM, PAINTING), ((PAINTING, MUSEUM),)),
    Database("farm_life", (FARM, ANIMAL), ((ANIMAL, FARM),)),
    Database("ferry_line", (FERRY, TRIP), ((TRIP, FERRY),)),
    Database("music_school", (STUDENT, TEACHER, LESSON), ((LESSON, STUDENT), (LESSON, TEACHER))),
)
