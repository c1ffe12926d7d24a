"""What the commands share: options, checks across files, and a training run with its files."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

import click
import torch

from attnlib._commands import PATH, Command, gathered
from attnlib._files import alone, read_dict, require_writable
from attnlib._inputs import require_integer, require_real
from attnlib.knowledge.corpus import AS_IT_STANDS, Alphabet, Batches, answer_batches
from attnlib.knowledge.files import naming, read_pairs
from attnlib.knowledge.gpt import GPT
from attnlib.knowledge.params import load_params, save_params, sizes_of
from attnlib.knowledge.recall import Exam, follow, stored_and_found
from attnlib.knowledge.settings import Reading, Schedule, Sizes
from attnlib.knowledge.train import new_model, seconds_per_step, train

__all__ = ["FINETUNE", "Curve", "GivenSizes", "Run", "Task", "check_alphabet", "curve_options",
           "load_model", "mixture", "reading_options", "run_options", "run_training",
           "size_options", "start_model"]  # fmt: skip

DEFAULT_SIZES = Sizes(block_size=128, n_layer=2, n_head=4, n_embd=96)
FINETUNE = (5, 5e-4, 16, 5)  # by default: epochs, rate, batch, warmup
FINAL = 0.1  # of the peak, at the end
PROBES = 12  # steps that are made to know how long one takes
RESERVE = 0.9  # of a budget of time is planned for: a machine is not equally fast all the time
HELP = ("Most characters at a time.", "Layers.", "Heads.", "Width.")


Following = Callable[[dict[str, Any], int], Callable[[int], None]]


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
        for name in asdict(self):
            given, stored = getattr(self, name), getattr(found, name)
            if given not in (None, stored):
                raise ValueError(f"{path} has {name} {stored}, not {given}")


@dataclass(frozen=True)
class Run:
    """The options of a training run, checked when they are given.

    Raises:
        ValueError: an option is out of range; it is named.
    """

    epochs: int | None
    minutes: float | None
    batch_size: int
    learning_rate: float
    warmup: int
    final: float
    weight_decay: float
    dropout: float
    seed: int
    device: str
    bfloat16: bool
    half: bool
    checkpoint_every: int
    resume: bool

    def __post_init__(self) -> None:
        if self.epochs is not None:
            require_integer("epochs", self.epochs, 1)
        if self.minutes is not None:
            require_real("minutes", self.minutes, above=0)
        for name, least in (("batch_size", 1), ("seed", 0), ("checkpoint_every", 1)):
            require_integer(name, getattr(self, name), least)
        require_real("dropout", self.dropout, least=0, below=1)
        self.schedule(1)

    def schedule(self, steps: int) -> Schedule:
        return Schedule(steps, self.learning_rate, self.warmup, self.weight_decay, self.final)


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
    mixture: dict[str, Any] = field(default_factory=dict)


def size_options() -> Callable[[Command], Command]:
    """The sizes of a model, as ``sizes``."""
    rows = zip(fields(Sizes), astuple(DEFAULT_SIZES), HELP, strict=True)
    return gathered("sizes", GivenSizes, [
        click.option(f"--{size.name}", type=int, help=f"{text}  [default: {default}, or as read]")
        for size, default, text in rows
    ])  # fmt: skip


def reading_options() -> Callable[[Command], Command]:
    """How texts are read, as ``reading``."""
    return gathered("reading", Reading, [
        click.option("--names", type=float, default=0.0,
                     help="Share of the texts in which a name is hidden, not any span."),
        click.option("--places", type=float, default=0.0,
                     help="Share in which one of the places of --places_path is."),
        click.option("--offset", type=int, default=0,
                     help="Most positions that a text begins late, drawn at each visit."),
        click.option("--cut", type=int, nargs=2, metavar="LEAST MOST",
                     help="Read of a text, at each visit, a number of characters drawn from this "
                          "range.  [default: what fits]"),
        click.option("--bucketed", is_flag=True,
                     help="Put texts of like length into a batch: less to fill up."),
    ])  # fmt: skip


def mixture(reading: Reading, every: int) -> dict[str, Any]:
    """What the batches depend on, as the settings have it."""
    later = {name: value for name, value in asdict(reading).items()
             if name != "names" and value != getattr(AS_IT_STANDS, name)}  # fmt: skip
    later |= {} if reading.cut is None else {"cut": list(reading.cut)}  # as JSON gives it back
    return {"names": reading.names, "every": every, **later}


@dataclass(frozen=True)
class Curve:
    """The options of a record of what is stored and what is found, while a model trains."""

    curve_path: Path | None
    curve_every: int
    finetune_corpus_path: Path | None
    eval_corpus_path: Path | None

    def __post_init__(self) -> None:
        require_integer("curve_every", self.curve_every, 1)
        needs = {"finetune_corpus_path": self.finetune_corpus_path,
                 "eval_corpus_path": self.eval_corpus_path}  # fmt: skip
        if self.curve_path is not None and (missing := [n for n, p in needs.items() if p is None]):
            raise ValueError(f"curve_path needs {' and '.join(missing)}")

    def inputs(self) -> tuple[Path | None, ...]:
        return self.finetune_corpus_path, self.eval_corpus_path

    def following(
        self, model: GPT, alphabet: Alphabet, texts: Sequence[str], shown: int, target: Path,
        inputs: Sequence[Path | None],
    ) -> Following | None:  # fmt: skip
        """What records the curve, or nothing where none is asked for."""
        path, trained, examined = self.curve_path, self.finetune_corpus_path, self.eval_corpus_path
        if path is None or trained is None or examined is None:
            return None
        require_writable(path, *inputs)
        if path.resolve() in (target.resolve(), _checkpoint(target).resolve()):
            raise ValueError(f"{path} is written by the same command: write to another file")
        pairs = []
        for corpus in (trained, examined):
            pairs.append(read_pairs(corpus))
            check_alphabet(corpus, pairs[-1], alphabet)
            with naming(corpus):
                answer_batches(pairs[-1], alphabet, model.block_size, 1, 0)  # they fit
        epochs, rate, batch, warmup = FINETUNE
        steps = epochs * -(-len(pairs[0]) // batch)
        exam = Exam(texts, alphabet, pairs[0], pairs[1], Schedule(steps, rate, warmup, 0.1), batch,
                    shown=shown)  # fmt: skip
        measure = functools.partial(stored_and_found, exam=exam)
        return lambda settings, steps: follow(
            path, settings, model, measure, self.curve_every, steps
        )


def curve_options() -> Callable[[Command], Command]:
    """A record of the curve, as ``curve``."""
    return gathered("curve", Curve, [
        click.option("--curve_path", type=PATH,
                     help="Record what is stored and what is found, as JSON.  [default: nowhere]"),
        click.option("--curve_every", type=int, default=500, help="Steps between its rows."),
        click.option("--finetune_corpus_path", type=PATH,
                     help="For the curve: pairs that a copy is fine-tuned on, with the defaults "
                          "of that command."),
        click.option("--eval_corpus_path", type=PATH, help="And pairs that it is asked."),
    ])  # fmt: skip


def run_options(
    epochs: int, learning_rate: float, batch_size: int, warmup: int
) -> Callable[[Command], Command]:
    """The options of a training run, with defaults of its own, as ``run``."""

    def default_epochs(ctx: click.Context, _: click.Parameter, given: int | None) -> int | None:
        return epochs if given is None and ctx.params["minutes"] is None else given

    return gathered("run", Run, [
        click.option("--epochs", type=int, callback=default_epochs,
                     help=f"Times through the corpus.  [default: {epochs}, or with --minutes what "
                          "fits in them]"),
        click.option("--minutes", type=float, is_eager=True,
                     help="Stop after so many, with a checkpoint to go on from, and exit status "
                          "3.  [default: none]"),
        click.option("--batch_size", type=int, default=batch_size, help="Texts in a step."),
        click.option("--learning_rate", type=float, default=learning_rate,
                     help="Its peak."),
        click.option("--warmup", type=int, default=warmup, help="Steps up to the peak."),
        click.option("--final", type=float, default=FINAL,
                     help="Share of the peak that the rate ends at, on half a cosine."),
        click.option("--weight_decay", type=float, default=0.1, help="Of matrices, in AdamW."),
        click.option("--dropout", type=float, default=0.0, help="Share of entries set to 0."),
        click.option("--seed", type=int, default=0, help="Fixes start, batches, and dropout."),
        click.option("--device", default="cpu", help="cpu or cuda."),
        click.option("--bfloat16", is_flag=True, help="Compute in bfloat16 where torch would."),
        click.option("--half", is_flag=True, help="Store weights in float16: half the size."),
        click.option("--checkpoint_every", type=int, default=200, help="Steps."),
        click.option("--resume", is_flag=True, help="Go on from the checkpoint, if there is one."),
    ])  # fmt: skip


def _checkpoint(target: Path) -> Path:
    return target.with_name(f"{target.name}.checkpoint")


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()  # on the meta device there is no number
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


def _settings(task: Task, model: GPT, run: Run) -> dict[str, Any]:
    """All that a run's parameters depend on: stored with them, and compared on resuming.

    But for the number of steps, where it is what fits in a time. An option that came later is
    named where it is not what it was before: what was stored then still fits.
    """
    digest = hashlib.sha256()
    for weight in model.state_dict().values():
        digest.update(weight.cpu().numpy().tobytes())
    names = ("epochs", "batch_size", "learning_rate", "warmup", "weight_decay", "dropout", "seed",
             "bfloat16")  # fmt: skip
    return {
        "task": task.name, "attention": model.attention,
        **{name: getattr(run, name) for name in names}, **task.mixture,
        **asdict(sizes_of(model)),
        "corpus": hashlib.sha256(repr(task.corpus).encode()).hexdigest()[:16],
        "start": digest.hexdigest()[:16],
        **({} if run.final == FINAL else {"final": run.final}),
    }  # fmt: skip


def _stored_steps(settings: str, of: dict[str, Any]) -> int | None:
    """How many steps a stored run of these settings has; None if it is another run."""
    try:
        found = dict(json.loads(settings))
    except (ValueError, TypeError):
        return None
    steps = found.pop("steps", 0)
    return steps if found == of else None


def _lasts(seconds: float) -> str:
    """A time in words.

    >>> [_lasts(x) for x in (0.4, 100.0, 1e3, 1e4)]
    ['1 s', '100 s', '17 min', '2.8 h']
    """
    if seconds < 120:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _planned(task: Task, model: GPT, run: Run, made: int, steps: int | None) -> int:
    """How many steps the run has, after a word on how long those that are left will take."""
    n = task.steps_per_epoch
    spread = [n * i // PROBES for i in range(PROBES)] if n > PROBES else list(range(n))
    each = seconds_per_step(model, task.batches, spread, run.bfloat16)
    if steps is None and run.epochs is not None:
        steps = run.epochs * n
    elif steps is None and run.minutes is not None:
        steps = max(1, int(60 * run.minutes * RESERVE / each))
    assert steps is not None
    click.echo(f"{task.name} {model.attention}: {steps} steps, {steps / n:.1f} passes; "
               f"{steps - made} to go, about {_lasts((steps - made) * each)} "
               f"({each:.2g} s a step here and now)", err=True)  # fmt: skip
    return steps


def run_training(
    task: Task, model: GPT, alphabet: Alphabet, target: Path, run: Run,
    following: Following | None = None,
) -> None:  # fmt: skip
    """Train with a checkpoint beside the target; the checkpoint goes when the target is there.

    ``following`` makes, of settings and steps, what is called after each step.
    """
    checkpoint = _checkpoint(target)
    require_writable(checkpoint)
    with alone(target):
        _run_training(task, model, alphabet, target, run, checkpoint, following)


def _run_training(
    task: Task, model: GPT, alphabet: Alphabet, target: Path, run: Run, checkpoint: Path,
    following: Following | None,
) -> None:  # fmt: skip
    settings, made, steps = _settings(task, model, run), 0, None
    if checkpoint.exists() and not run.resume:
        raise ValueError(f"{checkpoint} is left from an interrupted run: go on with --resume, or "
                         "delete it")  # fmt: skip
    if checkpoint.exists():
        state = read_dict(checkpoint, "checkpoint")
        # Another run's checkpoint is refused by train, which says why.
        made = int(state.get("step", 0))
        steps = _stored_steps(str(state.get("settings")), settings) or None
    elif run.resume:
        if target.exists() and _stored_steps(load_params(target)[2], settings) is not None:
            click.echo(f"{target}: nothing to resume, the run had ended")
            return
        click.echo(f"{checkpoint}: no checkpoint yet, starting from the beginning", err=True)
    start = time.monotonic()
    steps = _planned(task, model, run, made, steps)
    if run.epochs is None:
        settings["steps"] = steps
    told = json.dumps(settings)
    history = train(
        model, task.batches, run.schedule(steps), seed=run.seed, bfloat16=run.bfloat16,
        checkpoint=checkpoint, checkpoint_every=run.checkpoint_every, settings=told,
        progress=f"{task.name} {model.attention}",
        after_step=following(settings, steps) if following else None,
        seconds=None if run.minutes is None else _left(run.minutes, start),
    )  # fmt: skip
    if not history or history[-1][0] < steps:
        click.echo(f"{checkpoint}: stopped after {run.minutes:g} minutes, before the last of "
                   f"{steps} steps: go on with --resume")  # fmt: skip
        raise click.exceptions.Exit(3)
    save_params(target, model, alphabet, told, run.half)
    checkpoint.unlink()
    click.echo(f"{target}: {steps} steps, loss {history[-1][1]:.3f}")


def _left(minutes: float, start: float) -> float:
    """The seconds of a budget that are left; at least one step is made."""
    return max(1e-3, 60 * minutes - (time.monotonic() - start))
