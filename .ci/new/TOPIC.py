"""TITLE: one line that says what the functions are about."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from attnlib._inputs import require_finite

__all__ = ["TOPIC_example"]


def TOPIC_example(x: Float[Tensor, "*b n"]) -> Float[Tensor, "*b n"]:
    r"""Every row without its mean.

    .. math:: c_i = x_i - \frac1n\sum_j x_j

    Serves the claim ``CLAIM``.

    Args:
        x: rows [..., n], float32 or float64.

    Returns:
        [..., n], in the dtype of x; every row sums to 0 up to rounding.

    Raises:
        ValueError: x is not a float32 or float64 tensor with n ≥ 1, or is not finite.

    >>> import torch
    >>> TOPIC_example(torch.tensor([3.0, 1.0, 2.0]))
    tensor([ 1., -1.,  0.])
    """
    require_finite("x", x)
    return x - x.mean(dim=-1, keepdim=True)
