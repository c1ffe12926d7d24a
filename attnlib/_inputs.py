"""The checks of arguments, in one place: a ValueError that names the argument.

Shapes and dtypes are always checked. Values are read only in eager mode: reading them inside a
``torch.func`` transform or under ``torch.compile`` would break the transform.

What is called often looks at its result instead. A NaN, an infinity or a forgotten factor shows
in what is computed anyway; only on suspicion are the arguments read again, by the checks, in
their order and with their messages::

    if eager(x):  # the work may be done in place, and values may be read
        if are_rows(x):
            result = _F.apply(x) if tracked(x) else _kernel(x)
            if surely_finite(witness):  # a part of the result in which every fault shows
                return result
    (exact,), kind = raised(x)  # what is half precision gets here: to f again, in float32
    if kind is not None:
        return rounded(f(exact), kind)
    check(x)  # raises; where it does not, the suspicion was unfounded
    return formula(x)

Every quick answer is a sufficient condition: True is certain, False means to look closely.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

__all__ = ["FEW", "FLOATS", "HALVES", "are_laws", "are_rows", "autocast_off", "broadcasts_to",
           "eager", "entries_of_few", "in_float32", "is_mask", "raised", "reduced", "refuse",
           "require_axis", "require_boolean", "require_broadcast", "require_choice",
           "require_classes", "require_epsilon", "require_finite", "require_flag",
           "require_integer", "require_key", "require_mask", "require_precision",
           "require_probabilities", "require_real", "require_rows", "require_same",
           "require_tokens", "rounded", "row_of_few", "surely_finite", "surely_laws", "tracked",
           "values_may_be_read"]  # fmt: skip

FLOATS = (torch.float32, torch.float64)
# Up to so many entries Python adds faster than torch begins to.
FEW = 64
# Modes that record what is done instead of doing it.
_RECORDERS = tuple(torch._C._TorchDispatchModeKey.__members__.values())


# -- where values may be read ----------------------------------------------------------------


def values_may_be_read(*tensors: Tensor) -> bool:
    """Whether a check may look at values: not in a transform or a trace, nor without data."""
    # PyTorch offers no public name for the questions after the first.
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return False
    if torch._C._get_tracing_state() is not None:
        return False
    if torch._C._len_torch_dispatch_stack() and any(map(torch._C._get_dispatch_mode, _RECORDERS)):
        return False
    for x in tensors:  # noqa: SIM110 - a generator costs as much as all the rest
        if x.is_meta or isinstance(x, FakeTensor):
            return False
    return True


def eager(*tensors: Any) -> bool:
    """Whether these may be worked on in place and inside an ``autograd.Function``.

    Then values may be read as well. Not in forward mode, under a dispatch mode, which wants to
    see the operations of the formula, or for a subclass, whose operations may differ. What is no
    tensor does not count.
    """
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return False
    if torch.autograd.forward_ad._current_level >= 0 or torch._C._len_torch_dispatch_stack():
        return False
    if torch._C._get_tracing_state() is not None:
        return False
    for x in tensors:
        if type(x) is Tensor or type(x) is torch.nn.Parameter:
            if x.is_meta:
                return False
        elif isinstance(x, Tensor):
            return False
    return True


def tracked(*tensors: Tensor) -> bool:
    """Whether autograd will want to differentiate a function of these."""
    if torch.is_grad_enabled():
        for x in tensors:
            if x.requires_grad:
                return True
    return False


# -- quick answers, of which True is certain -------------------------------------------------


def are_rows(x: Any, dim: int = -1) -> bool:
    """Whether ``require_rows`` accepts x."""
    return isinstance(x, Tensor) and x.dtype in FLOATS and x.ndim > 0 and x.shape[dim] > 0


def is_mask(mask: Any, shape: tuple[int, ...]) -> bool:
    """Whether ``require_boolean`` accepts a mask for what has this shape."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.ndim > len(shape):
        return False
    if mask.shape == shape:
        return True
    return all(a in (1, b) for a, b in zip(mask.shape[::-1], shape[::-1], strict=False))


