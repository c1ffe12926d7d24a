"""What the commands share: options, checks across files, and a training run with its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import click
import torch

from attnlib._commands import Command, gathered
from attnlib._files import require_writable
from attnlib._inputs import require_integer
from attnlib.knowledge.corpus import Alphabet, Batches
from attnlib.knowledge.gpt import GPT
from attnlib.knowledge.params import load_params, save_params, sizes_of
from attnlib.knowledge.settings import Schedule, Sizes
from attnlib.knowledge.train import new_model, train

__all__ = ["GivenSizes", "Run", "Task", "check_alphabet", "load_model", "run_options",
           "run_training", "size_options", "start_model"]  # fmt: skip

DEFAULT_SIZES = Sizes(block_size=128, n_layer=2, n_head=4, n_embd=96)
HELP = ("Most characters at a time.", "Layers.", "Heads.", "Width.")


@dataclass(frozen=True)
class GivenSizes:
    """The sizes that the user gave; None is not given, for a parameters file may hold it."""

    block_size: int | None = None
    n_layer: int | None = None
    n_head: int | None = None
    n_embd: int | None = None

    def completed(self) -> Sizes:
        """With the default for what is not given. Sizes out of range are a ValueError."""
        pairs = zip(astuple(self), astuple(DEFAULT_SIZES), strict=True)
        return Sizes(*(default if given is None else given for given, default in pairs))

    def require(self, path: Path, found: Sizes) -> None:
        """What is given must be what a file holds."""
        for field in fields(self):
            given, stored = getattr(self, field.name), getattr(found, field.name)
            if given not in (None, stored):
                raise ValueError(f"{path} has {field.name} {stored}, not {given}")


@dataclass(frozen=True)
class Run:
    """The options of a training run, checked when they are given.

    Raises:
        ValueError: an option is out of range; it is named.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    warmup: int
    weight_decay: float
    dropout: float
    seed: int
    device: str
    bfloat16: bool
    half: bool
    checkpoint_every: int
    resume: bool

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("seed", 0), ("checkpoint_every", 1)):
            require_integer(name, getattr(self, name), least)
        self.schedule(1)

    def schedule(self, steps_per_epoch: int) -> Schedule:
        steps = self.epochs * steps_per_epoch
        return Schedule(steps, self.learning_rate, self.warmup, self.weight_decay)


@dataclass(frozen=True)
class Task:
    """What a run trains on: the corpus, and the batches that are made from it.

    The corpus tells a checkpoint of another one; ``mixture`` is what else the batches depend on,
    beside the options of every run.
    """

    name: str
    corpus: Sequence[Any]
    batches: Batches
    steps_per_epoch: int
    mixture: tuple[tuple[str, float | int], ...] = ()


def size_options() -> Callable[[Command], Command]:
    """The sizes of a model, as ``sizes``."""
    rows = zip(fields(Sizes), astuple(DEFAULT_SIZES), HELP, strict=True)
    return gathered("sizes", GivenSizes, [
        click.option(f"--{field.name}", type=int, help=f"{text}  [default: {default}, or as read]")
        for field, default, text in rows
    ])  # fmt: skip


def run_options(
    epochs: int, learning_rate: float, batch_size: int, warmup: int
) -> Callable[[Command], Command]:
    """The options of a training run, with defaults of its own, as ``run``."""
    return gathered("run", Run, [
        click.option("--epochs", type=int, default=epochs, help="Times through the corpus."),
        click.option("--batch_size", type=int, default=batch_size, help="Texts in a step."),
        click.option("--learning_rate", type=float, default=learning_rate,
                     help="Its peak; it ends at a tenth."),
        click.option("--warmup", type=int, default=warmup, help="Steps up to the peak."),
        click.option("--weight_decay", type=float, default=0.1, help="Of matrices, in AdamW."),
        click.option("--dropout", type=float, default=0.0, help="Share of entries set to 0."),
        click.option("--seed", type=int, default=0, help="Fixes start, batches, and dropout."),
        click.option("--device", default="cpu", help="cpu or cuda."),
        click.option("--bfloat16", is_flag=True, help="Compute in bfloat16 where torch would."),
        click.option("--half", is_flag=True, help="Store weights in float16: half the size."),
        click.option("--checkpoint_every", type=int, default=200, help="Steps."),
        click.option("--resume", is_flag=True, help="Go on from the checkpoint, if there is one."),
    ])  # fmt: skip


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device {name} cannot be used: {str(error).splitlines()[0]}") from None
    return device


