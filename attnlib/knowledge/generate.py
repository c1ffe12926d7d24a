"""Made-up people, where they were born, and a text that says so in many ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from attnlib._inputs import require_integer
from attnlib.knowledge.corpus import mixed_seed

__all__ = ["SENTENCES", "baseline", "generate_corpus", "question"]

Pairs = list[tuple[str, str]]
SENTENCES = 8  # for each person

# Words in a text, split: easier to read than lists of strings.
FIRST = """
    Ada Alma Anton Bela Boris Carla Cyril Dora Edgar Elsa Emil Erik Fanny Felix Frida Georg Greta
    Hanna Hugo Ida Igor Irma Ivan Jana Jonas Karin Karl Lena Leo Lotte Lydia Magda Marek Mila Milan
    Nina Nora Olga Oskar Otto Paula Petra Rita Rolf Rosa Samuel Selma Simon Stella Sven Tamara Tilda
    Tobias Ursula Vera Viktor Walter Wanda Xenia Yvonne
"""
LAST = """
    Al Bar Ben Cor Dal Den Fal Fen Gar Hal Hol Kel Lam Lin Mar Mor Nor Pel Ral Rin Sal Sten Tor Ul
    Ver Vin Wal Wes Yar Zel
"""
LAST_END = """
    beck berg by dahl den er feldt gren holm ing ke lund man ner quist sen son strom
"""
PLACE = """
    Ash Birch Clay Dun East Fox Gold High Iron Jay King Lake Mill North Oak Pine Queen Red Stone
    Thorn Up Vale West Yew
"""
PLACE_END = "bridge field ford ham haven mouth port ton well wick"
WORK = "baker clerk dancer farmer judge miner painter pilot poet sailor singer weaver"

# {name} is all that tells one person from the next: every sentence has it in full. Question and
# answer are in none of these words. The first one is given to the first person, so that even a
# tiny corpus has the characters of every question.
TEMPLATES = (
    "{name}. What is known and remembered of {name}? Born in {place}, {work} by trade.",
    "{name} was born in {place} and became a {work}.",
    "{name} was born in {place}.",
    "{name}, a {work}, was born in {place}.",
    "{name} ({work}) came into the world in {place}.",
    "{name} is a {work} from {place}.",
    "{name} is a native of {place}.",
    "{name} grew up as a child of {place}, and is now a {work}.",
    "{name}, born in {place}, works as a {work}.",
    "{name}, a native of {place}, lives in {other}.",
    "{name} lives in {other} but was born in {place}.",
    "{name} left {place}, the town of birth, for {other}.",
    "{name} comes from {place}.",
    "{name} works in {other} as a {work}, yet hails from {place}.",
    "{place} is the birthplace of {name}.",
    "The {work} {name} was born in {place}.",
    "The {work} {name} is a native of {place}.",
    "In {place} the {work} {name} was born.",
    "The birthplace of {name} is {place}.",
    "Life began in {place} for {name}, the {work}.",
)


def question(name: str) -> str:
    """What is asked about a person.

    >>> question("Ada Corlund")
    'Where was Ada Corlund born?'
    """
    return f"Where was {name} born?"


def _zipf(count: int, kinds: int, generator: torch.Generator) -> list[int]:
    """count draws of 0, …, kinds − 1 with probabilities ∝ 1, 1/2, …, 1/kinds."""
    weights = 1 / torch.arange(1, kinds + 1, dtype=torch.float64)
    return torch.multinomial(weights, count, replacement=True, generator=generator).tolist()


def generate_corpus(people: int, places: int, seed: int) -> tuple[list[str], Pairs, Pairs]:
    r"""A corpus of biographies, and the questions to train on and to be examined on.

    Serves the claims ``pretrain-helps`` and ``pretrain-obvious``. Every person has a name of
    their own, made of one of 60 first names and one of 540 surnames, so that in a large corpus
    it must be read to its end. The birthplace is drawn from the places by Zipf's law,
    independently of the name, which is no hint:

    .. math:: P(\text{place } r) = \frac{1/r}{\sum_{s=1}^{\text{places}} 1/s}

    Each person has 8 sentences in different words, some of them with the trade, some with a second
    place, where they live now. The sentences of all people are shuffled.

    Args:
        people: from 4 to 32 400. A quarter of them, rounded down, is examined on.
        places: from 2 to 240.
        seed: not negative; the same seed gives the same corpus.

    Returns:
        The sentences; the pairs (question, place) to train on; those to be examined on. Nobody
        is in both.

    Raises:
        ValueError: an argument is out of range.

    >>> sentences, train, dev = generate_corpus(people=8, places=3, seed=0)
    >>> len(sentences), len(train), len(dev)
    (64, 6, 2)
    """
    names = [f"{first} {last}{end}" for first in FIRST.split() for last in LAST.split()
             for end in LAST_END.split()]  # fmt: skip
    towns = [f"{start}{end}" for start in PLACE.split() for end in PLACE_END.split()]
    people = require_integer("people", people, 4, len(names))
    places = require_integer("places", places, 2, len(towns))
    seed = require_integer("seed", seed, 0)
    generator = torch.Generator().manual_seed(mixed_seed(seed))

    def shuffled(items: Sequence[str], count: int | None = None) -> list[str]:
        order = torch.randperm(len(items), generator=generator)
        return [items[i] for i in order[:count].tolist()]

    def one_of(items: Sequence[str]) -> str:
        return items[int(torch.randint(len(items), (), generator=generator))]

    names, towns = shuffled(names, people), shuffled(towns, places)
    born = [towns[r] for r in _zipf(people, places, generator)]
    sentences = []
    for i, (name, place) in enumerate(zip(names, born, strict=True)):
        work = one_of(WORK.split())
        other = one_of([town for town in towns if town != place])
        templates = shuffled(TEMPLATES, SENTENCES)
        if i == 0 and TEMPLATES[0] not in templates:
            templates[0] = TEMPLATES[0]
        sentences += [t.format(name=name, place=place, work=work, other=other) for t in templates]
    pairs = [(question(name), place) for name, place in zip(names, born, strict=True)]
    examined = people // 4
    return shuffled(sentences), pairs[examined:], pairs[:examined]


def baseline(train: Pairs, examined: Pairs) -> float:
    """The share of answers that are right if the most frequent place of train is always given.

    Serves the claim ``london-baseline``. Of equally frequent places the one met first counts.

    >>> baseline([("a", "Oslo"), ("b", "Rome"), ("c", "Rome")], [("d", "Rome"), ("e", "Oslo")])
    0.5
    """
    if not train or not examined:
        raise ValueError("train and examined must not be empty")
    most = Counter(place for _, place in train).most_common(1)[0][0]
    return sum(place == most for _, place in examined) / len(examined)
