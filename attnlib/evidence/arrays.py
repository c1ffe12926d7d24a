"""What may be compared: real numbers and booleans, non-empty and finite, nothing rounded."""

from __future__ import annotations

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
        ClaimError: x is empty, masked, not numeric, not finite, or holds an integer that NumPy
            would round.
    """
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu()
        x = (x.double() if x.is_floating_point() else x).numpy()
    if isinstance(x, np.ma.MaskedArray):
        raise ClaimError(f"{name} is masked: nothing may be hidden")
    try:
        a: Array = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise ClaimError(f"{name} is not an array: {error}") from None
    if a.dtype.kind == "f" and not isinstance(x, np.ndarray):
        for typed, number in zip(np.array(x, dtype=object).flat, a.flat, strict=True):
            if isinstance(typed, int) and typed != float(number):
                raise ClaimError(f"{name} holds {typed}, which NumPy would round")
    if a.dtype.kind not in "biuf" or a.dtype.itemsize > 8:
        raise ClaimError(f"{name} must hold real numbers or booleans, got {a.dtype}")
    if a.size == 0:
        raise ClaimError(f"{name} is empty: nothing is compared")
    if not np.isfinite(a).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(a))[0])
        raise ClaimError(f"{name} holds {a[where]} at {where}")
    return a.astype(np.float64 if a.dtype.kind == "f" else a.dtype)


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
        if (a.astype(np.float64).astype(object) != a.astype(object)).any():
            raise ClaimError("an integer that is no float64 compares with integers only")
    return x.astype(np.float64), reference.astype(np.float64)
