"""Two heads whose outputs are averaged: when they agree on two values, and how surely."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from attnlib._inputs import in_float32, require_finite, require_integer, require_real, require_same
from attnlib._shapes import Float

__all__ = [
    "attention_weights",
    "averaging_condition",
    "pair_miss",
    "two_head_moments",
    "weight_gap",
]


@in_float32
def attention_weights(
    K: Float[Tensor, "*b m d_k"], q: Float[Tensor, "*b d_k"]
) -> Float[Tensor, "*b m"]:
    r"""The weights that one query gives to the keys, without the scale √d_k.

    .. math:: y = \operatorname{softmax}(K q)

    Serves the claim ``perpendicular-condition``.

    Args:
        K: keys [..., m, d_k], one a row, float32 or float64, or lower, computed in float32.
        q: a query [..., d_k], of the same dtype and leading axes: nothing is broadcast.

    Raises:
        ValueError: K or q is not finite, their shapes or dtypes do not fit, or a score
            overflows.

    >>> attention_weights(torch.eye(2), torch.tensor([0.0, math.log(3)]))  # odds of 1 to 3
    tensor([0.2500, 0.7500])
    """
    require_finite("K", K)
    require_finite("q", q)
    if K.ndim < 2 or K.shape[-2] == 0:
        raise ValueError(f"K must be [..., m, d_k] with at least one key, got shape "
                         f"{tuple(K.shape)}")  # fmt: skip
    require_same("K without its key axis", K[..., 0, :], "q", q)
    z = (K @ q[..., None])[..., 0]
    require_finite("K @ q", z)
    return torch.softmax(z, dim=-1)


@in_float32
def averaging_condition(
    k_a: Float[Tensor, "*b d_k"],
    k_b: Float[Tensor, "*b d_k"],
    q_1: Float[Tensor, "*b d_k"],
    q_2: Float[Tensor, "*b d_k"],
) -> Float[Tensor, "*b"]:
    r"""The residual of the condition of note 004: 0 if it is met.

    .. math:: (k_a - k_b)^\top (q_1 + q_2)

    Serves the claim ``perpendicular-condition``: for two keys it is 0 if and only if the two
    heads together give both keys the same weight.

    Args:
        k_a, k_b, q_1, q_2: two keys and two queries [..., d_k], float32 or float64, or
            lower, computed in float32.

    Raises:
        ValueError: one of them is not finite, shapes or dtypes differ, or the residual
            overflows.

    >>> k_a, k_b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    >>> averaging_condition(k_a, k_b, 3 * k_a, 3 * k_b)
    tensor(0.)
    """
    vectors = {"k_a": k_a, "k_b": k_b, "q_1": q_1, "q_2": q_2}
    for name, vector in vectors.items():
        require_finite(name, vector)
        require_same("k_a", k_a, name, vector)
    residual = ((k_a - k_b) * (q_1 + q_2)).sum(dim=-1)
    require_finite("(k_a - k_b)·(q_1 + q_2)", residual[..., None])
    return residual


@in_float32
def weight_gap(
    K: Float[Tensor, "*b m d_k"],
    q_1: Float[Tensor, "*b d_k"],
    q_2: Float[Tensor, "*b d_k"],
    a: int,
    b: int,
) -> Float[Tensor, "*b"]:
    r"""How much more weight the two heads together give to key a than to key b.

    .. math:: (y^{(1)}_a + y^{(2)}_a) - (y^{(1)}_b + y^{(2)}_b),
        \qquad y^{(r)} = \operatorname{softmax}(K q_r)

    Serves the claim ``perpendicular-condition``; the weights of the averaged output differ by
    half of it.

    Args:
        K: keys [..., m, d_k], float32 or float64, or lower, computed in float32.
        q_1, q_2: the queries of the two heads [..., d_k].
        a, b: indices of two keys, from 0 to m − 1.

    Raises:
        ValueError: as for ``attention_weights``; also if a or b is no index of a key.

    >>> K = torch.eye(3)  # the condition is met, the weights .934 and .533 differ
    >>> weight_gap(K, 3 * K[0], -3 * K[0], 0, 1)
    tensor(0.4006)
    """
    require_finite("q_1", q_1)
    require_finite("q_2", q_2)
    require_same("q_1", q_1, "q_2", q_2)
    both = attention_weights(K, q_1) + attention_weights(K, q_2)
    a = require_integer("a", a, least=0, most=both.shape[-1] - 1)
    b = require_integer("b", b, least=0, most=both.shape[-1] - 1)
    return both[..., a] - both[..., b]


def pair_miss(queries: Float[Tensor, "h n"], alpha: float | int, gamma_std: float | int) -> float:
    r"""How far the averaged weights of keys 0 and 1 are from ½ each, as a root mean square.

    .. math::
        \sqrt{\mathbb E\bigl[(\bar y_0 - \tfrac12)^2 + (\bar y_1 - \tfrac12)^2\bigr]},
        \qquad k_i \sim N(\mu_i, \alpha I), \quad
        k_0 \sim N\bigl(\mu_0, \alpha I + s^2\mu_0\mu_0^\top\bigr)

    Serves the claims ``tie-pays`` and ``order-reverses``. The scores of a head are
    independent normal numbers, and a power of a softmax weight is an integral of a product:
    :math:`y_i^k = \int_0^\infty t^{k-1} e^{kz_i} \prod_j e^{-te^{z_j}}\,dt` for k = 1, 2.

    Args:
        queries: one query a row [h, n], written in the orthonormal means μ_0, …, μ_{n−1}.
            With several heads the rows must be such that the heads are independent:
            orthogonal if alpha > 0, and at most one with a part along μ_0 if gamma_std > 0.
        alpha: variance of every key in every direction, at least 0.
        gamma_std: s, the standard deviation of the length of key 0, at least 0.

    Returns:
        The root mean square, with an absolute error below 1e-6; that of its square is below
        1e-12.

    Raises:
        ValueError: queries are not a finite float matrix with at least two keys, alpha or
            gamma_std is not a number in its range, a score has a deviation above 1000, or the
            heads are not independent.

    >>> round(pair_miss(torch.zeros(1, 4), 1, 1), 6)  # ¼ each: √(2/16)
    0.353553
    """
    require_finite("queries", queries)
    if queries.ndim != 2 or queries.shape[0] == 0 or queries.shape[1] < 2:
        raise ValueError(f"queries must be [h, n] with at least one query and two keys, got "
                         f"shape {tuple(queries.shape)}")  # fmt: skip
    alpha = require_real("alpha", alpha, least=0)
    s = require_real("gamma_std", gamma_std, least=0)
    rows = queries.detach().double().cpu().numpy()
    _require_independent_heads(rows, alpha, s)
    first, second = np.stack([_pair_moments(q, alpha, s) for q in rows], axis=1)
    # The variance of a mean of independent numbers: their mean variance over their number.
    spread = (second - first**2).mean(axis=0) / len(rows)
    square = float(((first.mean(axis=0) - 0.5) ** 2 + spread).sum())
    return math.sqrt(max(square, 0.0))


def two_head_moments(beta: float | int, gamma_std: float | int) -> tuple[float, float]:
    r"""Mean and variance of the averaged weight of a key whose length is random.

    Two keys γμ_a and μ_b with orthonormal μ and γ ~ N(1, s²), and the two queries βμ_a and βμ_b:

    .. math:: \bar y_a = \tfrac12\bigl[\sigma(\beta\gamma) + \sigma(-\beta)\bigr],
        \qquad \sigma(x) = \frac{1}{1 + e^{-x}}

    Serves the claim ``covariance-cancels``. By Gauss–Legendre quadrature over panels that shrink
    towards γ = 0, where the integrand is a step of width 1/β.

    Args:
        beta: factor on both queries, from 0 to a million.
        gamma_std: s, the standard deviation of γ, from 0 to 1000.

    Returns:
        (mean, variance), each with a relative error below 1e-12; a variance below 1e-300 may
        come out as 0.

    Raises:
        ValueError: beta or gamma_std is not a number in its range.

    >>> two_head_moments(5, 0)  # γ = 1 for certain: exactly ½, as σ(β) + σ(−β) = 1
    (0.5, 0.0)
    """
    beta = require_real("beta", beta, least=0, most=1e6)
    s = require_real("gamma_std", gamma_std, least=0, most=1e3)
    if beta * s < 1e-160:  # as σ is ¼-Lipschitz, the variance is at most (βs)²/64
        return 0.5, 0.0
    x, weight = _normal_nodes(step=-1 / s, width=1 / (beta * s))
    # D = σ(−βγ) − σ(−β) for γ = 1 + s x, without subtracting two nearly equal numbers:
    # σ(t) − σ(u) = (1 − e^{u−t}) σ(t) σ(−u), used with t ≥ u. ȳ = ½ − ½ D.
    t = -beta * (1 + s * x)
    size = -np.expm1(-np.abs(beta * s * x)) * expit(np.maximum(t, -beta))
    D = -np.sign(x) * size * expit(-np.minimum(t, -beta))
    mean = float(weight @ D)
    return 0.5 - 0.5 * mean, float(weight @ (D - mean) ** 2) / 4


def _normal_nodes(step: float, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for the mean of f(x), x ~ N(0, 1), where f is a smoothed step.

    The poles of a logistic step lie π widths off the real line. A panel is at most as long as
    its distance from the step, or two widths, so 20 nodes converge fast; and at most ½, for the
    sake of e^{−x²/2}.
    """
    reach = 38.5  # beyond, the density leaves the range of double precision
    grid = np.arange(-reach, reach + 0.5, 0.5)
    away = width * 2.0 ** np.arange(max(0, math.ceil(math.log2(2 * reach / width))))
    edges = np.unique(np.clip(np.concatenate([grid, step + away, step - away]), -reach, reach))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half, middle = np.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    x = (middle + half * nodes).ravel()
    return x, (half * weights).ravel() * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


