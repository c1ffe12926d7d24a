"""The checkers of the exercises of notebooks/first_look.md: what they accept and refuse."""

import math

import torch
from exercises import Checkers
from helpers import cells_of

CELLS = cells_of("first_look")
EXERCISES = [cell for cell in CELLS[1:] if "check_" in cell.code]
# Imports, the numbers of the page, and the exercises.
RUN = [CELLS[0], *(cell for cell in CELLS if "v = " in cell.code), *EXERCISES]
LN2, log2 = math.log(2), math.log2


def in_place(s):
    s -= s.max()
    s.exp2_()
    s /= s.sum()
    return s


def by_bisection(y):
    """Scores that grow with the value, at the rate that gives y."""
    values = torch.tensor([4.0, 8, 0, 16])
    low, high = -40.0, 40.0
    for _ in range(80):
        rate = (low + high) / 2
        too_low = torch.exp2(rate * values / 4) @ values < y * torch.exp2(rate * values / 4).sum()
        low, high = (rate, high) if too_low else (low, rate)
    return rate * values / 4


def below_and_above_8(y):
    if y < 8:
        return [-60, log2(y), log2(8 - y), -60]
    return [-60, log2(16 - y), -60, log2(y - 8)] if y > 8 else [-60, 60, -60, -60]


def of_four_tokens(y):
    """Tokens 1 and 2 get a little weight each."""
    small = min(y, 16 - y) / 100
    last = (y - 12 * small) / 16
    return [log2(w) for w in (small, small, 1 - 2 * small - last, last)]


RIGHT = {
    "check_weights": [
        lambda s: torch.softmax(LN2 * s, 0),
        lambda s: [2**x / sum(2**y for y in s.tolist()) for x in s.tolist()],
        in_place,
        lambda s: 1 / torch.exp2(s - s[:, None]).sum(1),
        lambda s: 2 ** s.numpy() / (2 ** s.numpy()).sum(),
    ],
    "check_scores": [
        lambda y: [-60, -60, 0, log2(y / (16 - y))],
        of_four_tokens,
        below_and_above_8,
        by_bisection,
        lambda y: torch.tensor([-40, -40, log2(16 - y), log2(y)]).numpy(),
    ],
}

TWICE = "the weight for 1 must be 2 times that for 0"
WRONG = {
    "check_weights": [
        (lambda s: torch.softmax(s, 0), TWICE),
        (lambda s: 2**s, "sum to 2"),
        (lambda s: torch.softmax(LN2 * s, 0)[:, None], "one weight for each score"),
        (lambda s: 2**s / 16, "sum to 0.0625"),
        (lambda s: 2**s / (2**s).max(), "sum to 2"),
        (lambda s: s / s.sum(), "finite"),
        (lambda s: torch.softmax(s / LN2, 0), TWICE),
        (lambda s: torch.softmax(-LN2 * s, 0), TWICE),
        (lambda s: (s**2 + 1e-30) / (s**2 + 1e-30).sum(), TWICE),
        (lambda s: torch.ones_like(s) / len(s), TWICE),
        (lambda s: torch.nn.functional.one_hot(s.argmax(), len(s)), "1 times that for 0"),
        (lambda s: torch.softmax(LN2 * s / len(s) ** 0.5, 0), TWICE),
        (lambda s: torch.softmax(LN2 * s, 0).round(decimals=3), TWICE),
        (lambda s: 1.0, "one weight for each score"),
    ],
    "check_scores": [
        (lambda y: [0, 0, log2(16 - y), log2(y)], "output is 0.755"),
        (lambda y: [-60, -60, math.log(16 - y), math.log(y)], "output is 0.462"),
        (lambda y: [-math.inf, -math.inf, log2(16 - y), log2(y)], "finite scores"),
        (lambda y: [0, 0, 1 - y / 16, y / 16], "output is 5.618"),
        (lambda y: [-60, -60, log2(y), log2(16 - y)], "output is 15.9"),
        (lambda y: [-60, -60, 16 - y, y], "output is 0.000280"),
        (lambda y: [-10, -10, log2(16 - y), log2(y)], "output is 0.100720"),
        (lambda y: [log2(16 - y), log2(y), -60, -60], "output is 4.025"),
        (lambda y: [log2(16 - y), log2(y)], "four scores"),
        (lambda y: y, "four scores"),
    ],
}


class TestCheckers(Checkers):
    pass
