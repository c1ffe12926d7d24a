"""Asking a model, and counting what it gets right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from attnlib._inputs import require_integer
from attnlib.knowledge.corpus import Alphabet
from attnlib.knowledge.files import MASK
from attnlib.knowledge.gpt import GPT

__all__ = ["accuracy", "choose", "greedy_answers"]


@contextmanager
def _eval_mode(model: Any) -> Iterator[None]:
    """Within the context dropout is off, if it is a module; then its mode is what it was."""
    if not isinstance(model, nn.Module):
        yield
        return
    before = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(before)


@torch.no_grad()
def greedy_answers(
    model: GPT, alphabet: Alphabet, questions: Sequence[str], batch_size: int = 64
) -> list[tuple[str, float]]:
    """The most probable answer, character by character, to each question, with its probability.

    Serves the claims ``pretrain-helps`` and ``guess-or-retrieve``. An answer ends with ⁇ or with
    the block. Its probability is the product of those of its characters and of the final ⁇: how
    confident the model is. The model is left in the mode, training or not, that it was in.

    Raises:
        ValueError: a question leaves no room in the block, or has a character that the alphabet
            does not have.
    """
    batch_size = require_integer("batch_size", batch_size, 1)
    device = next(model.parameters()).device
    found = []
    with _eval_mode(model):
        for start in range(0, len(questions), batch_size):
            rows = []
            for number, text in enumerate(questions[start : start + batch_size], start + 1):
                rows.append(alphabet.encode(text + MASK))
                if len(rows[-1]) > model.block_size:
                    raise ValueError(f"line {number}: needs a block of {len(rows[-1])}, block_size "
                                     f"is {model.block_size}: {text!r}")  # fmt: skip
            asked = [len(row) for row in rows]
            log_p = [0.0] * len(rows)
            open_rows = list(range(len(rows)))
            while open_rows:
                # Shorter rows are filled behind; what comes later changes nothing before it.
                longest = max(len(rows[i]) for i in open_rows)
                idx = torch.tensor([rows[i] + [0] * (longest - len(rows[i])) for i in open_rows])
                ends = torch.tensor([len(rows[i]) - 1 for i in open_rows])
                logits = model(idx.to(device)).cpu()[torch.arange(len(open_rows)), ends]
                logits[:, 0] = -torch.inf  # padding is no character
                best = torch.log_softmax(logits.double(), dim=-1).max(dim=-1)
                for i, value, number in zip(
                    list(open_rows), best.values.tolist(), best.indices.tolist(), strict=True
                ):
                    log_p[i] += value
                    rows[i].append(number)
                    if number == 1 or len(rows[i]) > model.block_size:
                        open_rows.remove(i)
            for row, n, value in zip(rows, asked, log_p, strict=True):
                answer = alphabet.decode(row[n:]).removesuffix(MASK)
                found.append((answer, torch.tensor(value, dtype=torch.float64).exp().item()))
    return found


@torch.no_grad()
def choose(
    logits: Callable[[Tensor], Tensor], alphabet: Alphabet, prompts: Sequence[str],
    choices: Sequence[str],
) -> list[str]:  # fmt: skip
    """For each prompt the choice that is its most probable continuation.

    Serves the claims ``name-lookup`` and ``synthesizer-addresses``. A choice is scored by the sum
    of the log-probabilities of its characters behind the prompt; whether the text would end
    there is not asked. Of equal scores the first wins. A model is in eval mode meanwhile.

    Args:
        logits: a :class:`GPT`, or anything that maps idx [batch, n] to logits [batch, n, vocab].
        alphabet: that of the model.
        prompts, choices: neither may hold an empty text; prompts may be empty, choices not.

    Raises:
        ValueError: a text is empty or has a character that the alphabet does not have, or there
            is nothing to choose from.
    """
    if not choices or not all(choices) or not all(prompts):
        raise ValueError("prompts and choices must hold no empty text, and choices must be some")
    best = []
    with _eval_mode(logits):  # dropout would draw lots between the choices
        for prompt in prompts:
            rows = [alphabet.encode(prompt + choice) for choice in choices]
            longest = max(map(len, rows))
            idx = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
            log_p = torch.log_softmax(logits(idx[:, :-1]).double(), dim=-1)
            log_p = log_p.gather(-1, idx[:, 1:, None]).squeeze(-1)
            scores = [
                log_p[i, len(prompt) - 1 : len(row) - 1].sum().item() for i, row in enumerate(rows)
            ]
            best.append(choices[scores.index(max(scores))])
    return best


def accuracy(answers: Sequence[str], right: Sequence[str]) -> float:
    """The share of answers that are right, to the letter.

    >>> accuracy(["Oslo", "Rom"], ["Oslo", "Rome"])
    0.5
    """
    if len(answers) != len(right) or not right:
        raise ValueError(f"answers and right must be of one length, not 0; got {len(answers)} and "
                         f"{len(right)}")  # fmt: skip
    return sum(a == b for a, b in zip(answers, right, strict=True)) / len(right)