def entries_of_few(x: Tensor) -> list[Any]:
    """All entries of a small tensor. To make it flat by torch would take longer than to read it."""
    if x.numel() == 1:
        return [x.item()]
    entries: list[Any] = x.tolist()
    for _ in range(x.ndim - 1):
        entries = [entry for part in entries for entry in part]
    return entries


def row_of_few(x: Tensor, dim: int) -> list[float] | None:
    """The entries of a tensor that is a single row of few: Python is through with them before
    torch has begun, and computes with float64."""
    if x.numel() <= FEW and x.numel() == x.shape[dim]:
        return entries_of_few(x)
    return None


def reduced(x: Tensor, dim: int, value: float) -> Tensor:
    """A number as what is left of a single row."""
    shape = list(x.shape)
    del shape[dim]
    return x.new_full(shape, value)


def surely_finite(x: Tensor) -> bool:
    """Whether the sum is finite, which it is not if an entry is NaN or infinite.

    One pass that writes nothing; False also where finite entries have a sum that overflows.
    """
    if x.numel() <= FEW:
        return math.isfinite(sum(entries_of_few(x)))
    # Detached: math.isfinite warns of a tensor that is tracked.
    return math.isfinite(x.detach().sum().item())


def are_laws(y: Any, dim: int = -1, precision: torch.dtype | None = None) -> bool:
    """Whether ``require_probabilities`` accepts y, which may then be worked on in place."""
    if precision is not None:
        require_precision("precision", precision)
    return eager(y) and are_rows(y, dim) and surely_laws(y, dim, precision)


def surely_laws(y: Tensor, dim: int = -1, precision: torch.dtype | None = None) -> bool:
    """Whether ``require_probabilities`` accepts y, if ``require_rows`` does.

    Two passes that write nothing of the size of y.
    """
    # A little less than the check allows, which adds and compares numbers rounded to the dtype.
    slack = 0.99 * _slack(precision or y.dtype)
    if y.numel() <= FEW and dim in (-1, y.ndim - 1):
        entries, n = entries_of_few(y), y.shape[-1]
        for i in range(0, len(entries), n):
            row = entries[i : i + n]
            # NaN, which a minimum may not show, shows in the sum.
            if not (min(row) >= 0 and abs(sum(row) - 1) <= slack):
                return False
        return True
    if y.numel() == 0:
        return True
    y = y.detach()
    if not y.amin().item() >= 0:  # false for NaN too; a sum does not tell [2, −1]
        return False
    least, most = torch.aminmax(y.sum(dim=dim))  # NaN if any sum is
    return 1 - slack <= least.item() and most.item() <= 1 + slack


@cache
def _slack(dtype: torch.dtype) -> float:
    """By how much a sum of probabilities may be off 1: √eps, that is half the digits.

    Rows summed in any order pass, a forgotten factor does not.
    """
    slack: float = torch.finfo(dtype).eps ** 0.5
    return slack


# -- lower precision -------------------------------------------------------------------------

HALVES = (torch.float16, torch.bfloat16)
_P = ParamSpec("_P")
_R = TypeVar("_R")


def raised(*tensors: Any) -> tuple[tuple[Any, ...], torch.dtype | None]:
    """float16 and bfloat16 as float32, and the dtype that results are to have if any was.

    Nothing is raised where dtypes differ, which is then refused. Under autocast they may differ:
    nobody chose them.
    """
    lower = [x.dtype for x in tensors if isinstance(x, Tensor) and x.dtype in HALVES]
    if not lower:
        return tensors, None
    floats = [x for x in tensors if isinstance(x, Tensor) and x.is_floating_point()]
    if any(x.dtype != lower[0] for x in floats) and not _autocasts(floats[0]):
        return tensors, None
    up = (x.float() if isinstance(x, Tensor) and x.dtype in HALVES else x for x in tensors)
    return tuple(up), lower[0]


def _autocasts(x: Tensor) -> bool:
    return not x.is_meta and torch.is_autocast_enabled(x.device.type)


def autocast_off(*tensors: Any) -> AbstractContextManager[Any]:
    """Where products of float32 are float32; the first tensor says on which device."""
    x = next((x for x in tensors if isinstance(x, Tensor)), None)
    if x is None or not _autocasts(x):
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)


