"""Evidence that a SymPy expression is not zero: a point at which it is not."""

from __future__ import annotations

import random
from typing import Any

import sympy

__all__ = ["nonzero_at"]


def nonzero_at(expr: sympy.Expr) -> dict[str, Any] | None:
    """A point at which expr is clearly not 0, or None where thirty points show none."""
    rng = random.Random(0)
    symbols = sorted(expr.free_symbols, key=str)
    for _ in range(30 if symbols else 1):
        point = {s: _sample(s, rng) for s in symbols}
        if not all(_allowed(s, v) for s, v in point.items()):
            continue
        try:  # strict: 40 digits or an error, never the noise of a cancellation or a quadrature
            value = expr.subs(point).evalf(40, strict=True)
        except Exception:  # an error of SymPy is no evidence
            continue
        if value.is_number and value.is_finite and abs(value) > sympy.Float("1e-25"):
            return {str(s): str(v) for s, v in point.items()}
    return None


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
