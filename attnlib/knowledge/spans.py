"""Span corruption: part of a text is hidden and put behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from attnlib.knowledge.files import MASK, PAD

__all__ = ["corrupt_name", "corrupt_place", "corrupt_span", "mentions", "restore_span"]

# Words that begin with a capital (of Latin-1), one space apart: in most texts, a name.
NAME = re.compile(r"\b[A-ZÀ-ÖØ-Þ]\w*(?: [A-ZÀ-ÖØ-Þ]\w*)*")


def mentions(words: str, text: str) -> list[tuple[int, int]]:
    """Where some words stand in a text, whole: not Rome in Romeo. First and last index + 1.

    >>> mentions("Rome", "Romeo left Rome.")
    [(11, 15)]
    """
    if not words or words not in text:  # most texts do not, and this is far faster
        return []
    # A word may begin or end with what is no letter: "St." is whole before a blank.
    return [m.span() for m in re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", text)]


def _require_text(text: str) -> None:
    if not text or MASK in text or PAD in text:
        raise ValueError(f"text must not be empty nor hold {MASK} or {PAD}, got {text!r}")


def corrupt_span(text: str, generator: torch.Generator) -> str:
    r"""Hide one span of a text and put it behind: prefix ⁇ suffix ⁇ span.

    .. math:: k \sim \operatorname{Uniform}\{1, \dots, \max(1, \lfloor n/2 \rfloor - 1)\}, \qquad
              i \sim \operatorname{Uniform}\{0, \dots, n - k\}

    for a text of n characters, of which those from i to i + k − 1 are hidden: from n = 4 on a
    mean of ⌊n/2⌋/2, a quarter of the text if n is even. Serves the claim ``span-corruption``.
    The result has n + 2 characters, and :func:`restore_span` undoes it.

    Raises:
        ValueError: the text is empty or holds ⁇ (it could not be restored) or □ (it would be
            taken for padding).

    >>> corrupt_span("x", torch.Generator())
    '⁇⁇x'
    """
    _require_text(text)
    n = len(text)
    k = 1 + int(torch.randint(max(1, n // 2 - 1), (), generator=generator))
    i = int(torch.randint(n - k + 1, (), generator=generator))
    return f"{text[:i]}{MASK}{text[i + k :]}{MASK}{text[i : i + k]}"


def corrupt_name(text: str, generator: torch.Generator) -> str:
    """Hide one name of a text, and put it behind: what is asked for later is hidden now.

    A name is a run of words with a capital, one space apart. Not the first word of the text, and
    nothing that was said before in it, which could be copied. Each of them is hidden with equal
    probability; if there is none, :func:`corrupt_span` is used. The idea is that of the salient
    spans of Guu et al. (2020), with capitals in place of a tagger.

    Raises:
        ValueError: as for ``corrupt_span``.

    >>> corrupt_name("She left New York.", torch.Generator())
    'She left ⁇.⁇New York'
    """
    _require_text(text)
    names = [m.span() for m in NAME.finditer(text) if text.find(m[0]) == m.start() > 0]
    return _hide_one(names, text, generator)


def corrupt_place(text: str, generator: torch.Generator, places: Sequence[str]) -> str:
    """Hide one of some places in a text, where it is said first, and put it behind.

    Each of those in the text is hidden with equal probability; if there is none,
    :func:`corrupt_span` is used. Of places one inside the other, as York in New York, the longer
    counts.

    Raises:
        ValueError: as for ``corrupt_span``.

    >>> corrupt_place("Ada left New York.", torch.Generator(), ["York", "New York"])
    'Ada left ⁇.⁇New York'
    """
    _require_text(text)
    spans: list[tuple[int, int]] = []
    for place in sorted(places, key=len, reverse=True):
        alone = [(i, j) for i, j in mentions(place, text)
                 if all(j <= a or b <= i for a, b in spans)]  # fmt: skip
        spans += alone[:1]
    return _hide_one(sorted(spans), text, generator)


def _hide_one(spans: list[tuple[int, int]], text: str, generator: torch.Generator) -> str:
    if not spans:
        return corrupt_span(text, generator)
    i, j = spans[int(torch.randint(len(spans), (), generator=generator))]
    return f"{text[:i]}{MASK}{text[j:]}{MASK}{text[i:j]}"


def restore_span(corrupted: str) -> str:
    """The text that ``corrupt_span`` was given.

    >>> restore_span("to ⁇ to be⁇be or not")
    'to be or not to be'
    """
    if corrupted.count(MASK) != 2:
        raise ValueError(f"corrupted must hold {MASK} twice, got {corrupted!r}")
    prefix, suffix, span = corrupted.split(MASK)
    return prefix + span + suffix
