"""The training loop: what it does is fixed by its seed, also across an interruption."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm import tqdm

from attnlib._inputs import require_integer, require_real
from attnlib.knowledge.corpus import Batches, mixed_seed
from attnlib.knowledge.files import write_atomically
from attnlib.knowledge.gpt import GPT
from attnlib.knowledge.params import read_dict, to_bytes

__all__ = ["learning_rate_at", "new_model", "train"]

FORMAT = "attnlib.knowledge checkpoint 1"
History = list[tuple[int, float]]


def new_model(
    seed: int, vocab_size: int, block_size: int, n_layer: int, n_head: int, n_embd: int,
    attention: str = "vanilla", dropout: float | int = 0.0,
) -> GPT:  # fmt: skip
    """A fresh GPT, fixed by its seed; the global random stream stays where it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mixed_seed(require_integer("seed", seed, 0)))
        return GPT(vocab_size, block_size, n_layer, n_head, n_embd, attention, dropout)


def learning_rate_at(step: int, steps: int, peak: float | int, warmup: int) -> float:
    r"""Linear up to the peak, then half a cosine down to a tenth of it.

    >>> [round(learning_rate_at(step, 12, 1.0, 2), 2) for step in (0, 1, 7, 11)]
    [0.5, 1.0, 0.55, 0.12]
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return peak * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


def train(
    model: GPT, batches: Batches, steps: int, *, learning_rate: float | int, warmup: int = 0,
    weight_decay: float | int = 0.0, seed: int = 0, bfloat16: bool = False,
    history_every: int = 10,
    checkpoint: str | Path | None = None, checkpoint_every: int = 200, settings: str = "",
    progress: str = "", after_step: Callable[[int], None] | None = None,
) -> History:  # fmt: skip
    """Train a model in place with AdamW, and return its mean loss in nats every few steps.

    Where a checkpoint exists, training goes on from it and ends in the parameters that it would
    have had without the interruption, bit for bit on the same machine with the same number of
    threads: a step depends on nothing but its number, the seed, and what the checkpoint holds.

    Args:
        model: changed in place; on the device where it is.
        batches: inputs and targets of each step; targets of 0 are not counted.
        steps: how many, those of the checkpoint included.
        learning_rate, warmup: see :func:`learning_rate_at`.
        weight_decay: of matrices; vectors have none. Gradients are clipped at norm 1.
        seed: for dropout.
        bfloat16: take products in bfloat16, as torch.autocast does. The weights stay as they are.
        history_every: the loss is averaged over so many steps.
        checkpoint: a file, written every checkpoint_every steps and after the last one, atomically.
            The caller removes it.
        settings: what the checkpoint must have been made with.
        progress: the title of a progress bar on stderr; none if empty.
        after_step: called with the number of steps made, after each one.

    Raises:
        ValueError: an argument is out of range, the checkpoint is damaged or was made with other
            settings, or the loss stops being finite.
    """
    steps = require_integer("steps", steps, 1)
    history_every = require_integer("history_every", history_every, 1)
    checkpoint_every = require_integer("checkpoint_every", checkpoint_every, 1)
    warmup = require_integer("warmup", warmup, 0)
    seed = require_integer("seed", seed, 0)
    require_real("learning_rate", learning_rate, above=0)
    require_real("weight_decay", weight_decay, least=0)
    device = next(model.parameters()).device
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95), fused=True)
    first, history, pending = 0, [], []
    if checkpoint is not None and Path(checkpoint).exists():
        first, history, pending = _restore(checkpoint, settings, model, optimizer)
    model.train()
    bar = tqdm(
        total=steps, initial=first, desc=progress, disable=not progress, file=sys.stderr,
        mininterval=0.2 if sys.stderr.isatty() else 30, dynamic_ncols=True,
    )  # fmt: skip
    with bar:
        for step in range(first, steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, steps, learning_rate, warmup)
            idx, target = (t.to(device) for t in batches(step))
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                torch.manual_seed(mixed_seed(seed, step, 2))
                with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                    logits = model(idx).to(model.head.weight.dtype)
            loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=0)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            pending.append(loss.detach())
            if len(pending) == history_every or step + 1 == steps:
                # Reading a number waits for the device: not at every step.
                history.append((step + 1, torch.stack(pending).mean().item()))
                pending = []
                if not math.isfinite(history[-1][1]):
                    raise ValueError(f"the loss is not finite at step {step + 1}: try a smaller "
                                     f"learning_rate than {learning_rate:g}")  # fmt: skip
                bar.set_postfix(loss=f"{history[-1][1]:.3f}", refresh=False)
            bar.update()
            if after_step is not None:
                after_step(step + 1)
            last = step + 1 == steps
            if checkpoint is not None and ((step + 1) % checkpoint_every == 0 or last):
                state = {"step": step + 1, "history": history, "pending": pending}
                state |= {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                state |= {"format": FORMAT, "settings": settings}
                write_atomically(checkpoint, to_bytes(state))
    model.eval()
    return history


def _restore(
    path: str | Path, settings: str, model: GPT, optimizer: torch.optim.Optimizer
) -> tuple[int, History, list]:
    """Fill model and optimizer from a checkpoint; its step, history and losses not averaged yet."""
    state = read_dict(path, "checkpoint")
    if state.get("format") != FORMAT:
        raise ValueError(f"{path}: no checkpoint file (format {state.get('format')!r})")
    if state["settings"] != settings:
        raise ValueError(f"{path}: the checkpoint was made with other settings\n"
                         f"  then: {state['settings']}\n  now:  {settings}")  # fmt: skip
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    device = next(model.parameters()).device
    return state["step"], state["history"], [loss.to(device) for loss in state["pending"]]
