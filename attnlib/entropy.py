"""Entropy of attention: exact from probabilities and from logits, and with ε in two places."""

from __future__ import annotations

import itertools
import math
import operator
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from scipy.optimize import brentq
from torch import Tensor

from attnlib._inputs import (
    are_laws,
    are_rows,
    eager,
    entries_of_few,
    is_mask,
    raised,
    reduced,
    require_axis,
    require_choice,
    require_epsilon,
    require_integer,
    require_mask,
    require_probabilities,
    require_real,
    rounded,
    row_of_few,
    surely_finite,
    tracked,
)
from attnlib._shapes import Bool, Float

__all__ = ["crossover", "entropy", "entropy_from_logits", "rectified", "sums_of_law"]

VARIANTS = ("once", "twice")  # how often ε goes in
# Its exponential is 0 in either dtype. With logits further apart the slopes of the formula, of
# size d, could overflow on the way to 0.
_FAR = -1000.0


def entropy(
    p: Float[Tensor, "*b"], dim: int = -1, precision: torch.dtype | None = None
) -> Float[Tensor, "*c"]:
    r"""The entropy of probabilities, in nats, exact where some are 0.

    .. math:: H(p) = -\sum_i p_i \ln p_i, \qquad 0 \ln 0 = 0

    Serves the claim ``entropy-underflow``. The gradient is −(ln pᵢ + 1). It is infinite in the
    limit pᵢ → 0; where pᵢ = 0 it is set to 0, so that a backward pass through a softmax stays
    finite. Where logits are at hand, ``entropy_from_logits`` is more accurate.

    Args:
        p: float32 or float64, probabilities along the axis ``dim``. Of float16 and bfloat16 H is
            computed in float32 and rounded once.
        dim: the axis to reduce.
        precision: what p was computed in, if that is not its dtype, such as ``torch.bfloat16``.
            A sum of p may be off 1 by √eps of it.

    Raises:
        ValueError: p is not a float tensor, has no entry along the axis, holds a negative entry,
            NaN or ±inf, or does not sum to 1; precision is no such dtype.

    >>> entropy(torch.tensor([0.5, 0.5, 0.0]))  # ln 2
    tensor(0.6931)
    """
    dim = require_axis("p", p, dim)
    if are_laws(p, dim, precision):
        H: Tensor = _tracked(p, dim) if tracked(p) else _entropy(p, dim)
        if surely_finite(H):
            return H
    (exact,), kind = raised(p)
    if kind is not None:
        return rounded(entropy(exact, dim, precision or kind), kind, bounded=True)
    require_probabilities("p", p, dim, precision)
    # The 1 goes in before the logarithm: zeroing p·ln p afterwards leaves NaN in the gradient.
    safe = torch.where(p == 0, 1.0, p)  # a NaN stays one
    return 0 - (safe * safe.log()).sum(dim=dim)  # 0 − 0 is 0, −(0) would be −0


