"""What the model reads, batch by batch: corrupted texts, and questions with their answers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from attnlib._inputs import require_integer
from attnlib.knowledge.files import MASK, PAD
from attnlib.knowledge.settings import Reading
from attnlib.knowledge.spans import corrupt_name, corrupt_place, corrupt_span

__all__ = ["Alphabet", "Batches", "alternate", "answer_batches", "mixed_seed", "pair_text",
           "span_batches"]  # fmt: skip

Batches = Callable[[int], tuple[Tensor, Tensor]]
AS_IT_STANDS = Reading()


def mixed_seed(*numbers: int) -> int:
    """One seed out of several numbers, such that neighbours have unrelated streams."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Alphabet:
    """The characters of a corpus as the numbers from 2; □ is 0 and ⁇ is 1.

    Raises:
        ValueError: no characters, or □ or ⁇ among them.

    >>> Alphabet("banana").encode("nab⁇")
    [4, 2, 3, 1]
    """

    def __init__(self, characters: str) -> None:
        found = sorted(set(characters))
        if not found or PAD in found or MASK in found:
            raise ValueError(f"characters must not be empty nor hold {PAD} or {MASK}")
        self.characters = "".join(found)
        self._symbols = PAD + MASK + self.characters
        self._number = {symbol: i for i, symbol in enumerate(self._symbols)}

    def __len__(self) -> int:
        return len(self._symbols)

    def unknown(self, text: str) -> str:
        """The characters of the text that the alphabet does not have, in order."""
        return "".join(sorted(set(text) - set(self._symbols)))

    def encode(self, text: str) -> list[int]:
        """The numbers of the characters; a character that is not there is a ValueError."""
        if extra := self.unknown(text):
            raise ValueError(f"text holds {extra!r}, which the alphabet does not have")
        return [self._number[character] for character in text]

    def decode(self, numbers: Sequence[int]) -> str:
        return "".join(self._symbols[number] for number in numbers)


def pair_text(question: str, answer: str) -> str:
    """A question and its answer as the model reads them: the last ⁇ says that the answer ends.

    >>> pair_text("Where was Ada Byron born?", "London")
    'Where was Ada Byron born?⁇London⁇'
    """
    return f"{question}{MASK}{answer}{MASK}"


def _pad(rows: list[list[int]]) -> Tensor:
    """To the longest row of the batch, not to the block: what is not there costs nothing."""
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


def _order(count: int, seed: int, epoch: int) -> list[int]:
    """Each epoch goes through all rows once, in an order of its own."""
    generator = torch.Generator().manual_seed(mixed_seed(seed, epoch))
    return torch.randperm(count, generator=generator).tolist()


