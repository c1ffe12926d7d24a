"""Whether SymPy expressions are equal: a proof, a point where they are not, or no answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

try:
    import mpmath  # comes with SymPy
    import sympy
except ImportError:
    raise ImportError("comparing expressions needs SymPy: pip install sympy") from None

from attnlib.evidence.arrays import Array
from attnlib.evidence.errors import ClaimError

__all__ = ["as_symbols", "differing", "nonzero_at"]


def as_symbols(name: str, x: Any) -> Array:
    """The entries of a SymPy expression or explicit matrix, as an array of expressions."""
    if not isinstance(x, sympy.Expr | sympy.MatrixBase):
        raise ClaimError(f"{name} must be a SymPy expression or matrix, got {type(x).__name__}")
    if isinstance(x, sympy.MatrixExpr) and not isinstance(x, sympy.MatrixBase):
        raise ClaimError(f"{name} must be explicit, entry by entry: {x}")
    entries = np.array(x, dtype=object)
    if entries.size == 0:
        raise ClaimError(f"{name} is empty: nothing is compared")
    for entry in entries.flat:
        if entry.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
            raise ClaimError(f"{name} holds {entry}")
    return entries


def differing(value: Array, reference: Array) -> list[str]:
    """A sentence on each entry in which the two differ; none where SymPy proves them equal.

    Raises:
        ClaimError: another shape, two symbols of one name, or an entry for which SymPy finds
            neither a proof nor a point where the difference is not 0.
    """
    if value.shape != reference.shape:
        raise ClaimError(f"shape {value.shape} against {reference.shape}")
    symbols = set().union(*(e.free_symbols for e in (*value.flat, *reference.flat)))
    if len({str(s) for s in symbols}) < len(symbols):
        raise ClaimError("two symbols share a name but not their assumptions")
    found = []
    for index in np.ndindex(reference.shape):
        difference: Any = value[index] - reference[index]
        point = nonzero_at(difference)
        if point is not None:
            pair = f"{value[index]} differs from {reference[index]}"
            found.append(f"{pair} at {point}, entry {index}")
            continue
        # In exponentials too: simplify writes half of a difference as tanh, and is stuck.
        forms = (difference, difference.rewrite(sympy.exp))
        if all(sympy.simplify(form) != 0 for form in forms):
            raise ClaimError(f"SymPy cannot decide whether {difference} is zero")
    return found


def nonzero_at(expr: sympy.Expr) -> dict[str, str] | None:
    """A point at which expr is clearly not 0, or None where thirty points show none."""
    rng = random.Random(0)
    symbols = sorted(expr.free_symbols, key=str)
    plain = _plain(expr, symbols)
    for _ in range(30 if symbols else 1):
        point = {s: _sample(s, rng) for s in symbols}
        if not all(_allowed(s, v) for s, v in point.items()):
            continue
        if _vanishes(plain, point):
            continue
        try:  # strict: 40 digits or an error, never the noise of a cancellation or a quadrature
            value = expr.subs(point).evalf(40, strict=True)
        except Exception:  # an error of SymPy is no evidence
            continue
        if value.is_number and value.is_finite and abs(value) > sympy.Float("1e-25"):
            return {str(s): str(v) for s, v in point.items()}
    return None


def _plain(expr: sympy.Expr, symbols: list[sympy.Basic]) -> Callable[..., Any] | None:
    """The expression as a function of mpmath numbers, or None where SymPy cannot write one."""
    try:
        made: Callable[..., Any] = sympy.lambdify(symbols, expr, "mpmath")
    except Exception:
        return None
    return made


def _vanishes(plain: Callable[..., Any] | None, point: dict[sympy.Basic, sympy.Rational]) -> bool:
    """Whether plain arithmetic at 60 digits already says 0.

    That of an exact 0 costs evalf hundreds of digits before it gives up, this a millisecond.
    """
    if plain is None:
        return False
    try:
        with mpmath.workdps(60):
            numbers = (mpmath.mpf(int(v.p)) / int(v.q) for v in point.values())
            return bool(abs(plain(*numbers)) < mpmath.mpf(10) ** -30)
    except Exception:  # it is for evalf to decide
        return False


def _allowed(symbol: sympy.Expr, value: sympy.Rational) -> bool:
    """Whether the value meets the assumptions of the symbol: even, nonpositive and the like."""
    facts = symbol.assumptions0.items()
    return all(getattr(value, f"is_{fact}") in (truth, None) for fact, truth in facts)


def _sample(symbol: sympy.Expr, rng: random.Random) -> sympy.Rational:
    if symbol.is_integer:
        value = sympy.Integer(rng.randint(1, 3))  # few, so that indices coincide too
    else:
        value = sympy.Rational(rng.randint(1, 96), 97)
    negative = symbol.is_negative or (not symbol.is_positive and rng.random() < 0.5)
    return -value if negative and not symbol.is_nonnegative else value