def entropy_from_logits(
    z: Float[Tensor, "*b"], mask: Bool[Tensor, "*#b"] | None = None, dim: int = -1
) -> Float[Tensor, "*c"]:
    r"""The entropy of softmax(z), in nats, without the logarithm of a probability.

    .. math:: H = \ln\sum_i e^{z_i} - \sum_i p_i z_i, \qquad
              \frac{\partial H}{\partial z_j} = -p_j(\ln p_j + H)

    Serves the claim ``entropy-underflow``. Value and gradient are finite for all finite logits,
    however far apart. The largest logit is subtracted first: only then do large logits keep their
    digits.

    Args:
        z: float32 or float64 logits along the axis ``dim``; −inf marks a masked entry. Of float16
            and bfloat16 H is computed in float32 and rounded once.
        mask: True = attend, broadcast to the shape of z. What z holds at False, NaN included,
            has no influence on value or gradient.
        dim: the axis to reduce.

    Raises:
        ValueError: z is not a float tensor, has no entry along the axis, or holds NaN or +inf
            where the mask is True; every entry of a row is masked; the mask is not boolean or
            does not fit z.

    >>> entropy_from_logits(torch.tensor([7.0, 7.0, 500.0]), torch.tensor([True, True, False]))
    tensor(0.6931)
    """
    dim = require_axis("z", z, dim)
    if eager(z, mask) and are_rows(z, dim) and (mask is None or is_mask(mask, z.shape)):
        H: Tensor = _tracked_logits(z, mask, dim) if tracked(z) else _H_of_logits(z, mask, dim)
        # NaN, +inf and a row without an entry make H NaN, and nothing else does.
        if surely_finite(H):
            return H
    (exact,), kind = raised(z)
    if kind is not None:
        return rounded(entropy_from_logits(exact, mask, dim), kind, bounded=True)
    keep = require_mask("mask", mask, "z", z, dim=dim)
    z = torch.where(keep, z, 0.0)
    leader = torch.where(keep, z, -math.inf).argmax(dim=dim, keepdim=True)
    # H depends on the differences d ≤ 0 alone.
    d = (z - z.gather(dim, leader)).clamp(min=_FAR)
    # Its own 0 is a constant: else the two halves of its gradient cancel to rounding errors.
    d = torch.where(keep, d, 0.0).scatter(dim, leader, 0.0)
    weights = torch.where(keep, d.exp(), 0.0)
    # The leader counts as the 1 of log1p: near one-hot the small rest keeps its digits.
    rest = weights.scatter(dim, leader, 0.0).sum(dim=dim, keepdim=True)
    p = weights / (1 + rest)
    return rest.log1p().squeeze(dim) - (p * d).sum(dim=dim)


def rectified(
    p: Float[Tensor, "*b"],
    eps: float | int,
    variant: str,
    dim: int = -1,
    precision: torch.dtype | None = None,
) -> Float[Tensor, "*c"]:
    r"""The notes' B and C: ε inside the logarithm, once, or in both places, twice.

    .. math::
        \text{once: } B_\varepsilon(p) = \sum_i p_i \ln(p_i + \varepsilon), \qquad
        \text{twice: } C_\varepsilon(p) = \sum_i (p_i + \varepsilon) \ln(p_i + \varepsilon)

    The sign is theirs: minus an entropy. Serves the claims ``entropy-B-above-A``,
    ``entropy-C-meaning`` and ``order-gap``: B is above Σ p ln p, by at least ln(1 + ε) and at most
    ln(1 + nε). With t = nε, C is (1 + t) ln(1 + t) − (1 + t) H(q): up to scale and shift, minus
    the entropy of the smoothed law q = (p + ε)/(1 + t).

    Args:
        p, dim, precision: probabilities along an axis, as for ``entropy``.
        eps: positive and finite, also in the dtype of p; in float32 where that is float16 or
            bfloat16, for there it is added.
        variant: "once" for B, "twice" for C.

    Raises:
        ValueError: p and precision as for ``entropy``; eps is not positive, or becomes 0 where it
            is added, or is so large that C would be infinite; variant is neither word.

    >>> rectified(torch.tensor([1.0, 0.0]), 0.5, "once")  # ln 1.5
    tensor(0.4055)
    >>> rectified(torch.tensor([0.5, 0.5]), 0.5, "twice")  # 1 ln 1 + 1 ln 1
    tensor(0.)
    """
    dim = require_axis("p", p, dim)
    quick = are_laws(p, dim, precision)
    if not quick:
        (exact,), kind = raised(p)
        if kind is not None:
            return rounded(rectified(exact, eps, variant, dim, precision or kind), kind)
        require_probabilities("p", p, dim, precision)
    eps = require_epsilon("eps", eps, p.dtype)
    require_choice("variant", variant, VARIANTS)
    most = (1 + p.shape[dim] * eps) * math.log1p(eps)
    fits = variant == "once" or most <= torch.finfo(p.dtype).max
    row = row_of_few(p, dim) if fits and quick and not tracked(p) else None
    if row is not None:
        added = eps if variant == "twice" else 0.0
        return reduced(p, dim, math.fsum([(v + added) * math.log(v + eps) for v in row]))
    smoothed = p + eps
    alone = quick and not tracked(p)  # then nobody needs the steps
    if variant == "once":
        log = smoothed.log_() if alone else smoothed.log()
        return (log.mul_(p) if alone else p * log).sum(dim=dim)
    if not fits:
        raise ValueError(f"eps must leave the sum finite in {p.dtype}; got {eps!r}")
    log = smoothed.log()
    return (log.mul_(smoothed) if alone else smoothed * log).sum(dim=dim)


