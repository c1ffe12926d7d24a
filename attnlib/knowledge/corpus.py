"""What the model reads, batch by batch: corrupted texts, and questions with their answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from attnlib._inputs import require_integer, require_real
from attnlib.knowledge.files import MASK, PAD
from attnlib.knowledge.spans import corrupt_name, corrupt_span

__all__ = ["Alphabet", "Batches", "alternate", "answer_batches", "mixed_seed", "pair_text",
           "span_batches"]  # fmt: skip

Batches = Callable[[int], tuple[Tensor, Tensor]]


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


def _chosen(count: int, batch_size: int, seed: int, step: int) -> list[int]:
    """The rows of a step: each epoch goes through all of them once, in an order of its own."""
    per_epoch = -(-count // batch_size)
    epoch, at = divmod(step, per_epoch)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(mixed_seed(seed, epoch)))
    return order[at * batch_size : (at + 1) * batch_size].tolist()


def span_batches(
    texts: Sequence[str], alphabet: Alphabet, block_size: int, batch_size: int, seed: int,
    names: float | int = 0.0,
) -> Batches:  # fmt: skip
    """For each step its inputs and targets: corrupted texts, and the next character of each.

    A text is cut to block_size − 1 characters, so that with two ⁇ its inputs fill the block. In
    a share ``names`` of them, drawn text by text, a name is hidden instead of any span.
    Every step has random numbers of its own: the batch of step 7 is the same whether or not the
    steps before were made. Targets that are padding are 0.
    """
    batch_size = require_integer("batch_size", batch_size, 1)
    most = require_integer("block_size", block_size, 3) - 1
    require_real("names", names, least=0, most=1)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(mixed_seed(seed, step, 1))
        chosen = _chosen(len(texts), batch_size, seed, step)
        hide = [corrupt_span] * len(chosen)
        if names:  # without, no number is drawn for it
            draws = torch.rand(len(chosen), generator=generator).tolist()
            hide = [corrupt_name if draw < names else corrupt_span for draw in draws]
        corrupted = [
            corrupt(texts[i][:most], generator) for i, corrupt in zip(chosen, hide, strict=True)
        ]
        rows = _pad([alphabet.encode(text) for text in corrupted])
        return rows[:, :-1], rows[:, 1:]

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