def _chosen(count: int, batch_size: int, seed: int, step: int) -> list[int]:
    """The rows of a step."""
    epoch, at = divmod(step, -(-count // batch_size))
    return _order(count, seed, epoch)[at * batch_size : (at + 1) * batch_size]


def _visits(
    texts: Sequence[str], most: int, batch_size: int, seed: int, reading: Reading
) -> Callable[[int], list[str]]:
    """For each step its texts, cut; an epoch's lengths and batches are drawn together."""
    per_epoch = -(-len(texts) // batch_size)

    @functools.lru_cache(maxsize=1)  # the epoch that is being read
    def epoch_batches(epoch: int) -> list[list[str]]:
        order = _order(len(texts), seed, epoch)
        generator = torch.Generator().manual_seed(mixed_seed(seed, epoch, 3))
        lengths = [most] * len(texts)
        if reading.cut is not None:  # without, no number is drawn for it
            drawn = torch.randint(reading.cut[0], reading.cut[1] + 1, (len(texts),),
                                  generator=generator)  # fmt: skip
            lengths = drawn.clamp(max=most).tolist()
        visits = [texts[i][: lengths[i]] for i in order]
        if reading.bucketed:
            visits.sort(key=len)  # of equal lengths the order stays that of the epoch
        batches = [visits[i : i + batch_size] for i in range(0, len(visits), batch_size)]
        if reading.bucketed:
            turns = torch.randperm(per_epoch, generator=generator).tolist()
            batches = [batches[i] for i in turns]
        return batches

    def visited(step: int) -> list[str]:
        epoch, at = divmod(step, per_epoch)
        return epoch_batches(epoch)[at]

    return visited


def span_batches(
    texts: Sequence[str], alphabet: Alphabet, block_size: int, batch_size: int, seed: int,
    reading: Reading = AS_IT_STANDS, places: Sequence[str] = (),
) -> Batches:  # fmt: skip
    """For each step its inputs and targets: corrupted texts, and the next character of each.

    Every step has random numbers of its own: the batch of step 7 is the same whether or not the
    steps before were made. Targets that are padding are 0; that of the last □ before a text is
    its first character.

    Args:
        texts: each is read once an epoch.
        alphabet: has their characters.
        block_size: a text is cut to what fits, so that with two ⁇ and all of the offset its
            inputs fill the block.
        batch_size: texts in a step.
        seed: of order, cuts, spans and offsets.
        reading: what is hidden, and how else a text is read.
        places: those that may be hidden as such, each in full.

    Raises:
        ValueError: a size is no such integer, the offset leaves no room, or places are to be
            hidden and there are none.
    """
    batch_size = require_integer("batch_size", batch_size, 1)
    most = reading.room(require_integer("block_size", block_size, 3))
    if reading.places and not places:
        raise ValueError("places must not be empty where they are to be hidden")
    places = sorted(set(places))
    visited = _visits(texts, most, batch_size, seed, reading)

    def corrupt(text: str, draw: float, generator: torch.Generator) -> str:
        if draw < reading.names:
            return corrupt_name(text, generator)
        if draw < reading.names + reading.places:
            return corrupt_place(text, generator, places)
        return corrupt_span(text, generator)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(mixed_seed(seed, step, 1))
        chosen = visited(step)
        draws, late = [1.0] * len(chosen), [0] * len(chosen)
        if reading.names or reading.places:  # without, no number is drawn for it
            draws = torch.rand(len(chosen), generator=generator).tolist()
        corrupted = [corrupt(t, d, generator) for t, d in zip(chosen, draws, strict=True)]
        if reading.offset:
            late = torch.randint(reading.offset + 1, (len(chosen),), generator=generator).tolist()
        rows = [[0] * o + alphabet.encode(t) for o, t in zip(late, corrupted, strict=True)]
        padded = _pad(rows)
        return padded[:, :-1], padded[:, 1:]

    return batch


def answer_batches(
    pairs: Sequence[tuple[str, str]], alphabet: Alphabet, block_size: int, batch_size: int,
    seed: int,
) -> Batches:  # fmt: skip
    """For each step its inputs and targets: only the answer and the ⁇ behind it are targets.

    Raises:
        ValueError: a pair does not fit into the block, or a size is no positive integer.
    """
    batch_size = require_integer("batch_size", batch_size, 1)
    rows, hidden = [], []
    for number, (question, answer) in enumerate(pairs, 1):
        row = alphabet.encode(pair_text(question, answer))
        if len(row) - 1 > block_size:
            raise ValueError(f"line {number}: needs a block of {len(row) - 1}, block_size is "
                             f"{block_size}: {question!r}")  # fmt: skip
        rows.append(row)
        hidden.append(len(question))  # targets before the answer's first character

    def batch(step: int) -> tuple[Tensor, Tensor]:
        chosen = _chosen(len(rows), batch_size, seed, step)
        padded = _pad([rows[i] for i in chosen])
        targets = padded[:, 1:].clone()
        for row, i in enumerate(chosen):
            targets[row, : hidden[i]] = 0
        return padded[:, :-1], targets

    return batch


def alternate(texts: Batches, questions: Batches, every: int) -> Batches:
    """Batches of texts, with one of questions as every so many-th: facts and their use together."""
    require_integer("every", every, 2)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        asked, at = divmod(step, every)
        return questions(asked) if at == every - 1 else texts(step - asked)

    return batch
