"""The exercises of the chapter on positions: right answers pass its checkers, wrong ones do not."""

import math

import numpy as np
import torch
from exercises import Checkers
from helpers import cells_of

from attnlib.positions import frequencies, rotary, shift_rotation, sinusoids

CELLS = cells_of("positions")
EXERCISES = [cell for cell in CELLS[1:] if "check_" in cell.code and "claim(" not in cell.code]
RUN = [CELLS[0], *EXERCISES]


def back_by_angles(code, k):
    """Read each clock, set it back."""
    at = torch.atan2(code[::2], code[1::2]) - k * torch.tensor([1, 0.1], dtype=code.dtype)
    return torch.stack([at.sin(), at.cos()], 1).flatten()


def back_by_complex_numbers(code, k):
    z = code[1::2].numpy() + 1j * code[::2].numpy()
    z = z * np.exp(-1j * k * np.array([1, 0.1]))
    return [x for one in z for x in (one.imag, one.real)]


def leave_the_last(x, positions):
    return torch.cat([rotary(x[:, :-1], positions), x[:, -1:]], 1)


def leave_the_first_turn_back(x, positions):
    return torch.cat([x[:, :1], rotary(x[:, 1:], -positions, base=7)], 1)


def by_an_exponential(x, positions):
    """Any orthogonal matrix to the power of the position."""
    d = x.shape[1]
    A = torch.randn(d, d, generator=torch.Generator().manual_seed(d), dtype=x.dtype)
    return torch.stack([torch.matrix_exp(p * (A - A.T)) @ row
                        for p, row in zip(positions, x, strict=True)])  # fmt: skip


def turn_one_pair(x, positions):
    y = x.float()
    t = positions.float()
    y[:, 0], y[:, 1] = t.cos() * y[:, 0] - t.sin() * y[:, 1], t.sin() * y[:, 0] + t.cos() * y[:, 1]
    return y


def ahead_by_blocks(delta, d):
    """The same clocks for queries, set forward; twice the size."""
    c, s = (delta * frequencies(d)).cos(), (delta * frequencies(d)).sin()
    return 2 * torch.block_diag(*torch.stack([c, -s, s, c], 1).view(-1, 2, 2))


def ahead_by_a_power(delta, d):
    return torch.linalg.matrix_power(shift_rotation(1, d), -delta).float()


def base_by_halving(L):
    low, high = 0.0, 60.0  # of ln b
    fine = (torch.arange(4000) + 0.5) / 4000
    while high - low > 1e-6:
        mid = (low + high) / 2
        above = torch.cos(L * torch.exp(-mid * fine)).mean() > 0.5
        low, high = (low, mid) if above else (mid, high)
    return math.exp(high)