STEP = 0.25  # of the trapezoids below: the integrands are analytic for |Im x| < π/2
REACH = 8.5  # standard deviations: beyond lies a chance of 2e-17


def _require_independent_heads(rows: np.ndarray, alpha: float, s: float) -> None:
    """Gaussian scores q·k of two heads are independent if they are uncorrelated, key by key."""
    overlap = np.abs(rows @ rows.T - np.diag((rows**2).sum(axis=1)))
    if alpha > 0 and overlap.max() > 1e-9 * (rows**2).sum(axis=1).max():
        raise ValueError(f"queries must be orthogonal if alpha > 0, got inner products up to "
                         f"{overlap.max():.3g}")  # fmt: skip
    if s > 0 and np.count_nonzero(rows[:, 0]) > 1:
        raise ValueError(f"queries must have at most one part along key 0 if gamma_std > 0, got "
                         f"{rows[:, 0].tolist()}")  # fmt: skip


def _pair_moments(q: np.ndarray, alpha: float, s: float) -> np.ndarray:
    """Mean, and mean square, of the weights that a query gives to keys 0 and 1."""
    deviation = np.full(len(q), math.sqrt(alpha) * float(np.linalg.norm(q)))
    deviation[0] = math.hypot(deviation[0], s * q[0])
    if deviation.max() > 1000:
        raise ValueError(f"queries make scores with the deviation {deviation.max():.3g}, above "
                         f"1000, for this alpha and gamma_std")  # fmt: skip
    kinds, kind, count = np.unique(
        np.stack([q, deviation], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    # u = ln t. Below, t e^z is tiny for all keys; above, it is large for one of them.
    low = -(q + REACH * deviation).max() - 40 - math.log(len(q))
    high = -(q - REACH * deviation).max() + 5
    u = np.arange(low, high, STEP)
    powers = np.array([_gaussian_means(u + mean, std) for mean, std in kinds])
    moments = np.empty((2, 2))
    for i in (0, 1):
        others = count.copy()
        others[kind.ravel()[i]] -= 1
        rest = (powers[:, 0] ** others[:, None]).prod(axis=0)
        moments[:, i] = STEP * (powers[kind.ravel()[i], 1:] * rest).sum(axis=1)
    return moments


def _gaussian_means(x: np.ndarray, std: float) -> np.ndarray:
    """E exp(k v − e^v) for v = x + std g, g ~ N(0, 1), and k = 0, 1, 2; x in steps of STEP."""
    if std < 2 * STEP:
        g = np.linspace(-REACH, REACH, 69)
        v = x[:, None] + std * g
        weight = np.exp(-(g**2) / 2)
        means = np.array([f @ weight for f in _bumps(v)])
        return np.asarray(means / weight.sum())
    m = math.ceil(REACH * std / STEP)  # nodes on the grid of x: a sum that slides along it
    weight = np.exp(-((np.arange(-m, m + 1) * STEP / std) ** 2) / 2)
    v = x[0] + STEP * np.arange(-m, len(x) + m)
    means = np.array([np.correlate(f, weight) for f in _bumps(v)])
    return np.asarray(means / weight.sum())


def _bumps(v: np.ndarray) -> list[np.ndarray]:
    e = np.exp(np.minimum(v, 7.0))  # beyond, exp(−e^v) is 0 in double precision
    decay = np.exp(-e)
    return [decay, e * decay, e**2 * decay]
