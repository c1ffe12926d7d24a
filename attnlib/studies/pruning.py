"""The study of pruning: one row for each seed, every score and both ways of using it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor
from tqdm import tqdm

from attnlib._files import alone, read_dict, to_bytes, write_atomically
from attnlib._inputs import require_integer, require_real
from attnlib.pruning.heads import attention_layers, gate_heads, rescale_heads
from attnlib.pruning.prune import Pruning, greedy_prune
from attnlib.pruning.task import (
    KINDS,
    Questions,
    Reader,
    accuracy,
    draw,
    fit,
    losses,
    norms,
    train,
)
from attnlib.studies.record import Form, Recorder, read_study, versions

__all__ = ["RUNS", "SETTINGS", "TUNED", "Run", "Settings", "load_study", "model_of", "row_of",
           "study"]  # fmt: skip

FORM = Form(settings="settings", rows="rows", key="seed")


@dataclass(frozen=True)
class Settings:
    """How models are trained, on how many questions they are scored and tested, and fine-tuned.

    Raises:
        ValueError: a number of steps or questions is no positive integer, or a rate not positive.
    """

    train_steps: int = 1200
    train_rate: float = 0.005
    batch: int = 128
    scored: int = 512
    tested: int = 1000
    tune_steps: int = 30
    tune_rate: float = 0.002

    def __post_init__(self) -> None:
        for name in ("train_steps", "batch", "scored", "tested", "tune_steps"):
            require_integer(name, getattr(self, name), 1)
        for name in ("train_rate", "tune_rate"):
            require_real(name, getattr(self, name), above=0)


@dataclass(frozen=True)
class Run:
    """An order of removal: a method, the F that it scores by, and how the scores are used."""

    method: str
    f: Callable[[torch.nn.Module, Questions], Tensor]
    once: bool = False
    highest_first: bool = False


# The notes' score is that of the norm of the output.
RUNS = {
    "note": Run("gradient-product", norms),
    "note, once": Run("gradient-product", norms, once=True),
    "note, rescaled": Run("gradient-product", norms),  # of the model of rescaled()
    "note, loss": Run("gradient-product", losses),
    "note, activations": Run("gradient-product-activations", norms),
    "max gradient": Run("gradient-product-max", norms),
    "max gradient, once": Run("gradient-product-max", norms, once=True),
    "max gradient first": Run("gradient-product-max", norms, highest_first=True),
    "gate": Run("gate", losses),
    "gate, once": Run("gate", losses, once=True),
    "gate, norm": Run("gate", norms),
    "high entropy first": Run("entropy", losses, highest_first=True),
    "low entropy first": Run("entropy", losses),
    "low confidence first": Run("confidence", losses),
    "leave-one-out": Run("leave-one-out", losses),
    "leave-one-out, once": Run("leave-one-out", losses, once=True),
}
TUNED = ("note", "gate", "high entropy first", "leave-one-out", "random")
SETTINGS = Settings()
# Seeds of generators, apart from those of training.
SCORED, TESTED, TUNING, RESCALING = 10**6, 10**6 + 1, 2 * 10**6, 3 * 10**6


def _questions(size: int, seed: int) -> Questions:
    return draw(size, torch.Generator().manual_seed(seed))


def row_of(model: Reader, seed: int, progress: bool = True) -> dict[str, Any]:
    """Everything the study knows about one model: plain numbers and lists, fit for JSON."""
    test = _questions(SETTINGS.tested, TESTED)
    row: dict[str, Any] = {
        "seed": seed,
        "accuracy": [accuracy(model, test, kind) for kind in range(len(KINDS))],
        "without": _without(model, test),
        "subsets": _subsets(model, test, tqdm(desc=f"seed {seed}: subsets", disable=not progress)),
        "scores": {}, "runs": {}, "tuned": {}, "moves": {},
    }  # fmt: skip
    for name in tqdm(RUNS, desc=f"seed {seed}: orders", disable=not progress):
        whole = rescaled(model, seed) if name == "note, rescaled" else model
        found = _pruned(RUNS[name], whole, test)
        row["runs"][name] = {"order": found.order, "accuracy": found.values}
        if not RUNS[name].once:
            row["scores"][name] = found.scores[0].tolist()
            row["moves"][name] = rank_moves(found)
    for name in tqdm(TUNED, desc=f"seed {seed}: fine-tuned", disable=not progress):
        found = _pruned_and_tuned(RUNS.get(name, Run("random", losses)), model, test, seed)
        row["tuned"][name] = {"order": found.order, "accuracy": found.values}
    return row


def _shape(model: Reader) -> tuple[int, int]:
    """The numbers of layers and of heads in each."""
    layers = attention_layers(model)
    return len(layers), layers[0].n_heads


# tqdm is generic in its stubs alone: tqdm[…] would fail at run time.
def _subsets(model: Reader, test: Questions, bar: tqdm) -> dict[str, list[float]]:  # type: ignore[type-arg]
    """Best, worst and mean accuracy with 0, 1, … heads removed, and that of every set of heads.

    ``all`` has the sets in the order of the binary numbers whose digits say which heads are gone,
    head (0, 0) first.
    """
    L, H = _shape(model)
    every: list[float] = []
    found: list[list[float]] = [[] for _ in range(L * H + 1)]
    for mask in itertools.product((True, False), repeat=L * H):
        with gate_heads(model, torch.tensor(mask).view(L, H)):
            every.append(accuracy(model, test))
        found[mask.count(False)].append(every[-1])
        bar.update()
    bar.close()
    return {"best": [max(a) for a in found], "worst": [min(a) for a in found],
            "mean": [float(np.mean(a)) for a in found], "all": every}  # fmt: skip


def _pruned(
    run: Run, model: Reader, test: Questions, seed: int = 0,
    tune: Callable[[torch.nn.Module], None] | None = None,
) -> Pruning:  # fmt: skip
    """All heads but one removed; the accuracy after each."""
    L, H = _shape(model)
    return greedy_prune(
        model, [_questions(SETTINGS.scored, SCORED)], run.method, run.f, L * H - 1,
        lambda gated: accuracy(gated, test), once=run.once, highest_first=run.highest_first,
        tune=tune, seed=seed, progress=False,
    )  # fmt: skip


def _pruned_and_tuned(run: Run, model: Reader, test: Questions, seed: int) -> Pruning:
    """The same of a copy, with a fine-tuning after each removal."""
    generator = torch.Generator().manual_seed(TUNING + seed)

    def tune(gated: torch.nn.Module) -> None:
        fit(gated, SETTINGS.tune_steps, SETTINGS.tune_rate, generator, SETTINGS.batch)

    return _pruned(run, copy.deepcopy(model), test, seed, tune)


def rescaled(model: Reader, seed: int) -> Reader:
    """A copy that computes the same function: each head's W_V times c, its W_O over c.

    The logarithm of c is uniform between −ln 4 and ln 4.
    """
    generator = torch.Generator().manual_seed(RESCALING + seed)
    uniform = torch.rand(_shape(model), generator=generator, dtype=torch.float64)
    copied = copy.deepcopy(model)
    rescale_heads(copied, 4 ** (2 * uniform - 1))
    return copied


def _without(model: Reader, test: Questions) -> list[list[list[float]]]:
    """Accuracy by kind of question, [L][H][3], with one head removed."""
    L, H = _shape(model)
    found = torch.zeros(L, H, len(KINDS), dtype=torch.float64)
    for index in itertools.product(range(L), range(H)):
        mask = torch.ones(L, H, dtype=torch.bool)
        mask[index] = False
        with gate_heads(model, mask):
            found[index] = torch.tensor(
                [accuracy(model, test, k) for k in range(len(KINDS))], dtype=torch.float64
            )
    return found.tolist()


def rank_moves(found: Pruning) -> list[float]:
    """Spearman's correlation of the scores before and after each removal, over the survivors.

    Only while there are at least three survivors.
    """
    moves = []
    gone: list[tuple[int, int]] = []
    for removed, before, after in zip(found.order, found.scores, found.scores[1:], strict=False):
        gone.append(removed)
        left = torch.ones_like(before, dtype=torch.bool)
        for index in gone:
            left[index] = False
        if left.sum() >= 3:
            moves.append(float(spearmanr(before[left], after[left]).statistic))
    return moves


# -- files -------------------------------------------------------------------------------------


def load_study(path: str | Path) -> dict[str, Any]:
    """The recorded study.

    Raises:
        ValueError: the file is none, or has other settings or runs than this version.
        OSError: the file cannot be read.
    """
    found = read_study(path, FORM)
    if found["settings"] != asdict(SETTINGS):
        raise ValueError(f"{path} holds a study with other settings, {found['settings']}: read, or "
                         "record into, another file")  # fmt: skip
    if any(set(row["runs"]) != set(RUNS) or "all" not in row["subsets"] for row in found["rows"]):
        raise ValueError(f"{path} holds a study with other runs: read, or record into, another")
    return found


def model_of(seed: int, folder: Path | None = None) -> Reader:
    """The trained model of a seed, from the folder if it is there; kept there if it is not."""
    name = f"seed-{seed}-steps-{SETTINGS.train_steps}-rate-{SETTINGS.train_rate}.pt"
    path = folder / name if folder else None
    if path and path.exists():
        return _cached(path)
    model = train(seed, SETTINGS.train_steps, SETTINGS.train_rate, SETTINGS.batch)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, to_bytes(model.state_dict()))
    return model


def _cached(path: Path) -> Reader:
    """The model of a file, if it is whole: a ValueError with the path if not."""
    model = Reader().double()
    state = read_dict(path, "parameters")
    try:
        model.load_state_dict(state)
        if not all(bool(p.isfinite().all()) for p in model.parameters()):
            raise RuntimeError("a weight is not finite")
    except (RuntimeError, AttributeError, TypeError) as error:
        told = " ".join(str(error).split())
        raise ValueError(f"{path}: its parts do not fit together: {told}; delete it, and it is "
                         "trained anew") from None  # fmt: skip
    return model.eval()


def study(seeds: int, path: Path, folder: Path, progress: bool = True) -> dict[str, Any]:
    """Record the rows of the seeds 0, 1, … that are missing in the file; return all of it."""
    seeds = require_integer("seeds", seeds, 1)
    torch.set_num_threads(1)  # so that sums do not depend on how many cores there are
    recorder = Recorder(path, FORM, {
        "about": "Head pruning of small Transformers, one row for each seed. Recorded, not "
                 "recomputed when the book is built.",
        "command": "", "versions": versions("torch", "numpy", "scipy"),
        "settings": asdict(SETTINGS),
    })  # fmt: skip
    if path.exists():
        load_study(path)  # of these runs too
    with alone(path):
        for seed in tqdm(recorder.missing(range(seeds)), desc="seeds", disable=not progress):
            row = _rounded(row_of(model_of(seed, folder), seed, progress))
            count = len(recorder.rows()) + 1
            command = f"python -m attnlib.studies pruning --seeds {count}"
            recorder.add(row, range(seeds), {"command": command})
        if "rounding" not in recorder.read():
            recorder.note({"rounding": rounding(model_of(0, folder))})
    return load_study(path)


def rounding(model: Reader) -> float:
    """The largest change of a parameter of seed 0 if every sum over a batch is turned round."""
    other = train(0, SETTINGS.train_steps, SETTINGS.train_rate, SETTINGS.batch, reverse=True)
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def _rounded(x: Any) -> Any:
    if isinstance(x, float):
        return float(f"{x:.6g}")
    if isinstance(x, dict):
        return {k: _rounded(v) for k, v in x.items()}
    return [_rounded(v) for v in x] if isinstance(x, list | tuple) else x
