"""The training loop: what it does is fixed by its seed, also across an interruption."""

from __future__ import annotations

import copy
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from attnlib._files import read_dict, to_bytes, write_atomically
from attnlib._inputs import require_integer, require_real
from attnlib.knowledge.corpus import Batches, mixed_seed
from attnlib.knowledge.gpt import GPT
from attnlib.knowledge.settings import Schedule, Sizes

__all__ = ["new_model", "seconds_per_step", "train"]

FORMAT = "attnlib.knowledge checkpoint 1"
History = list[tuple[int, float]]
Progress = tuple[int, History, list[Tensor]]  # steps made, their losses, those not averaged yet


def new_model(
    seed: int, vocab_size: int, sizes: Sizes, attention: str = "vanilla", dropout: float | int = 0.0
) -> GPT:
    """A fresh GPT, fixed by its seed; the global random stream stays where it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mixed_seed(require_integer("seed", seed, 0)))
        return GPT(vocab_size, **asdict(sizes), attention=attention, dropout=dropout)


def train(
    model: GPT, batches: Batches, schedule: Schedule, *, seed: int = 0, bfloat16: bool = False,
    history_every: int = 10,
    checkpoint: str | Path | None = None, checkpoint_every: int = 200, settings: str = "",
    progress: str = "", after_step: Callable[[int], None] | None = None,
    seconds: float | int | None = None,
) -> History:  # fmt: skip
    """Train a model in place with AdamW, and return its mean loss in nats every few steps.

    Where a checkpoint exists, training goes on from it and ends in the parameters that it would
    have had without the interruption, bit for bit on the same machine with the same number of
    threads: a step depends on nothing but its number, the seed, and what the checkpoint holds.

    Args:
        model: changed in place; on the device where it is.
        batches: inputs and targets of each step; targets of 0 are not counted.
        schedule: steps, those of the checkpoint included; rate and decay. Gradients are clipped
            at norm 1.
        seed: for dropout.
        bfloat16: take products in bfloat16, as torch.autocast does. The weights stay as they are.
        history_every: the loss is averaged over so many steps.
        checkpoint: a file, written every checkpoint_every steps and after the last one, atomically.
            The caller removes it.
        settings: what the checkpoint must have been made with.
        progress: the title of a progress bar on stderr; none if empty.
        after_step: called with the number of steps made, after each one.
        seconds: stop with the first step that ends later, and keep the checkpoint; None never
            stops. The last entry of the history tells how far training came.

    Raises:
        ValueError: an argument is out of range, the checkpoint is damaged or was made with other
            settings, or the loss stops being finite.
    """
    _require_options(seed, history_every, checkpoint_every, seconds, checkpoint)
    end = math.inf if seconds is None else time.monotonic() + seconds
    optimizer = _adamw(model, schedule)
    done: Progress = (0, [], [])
    if checkpoint is not None and Path(checkpoint).exists():
        done = _restore(checkpoint, settings, model, optimizer)
    first, history, pending = done
    model.train()
    with _bar(schedule.steps, first, progress) as bar:
        for step in range(first, schedule.steps):
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate_at(step)
            dropout_seed = mixed_seed(seed, step, 2)
            pending.append(_step(model, optimizer, batches(step), dropout_seed, bfloat16))
            last, late = step + 1 == schedule.steps, time.monotonic() > end
            if len(pending) == history_every or last:
                _average(pending, history, step + 1, schedule)
                bar.set_postfix(loss=f"{history[-1][1]:.3f}", refresh=False)
            bar.update()
            if after_step is not None:
                after_step(step + 1)
            if checkpoint is not None and ((step + 1) % checkpoint_every == 0 or last or late):
                # What cannot be gone on from is not saved over what can.
                if not _finite(model):
                    raise _diverged("weights are", step + 1, schedule)
                _save(checkpoint, settings, model, optimizer, (step + 1, history, pending))
            if late:
                break
    model.eval()
    return history


def _require_options(
    seed: int, history_every: int, checkpoint_every: int, seconds: float | int | None,
    checkpoint: str | Path | None,
) -> None:  # fmt: skip
    require_integer("history_every", history_every, 1)
    require_integer("checkpoint_every", checkpoint_every, 1)
    require_integer("seed", seed, 0)
    if seconds is not None:
        require_real("seconds", seconds, above=0)
        if checkpoint is None:
            raise ValueError("seconds needs a checkpoint: what was done would be lost")


def _average(pending: list[Tensor], history: History, step: int, schedule: Schedule) -> None:
    """Move the mean of some losses into the history. To read it waits for the device: rarely."""
    history.append((step, torch.stack(pending).mean().item()))
    pending.clear()
    if not math.isfinite(history[-1][1]):
        raise _diverged("loss is", step, schedule)


def seconds_per_step(
    model: GPT,
    batches: Batches,
    steps: Sequence[int],
    bfloat16: bool = False,
    most: float | int = 10,
) -> float:
    """How long a step of training takes: the mean over some steps, made on a copy of the model.

    One more step goes before them, uncounted. After ``most`` seconds no further one begins.

    Raises:
        ValueError: steps is empty.
    """
    if not steps:
        raise ValueError("steps must not be empty")
    copied = copy.deepcopy(model).train()
    optimizer = _adamw(copied, Schedule(1, 1e-9))

    def make(step: int) -> float:
        _step(copied, optimizer, batches(step), 0, bfloat16).item()  # waits for the device
        return time.perf_counter()

    start, made = make(steps[0]), 0
    for step in steps:
        now, made = make(step), made + 1
        if now - start > most:
            break
    return (now - start) / made


def _finite(model: GPT) -> bool:
    return all(bool(p.isfinite().all()) for p in model.parameters())


def _diverged(what: str, step: int, schedule: Schedule) -> ValueError:
    return ValueError(f"the {what} not finite at step {step}: try a smaller learning_rate than "
                      f"{schedule.learning_rate:g}")  # fmt: skip


def _adamw(model: GPT, schedule: Schedule) -> torch.optim.AdamW:
    """Matrices decay, vectors do not."""
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model.parameters() if p.ndim >= 2],
         "weight_decay": schedule.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]  # fmt: skip
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.95), fused=True)


# tqdm is generic in its stubs alone: tqdm[…] would fail at run time.
def _bar(steps: int, first: int, title: str) -> tqdm:  # type: ignore[type-arg]
    return tqdm(
        total=steps, initial=first, desc=title, disable=not title, file=sys.stderr,
        mininterval=0.2 if sys.stderr.isatty() else 30, dynamic_ncols=True,
    )  # fmt: skip


def _step(
    model: GPT, optimizer: torch.optim.AdamW, batch: tuple[Tensor, Tensor], seed: int,
    bfloat16: bool,
) -> Tensor:  # fmt: skip
    """One step of the optimiser; the loss before it, still on its device."""
    device = next(model.parameters()).device
    idx, target = (t.to(device) for t in batch)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            logits = model(idx).to(model.head.weight.dtype)
    loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=0)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


def _save(
    path: str | Path, settings: str, model: GPT, optimizer: torch.optim.AdamW, done: Progress
) -> None:
    step, history, pending = done
    state = {"step": step, "history": history, "pending": pending}
    state |= {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    write_atomically(path, to_bytes(state | {"format": FORMAT, "settings": settings}))


def _restore(path: str | Path, settings: str, model: GPT, optimizer: torch.optim.AdamW) -> Progress:
    """Fill model and optimizer from a checkpoint; its step, history and losses not averaged yet."""
    state = read_dict(path, "checkpoint")
    begin = f"delete {Path(path).name} to start again"
    if state.get("format") != FORMAT:
        of = str(state.get("format"))
        if of.startswith(FORMAT.rpartition(" ")[0]):
            raise ValueError(f"{path}: a checkpoint of another version of attnlib ({of}): go on "
                             f"with that one, or {begin}")  # fmt: skip
        raise ValueError(f"{path}: no checkpoint file (format {state.get('format')!r})")
    try:
        if state["settings"] != settings:
            raise ValueError(f"{path}: the checkpoint was made with other settings: "
                             f"{_differences(state['settings'], settings)}. Go on with those of "
                             f"then, or {begin}")  # fmt: skip
        device = next(model.parameters()).device
        done = state["step"], state["history"], [loss.to(device) for loss in state["pending"]]
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        told = " ".join(str(error).split())
        raise ValueError(f"{path}: its parts do not fit together: {told}; {begin}") from None
    if not _finite(model):
        raise ValueError(f"{path}: its weights are not finite: {begin}, with a smaller "
                         "learning_rate")  # fmt: skip
    return done


def _differences(then: str, now: str) -> str:
    """What differs between two settings; of those that are no JSON objects, all."""
    try:
        old, new = dict(json.loads(then)), dict(json.loads(now))
    except (ValueError, TypeError):
        return f"{then!r} then, {now!r} now"
    return ", ".join(f"{name} {old.get(name)} then, {new.get(name)} now"
                     for name in old | new if old.get(name) != new.get(name))  # fmt: skip
