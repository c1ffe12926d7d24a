"""Attention without a look at its arguments where the result, or a bound, shows every fault.

What is returned here has passed, for certain, all that ``attention`` checks; None says to look
closely. Only for eager tensors: see ``attnlib._inputs``.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib._inputs import FLOATS, HALVES, eager, is_mask, raised, surely_finite, tracked

__all__ = ["fused", "quick_attention", "read_twice"]

Found = tuple[Tensor, Tensor | None]
_DTYPES = (*FLOATS, *HALVES)


def quick_attention(
    Q: Any, K: Any, V: Any, mask: Any, scale: Any, need_weights: bool, batch: tuple[int, ...]
) -> Found | None:
    """Outputs and weights, or None where something could be wrong."""
    if not (eager(Q, K, V, mask) and _fit(Q, K, V) and _scales(scale, Q)):
        return None
    if not (mask is None or _masks(mask, (*Q.shape[:-1], K.shape[-2]), batch)):
        return None
    scale = 1 / math.sqrt(Q.shape[-1]) if scale is None else float(scale)
    if need_weights:
        return _with_weights(Q, K, V, mask, scale) if Q.dtype in FLOATS else None
    return _without_weights(Q, K, V, mask, scale)


def _fit(Q: Any, K: Any, V: Any) -> bool:
    """Whether these are tokens without an empty axis, of one dtype, that need not broadcast."""
    if not (isinstance(Q, Tensor) and isinstance(K, Tensor) and isinstance(V, Tensor)):
        return False
    if not (Q.dtype == K.dtype == V.dtype and Q.dtype in _DTYPES and Q.ndim == K.ndim == V.ndim):
        return False
    if Q.ndim < 2 or not (Q.numel() and K.numel() and V.numel()):
        return False
    (*b, _, d_k), k, v = Q.shape, list(K.shape), V.shape
    return k == [*b, v[-2], d_k] and list(v[:-2]) == b


def _scales(scale: Any, Q: Tensor) -> bool:
    return scale is None or (type(scale) in (int, float) and 0 < scale < torch.finfo(Q.dtype).max)


def _masks(mask: Any, shape: tuple[int, ...], batch: tuple[int, ...]) -> bool:
    """Whether this is a mask for scores of a shape, read in one way, with a True in every row."""
    if not is_mask(mask, shape):
        return False
    if mask.ndim != len(shape) and (mask.ndim != 2 or read_twice(mask, shape, batch)):
        return False
    # As bytes: the maximum of booleans takes many times as long.
    return bool(mask.view(torch.uint8).amax(dim=-1).amin().item())


def read_twice(mask: Tensor, shape: tuple[int, ...], batch: tuple[int, ...]) -> bool:
    """Whether a mask with two axes has a length for its first that is one of the batch."""
    return mask.shape[1] == shape[-1] and mask.shape[0] > 1 and mask.shape[0] in batch


def _with_weights(
    Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None, scale: float
) -> Found | None:
    S = (scale * Q) @ K.mT
    if not surely_finite(S):  # before the mask, which would hide a fault
        return None
    if mask is not None:
        # A mask that serves several heads is turned into numbers once: adding is quicker.
        S = S + torch.where(mask, 0.0, -math.inf).to(S.dtype)
    A = torch.softmax(S, dim=-1) if tracked(Q, K, V) else torch.softmax(S, dim=-1, out=S)
    O = A @ V  # noqa: E741
    return (O, A) if surely_finite(O) else None


def _without_weights(
    Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None, scale: float
) -> Found | None:
    """No score is seen: |⟨q, k⟩| is at most the product of the norms of all Q and all K."""
    wide = torch.promote_types(Q.dtype, torch.float32)
    q, k = (torch.linalg.vector_norm(x.detach(), dtype=wide).item() for x in (Q, K))
    bound = torch.finfo(wide).max / 4
    if not all(x < bound for x in (q, q * scale, q * k * scale)):  # false for NaN too
        return None
    return (fused(Q, K, V, mask, scale), None) if surely_finite(V) else None


def fused(
    Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None, scale: float | None = None,
    causal: bool = False,
) -> Tensor:  # fmt: skip
    """Torch's kernel, with derivatives of any order, and in every transform."""
    if not (torch.compiler.is_compiling() or eager(Q, K, V, mask)):
        exact, kind = raised(Q, K, V)
        Q, K, V = exact
        O: Tensor = _weights(Q, K, mask, scale, causal) @ V  # noqa: E741
        return O if kind is None else O.to(kind)
    if not torch.compiler.is_compiling() and tracked(Q, K, V):
        O = _Fused.apply(Q, K, V, mask, scale, causal)  # type: ignore[no-untyped-call] # noqa: E741
        return O
    return _kernel(Q, K, V, mask, scale, causal)


