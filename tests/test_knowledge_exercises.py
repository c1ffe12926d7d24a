"""The checkers of the exercises of notebooks/knowledge.md: what they accept and what not."""

import itertools
import math
import re
from collections import Counter
from fractions import Fraction
from statistics import median_high

import numpy as np
import torch
from exercises import Checkers
from helpers import cells_of

CELLS = cells_of("knowledge")
FIRST = next(i for i, cell in enumerate(CELLS) if "@check_answer" in cell.code)
EXERCISES = CELLS[FIRST : FIRST + 6]
RUN = [CELLS[0], *EXERCISES]


def by_trying_all(table):
    total = sum(map(sum, table))
    guesses = itertools.product(range(len(table[0])), repeat=len(table))
    return (
        max(sum(row[g] for row, g in zip(table, guess, strict=True)) for guess in guesses) / total
    )


def by_parts(corrupted):
    """Five parts: everything between two marks."""
    prefix, middle, suffix, _, first, second = re.split("[①②⁇]", corrupted)
    return prefix + first + middle + second + suffix


def by_index(corrupted):
    kept, hidden = corrupted.split("⁇")
    at = hidden.index("②")
    return kept.replace("①", hidden[1:at]).replace("②", hidden[at + 1 :])


def by_ranks(a, b):
    both = sorted([*a, *b])
    seats = Counter(both)
    rank = {x: both.index(x) + (seats[x] + 1) / 2 for x in both}
    return (sum(rank[x] for x in a) - len(a) * (len(a) + 1) / 2) / (len(a) * len(b))


def by_signs(a, b):
    a, b = torch.tensor(a), torch.tensor(b)
    return 0.5 + (a[:, None] - b).sign().double().mean() / 2


def tie_blind(a, b):
    """Wins against losses: ties do not count at all."""
    wins, losses = (sum((x - y) * sign > 0 for x in a for y in b) for sign in (1, -1))
    return wins / (wins + losses) if wins + losses else 0.5


def compared(a, b):
    """One value of each list against the other."""
    return (1 + (a > b) - (a < b)) / 2


RIGHT = {
    "check_best_guess": [
        lambda table: sum(map(max, table)) / sum(map(sum, table)),
        by_trying_all,
        lambda table: torch.tensor(table).amax(1).sum() / torch.tensor(table).sum(),
        lambda table: np.max(table, axis=1).sum(dtype=np.float32) / np.sum(table),
        lambda table: Fraction(sum(map(max, table)), sum(map(sum, table))),
    ],
    "check_two_spans": [
        by_parts,
        by_index,
        lambda s: re.sub(r"^(.*)①(.*)②(.*)⁇①(.*)②(.*)$", r"\1\4\2\5\3", s),
    ],
    "check_auc": [
        lambda a, b: sum((x > y) + (x == y) / 2 for x in a for y in b) / (len(a) * len(b)),
        by_ranks,
        by_signs,
        lambda a, b: sum(compared(x, y) for x in a for y in b) / (len(a) * len(b)),
    ],
}
WRONG = {
    "check_best_guess": [
        (lambda table: max(map(sum, zip(*table, strict=True))) / sum(map(sum, table)), "gets"),
        (lambda table: max(map(max, table)) / sum(map(sum, table)), "gets"),
        (lambda table: sum(max(r) / max(sum(r), 1) for r in table) / len(table), "gets"),
        (lambda table: sum(map(max, table)), "gets"),
        (lambda table: sum(map(min, table)) / sum(map(sum, table)), "gets"),
        (lambda table: 1 - sum(map(min, table)) / sum(map(sum, table)), "gets"),
        (lambda table: sum(sorted(r)[1] for r in table) / sum(map(sum, table)), "gets"),
        (lambda table: 100 * by_trying_all(table), "gets"),
        (lambda table: 1.0, "gets"),
        (lambda table: math.nan, "gets"),
        (lambda table: table, "a list"),
    ],
    "check_two_spans": [
        (lambda s: s.split("⁇")[0], "became"),
        (lambda s: s.replace("①", "").replace("②", "").replace("⁇", ""), "became"),
        (lambda s: by_parts(s.replace("①", "x").replace("②", "①").replace("x", "②"))[::-1],
         "became"),
        (lambda s: by_parts(s) + "a", "became"),
        (lambda s: "".join(dict.fromkeys(by_parts(s))), "became"),
        (lambda s: list(by_parts(s)), "became"),
        (lambda s: re.sub(r"^(.+)①(.+)②(.+)⁇①(.+)②(.+)$", r"\1\4\2\5\3", s), "became"),
        (lambda s: s.split("⁇")[0].replace("①", "").replace("②", "") + by_parts(s), "became"),
        (lambda s: 1.0, "became"),
    ],
    "check_auc": [
        (lambda a, b: sum(x > y for x in a for y in b) / (len(a) * len(b)), "one way"),
        (lambda a, b: sum(x >= y for x in a for y in b) / (len(a) * len(b)), "one way"),
        (lambda a, b: compared(max(a), max(b)), "must be"),
        (lambda a, b: compared(min(a), min(b)), "must be"),
        (lambda a, b: compared(median_high(a), median_high(b)), "must be"),
        (lambda a, b: compared(by_ranks(a, b), 0.5), "must be"),
        (lambda a, b: 0.5, "must be"),
        (lambda a, b: by_ranks(set(a), set(b)), "must be"),
        (tie_blind, "must be"),
        (lambda a, b: sum(map(compared, a, b)) / min(len(a), len(b)), "must be"),
        (lambda a, b: compared(sum(a) / len(a), sum(b) / len(b)), ""),
        (lambda a, b: [1.0], "list"),
        (lambda a, b: math.nan, "one way"),
    ],
}  # fmt: skip


class TestCheckers(Checkers):
    pass
