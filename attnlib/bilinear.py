"""The bilinear form U = W_Q W_Kᵀ of a head: its gradient, what the projections see, low rank."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from attnlib._inputs import in_float32, require_finite, require_integer, require_same
from attnlib._shapes import Float

__all__ = ["bilinear_gradient", "low_rank_factors", "projection_gradients", "unidentifiable"]


@in_float32
def bilinear_gradient(
    X: Float[Tensor, "*b n d_model"],
    dS: Float[Tensor, "*b n m"],
    d_k: int,
    X2: Float[Tensor, "*b m d_model"] | None = None,
) -> Float[Tensor, "*b d_model d_model"]:
    r"""The gradient of U from that of the scores: two matrix products, no entry by itself.

    .. math:: G = \frac{\partial L}{\partial U} = \frac{1}{\sqrt{d_k}}\,
              X^\top\,\frac{\partial L}{\partial S}\,X', \qquad
              S = \frac{X\,U\,X'^\top}{\sqrt{d_k}}

    Serves the claim ``u-infeasible``. It takes n·d_model·(m + d_model) multiply–adds.

    Args:
        X: tokens that ask, [..., n, d_model], float32 or float64, or lower, computed in
            float32.
        dS: ∂L/∂S [..., n, m], of the same dtype and leading axes: nothing is broadcast. Where
            only ∂L/∂A is at hand, ``softmax_vjp(A, dA)``.
        d_k: width of the head, whose root divides the scores. At least 1.
        X2: tokens that are asked, X' [..., m, d_model]; by default X (self-attention, m = n).

    Returns:
        G [..., d_model, d_model], one for each set of leading indices. If they share one U, as
        the sequences of a batch do, sum over them.

    Raises:
        ValueError: a tensor is not finite, shapes or dtypes do not fit, d_k is no positive
            integer, or G overflows.

    >>> bilinear_gradient(torch.eye(2), torch.tensor([[1.0, -1.0], [2.0, -2.0]]), d_k=4)
    tensor([[ 0.5000, -0.5000],
            [ 1.0000, -1.0000]])
    """
    _require_matrix("X", X)
    _require_matrix("dS", dS)
    d_k = require_integer("d_k", d_k, least=1)
    require_same("X without its last axis", X[..., 0], "dS without its last axis", dS[..., 0])
    if X2 is None:
        X2 = X
        asked = "X without its last axis"
    else:
        _require_matrix("X2", X2)
        require_same("X2 without its token axis", X2[..., 0, :], "X without it", X[..., 0, :])
        asked = "X2 without its last axis"
    require_same(asked, X2[..., 0], "dS without its query axis", dS[..., 0, :])
    G = X.mT @ (dS @ X2) / math.sqrt(d_k)
    require_finite("G", G)
    return G


@in_float32
def projection_gradients(
    G: Float[Tensor, "*b d_model d_model"],
    W_Q: Float[Tensor, "*b d_model d_k"],
    W_K: Float[Tensor, "*b d_model d_k"],
) -> tuple[Float[Tensor, "*b d_model d_k"], Float[Tensor, "*b d_model d_k"]]:
    r"""The gradients of the two projections from the gradient G of U = W_Q W_Kᵀ.

    .. math:: \frac{\partial L}{\partial W_Q} = G\,W_K, \qquad
              \frac{\partial L}{\partial W_K} = G^\top W_Q

    Serves the claim ``u-ratio``: each entry sums over a row or a column of G. Biases are not
    covered: a bias of the queries adds a term to the second.

    Args:
        G: ∂L/∂U [..., d_model, d_model], float32 or float64, or lower, computed in float32.
        W_Q, W_K: projections [..., d_model, d_k], of the same dtype and leading axes.

    Returns:
        (dW_Q, dW_K), each [..., d_model, d_k].

    Raises:
        ValueError: a tensor is not finite, shapes or dtypes do not fit, or a result overflows.

    >>> G = torch.tensor([[1.0, -1.0], [2.0, -2.0]])
    >>> projection_gradients(G, torch.tensor([[1.0], [1.0]]), torch.tensor([[3.0], [1.0]]))
    (tensor([[2.],
            [4.]]), tensor([[ 3.],
            [-3.]]))
    """
    _require_matrix("G", G)
    _require_projections(W_Q, W_K)
    require_same("G without its last axis", G[..., 0], "W_Q without it", W_Q[..., 0])
    require_same("G without its first axis", G[..., 0, :], "W_K without its last", W_K[..., 0])
    dW_Q, dW_K = G @ W_K, G.mT @ W_Q
    require_finite("G @ W_K", dW_Q)
    require_finite("G.mT @ W_Q", dW_K)
    return dW_Q, dW_K


def unidentifiable(
    W_Q: Float[Tensor, "d_model d_k"], W_K: Float[Tensor, "d_model d_k"]
) -> tuple[Float[Tensor, "d_model p"], Float[Tensor, "d_model q"]]:
    r"""What the gradients of W_Q and W_K cannot tell about G, as two orthonormal bases.

    .. math:: & (G + E)\,W_K = G\,W_K \;\text{ and }\; (G + E)^\top W_Q = G^\top W_Q \\
              & \iff E = N_Q\,C\,N_K^\top \;\text{ for some } C

    Serves the claim ``u-identifiability``: a space of dimension
    (d_model − rank W_Q)(d_model − rank W_K).

    Args:
        W_Q, W_K: projections [d_model, d_k], float32 or float64: of lower precision the rank is
            that of rounding errors.

    Returns:
        (N_Q, N_K), orthonormal bases of the orthogonal complements of the column spaces, each
        [d_model, d_model − rank]. Signs and rotations among their columns are arbitrary, so they
        carry no gradient. A singular value below max(d_model, d_k)·eps times the largest counts
        as 0, as in ``torch.linalg.matrix_rank``.

    Raises:
        ValueError: W_Q or W_K is no finite matrix, or their shapes or dtypes differ.

    >>> N_Q, N_K = unidentifiable(torch.tensor([[2.0], [0.0]]), torch.tensor([[0.0], [3.0]]))
    >>> (N_Q @ N_K.mT).abs()  # the entry u₂₁ does not touch either gradient
    tensor([[0., 0.],
            [1., 0.]])
    """
    _require_projections(W_Q, W_K)
    if W_Q.ndim != 2:
        raise ValueError(f"W_Q must be a single matrix: ranks may differ within a batch; got "
                         f"shape {tuple(W_Q.shape)}")  # fmt: skip
    return _complement(W_Q.detach()), _complement(W_K.detach())


@in_float32
def low_rank_factors(
    W_Q: Float[Tensor, "*b d_model d_k"], W_K: Float[Tensor, "*b d_model d_k"], rank: int
) -> tuple[Float[Tensor, "*b d_model r"], Float[Tensor, "*b d_model r"]]:
    r"""Narrower projections whose product is the best approximation of U of a given rank.

    .. math:: U = P\,\Sigma\,R^\top, \qquad W_Q' = P_r\,\Sigma_r^{1/2}, \quad
              W_K' = R_r\,\Sigma_r^{1/2}

    Serves the claim ``u-pruning``. U is never formed: two QR decompositions leave a matrix of
    d_k × d_k. The scale of the scores remains 1/√d_k, with the d_k of the head as it was.

    Args:
        W_Q, W_K: projections [..., d_model, d_k], float32 or float64, or lower, computed in
            float32.
        rank: r, from 1 to the smaller of d_model and d_k.

    Returns:
        Two factors [..., d_model, r]. They are balanced, both have the Gram matrix Σ_r.

    Raises:
        ValueError: W_Q or W_K is not finite, their shapes or dtypes differ, rank is out of
            range, or an entry of U overflows.

    >>> W_Q, W_K = low_rank_factors(torch.diag(torch.tensor([1.0, 4.0])), torch.eye(2), rank=1)
    >>> W_Q @ W_K.mT
    tensor([[0., 0.],
            [0., 4.]])
    """
    _require_projections(W_Q, W_K)
    rank = require_integer("rank", rank, least=1, most=min(W_Q.shape[-2:]))
    basis_Q, R_Q = torch.linalg.qr(W_Q)
    basis_K, R_K = torch.linalg.qr(W_K)
    core = R_Q @ R_K.mT
    require_finite("W_Q @ W_K.mT", core)
    P, sigma, Rt = torch.linalg.svd(core)
    root = sigma[..., None, :rank].sqrt()
    return basis_Q @ P[..., :rank] * root, basis_K @ Rt.mT[..., :rank] * root


def _require_projections(W_Q: Tensor, W_K: Tensor) -> None:
    _require_matrix("W_Q", W_Q)
    _require_matrix("W_K", W_K)
    require_same("W_Q", W_Q, "W_K", W_K)


def _complement(W: Tensor) -> Tensor:
    """Orthonormal basis of what is orthogonal to every column."""
    P, sigma, _ = torch.linalg.svd(W, full_matrices=True)
    rank = int((sigma > max(W.shape) * torch.finfo(W.dtype).eps * sigma[0]).sum())
    rest: Tensor = P[:, rank:]
    return rest


def _require_matrix(name: str, x: Any) -> None:
    """Finite matrices, [..., rows, columns], with at least one row and one column."""
    if isinstance(x, Tensor) and (x.ndim < 2 or 0 in x.shape[-2:]):
        raise ValueError(f"{name} must be a matrix, or several, with at least one row and one "
                         f"column; got shape {tuple(x.shape)}")  # fmt: skip
    require_finite(name, x)
