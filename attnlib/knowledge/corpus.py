"""What the model reads: characters as numbers, span corruption, questions with their answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from attnlib.inputs import require_between, require_integer
from attnlib.knowledge.files import MASK, PAD

__all__ = ["Alphabet", "Batches", "alternate", "answer_batches", "corrupt_name", "corrupt_span",
           "mixed_seed", "pair_text", "restore_span", "span_batches"]  # fmt: skip

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


# Words that begin with a capital (of Latin-1), one space apart: in most texts, a name.
NAME = re.compile(r"\b[A-ZÀ-ÖØ-Þ]\w*(?: [A-ZÀ-ÖØ-Þ]\w*)*")


def _require_text(text: str) -> None:
    if not text or MASK in text or PAD in text:
        raise ValueError(f"text must not be empty nor hold {MASK} or {PAD}, got {text!r}")


def corrupt_span(text: str, generator: torch.Generator) -> str:
    r"""Hide one span of a text and put it behind: prefix ⁇ suffix ⁇ span.

    .. math:: k \sim \operatorname{Uniform}\{1, \dots, \max(1, \lfloor n/2 \rfloor - 1)\}, \qquad
              i \sim \operatorname{Uniform}\{0, \dots, n - k\}

    for a text of n characters, of which those from i to i + k − 1 are hidden: from n = 4 on a
    mean of ⌊n/2⌋/2, a quarter of the text if n is even. Serves the claim ``span-corruption``.
    The result has n + 2 characters, and :func:`restore_span` undoes it.

    Raises:
        ValueError: the text is empty or holds ⁇ (it could not be restored) or □ (it would be
            taken for padding).

    >>> corrupt_span("x", torch.Generator())
    '⁇⁇x'
    """
    _require_text(text)
    n = len(text)
    k = 1 + int(torch.randint(max(1, n // 2 - 1), (), generator=generator))
    i = int(torch.randint(n - k + 1, (), generator=generator))
    return f"{text[:i]}{MASK}{text[i + k :]}{MASK}{text[i : i + k]}"


def corrupt_name(text: str, generator: torch.Generator) -> str:
    """Hide one name of a text, and put it behind: what is asked for later is hidden now.

    A name is a run of words with a capital, one space apart. Not the first word of the text, and
    nothing that was said before in it, which could be copied. Each of them is hidden with equal
    probability; if there is none, :func:`corrupt_span` is used. The idea is that of the salient
    spans of Guu et al. (2020), with capitals in place of a tagger.

    Raises:
        ValueError: as for ``corrupt_span``.

    >>> corrupt_name("She left New York.", torch.Generator())
    'She left ⁇.⁇New York'
    """
    _require_text(text)
    names = [m.span() for m in NAME.finditer(text) if text.find(m[0]) == m.start() > 0]
    if not names:
        return corrupt_span(text, generator)
    i, j = names[int(torch.randint(len(names), (), generator=generator))]
    return f"{text[:i]}{MASK}{text[j:]}{MASK}{text[i:j]}"


def restore_span(corrupted: str) -> str:
    """The text that ``corrupt_span`` was given.

    >>> restore_span("to ⁇ to be⁇be or not")
    'to be or not to be'
    """
    if corrupted.count(MASK) != 2:
        raise ValueError(f"corrupted must hold {MASK} twice, got {corrupted!r}")
    prefix, suffix, span = corrupted.split(MASK)
    return prefix + span + suffix


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
    require_between("names", names, 0, 1)

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
