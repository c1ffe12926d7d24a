"""Smooth versions of the absolute value and of the maximum, with a sharpness k."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attnlib._inputs import (
    are_rows,
    broadcasts_to,
    eager,
    raised,
    reduced,
    refuse,
    require_axis,
    require_boolean,
    require_finite,
    require_key,
    require_real,
    require_rows,
    row_of_few,
    surely_finite,
    tracked,
    values_may_be_read,
)
from attnlib._shapes import Bool, Float

__all__ = ["boltzmann_max", "mellowmax", "p_norm_max", "smooth_abs", "smooth_max"]


class _Rows(NamedTuple):
    """Arguments that were found good, ready for a formula."""

    x: Tensor  # float32 or float64; where nothing counts, the largest entry of the row
    top: Tensor  # the largest entry that counts, a constant, with its axis
    k: Any  # a float, or a tensor that meets x
    dim: int
    mask: Tensor | None
    kind: torch.dtype  # of the result

    @property
    def below(self) -> Tensor:
        """x minus its largest entry; 0 where nothing counts, and never −inf.

        Near the top the difference is exact, so that the digits of k(x − top) survive where those
        of kx would be lost; top being constant, no derivative changes.
        """
        return (self.x - self.top).clamp(min=torch.finfo(self.x.dtype).min)

    def counted(self, x: Tensor, other: float) -> Tensor:
        """x where the mask is True."""
        return x if self.mask is None else torch.where(self.mask, x, other)

    def total(self, x: Tensor) -> Tensor:
        return self.counted(x, 0.0).sum(dim=self.dim, keepdim=True)

    def mean(self, x: Tensor) -> Tensor:
        if self.mask is None:
            return x.mean(dim=self.dim, keepdim=True)
        return self.total(x) / self.mask.sum(dim=self.dim, keepdim=True)

    def result(self, value: Tensor) -> Tensor:
        return _finite(value.squeeze(self.dim).to(self.kind))


def _finite(value: Tensor) -> Tensor:
    """A result that has not overflowed, as ln n/k can near the largest number of the dtype."""
    if values_may_be_read(value) and not surely_finite(value):
        refuse("the result", value, ~value.isfinite(), f"a value beyond {value.dtype}")
    return value


def _rows(
    x: Any, k: Any, dim: int = -1, mask: Any = None, least: float | None = None
) -> _Rows:  # fmt: skip
    """x, the mask, k and k·x are checked in this order; with a least x and k ≥ 1 not k·x."""
    (x,), lower = raised(x)
    require_rows("x", x, require_axis("x", x, dim))
    if mask is not None:
        mask = require_boolean("mask", mask, "x", x.shape)
    ends = _ends(x) if mask is None else None
    if ends is None or (least is not None and ends[0] < least):
        counted = x if mask is None else torch.where(mask, x, 0.0)
        require_finite("x", counted, -math.inf if least is None else least, dim=dim)
    top = x.detach()
    if mask is not None:
        require_key("x", mask, x.shape, dim)
        top = torch.where(mask, top, -math.inf)
    top = top.amax(dim=dim, keepdim=True)
    x = x if mask is None else torch.where(mask, x, top)
    k = _sharpness(x, k, top.squeeze(dim).shape, dim, 0 if least is None else 1)
    if least is None and (ends is None or isinstance(k, Tensor) or not _moderate(k, ends, x)):
        require_finite("k * x", k * x, dim=dim)
    return _Rows(x, top, k, dim, mask, lower or x.dtype)


def _sharpness(x: Tensor, k: Any, shape: tuple[int, ...], dim: int | None, least: int) -> Any:
    """k checked: also, it must not round to 0 or ∞ where it meets x.

    A tensor must broadcast to the shape of the result; it gets the axis dim, to meet x as well.
    """
    kind = torch.finfo(x.dtype)
    if not (isinstance(k, Tensor) and k.is_floating_point()):
        k = require_real("k", k, least=1) if least else require_real("k", k, above=0)
        if not kind.tiny <= k <= kind.max:
            raise ValueError(f"k must be between {kind.tiny:g} and {kind.max:g} for {x.dtype}, "
                             f"got {k!r}")  # fmt: skip
        return k
    if not broadcasts_to(k, shape):
        raise ValueError(f"k must be a number or broadcast to the shape of the result, got "
                         f"{tuple(k.shape)} and {tuple(shape)}")  # fmt: skip
    if values_may_be_read(k):
        low, value = max(kind.tiny, least), k.double()  # float16 would round the bounds
        bad = ~((value >= low) & (value <= kind.max))
        refuse("k", k, bad, f"a value that is not between {low:g} and {kind.max:g}")
    k = k.to(x.dtype)[(None,) * (len(shape) - k.ndim)]
    return k if dim is None else k.unsqueeze(dim % x.ndim)


def _ends(x: Tensor) -> tuple[float, float] | None:
    """The least and the largest entry of all, if they may be read and are finite."""
    if not (eager(x) and x.numel()):
        return None
    least, most = x.detach().aminmax()  # both are NaN if an entry is
    ends = least.item(), most.item()
    return ends if all(map(math.isfinite, ends)) else None


def _moderate(k: float, ends: tuple[float, float], x: Tensor) -> bool:
    """Whether k·x is finite for certain: no entry lies beyond the ends."""
    return all(abs(k * end) <= torch.finfo(x.dtype).max for end in ends)


def smooth_abs(
    x: Float[Tensor, "*b n"], k: float | int | Float[Tensor, "*k"]
) -> Float[Tensor, "*b n"]:
    r"""A smooth absolute value, entry by entry.

    .. math:: \tfrac1k \ln(e^{kx} + e^{-kx}) = |x| + \tfrac1k\ln(1 + e^{-2k|x|})

    Serves the claim ``smooth-abs``: above ``|x|`` by at most ln 2/k, at 0. The derivative is
    tanh(kx).

    Args:
        x: float32 or float64, at least one axis. float16 and bfloat16 are computed in float32,
            and the result rounded once.
        k: sharpness, positive and finite; in units of 1/x. One that is learnt is a tensor: one
            number, or what broadcasts to the shape of x.

    Raises:
        ValueError: x, k·x or the result is not finite, x is not a float tensor, or k is not
            positive or does not fit x.

    >>> smooth_abs(torch.tensor([0.0, 50.0]), 2)  # ln 2 / 2 at 0
    tensor([ 0.3466, 50.0000])
    """
    (x,), lower = raised(x)
    require_rows("x", x)
    ends = _ends(x)
    if ends is None:
        require_finite("x", x)
    k = _sharpness(x, k, x.shape, None, least=0)
    if ends is None or isinstance(k, Tensor) or not _moderate(k, ends, x):
        require_finite("k * x", k * x)
    # |x| by a sign that is a constant and never 0: all derivatives are right, at 0 too.
    # (The second derivative of torch.logaddexp is NaN where e^{2k|x|} overflows.)
    size = torch.where(x < 0, -1.0, 1.0).to(x.dtype) * x
    value = size - torch.nn.functional.logsigmoid(2 * (k * size)) / k
    return _finite(value.to(lower or x.dtype))


def smooth_max(
    x: Float[Tensor, "*b"], k: float | int | Float[Tensor, "*#c"], dim: int = -1,
    mask: Bool[Tensor, "*#b"] | None = None,
) -> Float[Tensor, "*c"]:  # fmt: skip
    r"""The smooth maximum along an axis: logsumexp with a sharpness.

    .. math:: \mathrm{LSE}_k(x) = \tfrac1k \ln \sum_i e^{k x_i}

    Serves the claims ``smooth-max`` and ``smooth-max-n``: between max and max + ln n/k. The
    gradient is softmax(kx), the Hessian k (diag(y) − yyᵀ), and the derivative with respect to k
    minus the entropy of softmax(kx) over k².

    Args:
        x: float32 or float64; the axis ``dim`` has n ≥ 1 entries. float16 and bfloat16 are
            computed in float32, and the result rounded once.
        k: sharpness, positive and finite. One that is learnt is a tensor: one number, or what
            broadcasts to the shape of the result, a sharpness for each row.
        dim: the axis to reduce.
        mask: True = counted, broadcast to the shape of x. What x holds at False, NaN included,
            has no influence on value or gradient, and n is the number of True.

    Raises:
        ValueError: as for ``smooth_abs``; also an axis without entries, a row whose every entry
            is masked, a mask that is not boolean or does not fit x.

    >>> smooth_max(torch.tensor([0.0, 0.0, 0.0, 0.0]), 2)  # ln 4 / 2
    tensor(0.6931)
    >>> smooth_max(torch.tensor([0.0, 0.0, 9.0]), 2, mask=torch.tensor([True, True, False]))
    tensor(0.3466)
    """
    value = _quick(x, k, dim) if mask is None else None
    if value is None:
        rows = _rows(x, k, dim, mask)
        t = rows.counted(rows.k * rows.below, -math.inf)
        value = rows.result(rows.top + torch.logsumexp(t, dim=dim, keepdim=True) / rows.k)
    return value


def mellowmax(
    x: Float[Tensor, "*b"], k: float | int | Float[Tensor, "*#c"], dim: int = -1,
    mask: Bool[Tensor, "*#b"] | None = None,
) -> Float[Tensor, "*c"]:  # fmt: skip
    r"""The smooth maximum with a mean in the place of the sum: between max − ln n/k and max.

    .. math:: \tfrac1k \ln \tfrac1n\sum_i e^{k x_i} = \mathrm{LSE}_k(x) - \tfrac{\ln n}{k}

    Serves the claim ``smooth-max-others``. Source: Asadi and Littman (2017). Arguments and
    errors as for ``smooth_max``. The derivative with respect to a tensor k becomes half the
    variance of x for small k, as a difference: its error grows like eps/k times the spread of x.

    >>> mellowmax(torch.tensor([3.0, 3.0]), 5)  # equal entries: exact
    tensor(3.)
    """
    rows = _rows(x, k, dim, mask)
    t = rows.k * rows.below
    # For small k the mean is near 1 and its logarithm needs log1p; LSE − ln n/k would cancel.
    less = rows.mean(torch.expm1(t))
    near = less > -0.5
    log = torch.log(torch.where(near, 1.0, rows.mean(t.exp())))
    log = torch.where(near, torch.log1p(torch.where(near, less, 0.0)), log)
    return rows.result(rows.top + log / rows.k)


def boltzmann_max(
    x: Float[Tensor, "*b"], k: float | int | Float[Tensor, "*#c"], dim: int = -1,
    mask: Bool[Tensor, "*#b"] | None = None,
) -> Float[Tensor, "*c"]:  # fmt: skip
    r"""The mean of x under its own softmax: at most max, by at most W((n − 1)/e)/k.

    .. math:: B_k(x) = \sum_i \operatorname{softmax}(kx)_i\, x_i

    Serves the claim ``smooth-max-others``. It is not monotone: the derivative with respect to
    an entry below B − 1/k is negative. That with respect to k is the variance of x under
    softmax(kx). Arguments and errors as for ``smooth_max``.

    >>> boltzmann_max(torch.tensor([3.0, 3.0]), 5)
    tensor(3.)
    """
    rows = _rows(x, k, dim, mask)
    d = rows.below
    y = torch.softmax(rows.counted(rows.k * d, -math.inf), dim=dim)
    return rows.result(rows.top + (y * d).sum(dim=dim, keepdim=True))


def p_norm_max(
    x: Float[Tensor, "*b"], k: float | int | Float[Tensor, "*#c"], dim: int = -1,
    mask: Bool[Tensor, "*#b"] | None = None,
) -> Float[Tensor, "*c"]:  # fmt: skip
    r"""The k-norm of non-negative entries: between max and n^{1/k} max.

    .. math:: \|x\|_k = \Bigl(\sum_i x_i^k\Bigr)^{1/k}

    Serves the claim ``smooth-max-others``. Where all entries are 0 the norm has no derivative
    for k > 1; 0 is returned for it.

    Args:
        x: float32 or float64, no entry negative; float16 and bfloat16 as for ``smooth_max``.
        k: at least 1 and finite; a tensor as for ``smooth_max``.
        dim: the axis to reduce.
        mask: True = counted, as for ``smooth_max``.

    Raises:
        ValueError: x or the result is not finite, x is not a float tensor, has a negative entry
            or no entry along the axis, or k is below 1; k or the mask do not fit x, or a row is
            masked in every entry.

    >>> p_norm_max(torch.tensor([3.0, 4.0]), 2)
    tensor(5.)
    """
    rows = _rows(x, k, dim, mask, least=0.0)
    k = rows.k
    if not isinstance(k, Tensor) and k == 1:
        return rows.result(rows.total(rows.x))
    # The norm is homogeneous: dividing by the largest entry, a constant, and multiplying again
    # changes neither value nor gradient, and no power overflows.
    top, some = rows.top, rows.top > 0
    powers = rows.total(_power(rows.x / torch.where(some, top, 1.0), k))
    norm = top * torch.where(some, powers, 1.0).pow(1 / k)
    if isinstance(k, Tensor):  # of zeros alone the sum has a derivative where the norm has none
        norm = torch.where(some | (k > 1), norm, rows.total(rows.x))
    return rows.result(norm)


def _power(x: Tensor, k: Any) -> Tensor:
    """x^k, of which the derivatives with respect to k are 0 where x is, not 0·∞."""
    if not isinstance(k, Tensor):
        return x.pow(k)
    zero = x == 0
    of_zero = torch.where(zero, x, 1.0).pow(k.detach())
    return torch.where(zero, of_zero, torch.where(zero, 1.0, x).pow(k))


# -- in eager mode: in place, and with the derivatives in closed form --------------------------


def _quick(x: Any, k: Any, dim: Any) -> Tensor | None:
    """The smooth maximum of all entries, or None where something could be wrong."""
    if not (type(k) in (int, float) and type(dim) is int and eager(x) and isinstance(x, Tensor)):
        return None
    if not (-x.ndim <= dim < x.ndim and are_rows(x, dim) and x.numel()):
        return None
    kind = torch.finfo(x.dtype)
    if not kind.tiny <= k <= kind.max:
        return None
    k = float(k)
    entries = None if tracked(x) else row_of_few(x, dim)
    if entries is not None:
        return _of_few(x, k, dim, entries)
    top = x.detach().amax(dim=dim, keepdim=True)
    ends = x.detach().amin().item(), top.amax().item()  # NaN if an entry is
    if not (all(map(math.isfinite, ends)) and _moderate(k, ends, x) and _holds(x, dim, k, ends[1])):
        return None
    value: Tensor = _tracked(x, top, k, dim) if tracked(x) else _smooth_max(x, top, k, dim)[0]
    return value


def _holds(x: Tensor, dim: int, k: float, top: float) -> bool:
    """Whether max + ln n/k is finite for certain, which no result exceeds."""
    return top + math.log(x.shape[dim]) / k < (1 - 1e-6) * torch.finfo(x.dtype).max


def _of_few(x: Tensor, k: float, dim: int, entries: list[float]) -> Tensor | None:
    """A single row of few entries."""
    least, top = min(entries), max(entries)
    near = math.isfinite(sum(entries)) and top - least <= torch.finfo(x.dtype).max
    if not (near and _moderate(k, (least, top), x) and _holds(x, dim, k, top)):
        return None
    total = math.fsum([math.exp(k * (v - top)) for v in entries])
    return reduced(x, dim, top + math.log(total) / k)


def _smooth_max(x: Tensor, top: Tensor, k: float, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """The value, e = exp(k(x − top)), and its sum."""
    e = (x - top).clamp_(min=torch.finfo(x.dtype).min).mul_(k).exp_()
    total = e.sum(dim=dim, keepdim=True)
    return total.log().div_(k).add_(top).squeeze(dim), e, total


class _SmoothMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, top: Tensor, k: float, dim: int) -> Tensor:
        ctx.k, ctx.dim = k, dim
        value, e, total = _smooth_max(x.detach(), top, k, dim)
        ctx.save_for_backward(x, top, e, total)
        return value

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None, None]:
        x, top, e, total = ctx.saved_tensors
        dy = dy.unsqueeze(ctx.dim)
        if torch.is_grad_enabled():  # to be differentiated again
            d = (x - top).clamp(min=torch.finfo(x.dtype).min)
            return dy * torch.softmax(ctx.k * d, dim=ctx.dim), None, None, None
        return e * (dy / total), None, None, None


_tracked: Callable[..., Any] = _SmoothMax.apply