def in_float32(f: Callable[_P, _R]) -> Callable[_P, _R]:
    """A function of tensors that takes float16 and bfloat16 too: computed in float32, with
    results in kind. Under autocast it computes in the dtype it is given, or in float32."""

    @wraps(f)
    def of_any_precision(*args: _P.args, **keywords: _P.kwargs) -> _R:
        tensors = [x for x in (*args, *keywords.values()) if isinstance(x, Tensor)]
        halves = not {x.dtype for x in tensors}.isdisjoint(HALVES)
        if not (halves or (tensors and _autocasts(tensors[0]))):
            return f(*args, **keywords)
        values, kind = raised(*args, *keywords.values())
        with autocast_off(*values):
            if kind is None:
                return f(*args, **keywords)
            of_names = dict(zip(keywords, values[len(args) :], strict=True))
            return rounded(f(*values[: len(args)], **of_names), kind)

    return of_any_precision


def rounded(result: _R, kind: torch.dtype, bounded: bool = False) -> _R:
    """float32 results in a lower precision, also those in a tuple.

    float16 ends at 65504. A result beyond is refused; bounded says that there can be none.
    """
    lower: _R = _rounded(result, kind, bounded)
    return lower


def _rounded(x: Any, kind: torch.dtype, bounded: bool) -> Any:
    if isinstance(x, tuple):
        return tuple(_rounded(part, kind, bounded) for part in x)
    if not isinstance(x, Tensor) or x.dtype != torch.float32:
        return x
    lower = x.to(kind)
    if not bounded and values_may_be_read(lower):
        refuse("the result", x, lower.isinf() & x.isfinite(), f"a value beyond {kind}")
    return lower


# -- the checks ------------------------------------------------------------------------------


def require_rows(name: str, x: Any, dim: int = -1) -> None:
    """float32 or float64, with at least one entry along an axis; values are not looked at."""
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} must be a torch tensor, got {type(x).__name__}")
    if x.dtype not in FLOATS:
        raise ValueError(f"{name} must be float32 or float64, got {x.dtype}")
    if x.ndim == 0 or x.shape[dim] == 0:
        axis = "its last axis" if dim == -1 else f"axis {dim}"
        raise ValueError(
            f"{name} must have at least one entry along {axis}, got shape {tuple(x.shape)}"
        )


def refuse(name: str, x: Tensor, bad: Tensor, what: str) -> None:
    """Raise if any entry is bad, showing the first such value and its index."""
    if bad.any():
        index = tuple(bad.nonzero()[0].tolist())
        raise ValueError(f"{name} holds {what}: {x[index]} at index {index}")


def require_finite(
    name: str, x: Any, least: float = -math.inf, most: float = math.inf, dim: int = -1
) -> None:
    """Real rows: float32 or float64, a non-empty axis dim, no NaN, no ±inf, least ≤ x ≤ most."""
    require_rows(name, x, dim)
    if values_may_be_read(x):
        if not surely_finite(x):
            refuse(name, x, ~x.isfinite(), "a value that is not finite")
        if least > -math.inf:
            refuse(name, x, x < least, f"a value below {least:g}")
        if most < math.inf:
            refuse(name, x, x > most, f"a value above {most:g}")


def require_mask(name: str, mask: Any, name_z: str, z: Any, dim: int = -1) -> Tensor:
    """Logits along an axis and a mask, True = attend; where to attend, in the shape of z.

    −inf counts as masked, and no mask as all True. What z holds at False is not looked at. An
    axis without any True is refused.
    """
    require_rows(name_z, z, dim)
    attend: Tensor = torch.ones_like(z, dtype=torch.bool)
    if mask is not None:
        attend = require_boolean(name, mask, name_z, z.shape)
    if values_may_be_read(z):
        refuse(name_z, z, attend & (z.isnan() | (z == math.inf)), "NaN or +inf")
    attend = attend & (z != -math.inf)
    require_key(name_z, attend, attend.shape, dim)
    return attend


