"""What fixes a model and a training run: sizes, a schedule, and how texts are read."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from attnlib._inputs import require_integer, require_real

__all__ = ["Reading", "Schedule", "Sizes"]


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

    The rate is linear up to its peak, then half a cosine down to a share f of it:

    .. math:: \eta_t &= \eta\,\frac{t + 1}{w} \quad (t < w), \\
              \eta_t &= \eta\,\bigl(f + \tfrac{1 - f}{2}\,(1 + \cos\tfrac{\pi(t - w)}{T - w})\bigr)
              \quad (w \le t < T)

    Args:
        steps: how many, T.
        learning_rate: the peak, η.
        warmup: steps up to the peak, w.
        weight_decay: of matrices; vectors have none.
        final: f, from 0 to 1.

    Raises:
        ValueError: steps or warmup is no such integer, learning_rate is not positive,
            weight_decay is negative, or final is not between 0 and 1.

    >>> [round(Schedule(12, 1.0, warmup=2).rate_at(step), 2) for step in (0, 1, 7, 11)]
    [0.5, 1.0, 0.55, 0.12]
    """

    steps: int
    learning_rate: float | int
    warmup: int = 0
    weight_decay: float | int = 0.0
    final: float | int = 0.1

    def __post_init__(self) -> None:
        require_integer("steps", self.steps, 1)
        require_real("learning_rate", self.learning_rate, above=0)
        require_integer("warmup", self.warmup, 0)
        require_real("weight_decay", self.weight_decay, least=0)
        require_real("final", self.final, least=0, most=1)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        cosine = 1 + math.cos(math.pi * done)
        return self.learning_rate * (self.final + (1 - self.final) / 2 * cosine)


@dataclass(frozen=True)
class Reading:
    r"""How a text is read, anew at each visit.

    It is cut to ℓ characters, a span of it is hidden, and o times □ are put before it:

    .. math:: \ell \sim \operatorname{Uniform}\{\mathrm{least}, \dots, \mathrm{most}\}, \qquad
              o \sim \operatorname{Uniform}\{0, \dots, \mathrm{offset}\}

    A shorter text stays whole. Where texts begin with a name, an offset lets it stand at more
    positions than the first. A cut lets a model see the end of a text less often than its
    beginning: an answer that ends at character e is read with probability P(ℓ ≥ e).

    Args:
        names: share of the texts in which a name is hidden.
        places: share of the texts in which a place is hidden. Elsewhere any span is.
        offset: most positions that a text begins late.
        cut: least and most characters that are read of a text; None reads what fits the block.
        bucketed: put texts of like length into one batch, which then has little to fill up.
            Batches come in random order.

    Raises:
        ValueError: a share is not between 0 and 1, both together are above 1, or a length is no
            such integer.

    >>> Reading(names=0.6, offset=12, cut=(40, 96))
    Reading(names=0.6, places=0.0, offset=12, cut=(40, 96), bucketed=False)
    """

    names: float | int = 0.0
    places: float | int = 0.0
    offset: int = 0
    cut: tuple[int, int] | None = None
    bucketed: bool = False

    def __post_init__(self) -> None:
        for name in ("names", "places"):
            require_real(name, getattr(self, name), least=0, most=1)
        if self.names + self.places > 1:
            raise ValueError(f"names and places must be at most 1 together, got {self.names} and "
                             f"{self.places}")  # fmt: skip
        require_integer("offset", self.offset, 0)
        if self.cut is not None:
            least, most = self.cut
            require_integer("cut's least", least, 1)
            require_integer("cut's most", most, least)

    def room(self, block_size: int) -> int:
        """How many characters of a text fit, wherever it begins; with two ⁇ they fill the block.

        >>> Reading(offset=12).room(128)
        115
        """
        room = block_size - 1 - self.offset
        if room < 1:
            raise ValueError(f"offset must be below block_size - 1 = {block_size - 1}, got "
                             f"{self.offset}")  # fmt: skip
        return room if self.cut is None else min(room, self.cut[1])
