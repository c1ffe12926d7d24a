"""The parts of the Transformer: attention, masks, several heads, a layer, and the smoothed loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attnlib._attention import fused, quick_attention, read_twice
from attnlib._inputs import (
    autocast_off,
    broadcasts_to,
    eager,
    raised,
    refuse,
    require_boolean,
    require_broadcast,
    require_choice,
    require_classes,
    require_finite,
    require_flag,
    require_integer,
    require_key,
    require_real,
    require_rows,
    require_tokens,
    rounded,
    surely_finite,
    values_may_be_read,
)
from attnlib._shapes import Bool, Float, Int

__all__ = ["MultiHeadAttention", "ProcessHeads", "TransformerLayer", "attention", "causal_mask",
           "padding_mask", "smoothed_cross_entropy"]  # fmt: skip

# What happens to Q, K and V of all heads, [*b, h, n or m, d_k], before they meet.
ProcessHeads = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def attention(
    Q: Float[Tensor, "*q n d_k"],
    K: Float[Tensor, "*k m d_k"],
    V: Float[Tensor, "*v m d_v"],
    mask: Bool[Tensor, "*x #n #m"] | None = None,
    scale: float | int | Float[Tensor, "*s"] | None = None,
    need_weights: bool = True,
) -> tuple[Float[Tensor, "*o n d_v"], Float[Tensor, "*a n m"] | None]:
    r"""Scaled dot-product attention: the outputs O and the weights A.

    .. math:: A = \operatorname{softmax}(S), \quad O = A V, \qquad
              S_{ts} = \begin{cases} \text{scale}\cdot\langle q_t, k_s\rangle & \text{mask}_{ts} \\
              -\infty & \text{otherwise} \end{cases}

    Serves the claims ``qkv-dims``, ``causal-mask``, ``cross-attention``. Masked weights and their
    gradients are exactly 0, and every row of A sums to 1. Leading axes broadcast.

    Args:
        Q, K, V: queries, keys and values, float32 or float64. float16 and bfloat16 are computed
            in float32, under autocast too, and O and A rounded once.
        mask: True = attend. Shape [n, m], or as many axes as the scores, of their length or 1: of
            [batch, n, m] and [batch, heads, n, m] broadcasting would take the batch for the heads.
            Where the batch has n examples, [n, m] could be [batch, m], and is refused.
        scale: factor on the scores, positive; by default 1/√d_k. A learnt temperature is a
            tensor: one number, or one for each head, [heads, 1, 1], or query, [n, 1].
        need_weights: with False there is None in the place of A. Torch's fused kernel then does
            the work, and A is never stored.

    Raises:
        ValueError: an argument is not finite, even where masked; shapes or dtypes do not fit; a
            score overflows; a query has no key to attend to.

    >>> O, A = attention(torch.zeros(1, 2), torch.ones(2, 2), torch.tensor([[0.0], [4.0]]))
    >>> A, O  # equal scores: the mean of the values
    (tensor([[0.5000, 0.5000]]), tensor([[2.]]))
    """
    require_flag("need_weights", need_weights)
    (Q_, K_, V_), kind = raised(Q, K, V)
    with autocast_off(Q, K, V):
        batch = Q.shape[:-2][:1] if isinstance(Q, Tensor) else ()
        if need_weights:
            found = quick_attention(Q_, K_, V_, mask, scale, need_weights, batch)
        else:  # the fused kernel adds up in float32 by itself
            found = quick_attention(Q, K, V, mask, scale, need_weights, batch)
        if found is None:
            found = _attention(Q_, K_, V_, mask, scale, need_weights, kind)
        return found if kind is None else rounded(found, kind, bounded=True)


def _attention(
    Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None, scale: Any, need_weights: bool,
    kind: torch.dtype | None,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """The same with a look at every argument, in turn."""
    require_tokens("Q", Q)
    require_tokens("K", K, "Q", Q, entries=Q.shape[-1])
    require_tokens("V", V, "K", K, tokens=K.shape[-2])
    b = require_broadcast("Q, K and V", Q, K, V)
    shape = (*require_broadcast("Q and K", Q, K), Q.shape[-2], K.shape[-2])
    scale = 1 / math.sqrt(Q.shape[-1]) if scale is None else _require_scale(scale, Q, shape)
    if mask is not None:
        mask = _require_scores_mask("mask", mask, shape, batch=shape[:-2][:1])
    if isinstance(scale, Tensor):
        Q, scale = scale * Q, 1.0
    if not need_weights:
        outputs = _unweighted(Q, K, V, mask, scale, b, kind)
        if outputs is not None:
            return outputs, None
    S = (scale * Q) @ K.mT
    # The inputs are finite, so a score that is not has overflowed.
    if not values_may_be_read(S) or not surely_finite(S):
        require_finite("scores", S if mask is None else torch.where(mask, S, 0.0))
    A = torch.softmax(S if mask is None else torch.where(mask, S, -math.inf), dim=-1)
    return A @ V, A if need_weights else None


def _unweighted(
    Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None, scale: float, b: tuple[int, ...],
    kind: torch.dtype | None,
) -> Tensor | None:  # fmt: skip
    """The fused kernel where leading axes differ, or in a graph; None where it must not be."""
    Q, K, V = (x.expand(*b, *x.shape[-2:]) for x in (Q, K, V))
    if mask is not None:
        mask = mask[(None,) * (Q.ndim - mask.ndim)]
    if not torch.compiler.is_compiling():
        found = quick_attention(Q, K, V, mask, scale, need_weights=False, batch=())
        return None if found is None else found[0]
    Q, K, V = (x if kind is None else x.to(kind) for x in (Q, K, V))
    return fused(Q, K, V, mask, scale)


def _require_scale(scale: Any, Q: Tensor, shape: tuple[int, ...]) -> float | Tensor:
    """A positive number, or a tensor of them that multiplies whole rows of scores of a shape."""
    if not (isinstance(scale, Tensor) and scale.is_floating_point()):
        return require_real("scale", scale, above=0)
    rows = (*shape[:-1], 1)
    if not broadcasts_to(scale, rows):
        raise ValueError(f"scale must be a number or broadcast to {rows}, a factor for each row of "
                         f"scores; got shape {tuple(scale.shape)}")  # fmt: skip
    if values_may_be_read(scale):
        refuse("scale", scale, ~(scale.isfinite() & (scale > 0)), "no positive finite number")
    return scale.to(Q.dtype)


def _require_scores_mask(
    name: str, mask: Any, shape: tuple[int, ...], batch: tuple[int, ...]
) -> Tensor:
    """A mask of scores with all their axes, of their lengths or 1, and a key for each query.

    Two axes are [n, m]. They are refused where they could be [batch, m] as well: a padding mask
    would otherwise fit by chance, and hide other keys than it says.
    """
    if isinstance(mask, Tensor) and mask.ndim not in (2, len(shape)):
        axes = "2" if len(shape) == 2 else f"2 or {len(shape)}"
        raise ValueError(f"{name} must have {axes} axes, got shape {tuple(mask.shape)}")
    if isinstance(mask, Tensor) and mask.dtype == torch.bool and mask.ndim < len(shape):
        _require_one_reading(name, mask, shape, batch)
        mask = mask[(None,) * (len(shape) - mask.ndim)]
    require_boolean(name, mask, "scores", shape)
    attend: Tensor = mask
    if 0 not in shape:
        require_key("scores" if name == "mask" else f"scores with {name}", attend, shape)
    return attend


def _require_one_reading(
    name: str, mask: Tensor, shape: tuple[int, ...], batch: tuple[int, ...]
) -> None:
    """A mask with two axes of scores with more, [*b, n, m], is none of keys, [batch, m]."""
    if not read_twice(mask, shape, batch):
        return
    length, m = mask.shape
    free = ["None"] * (len(shape) - 2)
    each = free.copy()
    each.insert(batch.index(length), ":")
    if length != shape[-2]:
        raise ValueError(f"{name} must broadcast to the shape of scores, got {(length, m)} and "
                         f"{tuple(shape)}; for a row an example write "
                         f"{name}[{', '.join(each)}]")  # fmt: skip
    if m > 1:
        raise ValueError(f"{name} of shape {(length, m)} could have a row a query or a row an "
                         f"example, with scores {tuple(shape)}: write {name}[{', '.join(free)}] "
                         f"or {name}[{', '.join(each)}]")  # fmt: skip


def causal_mask(n: int, m: int | None = None, offset: int = 0) -> Bool[Tensor, "n m"]:
    """The mask of a decoder: query t may attend to key s if and only if s ≤ t + offset.

    Serves the claim ``causal-mask``. With the keys of the past in a cache, the n newest of m
    tokens are the queries: the offset is m − n, and m may be left out.

    Args:
        n: number of queries, at least 1.
        m: number of keys, at least 1; by default n + offset, all up to the last query.
        offset: position of the first query among the keys, at least 0.

    Raises:
        ValueError: a number is no such integer.

    >>> causal_mask(3).int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    >>> causal_mask(2, offset=2).int()  # two new tokens, two in the cache
    tensor([[1, 1, 1, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    """
    n, offset = require_integer("n", n, 1), require_integer("offset", offset, 0)
    m = n + offset if m is None else require_integer("m", m, 1)
    return torch.ones(n, m, dtype=torch.bool).tril(offset)


def padding_mask(lengths: Int[Tensor, "*b"], n: int) -> Bool[Tensor, "*b 1 1 n"]:
    """The mask of a padded batch: in example i the keys up to lengths[i] are real.

    For scores [batch, heads, queries, n]: its axes say which is which. Padded queries attend like
    others, since a row needs a key; what they give is not to be used. With the causal mask:
    ``padding_mask(lengths, n) & causal_mask(n)``.

    Args:
        lengths: int64, from 1 to n: tokens of each example, before the padding.
        n: common length, at least 1.

    Raises:
        ValueError: n is no positive integer, lengths no int64 tensor of such numbers.

    >>> padding_mask(torch.tensor([1, 3]), 3).int().flatten(1)
    tensor([[1, 0, 0],
            [1, 1, 1]], dtype=torch.int32)
    """
    n = require_integer("n", n, 1)
    if not isinstance(lengths, Tensor) or lengths.dtype != torch.int64:
        kind = lengths.dtype if isinstance(lengths, Tensor) else type(lengths).__name__
        raise ValueError(f"lengths must be an int64 tensor, got {kind}")
    if values_may_be_read(lengths):
        refuse("lengths", lengths, (lengths < 1) | (lengths > n), f"no length from 1 to {n}")
    return torch.arange(n, device=lengths.device) < lengths[..., None, None, None]


class MultiHeadAttention(nn.Module):
    r"""h attentions side by side, each of width d_k = d_model/h, and W_O to mix them.

    .. math:: \operatorname{concat}(O_1, \dots, O_h)\,W_O, \qquad
              O_i = \operatorname{attention}(X W_Q^{(i)}, X' W_K^{(i)}, X' W_V^{(i)})

    Serves the claim ``multi-head-concat``. Head i owns the columns i·d_k to (i + 1)·d_k − 1 of
    W_Q, W_K, W_V, and those rows of W_O. No biases, as in Vaswani et al. (2017). Torch's module
    has the transposed matrices and the negated mask.

    Args:
        d_model, n_heads: width and number of heads; n_heads divides d_model.
        causal: token t attends to tokens up to t of its own sequence, and to nothing else.
        process_heads: a hook, called with Q, K, V of all heads, each ``[*b, h, n, d_k]`` (K and V
            with m for n); it returns the three that are used, in the same shapes. Rotary
            positions are such a hook.

    Raises:
        ValueError: an argument is out of range, or the hook returns something else; when called,
            as for ``attention``; a causal layer is given a memory or a mask.

    >>> MultiHeadAttention(d_model=6, n_heads=2)(torch.ones(4, 6))[1][0, 0].tolist()  # equal keys
    [0.25, 0.25, 0.25, 0.25]
    """

    W_Q: nn.Parameter
    W_K: nn.Parameter
    W_V: nn.Parameter
    W_O: nn.Parameter

    def __init__(
        self, d_model: int, n_heads: int, *, causal: bool = False,
        process_heads: ProcessHeads | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.d_model = require_integer("d_model", d_model, 1)
        self.n_heads = require_integer("n_heads", n_heads, 1)
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide d_model = {d_model}, got {n_heads}")
        self.causal = require_flag("causal", causal)
        if process_heads is not None and not callable(process_heads):
            raise ValueError(f"process_heads must be a function of Q, K and V, or None; got "
                             f"{process_heads!r}")  # fmt: skip
        self.process_heads = process_heads
        for name in ("W_Q", "W_K", "W_V", "W_O"):
            W = nn.init.xavier_uniform_(torch.empty(d_model, d_model))  # variance 1/d_model
            self.register_parameter(name, nn.Parameter(W))

    def heads(
        self, x: Float[Tensor, "*b n d_model"], memory: Float[Tensor, "*c m d_model"]
    ) -> tuple[
        Float[Tensor, "*b h n d_k"], Float[Tensor, "*c h m d_k"], Float[Tensor, "*c h m d_k"]
    ]:
        """Q, K and V of every head, as attention gets them: after ``process_heads``."""
        pairs = ((x, self.W_Q), (memory, self.W_K), (memory, self.W_V))
        # [*b, n, h·d_k] → [*b, n, h, d_k] → [*b, h, n, d_k]
        Q, K, V = ((t @ W).unflatten(-1, (self.n_heads, -1)).transpose(-3, -2) for t, W in pairs)
        return (Q, K, V) if self.process_heads is None else _processed(self.process_heads, Q, K, V)

    def forward(
        self,
        x: Float[Tensor, "*b n d_model"],
        memory: Float[Tensor, "*c m d_model"] | None = None,
        mask: Bool[Tensor, "*x #n #m"] | None = None,
        need_weights: bool = True,
    ) -> tuple[Float[Tensor, "*o n d_model"], Float[Tensor, "*o h n m"] | None]:
        """The outputs, and the weights of every head. Without a memory x attends to itself.

        With need_weights=False there is None in their place. Without a mask torch's fused kernel
        then does the work, in less memory, and no value is looked at: NaN in is NaN out.
        """
        require_flag("need_weights", need_weights)
        if self.causal and not (memory is None and mask is None):
            extra = "mask" if memory is None else "memory"
            raise ValueError(f"{extra} must be omitted: this layer is causal self-attention")
        memory = x if memory is None else memory
        found = self._quick(x, memory, mask, need_weights)
        if found is None:
            found = self._careful(x, memory, mask, need_weights)
        heads, A = found
        # [*b, h, n, d_k] → [*b, n, h, d_k] → [*b, n, h·d_k]
        return heads.transpose(-3, -2).flatten(-2) @ self.W_O, A

    def _quick(
        self, x: Any, memory: Any, mask: Any, need_weights: bool
    ) -> tuple[Tensor, Tensor | None] | None:
        """The outputs of the heads and the weights, or None where something could be wrong."""
        fused_alone = mask is None and not need_weights
        # A hook must not be called twice, nor for what is then refused.
        if fused_alone or self.process_heads is not None or not eager(x, memory, mask):
            return None
        W = self.W_Q
        if not all(isinstance(t, Tensor) and t.ndim > 1 and t.dtype == W.dtype
                   and t.shape[-1] == self.d_model for t in (x, memory)):  # fmt: skip
            return None
        if self.causal:
            mask = _causal(x, x.ndim + 1)
        return quick_attention(*self.heads(x, memory), mask, None, need_weights, x.shape[:-2])

    def _careful(
        self, x: Tensor, memory: Tensor, mask: Tensor | None, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The same with a look at every argument; at shapes alone if only outputs are wanted."""
        (x_, memory_, W), _ = raised(x, memory, self.W_Q)
        if not need_weights and mask is None:
            _require_rows_of("x", x_, "W_Q", W)
            _require_rows_of("memory", memory_, "W_K", W)
            require_broadcast("x and memory", x, memory)
            return fused(*self.heads(x, memory), causal=self.causal), None
        require_tokens("x", x_, "W_Q", W, entries=self.d_model)
        require_tokens("memory", memory_, "W_K", W, entries=self.d_model)
        b = require_broadcast("x and memory", x, memory)
        if self.causal:
            mask = _causal(x, len(b) + 3)
        elif mask is not None:
            shape = (*b, self.n_heads, x.shape[-2], memory.shape[-2])
            mask = _require_scores_mask("mask", mask, shape, batch=b)
        return attention(*self.heads(x, memory), mask, need_weights=need_weights)


def _require_rows_of(name: str, x: Any, like: str, W: Tensor) -> None:
    """Tokens that a square matrix can multiply; their values are not looked at."""
    if isinstance(x, Tensor) and (x.ndim < 2 or x.shape[-1] != len(W)):
        raise ValueError(f"{name} must have rows of d_model = {len(W)} entries, got shape "
                         f"{tuple(x.shape)}")  # fmt: skip
    require_rows(name, x)
    if x.dtype != W.dtype:
        raise ValueError(f"{name} must have the dtype of {like}, {W.dtype}, got {x.dtype}")


def _causal(x: Tensor, axes: int) -> Tensor:
    """The causal mask of a sequence, with so many axes."""
    n = x.shape[-2]
    return torch.ones(*(1,) * (axes - 2), n, n, dtype=torch.bool, device=x.device).tril()


def _processed(
    process_heads: ProcessHeads, Q: Tensor, K: Tensor, V: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What a hook makes of Q, K and V, checked: three tensors in the same shapes."""
    found = process_heads(Q, K, V)
    several = found if isinstance(found, tuple | list) else (found,)
    shapes = [tuple(t.shape) if isinstance(t, Tensor) else type(t).__name__ for t in several]
    if shapes != (given := [tuple(t.shape) for t in (Q, K, V)]):
        raise ValueError(f"process_heads must return Q, K and V in their shapes {given}; it "
                         f"returned {shapes}")  # fmt: skip
    Q, K, V = several
    return Q, K, V


class TransformerLayer(nn.Module):
    """A layer of the encoder or, with cross=True, of the decoder, with its residuals and norms.

    Its parts f are self-attention, with cross=True attention to a memory, and the feed-forward
    network. Post-norm, the original order, is x ← LN(x + f(x)); norm_first=True is pre-norm,
    x ← x + f(LN(x)). Torch's layers without dropout. Serves the claim ``ffn-position-wise``.
    """

    def __init__(
        self, d_model: int, n_heads: int, d_ff: int, cross: bool = False, norm_first: bool = False
    ) -> None:
        super().__init__()
        d_ff = require_integer("d_ff", d_ff, 1)
        self.norm_first = require_flag("norm_first", norm_first)
        self.attend = MultiHeadAttention(d_model, n_heads)
        self.cross = MultiHeadAttention(d_model, n_heads) if require_flag("cross", cross) else None
        self.ffn = nn.Sequential(nn.Linear(d_model, d_ff), nn.ReLU(), nn.Linear(d_ff, d_model))
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(3 if cross else 2))

    def forward(
        self,
        x: Float[Tensor, "*b n d_model"],
        memory: Float[Tensor, "*c m d_model"] | None = None,
        mask: Bool[Tensor, "*x #n #n"] | None = None,
        memory_mask: Bool[Tensor, "*y #n #m"] | None = None,
    ) -> tuple[Float[Tensor, "*o n d_model"], list[Float[Tensor, "*p h n _"]]]:
        """The tokens, and the weights of self-attention and of attention to the memory, if any."""
        if (memory is None) != (self.cross is None):
            raise ValueError(f"memory must be {'given' if self.cross else 'omitted'}")
        (x_, memory_, W), _ = raised(x, memory, self.attend.W_Q)
        # Before a norm, which would not name it.
        require_tokens("x", x_, "W_Q", W, entries=self.attend.d_model)
        if memory is not None and memory_mask is not None:
            # Before attention, which would call it mask.
            require_tokens("memory", memory_)
            b = require_broadcast("x and memory", x, memory)
            scores = (*b, self.attend.n_heads, x.shape[-2], memory.shape[-2])
            _require_scores_mask("memory_mask", memory_mask, scores, batch=b)
        parts: list[Callable[[Tensor], tuple[Tensor, Tensor | None]]]
        parts = [lambda x: self.attend(x, mask=mask), lambda x: (self.ffn(x), None)]
        if (cross := self.cross) is not None:
            parts.insert(1, lambda x: cross(x, memory, memory_mask))
        weights: list[Tensor] = []
        for part, norm in zip(parts, self.norms, strict=True):
            output, A = part(norm(x) if self.norm_first else x)
            x = x + output if self.norm_first else norm(x + output)
            weights += [] if A is None else [A]
        return x, weights


def smoothed_cross_entropy(
    logits: Float[Tensor, "*b K"],
    target: Int[Tensor, "*b"],
    smoothing: float | int,
    convention: str = "K",
    ignore_index: int | None = None,
) -> Float[Tensor, "*b"]:
    r"""Cross-entropy against a smoothed one-hot law a, one loss for each row, in nats.

    .. math:: -\sum_j a_j \ln\operatorname{softmax}(z)_j, \qquad a_j = u \;(j \ne c), \qquad
              a_c = 1 - \sum_{j \ne c} a_j

    Serves the claim ``label-smoothing``. With the smoothing ε, convention "K" spreads ε over all
    K classes, u = ε/K (Szegedy et al. 2016, PyTorch); "K-1" spreads it over the K − 1 wrong ones,
    u = ε/(K − 1). No probability is formed, so there is no ln 0, and finite logits of any size have
    a finite loss unless that itself is beyond the dtype.

    Args:
        logits, target: rows z of K finite logits, and the right class c of each row, int64. Of
            float16 and bfloat16 the loss is float32: a sum of many needs the digits.
        smoothing: ε, from 0 to 1.
        convention: "K" or, for K ≥ 2, "K-1".
        ignore_index: the target of rows that do not count, as PyTorch has it for padding: their
            loss is 0, without a gradient. A mean has to leave them out of its divisor.

    Raises:
        ValueError: an argument is not what it should be.

    >>> smoothed_cross_entropy(torch.zeros(1, 4), torch.tensor([2]), 0.1)  # ln 4, whatever ε is
    tensor([1.3863])
    """
    (logits,), _ = raised(logits)
    require_finite("logits", logits)
    K = logits.shape[-1]
    ignored = None
    if ignore_index is not None and isinstance(target, Tensor):
        ignored = target == require_integer("ignore_index", ignore_index, -(2**63), 2**63 - 1)
        target = target.masked_fill(ignored, 0)
    require_classes("target", target, logits.shape[:-1], K)
    smoothing = require_real("smoothing", smoothing, least=0, most=1)
    others = K if require_choice("convention", convention, ("K", "K-1")) == "K" else K - 1
    require_integer("the number of wrong classes in logits", others, 1)
    u = smoothing / others
    # The loss depends on the gaps to the largest logit alone. Half of one is always finite.
    top = logits.detach().amax(dim=-1, keepdim=True)
    half_gap = top / 2 - logits / 2
    right = half_gap.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    loss = torch.logsumexp(logits - top, dim=-1) + 2 * (
        (1 - K * u) * right + (u * half_gap).sum(dim=-1)
    )
    if ignored is not None:
        loss = loss.masked_fill(ignored, 0)
    if values_may_be_read(loss) and not surely_finite(loss):
        refuse("logits", loss, ~loss.isfinite(), "a row whose loss overflows")
    return loss
