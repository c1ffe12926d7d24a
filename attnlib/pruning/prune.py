"""Remove heads one after the other, the scores computed again each time or once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from attnlib._inputs import require_choice, require_flag, require_integer
from attnlib.pruning.heads import gate_heads
from attnlib.pruning.layers import attention_layers
from attnlib.pruning.scores import METHODS, Loss, Valid, head_scores, require_batches

__all__ = ["Pruning", "greedy_prune"]


class Pruning(NamedTuple):
    """What a pruning did, step by step.

    ``order``: the heads (l, h) in the order of their removal; ``values``: what ``evaluate`` gave
    after each; ``scores``: the scores [L, H] before each, of removed heads too (meaningless).
    """

    order: list[tuple[int, int]]
    values: list[float]
    scores: list[Tensor]


def greedy_prune(
    model: nn.Module, batches: Iterable[Any], method: str, loss: Loss, remove: int,
    evaluate: Callable[[nn.Module], float], *, once: bool = False, highest_first: bool = False,
    tune: Callable[[nn.Module], None] | None = None, seed: int = 0, progress: bool = True,
    valid: Valid | None = None, per_layer: bool = False,
) -> Pruning:  # fmt: skip
    """Remove the head of the lowest score, compute the scores again, and so on.

    Serves the claims ``greedy-pruning``, ``gradients-move``, ``entropy-pruning`` and
    ``prune-comparisons``. Heads are gated and come back at the end: the model is left as it was,
    but for what ``tune`` did to its parameters. Among equal scores the first head goes.

    Args:
        model, batches, method, loss, seed, valid, per_layer: as for ``head_scores``.
        remove: how many heads to remove, from 1 to L·H.
        evaluate: of the gated model, a number to record.
        once: one-shot pruning, in the order of the scores of the whole model.
        highest_first: remove the highest score instead, for "entropy".
        tune: a fine-tuning, called with the gated model after each removal. It must not touch
            removed heads' parts of W_O, whose gradients are 0 while they are gated.
        progress: a bar on stderr.

    Raises:
        ValueError: as for ``head_scores``; also if remove is no such integer.
    """
    require_choice("method", method, METHODS)
    layers = attention_layers(model)
    L, H = len(layers), layers[0].n_heads
    remove = require_integer("remove", remove, 1, L * H)
    batches = require_batches(model, batches)  # kept: an iterator gives them once only
    sign = -1 if require_flag("highest_first", highest_first) else 1
    require_flag("once", once)
    require_flag("progress", progress)
    mask = torch.ones(L, H, dtype=torch.bool)
    result = Pruning([], [], [])
    scores = None
    for _ in tqdm(range(remove), desc=f"pruning by {method}", disable=not progress):
        with gate_heads(model, mask):
            if scores is None or not once:
                scores = head_scores(
                    model, batches, method, loss, seed, valid=valid, per_layer=per_layer
                )
        ranked = torch.where(mask, sign * scores, torch.inf)
        l, h = divmod(int(ranked.argmin()), H)  # noqa: E741
        mask = mask.clone()
        mask[l, h] = False
        with gate_heads(model, mask):
            if tune is not None:
                tune(model)
            with torch.no_grad():
                value = float(evaluate(model))
        result.order.append((l, h))
        result.values.append(value)
        result.scores.append(scores)
    return result
