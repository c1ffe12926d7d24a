"""The study of the chapter: one row for each seed, kept in a JSON file as soon as it is known."""

from __future__ import annotations

import copy
import itertools
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch
from scipy.stats import spearmanr
from torch import Tensor
from tqdm import tqdm

from attnlib._inputs import require_integer
from attnlib.pruning.heads import gate_heads, rescale_heads
from attnlib.pruning.prune import Pruning, greedy_prune
from attnlib.pruning.task import KINDS, Reader, accuracy, draw, fit, losses, norms, train

__all__ = ["RUNS", "TUNED", "load_study", "model_of", "row_of", "study"]

# name: method, F, options. The notes' score is that of the norm of the output.
RUNS = {
    "note": ("gradient-product", norms, {}),
    "note, once": ("gradient-product", norms, {"once": True}),
    "note, rescaled": ("gradient-product", norms, {}),  # of the model of rescaled()
    "note, loss": ("gradient-product", losses, {}),
    "note, activations": ("gradient-product-activations", norms, {}),
    "max gradient": ("gradient-product-max", norms, {}),
    "max gradient, once": ("gradient-product-max", norms, {"once": True}),
    "max gradient first": ("gradient-product-max", norms, {"highest_first": True}),
    "gate": ("gate", losses, {}),
    "gate, once": ("gate", losses, {"once": True}),
    "gate, norm": ("gate", norms, {}),
    "high entropy first": ("entropy", losses, {"highest_first": True}),
    "low entropy first": ("entropy", losses, {}),
    "low confidence first": ("confidence", losses, {}),
    "leave-one-out": ("leave-one-out", losses, {}),
    "leave-one-out, once": ("leave-one-out", losses, {"once": True}),
}
TUNED = ("note", "gate", "high entropy first", "leave-one-out", "random")
SETTINGS = {"train_steps": 1200, "train_rate": 0.005, "batch": 128, "scored": 512, "tested": 1000,
            "tune_steps": 30, "tune_rate": 0.002}  # fmt: skip
# Seeds of generators, apart from those of training.
SCORED, TESTED, TUNING, RESCALING = 10**6, 10**6 + 1, 2 * 10**6, 3 * 10**6


def _questions(size: int, seed: int) -> Any:
    return draw(size, torch.Generator().manual_seed(seed))


def row_of(model: Reader, seed: int, progress: bool = True) -> dict[str, Any]:
    """Everything the study knows about one model: plain numbers and lists, fit for JSON."""
    batches = [_questions(SETTINGS["scored"], SCORED)]
    test = _questions(SETTINGS["tested"], TESTED)
    L, H = len(model.layers), model.layers[0].attend.n_heads

    def right(gated: Reader) -> float:
        return accuracy(gated, test)

    subsets: list[list[float]] = [[] for _ in range(L * H + 1)]
    masks = list(itertools.product((True, False), repeat=L * H))
    for mask in tqdm(masks, desc=f"seed {seed}: all subsets", disable=not progress):
        with gate_heads(model, torch.tensor(mask).view(L, H)):
            subsets[mask.count(False)].append(right(model))
    row: dict[str, Any] = {
        "seed": seed,
        "accuracy": [accuracy(model, test, kind) for kind in range(len(KINDS))],
        "without": _without(model, test),
        "subsets": {"best": [max(a) for a in subsets], "worst": [min(a) for a in subsets],
                    "mean": [float(np.mean(a)) for a in subsets]},
        "scores": {}, "runs": {}, "tuned": {}, "moves": {},
    }  # fmt: skip
    for name in tqdm(RUNS, desc=f"seed {seed}: orders", disable=not progress):
        method, f, options = RUNS[name]
        found = greedy_prune(
            rescaled(model, seed) if name == "note, rescaled" else model,
            batches, method, f, L * H - 1, right, progress=False, **options,
        )  # fmt: skip
        row["runs"][name] = {"order": found.order, "accuracy": found.values}
        if not options.get("once"):
            row["scores"][name] = found.scores[0].tolist()
            row["moves"][name] = rank_moves(found)
    for name in tqdm(TUNED, desc=f"seed {seed}: fine-tuned", disable=not progress):
        method, f, options = RUNS.get(name, ("random", losses, {}))
        generator = torch.Generator().manual_seed(TUNING + seed)
        found = greedy_prune(
            copy.deepcopy(model), batches, method, f, L * H - 1, right, seed=seed, progress=False,
            tune=lambda m, g=generator: fit(m, SETTINGS["tune_steps"], SETTINGS["tune_rate"], g),
            **options,
        )  # fmt: skip
        row["tuned"][name] = {"order": found.order, "accuracy": found.values}
    return row


