"""A claim, what agrees with it, and the wrong versions that the same comparison rejects.

A claim block reads like this::

    with claim("softmax-jacobian") as c:
        c.agrees("J against autograd", J, J_autograd, atol=1e-15, why="four roundings")
        c.rejects("without the outer product", torch.diag(y))

The first value of every comparison is the one under test, the second is the yardstick.
``rejects`` puts a wrong version in the place of the first value of the comparison above it:
the same comparison, with the same tolerance, must turn it down. A comparison that rejects
nothing has not been seen to fail, so the block fails.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from functools import wraps
from typing import Any

import numpy as np
import sympy
import torch
from IPython import get_ipython
from IPython.display import display
from scipy import stats

from attnlib.evidence.ledger import CLAIM_MIME, VALUES_MIME, ClaimError, load_claims
from attnlib.evidence.symbolic import nonzero_at

__all__ = ["Claim", "ClaimError", "claim", "quote"]


def claim(id: str) -> Claim:
    """Open the block of the claim ``id``: use as ``with claim(id) as c``.

    Raises ``ClaimError`` if ``attnlib/claims.yml`` does not list the id.
    """
    if id not in load_claims():
        raise ClaimError(f"unknown claim {id!r}; attnlib/claims.yml lists {sorted(load_claims())}")
    return Claim(load_claims()[id])


def _recorded(method: Callable) -> Callable:
    """Make every exception of the method a failure of the block, even if it is swallowed."""

    @wraps(method)
    def recorded(self: Claim, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except ClaimError:
            raise
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}")

    return recorded


@dataclass
class _Comparison:
    kind: str
    what: str
    tolerance: str
    why: str
    miss: Callable[[Any], str | None]  # None: accepted; otherwise what is off
    rejects: list[str] = field(default_factory=list)


class Claim:
    """The open block of one claim; ``claim(id)`` makes it."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self._entry = entry
        self._comparisons: list[_Comparison] = []
        self._open = False
        self._failure: ClaimError | None = None

    # -- comparisons ---------------------------------------------------------

    @_recorded
    def agrees(
        self, what: str, value: Any, reference: Any, *,
        atol: float | int = 0.0, rtol: float | int = 0.0, why: str = "",
    ) -> None:  # fmt: skip
        """``|value − reference| ≤ atol + rtol·|reference|`` in every entry, shapes equal."""
        ref = self._array(what, "the reference", reference)
        slack = self._slack(what, ref, atol, rtol, why)

        def miss(value: Any) -> str | None:
            x, r = self._pair(what, value, ref)
            return _worst(abs(x - r) - slack, x, r, "differs from")

        self._compare("agreement", what, value, _bound_text("|error|", atol, rtol), why, miss)

    @_recorded
    def at_most(
        self, what: str, value: Any, bound: Any, *,
        atol: float | int = 0.0, rtol: float | int = 0.0, why: str = "",
    ) -> None:  # fmt: skip
        """``value ≤ bound + atol + rtol·|bound|`` in every entry, shapes equal."""
        self._inequality(what, value, bound, atol, rtol, why, sign=1)

    @_recorded
    def at_least(
        self, what: str, value: Any, bound: Any, *,
        atol: float | int = 0.0, rtol: float | int = 0.0, why: str = "",
    ) -> None:  # fmt: skip
        """``value ≥ bound − atol − rtol·|bound|`` in every entry, shapes equal."""
        self._inequality(what, value, bound, atol, rtol, why, sign=-1)

    def _inequality(self, what, value, bound, atol, rtol, why, sign) -> None:
        ref = self._array(what, "the bound", bound)
        slack = self._slack(what, ref, atol, rtol, why)

        def miss(value: Any) -> str | None:
            x, r = self._pair(what, value, ref)
            return _worst(sign * (x - r) - slack, x, r, "exceeds" if sign > 0 else "is below")

        self._compare("inequality", what, value, _bound_text("slack", atol, rtol), why, miss)

    @_recorded
    def signs(
        self, what: str, value: Any, pattern: Any, *, atol: float | int = 0.0, why: str = ""
    ) -> None:
        """sign(value) is the pattern (−1, 0 or 1 everywhere); ``|value| ≤ atol`` counts as 0."""
        ref = self._array(what, "the pattern", pattern)
        if not np.isin(ref, (-1, 0, 1)).all() or ref.dtype.kind == "b":
            self._fail(f"{what}: a pattern of signs holds -1, 0 and 1 only")
        self._slack(what, ref, atol, 0.0, why)

        def miss(value: Any) -> str | None:
            x, r = self._pair(what, value, ref)
            sign = np.where(abs(x) <= atol, 0, np.sign(x))
            return _worst(abs(sign - r), x, r, "does not have the sign")

        self._compare("signs", what, value, _bound_text("|zero|", atol, 0.0), why, miss)

    @_recorded
    def zeros(
        self, what: str, value: Any, where: Any, *, atol: float | int = 0.0, why: str = ""
    ) -> None:
        """value is 0, ``|value| ≤ atol``, exactly where ``where`` is True, and nowhere else."""
        mask = self._array(what, "where", where)
        if mask.dtype.kind != "b" or not mask.any():
            self._fail(f"{what}: where must be boolean and True at least once")
        self._slack(what, mask.astype(int), atol, 0.0, why)

        def miss(value: Any) -> str | None:
            x, r = self._pair(what, value, mask.astype(int))
            zero = np.asarray(abs(x) <= atol).astype(int)
            return _worst(abs(zero - r), x, r, "against expected zero")

        self._compare("zero pattern", what, value, _bound_text("|zero|", atol, 0.0), why, miss)

    @_recorded
    def estimates(
        self, what: str, value: Any, draws: Any, *, confidence: float = 0.9999, why: str = ""
    ) -> None:
        """value lies in the confidence interval of the mean of the draws (their first axis).

        The draws are independent, with mean ``value`` if the claim holds. The half-width is
        the standard error std/√N times Student's t quantile, shared among all entries
        (Bonferroni), so that ``confidence`` is that of the whole comparison.
        """
        sample = self._array(what, "the draws", draws)
        if not 0.5 <= confidence < 1:
            self._fail(f"{what}: confidence must be in [0.5, 1), got {confidence}")
        if sample.dtype.kind != "f" or sample.ndim == 0 or len(sample) < 2:
            self._fail(f"{what}: draws need floats and at least two along the first axis")
        mean, n = np.asarray(sample.mean(axis=0)), len(sample)
        quantile = stats.t.ppf(1 - (1 - confidence) / (2 * mean.size), n - 1)
        half = np.asarray(quantile * sample.std(axis=0, ddof=1) / math.sqrt(n))
        if not (np.isfinite(mean) & np.isfinite(half)).all():
            self._fail(f"{what}: the mean or the spread of the draws overflows")
        if not (half > 0).all():
            self._fail(f"{what}: the draws do not vary, so they have no standard error")

        def miss(value: Any) -> str | None:
            x, r = self._pair(what, value, mean)
            return _worst(abs(x - r) - half, x, r, "is too far from the sample mean")

        text = f"{quantile:.1f} standard errors ≤ {one_digit(half.max())}, N = {n}"
        reason = why or f"that is Student's {100 * confidence:g} % interval"
        self._compare("statistic", what, value, text, reason, miss)

    @_recorded
    def identical(self, what: str, value: Any, derived: Any, *, why: str = "") -> None:
        """Two SymPy expressions, or matrices of them, are equal: their difference simplifies to 0.

        A wrong version is rejected by a point at which the difference is not zero. Where SymPy
        finds neither a proof nor such a point, the block fails: undecided is not rejected.
        """
        entries = self._symbols(what, "the derived form", derived)

        def miss(value: Any) -> str | None:
            mine = self._symbols(what, "the value", value)
            if mine.shape != entries.shape:
                self._fail(f"{what}: shape {mine.shape} against {entries.shape}")
            symbols = set().union(*(e.free_symbols for e in (*mine.flat, *entries.flat)))
            if len({str(s) for s in symbols}) < len(symbols):
                self._fail(f"{what}: two symbols share a name but not their assumptions")
            for index in np.ndindex(entries.shape):
                difference = mine[index] - entries[index]
                point = nonzero_at(difference)
                if point is not None:
                    return f"entry {index}: {mine[index]} differs from {entries[index]} at {point}"
                # In exponentials too: simplify writes half of a difference as tanh, and is stuck.
                forms = (difference, difference.rewrite(sympy.exp))
                if all(sympy.simplify(form) != 0 for form in forms):
                    self._fail(f"{what}: SymPy cannot decide whether {difference} is zero")
            return None

        self._compare(
            "identity", what, value, "exact", why or "SymPy simplifies the difference to 0", miss
        )

    @_recorded
    def rejects(self, wrong: str, value: Any) -> None:
        """The comparison above, with its tolerance, must turn down this wrong version."""
        if not self._open or not self._comparisons:
            self._fail(f"rejects({wrong!r}) must follow a comparison, inside the block")
        comparison = self._comparisons[-1]
        if not wrong.strip() or wrong in comparison.rejects:
            self._fail(f"{comparison.what}: a wrong version needs a name of its own: {wrong!r}")
        try:
            miss = comparison.miss(value)
        except ClaimError as error:
            self._fail(f"the wrong version {wrong!r} is refused, not rejected: {error}")
        if miss is None:
            self._fail(f"{comparison.what}: the wrong version {wrong!r} is accepted")
        comparison.rejects.append(wrong)

    # -- the block -----------------------------------------------------------

    def __enter__(self) -> Claim:
        if self._open or self._comparisons:
            self._fail("a block is entered once")
        self._open = True
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        self._open = False
        if exc_type is not None:
            return
        if self._failure is not None:  # a failure swallowed inside the block is still a failure
            raise self._failure
        if not self._comparisons:
            self._fail("nothing agrees: the block compares nothing")
        for comparison in self._comparisons:
            if not comparison.rejects:
                self._fail(f"{comparison.what}: no wrong version is rejected")
        _show(self._text(), CLAIM_MIME, self.record())

    def record(self) -> dict[str, Any]:
        """What the ledger needs to know of this block, as stored in the notebook."""
        keys = ("kind", "what", "tolerance", "why", "rejects")
        return {
            "id": self._entry["id"],
            "verdict": self._entry["verdict"],
            "comparisons": [{k: getattr(c, k) for k in keys} for c in self._comparisons],
        }

    def _text(self) -> str:
        lines = [f"{self._entry['id']}: {self._entry['verdict']}"]
        for c in self._comparisons:
            lines += _wrap("✓ ", f"{c.what} [{c.tolerance}]")
            lines += _wrap("    because ", c.why) if c.why else []
            for wrong in c.rejects:
                lines += _wrap("    ✗ rejected: ", wrong)
        return "\n".join(lines)

    def _compare(self, kind, what, value, tolerance, why, miss) -> None:
        if not self._open:
            self._fail("comparisons belong inside `with claim(...) as c:`")
        if not what.strip():
            self._fail("say what is compared")
        off = miss(value)
        if off is not None:
            self._fail(f"{what}: {off} [{tolerance}]")
        self._comparisons.append(_Comparison(kind, what, tolerance, why, miss))

    def _fail(self, message: str):
        self._failure = ClaimError(f"claim {self._entry['id']}: {message}")
        raise self._failure

    # -- what may be compared ------------------------------------------------

    def _array(self, what: str, name: str, x: Any) -> np.ndarray:
        """x as booleans, integers or float64: non-empty and finite."""
        if isinstance(x, torch.Tensor):
            x = x.detach().cpu()
            x = (x.double() if x.is_floating_point() else x).numpy()
        if isinstance(x, np.ma.MaskedArray):
            self._fail(f"{what}: {name} is masked: nothing may be hidden")
        try:
            a = np.asarray(x)
        except ValueError as error:
            self._fail(f"{what}: {name} is not an array: {error}")
        if a.dtype.kind == "f" and not isinstance(x, np.ndarray):
            for typed, number in zip(np.array(x, dtype=object).flat, a.flat, strict=True):
                if isinstance(typed, int) and typed != float(number):
                    self._fail(f"{what}: {name} holds {typed}, which NumPy would round")
        if a.dtype.kind not in "biuf" or a.dtype.itemsize > 8:
            self._fail(f"{what}: {name} must hold real numbers or booleans, got {a.dtype}")
        if a.size == 0:
            self._fail(f"{what}: {name} is empty: nothing is compared")
        if not np.isfinite(a).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(a))[0])
            self._fail(f"{what}: {name} holds {a[where]} at {where}")
        return a.astype(np.float64 if a.dtype.kind == "f" else a.dtype)  # a copy, always

    def _pair(self, what: str, value: Any, ref: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = self._array(what, "the value", value)
        if x.shape != ref.shape:
            self._fail(f"{what}: shape {x.shape} against {ref.shape}; nothing is broadcast")
        if (x.dtype.kind == "b") != (ref.dtype.kind == "b"):
            self._fail(f"{what}: {x.dtype} against {ref.dtype}: booleans compare with booleans")
        if x.dtype.kind == "f" or ref.dtype.kind == "f":
            if any((a.astype(np.float64).astype(object) != a.astype(object)).any()
                   for a in (x, ref)):  # fmt: skip
                self._fail(f"{what}: an integer that is no float64 compares with integers only")
            return x.astype(np.float64), ref.astype(np.float64)
        # Python integers: exact. asarray, because arithmetic on a 0-d object array leaves a scalar.
        return np.asarray(x.astype(object) + 0, object), np.asarray(ref.astype(object) + 0, object)

    def _slack(
        self, what: str, ref: np.ndarray, atol: float | int, rtol: float | int, why: str
    ) -> Any:
        for name, tolerance in (("atol", atol), ("rtol", rtol)):
            if not (0 <= tolerance < math.inf):
                self._fail(f"{what}: {name} must be finite and ≥ 0, got {tolerance}")
        if (atol or rtol) and not why.strip():
            self._fail(f"{what}: a tolerance needs a reason: why=...")
        if not (atol or rtol):
            return 0
        if ref.dtype.kind == "b":
            self._fail(f"{what}: booleans have no tolerance")
        return atol + rtol * abs(ref.astype(np.float64))

    def _symbols(self, what: str, name: str, x: Any) -> np.ndarray:
        if not isinstance(x, sympy.Expr | sympy.MatrixBase):
            self._fail(f"{what}: {name} must be a SymPy expression or matrix, got {type(x)}")
        if isinstance(x, sympy.MatrixExpr) and not isinstance(x, sympy.MatrixBase):
            self._fail(f"{what}: {name} must be explicit, entry by entry: {x}")
        entries = np.array(x, dtype=object)
        if entries.size == 0:
            self._fail(f"{what}: {name} is empty: nothing is compared")
        for entry in entries.flat:
            if entry.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
                self._fail(f"{what}: {name} holds {entry}")
        return entries


def quote(**values: float | int | torch.Tensor) -> None:
    """Show named values that the text quotes; the tests compare the text with them.

    In the text, ``0.576<!-- p_max -->`` is a quotation of ``quote(p_max=...)``: the digits
    typed must be those of the value, rounded.
    """
    if not values:
        raise ClaimError("quote: nothing is quoted")
    shown = {}
    for name, value in values.items():
        if not math.isfinite(value):
            raise ClaimError(f"quote: {name} is {value}")
        # Six digits: enough for any prose, too few for rounding errors to show. Twelve first, so
        # that they do not decide a tie either: 2⁻¹⁰ = 0.0009765625.
        shown[name] = f"{float(f'{float(value):.12g}'):.6g}"
    _show("\n".join(f"{k} = {float(v):.4g}" for k, v in shown.items()), VALUES_MIME, shown)


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


def _bound_text(name: str, atol: float | int, rtol: float | int) -> str:
    parts = [one_digit(atol)] if atol else []
    parts += [f"{one_digit(rtol)}·|reference|"] if rtol else []
    return f"{name} ≤ {' + '.join(parts)}" if parts else "exact"


def _worst(excess: Any, x: np.ndarray, r: np.ndarray, relation: str) -> str | None:
    """None where no entry exceeds 0, otherwise a sentence on the worst one."""
    excess = np.asarray(excess, dtype=np.float64)
    if not (excess > 0).any():
        return None
    at = tuple(int(i) for i in np.unravel_index(int(excess.argmax()), excess.shape))
    off = int((excess > 0).sum())
    return f"{x[at]} {relation} {r[at]} at index {at}; {off} of {excess.size} entries are off"


def _wrap(head: str, text: str) -> list[str]:
    indent = " " * len(head)
    return textwrap.wrap(text, 72, initial_indent=head, subsequent_indent=indent)


def _show(text: str, mime: str, record: dict[str, Any]) -> None:
    """In a notebook: one output with the text and the record; elsewhere: print the text."""
    if get_ipython() is None:
        print(text)
    else:
        display({"text/plain": text, mime: record}, raw=True)
