"""A small GPT whose attention can be exchanged."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnlib._inputs import require_choice, require_classes, require_integer, require_real
from attnlib._shapes import Float, Int
from attnlib.positions import rotary
from attnlib.synthesizer import SynthesizerAttention
from attnlib.transformer import MultiHeadAttention

__all__ = ["GPT", "VARIANTS"]

VARIANTS = ("vanilla", "synthesizer", "rotary")


def _turned(x: Float[Tensor, "*b n d_k"]) -> Float[Tensor, "*b n d_k"]:
    return rotary(x, torch.arange(x.shape[-2], device=x.device))


def turned_heads(
    Q: Float[Tensor, "*b n d_k"], K: Float[Tensor, "*c m d_k"], V: Float[Tensor, "*c m d_k"]
) -> tuple[Float[Tensor, "*b n d_k"], Float[Tensor, "*c m d_k"], Float[Tensor, "*c m d_k"]]:
    """Rotary positions 0, 1, …: queries and keys turned, values as they are.

    In half precision, as autocast gives it, they are turned in float32 and rounded once.

    >>> Q, K, V = turned_heads(*torch.ones(3, 1, 2))  # position 0: nothing turns
    >>> Q.tolist(), V.tolist()
    ([[1.0, 1.0]], [[1.0, 1.0]])
    """
    return _turned(Q), _turned(K), V


class Block(nn.Module):
    """x ← x + f(LN(x)), first with attention, then with the feed-forward network for f."""

    def __init__(
        self, attend: MultiHeadAttention | SynthesizerAttention, d_model: int, dropout: float
    ) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.attend = attend
        self.ffn = nn.Sequential(
            nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch n d_model"]) -> Float[Tensor, "batch n d_model"]:
        # Without weights attention is a fused kernel: faster, and A is never stored.
        x = x + self.drop(self.attend(self.norm_1(x), need_weights=False)[0])
        x = x + self.drop(self.ffn(self.norm_2(x)))
        return x


class GPT(nn.Module):
    r"""A decoder-only Transformer: from characters to logits of the next character.

    .. math:: x &= E_{\mathrm{idx}} + P, \qquad
              x \leftarrow x + \operatorname{attend}(\operatorname{LN}(x)), \\
              x &\leftarrow x + \operatorname{ffn}(\operatorname{LN}(x)), \qquad
              \operatorname{logits} = \operatorname{LN}(x)\,W

    Serves the claims ``pretrain-helps`` and ``pipeline``. The logits at position t depend on the
    characters up to t only. The variants differ in attention alone: "vanilla" is scaled
    dot-product attention and "synthesizer" the dense
    :class:`~attnlib.synthesizer.SynthesizerAttention`, both with learnt positions P; "rotary" is
    vanilla with :func:`attnlib.positions.rotary` in place of P. Pre-norm, GELU, width 4·n_embd in
    between, dropout on the embedding and on what each part adds (not on the weights A).

    Args:
        vocab_size: number of characters.
        block_size: the largest number of positions.
        n_layer, n_head, n_embd: layers, heads, width; n_head divides n_embd, and for "rotary"
            n_embd/n_head is even.
        attention: "vanilla", "synthesizer" or "rotary".
        dropout: share of entries set to 0 while training, below 1.

    Raises:
        ValueError: an argument is out of range or unknown; when called, idx is not an int64
            [batch, n] with 1 ≤ n ≤ block_size and entries from 0 to vocab_size − 1.

    >>> model = GPT(vocab_size=7, block_size=5, n_layer=1, n_head=2, n_embd=4)
    >>> model(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 7])
    """

    def __init__(
        self, vocab_size: int, block_size: int, n_layer: int, n_head: int, n_embd: int,
        attention: str = "vanilla", dropout: float | int = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.vocab_size = require_integer("vocab_size", vocab_size, 1)
        self.block_size = require_integer("block_size", block_size, 1)
        self.n_layer = require_integer("n_layer", n_layer, 1)
        self.n_head = require_integer("n_head", n_head, 1)
        self.n_embd = require_integer("n_embd", n_embd, 1)
        self.attention = require_choice("attention", attention, VARIANTS)
        dropout = require_real("dropout", dropout, least=0, below=1)
        if n_embd % n_head:
            raise ValueError(f"n_embd must be a multiple of n_head, got {n_embd} and {n_head}")
        if attention == "rotary" and (n_embd // n_head) % 2:
            raise ValueError(f"n_embd/n_head must be even for rotary positions, got {n_embd} and "
                             f"{n_head}")  # fmt: skip

        def attend() -> MultiHeadAttention | SynthesizerAttention:
            if attention == "synthesizer":
                return SynthesizerAttention(n_embd, n_head, block_size)
            process_heads = turned_heads if attention == "rotary" else None
            return MultiHeadAttention(n_embd, n_head, causal=True, process_heads=process_heads)

        # Small, so that a fresh model's residual stream is what its layers write, not noise.
        self.characters = nn.Embedding(vocab_size, n_embd)
        nn.init.normal_(self.characters.weight, std=0.02)
        if attention != "rotary":
            self.positions = nn.Parameter(0.02 * torch.randn(block_size, n_embd))
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(attend(), n_embd, dropout) for _ in range(n_layer))
        self.norm = nn.LayerNorm(n_embd)
        self.head = nn.Linear(n_embd, vocab_size, bias=False)

    def _embed(self, idx: Tensor) -> Tensor:
        if not isinstance(idx, Tensor) or idx.ndim != 2 or 0 in idx.shape:
            shape = tuple(idx.shape) if isinstance(idx, Tensor) else type(idx).__name__
            raise ValueError(f"idx must be a tensor [batch, n], and not empty; got {shape}")
        if idx.shape[1] > self.block_size:
            raise ValueError(f"idx has n = {idx.shape[1]} positions, block_size = "
                             f"{self.block_size} is the most")  # fmt: skip
        require_classes("idx", idx, tuple(idx.shape), self.vocab_size)
        x: Tensor = self.characters(idx)
        if self.attention != "rotary":
            x = x + self.positions[: idx.shape[1]]
        x = self.drop(x)
        return x

    def forward(self, idx: Int[Tensor, "batch n"]) -> Float[Tensor, "batch n vocab"]:
        """The logits of the next character, at each position."""
        x = self._embed(idx)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits

    def weights(self, idx: Int[Tensor, "batch n"]) -> list[Float[Tensor, "batch h n n"]]:
        """The attention weights of every layer: entry [b, h, t, s] is what t takes from s."""
        x, found = self._embed(idx), []
        for block in self.blocks:
            # The annotations of torch's ModuleList do not say what it is a list of.
            found.append(block.attend(block.norm_1(x))[1])  # type: ignore[operator]
            x = block(x)
        return found
