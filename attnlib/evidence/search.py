"""Search for a counterexample to a claim about laws, and decide at 50 digits.

A law is a tuple of whole numbers, not all 0: each over their sum is a probability, exactly. In
double precision true statements fail at near-ties by rounding alone. So double precision only
finds the cases worth a second look; fifty digits decide.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attnlib.evidence.errors import ClaimError
from attnlib.evidence.find import smallest, st

try:
    import mpmath
except ImportError:
    raise ImportError("deciding at 50 digits needs mpmath: pip install mpmath") from None

__all__ = ["Law", "Search", "epsilons", "flatter_pairs", "law_tensor", "laws", "pairs", "search"]

Law = tuple[int, ...]

DIGITS = 50
NEAR = 1e-9  # a margin in double precision below this is no verdict: errors are below 1e-11
NOISE = mpmath.mpf(10) ** -40  # and one at fifty digits above minus this is none either


# -- what is searched --------------------------------------------------------------------------

_WEIGHTS = st.one_of(
    st.integers(0, 12),
    st.builds(lambda e, d: max(10**e + d, 0), st.integers(1, 15), st.integers(-1, 1)),
)


def laws(least: int = 2, most: int = 512) -> st.SearchStrategy[Law]:
    """Laws on ``least`` to ``most`` points: a few blocks of equal weights, some 0, some near-equal.

    The extremes of separable functions under linear constraints have this form.
    """

    # Items are Any in what a strategy calls: beartype looks at items at random, and Hypothesis
    # refuses a strategy that uses the random module.
    def build(blocks: list[Any]) -> tuple[Any, ...]:
        entries = [weight for weight, count in blocks for _ in range(count)][:most]
        entries += entries[-1:] * (least - len(entries))
        return tuple(entries) if any(entries) else (1, *entries[1:])

    # Counts in proportion to the points: else the first block fills a short law.
    counts = st.one_of(st.integers(1, 4 if most > 16 else 1), st.integers(1, max(1, most // 2)))
    return st.lists(st.tuples(_WEIGHTS, counts), min_size=1, max_size=5).map(build)


def _moved(law: tuple[Any, ...], moves: list[Any], sharper: bool) -> tuple[Any, ...]:
    """The law after moves of weight; those that make it sharper go from smaller to larger."""
    entries = list(law)
    for i, j, amount in moves:
        i, j = i % len(entries), j % len(entries)
        if sharper and entries[i] > entries[j]:
            i, j = j, i
        amount = min(amount, entries[i])
        entries[i] -= amount
        entries[j] += amount
    return tuple(entries)


_MOVES = st.lists(
    st.tuples(st.integers(0, 511), st.integers(0, 511), _WEIGHTS), min_size=1, max_size=6
)
_SCALES = st.sampled_from([1, 10, 10**6, 10**12])  # after scaling, a move can be tiny


def pairs(least: int = 2, most: int = 512) -> st.SearchStrategy[tuple[Law, Law]]:
    """Two laws on the same points: unrelated, or the second from the first by a few moves."""

    def moved(law: tuple[Any, ...], scale: int, moves: list[Any]) -> tuple[Any, ...]:
        law = tuple(scale * weight for weight in law)
        return law, _moved(law, moves, sharper=False)

    def same_length(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        n = min(len(a), len(b))
        return tuple((law[:n] if any(law[:n]) else (1, *law[1:n])) for law in (a, b))

    return st.one_of(
        st.builds(same_length, laws(least, most), laws(least, most)),
        st.builds(moved, laws(least, most), _SCALES, _MOVES),
    )


def flatter_pairs(least: int = 2, most: int = 512) -> st.SearchStrategy[tuple[Law, Law]]:
    """A law, and one that it majorises: it is the second after moves to larger entries, shuffled.

    So any law can be the flatter one, and few pairs are equal.
    """

    def build(law: tuple[Any, ...], scale: int, moves: list[Any], seed: int) -> tuple[Any, ...]:
        law = tuple(scale * weight for weight in law)
        sharper = list(_moved(law, moves, sharper=True))
        random.Random(seed).shuffle(sharper)
        return tuple(sharper), law

    return st.builds(build, laws(least, most), _SCALES, _MOVES, st.integers(0, 99))


def epsilons(least: float | int = 1e-12, most: float | int = 0.49) -> st.SearchStrategy[float]:
    """ε over many orders of magnitude, both ends among them."""
    low, high = float(mpmath.log10(least)), float(mpmath.log10(most))
    return st.one_of(
        st.sampled_from([most, least, 0.1, 0.01, 1e-6]),
        st.floats(low, high).map(lambda e: 10.0**e),
    ).map(lambda eps: min(max(eps, least), most))


# -- values ------------------------------------------------------------------------------------


def law_tensor(law: Law) -> Tensor:
    """The probabilities of a law in double precision."""
    total = sum(law)  # both may be larger than the integers of torch
    return torch.tensor([weight / total for weight in law], dtype=torch.float64)


# -- the search --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Search:
    """What a search found: in how many cases the hypotheses held, and a counterexample if any."""

    met: int
    counterexample: dict[str, Any] | None


def search(
    margin: Callable[..., Any], examples: int = 2000, **instance: st.SearchStrategy
) -> Search:
    """Look for an instance on which a claim fails: one whose margin is negative.

    ``margin(exact, **instance)`` returns a number that the claim says is not negative, in double
    precision or, if ``exact``, at 50 digits; or None where its hypotheses do not hold. Every
    case that is close in double precision is decided at 50 digits. Derandomised: the same
    cases every time, until the code changes (Hypothesis also tries numbers that it finds in it).

    Raises:
        ClaimError: the margin at 50 digits is no number.
    """
    met = 0

    def fails(values: dict[str, Any]) -> bool:
        nonlocal met
        rough = margin(False, **values)
        if rough is not None and NEAR < rough < math.inf:
            met += 1
            return False
        with mpmath.workdps(DIGITS):
            sharp = margin(True, **values)
            if sharp is None:
                return False
            if not sharp == sharp:  # nan would count as an instance on which the claim holds
                raise ClaimError(f"the margin at {DIGITS} digits is {sharp} for {values}")
            met += 1
            return bool(sharp < -NOISE)

    found = smallest(instance, fails, examples)
    return Search(met, found)
