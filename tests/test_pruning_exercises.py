"""The checkers of the exercises of notebooks/pruning.md: what they accept and what they refuse."""

import itertools
import math

import torch
from exercises import Checkers
from helpers import cells_of

CELLS = cells_of("pruning")
FIRST = next(i for i, cell in enumerate(CELLS) if "@check_answer" in cell.code)
EXERCISES = CELLS[FIRST:]
RUN = [CELLS[0], *EXERCISES]

SETS = [s for k in range(4) for s in itertools.combinations(range(3), k)]


def spare(g):
    """Head 0 stands in for the other two."""
    return {s: g * (bool(set(s) - {0}) + (0 in s and len(s) > 1) + (len(s) == 3)) for s in SETS}


def cliff(g):
    """Without 1 or 2 the others do; head 0 first, and then nothing does."""
    return {s: (0 if s in {(), (0,)} else 1 if 0 not in s else g + 1) for s in SETS}


def by_frozensets(g):
    return {frozenset(s): 2.5 * v for s, v in spare(g).items()}


RIGHT = {
    "check_survivor": [
        lambda W, dW: (W * dW).sum(),
        lambda W, dW: torch.trace(W.T @ dW).item(),
        lambda W, dW: torch.linalg.matrix_norm(W @ dW.T),
        lambda W, dW: torch.linalg.svdvals(W @ dW.T).sum(),
        lambda W, dW: -3 * torch.einsum("ij,ij->", W, dW),
    ],
    "check_trap": [spare, cliff, by_frozensets],
}
WRONG = {
    "check_survivor": [
        (lambda W, dW: W.norm() * dW.norm(), "becomes"),
        (lambda W, dW: (W * dW).abs().sum(), "becomes"),
        (lambda W, dW: (W.T @ dW).norm(), "becomes"),
        (lambda W, dW: dW.norm(), "becomes"),
        (lambda W, dW: (W.T @ dW).det().abs().sqrt(), "is not 0"),
        (lambda W, dW: (W * dW).sum() ** 2, "becomes"),
        (lambda W, dW: torch.linalg.matrix_rank(W @ dW.T).double(), "becomes"),
        (lambda W, dW: 0.0, "is not 0"),
        (lambda W, dW: W @ dW.T, "a number"),
        (lambda W, dW: math.nan, "no finite number"),
        (lambda W, dW: [1.0, 2.0], "a number"),
        (lambda W, dW: "W", ""),
    ],
    "check_trap": [
        (lambda g: {s: sum((0, g, 2 * g)[i] for i in s) for s in SETS}, "worse than the best"),
        (lambda g: {s: v / 2 for s, v in spare(g).items()}, "worse than the best"),
        (lambda g: {**spare(g), (1, 2): -g}, "a removal lowers"),
        (lambda g: {s: v for s, v in spare(g).items() if s != (1, 2)}, "losses for 0, 1 and 2"),
        (lambda g: dict.fromkeys(SETS, 0), "worse than the best"),
        (lambda g: {**spare(g), (0, 1): 0}, ""),
        (lambda g: list(spare(g).values()), "a list"),
        (lambda g: 1.0, "a float"),
    ],
}


class TestCheckers(Checkers):
    NAMES_THE_CASE = True
