"""Heads removed one by one: what the figure shows is what the study recorded."""

import functools
import json
from pathlib import Path

import numpy as np

from attnlib.studies.pruning import load_study
from attnlib.studies.record import RECORDED

from .figure import Seen, same, shows, value

# The names in the figure, and those of the record.
ORDERS = {"leave-one-out": "leave-one-out", "gate": "gate", "the note's": "note",
          "high entropy": "high entropy first"}  # fmt: skip


def written() -> str:
    """What the chapter writes into its page, as its stored notebook has it."""
    stored = Path(__file__).parents[3] / "notebooks" / "pruning.ipynb"
    cells = json.loads(stored.read_text(encoding="utf-8"))["cells"]
    shown = ["".join(output.get("data", {}).get("text/html", ""))
             for cell in cells for output in cell.get("outputs", ())]  # fmt: skip
    (found,) = [html for html in shown if "pruning-record" in html]
    return found


DATA = written()


@functools.cache
def recorded() -> list[dict]:
    rows = load_study(RECORDED / "pruning-study.json")["rows"]
    assert [row["seed"] for row in rows] == list(range(16))
    return rows


def axis(seen: Seen, part: str, name: str, panel: int, raised: float = 0):
    """From a place in one panel to what its two ticks say."""
    low, high = seen.number(part, name)[2 * panel : 2 * panel + 2] - raised
    first, last = map(value, seen.text(part)[2 * panel : 2 * panel + 2])
    return lambda place: first + (place - low) * (last - first) / (high - low)


def check_pruning(seen: Seen) -> None:
    k, model = map(int, seen.values)
    row = recorded()[model]
    best, mean = (np.array(row["subsets"][name][:8]) for name in ("best", "mean"))
    assert seen.text("name") == list(ORDERS)
    gone, when = [], []  # of all panels, head by head
    reached = []
    for panel, name in enumerate(ORDERS.values()):
        run = row["runs"][name]
        accuracy = [best[0], *run["accuracy"]]  # of the whole model first
        order = [4 * layer + head for layer, head in run["order"]]
        gone += sorted(order[:k])
        when += [order.index(head) + 1 for head in sorted(order[:k])]
        reached.append(accuracy[k])
        across = axis(seen, "tick-x", "x", panel)
        above = axis(seen, "tick-y", "y", panel, raised=4)
        for part, values in (("curve", accuracy), ("best", best), ("mean", mean)):
            points = seen.points(part, panel)
            same(across(points[:, 0]), range(8))
            same(above(points[:, 1]), values)
        same(across(seen.number("now", "cx")[panel]), k)
        same(above(seen.number("now", "cy")[panel]), accuracy[k])
    if k:
        assert [int(head) for head in seen.number("gone", "data-head")] == gone
        assert [int(head) for head in seen.number("when", "data-head")] == gone
        assert list(map(value, seen.text("when"))) == when
    assert len(seen.parts["kept"]) == 4 * (8 - k)
    shows(seen.text("accuracy"), reached, digits=3)
    found = ", ".join(
        f"{name} {text}" for name, text in zip(ORDERS, seen.text("accuracy"), strict=True)
    )
    start = f"Model {model}, heads removed: {k}. Right answers: {found}; best choice "
    assert seen.said.startswith(start)
    told = seen.said.removeprefix(start).removesuffix(".").split(", random ")
    shows(told, [best[k], mean[k]], digits=3)


FIGURES = {
    "explore-pruning": check_pruning,
}

WRONG = {
    "one head too many": ("explore-pruning", "when < k", "when <= k"),
    "heads that never go, gone": ("explore-pruning", "when >= 0 && when < k", "when < k"),
    "layers of five heads": ("explore-pruning", "PER_LAYER = 4", "PER_LAYER = 5"),
    "numbers from 0": ("explore-pruning", "when + 1", "when"),
    "the accuracy before the removal": (
        "explore-pruning",
        "accuracy[k].toFixed(3));",
        "accuracy[Math.max(0, k - 1)].toFixed(3));",
    ),
    "the next model": ("explore-pruning", "models[which]", "models[(which + 1) % 16]"),
    "best and random exchanged": (
        "explore-pruning",
        "best choice ${model.best[k]",
        "best choice ${model.mean[k]",
    ),
    "the best sets drawn for the score": ("explore-pruning", "line(accuracy)", "line(best)"),
    "the whole model left out of the curve": (
        "explore-pruning",
        "acrossHeads(i)",
        "acrossHeads(i + 1)",
    ),
}
