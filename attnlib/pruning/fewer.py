"""Torch's attention with any number of heads."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FewerHeads"]


class FewerHeads(nn.Module):
    """What ``remove_heads`` puts in the place of a ``torch.nn.MultiheadAttention``.

    That one takes embed_dim/num_heads for the width of a head, so it cannot have fewer of them.
    This one is called the same way, with a batch, and has the parameters under the same names.
    Its weights are those of the heads that are left, or their mean.

    Args:
        cut: the module, its parameters already those of the heads that are left.
        num_heads: how many these are.
    """

    _qkv_same_embed_dim = False  # tells torch's encoder layers to leave their fast path
    in_proj_weight: nn.Parameter | None
    q_proj_weight: nn.Parameter
    k_proj_weight: nn.Parameter
    v_proj_weight: nn.Parameter
    in_proj_bias: nn.Parameter | None

    def __init__(self, cut: nn.MultiheadAttention, num_heads: int) -> None:
        super().__init__()
        self.embed_dim, self.head_dim, self.num_heads = cut.embed_dim, cut.head_dim, num_heads
        self.batch_first, self.dropout = cut.batch_first, cut.dropout
        for name, p in cut._parameters.items():  # those that are None too
            self.register_parameter(name, p)
        self.out_proj = cut.out_proj
        self.train(cut.training)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor,
        key_padding_mask: Tensor | None = None, need_weights: bool = True,
        attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """As ``torch.nn.MultiheadAttention``: True in a mask means "do not attend"."""
        if query.ndim != 3:
            raise ValueError(f"query must have a batch, three axes, got {tuple(query.shape)}")
        if is_causal and attn_mask is None:
            raise ValueError("attn_mask must be given if is_causal is: that is a hint only")
        tokens = (query, key, value)
        Q, K, V = self._heads(*(x if self.batch_first else x.transpose(0, 1) for x in tokens))
        M = _added(key_padding_mask, attn_mask, Q)
        p = self.dropout if self.training else 0.0
        A = None
        if need_weights:
            S = Q @ K.mT / math.sqrt(self.head_dim)
            A = F.dropout(torch.softmax(S if M is None else S + M, dim=-1), p)
            O = A @ V  # noqa: E741
            A = A.mean(1) if average_attn_weights else A
        else:
            O = F.scaled_dot_product_attention(Q, K, V, M, p)  # noqa: E741
        Y = self.out_proj(O.transpose(1, 2).flatten(2))
        return (Y if self.batch_first else Y.transpose(0, 1)), A

    def _heads(self, *tokens: Tensor) -> list[Tensor]:
        """Q, K and V of every head, [b, h, n or m, d_k]."""
        joint, b = self.in_proj_weight, self.in_proj_bias
        apart = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        W = apart if joint is None else joint.chunk(3)
        biases = (None,) * 3 if b is None else b.chunk(3)
        return [F.linear(x, w, c).unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)
                for x, w, c in zip(tokens, W, biases, strict=True)]  # fmt: skip


def _added(padded: Tensor | None, mask: Tensor | None, Q: Tensor) -> Tensor | None:
    """Torch's two masks as one summand of the scores, [b or 1, h or 1, n or 1, m]."""
    parts = []
    if mask is not None:  # [n, m], or [b·h, n, m]
        parts.append(mask if mask.ndim == 2 else mask.unflatten(0, (len(Q), -1)))
    if padded is not None:  # [b, m]
        parts.append(padded[:, None, None])
    summands = [torch.zeros_like(x, dtype=Q.dtype).masked_fill(x, -math.inf)
                if x.dtype == torch.bool else x.to(Q.dtype) for x in parts]  # fmt: skip
    return sum(summands[1:], summands[0]) if summands else None
