"""The checkers of the exercises of notebooks/training.md: what they accept and what they refuse."""

import itertools
import math

import torch
from exercises import Checkers
from helpers import cells_of

CELLS = cells_of("training")
EXERCISES = [cell for cell in CELLS[1:] if "check_" in cell.code]
RUN = [CELLS[0], *EXERCISES]


def by_halving(p, K):
    """The share is found by trying."""
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        eps = (low + high) / 2
        low, high = (eps, high) if 1 - eps + eps / K > p else (low, eps)
    return low


def in_logits(q, eps):
    logits = (q - eps / q.numel()).clamp(min=0).log()
    return torch.softmax(logits, 0)


def by_a_matrix(q, eps):
    """Smoothing is a linear map: invert it."""
    n = len(q)
    return torch.linalg.solve((1 - eps) * torch.eye(n) + eps / n * torch.ones(n, n), q)


def over_all_masks(X, y, w, r):
    total = 0.0
    for keep in itertools.product((0.0, 1.0), repeat=X.numel()):
        mask = torch.tensor(keep).view_as(X)
        chance = math.prod((1 - r) if k else r for k in keep)
        total = total + chance * (y - (X * mask / (1 - r)) @ w).square().sum()
    return total


def by_rows(X, y, w, r):
    """Mean square of each residual: square of its mean, and its variance."""
    total = 0.0
    for x, target in zip(X, y, strict=True):
        total += (target - x @ w) ** 2 + ((x * w) ** 2).sum() * (1 / (1 - r) - 1)
    return total


def by_second_moments(X, y, w, r):
    G = X.T @ X
    G = G + r / (1 - r) * torch.diag(torch.diag(G))
    return y @ y - 2 * y @ X @ w + w @ G @ w


def residual(X, y, w):
    return ((y - X @ w) ** 2).sum()


RIGHT = {
    "check_epsilon": [
        lambda p, K: (1 - p) * K / (K - 1),
        lambda p, K: (1 - p) / (1 - 1 / K),
        lambda p, K: torch.tensor((p - 1) / (1 / K - 1)),
        by_halving,
        lambda p, K: torch.tensor((1 - p) * K / (K - 1), dtype=torch.float32),
    ],
    "check_unsmooth": [
        lambda q, eps: (q - eps / len(q)) / (1 - eps),
        in_logits,
        by_a_matrix,
        lambda q, eps: (q.float() - eps / len(q)) / (1 - eps),
        lambda q, eps: [(x - eps / len(q)) / (1 - eps) for x in q.tolist()],
    ],
    "check_mean_loss": [
        lambda X, y, w, r: residual(X, y, w) + r / (1 - r) * ((X * w) ** 2).sum(),
        over_all_masks,
        by_rows,
        lambda X, y, w, r: by_second_moments(X.float(), y.float(), w.float(), r),
        lambda X, y, w, r: by_second_moments(X, y, w, r).item(),
    ],
}
WRONG = {
    "check_epsilon": [
        (lambda p, K: 1 - p, "ends at"),
        (lambda p, K: (1 - p) * (K - 1) / K, "ends at"),
        (lambda p, K: (1 - p) / K, "ends at"),
        (lambda p, K: p, "ends at"),
        (lambda p, K: (1 - p) * K, "no share"),
        (lambda p, K: 1 / (1 + p * K), "ends at"),
        (lambda p, K: math.log(p), "no share"),
        (lambda p, K: torch.full((K,), 1 - p), "one number"),
        (lambda p, K: [], "one number"),
        (lambda p, K: "all", "str"),
        (lambda p, K: math.nan, "no share"),
    ],
    "check_unsmooth": [
        (lambda q, eps: (q - eps).clamp(min=0), "came from the law"),
        (lambda q, eps: (q - eps) / (1 - eps), "came from the law"),
        (lambda q, eps: q / (1 - eps), "came from the law"),
        (lambda q, eps: q - eps / len(q), "came from the law"),
        (lambda q, eps: (q - eps / (len(q) - 1)) / (1 - eps), "came from the law"),
        (lambda q, eps: (1 - eps) * q + eps / len(q), "came from the law"),
        (lambda q, eps: q, "came from the law"),
        (lambda q, eps: torch.softmax(q.log() / (1 - eps), 0), "came from the law"),
        (lambda q, eps: q.max(), "one probability for each class"),
        (lambda q, eps: 0.5, "one probability for each class"),
        (lambda q, eps: q * math.nan, "came from the law"),
    ],
    "check_mean_loss": [
        (lambda X, y, w, r: residual(X, y, w), "the mean is"),
        (lambda X, y, w, r: residual(X, y, w) + r * ((X * w) ** 2).sum(), "the mean is"),
        (lambda X, y, w, r: residual(X, y, w) + r * (1 - r) * ((X * w) ** 2).sum(), "the mean is"),
        (lambda X, y, w, r: residual(X, y, w) + r / (1 - r) * (X @ w).square().sum(),
         "the mean is"),
        (lambda X, y, w, r: residual((1 - r) * X, y, w) + r * (1 - r) * ((X * w) ** 2).sum(),
         "the mean is"),
        (lambda X, y, w, r: residual(X, y, w) + (1 - r) / r * ((X * w) ** 2).sum(), "the mean is"),
        (lambda X, y, w, r: (y - X @ w) ** 2 + r / (1 - r) * ((X * w) ** 2).sum(1), "one number"),
        (lambda X, y, w, r: [], "one number"),
        (lambda X, y, w, r: math.nan, "the mean is"),
    ],
}  # fmt: skip


class TestCheckers(Checkers):
    pass


def test_the_two_exercises_on_paper():
    """A row divided by what is left of it, and the rate that a factor on a table stands for."""
    row = torch.tensor([0.75, 0.25], dtype=torch.float64)
    kept = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    left = kept * row
    mean = (left / left.sum(1, keepdim=True)).mean(0)
    torch.testing.assert_close(mean, torch.tensor([7 / 12, 5 / 12], dtype=torch.float64))
    for optimiser, power in ((torch.optim.SGD, 1), (torch.optim.Adam, 0.5)):
        d, target = 16, torch.linspace(-1, 1, 16, dtype=torch.float64)
        E = torch.full((d,), 0.25, dtype=torch.float64, requires_grad=True)
        W = torch.ones(d, dtype=torch.float64, requires_grad=True)  # √d E
        for table, factor, rate in ((E, d**0.5, 0.001), (W, 1.0, 0.001 * d**power)):
            step = optimiser([table], lr=rate)
            for _ in range(5):
                step.zero_grad()
                (factor * table - target).square().sum().backward()
                step.step()
        torch.testing.assert_close(d**0.5 * E, W, rtol=1e-6, atol=0)
