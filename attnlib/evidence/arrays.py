"""What may be compared: real numbers and booleans, non-empty and finite, nothing rounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import torch

from attnlib.evidence.errors import ClaimError

__all__ = ["Array", "as_array", "as_pair"]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def as_array(name: str, x: Any) -> Array:
    """x, a number, a list, a NumPy array or a torch tensor, as a new array.

    Booleans and integers keep their type, floats become float64.

    Raises:
        ClaimError: x is empty, masked, not numeric, not finite, mixes booleans with numbers, or
            holds an integer that NumPy would round.
    """
    try:
        parts = [_part(item) for item in _items(x)]
        a: Array = parts[0] if not isinstance(x, list | tuple) else np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ClaimError(f"{name} is not an array: {error}") from None
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise ClaimError(f"{name} is masked: nothing may be hidden")
    kinds = {part.dtype.kind for part in parts}
    if "b" in kinds and len(kinds) > 1:
        raise ClaimError(f"{name} mixes booleans with numbers")
    if a.dtype.kind == "f":
        for part in parts:
            if not _is_float64(part):
                raise ClaimError(f"{name} holds {part}, which NumPy would round")
    if a.size == 0:
        raise ClaimError(f"{name} is empty: nothing is compared")
    if not _is_real(a):
        part = next((part for part in parts if not _is_real(part)), a)
        bad = next((entry for entry in part.flat if not _is_real(np.asarray(entry))), part.flat[0])
        kind = type(bad).__name__ + f" in an array of {part.dtype}" * bool(part.ndim)
        raise ClaimError(f"{name} must hold real numbers or booleans of at most 64 bits, got "
                         f"{bad!r} of type {kind}")  # fmt: skip
    if not np.isfinite(a).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(a))[0])
        raise ClaimError(f"{name} holds {a[where]}" + f" at {where}" * bool(where))
    return a.astype(np.float64 if a.dtype.kind == "f" else a.dtype)


def _items(x: Any) -> Iterator[Any]:
    """What stands in a list, lists in it taken apart; x alone if it is none."""
    if isinstance(x, list | tuple):
        for item in x:
            yield from _items(item)
    else:
        yield x


def _part(x: Any) -> Array:
    """One item, without a rounding: its own type decides."""
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu().resolve_neg()
        x = (x.double() if x.is_floating_point() else x).numpy()
    return np.asanyarray(x)  # any: a mask is to be seen


def _is_real(a: Array) -> bool:
    return a.dtype.kind in "biuf" and a.dtype.itemsize <= 8


def _is_float64(a: Array) -> bool:
    """Whether every integer in a is a number of double precision too."""
    return a.dtype.kind == "f" or bool((a.astype(np.float64).astype(object) == a).all())


def as_pair(value: Any, reference: Array) -> tuple[Array, Array]:
    """The value and the reference, of one shape, so that their difference is exact or float64.

    Integers and booleans become Python integers. Booleans compare with booleans only, and an
    integer that is no float64 with integers only.
    """
    x = as_array("the value", value)
    if x.shape != reference.shape:
        raise ClaimError(f"shape {x.shape} against {reference.shape}; nothing is broadcast")
    if (x.dtype.kind == "b") != (reference.dtype.kind == "b"):
        raise ClaimError(
            f"{x.dtype} against {reference.dtype}: booleans compare with booleans only"
        )
    if "f" not in (x.dtype.kind, reference.dtype.kind):
        # asarray: arithmetic on an array of objects without axes leaves a scalar.
        exact = (np.asarray(a.astype(object) + 0, object) for a in (x, reference))
        return next(exact), next(exact)
    for a in (x, reference):
        if not _is_float64(a):
            raise ClaimError("an integer that is no float64 compares with integers only")
    return x.astype(np.float64), reference.astype(np.float64)