GAMMA = 0.5772156649
RIGHT = {
    "check_back": [
        lambda code, k: code @ shift_rotation(k, 4, 100.0),
        lambda code, k: (shift_rotation(-k, 4, 100.0) @ code).float(),
        back_by_angles,
        back_by_complex_numbers,
    ],
    "check_turn": [
        leave_the_last, leave_the_first_turn_back, by_an_exponential, turn_one_pair,
        lambda x, at: leave_the_last(x, at).numpy(),
        lambda x, at: leave_the_last(x, at).tolist(),
    ],
    "check_ahead": [
        lambda delta, d: shift_rotation(-delta, d),
        lambda delta, d: shift_rotation(delta, d).T.numpy(),
        lambda delta, d: shift_rotation(-delta, d).tolist(),
        ahead_by_blocks,
        ahead_by_a_power,
    ],
    "check_order": [
        lambda d: [i + j for i in range(d // 2) for j in (0, d // 2)],
        lambda d: torch.arange(d).view(2, -1).T.flatten(),
        lambda d: np.arange(d).reshape(2, -1).ravel(order="F"),
        lambda d: tuple(sorted(range(d), key=lambda i: (i % (d // 2), i))),
    ],
    "check_base": [
        lambda L: (math.exp(GAMMA) * L) ** 2,
        lambda L: torch.tensor(math.exp(2 * GAMMA) * L * L, dtype=torch.float32),
        lambda L: 3.17 * L**2,
        base_by_halving,
    ],
}  # fmt: skip
WRONG = {
    "check_back": [
        (lambda code, k: shift_rotation(k, 4, 100.0) @ code, "clock"),
        (lambda code, k: code @ shift_rotation(k, 4), "clock"),
        (lambda code, k: code @ shift_rotation(k, 4, 10.0), "clock"),
        (lambda code, k: code - sinusoids(k + 1, 4, 100.0)[k], "clock"),
        (lambda code, k: code, "clock"),
        (lambda code, k: code[:2] @ shift_rotation(k, 2), "four numbers"),
        (lambda code, k: 0.5, "four numbers"),
        (lambda code, k: [], "four numbers"),
        (lambda code, k: code * math.nan, "clock"),
    ],
    "check_turn": [
        (lambda x, at: x, "no difference"),
        (lambda x, at: rotary(torch.nn.functional.pad(x, (0, 1)), at)[:, 1:], "length"),
        (lambda x, at: x + torch.nn.functional.pad(sinusoids(30, x.shape[1] - 1), (0, 1))[at],
         "length"),
        (lambda x, at: x * 0.99 ** at[:, None], "length"),
        (lambda x, at: leave_the_last(x, at**2), "changes when both move"),
        (lambda x, at: leave_the_last(x, at.clamp(max=9)), "changes when both move"),
        (lambda x, at: leave_the_last(x, at - at[0]), "no difference"),
        (lambda x, at: leave_the_last(x, torch.ones_like(at)), "no difference"),
        (lambda x, at: rotary(torch.nn.functional.pad(x, (0, 1)), at), "as wide"),
        (lambda x, at: x.roll(1, 0), "length"),
        (lambda x, at: 0.5, "float"),
        (lambda x, at: [], "list"),
        (lambda x, at: x * math.nan, "length"),
    ],
    "check_ahead": [
        (lambda delta, d: torch.eye(d), "the largest score is at"),
        (lambda delta, d: shift_rotation(abs(delta), d), "the largest score is at"),
        (lambda delta, d: -shift_rotation(-delta, d), "the largest score is at"),
        (lambda delta, d: shift_rotation(-delta, d, 100.0), "the largest score is at"),
        (lambda delta, d: shift_rotation(-delta, d).flip(1), "the largest score is at"),
        (lambda delta, d: torch.ones(d, d), "the largest score is at"),
        (lambda delta, d: shift_rotation(-delta, 2), "matrix"),
        (lambda delta, d: 0.5, "matrix"),
        (lambda delta, d: [], "matrix"),
    ],
    "check_order": [
        (lambda d: list(range(d)), "not with the order"),
        (lambda d: list(range(d))[::-1], "not with the order"),
        (lambda d: [*range(0, d, 2), *range(1, d, 2)], "not with the order"),
        (lambda d: [i + j for i in range(d // 2) for j in (d // 2, 0)], "not with the order"),
        (lambda d: [x for i in range(d // 2) for x in (i, d - 1 - i)], "not with the order"),
        (lambda d: [2 * i for i in range(d)], "every coordinate once"),
        (lambda d: [0] * d, "every coordinate once"),
        (lambda d: [], "every coordinate once"),
        (lambda d: 0.5, "float"),
    ],
    "check_base": [
        (lambda L: math.exp(GAMMA) * L, "similarity"),
        (lambda L: 2 * L**2, "similarity"),
        (lambda L: (L / math.exp(GAMMA)) ** 2, "similarity"),
        (lambda L: 10000, "similarity"),
        (lambda L: math.exp(L), "similarity"),
        (lambda L: 1 / L, "exceed 1"),
        (lambda L: torch.full((3,), 3.17 * L**2), "one number"),
        (lambda L: [], "one number"),
        (lambda L: "all", "str"),
        (lambda L: math.nan, "exceed 1"),
    ],
}  # fmt: skip


class TestCheckers(Checkers):
    pass
