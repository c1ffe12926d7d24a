"""The model and the task of the study: eight pairs, one question, three kinds of it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib._inputs import require_integer
from attnlib._shapes import Float
from attnlib.transformer import TransformerLayer

__all__ = ["KINDS", "Questions", "Reader", "accuracy", "draw", "fit", "losses", "norms", "train"]

KINDS = ("key", "chain", "place")
PAIRS = 8  # also the number of keys and of values


class Questions(NamedTuple):
    """A batch: keys and values of the pairs, [b, 8]; of the question kind, argument, answer, [b].

    All of them int64.
    """

    keys: Tensor
    values: Tensor
    kind: Tensor
    argument: Tensor
    answer: Tensor


def draw(size: int, generator: torch.Generator) -> Questions:
    """Sequences of 8 pairs (key, value) and a question, drawn at random.

    The keys are a permutation of 0, …, 7 and the values are independent. Kind 0, "key", asks for
    the value of a key; 1, "chain", takes this value as a key and asks for its value; 2, "place",
    asks for the value at a place.

    >>> q = draw(1, torch.Generator().manual_seed(0))
    >>> q.keys.sort().values.tolist(), q.answer.shape
    ([[0, 1, 2, 3, 4, 5, 6, 7]], torch.Size([1]))
    """
    size = require_integer("size", size, 1)
    keys = torch.rand(size, PAIRS, generator=generator, dtype=torch.float64).argsort(-1)
    values = torch.randint(PAIRS, (size, PAIRS), generator=generator)
    kind = torch.randint(len(KINDS), (size,), generator=generator)
    argument = torch.randint(PAIRS, (size,), generator=generator)
    row, place = torch.arange(size), keys.argsort(-1)  # the place of each key
    first = values[row, place[row, argument]]
    second = values[row, place[row, first]]
    answers = torch.stack([first, second, values[row, argument]], dim=1)
    return Questions(keys, values, kind, argument, answers[row, kind])


class Reader(nn.Module):
    """A Transformer of two pre-norm layers that reads the pairs and answers at the question.

    A pair is one token, the sum of the vectors of its key, its value and its place; the question
    is the ninth. Four heads of width 8 a layer. Its outputs are the logits of the eight values.
    """

    def __init__(
        self, d_model: int = 32, n_heads: int = 4, n_layers: int = 2, d_ff: int = 64
    ) -> None:
        super().__init__()
        self.key, self.value, self.argument = (nn.Embedding(PAIRS, d_model) for _ in range(3))
        self.place = nn.Embedding(PAIRS + 1, d_model)
        self.kind = nn.Embedding(len(KINDS), d_model)
        self.layers = nn.ModuleList(
            TransformerLayer(d_model, n_heads, d_ff, norm_first=True) for _ in range(n_layers)
        )
        self.norm, self.out = nn.LayerNorm(d_model), nn.Linear(d_model, PAIRS)

    def forward(self, q: Questions) -> Float[Tensor, "b m"]:
        """The logits of the answer."""
        pairs = self.key(q.keys) + self.value(q.values) + self.place.weight[:PAIRS]
        question = self.kind(q.kind) + self.argument(q.argument) + self.place.weight[PAIRS]
        x = torch.cat([pairs, question.unsqueeze(1)], dim=1)
        for layer in self.layers:
            x, _ = layer(x)
        logits: Tensor = self.out(self.norm(x[:, -1]))
        return logits


def losses(model: nn.Module, q: Questions) -> Float[Tensor, " b"]:
    """Cross-entropy of each question, in nats."""
    return F.cross_entropy(model(q), q.answer, reduction="none")


def norms(model: nn.Module, q: Questions) -> Float[Tensor, " b"]:
    """The notes' F: the norm of the model's output, one for each question."""
    norm: Tensor = torch.linalg.vector_norm(model(q), dim=-1)
    return norm


@torch.no_grad()
def accuracy(model: nn.Module, q: Questions, kind: int | None = None) -> float:
    """The share of questions answered rightly; with a kind, of those of this kind."""
    right: Tensor = (model(q).argmax(-1) == q.answer).double()
    return right.mean().item() if kind is None else right[q.kind == kind].mean().item()


def fit(
    model: nn.Module, steps: int, rate: float | int, generator: torch.Generator, batch: int = 128,
    reverse: bool = False,
) -> None:  # fmt: skip
    """Adam on fresh questions; the rate rises for a twentieth of the steps, then falls to 0.

    Every 20 steps parameters are rounded to multiples of 2⁻¹⁶, and Adam's means to 8 bits. The
    differences in the last bits that another machine makes are erased before they grow. To see
    it, ``reverse`` the questions of every batch: sums are rounded otherwise, nothing else changes.
    """
    adam = torch.optim.Adam(model.parameters())
    for step in range(steps):
        if step and step % 20 == 0:
            _snap(adam)
        warm = min(1.0, (step + 1) / max(1.0, steps / 20))
        for group in adam.param_groups:
            group["lr"] = rate * warm * 0.5 * (1 + math.cos(math.pi * step / steps))
        adam.zero_grad()
        q = draw(batch, generator)
        q = Questions(*(t.flip(0) for t in q)) if reverse else q
        losses(model, q).mean().backward()
        adam.step()
    _snap(adam)


@torch.no_grad()
def _snap(adam: torch.optim.Adam) -> None:
    for p in adam.param_groups[0]["params"]:
        p.copy_((p * 2**16).round() / 2**16)
        for name, mean in adam.state[p].items():
            if name != "step":
                mean.copy_(mean.bfloat16())


def train(
    seed: int, steps: int = 1200, rate: float | int = 0.005, batch: int = 128,
    reverse: bool = False,
) -> Reader:  # fmt: skip
    """A Reader trained from a seed, in float64: the same bits every time."""
    seed, default = require_integer("seed", seed, 0), torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # in single precision the draws would be others
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Reader()
    finally:
        torch.set_default_dtype(default)
    fit(model, steps, rate, torch.Generator().manual_seed(seed), batch, reverse)
    return model.eval()