def sums_of_law(
    law: tuple[int, ...], eps: float | int, exact: bool = False
) -> tuple[Any, Any, Any]:
    r"""A = Σ p ln p, B and C of a law in whole numbers, as floats or at 50 digits.

    .. math:: p_i = \frac{w_i}{\sum_k w_k}, \qquad A = \sum_i p_i \ln p_i

    B and C are those of ``rectified``. Serves the searches for counterexamples, where fifty
    digits decide what double precision cannot.

    Args:
        law: the weights w, whole numbers of any size, at least 0 and not all 0.
        eps: positive and finite.
        exact: take p as a ratio of whole numbers and eps as the very float it is, and return
            numbers of ``mpmath``. Otherwise all is done in double precision.

    Returns:
        (A, B, C).

    Raises:
        ValueError: law holds a number below 0, or none above it; eps is not positive.

    >>> [round(v, 6) for v in sums_of_law((1, 1), 0.5)]  # −ln 2, 0, 0
    [-0.693147, 0.0, 0.0]
    """
    if not law or min(law) < 0 or not any(law):
        raise ValueError(f"law must hold whole numbers, at least 0 and not all 0; got {law!r}")
    eps = require_real("eps", eps, above=0)
    if not exact:
        return _sums(law, eps, math.log)
    import mpmath  # here: whoever computes with tensors does without it

    with mpmath.workdps(50):
        return _sums(law, mpmath.mpf(eps), mpmath.log)


def crossover(n: int) -> float:
    r"""t*(n): up to nε = t*(n), B is at least as close to Σ p ln p as C for every p.

    .. math:: \varphi(t^*) = \ln n, \qquad \varphi(t) = \frac{(2 + t)\ln(1 + t)}{t}

    Serves the claim ``entropy-C-closer``. Beyond it, up to ε = 1 − 1/n, the uniform law has C
    closer. φ increases from 2, so there is a root for ln n > 2 only, that is for n ≥ 8.

    Args:
        n: the number of entries, 8 ≤ n < 2⁶³.

    Raises:
        ValueError: n is not an integer of that range.

    >>> round(crossover(8), 12)  # φ(1) = 3 ln 2 = ln 8
    1.0
    """
    n = require_integer("n", n, least=8, most=2**63 - 1)
    # With u = ln(1 + t), φ = u coth(u/2): no digits are lost, and φ ≥ u brackets the root.
    u = brentq(lambda u: u / math.tanh(u / 2) - math.log(n), 0.1, math.log(n), xtol=1e-15)
    return math.expm1(u)


def _sums(law: tuple[int, ...], eps: Any, log: Callable[[Any], Any]) -> tuple[Any, Any, Any]:
    """A, B and C in the kind of number that eps is; equal weights are computed once."""
    number, total = type(eps), sum(law)
    a = b = c = number(0)
    for weight, count in Counter(law).items():
        p = number(weight) / total
        shifted = log(p + eps)
        if weight:
            a += count * p * log(p)
        b += count * p * shifted
        c += count * (p + eps) * shifted
    return a, b, c


# -- in eager mode: in place, and with the derivatives in closed form --------------------------


def _entropy(p: Tensor, dim: int) -> Tensor:
    entries = row_of_few(p, dim)
    if entries is not None:
        return reduced(p, dim, 0 - math.fsum([v * math.log(v) for v in entries if v]))
    # The smallest float for 0, so that 0 ln 0 is 0.
    least = torch.finfo(p.dtype).smallest_normal * torch.finfo(p.dtype).eps
    return 0 - p.clamp(min=least).log_().mul_(p).sum(dim=dim)


