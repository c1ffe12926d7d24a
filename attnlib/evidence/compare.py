"""The comparisons of a claim: what each allows, and how far a value is from it.

A *yardstick* holds the reference and the tolerance of one comparison. It is laid against the
right value and against every wrong version alike.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

import numpy as np

from attnlib.evidence.arrays import Array, as_array, as_pair
from attnlib.evidence.errors import ClaimError

__all__ = ["Gap", "Identity", "Mean", "Near", "Pattern", "Tolerance", "Yardstick", "one_digit",
           "within"]  # fmt: skip

WIDEST = 18  # a window is not followed beyond so many powers of ten
# Rounding must not decide where a miss lies just on an edge: numbers a hair apart are one.
HAIR = 1e-9
ROUNDING = 16 * 2.0**-52  # of the larger side: an error below this is one of rounding


@dataclass(frozen=True)
class Tolerance:
    """``atol + rtol·|reference|``, and why it is what it is; ``within`` makes it."""

    atol: float
    why: str
    rtol: float

    def __post_init__(self) -> None:
        if not isinstance(self.why, str):
            raise TypeError(f"why must be a sentence, got {self.why!r}; the relative tolerance "
                            "has a name: within(atol, why, rtol=...)")  # fmt: skip
        for name, value in (("atol", self.atol), ("rtol", self.rtol)):
            if not 0 <= value < math.inf:
                raise ClaimError(f"{name} must be finite and ≥ 0, got {value}")

    @property
    def exact(self) -> bool:
        return not (self.atol or self.rtol)

    def of(self, reference: Array) -> Array:
        """What is allowed at each entry."""
        with np.errstate(over="ignore"):
            allowed = np.asarray(self.atol + self.rtol * abs(reference.astype(np.float64)))
        if not np.isfinite(allowed).all():
            raise ClaimError("the tolerance overflows")
        return allowed

    def text(self, name: str) -> str:
        parts = [one_digit(self.atol)] if self.atol else []
        parts += [f"{one_digit(self.rtol)}·|reference|"] if self.rtol else []
        return f"{name} ≤ {' + '.join(parts)}" if parts else "exact"


EXACT = Tolerance(0.0, "", 0.0)


def within(atol: float | int, why: str = "", rtol: float | int = 0) -> Tolerance:
    """The tolerance ``atol + rtol·|reference|`` and, where it decides, the reason for it.

    The reason is needed where a wrong version misses by less than a thousand tolerances:
    there the size of the tolerance matters. Elsewhere the block prints how much wider it could be.

    >>> within(1e-12, "three roundings").text("|error|")
    '|error| ≤ 1e-12'
    """
    return Tolerance(float(atol), why, float(rtol))


@dataclass(frozen=True)
class Gap:
    """How far a value is from what a yardstick allows: not at all if ``off`` is 0."""

    off: int  # entries that are not allowed
    miss: float  # by how much the worst one misses, in units of the yardstick
    text: str  # the worst entry, in words
    narrow: str = ""  # why another machine, or a slightly wider tolerance, may see no miss


class Yardstick(ABC):
    """The reference and the tolerance of one comparison."""

    kind: str
    unit = "tolerances"  # of a miss: or "standard errors", or "entries" where nothing is allowed
    tolerance = EXACT
    reference: Array

    @abstractmethod
    def gap(self, value: Any, widened: float | int = 1) -> Gap:
        """How far the value is off where ``widened`` times the tolerance is allowed."""

    @abstractmethod
    def text(self) -> str:
        """The tolerance in words."""

    def holds(self, value: Any, wrong: Iterable[Any], widened: float | int) -> bool:
        """Whether a tolerance so much wider gives the same verdict on the value and all others."""
        return not self.gap(value, widened).off and all(self.gap(w, widened).off for w in wrong)

    def reach(self, value: Any, wrong: Sequence[Any]) -> int:
        """How often the tolerance can be made ten times wider without changing a verdict."""
        powers = range(1, WIDEST + 1)
        wider = (p for p in powers if not self.holds(value, wrong, 10.0**p * (1 + HAIR)))
        return next(wider, WIDEST + 1) - 1


class Near(Yardstick):
    """The value is the reference (side 0), is at most (1) or at least (−1) the reference."""

    def __init__(self, reference: Any, tolerance: Tolerance | None, side: int = 0) -> None:
        self.kind = "inequality" if side else "agreement"
        self.tolerance, self.side = tolerance or EXACT, side
        self.unit = "entries" if self.tolerance.exact else "tolerances"
        self.reference = as_array("the bound" if side else "the reference", reference)
        if self.reference.dtype.kind == "b" and not self.tolerance.exact:
            raise ClaimError("booleans have no tolerance")

    def gap(self, value: Any, widened: float | int = 1) -> Gap:
        x, r = as_pair(value, self.reference)
        relation = {0: "differs from", 1: "exceeds", -1: "is below"}[self.side]
        # Where nothing is allowed, by a relative tolerance of 0, any error is infinitely off.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            # An array also without axes: a lone integer would be compared as a float.
            error = np.asarray(self.side * (x - r) if self.side else abs(x - r), x.dtype)
            size, allowed = np.asarray(error, np.float64), self.tolerance.of(self.reference)
            # Not of the size: integers are compared exactly.
            off = np.asarray(error > widened * allowed, dtype=bool)
            if self.tolerance.exact:
                told = _worst(size, off, x, r, relation)
                return Gap(int(off.sum()), float(off.sum()), told, _rounding(size, x, r))
            units = np.asarray(np.where(size > 0, size / allowed, 0.0))
        miss = float(units.max())
        narrow = "misses by less than 2 tolerances" if miss * (1 + HAIR) < 2 else ""
        return Gap(int(off.sum()), miss, _worst(units, off, x, r, relation), narrow)

    def reach(self, value: Any, wrong: Sequence[Any]) -> int:
        # A value that is accepted stays so in a wider tolerance: only the misses count.
        miss = min(self.gap(version).miss for version in wrong) / (1 + HAIR)
        return sum(10.0**power < miss for power in range(1, WIDEST + 1))

    def text(self) -> str:
        return self.tolerance.text("slack" if self.side else "|error|")


class Pattern(Yardstick):
    """Where the value is 0, and which sign it has elsewhere.

    The reference holds −1, 0 and 1; or booleans, True where the value is not 0.
    """

    kind, unit = "pattern", "entries"

    def __init__(self, reference: Any, tolerance: Tolerance | None) -> None:
        self.tolerance = tolerance or EXACT
        self.reference = as_array("the pattern", reference)
        if self.tolerance.rtol:
            raise ClaimError("a pattern has no relative tolerance: there is nothing to scale it")
        if self.reference.dtype.kind != "b" and not np.isin(self.reference, (-1, 0, 1)).all():
            raise ClaimError("a pattern holds -1, 0 and 1, or booleans")

    def gap(self, value: Any, widened: float | int = 1) -> Gap:
        signs = self.reference.astype(int)
        x, r = as_pair(value, signs)
        zero = np.asarray(abs(x) <= widened * self.tolerance.atol, dtype=bool)
        found = np.asarray(np.where(zero, 0, np.sign(x)), dtype=int)
        if self.reference.dtype.kind == "b":
            found = abs(found)
        off = np.asarray(found != signs)
        told = _worst(np.asarray(abs(found - signs), float), off, x, r, "does not have the sign")
        narrow = ""
        if not self.tolerance.exact and widened == 1 and not self.gap(value, 2 * (1 - HAIR)).off:
            narrow = "misses by less than 2 tolerances"
        return Gap(int(off.sum()), float(off.sum()), told, narrow)

    def text(self) -> str:
        return self.tolerance.text("|zero|")


class Mean(Yardstick):
    """The value lies in the confidence interval of the mean of independent draws."""

    kind, unit = "statistic", "standard errors"

    def __init__(self, draws: Any, confidence: float) -> None:
        try:
            from scipy.special import stdtrit
        except ImportError:
            raise ImportError("Student's quantile needs SciPy: pip install scipy") from None
        sample = as_array("the draws", draws)
        if not 0.5 <= confidence < 1:
            raise ClaimError(f"confidence must be in [0.5, 1), got {confidence}")
        if sample.dtype.kind != "f" or sample.ndim == 0 or len(sample) < 2:
            raise ClaimError("draws need floats and at least two along the first axis")
        self.reference, self.n = np.asarray(sample.mean(axis=0)), len(sample)
        # Shared among the entries (Bonferroni): the confidence is that of the whole comparison.
        chance = (1 - confidence) / (2 * self.reference.size)
        self.quantile = -float(stdtrit(self.n - 1, chance))  # 1 − chance would round
        self.error = np.asarray(sample.std(axis=0, ddof=1) / math.sqrt(self.n))
        if not (np.isfinite(self.reference) & np.isfinite(self.quantile * self.error)).all():
            raise ClaimError("the mean or the spread of the draws overflows")
        if not (self.error > 0).all():
            raise ClaimError("the draws do not vary, so they have no standard error")
        self.tolerance = Tolerance(0.0, f"that is Student's {100 * confidence:g} % interval", 0.0)

    def gap(self, value: Any, widened: float | int = 1) -> Gap:
        x, r = as_pair(value, self.reference)
        with np.errstate(over="ignore"):
            units = np.asarray(abs(x - r) / self.error)
        off = np.asarray(units > widened * self.quantile)
        told = _worst(units, off, x, r, "is too far from the sample mean")
        miss = float(units.max())
        close = miss * (1 + HAIR) < 2 * self.quantile
        narrow = "misses by less than 2 half-widths of the interval" if close else ""
        return Gap(int(off.sum()), miss, told, narrow)

    def text(self) -> str:
        widest = one_digit(self.quantile * self.error.max())
        return f"{self.quantile:.1f} standard errors ≤ {widest}, N = {self.n}"


class Identity(Yardstick):
    """The value is the same SymPy expression, or matrix of them: their difference is 0."""

    kind, unit = "identity", "entries"

    def __init__(self, derived: Any) -> None:
        from attnlib.evidence import symbolic

        self._symbolic = symbolic
        self.reference = symbolic.as_symbols("the derived form", derived)
        self.tolerance = Tolerance(0.0, "SymPy simplifies the difference to 0", 0.0)

    def gap(self, value: Any, widened: float | int = 1) -> Gap:
        entries = self._symbolic.as_symbols("the value", value)
        told = self._symbolic.differing(entries, self.reference)
        return Gap(len(told), float(len(told)), told[0] if told else "")

    def text(self) -> str:
        return "exact"


def one_digit(x: float | int) -> str:
    """x > 0 to one significant digit, rounded up: text that does not vary between machines.

    >>> one_digit(0.003), one_digit(0.0031), one_digit(8.88e-16), one_digit(9.1)
    ('3e-3', '4e-3', '9e-16', '1e1')
    """
    # A hair below x, so that rounding noise in a computed tolerance cannot tip the digit.
    d = Decimal(float(x)) * (1 - Decimal("1e-9"))
    digit = d.scaleb(-d.adjusted()).to_integral_value(ROUND_CEILING)
    exponent = d.adjusted() + (digit == 10)
    return f"{1 if digit == 10 else digit}e{exponent}"


def _worst(size: Array, off: Array, x: Array, r: Array, relation: str) -> str:
    """A sentence on the entry of the largest size among those that are off."""
    if not off.any():
        return ""
    at = np.unravel_index(int(np.where(off, size, -math.inf).argmax()), size.shape)
    index = tuple(int(i) for i in at)
    told = f"{x[index]} {relation} {r[index]}"
    if not index:
        return told
    return f"{told} at index {index}; {int(off.sum())} of {size.size} entries are off"


def _rounding(error: Array, x: Array, r: Array) -> str:
    """Whether all errors of floats are so small that another machine may round them away."""
    if x.dtype.kind != "f" or (error > ROUNDING * np.maximum(abs(x), abs(r))).any():
        return ""
    return "misses by rounding alone, which may differ on another machine"
