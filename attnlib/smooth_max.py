"""Smooth versions of the absolute value and of the maximum, with a sharpness k."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attnlib._inputs import (
    eager,
    require_axis,
    require_finite,
    require_real,
    require_rows,
    surely_finite,
    tracked,
)
from attnlib._shapes import Float

__all__ = ["boltzmann_max", "mellowmax", "p_norm_max", "smooth_abs", "smooth_max"]


def _sharpness(x: Tensor, k: float | int) -> float:
    """k checked: also, it must not round to 0 or ∞ where it meets x."""
    k = require_real("k", k, above=0)
    kind = torch.finfo(x.dtype)
    if not kind.tiny <= k <= kind.max:
        raise ValueError(f"k must be between {kind.tiny:g} and {kind.max:g} for {x.dtype}, "
                         f"got {k!r}")  # fmt: skip
    return k


def _check(x: Tensor, k: float | int, dim: int = -1) -> tuple[float, Tensor]:
    """k, and the largest entries along the axis; x, k, dim and k·x are checked."""
    require_rows("x", x, require_axis("x", x, dim))
    top = x.detach().amax(dim=dim, keepdim=True)
    # No entry lies beyond the least and the largest, and both are NaN if one is.
    ends = torch.stack((x.detach().amin(), top.amax())) if eager(x) and x.numel() else None
    if ends is None or not surely_finite(ends):
        require_finite("x", x, dim=dim)
    k = _sharpness(x, k)
    if ends is None or not surely_finite(k * ends):
        require_finite("k * x", k * x, dim=dim)
    return k, top


def _below(top: Tensor, x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The largest entry, a constant, and x minus it.

    Near the top the difference is exact, so that the digits of k(x − top) survive where those of
    kx would be lost; top being constant, no derivative changes.
    """
    return top.squeeze(dim), (x - top).clamp(min=torch.finfo(x.dtype).min)  # never −inf


def smooth_abs(x: Float[Tensor, "*b n"], k: float | int) -> Float[Tensor, "*b n"]:
    r"""A smooth absolute value, entry by entry.

    .. math:: \tfrac1k \ln(e^{kx} + e^{-kx}) = |x| + \tfrac1k\ln(1 + e^{-2k|x|})

    Serves the claim ``smooth-abs``: above ``|x|`` by at most ln 2/k, at 0. The derivative is
    tanh(kx).

    Args:
        x: float32 or float64, at least one axis.
        k: sharpness, positive and finite; in units of 1/x.

    Raises:
        ValueError: x or k·x is not finite, x is not a float tensor, or k is not positive.

    >>> smooth_abs(torch.tensor([0.0, 50.0]), 2)  # ln 2 / 2 at 0
    tensor([ 0.3466, 50.0000])
    """
    k, _ = _check(x, k)
    # |x| by a sign that is a constant and never 0: all derivatives are right, at 0 too.
    # (The second derivative of torch.logaddexp is NaN where e^{2k|x|} overflows.)
    size = torch.where(x < 0, -1.0, 1.0).to(x.dtype) * x
    return size - torch.nn.functional.logsigmoid(2 * (k * size)) / k


def smooth_max(x: Float[Tensor, "*b"], k: float | int, dim: int = -1) -> Float[Tensor, "*c"]:
    r"""The smooth maximum along an axis: logsumexp with a sharpness.

    .. math:: \mathrm{LSE}_k(x) = \tfrac1k \ln \sum_i e^{k x_i}

    Serves the claims ``smooth-max`` and ``smooth-max-n``: between max and max + ln n/k. The
    gradient is softmax(kx), the Hessian k (diag(y) − yyᵀ).

    Args:
        x: float32 or float64; the axis ``dim`` has n ≥ 1 entries.
        k: sharpness, positive and finite.
        dim: the axis to reduce.

    Raises:
        ValueError: as for ``smooth_abs``; also an axis without entries.

    >>> smooth_max(torch.tensor([0.0, 0.0, 0.0, 0.0]), 2)  # ln 4 / 2
    tensor(0.6931)
    """
    k, top = _check(x, k, dim)
    if eager(x):
        return _tracked(x, top, k, dim) if tracked(x) else _smooth_max(x, top, k, dim)[0]
    top, d = _below(top, x, dim)
    return top + torch.logsumexp(k * d, dim=dim) / k


def mellowmax(x: Float[Tensor, "*b"], k: float | int, dim: int = -1) -> Float[Tensor, "*c"]:
    r"""The smooth maximum with a mean in the place of the sum: between max − ln n/k and max.

    .. math:: \tfrac1k \ln \tfrac1n\sum_i e^{k x_i} = \mathrm{LSE}_k(x) - \tfrac{\ln n}{k}

    Serves the claim ``smooth-max-others``. Source: Asadi and Littman (2017). Arguments and
    errors as for ``smooth_max``.

    >>> mellowmax(torch.tensor([3.0, 3.0]), 5)  # equal entries: exact
    tensor(3.)
    """
    k, top = _check(x, k, dim)
    top, d = _below(top, x, dim)
    # For small k the mean is near 1 and its logarithm needs log1p; LSE − ln n/k would cancel.
    less = torch.expm1(k * d).mean(dim=dim)
    near = less > -0.5
    log = torch.log(torch.where(near, 1.0, torch.exp(k * d).mean(dim=dim)))
    return top + torch.where(near, torch.log1p(torch.where(near, less, 0.0)), log) / k


def boltzmann_max(x: Float[Tensor, "*b"], k: float | int, dim: int = -1) -> Float[Tensor, "*c"]:
    r"""The mean of x under its own softmax: at most max, by at most W((n − 1)/e)/k.

    .. math:: B_k(x) = \sum_i \operatorname{softmax}(kx)_i\, x_i

    Serves the claim ``smooth-max-others``. It is not monotone: the derivative with respect to
    an entry below B − 1/k is negative. Arguments and errors as for ``smooth_max``.

    >>> boltzmann_max(torch.tensor([3.0, 3.0]), 5)
    tensor(3.)
    """
    k, top = _check(x, k, dim)
    top, d = _below(top, x, dim)
    return top + (torch.softmax(k * d, dim=dim) * d).sum(dim=dim)


def p_norm_max(x: Float[Tensor, "*b"], k: float | int, dim: int = -1) -> Float[Tensor, "*c"]:
    r"""The k-norm of non-negative entries: between max and n^{1/k} max.

    .. math:: \|x\|_k = \Bigl(\sum_i x_i^k\Bigr)^{1/k}

    Serves the claim ``smooth-max-others``. Where all entries are 0 the norm has no derivative
    for k > 1; 0 is returned for it.

    Args:
        x: float32 or float64, no entry negative.
        k: at least 1 and finite.
        dim: the axis to reduce.

    Raises:
        ValueError: x is not finite, not a float tensor, has a negative entry or no entry along
            the axis, or k is below 1.

    >>> p_norm_max(torch.tensor([3.0, 4.0]), 2)
    tensor(5.)
    """
    require_finite("x", x, least=0.0, dim=require_axis("x", x, dim))
    k = _sharpness(x, require_real("k", k, least=1))
    if k == 1:
        return x.sum(dim=dim)
    # The norm is homogeneous: dividing by the largest entry, a constant, and multiplying again
    # changes neither value nor gradient, and no power overflows.
    top = x.detach().amax(dim=dim, keepdim=True)
    powers = (x / torch.where(top > 0, top, 1.0)).pow(k).sum(dim=dim)
    top = top.squeeze(dim)
    return top * torch.where(top > 0, powers, 1.0).pow(1 / k)


# -- in eager mode: in place, and with the derivatives in closed form --------------------------


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
