"""When ε keeps the order of two entropies, and when it does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, overload

import numpy as np
import torch
from scipy.integrate import tanhsinh
from scipy.optimize import brentq
from scipy.optimize.elementwise import find_root
from torch import Tensor

from attnlib._inputs import (
    FLOATS,
    refuse,
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

# Beyond these ln ε, ε, or the distance of Δ from ln n, is below what a float resolves. At both the
# smaller ε is the honest answer.
_LEAST, _MOST = -740.0, 37.0


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


@overload
def safe_eps(gap: Float[Tensor, "*b"], n: int, variant: str) -> Float[Tensor, "*b"]: ...


@overload
def safe_eps(gap: float | int, n: int, variant: str) -> float: ...


def safe_eps(
    gap: Float[Tensor, "*b"] | float | int, n: int, variant: str
) -> Float[Tensor, "*b"] | float:
    r"""The supremum of the ε that cannot change the order of laws on n points with this gap.

    .. math:: \text{once: } \varepsilon = \frac{e^{\Delta} - 1}{n - e^{\Delta}}

    For "twice" it is the root of 𝒢(nε) − 𝒢(ε) = Δ, found numerically. Serves the claim
    ``order-gap``. Infinite for Δ ≥ ln n: such a gap survives every ε.

    Args:
        gap: Δ > 0, the difference of Σ p ln p, in nats; a number, or a tensor of many, float32
            or float64.
        n: the number of points, at least 1.
        variant: as for ``safe_gap``.

    Returns:
        A float; for a tensor one of its shape and dtype, which carries no gradient.

    Raises:
        ValueError: gap is not a positive finite number, n not a positive integer, or variant
            neither word.

    >>> safe_eps(math.log(2), 4, "once")  # (2 − 1)/(4 − 2)
    0.5
    >>> safe_eps(torch.tensor([2.0, 3.0]).log(), 4, "once")  # and (3 − 1)/(4 − 3)
    tensor([0.5000, 2.0000])
    """
    if isinstance(gap, Tensor):
        _require_gaps(gap)
    else:
        gap = require_real("gap", gap, above=0)
    n = require_integer("n", n, least=1, most=2**63 - 1)
    require_choice("variant", variant, VARIANTS)
    if not isinstance(gap, Tensor):
        return _safe_eps(gap, n, variant)
    found = _safe_eps_of_many(gap.detach().double().cpu().numpy(), n, variant)
    return torch.from_numpy(found).to(gap)


def _require_gaps(gap: Tensor) -> None:
    if gap.dtype not in FLOATS:
        raise ValueError(f"gap must be float32 or float64, got {gap.dtype}")
    refuse("gap", gap, ~(gap.isfinite() & (gap > 0)), "no positive finite number")


def _safe_eps(gap: float, n: int, variant: str) -> float:
    if gap >= math.log(n):
        return math.inf
    if variant == "once":
        # n − e^Δ, without cancelling where Δ is close to ln n.
        return math.expm1(gap) / (-n * math.expm1(gap - math.log(n)))

    def short(log_eps: float) -> float:
        return _gap_twice(n, math.exp(log_eps)) - gap

    if short(_LEAST) >= 0:
        return 0.0
    if short(_MOST) <= 0:
        return math.exp(_MOST)
    return math.exp(brentq(short, _LEAST, _MOST, xtol=1e-15))


def _safe_eps_of_many(gaps: np.ndarray, n: int, variant: str) -> np.ndarray:
    """The same for an array, in one search."""
    found, wanted = np.full(gaps.shape, math.inf), gaps < math.log(n)
    gap = gaps[wanted]
    once = np.expm1(gap) / (-n * np.expm1(gap - math.log(n)))
    found[wanted] = once if variant == "once" else _roots(gap, n, once)
    return found


def _roots(gap: np.ndarray, n: int, above: np.ndarray) -> np.ndarray:
    """The ε of twice, which are below those of once, for gaps below ln n."""
    found = np.where(gap <= _gap_twice(n, math.exp(_LEAST)), 0.0, math.exp(_MOST))
    between = (found > 0) & (gap < _gap_twice(n, math.exp(_MOST)))
    gap, above = gap[between], above[between]
    # With y = Δ/(n − 1) and c = 2 + 2 ln(1 + 1/y) the gap of y/c is at most y (n − 1): it is an
    # integral of ln(1 + 1/x) over (n − 1) y/c, and ln(1 + c/y) ≤ c.
    y = gap / (n - 1)
    log_y = np.log(y.clip(math.exp(_LEAST)))
    log_below = log_y - np.log(2 + 2 * np.logaddexp(0, -log_y))
    # A little further apart, for what is rounded.
    low, high = log_below.clip(_LEAST) - 1e-6, np.log(above).clip(_LEAST, _MOST) + 1e-6

    def short(log_eps: np.ndarray, gap: np.ndarray) -> Any:
        return _gaps_twice(n, np.exp(log_eps)) - gap

    result = find_root(short, (low, high), args=(gap,), tolerances={"xatol": 1e-15, "fatol": 0.0})
    if not result.success.all():
        raise ArithmeticError("the search of a root of the gap did not converge")
    found[between] = np.exp(result.x)
    return found


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

    .. math:: \int_0^{\|p_2 - p_1\|} \nabla F(x(s))\cdot l \; ds, \qquad
              \frac{\partial}{\partial p_2} = \nabla F(p_2), \quad
              \frac{\partial}{\partial p_1} = -\nabla F(p_1)

    Serves the claim ``line-integral``. The closed difference is never used. The rule
    (tanh–sinh) is made for integrands that are infinite at an end, as this one is at zeros.

    Args and errors as for ``segment_integrand``; leading axes are integrated at once, in double
    precision inside, to about 14 digits. The derivatives are closed, to any order, in forward mode
    and under ``torch.func`` too; as in the integrand the 1 of ∇F is left out. For ε = 0 the slope
    of an entry that is 0 is infinite in the limit, and set to 0, as by ``attnlib.entropy.entropy``.

    Raises:
        ValueError: as for ``segment_integrand``.
        ArithmeticError: the quadrature does not converge.

    >>> line_integral(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]))  # ln 2
    tensor(0.6931)
    """
    integral: Tensor = _integral(p1, p2, _check(p1, p2, eps, variant), variant)
    return integral


