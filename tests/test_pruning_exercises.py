"""The checkers of the exercises of notebooks/pruning.md: what they accept and what they refuse."""

import itertools
import math
import statistics

import torch
from exercises import Checkers
from helpers import cells_of

CELLS = cells_of("pruning")
FIRST = next(i for i, cell in enumerate(CELLS) if "@check_answer" in cell.code)
LAST = max(i for i, cell in enumerate(CELLS) if "hide-cell" in cell.tags)
EXERCISES = CELLS[FIRST : LAST + 1]
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


def wanted_over(step):
    """Factors that give the heads scores a step apart, in the wanted order."""

    def answer(S, order):
        wanted = torch.empty(len(S))
        wanted[order] = step * torch.arange(1.0, len(S) + 1)
        return S / wanted

    return answer


def factors_one_by_one(S, order):
    c = [0.0] * len(S)
    for place, head in enumerate(order):
        c[head] = float(S[head]) / 2**place
    return c


def reversed_factors(S, order):
    return wanted_over(1.0)(S, order[::-1])


def sorted_by_score(S, order):
    """Takes the order for that of the scores: each place gets the score of its rank."""
    return S / S.sort().values[torch.tensor(order).argsort()]


def layer_of(gone):
    return sorted(head // 2 for head in gone)


def over_sets(table, layers):
    return [statistics.mean(v for gone, v in table.items() if layer_of(gone) == sorted(layers[:k]))
            for k in range(1, 5)]  # fmt: skip


def over_orders(table, layers):
    orders = [order for order in itertools.permutations(range(4))
              if tuple(head // 2 for head in order) == layers]  # fmt: skip
    return torch.tensor([[float(table[frozenset(order[:k])]) for k in range(1, 5)]
                         for order in orders]).mean(0)  # fmt: skip


def step_by_step(table, layers):
    """The law of the set of heads that are gone, one removal after the other."""
    law, means = {frozenset(): 1.0}, []
    for layer in layers:
        after = {}
        for gone, p in law.items():
            left = {2 * layer, 2 * layer + 1} - gone
            for head in left:
                key = gone | {head}
                after[key] = after.get(key, 0.0) + p / len(left)
        law = after
        means.append(sum(p * table[gone] for gone, p in law.items()))
    return tuple(means)


def with_the_whole(table, layers):
    return [table[frozenset()], *over_sets(table, layers)[:3]]


def first_heads_first(table, layers):
    gone, found, left = frozenset(), [], [[0, 1], [2, 3]]
    for layer in layers:
        gone |= {left[layer].pop(0)}
        found.append(table[gone])
    return found


RIGHT = {
    "check_factors": [wanted_over(1.0), wanted_over(7.0), factors_one_by_one],
    "check_layers": [over_sets, over_orders, step_by_step],
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
    "check_factors": [
        (lambda S, order: torch.ones(len(S)), "the scores become"),
        (reversed_factors, "the scores become"),
        (lambda S, order: 1 / wanted_over(1.0)(S, order), "the scores become"),
        (lambda S, order: -wanted_over(1.0)(S, order), "must be positive"),
        (lambda S, order: S / torch.tensor(order), "positive"),
        (sorted_by_score, "the scores become"),
        (lambda S, order: 1.0, "factors, not []"),
        (lambda S, order: [1.0, *S.tolist()], "factors, not"),
        (lambda S, order: "c", ""),
    ],
    "check_layers": [
        (lambda table, layers: over_sets(table, layers[::-1]), "after"),
        (lambda table, layers: over_sets(table, [1 - layer for layer in layers]), "after"),
        (with_the_whole, "after"),
        (first_heads_first, "after"),
        (lambda table, layers: over_sets(table, layers)[:3], "four numbers"),
        (lambda table, layers: statistics.mean(table.values()), "four numbers"),
        (
            lambda table, layers: [
                max(v for s, v in table.items() if layer_of(s) == sorted(layers[:k]))
                for k in range(1, 5)
            ],
            "after",
        ),
    ],
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
