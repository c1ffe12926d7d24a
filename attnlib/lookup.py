"""Attention as a lookup: copying, averaging, taking a sum apart, and keys drawn at random."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attnlib._inputs import (
    in_float32,
    require_finite,
    require_integer,
    require_real,
    require_same,
    values_may_be_read,
)
from attnlib._shapes import Float

__all__ = ["average_leak", "averaging_query", "copy_leak", "sample_keys", "subspace_projector"]


def subspace_projector(basis: Float[Tensor, "*b d m"]) -> Float[Tensor, "*b d d"]:
    r"""The orthogonal projector onto the span of the columns, which need not be orthogonal.

    .. math:: M = A (A^\top A)^{-1} A^\top

    Serves the claim ``subspace-projector``: M(v_a + v_b) = v_a for every v_a in the span and
    every v_b orthogonal to it. With orthogonal columns M is the sum of a aᵀ/(aᵀa).

    Computed as Q Qᵀ from a QR factorisation: AᵀA would square the condition number of A, and
    with it the error.

    Args:
        basis: the columns span the subspace; [..., d, m] with 1 ≤ m ≤ d, float32 or float64.
            In lower precision few columns could be told from dependent ones.

    Returns:
        M [..., d, d], exactly symmetric; idempotent up to rounding.

    Raises:
        ValueError: basis is not a finite float matrix, has more columns than rows, or has
            dependent columns: with all columns scaled to length 1, the smallest singular value
            is at most eps·d times the largest.

    >>> subspace_projector(torch.tensor([[3.0], [4.0]]))  # onto the line through (3, 4)
    tensor([[0.3600, 0.4800],
            [0.4800, 0.6400]])
    """
    require_finite("basis", basis)
    if basis.ndim < 2 or basis.shape[-1] > basis.shape[-2]:
        raise ValueError(f"basis must be a matrix [..., d, m] with no more columns than rows, "
                         f"got shape {tuple(basis.shape)}")  # fmt: skip
    # The span does not depend on the lengths of the columns, so they are taken out, as constants:
    # no gradient changes. First the largest entry, since a square may leave the dtype.
    size = basis.detach().abs().amax(dim=-2, keepdim=True)
    unit = basis / torch.where(size > 0, size, 1.0)
    length = unit.detach().norm(dim=-2, keepdim=True)
    unit = unit / torch.where(length > 0, length, 1.0)
    _require_independent_columns("basis", unit)
    Q: Tensor = torch.linalg.qr(unit).Q
    M = Q @ Q.mT
    return (M + M.mT) / 2  # a matrix product may round its two halves differently


@in_float32
def averaging_query(
    k_a: Float[Tensor, "*b d_k"], k_b: Float[Tensor, "*b d_k"], beta: float | int
) -> Float[Tensor, "*b d_k"]:
    r"""The query that divides itself between two of many orthonormal keys.

    .. math:: q = \beta\,(k_a + k_b)

    Serves the claim ``average-query``: the two weights are equal, and what the n − 2 other keys
    get together is ``average_leak(beta, n)``. No scale √d_k is applied.

    Args:
        k_a, k_b: the two keys [..., d_k], float32 or float64, or lower, computed in float32.
        beta: how far the two scores are above the others.

    Raises:
        ValueError: shapes or dtypes differ, a key, beta or the query is not finite.

    >>> averaging_query(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]), 5)
    tensor([5., 5., 0.])
    """
    require_finite("k_a", k_a)
    require_finite("k_b", k_b)
    require_same("k_a", k_a, "k_b", k_b)
    q = require_real("beta", beta) * (k_a + k_b)
    require_finite("beta * (k_a + k_b)", q)
    return q


def _share(others: int, chosen: int, beta: float) -> float:
    """others/(chosen e^β + others), without overflow; relative error of a few eps."""
    if beta > 0:
        tail = others * math.exp(-beta)
        return tail / (chosen + tail)
    return others / (chosen * math.exp(beta) + others)


def copy_leak(beta: float | int, n: int) -> float:
    r"""What the other keys keep when a query copies one of n orthonormal keys.

    .. math:: 1 - y_a = \frac{n - 1}{e^\beta + n - 1}, \qquad q = \beta\,k_a

    Serves the claim ``copy-condition``. A leak of δ needs β = ln((n − 1)(1 − δ)/δ).

    Args:
        beta: how far the score of the key is above the others, any finite number.
        n: number of keys, at least 2.

    Raises:
        ValueError: beta is not a finite number, or n not an integer from 2 to 2⁵³.

    >>> copy_leak(0, 4)  # uniform weights
    0.75
    """
    n = require_integer("n", n, least=2, most=2**53)  # beyond, n is not exact as a float
    return _share(n - 1, 1, require_real("beta", beta))


def average_leak(beta: float | int, n: int) -> float:
    r"""What the other keys keep when a query averages two of n orthonormal keys.

    .. math:: 1 - y_a - y_b = \frac{n - 2}{2e^\beta + n - 2}, \qquad q = \beta\,(k_a + k_b)

    Serves the claim ``average-query``. With two keys there is nothing to leak to.

    Args:
        beta: how far the two scores are above the others, any finite number.
        n: number of keys, at least 2.

    Raises:
        ValueError: beta is not a finite number, or n not an integer from 2 to 2⁵³.

    >>> average_leak(0, 4)  # uniform weights
    0.5
    """
    n = require_integer("n", n, least=2, most=2**53)
    return _share(n - 2, 2, require_real("beta", beta)) if n > 2 else 0.0


@in_float32
def sample_keys(
    means: Float[Tensor, "*b m d_k"],
    alpha: float | int,
    heavy: int | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "*b m d_k"]:
    r"""One draw of random keys, for each set of means.

    .. math::
        k_i \sim N(\mu_i, \alpha I), \qquad
        k_{\text{heavy}} \sim N\bigl(\mu, \alpha I + \tfrac12\mu\mu^\top\bigr)

    Serves the claim ``single-head-fragile``. The heavy key is drawn as γμ + √α z with
    γ ~ N(1, ½), which has exactly this covariance. All keys are independent. For many draws,
    expand the means.

    Args:
        means: μ [..., m, d_k], float32 or float64, or lower, computed in float32.
        alpha: variance of every entry in every direction, at least 0.
        heavy: index of the key whose length varies, from 0 to m − 1; None for no such key.
        generator: source of the numbers; None for the global one.

    Returns:
        Keys of the shape and dtype of means. Differentiable in means.

    Raises:
        ValueError: means are not finite or not a matrix, alpha is not a number ≥ 0, heavy is no
            index of a key, or the keys overflow.

    >>> sample_keys(torch.eye(2), alpha=0)  # no variance: the means
    tensor([[1., 0.],
            [0., 1.]])
    """
    require_finite("means", means)
    if means.ndim < 2 or means.shape[-2] == 0:
        raise ValueError(f"means must be [..., m, d_k] with at least one key, got shape "
                         f"{tuple(means.shape)}")  # fmt: skip
    spread = math.sqrt(require_real("alpha", alpha, least=0))

    keys = means + spread * _normal(means, means.shape, generator)
    if heavy is not None:
        heavy = require_integer("heavy", heavy, least=0, most=means.shape[-2] - 1)
        is_heavy = (torch.arange(means.shape[-2], device=means.device) == heavy)[:, None]
        stretch = _normal(means, (*means.shape[:-2], 1, 1), generator) / math.sqrt(2)
        keys = keys + is_heavy * stretch * means
    require_finite("means with alpha", keys)
    return keys


def _require_independent_columns(name: str, unit: Tensor) -> None:
    """Matrices with columns of length 1, or 0: linearly independent beyond rounding.

    Entries rounded to the dtype move the singular values by up to ½ eps·√m, and computing them
    by a few eps·d more; so a smallest one of at most eps·d times the largest may well be 0.
    """
    if not values_may_be_read(unit):
        return
    values = torch.linalg.svdvals(unit.detach())
    ratio = values[..., -1] / values[..., 0].clamp(min=1.0)  # the largest is 0 or at least 1
    dependent = ratio <= torch.finfo(unit.dtype).eps * unit.shape[-2]
    if dependent.any():
        at = tuple(dependent.nonzero()[0].tolist())
        raise ValueError(f"{name} has linearly dependent columns (all scaled to length 1, "
                         f"smallest singular value {ratio[at].item():.1e} of the largest), shape "
                         f"{tuple(unit.shape)}, matrix {at}")  # fmt: skip


def _normal(like: Tensor, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    # torch.randn with a generator, None too, does not compile for a length that varies.
    return torch.empty(shape, dtype=like.dtype, device=like.device).normal_(generator=generator)