def rescaled(model: Reader, seed: int) -> Reader:
    """A copy that computes the same function: each head's W_V times c, its W_O over c.

    The logarithm of c is uniform between −ln 4 and ln 4.
    """
    generator = torch.Generator().manual_seed(RESCALING + seed)
    shape = (len(model.layers), model.layers[0].attend.n_heads)
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
    copied = copy.deepcopy(model)
    rescale_heads(copied, 4 ** (2 * uniform - 1))
    return copied


def _without(model: Reader, test: Any) -> list[list[list[float]]]:
    """Accuracy by kind of question, [L][H][3], with one head removed."""
    L, H = len(model.layers), model.layers[0].attend.n_heads
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


def write_atomically(path: Path, data: bytes) -> None:
    """All of it or nothing: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load_study(path: str | Path) -> dict[str, Any]:
    """The recorded study. A file that is none, or of other settings, is a ValueError."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        rows, settings = found["rows"], found["settings"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"path must be a recorded study; {path} is not: {error!r}") from None
    if settings != SETTINGS or any(set(row["runs"]) != set(RUNS) for row in rows):
        raise ValueError(f"path must be a study with the settings of this version; {path} has "
                         f"{settings}: remove it, or record into another file")  # fmt: skip
    return found


def model_of(seed: int, folder: Path | None = None) -> Reader:
    """The trained model of a seed, from the folder if it is there; kept there if it is not."""
    name = f"seed-{seed}-steps-{SETTINGS['train_steps']}-rate-{SETTINGS['train_rate']}.pt"
    path = folder / name if folder else None
    if path and path.exists():
        model = Reader().double()
        state: dict[str, Tensor] = torch.load(path, weights_only=True)
        model.load_state_dict(state)
        return model.eval()
    model = train(seed, SETTINGS["train_steps"], SETTINGS["train_rate"])
    if path:
        with tempfile.SpooledTemporaryFile() as file:
            torch.save(model.state_dict(), file)
            file.seek(0)
            write_atomically(path, file.read())
    return model


def study(seeds: int, path: Path, folder: Path, progress: bool = True) -> dict[str, Any]:
    """Record the rows of the seeds 0, 1, … that are missing in the file; return all of it."""
    seeds = require_integer("seeds", seeds, 1)
    torch.set_num_threads(1)  # so that sums do not depend on how many cores there are
    found = load_study(path) if path.exists() else {
        "about": "Head pruning of small Transformers, one row for each seed. Recorded, not "
                 "recomputed when the book is built.",
        "command": "",
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "numpy": np.__version__, "scipy": scipy.__version__},
        "settings": SETTINGS, "rows": [],
    }  # fmt: skip
    known = {row["seed"] for row in found["rows"]}
    for seed in tqdm(range(seeds), desc="seeds", disable=not progress):
        if seed in known:
            continue
        row = row_of(model_of(seed, folder), seed, progress)
        found["rows"] = sorted([*found["rows"], row], key=lambda r: r["seed"])
        found["command"] = f"python -m attnlib.pruning study --seeds {len(found['rows'])}"
        write_atomically(path, _text(found).encode())
    if "rounding" not in found:
        found["rounding"] = rounding(model_of(0, folder))
        write_atomically(path, _text(found).encode())
    return found


def rounding(model: Reader) -> float:
    """The largest change of a parameter of seed 0 if every sum over a batch is turned round."""
    other = train(0, SETTINGS["train_steps"], SETTINGS["train_rate"], reverse=True)
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def _text(found: dict[str, Any]) -> str:
    """JSON with one line for each row: a rerun shows in a diff as the rows that changed."""
    head = json.dumps({**found, "rows": []}, indent=1, ensure_ascii=False)
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in _rounded(found["rows"]))
    return head.replace('"rows": []', f'"rows": [\n{rows}\n]') + "\n"


def _rounded(x: Any) -> Any:
    if isinstance(x, float):
        return float(f"{x:.6g}")
    if isinstance(x, dict):
        return {k: _rounded(v) for k, v in x.items()}
    return [_rounded(v) for v in x] if isinstance(x, list | tuple) else x
