"""Synthesizer attention: scores made from one token at a time, without queries and keys."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from attnlib._inputs import (
    in_float32,
    raised,
    refuse,
    require_choice,
    require_finite,
    require_flag,
    require_integer,
    surely_finite,
    values_may_be_read,
)
from attnlib._shapes import Float

__all__ = ["SynthesizerAttention", "tile_factors"]

KINDS = ("dense", "random", "factorized")


@in_float32
def tile_factors(
    P: Float[Tensor, "*b a"], R: Float[Tensor, "*b c"], n: int
) -> Float[Tensor, "*b n"]:
    r"""Rows of n scores out of two short factors.

    .. math:: s_j = p_{\lfloor j/c\rfloor}\; r_{j \bmod c}, \qquad 0 \le j < n \le ac

    Serves the claim ``synthesizer-form``. Every entry of P is repeated c times, R is repeated as
    a block, so that each of the a·c products occurs once. (Repeating both as blocks would give
    only lcm(a, c) of them.) Source: Tay et al. (2021), the factorised dense Synthesizer.

    Args:
        P: a entries, float32 or float64, or lower, computed in float32.
        R: same dtype and leading axes, c entries.
        n: how many scores to keep, 1 to a·c.

    Raises:
        ValueError: a factor is not finite or not a float tensor, their leading axes or dtypes
            differ, n is not an integer from 1 to a·c, or a product overflows.

    >>> tile_factors(torch.tensor([1.0, 10.0]), torch.tensor([1.0, 2.0, 3.0]), 5)
    tensor([ 1.,  2.,  3., 10., 20.])
    """
    scores = _tiled(P, R, n)
    require_finite("P with R", scores)
    return scores


class SynthesizerAttention(nn.Module):
    r"""Multi-head Synthesizer attention.

    .. math::
        Y_i &= \operatorname{softmax}\bigl(\operatorname{ReLU}(XA_i + b_{1,i})B_i + b_{2,i}\bigr)
        (XV_i), \\
        Y &= [Y_1, \dots, Y_h]\,W_O + b_O

    Serves the claims ``synthesizer-form``, ``synthesizer-no-interaction``,
    ``synthesizer-cheaper``, ``synthesizer-shared``, ``synthesizer-lookup`` and
    ``synthesizer-relu``. Row t of the scores is made from row t of X alone: n ≤ block_size tokens
    use the first n columns. Sources: the dense form is that of
    note 004; random and factorised after Tay et al. (2021). Ours is the choice that the two
    factors share the hidden layer ReLU(XA + b_1) of the dense kind.

    The parameters, with d = d_model, ``g = 1 if shared else n_heads``,
    a = ⌈√block_size⌉ and c = ⌈block_size/a⌉:

    - ``V`` [d, d], ``W_O`` [d, d], ``b_O`` [d]: every kind; the heads side by side in the columns
      of V and in the rows of W_O.
    - ``A`` [d, d], ``b_1`` [d], the heads side by side: dense and factorized.
    - ``B`` [g, d/h, block_size], ``b_2`` [g, block_size]: dense.
    - ``R`` [g, block_size, block_size]: random, the scores themselves.
    - ``B_p`` [g, d/h, a], ``b_p`` [g, a], ``B_r`` [g, d/h, c], ``b_r`` [g, c]: factorized, see
      :func:`tile_factors`.

    Args:
        d_model: entries of a token's vector, a multiple of n_heads.
        n_heads: number of heads h.
        block_size: the largest number of tokens.
        kind: "dense", "random" or "factorized".
        shared: one B (one R, one pair of factors) for all heads. A stays per head.
        causal: token t attends to tokens up to t only.

    Raises:
        ValueError: an argument is out of range, d_model is no multiple of n_heads; when called,
            x is not finite or not [batch, n, d_model] with 1 ≤ n ≤ block_size, its dtype is not
            that of the parameters, or a product overflows.

    Equal rows of scores average the values; here all parameters are 0 but V = W_O = I:

    >>> layer = SynthesizerAttention(2, 1, block_size=3, causal=False)
    >>> for name, p in layer.named_parameters():
    ...     _ = nn.init.eye_(p) if name in ("V", "W_O") else nn.init.zeros_(p)
    >>> layer(torch.tensor([[[1.0, 0.0], [3.0, 8.0]]]))[0].detach()
    tensor([[[2., 4.],
             [2., 4.]]])
    """

    def __init__(
        self, d_model: int, n_heads: int, block_size: int, kind: str = "dense",
        shared: bool = False, causal: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.d_model = d = require_integer("d_model", d_model, least=1)
        self.n_heads = require_integer("n_heads", n_heads, least=1)
        self.block_size = ell = require_integer("block_size", block_size, least=1)
        self.kind = require_choice("kind", kind, KINDS)
        self.shared = require_flag("shared", shared)
        self.causal = require_flag("causal", causal)
        if d % self.n_heads:
            raise ValueError(f"d_model must be a multiple of n_heads, got {d} and {self.n_heads}")

        groups, d_head = 1 if shared else self.n_heads, d // self.n_heads
        if kind != "random":
            self.A = _uniform(d, d)
            self.b_1 = nn.Parameter(torch.zeros(d))
        if kind == "dense":
            self.B = _uniform(groups, d_head, ell)
            self.b_2 = nn.Parameter(torch.zeros(groups, ell))
        elif kind == "random":
            self.R = nn.Parameter(torch.randn(groups, ell, ell))
        else:
            a = math.isqrt(ell - 1) + 1  # ⌈√ell⌉ in integers
            c = -(-ell // a)
            self.B_p = _uniform(groups, d_head, a)
            # A product of two factors has no gradient where both are 0: start them at 1.
            self.b_p = nn.Parameter(torch.ones(groups, a))
            self.B_r = _uniform(groups, d_head, c)
            self.b_r = nn.Parameter(torch.ones(groups, c))
        self.V = _uniform(d, d)
        self.W_O = _uniform(d, d)
        self.b_O = nn.Parameter(torch.zeros(d))

    def _check(self, x: Tensor) -> None:
        (exact, V), _ = raised(x, self.V)
        require_finite("x", exact)
        if x.ndim != 3 or x.shape[-1] != self.d_model:
            raise ValueError(f"x must be [batch, n, d_model = {self.d_model}], "
                             f"got shape {tuple(x.shape)}")  # fmt: skip
        if not 1 <= x.shape[1] <= self.block_size:
            raise ValueError(f"x has n = {x.shape[1]} tokens; at least 1 is needed and block_size "
                             f"= {self.block_size} is the most")  # fmt: skip
        if exact.dtype != V.dtype:
            raise ValueError(f"x must have the parameters' dtype {self.V.dtype}, got {x.dtype}")

    def _heads(self, x: Tensor) -> Tensor:
        """[batch, n, d_model] → [batch, heads, n, d_head]."""
        heads: Tensor = x.unflatten(-1, (self.n_heads, -1))
        return heads.transpose(1, 2)

    def scores(self, x: Float[Tensor, "batch n d_model"]) -> Float[Tensor, "batch heads n n"]:
        """The scores before the mask; row t depends on x[:, t] alone, for "random" on nothing.

        Arguments and errors as when the module is called.
        """
        self._check(x)
        batch, n, _ = x.shape
        if self.kind == "random":
            return self.R[:, :n, :n].expand(batch, self.n_heads, n, n)
        H = self._heads(torch.relu(x @ self.A + self.b_1))
        if self.kind == "dense":  # cut first: the other columns need not be computed
            return H @ self.B[:, :, :n] + self.b_2[:, None, :n]
        P = H @ self.B_p + self.b_p[:, None]
        return _tiled(P, H @ self.B_r + self.b_r[:, None], n)

    def forward(
        self, x: Float[Tensor, "batch n d_model"], need_weights: bool = True
    ) -> tuple[Float[Tensor, "batch n d_model"], Float[Tensor, "batch heads n n"] | None]:
        """The outputs, in the shape of x, and the weights of every head, or None in their place.

        Arguments and errors as given for the class.
        """
        require_flag("need_weights", need_weights)
        S = self.scores(x)
        if self.causal:
            n = S.shape[-1]
            future = torch.ones(n, n, dtype=torch.bool, device=S.device).triu(1)
            S = S.masked_fill(future, -math.inf)
        A = torch.softmax(S, dim=-1)
        V = self._heads(x @ self.V)
        O = (A @ V).transpose(1, 2).flatten(-2) @ self.W_O + self.b_O  # noqa: E741
        if values_may_be_read(O) and not surely_finite(O):  # x is finite: something overflowed
            for name, t in (("scores", self.scores(x)), ("x @ V", V), ("the output", O)):
                refuse(name, t, ~t.isfinite(), "a value that is not finite")
        return O, A if need_weights else None


@in_float32
def _tiled(P: Tensor, R: Tensor, n: int) -> Tensor:
    require_finite("P", P)
    require_finite("R", R)
    if P.shape[:-1] != R.shape[:-1] or P.dtype != R.dtype:
        raise ValueError(f"P and R must have the same leading axes and dtype, got "
                         f"{tuple(P.shape)} {P.dtype} and {tuple(R.shape)} {R.dtype}")  # fmt: skip
    n = require_integer("n", n, least=1, most=P.shape[-1] * R.shape[-1])
    return (P[..., :, None] * R[..., None, :]).flatten(-2)[..., :n]


def _uniform(*shape: int) -> nn.Parameter:
    """Entries uniform in ±1/√fan_in, as in torch.nn.Linear; the second last axis is fan_in."""
    bound = shape[-2] ** -0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