def require_boolean(name: str, mask: Any, name_z: str, shape: tuple[int, ...]) -> Tensor:
    """A boolean mask, expanded to the shape of what it masks."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(f"{name} must be a boolean tensor, True = attend; got {kind}")
    try:
        return mask.expand(shape)
    except RuntimeError:
        raise ValueError(f"{name} must broadcast to the shape of {name_z}, got "
                         f"{tuple(mask.shape)} and {tuple(shape)}") from None  # fmt: skip


def require_key(name_z: str, attend: Tensor, shape: tuple[int, ...], dim: int = -1) -> None:
    """A True in every row of a mask; the first row without is named as in the shape given."""
    if values_may_be_read(attend) and not attend.any(dim=dim).all():
        row = tuple((~attend.expand(shape).any(dim=dim)).nonzero()[0].tolist())
        raise ValueError(f"{name_z} is masked in every entry of row {row}: nothing to attend to")


def require_tokens(
    name: str, x: Any, like: str = "", first: Tensor | None = None, *,
    tokens: int | None = None, entries: int | None = None,
) -> None:  # fmt: skip
    """Finite rows of tokens, [..., tokens, entries], in the dtype of a first one; a batch may be
    empty."""
    if isinstance(x, Tensor) and (x.ndim < 2 or 0 in x.shape[-2:]):
        raise ValueError(f"{name} must have the axes tokens and entries, and none of them empty; "
                         f"got shape {tuple(x.shape)}")  # fmt: skip
    require_finite(name, x)
    if first is not None and x.dtype != first.dtype:
        raise ValueError(f"{name} must have the dtype of {like}, {first.dtype}, got {x.dtype}")
    for what, length, dim in (("tokens", tokens, -2), ("entries", entries, -1)):
        if length is not None and x.shape[dim] != length:
            raise ValueError(f"{name} must have the {length} {what} of {like} along axis {dim}, "
                             f"got shape {tuple(x.shape)}")  # fmt: skip


def require_broadcast(names: str, *tensors: Tensor) -> torch.Size:
    """Leading axes, all but the last two, that broadcast; what they broadcast to."""
    try:
        shape: torch.Size = torch.broadcast_shapes(*(x.shape[:-2] for x in tensors))
    except RuntimeError:
        shapes = ", ".join(str(tuple(x.shape)) for x in tensors)
        raise ValueError(f"{names} must have leading axes that broadcast, got {shapes}") from None
    return shape


def broadcasts_to(x: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether x broadcasts to a shape, and not beyond."""
    try:
        return bool(torch.broadcast_shapes(x.shape, shape) == shape)
    except RuntimeError:
        return False


def require_classes(name: str, target: Any, shape: tuple[int, ...], K: int) -> None:
    """A class from 0 to K − 1, int64, for each row of a given shape."""
    if not isinstance(target, Tensor) or target.dtype != torch.int64:
        kind = target.dtype if isinstance(target, Tensor) else type(target).__name__
        raise ValueError(f"{name} must be an int64 tensor, got {kind}")
    if target.shape != shape:
        raise ValueError(f"{name} must have one class for each row, shape {tuple(shape)}; got "
                         f"{tuple(target.shape)}")  # fmt: skip
    if values_may_be_read(target):
        refuse(name, target, (target < 0) | (target >= K), f"no class from 0 to {K - 1}")


def require_axis(name: str, x: Any, dim: Any) -> int:
    """dim; what is no tensor, or has no such axis, is refused by name."""
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} must be a torch tensor, got {type(x).__name__}")
    if isinstance(dim, bool) or not isinstance(dim, int) or not -x.ndim <= dim < x.ndim:
        raise ValueError(f"dim must be an axis of {name}, of shape {tuple(x.shape)}; got {dim!r}")
    return dim


def require_probabilities(
    name: str, y: Any, dim: int = -1, precision: torch.dtype | None = None
) -> None:
    """Probabilities along an axis: non-negative, ``|Σy − 1| ≤ √eps`` of the dtype.

    Weights that were computed in a lower precision are judged by that one, if it is named.
    """
    require_rows(name, y, dim)
    if values_may_be_read(y) and not surely_laws(y, dim, precision):
        require_finite(name, y, dim=dim)
        refuse(name, y, y < 0, "a negative probability")
        total = y.sum(dim=dim)
        off = (total - 1).abs() > _slack(precision or y.dtype)
        if off.any():
            row = tuple(off.nonzero()[0].tolist())
            axis = "its last axis" if dim == -1 else f"axis {dim}"
            near = (total - 1).abs().amax().item() <= _slack(torch.bfloat16)
            hint = f", as in lower precision: renormalise, {name} / {name}.sum({dim}, keepdim=True)"
            raise ValueError(f"{name} must sum to 1 along {axis}; row {row} sums to "
                             f"{total[row].item()}{hint * near}")  # fmt: skip