def start_model(attention: str, alphabet: Alphabet, sizes: GivenSizes, run: Run) -> GPT:
    """A fresh model in the sizes that are given."""
    device = _device(run.device)
    model = new_model(run.seed, len(alphabet), sizes.completed(), attention, run.dropout)
    return model.to(device)


def load_model(
    path: Path, attention: str, wiki: Path, alphabet: Alphabet, sizes: GivenSizes | None = None,
    dropout: float = 0.0, device: str = "cpu",
) -> GPT:  # fmt: skip
    """The model of a parameters file, if it is of this variant, this alphabet, and these sizes."""
    model, stored, _ = load_params(path, dropout)
    if model.attention != attention:
        raise ValueError(f"{path} holds a {model.attention} model, not a {attention} one")
    if sizes is not None:
        sizes.require(path, sizes_of(model))
    if stored.characters != alphabet.characters:
        lost, extra = alphabet.unknown(stored.characters), stored.unknown(alphabet.characters)
        raise ValueError(f"{wiki} has another alphabet than {path}: it lacks {lost!r} and "
                         f"adds {extra!r}")  # fmt: skip
    return model.to(_device(device))


def check_alphabet(path: Path, rows: Sequence[Sequence[str]], alphabet: Alphabet) -> None:
    """Every character of a corpus must be in the alphabet: a ValueError with file and line."""
    for number, row in enumerate(rows, 1):
        if extra := alphabet.unknown("".join(row)):
            raise ValueError(f"{path}, line {number}: {extra!r} does not occur in the text that "
                             "the alphabet is made from")  # fmt: skip


def _settings(task: Task, model: GPT, run: Run) -> str:
    """All that a run's parameters depend on: stored with them, and compared on resuming."""
    digest = hashlib.sha256()
    for weight in model.state_dict().values():
        digest.update(weight.cpu().numpy().tobytes())
    names = ("epochs", "batch_size", "learning_rate", "warmup", "weight_decay", "dropout", "seed",
             "bfloat16")  # fmt: skip
    return json.dumps(
        {"task": task.name, "attention": model.attention,
         **{name: getattr(run, name) for name in names}, **dict(task.mixture),
         **asdict(sizes_of(model)),
         "corpus": hashlib.sha256(repr(task.corpus).encode()).hexdigest()[:16],
         "start": digest.hexdigest()[:16]}
    )  # fmt: skip


def run_training(task: Task, model: GPT, alphabet: Alphabet, target: Path, run: Run) -> None:
    """Train with a checkpoint beside the target; the checkpoint goes when the target is there."""
    settings = _settings(task, model, run)
    checkpoint = target.with_name(f"{target.name}.checkpoint")
    require_writable(checkpoint)
    if checkpoint.exists() and not run.resume:
        raise ValueError(f"{checkpoint} is left from an interrupted run: go on with --resume, or "
                         "delete it")  # fmt: skip
    if run.resume and not checkpoint.exists():
        if target.exists() and load_params(target)[2] == settings:
            click.echo(f"{target}: nothing to resume, the run had ended")
            return
        click.echo(f"{checkpoint}: no checkpoint yet, starting from the beginning", err=True)
    schedule = run.schedule(task.steps_per_epoch)
    history = train(
        model, task.batches, schedule, seed=run.seed, bfloat16=run.bfloat16,
        checkpoint=checkpoint, checkpoint_every=run.checkpoint_every, settings=settings,
        progress=f"{task.name} {model.attention}",
    )  # fmt: skip
    save_params(target, model, alphabet, settings, run.half)
    checkpoint.unlink()
    click.echo(f"{target}: {schedule.steps} steps, loss {history[-1][1]:.3f}")
