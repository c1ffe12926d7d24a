"""The checkers of the exercises of notebooks/two_heads.md: what they accept, what they refuse."""

import math

import numpy as np
import pytest
import torch
from exercises import Checkers
from helpers import cells_of

from attnlib.two_heads import pair_miss

CELLS = cells_of("two_heads")
EXERCISES = [cell for cell in CELLS[1:] if "check_" in cell.code and "with claim" not in cell.code]
RUN = [CELLS[0], *EXERCISES]


def shortest(k_a, k_b, q_1):
    u = k_a - k_b
    return -u * (u @ q_1) / (u @ u)


def by_projector(k_a, k_b, q_1):
    u = (k_a - k_b)[:, None]
    return -(u @ torch.linalg.pinv(u) @ q_1)


def by_least_squares(k_a, k_b, q_1):
    """The shortest solution of one equation."""
    u = (k_a - k_b).numpy()[None]
    return np.linalg.lstsq(u, -u @ q_1.numpy(), rcond=None)[0]


def by_reflection(k_a, k_b, q_1):
    """Half of what a swap of the keys changes in q₁."""
    u = k_a - k_b
    swap = torch.eye(3) - 2 * torch.outer(u, u) / (u @ u)
    return (swap @ q_1 - q_1) / 2


def shifted(u):
    q = torch.full((len(u),), float(u[2:].sum() / u.sum()))
    q[2:] -= 1
    return q


def by_numpy(u):
    """A gap of 2, then what it sees is taken off along the vector of ones."""
    q = np.array([2.0, 2.0, *[0.0] * (len(u) - 2)])
    return q - (q @ u.numpy()) / float(u.sum())


def by_equations(u):
    """A tie, equal gaps of 3 and blindness as linear equations."""
    n = len(u)
    rows = torch.cat([u[None], torch.ones(n - 1, 1) @ torch.eye(n)[:1] - torch.eye(n)[1:]])
    return torch.linalg.solve(rows, torch.tensor([0.0, 0.0, *[3.0] * (n - 2)]))


def variances(n, alpha):
    return 0.5 + 4 * alpha, 2 * (n - 2) * alpha


def shared(n, A, B):
    """A gap of 1, divided between the two sides."""
    u = B / (A + B)
    return [u, u, *[u - 1] * (n - 2)]


def towards_and_away(n, alpha):
    return shared(n, *variances(n, alpha))


def by_shift(n, alpha):
    """Any tie with gaps of 1, shifted to where the parabola is least."""
    q = torch.zeros(n)
    q[:2] = 1
    slope = float(q[0] / 2 + 2 * alpha * q.sum())
    return q - slope / (0.5 + 2 * n * alpha)


def by_gradient(n, alpha):
    u = torch.zeros(())
    A, B = variances(n, alpha)
    for _ in range(60):
        u = u - 0.4 * (A * u - B * (1 - u)) / (A + B)
    return torch.cat([u.expand(2), (u - 1).expand(n - 2)])


RIGHT = {
    "check_second": [
        shortest,
        by_projector,
        by_least_squares,
        lambda k_a, k_b, q_1: shortest(k_b, k_a, q_1).tolist(),
        lambda k_a, k_b, q_1: shortest(k_a.float(), k_b.float(), q_1.float()),
        lambda k_a, k_b, q_1: torch.nn.Parameter(shortest(k_a, k_b, q_1)),
        by_reflection,
    ],
    "check_blind": [
        shifted,
        by_numpy,
        by_equations,
        lambda u: (2 * shifted(u.float())).tolist(),
        lambda u: 1000 * shifted(u.float()).float(),
        lambda u: (1 + torch.rand(())) * shifted(u),
    ],
    "check_steady": [
        lambda n, alpha: torch.tensor(towards_and_away(n, alpha)),
        towards_and_away,
        by_shift,
        by_gradient,
        lambda n, alpha: torch.nn.Parameter(torch.tensor(towards_and_away(n, alpha))),
    ],
}


def away(n):
    return torch.tensor([0.0, 0.0, *[-1.0] * (n - 2)])