class _Entropy(torch.autograd.Function):
    """H of probabilities. Only p is kept for the way back."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, dim: int) -> Tensor:
        ctx.dim = dim
        ctx.save_for_backward(p)
        return _entropy(p.detach(), dim)

    @staticmethod
    def backward(ctx: Any, dH: Tensor) -> tuple[Tensor, None]:
        (p,) = ctx.saved_tensors
        dH = 0 - dH.unsqueeze(ctx.dim)
        if torch.is_grad_enabled():  # to be differentiated again
            zero = p == 0
            return dH * (torch.where(zero, 1.0, p).log() + torch.where(zero, 0.0, 1.0)), None
        slope = p.log().add_(1)  # −∞ where p is 0
        return dH * slope.nan_to_num_(nan=math.nan, neginf=0.0, posinf=math.inf), None


_tracked: Callable[..., Any] = _Entropy.apply


def _of_logits(
    z: Tensor, mask: Tensor | None, dim: int, slope: bool = False
) -> tuple[Tensor, Tensor | None]:
    """H of softmax(z) and, if asked for, minus its gradient, with two tensors of the size of z.

    With d = z − max z and weights w in proportion to eᵈ: H = ln(Σ w / w_max) − Σ w d / Σ w, and
    minus the gradient is p (d − Σ p d).
    """
    if mask is not None:
        z = torch.where(mask, z, -math.inf)
    top = z.amax(dim=dim, keepdim=True)
    few = z.shape[dim] < (16 if z.dtype == torch.float32 else 32)  # torch.softmax is slow there
    w = z if few else torch.softmax(z, dim=dim)
    d = z - top if mask is None else z.sub_(top)
    w = d.exp() if few else w
    lead: Any = 1.0 if few else w.amax(dim=dim, keepdim=True)
    total = w.sum(dim=dim, keepdim=True)  # of torch.softmax too it is 1 but for a few eps
    d.clamp_(min=_FAR).mul_(w)  # w·d, never 0·∞; a NaN stays one
    moment = d.sum(dim=dim, keepdim=True)
    if slope:
        d.addcmul_(w, moment / total, value=-1)
        d = d.div_(total) if few else d
    ratio = total if few else total / lead
    log = ratio.log()
    near = ratio < 1.75  # by more than rounding, only one weight is above half of the sum
    if near.any():
        # Near one-hot the small rest keeps its digits, where beside the largest it would lose them.
        rest = 0 - torch.threshold_(w.neg_(), -1 if few else -0.5, 0.0).sum(dim=dim, keepdim=True)
        log = torch.where(near, (rest / lead).log1p(), log)
        total = torch.where(near, lead + rest, total)
    return (log - moment / total).squeeze(dim), d if slope else None


def _H_of_logits(z: Tensor, mask: Tensor | None, dim: int) -> Tensor:
    """H alone, of a single row of few logits by Python."""
    row = row_of_few(z, dim)
    if row is not None and mask is not None:
        row = list(itertools.compress(row, entries_of_few(mask.expand(z.shape))))
    if not row or not math.isfinite(top := max(row)):
        return _of_logits(z, mask, dim)[0]
    d = [max(v - top, _FAR) for v in row]
    d.remove(0.0)  # the leader counts as the 1 of log1p
    w = [math.exp(v) for v in d]
    rest = math.fsum(w)
    H = math.log1p(rest) - math.fsum(map(operator.mul, w, d)) / (1 + rest)
    return reduced(z, dim, H)


class _EntropyOfLogits(torch.autograd.Function):
    """H of softmax(z). Only z and the gradient itself are kept for the way back."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, mask: Tensor | None, dim: int) -> Tensor:
        H, slope = _of_logits(z.detach(), mask, dim, slope=True)
        ctx.dim = dim
        ctx.save_for_backward(z, mask, slope)
        return H

    @staticmethod
    def backward(ctx: Any, dH: Tensor) -> tuple[Tensor, None, None]:
        z, mask, slope = ctx.saved_tensors
        dim, dH = ctx.dim, 0 - dH.unsqueeze(ctx.dim)
        if torch.is_grad_enabled():  # to be differentiated again
            z = z if mask is None else torch.where(mask, z, -math.inf)
            top = z.detach().amax(dim=dim, keepdim=True)
            d = torch.where(z == -math.inf, top, z) - top
            d = d.clamp(min=_FAR)
            p = torch.softmax(z, dim=dim)
            slope = p * (d - (p * d).sum(dim=dim, keepdim=True))
        return dH * slope, None, None


_tracked_logits: Callable[..., Any] = _EntropyOfLogits.apply
