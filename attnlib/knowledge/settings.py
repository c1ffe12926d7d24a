"""What fixes a model and a training run: sizes and a schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from attnlib._inputs import require_integer, require_real

__all__ = ["Schedule", "Sizes"]


@dataclass(frozen=True)
class Sizes:
    """The sizes of a GPT: most characters at a time, layers, heads, and width.

    Raises:
        ValueError: one of them is no positive integer, or n_head does not divide n_embd.

    >>> Sizes(block_size=128, n_layer=2, n_head=4, n_embd=96)
    Sizes(block_size=128, n_layer=2, n_head=4, n_embd=96)
    """

    block_size: int
    n_layer: int
    n_head: int
    n_embd: int

    def __post_init__(self) -> None:
        for field in fields(self):
            require_integer(field.name, getattr(self, field.name), 1)
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd must be a multiple of n_head, got {self.n_embd} and "
                             f"{self.n_head}")  # fmt: skip


@dataclass(frozen=True)
class Schedule:
    r"""How long to train, how fast, and with which decay.

    The rate is linear up to its peak, then half a cosine down to a tenth of it:

    .. math:: \eta_t &= \eta\,\frac{t + 1}{w} \quad (t < w), \\
              \eta_t &= \eta\,\bigl(0.1 + 0.45\,(1 + \cos\tfrac{\pi(t - w)}{T - w})\bigr)
              \quad (w \le t < T)

    Args:
        steps: how many, T.
        learning_rate: the peak, η.
        warmup: steps up to the peak, w.
        weight_decay: of matrices; vectors have none.

    Raises:
        ValueError: steps or warmup is no such integer, learning_rate is not positive, or
            weight_decay is negative.

    >>> [round(Schedule(12, 1.0, warmup=2).rate_at(step), 2) for step in (0, 1, 7, 11)]
    [0.5, 1.0, 0.55, 0.12]
    """

    steps: int
    learning_rate: float | int
    warmup: int = 0
    weight_decay: float | int = 0.0

    def __post_init__(self) -> None:
        require_integer("steps", self.steps, 1)
        require_real("learning_rate", self.learning_rate, above=0)
        require_integer("warmup", self.warmup, 0)
        require_real("weight_decay", self.weight_decay, least=0)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))
