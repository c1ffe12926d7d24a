"""How large dot products of random vectors are, and what dividing by √d_k does to them."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.integrate import cumulative_simpson, trapezoid
from torch import Tensor

from attnlib._inputs import in_float32, require_finite, require_integer, require_real
from attnlib._shapes import Float
from attnlib.softmax import softmax_jacobian

__all__ = ["dot_product_excess_kurtosis", "expected_saturation", "score_saturation"]


def dot_product_excess_kurtosis(kurtosis_q: float | int, kurtosis_k: float | int, d: int) -> float:
    r"""Excess kurtosis of q·k/√d for independent zero-mean entries.

    .. math:: \frac{\kappa_q \kappa_k - 3}{d}, \qquad \kappa = \frac{E x^4}{(E x^2)^2}

    Serves the claim ``dot-kurtosis``. The d products qᵢkᵢ are independent and identically
    distributed; scaling by √d, or by anything else, leaves the kurtosis alone. 0 is the value
    of a normal law: the scores become normal as 1/d.

    Args:
        kurtosis_q: plain kurtosis of the entries of q, at least 1 (normal: 3).
        kurtosis_k: plain kurtosis of the entries of k, at least 1.
        d: number of entries, at least 1.

    Raises:
        ValueError: a kurtosis is below 1 or not finite, their product overflows, or d is not a
            positive integer.

    >>> dot_product_excess_kurtosis(3, 3, 2)  # q·k is then Laplace: excess kurtosis 3
    3.0
    """
    kurtosis_q = require_real("kurtosis_q", kurtosis_q, least=1)
    kurtosis_k = require_real("kurtosis_k", kurtosis_k, least=1)
    if math.isinf(kurtosis_q * kurtosis_k):
        raise ValueError(f"kurtosis_q * kurtosis_k overflows: {kurtosis_q!r} * {kurtosis_k!r}")
    # Beyond 2**53 an integer is no longer exact in double precision.
    return (kurtosis_q * kurtosis_k - 3) / require_integer("d", d, least=1, most=2**53)


@in_float32
def score_saturation(
    S: Float[Tensor, "*b n"],
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    r"""How close softmax(S) is to one-hot, row by row: largest weight, entropy, slope.

    .. math::
        p_{\max} &= \max_j y_j, \qquad \frac{H}{\ln n} = \frac{-\sum_j y_j \ln y_j}{\ln n}, \\
        \|J\| &= \lambda_{\max}\bigl(\operatorname{diag}(y) - y y^\top\bigr),
        \qquad y = \operatorname{softmax}(S)

    Serves the claims ``scale-saturation`` and ``scale-controls``. A uniform row has
    p_max = 1/n, H/ln n = 1 and ‖J‖ = 1/n; a one-hot row has 1, 0 and 0.

    Args:
        S: rows of scores [..., n], float32 or float64, or lower, computed in float32; n ≥ 2. No
            entry may be masked with −inf: ln n would then count keys that cannot be attended to.

    Returns:
        (p_max, H/ln n, ‖J‖), each [...]. ‖J‖ is found with an eigensolver, O(n³) a row.

    Raises:
        ValueError: S is not a float tensor with n ≥ 2, or is not finite.

    >>> score_saturation(torch.zeros(4))  # uniform over four keys
    (tensor(0.2500), tensor(1.), tensor(0.2500))
    """
    require_finite("S", S)
    n = S.shape[-1]
    if n < 2:
        raise ValueError(f"S must have at least two scores a row, got shape {tuple(S.shape)}")
    y = torch.softmax(S, dim=-1)
    # Not entr(y): its gradient is infinite where a weight has underflowed to 0. A logarithm
    # below -1e4 belongs to such a weight in either dtype, and must only be finite.
    logs = torch.log_softmax(S, dim=-1).clamp(min=-1e4)
    entropy = -(y * logs).sum(dim=-1) / math.log(n)
    norm = torch.linalg.eigvalsh(softmax_jacobian(S))[..., -1]
    return y.amax(dim=-1), entropy, norm


def expected_saturation(n: int, std: float | int) -> tuple[float, float]:
    r"""E p_max and E H/ln n for n independent normal scores, by quadrature instead of sampling.

    Add independent Gumbel noise gⱼ to the scores. The largest of sⱼ + gⱼ is number j with
    probability softmax(s)ⱼ, so p_max is the chance that the largest score also wins with noise,
    and H is the mean noise of the winner less Euler's γ. Given the winning sum u, with
    G(x) = exp(−e⁻ˣ) and φ the density of one score,

    .. math::
        E\,p_{\max} &= n \iint \varphi(s)\,G'(u-s)
            \Bigl[\int_{-\infty}^{s}\varphi(r)\,G(u-r)\,dr\Bigr]^{n-1} ds\,du \\
        E\,H &= n \iint (u-s)\,\varphi(s)\,G'(u-s)
            \Bigl[\int\varphi(r)\,G(u-r)\,dr\Bigr]^{n-1} ds\,du - \gamma

    Serves the claim ``scale-saturation``, as the yardstick of its simulation.

    Args:
        n: number of scores in the row, from 2 to a million.
        std: their standard deviation, from 1e-6 to 20: the grid grows as its square.

    Returns:
        (E p_max, E H/ln n), each with an absolute error below 1e-5.

    Raises:
        ValueError: n is not an integer, or n or std is out of range.

    >>> p_max, entropy = expected_saturation(3, 1e-6)  # equal scores: uniform
    >>> round(p_max, 5), round(entropy, 5)
    (0.33333, 1.0)
    """
    n = require_integer("n", n, least=2, most=10**6)
    std = require_real("std", std, least=1e-6, most=20)
    step = min(std, 1.0) / 8
    reach = 9 * std  # a normal law holds 2e-19 beyond nine standard deviations
    s = np.linspace(-reach, reach, 2 * math.ceil(reach / step) + 1)
    # G(-5) < 1e-64 and 1 - G(40) < 1e-17. Trapezoids of an analytic function may be coarse.
    u = np.arange(-reach - 5, reach + 40, 1 / 4)[:, None]
    x = u - s
    tail = np.exp(np.minimum(-x, 700.0))  # e^700 is still finite, and G is 0 there
    below = np.exp(-tail)
    density = np.exp(-0.5 * (s / std) ** 2) / (std * math.sqrt(2 * math.pi))
    rivals = cumulative_simpson(density * below, x=s, initial=0)
    winner = density * tail * below
    p_max = n * trapezoid(trapezoid(winner * rivals ** (n - 1), s), u[:, 0])
    noise = trapezoid(x * winner, s) * rivals[:, -1] ** (n - 1)
    entropy = n * trapezoid(noise, u[:, 0]) - np.euler_gamma
    return float(p_max), float(entropy / math.log(n))
