"""The checkers of the exercises of notebooks/smooth_max.md: what they accept and what not."""

import math

import torch
from exercises import Checkers
from helpers import cells_of

from attnlib.smooth_max import boltzmann_max, mellowmax, smooth_max

CELLS = cells_of("smooth_max")
FIRST = next(i for i, cell in enumerate(CELLS) if "@check_answer" in cell.code)
EXERCISES = CELLS[FIRST:]
RUN = [CELLS[0], *EXERCISES]


def two_by_two(x, k):
    """One number after the other."""
    total = x[0]
    for entry in x[1:]:
        total = torch.logaddexp(k * total, k * entry) / k
    return total


def least_by_a_loop(x, k):
    low = min(x.tolist())
    return low - math.log(sum(math.exp(k * (low - entry)) for entry in x.tolist())) / k


RIGHT = {
    "check_lse": [
        lambda x, k: torch.logsumexp(k * x, 0) / k,
        lambda x, k: x.max() - torch.log_softmax(k * x, 0).max() / k,
        lambda x, k: -least_by_a_loop(-x, k),
        two_by_two,
        lambda x, k: torch.logsumexp(k * x, 0, keepdim=True) / k,
    ],
    "check_min": [
        lambda x, k: -torch.logsumexp(-k * x, 0) / k,
        lambda x, k: -(torch.exp(-k * x).mean().log()) / k,
        lambda x, k: -torch.logsumexp(-3 * k * x, 0) / (3 * k),
        lambda x, k: -smooth_max(-x, 1000 * k),
        lambda x, k: -smooth_max(-x, 1e5 * k),
        lambda x, k: -torch.logsumexp(-k * x, 0).item() / k,
        least_by_a_loop,
    ],
}
WRONG = {
    "check_lse": [
        (lambda x, k: torch.exp(k * x).sum().log() / k, "finite"),
        (lambda x, k: torch.exp(x - x.max()).sum().log() / k + x.max(), "must be 1"),
        (lambda x, k: x.max(), "must be 1"),
        (lambda x, k: torch.logsumexp(k * x.float(), 0) / k, "must be 1, it is "),
        (lambda x, k: x[0] + torch.exp(k * (x - x[0])).sum().log() / k, "finite"),
        (lambda x, k: torch.exp(k * x.clamp(-200, 200)).sum().log() / k, ""),
        (lambda x, k: (x.max() + torch.exp(k * (x - x.max())).sum().log()) / k, "must be 1"),
        (lambda x, k: mellowmax(x, k), "must be 1"),
        (lambda x, k: torch.exp(k * (x - x.mean())).sum().log() / k + x.mean(), ""),
        (lambda x, k: boltzmann_max(x, k), "must be 1"),
        (lambda x, k: x.tolist(), "list"),
        (lambda x, k: math.nan, "finite"),
    ],
    "check_min": [
        (lambda x, k: x.min(), "kink"),
        (lambda x, k: 0.99 * x.min() + 0.01 * x.mean(), "kink"),
        (lambda x, k: 0.001 * x.min() - 0.999 * smooth_max(-x, k), "kink"),
        (lambda x, k: -boltzmann_max(-x, k), "falls where an entry rises"),
        (lambda x, k: -smooth_max(-x.sort().values[:2], k), "kink"),
        (lambda x, k: -smooth_max(x, k), ""),
        (lambda x, k: smooth_max(-x, k), ""),
        (lambda x, k: x.mean(), "too far"),
        (lambda x, k: -torch.logsumexp(-x, 0), ""),
        (lambda x, k: x.sum() - smooth_max(x, k), "shift"),
        (lambda x, k: x.tolist(), "list"),
        (lambda x, k: math.nan, "too far"),
    ],
}


class TestCheckers(Checkers):
    pass
