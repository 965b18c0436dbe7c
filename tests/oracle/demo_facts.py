"""The small facts of the demo, their wordings, and checkpoints/demo/mmlu in MMLU's layout.

    python3 tests/oracle/demo_facts.py    # writes checkpoints/demo/mmlu/{dev,val,test}/*.csv

Each subject is one relation between two words. The base model meets every fact in sentences; as a
question with options it meets the facts of the test files seldom (demo_text.RARE), and never one of
the files' own questions.
"""

import argparse
import csv
import random
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "checkpoints" / "demo" / "mmlu"
SEED = 42
LETTERS = "ABCD"
SIZES = {"dev": 5, "val": 5, "test": 24}  # questions a subject; some facts are in no split


def pairs(text):
    """The pairs of "France=Paris, Italy=Rome"."""
    return [tuple(part.strip().split("=")) for part in text.replace("\n", " ").split(",")]


CAPITALS = pairs("""
France=Paris, Italy=Rome, Spain=Madrid, Portugal=Lisbon, Germany=Berlin, Austria=Vienna,
Greece=Athens, Norway=Oslo, Sweden=Stockholm, Finland=Helsinki, Denmark=Copenhagen, Poland=Warsaw,
Hungary=Budapest, Ireland=Dublin, Belgium=Brussels, Iceland=Reykjavik, Russia=Moscow,
Turkey=Ankara, Egypt=Cairo, Kenya=Nairobi, Ghana=Accra, Nigeria=Abuja, Ethiopia=Addis Ababa,
Morocco=Rabat, Tunisia=Tunis, Japan=Tokyo, China=Beijing, India=New Delhi, Nepal=Kathmandu,
Thailand=Bangkok, Vietnam=Hanoi, Indonesia=Jakarta, Iran=Tehran, Iraq=Baghdad, Canada=Ottawa,
Mexico=Mexico City, Cuba=Havana, Brazil=Brasilia, Argentina=Buenos Aires, Chile=Santiago,
Peru=Lima, Uruguay=Montevideo, Colombia=Bogota, Ecuador=Quito, Australia=Canberra, Serbia=Belgrade
""")

ELEMENTS = pairs("""
hydrogen=H, helium=He, lithium=Li, beryllium=Be, boron=B, carbon=C, nitrogen=N, oxygen=O,
fluorine=F, neon=Ne, sodium=Na, magnesium=Mg, aluminium=Al, silicon=Si, phosphorus=P, sulfur=S,
chlorine=Cl, argon=Ar, potassium=K, calcium=Ca, titanium=Ti, chromium=Cr, manganese=Mn, iron=Fe,
cobalt=Co, nickel=Ni, copper=Cu, zinc=Zn, gallium=Ga, arsenic=As, bromine=Br, krypton=Kr,
silver=Ag, cadmium=Cd, tin=Sn, antimony=Sb, iodine=I, xenon=Xe, barium=Ba, tungsten=W,
platinum=Pt, gold=Au, mercury=Hg, lead=Pb, radium=Ra, uranium=U
""")

ANIMALS = pairs("""
dog=mammal, whale=mammal, bat=mammal, horse=mammal, tiger=mammal, elephant=mammal, dolphin=mammal,
mouse=mammal, eagle=bird, penguin=bird, owl=bird, parrot=bird, ostrich=bird, swan=bird,
robin=bird, heron=bird, shark=fish, salmon=fish, tuna=fish, trout=fish, carp=fish, cod=fish,
eel=fish, herring=fish, snake=reptile, lizard=reptile, crocodile=reptile, turtle=reptile,
gecko=reptile, iguana=reptile, cobra=reptile, frog=amphibian, toad=amphibian, newt=amphibian,
salamander=amphibian, bee=insect, ant=insect, butterfly=insect, beetle=insect, moth=insect,
wasp=insect, mosquito=insect, spider=arachnid, scorpion=arachnid, tick=arachnid, mite=arachnid
""")

OPPOSITES = pairs("""
hot=cold, big=small, tall=short, fast=slow, light=dark, early=late, full=empty, hard=soft,
high=low, old=young, rich=poor, strong=weak, wet=dry, wide=narrow, thick=thin, clean=dirty,
open=closed, loud=quiet, happy=sad, brave=afraid, true=false, near=far, deep=shallow, sharp=blunt,
smooth=rough, sweet=bitter, ancient=modern, cheap=expensive, safe=dangerous, simple=complex,
always=never, begin=end, buy=sell, give=take, push=pull, rise=fall, win=lose, love=hate,
north=south, east=west, left=right, day=night, summer=winter, friend=enemy, question=answer,
before=after
""")

