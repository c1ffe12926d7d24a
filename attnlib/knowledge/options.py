"""What the commands share: options, checks across files, and a training run with its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import torch

from attnlib._inputs import require_integer
from attnlib.knowledge.corpus import Alphabet, Batches
from attnlib.knowledge.gpt import GPT
from attnlib.knowledge.params import SIZES, load_params, save_params
from attnlib.knowledge.train import new_model, train

__all__ = ["check_alphabet", "load_model", "run_training", "schedule_options", "size_options",
           "start_model"]  # fmt: skip

DEFAULT_SIZES = {"block_size": 128, "n_layer": 2, "n_head": 4, "n_embd": 96}
HELP = {"block_size": "Most characters at a time.", "n_layer": "Layers.", "n_head": "Heads.",
        "n_embd": "Width."}  # fmt: skip


def size_options(command: Callable) -> Callable:
    """The sizes of a model. Not given they are None: those of a parameters file may hold."""
    for name in reversed(SIZES):
        text = f"{HELP[name]}  [default: {DEFAULT_SIZES[name]}, or as read]"
        command = click.option(f"--{name}", type=int, help=text)(command)
    return command


def schedule_options(
    epochs: int, learning_rate: float, batch_size: int, warmup: int
) -> Callable[[Callable], Callable]:
    """The options of a training run, with defaults of its own."""
    options = [
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
    ]  # fmt: skip

    def add(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device {name} cannot be used: {str(error).splitlines()[0]}") from None
    return device


def start_model(attention: str, alphabet: Alphabet, options: dict[str, Any]) -> GPT:
    """A fresh model in the sizes of the options."""
    sizes = {n: DEFAULT_SIZES[n] if options[n] is None else options[n] for n in SIZES}
    device = _device(options["device"])
    model = new_model(options["seed"], len(alphabet), **sizes, attention=attention,
                      dropout=options["dropout"])  # fmt: skip
    return model.to(device)


def load_model(
    path: Path, attention: str, wiki: Path, alphabet: Alphabet, options: dict[str, Any]
) -> GPT:
    """The model of a parameters file, if it is of this variant, this alphabet, and these sizes."""
    model, stored, _ = load_params(path, options.get("dropout", 0.0))
    if model.attention != attention:
        raise ValueError(f"{path} holds a {model.attention} model, not a {attention} one")
    for name in SIZES:
        if options.get(name) not in (None, getattr(model, name)):
            raise ValueError(f"{path} has {name} {getattr(model, name)}, not {options[name]}")
    if stored.characters != alphabet.characters:
        lost, extra = alphabet.unknown(stored.characters), stored.unknown(alphabet.characters)
        raise ValueError(f"{wiki} has another alphabet than {path}: it lacks {lost!r} and "
                         f"adds {extra!r}")  # fmt: skip
    return model.to(_device(options["device"]))


def check_alphabet(path: Path, rows: Sequence[Sequence[str]], alphabet: Alphabet) -> None:
    """Every character of a corpus must be in the alphabet: a ValueError with file and line."""
    for number, row in enumerate(rows, 1):
        if extra := alphabet.unknown("".join(row)):
            raise ValueError(f"{path}, line {number}: {extra!r} does not occur in the text that "
                             "the alphabet is made from")  # fmt: skip


def run_training(
    task: str, model: GPT, alphabet: Alphabet, corpus: Sequence, batches: Batches,
    steps_per_epoch: int, target: Path, options: dict[str, Any],
) -> None:  # fmt: skip
    """Train with a checkpoint beside the target; the checkpoint goes when the target is there.

    The corpus is what the batches are made from: a checkpoint of another one is refused.
    """
    digest = hashlib.sha256()
    for weight in model.state_dict().values():
        digest.update(weight.cpu().numpy().tobytes())
    names = ("epochs", "batch_size", "learning_rate", "warmup", "weight_decay", "dropout", "seed",
             "bfloat16", "names", "every")  # fmt: skip
    settings = json.dumps(
        {"task": task, "attention": model.attention,
         **{name: options[name] for name in names if name in options},
         **{name: getattr(model, name) for name in SIZES},
         "corpus": hashlib.sha256(repr(corpus).encode()).hexdigest()[:16],
         "start": digest.hexdigest()[:16]}
    )  # fmt: skip
    checkpoint = target.with_name(f"{target.name}.checkpoint")
    if checkpoint.exists() and not options["resume"]:
        raise ValueError(f"{checkpoint} is left from an interrupted run: go on with --resume, or "
                         "delete it")  # fmt: skip
    if options["resume"] and not checkpoint.exists():
        if target.exists() and load_params(target)[2] == settings:
            click.echo(f"{target}: nothing to resume, the run had ended")
            return
        click.echo(f"{checkpoint}: no checkpoint yet, starting from the beginning", err=True)
    epochs = require_integer("epochs", options["epochs"], 1)
    steps = epochs * steps_per_epoch
    history = train(
        model, batches, steps, learning_rate=options["learning_rate"], warmup=options["warmup"],
        weight_decay=options["weight_decay"], seed=options["seed"],
        bfloat16=options["bfloat16"], checkpoint=checkpoint,
        checkpoint_every=options["checkpoint_every"], settings=settings,
        progress=f"{task} {model.attention}",
    )  # fmt: skip
    save_params(target, model, alphabet, settings, options["half"])
    checkpoint.unlink()
    click.echo(f"{target}: {steps} steps, loss {history[-1][1]:.3f}")