class _LineIntegral(torch.autograd.Function):
    """The integral by NumPy, and its derivatives by the slopes of F at the ends."""

    @staticmethod
    def forward(p1: Tensor, p2: Tensor, eps: float, variant: str) -> Tensor:
        start, end = (p.double().reshape(-1, p.shape[-1]) for p in (p1, p2))
        rows = max(1, _MOST_NUMBERS // (_NODES * p1.shape[-1]))
        pairs = zip(start.split(rows), end.split(rows), strict=True)
        values = [_quadrature(a, b, eps, variant) for a, b in pairs if len(a)]
        return torch.cat([start.new_empty(0), *values]).reshape(p1.shape[:-1]).to(p1.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, float, str], output: Tensor) -> None:
        p1, p2, ctx.eps, ctx.variant = inputs
        ctx.save_for_backward(p1, p2)
        ctx.save_for_forward(p1, p2)

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor, Tensor, None, None]:
        first, second = (_slope(p, ctx.eps, ctx.variant) for p in ctx.saved_tensors)
        d = d.unsqueeze(-1)
        return -d * first, d * second, None, None

    @staticmethod
    def jvp(ctx: Any, d1: Tensor, d2: Tensor, *_: None) -> Tensor:
        first, second = (_slope(p, ctx.eps, ctx.variant) for p in ctx.saved_tensors)
        return (second * d2).sum(-1) - (first * d1).sum(-1)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], p1: Tensor, p2: Tensor, eps: float,
             variant: str) -> tuple[Tensor, int]:  # fmt: skip
        p1, p2 = (p.expand(info.batch_size, *p.shape) if dim is None else p.movedim(dim, 0)
                  for p, dim in zip((p1, p2), in_dims, strict=False))  # fmt: skip
        return _integral(p1, p2, eps, variant), 0


_integral: Callable[..., Any] = _LineIntegral.apply


def _slope(p: Tensor, eps: float, variant: str) -> Tensor:
    """∂F/∂pᵢ, the constant 1 left out; 0 where it would be infinite."""
    zero = p + eps == 0
    shifted = torch.where(zero, 1.0, p + eps)
    slope = shifted.log()
    return slope + p / shifted if variant == "once" and eps > 0 else slope


# So many numbers are held at once, for so many points of a way.
_MOST_NUMBERS, _NODES = 2**20, 512


def _quadrature(p1: Tensor, p2: Tensor, eps: float, variant: str) -> Tensor:
    """The integrals for the rows of two matrices."""

    def both_halves(at: np.ndarray, row: np.ndarray) -> np.ndarray:
        a, b = (p[torch.from_numpy(row[..., 0])].unsqueeze(-2) for p in (p1, p2))
        # From either end to the middle: 1 − t would lose the digits of a zero at t = 1.
        t = torch.from_numpy(at).unsqueeze(-1)
        # What underflows to 0 would be infinite before the end.
        ways = ((1 - t) * start + t * end for start, end in ((a, b), (b, a)))
        tiny = torch.finfo(torch.float64).tiny
        halves = (_integrand(x.clamp(min=tiny), b - a, eps, variant) for x in ways)
        return sum(halves, torch.zeros((), dtype=torch.float64)).numpy()

    # Level 5 from the start: an integrand that is nearly singular beyond an end, at a distance
    # of 1e-9 say, looks converged at lower levels when it is not.
    result = tanhsinh(both_halves, 0.0, 0.5, args=(np.arange(len(p1)),), minlevel=5, atol=1e-13,
                      rtol=0.0)  # fmt: skip
    # Inside a transform a row may hold NaN, which is then its integral.
    failed = ~result.success & (p1 + p2).sum(-1).isfinite().numpy()
    if failed.any():
        error = result.error[failed].max()
        raise ArithmeticError(f"the quadrature stopped at an error of {error:.1e}")
    return torch.from_numpy(result.integral)


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


def _gaps_twice(n: int, eps: np.ndarray) -> np.ndarray:
    """``_gap_twice`` of an array."""

    def g(x: np.ndarray) -> Any:
        log = np.log1p(x)
        return log + x * np.where(x > 1, np.log1p(1 / x.clip(1)), log - np.log(x))

    def excess(x: np.ndarray) -> Any:
        return (1 + x) * np.log1p(1 / x)

    large, small = np.maximum(eps, 1.0), np.minimum(eps, 1.0)
    far = math.log(n) + excess(np.minimum(n * large, 1e300)) - excess(large)
    return np.asarray(np.where(eps > 1, far, g(n * small) - g(small)))


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