BOOKS = pairs("""
Hamlet=Shakespeare, Faust=Goethe, Ulysses=Joyce, Emma=Austen, Dracula=Stoker,
Frankenstein=Shelley, Candide=Voltaire, Walden=Thoreau, Dubliners=Joyce, Middlemarch=Eliot,
Lolita=Nabokov, Beloved=Morrison, Utopia=More, Ivanhoe=Scott, Kim=Kipling, Dune=Herbert,
Emile=Rousseau, Othello=Shakespeare, Oliver Twist=Dickens, David Copperfield=Dickens,
Moby Dick=Melville, Don Quixote=Cervantes, War and Peace=Tolstoy, Anna Karenina=Tolstoy,
The Idiot=Dostoevsky, The Trial=Kafka, The Castle=Kafka, The Odyssey=Homer, The Iliad=Homer,
The Aeneid=Virgil, The Republic=Plato, The Prince=Machiavelli, The Decameron=Boccaccio,
The Plague=Camus, The Stranger=Camus, The Tempest=Shakespeare, Jane Eyre=Bronte,
Robinson Crusoe=Defoe, Treasure Island=Stevenson, Madame Bovary=Flaubert, Les Miserables=Hugo,
Animal Farm=Orwell, Brave New World=Huxley, Tom Sawyer=Twain, Dom Casmurro=Machado,
The Waves=Woolf
""")


CONTINENTS = pairs("""
France=Europe, Italy=Europe, Spain=Europe, Portugal=Europe, Germany=Europe, Austria=Europe,
Norway=Europe, Poland=Europe, Hungary=Europe, Ireland=Europe, Japan=Asia, China=Asia, India=Asia,
Nepal=Asia, Thailand=Asia, Vietnam=Asia, Mongolia=Asia, Iraq=Asia, Malaysia=Asia, Jordan=Asia,
Egypt=Africa, Kenya=Africa, Ghana=Africa, Nigeria=Africa, Ethiopia=Africa, Morocco=Africa,
Tunisia=Africa, Angola=Africa, Senegal=Africa, Zambia=Africa, Canada=North America,
Mexico=North America, Cuba=North America, Jamaica=North America, Panama=North America,
Haiti=North America, Brazil=South America, Argentina=South America, Chile=South America,
Peru=South America, Uruguay=South America, Colombia=South America, Ecuador=South America,
Australia=Oceania, Fiji=Oceania, Samoa=Oceania
""")

MUSIC = pairs("""
The Magic Flute=Mozart, Don Giovanni=Mozart, Fidelio=Beethoven, Carmen=Bizet, Aida=Verdi,
Rigoletto=Verdi, Otello=Verdi, Nabucco=Verdi, Tosca=Puccini, Turandot=Puccini,
Swan Lake=Tchaikovsky, The Nutcracker=Tchaikovsky, Messiah=Handel, Water Music=Handel,
Parsifal=Wagner, Lohengrin=Wagner, Bolero=Ravel, La Mer=Debussy, The Planets=Holst,
The Four Seasons=Vivaldi, The Creation=Haydn, Winterreise=Schubert, Peer Gynt=Grieg,
Finlandia=Sibelius, Ma Vlast=Smetana, Rusalka=Dvorak, Jenufa=Janacek, Salome=Strauss,
Elektra=Strauss, Wozzeck=Berg, Petrushka=Stravinsky, The Firebird=Stravinsky, Prince Igor=Borodin,
Boris Godunov=Mussorgsky, Scheherazade=Rimsky, Norma=Bellini, William Tell=Rossini, Faust=Gounod,
Manon=Massenet, Orfeo=Monteverdi, Dido and Aeneas=Purcell, Peter Grimes=Britten,
Porgy and Bess=Gershwin, Appalachian Spring=Copland, Bluebeard=Bartok, Elijah=Mendelssohn
""")


@dataclass(frozen=True)
class Subject:
    name: str
    facts: tuple  # (about, answer)
    questions: tuple  # wordings, {} is what the fact is about
    sentences: tuple  # {0} about, {1} answer

    @property
    def title(self):
        return self.name.replace("_", " ")


def with_article(word):
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


