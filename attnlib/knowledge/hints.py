"""What a name tells about a birthplace without reading: the guesses that a model has to beat."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from attnlib.knowledge.answer import accuracy
from attnlib.knowledge.spans import mentions

__all__ = ["asked_name", "guessers", "hints", "names_seen"]

Pairs = Sequence[tuple[str, str]]


def asked_name(question: str) -> str:
    """Whose birthplace a question asks for.

    Raises:
        ValueError: it is no question "Where was NAME born?".

    >>> asked_name("Where was Ada Corlund born?")
    'Ada Corlund'
    """
    name = question.removeprefix("Where was ").removesuffix(" born?")
    if question != f"Where was {name} born?" or not name.strip():
        raise ValueError(f'question must read "Where was NAME born?", got {question!r}')
    return name


def _ngrams(name: str, n: int = 3) -> list[str]:
    framed = f"^{name}$"
    return [framed[i : i + n] for i in range(len(framed) - n + 1)]


def _lookup(train: Pairs, part: Callable[[str], str], otherwise: str) -> Callable[[str], str]:
    """The place that is most frequent with a part of the name; where it is unknown, another."""
    places: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for q, place in train:
        places[part(asked_name(q))][place] += 1
    return lambda name: (
        places[part(name)].most_common(1)[0][0] if part(name) in places else otherwise
    )


def _bayes(train: Pairs) -> Callable[[str], str]:
    """Naive Bayes on three characters at a time, every count raised by one."""
    born = Counter(place for _, place in train)
    grams: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for q, place in train:
        grams[place].update(_ngrams(asked_name(q)))
    kinds = len({gram for counts in grams.values() for gram in counts})
    sizes = {place: counts.total() for place, counts in grams.items()}

    def guess(name: str) -> str:
        found = _ngrams(name)
        return max(born, key=lambda place: math.log(born[place]) + sum(
            math.log((grams[place][gram] + 1) / (sizes[place] + kinds)) for gram in found
        ))  # fmt: skip

    return guess


def guessers(train: Pairs) -> dict[str, Callable[[str], str]]:
    r"""From a name to a place, in four ways that know nothing but the training pairs.

    "most frequent" always gives the place that is most frequent; "surname" and "first name" the
    one most frequent with the last or first word of the name, or that of all if the word is new;
    "characters" is naive Bayes on runs g of three characters of the name, with counts N:

    .. math:: \arg\max_p\; \log N_p + \sum_g \log \frac{N_{p,g} + 1}{\sum_{g'} (N_{p,g'} + 1)}

    Raises:
        ValueError: there are no pairs, or a question is none of the form of ``asked_name``.
    """
    if not train:
        raise ValueError("train must not be empty")
    most = Counter(place for _, place in train).most_common(1)[0][0]
    return {
        "most frequent": lambda name: most,
        "surname": _lookup(train, lambda name: name.split()[-1], most),
        "first name": _lookup(train, lambda name: name.split()[0], most),
        "characters": _bayes(train),
    }


def hints(train: Pairs, examined: Pairs) -> dict[str, float]:
    """The share of answers that each of the four ``guessers`` gets right.

    Serves the claims ``names-hint`` and ``london-baseline``.

    Raises:
        ValueError: either is empty, or a question is none of the form of ``asked_name``.

    >>> pairs = [("Where was Ada Corlund born?", "Oslo"), ("Where was Ida Berg born?", "Rome")]
    >>> hints(pairs, [("Where was Ida Corlund born?", "Oslo")])["surname"]
    1.0
    """
    right = [place for _, place in examined]
    names = [asked_name(q) for q, _ in examined]
    return {
        kind: accuracy([guess(name) for name in names], right)
        for kind, guess in guessers(train).items()
    }


def names_seen(texts: Sequence[str], train: Pairs, examined: Pairs) -> dict[str, int]:
    """Of the names asked: how many are in the training pairs, in a text, in one with the answer.

    Serves the claim ``names-unseen``. Names and answers count only in full: not Ada Berg in
    "Ada Bergson", nor Rome in "Romeo".

    Raises:
        ValueError: a question is none of the form of ``asked_name``.

    >>> train = [("Where was Ada Berg born?", "Oslo")]
    >>> names_seen(["Ida Berg left Rome."], train, [("Where was Ida Berg born?", "Rome")])
    {'in train': 0, 'in a text': 1, 'with the answer': 1}
    """
    trained = {asked_name(q) for q, _ in train}
    asked = [(asked_name(q), place) for q, place in examined]
    about = {name: [text for text in texts if mentions(name, text)] for name, _ in asked}
    return {
        "in train": sum(name in trained for name, _ in asked),
        "in a text": sum(bool(about[name]) for name, _ in asked),
        "with the answer": sum(any(mentions(p, text) for text in about[name]) for name, p in asked),
    }