def _weights(
    Q: Tensor, K: Tensor, mask: Tensor | None, scale: float | None, causal: bool
) -> Tensor:
    S = (1 / math.sqrt(Q.shape[-1]) if scale is None else scale) * Q @ K.mT
    if causal:
        mask = torch.ones(S.shape[-2:], dtype=torch.bool, device=S.device).tril()
    return torch.softmax(S if mask is None else torch.where(mask, S, -math.inf), dim=-1)


def _kernel(
    Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None, scale: float | None, causal: bool
) -> Tensor:
    # On a CPU the kernel that stores no scores is taken for four axes alone.
    extra = 4 - Q.ndim if Q.ndim == K.ndim == V.ndim else 0
    if extra > 0:
        Q, K, V = (x[(None,) * extra] for x in (Q, K, V))
    O = F.scaled_dot_product_attention(Q, K, V, mask, is_causal=causal, scale=scale)  # noqa: E741
    return O[(0,) * extra] if extra > 0 else O


class _Fused(torch.autograd.Function):
    """Torch's backward kernel has no derivative; for a second one the scores are formed."""

    @staticmethod
    def forward(
        ctx: Any, Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None, scale: float | None,
        causal: bool,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(Q, K, V, mask)
        ctx.options = scale, causal
        ctx.run = _run(ctx, (Q, K, V), mask)
        O: Tensor = ctx.run[1].detach()  # noqa: E741
        return O

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        Q, K, V, mask = ctx.saved_tensors
        if torch.is_grad_enabled() or not eager(g):
            return *_slopes(Q, K, V, g, mask, *ctx.options), None, None, None
        # The tape of the run is used once, and freed; a second pass makes its own.
        leaves, O = ctx.run or _run(ctx, (Q, K, V), mask)  # noqa: E741
        ctx.run = None
        wanted = [x for x in leaves if x.requires_grad]
        found = iter(torch.autograd.grad(O, wanted, g))
        return *(next(found) if x.requires_grad else None for x in leaves), None, None, None


def _run(ctx: Any, tensors: tuple[Tensor, ...], mask: Tensor | None) -> tuple[list[Tensor], Tensor]:
    """The kernel on a tape of its own: its arguments there, and the outputs."""
    needed = ctx.needs_input_grad
    with torch.enable_grad():
        leaves = [x.detach().requires_grad_(n) for x, n in zip(tensors, needed, strict=False)]
        Q, K, V = leaves
        return leaves, _kernel(Q, K, V, mask, *ctx.options)


def _slopes(
    Q: Tensor, K: Tensor, V: Tensor, g: Tensor, mask: Tensor | None, scale: float | None,
    causal: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The gradients of Q, K and V for that of the outputs, by operations that have their own."""
    kind = Q.dtype
    Q, K, V, g = (x.to(torch.promote_types(kind, torch.float32)) for x in (Q, K, V, g))
    scale = 1 / math.sqrt(Q.shape[-1]) if scale is None else scale
    A = _weights(Q, K, mask, scale, causal)
    dA = g @ V.mT
    dS = scale * (A * (dA - (A * dA).sum(dim=-1, keepdim=True)))
    dQ, dK, dV = dS @ K, dS.mT @ Q, A.mT @ g
    return _summed(dQ, Q).to(kind), _summed(dK, K).to(kind), _summed(dV, V).to(kind)


def _summed(x: Tensor, like: Tensor) -> Tensor:
    """Summed over the axes along which an argument was broadcast."""
    return x.sum_to_size(like.shape)