WRONG = {
    "check_second": [
        (lambda k_a, k_b, q_1: -q_1, "would do"),
        (lambda k_a, k_b, q_1: -shortest(k_a, k_b, q_1), "the residual is"),
        (lambda k_a, k_b, q_1: -(k_a - k_b) * ((k_a - k_b) @ q_1), "the residual is"),
        (lambda k_a, k_b, q_1: 0 * q_1, "the residual is"),
        (lambda k_a, k_b, q_1: q_1 + shortest(k_a, k_b, q_1), "the residual is"),
        (lambda k_a, k_b, q_1: shortest(k_a, -k_b, q_1), "the residual is"),
        (lambda k_a, k_b, q_1: shortest(k_a, k_b, q_1)[:, None], "three numbers"),
        (lambda k_a, k_b, q_1: 0.5, "three numbers"),
        (lambda k_a, k_b, q_1: [], "three numbers"),
        (lambda k_a, k_b, q_1: q_1 + 2 * shortest(k_a, k_b, q_1), "would do"),
        (lambda k_a, k_b, q_1: k_b - k_a, "the residual is"),
        (lambda k_a, k_b, q_1: q_1 * math.nan, "the residual is"),
    ],
    "check_blind": [
        (lambda u: away(len(u)), "sees the noise"),
        (lambda u: away(len(u)) - u * (away(len(u)) @ u) / (u @ u), "less than 1"),
        (lambda u: torch.zeros(len(u)), "less than 1"),
        (lambda u: -shifted(u), "less than 1"),
        (lambda u: shifted(u) / 2, "less than 1"),
        (lambda u: torch.eye(len(u))[0] - u * u[0] / (u @ u), "no tie"),
        (lambda u: torch.ones(len(u)), "sees the noise"),
        (lambda u: shifted(u)[None], "one number for each mean"),
        (lambda u: 0.5, "one number for each mean"),
        (lambda u: [], "one number for each mean"),
        (lambda u: shifted(u.abs() + 1), "sees the noise"),
        (lambda u: u * math.nan, "sees the noise"),
        (lambda u: "away", "str"),
    ],
    "check_steady": [
        (lambda n, alpha: away(n), "can be had"),
        (lambda n, alpha: 1 + away(n), "can be had"),
        (lambda n, alpha: away(n) + (n - 2) / n, "can be had"),
        (lambda n, alpha: away(n) + 0.5, "can be had"),
        (lambda n, alpha: away(n) + variances(n, alpha)[0] / sum(variances(n, alpha)),
         "can be had"),
        (lambda n, alpha: shared(n, 0.5, variances(n, alpha)[1]), "can be had"),
        (lambda n, alpha: shared(n, 0.5 + 2 * alpha, variances(n, alpha)[1]), "can be had"),
        (lambda n, alpha: shared(n, *map(math.sqrt, variances(n, alpha))), "can be had"),
        (lambda n, alpha: torch.zeros(n), "less than 1"),
        (lambda n, alpha: torch.eye(n)[0], "no tie"),
        (lambda n, alpha: torch.tensor(towards_and_away(n, alpha)) / 2, "less than 1"),
        (lambda n, alpha: torch.tensor(towards_and_away(n, alpha)[:2]), "one number for each"),
        (lambda n, alpha: variances(n, alpha)[0], "one number for each mean"),
        (lambda n, alpha: [], "one number for each mean"),
        (lambda n, alpha: away(n) * math.nan, "no tie"),
    ],
}  # fmt: skip


class TestCheckers(Checkers):
    pass


def test_lengths_that_stay_positive():
    """On paper: committed heads miss by nothing in the end, the head towards both by 1/√2."""
    g = torch.Generator().manual_seed(0)
    gamma = 0.05 + torch.rand(1000, generator=g).double()
    z = torch.zeros(1000, 4).double()
    z[:, 0] = gamma
    b = torch.tensor([0.0, 1, 0, 0]).double()
    committed = (torch.softmax(1e3 * z, 1) + torch.softmax(1e3 * b, 0)) / 2
    assert (committed[:, :2] - 0.5).norm(dim=1).max() < 1e-12
    towards = torch.softmax(1e6 * (z + b), 1)
    assert (towards[:, :2] - 0.5).norm(dim=1).square().mean().sqrt() == pytest.approx(0.5**0.5)


def test_both_keys_heavy():
    """On paper: the mean ½, and the limits of two variances."""
    g = torch.Generator().manual_seed(0)
    s, draws = 0.5**0.5, 400_000
    lengths = 1 + s * torch.randn(draws, 2, generator=g).double()
    y = (torch.sigmoid(lengths[:, 0]) + torch.sigmoid(-lengths[:, 1])) / 2
    assert abs(y.mean() - 0.5) < 5 * y.std() / draws**0.5
    y = (torch.sigmoid(1e4 * lengths[:, 0]) + torch.sigmoid(-1e4 * lengths[:, 1])) / 2
    miss = math.erfc(1 / s / math.sqrt(2)) / 2
    squares = (y - 0.5) ** 2
    limit = miss * (1 - miss) / 2
    assert abs(squares.mean() - limit) < 5 * squares.std() / draws**0.5
    one = torch.sigmoid(1e4 * (lengths[:, 0] - lengths[:, 1]))
    assert abs(((one - 0.5) ** 2).mean() - 0.25) < 1e-3


def test_the_steadiest_tie_is_also_the_nearest_at_its_gap():
    """With a gap that is fixed and little noise, less noise in the lead is a smaller miss."""
    n, alpha, s = 6, 0.001, 0.5**0.5
    best = 4 * torch.tensor(towards_and_away(n, alpha), dtype=torch.float64)
    shifts = [pair_miss((best + c)[None], alpha, s) for c in (-1.0, -0.3, 0.0, 0.3, 1.0)]
    assert min(shifts) == shifts[2]