def require_same(name_a: str, a: Tensor, name_b: str, b: Tensor) -> None:
    """Equal shapes and dtypes: nothing is broadcast or promoted."""
    if a.shape != b.shape:
        raise ValueError(f"{name_a} and {name_b} must have the same shape, got "
                         f"{tuple(a.shape)} and {tuple(b.shape)}")  # fmt: skip
    if a.dtype != b.dtype:
        raise ValueError(f"{name_a} and {name_b} must have the same dtype, got "
                         f"{a.dtype} and {b.dtype}")  # fmt: skip


def _as_float(value: Any) -> float:
    """The value of a real number; NaN for anything else, a bool or a tensor among them."""
    if type(value) is float:
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # an integer too large for a float
        return math.inf


def require_real(
    name: str,
    value: Any,
    *,
    above: float | int = -math.inf,
    least: float | int = -math.inf,
    below: float | int = math.inf,
    most: float | int = math.inf,
) -> float:
    """A finite real number within bounds; a bool and a tensor are none."""
    number = _as_float(value)
    if above < number < below and least <= number <= most:
        return number
    words = {"above": above, "at least": least, "below": below, "at most": most}
    limits = " and ".join(f"{word} {x:g}" for word, x in words.items() if math.isfinite(x))
    limits = "positive" if limits == "above 0" else limits
    must = f"a finite number, {limits}" if limits else "a finite number"
    if math.isfinite(least) and math.isfinite(most):
        must = f"between {least:g} and {most:g}"
    raise ValueError(f"{name} must be {must}; got {value!r}")


def require_precision(name: str, value: Any) -> None:
    """A dtype of real numbers that torch computes with."""
    if not isinstance(value, torch.dtype) or value not in (*FLOATS, *HALVES):
        raise ValueError(f"{name} must be None or a dtype: float16, bfloat16, float32 or float64; "
                         f"got {value!r}")  # fmt: skip


def require_epsilon(name: str, eps: Any, dtype: torch.dtype) -> float:
    """A positive finite number that is neither 0 nor infinite in the dtype it will meet."""
    value = require_real(name, eps, above=0)
    # Not by a tensor: neither a compiler nor a meta device would show its value.
    zero, infinite = _BEYOND[dtype]
    if value <= zero or value >= infinite:
        raise ValueError(f"{name} must be a positive finite number in {dtype}, where {eps!r} "
                         f"becomes {0 if value < 1 else math.inf:g}")  # fmt: skip
    return value


def _beyond(dtype: torch.dtype) -> tuple[float, float]:
    """The largest number that is rounded to 0, and the least that is rounded to infinity."""
    kind = torch.finfo(dtype)
    smallest, power = kind.smallest_normal * kind.eps, kind.max / (2 - kind.eps)
    return smallest / 2, kind.max + power * kind.eps / 2


_BEYOND = {dtype: _beyond(dtype) for dtype in (*FLOATS, *HALVES)}


def require_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
    return value


def require_flag(name: str, value: Any) -> bool:
    """True or False; 0, 1 and None are refused."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value


def require_integer(name: str, value: Any, least: int, most: int | None = None) -> int:
    """An integer, at least ``least`` and at most ``most``; a float or bool is refused, even 2.0."""
    # An int first: torch.compile cannot ask a length that varies for its dtype. NumPy's own
    # boolean counts as an integer before NumPy 2.3.
    boolean = isinstance(value, bool | np.bool) or (
        not isinstance(value, int) and getattr(value, "dtype", None) is torch.bool
    )
    try:
        number = least - 1 if boolean else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or (most is not None and number > most):
        limit = f"at least {least}" if number < least else f"at most {most}"
        raise ValueError(f"{name} must be an integer, {limit}; got {value!r}")
    return number
