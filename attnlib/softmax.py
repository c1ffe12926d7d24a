"""The derivative of softmax: its matrix, its product with a vector, and its size."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from attnlib._inputs import (
    FEW,
    are_laws,
    are_rows,
    eager,
    entries_of_few,
    raised,
    refuse,
    require_finite,
    require_flag,
    require_precision,
    require_probabilities,
    require_rows,
    require_same,
    rounded,
    surely_finite,
    surely_laws,
    values_may_be_read,
)
from attnlib._shapes import Float

__all__ = ["jacobian_from_weights", "jacobian_norm_bounds", "softmax_jacobian", "softmax_vjp"]


def softmax_jacobian(z: Float[Tensor, "*b n"]) -> Float[Tensor, "*b n n"]:
    r"""The matrix J of ∂yᵢ/∂zₖ for y = softmax(z), one for each row.

    .. math:: J = \operatorname{diag}(y) - y y^\top, \qquad y = \operatorname{softmax}(z)

    Serves the claim ``softmax-jacobian``. J is symmetric, so the convention for rows and
    columns does not matter. It holds n² numbers: to multiply by J, use ``softmax_vjp``. Where the
    weights y are at hand, use ``jacobian_from_weights``.

    Args:
        z: logits [..., n], float32 or float64; of float16 and bfloat16 J is computed in float32
            and rounded once. −inf marks a masked entry: its row and column of J are 0.

    Returns:
        J [..., n, n], in the dtype of z. Absolute rounding error of a few eps; where y is
        within eps of one-hot, the diagonal is rounded to 0.

    Raises:
        ValueError: z is not a float tensor with n ≥ 1, holds NaN or +inf, or has
            a row of −inf alone.

    >>> softmax_jacobian(torch.zeros(2, dtype=torch.float64))  # y = (½, ½)
    tensor([[ 0.2500, -0.2500],
            [-0.2500,  0.2500]], dtype=torch.float64)
    """
    looks = not (eager(z) and are_rows(z))
    if looks:
        (exact,), kind = raised(z)
        if kind is not None:
            return rounded(softmax_jacobian(exact), kind, bounded=True)
        _require_logits("z", z)
    y = torch.softmax(z, dim=-1)
    # NaN, +inf and a row of −inf alone make a row of NaN, and nothing else does.
    if not looks and not surely_finite(y):
        _require_logits("z", z)
    return _jacobian(y)


def jacobian_from_weights(
    y: Float[Tensor, "*b n"], precision: torch.dtype | None = None
) -> Float[Tensor, "*b n n"]:
    r"""The matrix J of ``softmax_jacobian`` from the weights alone, one for each row.

    .. math:: J = \operatorname{diag}(y) - y y^\top

    Serves the claims ``softmax-jacobian`` and ``softmax-lipschitz``: logits are not needed, and a
    row with zeros, which no finite logits have, is welcome.

    Args:
        y, precision: probability rows [..., n], and what they were computed in (see
            ``softmax_vjp``).

    Returns:
        J [..., n, n], in the dtype of y.

    Raises:
        ValueError: y is not made of probability rows, or precision is no such dtype.

    >>> jacobian_from_weights(torch.tensor([0.5, 0.5, 0.0]))
    tensor([[ 0.2500, -0.2500,  0.0000],
            [-0.2500,  0.2500,  0.0000],
            [ 0.0000,  0.0000,  0.0000]])
    """
    y, kind = _weights(y, precision)
    J = _jacobian(y)
    return J if kind is None else rounded(J, kind, bounded=True)


def softmax_vjp(
    y: Float[Tensor, "*b n"],
    g: Float[Tensor, "*b n"],
    check_values: bool = True,
    precision: torch.dtype | None = None,
) -> Float[Tensor, "*b n"]:
    r"""The vector–Jacobian product Jᵀg from the probabilities alone, without the matrix J.

    .. math:: J^\top g = y \odot (g - \langle g, y\rangle \mathbf 1)

    Serves the claim ``softmax-jacobian``: this is the backward pass of softmax, O(n) a row.
    Since J is symmetric it is the forward derivative J g as well.

    Args:
        y: probability rows [..., n], float32 or float64: y = softmax(z). With float16 and
            bfloat16 all is computed in float32 and rounded once.
        g: ∂L/∂y, of the same shape and dtype. Beyond half of the largest number of float32 or
            float64 the result may overflow.
        check_values: False where y is known to come from a softmax and g may hold anything. It
            saves the two passes over y: NaN in is then NaN out.
        precision: what y was computed in, if that is not its dtype, such as ``torch.bfloat16``.
            A sum of y may be off 1 by √eps of it.

    Returns:
        ∂L/∂z [..., n], in the dtype of y; every row sums to 0 up to rounding.

    Raises:
        ValueError: shapes or dtypes differ, y has a negative entry or a row whose sum is off 1
            by more than √eps, or g is not finite; check_values is not True or False, or precision
            no such dtype.

    >>> y = torch.tensor([0.5, 0.25, 0.25])
    >>> softmax_vjp(y, torch.tensor([4.0, 0.0, 0.0]))
    tensor([ 1.0000, -0.5000, -0.5000])
    """
    looks = require_flag("check_values", check_values)
    if precision is not None:
        require_precision("precision", precision)
    if eager(y, g) and are_rows(y) and are_rows(g) and y.shape == g.shape and y.dtype == g.dtype:
        v: Tensor = torch._softmax_backward_data(g, y, -1, y.dtype)
        # What is not finite in g makes ⟨g, y⟩ not finite, and with it every entry of the row.
        if not looks or (surely_laws(y, -1, precision) and surely_finite(v.select(-1, 0))):
            return v
    (y_, g_), kind = raised(y, g)
    if kind is not None:
        return rounded(softmax_vjp(y_, g_, looks, precision or kind), kind, bounded=True)
    if looks:
        require_probabilities("y", y, precision=precision)
        require_finite("g", g)
    else:
        require_rows("y", y)
        require_rows("g", g)
    require_same("y", y, "g", g)
    return y * (g - (g * y).sum(dim=-1, keepdim=True))


def jacobian_norm_bounds(
    y: Float[Tensor, "*b n"], precision: torch.dtype | None = None
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    r"""Bounds of the largest eigenvalue of J = diag(y) − yyᵀ, without an eigensolver.

    .. math::
        \max\bigl(\max_i y_i(1-y_i),\; y_{(2)}\bigr) \;\le\; \lambda_{\max}(J) \;\le\;
        \min\bigl(2\max_i y_i(1-y_i),\; y_{(1)}\bigr)

    with y₍ₖ₎ the k-th largest entry (y₍₂₎ = 0 if n = 1). Serves the claim
    ``softmax-lipschitz``; the chapter proves all four. λ_max is also the Euclidean norm of J,
    hence the local Lipschitz constant of softmax.

    Args:
        y, precision: probability rows [..., n], and what they were computed in (see
            ``softmax_vjp``).

    Returns:
        (lower, upper), each [...], in the dtype of y.

    Raises:
        ValueError: y is not made of probability rows, or precision is no such dtype.

    >>> jacobian_norm_bounds(torch.tensor([0.5, 0.5, 0.0]))  # λ_max = ½, both bounds tight
    (tensor(0.5000), tensor(0.5000))
    """
    y, kind = _weights(y, precision)
    spread = (y * (1 - y)).amax(dim=-1)
    top = y.topk(min(2, y.shape[-1]), dim=-1).values
    second = top[..., 1] if y.shape[-1] > 1 else torch.zeros_like(spread)
    bounds = torch.maximum(spread, second), torch.minimum(2 * spread, top[..., 0])
    return bounds if kind is None else rounded(bounds, kind, bounded=True)


def _weights(y: Tensor, precision: torch.dtype | None) -> tuple[Tensor, torch.dtype | None]:
    """Checked weights, float32 at least, and the lower precision that they came in, if any."""
    if are_laws(y, precision=precision):
        return y, None
    (y,), kind = raised(y)
    require_probabilities("y", y, precision=precision or kind)
    return y, kind


def _jacobian(y: Tensor) -> Tensor:
    a, b = y.unsqueeze(-1), y.unsqueeze(-2)
    if eager(y) and y.numel() and _least(y) > 0:
        J = a * -b
    else:  # that would hold −0 where y is 0; this is 0 − ab, and takes up to twice as long
        J = torch.addcmul(y.new_zeros(()), a, b, value=-1)
    J.diagonal(dim1=-2, dim2=-1).add_(y)
    return J


def _least(y: Tensor) -> float:
    return min(entries_of_few(y)) if y.numel() <= FEW else y.detach().amin().item()


def _require_logits(name: str, z: Any) -> None:
    """Rows of logits: as ``require_finite``, but −inf marks a masked entry.

    A row of −inf alone has no softmax and is refused.
    """
    require_rows(name, z)
    if values_may_be_read(z):
        refuse(name, z, z.isnan() | (z == math.inf), "NaN or +inf")
        masked = (z == -math.inf).all(dim=-1)
        if masked.any():
            row = tuple(masked.nonzero()[0].tolist())
            raise ValueError(f"{name} is -inf in every entry of row {row}: nothing to attend to")
