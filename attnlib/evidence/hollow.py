"""Wrong versions that nobody would write: turning them down says nothing about a check."""

from __future__ import annotations

from typing import Any

import numpy as np

from attnlib.evidence.arrays import Array, as_array
from attnlib.evidence.compare import Identity, Mean, Near, Yardstick

__all__ = ["hollow"]

CONSTANT = "a constant array in place of a computed one"
SAME = 1e-12  # of the largest entry: arrays so near to each other differ by rounding


@np.errstate(over="ignore", invalid="ignore")
def hollow(wrong: Any, value: Any, yardstick: Yardstick) -> str | None:
    """Why a wrong version is no wrong version, or None if it may be one.

    A wrong version is computed like the right one, by a formula somebody could have written.
    These are not: the value times 0, a constant array in place of a computed one, the value or
    the yardstick with its sign turned, and the two sides of the same inequality exchanged.
    """
    if isinstance(yardstick, Identity):
        return _hollow_expression(wrong, value, yardstick)
    w, x = as_array("the value", wrong), as_array("the value", value)
    if x.dtype.kind == "b":
        return CONSTANT if _constant(w) and not _constant(x) else None
    # With an axis: arithmetic on an array without axes leaves a scalar.
    w, x, r = (np.atleast_1d(a.astype(np.float64)) for a in (w, x, yardstick.reference))
    if not w.any() and x.any():
        return "the value times 0"
    if _constant(w) and not _constant(r if yardstick.kind == "agreement" else x):
        return CONSTANT
    if _same(w, -x):
        return "the value with its sign turned"
    if isinstance(yardstick, Near | Mean) and _same(w, -r):
        return "the yardstick with its sign turned"
    if isinstance(yardstick, Near) and yardstick.side and (w != r).any() and _same(w - r, r - x):
        return "the two sides of the same inequality exchanged"
    return None


def _hollow_expression(wrong: Any, value: Any, yardstick: Identity) -> str | None:
    from attnlib.evidence.symbolic import as_symbols

    w, x = as_symbols("the value", wrong), as_symbols("the value", value)
    if not any(w.flat) and any(x.flat):
        return "the value times 0"
    for name, right in (("value", x), ("yardstick", yardstick.reference)):
        if all(a == -b for a, b in zip(w.flat, right.flat, strict=True)):
            return f"the {name} with its sign turned"
    return None


def _constant(a: Array) -> bool:
    return a.size > 1 and _same(a.astype(np.float64), np.full(a.shape, float(a.flat[0])))


def _same(a: Array, b: Array) -> bool:
    with np.errstate(over="ignore"):
        return bool((abs(a - b) <= SAME * abs(b).max()).all())
