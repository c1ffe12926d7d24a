"""When ε keeps the order of two entropies, and when it does not."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.integrate import tanhsinh
from scipy.optimize import brentq
from torch import Tensor

from attnlib._inputs import (
    require_choice,
    require_epsilon,
    require_finite,
    require_integer,
    require_probabilities,
    require_real,
    require_same,
    values_may_be_read,
)
from attnlib._shapes import Bool, Float
from attnlib.entropy import VARIANTS

__all__ = ["line_integral", "majorizes", "safe_eps", "safe_gap", "segment_integrand"]


def majorizes(p: Float[Tensor, "*b n"], q: Float[Tensor, "*b n"]) -> Bool[Tensor, "*b"]:
    r"""Whether p majorises q: the k largest entries of p sum to at least those of q, for every k.

    .. math:: \sum_{i \le k} p_{(i)} \ge \sum_{i \le k} q_{(i)}, \qquad k = 1, \dots, n

    Serves the claim ``order-majorisation``. Then Σ f(pᵢ) ≥ Σ f(qᵢ) for every convex f, whatever
    ε is in it. A deficit of at most n eps of the dtype counts as rounding, and sums that are not
    quite 1 are made so first.

    Args:
        p, q: float32 or float64 probability rows of one shape and dtype.

    Raises:
        ValueError: p or q is not a probability row, or shapes or dtypes differ.

    >>> p, q = torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.5])
    >>> majorizes(p, q), majorizes(q, p)
    (tensor(True), tensor(False))
    """
    _require_pair("p", p, "q", q)
    lead = [
        (row / row.sum(-1, keepdim=True)).sort(-1, descending=True).values.cumsum(-1)
        for row in (p.double(), q.double())
    ]
    return (lead[0] - lead[1] >= -p.shape[-1] * torch.finfo(p.dtype).eps).all(-1)


def safe_gap(n: int, eps: float | int, variant: str) -> float:
    r"""The gap of Σ p ln p from which on ε cannot change the order of two laws on n points.

    .. math::
        \text{once: } & \ln\frac{1 + n\varepsilon}{1 + \varepsilon}, \\
        \text{twice: } & \mathcal G(n\varepsilon) - \mathcal G(\varepsilon), \qquad
        \mathcal G(x) = (1 + x)\ln(1 + x) - x \ln x

    Serves the claim ``order-gap``. Both increase from 0 to ln n with ε.

    Args:
        n: the number of points, at least 1.
        eps: positive and finite.
        variant: "once" for Σ p ln(p + ε), "twice" for Σ (p + ε) ln(p + ε), as in
            ``attnlib.entropy.rectified``.

    Raises:
        ValueError: n is not a positive integer, eps not a positive finite number, or variant
            neither word.

    >>> round(safe_gap(3, 1, "once"), 12) == round(math.log(2), 12)  # ln(4/2)
    True
    """
    n = require_integer("n", n, least=1, most=2**63 - 1)
    eps = require_epsilon("eps", eps, torch.float64)
    if require_choice("variant", variant, VARIANTS) == "once":
        return math.log1p((n - 1) * (eps / (1 + eps)))
    return _gap_twice(n, eps)


def safe_eps(gap: float | int, n: int, variant: str) -> float:
    r"""The supremum of the ε that cannot change the order of laws on n points with this gap.

    .. math:: \text{once: } \varepsilon = \frac{e^{\Delta} - 1}{n - e^{\Delta}}

    For "twice" it is the root of 𝒢(nε) − 𝒢(ε) = Δ, found numerically. Serves the claim
    ``order-gap``. Infinite for Δ ≥ ln n: such a gap survives every ε.

    Args:
        gap: Δ > 0, the difference of Σ p ln p, in nats.
        n: the number of points, at least 1.
        variant: as for ``safe_gap``.

    Raises:
        ValueError: gap is not a positive finite number, n not a positive integer, or variant
            neither word.

    >>> safe_eps(math.log(2), 4, "once")  # (2 − 1)/(4 − 2)
    0.5
    """
    gap = require_real("gap", gap, above=0)
    n = require_integer("n", n, least=1, most=2**63 - 1)
    require_choice("variant", variant, VARIANTS)
    if gap >= math.log(n):
        return math.inf
    if variant == "once":
        # n − e^Δ, without cancelling where Δ is close to ln n.
        return math.expm1(gap) / (-n * math.expm1(gap - math.log(n)))

    def short(log_eps: float) -> float:
        return _gap_twice(n, math.exp(log_eps)) - gap

    # Beyond these ends ε, or the distance of Δ from ln n, is below what a float resolves. At
    # both the smaller ε is the honest answer.
    low, high = -740.0, 37.0
    if short(low) >= 0:
        return 0.0
    if short(high) <= 0:
        return math.exp(high)
    return math.exp(brentq(short, low, high, xtol=1e-15))


def segment_integrand(
    p1: Float[Tensor, "*b n"],
    p2: Float[Tensor, "*b n"],
    t: Float[Tensor, "*c"] | float | int,
    eps: float | int = 0.0,
    variant: str = "twice",
) -> Float[Tensor, "*d"]:
    r"""∇F·l on the way from p1 to p2, with l of unit length.

    .. math:: \sum_i l_i \ln(x_i + \varepsilon) \;\Bigl[ + \sum_i l_i \frac{x_i}{x_i +
              \varepsilon} \text{ for "once"} \Bigr], \qquad x = (1 - t)\,p_1 + t\,p_2

    Serves the claim ``integrand-sign``. The 1 of each derivative is left out: Σ lᵢ = 0. For
    ε = 0 an entry that is 0 at an end makes the integrand infinite there, −∞ at the start and
    +∞ at the end.

    Args:
        p1, p2: float32 or float64 probability rows of one shape and dtype, nowhere equal rows.
        t: in [0, 1], the fraction of the way; broadcast against the leading axes.
        eps: at least 0.
        variant: "once" or "twice", as for ``safe_gap``; with ε = 0 they agree.

    Raises:
        ValueError: p1 or p2 is not a probability row, shapes or dtypes differ, two rows are
            equal, t lies outside [0, 1], eps is negative or becomes 0 in the dtype, or variant
            is neither word.

    >>> p1, p2 = torch.tensor([0.2, 0.8]), torch.tensor([0.9, 0.1])
    >>> segment_integrand(p1, p2, 0.0)  # (ln 0.2 − ln 0.8)/√2
    tensor(-0.9803)
    """
    eps = _check(p1, p2, eps, variant)
    if isinstance(t, Tensor):
        require_finite("t", t[..., None], least=0.0, most=1.0)
        if t.dtype != p1.dtype:
            raise ValueError(f"t must have the dtype of p1, {p1.dtype}; got {t.dtype}")
        try:
            torch.broadcast_shapes(t.shape, p1.shape[:-1])
        except RuntimeError:
            raise ValueError(f"t must broadcast against the leading axes of p1, got "
                             f"{tuple(t.shape)} and {tuple(p1.shape)}") from None  # fmt: skip
    else:
        t = torch.tensor(require_real("t", t, least=0, most=1), dtype=p1.dtype, device=p1.device)
    step = p2 - p1
    step = step / step.abs().amax(dim=-1, keepdim=True)  # so that no square underflows
    direction = step / torch.linalg.vector_norm(step, dim=-1, keepdim=True)
    t = t[..., None]
    return _integrand((1 - t) * p1 + t * p2, direction, eps, variant)


def line_integral(
    p1: Float[Tensor, "*b n"],
    p2: Float[Tensor, "*b n"],
    eps: float | int = 0.0,
    variant: str = "twice",
) -> Float[Tensor, "*b"]:
    r"""F(p2) − F(p1) as the integral of ∇F·l along the segment, by quadrature.

    .. math:: \int_0^{\|p_2 - p_1\|} \nabla F(x(s))\cdot l \; ds

    Serves the claim ``line-integral``. The closed difference is never used. The rule
    (tanh–sinh) is made for integrands that are infinite at an end, as this one is at zeros.

    Args and errors as for ``segment_integrand``. Double precision inside, about 14 digits.

    Raises:
        ValueError: as for ``segment_integrand``.
        ArithmeticError: the quadrature does not converge.

    >>> line_integral(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]))  # ln 2
    tensor(0.6931)
    """
    eps = _check(p1, p2, eps, variant)
    start, end = (p.detach().double().reshape(-1, p.shape[-1]) for p in (p1, p2))
    values = [_quadrature(a, b, eps, variant) for a, b in zip(start, end, strict=True)]
    return torch.tensor(values, dtype=p1.dtype, device=p1.device).reshape(p1.shape[:-1])


def _quadrature(p1: Tensor, p2: Tensor, eps: float, variant: str) -> float:
    step = p2 - p1

    def both_halves(at: np.ndarray) -> np.ndarray:
        # From either end to the middle: 1 − t would lose the digits of a zero at t = 1.
        t = torch.from_numpy(np.asarray(at)).unsqueeze(-1)
        # What underflows to 0 would be infinite before the end.
        ways = ((1 - t) * a + t * b for a, b in ((p1, p2), (p2, p1)))
        tiny = torch.finfo(torch.float64).tiny
        halves = (_integrand(x.clamp(min=tiny), step, eps, variant) for x in ways)
        return sum(halves, torch.zeros((), dtype=torch.float64)).numpy()

    # Level 5 from the start: an integrand that is nearly singular beyond an end, at a distance
    # of 1e-9 say, looks converged at lower levels when it is not.
    result = tanhsinh(both_halves, 0.0, 0.5, minlevel=5, atol=1e-13, rtol=0.0)
    if not result.success:
        raise ArithmeticError(f"the quadrature stopped at an error of {result.error:.1e}")
    return float(result.integral)


def _integrand(x: Tensor, direction: Tensor, eps: float, variant: str) -> Tensor:
    """Σ lᵢ ∂F/∂xᵢ, the constant 1 left out; an entry that does not move does not count."""
    moves = direction != 0
    shifted = torch.where(moves, x + eps, 1.0)
    slope = shifted.log()
    if variant == "once" and eps > 0:
        slope = slope + x / shifted
    return (direction * slope).sum(-1)


def _gap_twice(n: int, eps: float) -> float:
    # 𝒢(x) = ln x + (1 + x) ln(1 + 1/x): for large ε the difference of the logarithms is ln n.
    if eps > 1:
        return math.log(n) + _excess(min(n * eps, 1e300)) - _excess(eps)
    return _g(n * eps) - _g(eps)


def _excess(x: float) -> float:
    """𝒢(x) − ln x."""
    return (1 + x) * math.log1p(1 / x)


def _g(x: float) -> float:
    """𝒢, as a sum of positive terms."""
    return math.log1p(x) + x * (math.log1p(1 / x) if x > 1 else math.log1p(x) - math.log(x))


def _require_pair(name_p: str, p: Tensor, name_q: str, q: Tensor) -> None:
    require_probabilities(name_p, p)
    require_probabilities(name_q, q)
    require_same(name_p, p, name_q, q)


def _check(p1: Tensor, p2: Tensor, eps: float | int, variant: str) -> float:
    """eps; the pair, eps and the variant are checked."""
    _require_pair("p1", p1, "p2", p2)
    _require_different("p1", p1, "p2", p2)
    require_choice("variant", variant, VARIANTS)
    zero = isinstance(eps, float | int) and not isinstance(eps, bool) and eps == 0
    return 0.0 if zero else require_epsilon("eps", eps, p1.dtype)


def _require_different(name_a: str, a: Tensor, name_b: str, b: Tensor) -> None:
    """No row of the one equals that of the other."""
    if values_may_be_read(a) and (same := (a == b).all(dim=-1)).any():
        row = tuple(same.nonzero()[0].tolist())
        raise ValueError(f"{name_a} and {name_b} must differ; they are equal in row {row}")