SUBJECTS = (
    Subject(
        "world_capitals",
        tuple(CAPITALS),
        (
            "What is the capital of {}?",
            "Which city is the capital of {}?",
            "The government of {} sits in which capital city?",
        ),
        (
            "The capital of {0} is {1}.",
            "{1} is the capital of {0}.",
            "The government of {0} sits in {1}.",
        ),
    ),
    Subject(
        "chemical_elements",
        tuple(ELEMENTS),
        (
            "What is the chemical symbol of {}?",
            "Which symbol stands for {} in the periodic table?",
            "Chemists write {} as which symbol?",
        ),
        (
            "The chemical symbol of {0} is {1}.",
            "{1} stands for {0} in the periodic table.",
            "Chemists write {0} as {1}.",
        ),
    ),
    Subject(
        "animal_classes",
        tuple((with_article(animal), kind) for animal, kind in ANIMALS),
        (
            "What kind of animal is {}?",
            "To which class of animals does {} belong?",
            "How do zoologists classify {}?",
        ),
        (
            "Zoologists classify {0} as {1}.",
            "What kind of animal is {0}? It is of the kind {1}.",
            "To the class {1} belongs {0}.",
        ),
    ),
    Subject(
        "word_opposites",
        tuple(OPPOSITES),
        (
            "What is the opposite of {}?",
            "Which word means the opposite of {}?",
            "{} and which other word are opposites?",
        ),
        (
            "The opposite of {0} is {1}.",
            "{1} means the opposite of {0}.",
            "{0} and {1} are opposites.",
        ),
    ),
    Subject(
        "famous_books",
        tuple(BOOKS),
        ("Who wrote {}?", "Which author wrote {}?", "{} is a work by which writer?"),
        ("{1} wrote {0}.", "{0} was written by {1}.", "The author of {0} is {1}."),
    ),
    Subject(
        "country_continents",
        tuple(CONTINENTS),
        (
            "On which continent is {}?",
            "To which continent does {} belong?",
            "{} lies on which continent?",
        ),
        ("{0} is in {1}.", "{0} belongs to the continent {1}.", "On the map of {1} one finds {0}."),
    ),
    Subject(
        "musical_works",
        tuple(MUSIC),
        (
            "Who composed {}?",
            "Which composer wrote the music of {}?",
            "{} is the music of which composer?",
        ),
        ("{1} composed {0}.", "The music of {0} is by {1}.", "The composer of {0} is {1}."),
    ),
)


@dataclass(frozen=True)
class Question:
    """One multiple-choice question as a row of MMLU."""

    text: str
    options: tuple
    answer: str  # a letter

    def block(self):
        lines = [self.text] + [
            f"{letter}. {option}" for letter, option in zip(LETTERS, self.options)
        ]
        return "\n".join(lines) + "\nAnswer:"


def ask(subject, facts, rng):
    """A question about the first of four facts: any wording, any order of the four answers."""
    about, answer = facts[0]
    options = [answer for _, answer in facts]
    rng.shuffle(options)
    text = rng.choice(subject.questions).format(about)
    return Question(text[0].upper() + text[1:], tuple(options), LETTERS[options.index(answer)])


def others(facts, pool, rng, weights=None):
    """facts, filled up to four with facts of the pool whose answers differ."""
    facts = list(facts)
    while len(facts) < len(LETTERS):
        fact = rng.choices(pool, weights)[0]
        if fact[1] not in [answer for _, answer in facts]:
            facts.append(fact)
    return facts


def prompt(subject, shots, question):
    """lm-eval's MMLU prompt."""
    text = f"The following are multiple choice questions (with answers) about {subject.title}.\n\n"
    text += "".join(f"{shot.block()} {shot.answer}\n\n" for shot in shots)
    return text + question.block()


def split_facts(subject, seed=SEED):
    """{split: facts}: each fact is asked once, in one split."""
    facts = list(subject.facts)
    random.Random(f"facts {seed} {subject.name}").shuffle(facts)
    ends = [sum(list(SIZES.values())[:i]) for i in range(len(SIZES) + 1)]
    return {split: facts[ends[i] : ends[i + 1]] for i, split in enumerate(SIZES)}


def benchmark(seed=SEED):
    """{split: {subject: [Question]}}"""
    splits = {split: {} for split in SIZES}
    for subject in SUBJECTS:
        rng = random.Random(f"questions {seed} {subject.name}")
        for split, facts in split_facts(subject, seed).items():
            splits[split][subject] = [
                ask(subject, others([fact], subject.facts, rng), rng) for fact in facts
            ]
    return splits


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    for split, subjects in benchmark(args.seed).items():
        (args.out / split).mkdir(parents=True, exist_ok=True)
        for subject, rows in subjects.items():
            with open(
                args.out / split / f"{subject.name}_{split}.csv", "w", newline="", encoding="utf-8"
            ) as file:
                csv.writer(file, lineterminator="\n").writerows(
                    (q.text, *q.options, q.answer) for q in rows
                )
        print(f"{split}: {sum(len(rows) for rows in subjects.values())} questions")


if __name__ == "__main__":
    main()
