"""The exercises of the chapter on lookup: right answers pass its checkers, wrong ones do not."""

import math

import numpy as np
import torch
from exercises import Checkers
from helpers import cells_of

from attnlib.lookup import averaging_query, subspace_projector

CELLS = cells_of("lookup")
EXERCISES = [cell for cell in CELLS[1:] if "check_" in cell.code and "claim(" not in cell.code]
RUN = [CELLS[0], *EXERCISES]


def units(n, a, b, beta):
    return beta * (torch.eye(n)[a] + torch.eye(n)[b])


def pair_by_gram(K, a, b, beta):
    x = torch.linalg.solve(K @ K.T, units(len(K), a, b, beta))
    return (K.T @ x).float()


def pair_by_projection(K, a, b, beta):
    """The part of each key that no other key has, by its square."""
    q = torch.zeros(K.shape[1])
    for i in (a, b):
        rest = torch.cat([K[:i], K[i + 1 :]]).T
        own = K[i] - rest @ torch.linalg.lstsq(rest, K[i][:, None]).solution[:, 0]
        q = q + beta * own / (own @ K[i])
    return q


def pair_and_more(K, a, b, beta):
    """Any vector that all keys are orthogonal to may be added."""
    q = torch.linalg.pinv(K) @ units(len(K), a, b, beta)
    w = torch.ones(K.shape[1])
    return (q + w - torch.linalg.pinv(K) @ (K @ w)).tolist()


def fit(A, B, s):
    AB = torch.cat([A, B], 1)
    return A @ torch.linalg.lstsq(AB, s[:, None]).solution[: A.shape[1], 0]


def fit_in_numpy(A, B, s):
    x = np.linalg.pinv(np.hstack([A.numpy(), B.numpy()])) @ s.numpy()
    return A.numpy() @ x[: A.shape[1]]


def oblique(A, B, s):
    R = torch.eye(len(B)) - subspace_projector(B)
    return (A @ torch.linalg.solve(A.T @ R @ A, A.T @ R @ s)).float()


def what_b_leaves(A, B, s):
    """Remove B, then solve for the coefficients of A."""
    R = torch.eye(len(B)) - subspace_projector(B)
    return (A @ torch.linalg.lstsq(R @ A, (R @ s)[:, None]).solution[:, 0]).tolist()


def leak(beta, n, m):
    return (n - m) / (m * math.exp(beta) + n - m)


def by_softmax(beta, n, m):
    z = torch.cat([torch.full((m,), beta), torch.zeros(n - m)])
    return z.softmax(0)[m:].sum()


def foot(a, b, c):
    along = c - b
    t = ((a - b) @ along / max(along @ along, 1e-9)).clamp(0, 1)
    away = a - b - t * along
    return away / (away @ away)


def by_cases(a, b, c):
    """An end of the segment, unless the foot of the perpendicular lies within."""
    if (a - b) @ (c - b) <= 0:
        return ((a - b) / (a - b).square().sum()).float()
    if (a - c) @ (b - c) <= 0:
        return ((a - c) / (a - c).square().sum()).float()
    normal = torch.stack([b[1] - c[1], c[0] - b[0]])
    return (normal / (normal @ (a - b))).tolist()


def by_search(a, b, c):
    """A fine grid of directions, then of the one that needs the least length."""
    low, high = 0.0, 2 * math.pi
    for _ in range(6):
        t = torch.linspace(low, high, 401)
        way = torch.stack([t.cos(), t.sin()], 1)
        gap = torch.minimum(way @ (a - b), way @ (a - c))
        best, step = int(gap.argmax()), (high - low) / 400
        low, high = t[best].item() - 2 * step, t[best].item() + 2 * step
    return way[best] / gap[best]


RIGHT = {
    "check_pair": [
        lambda K, a, b, beta: torch.linalg.pinv(K) @ units(len(K), a, b, beta),
        pair_by_gram, pair_by_projection, pair_and_more,
    ],
    "check_recover": [fit, fit_in_numpy, oblique, what_b_leaves],
    "check_group": [
        leak, by_softmax,
        lambda beta, n, m: 1 - m * math.exp(beta) / (m * math.exp(beta) + n - m),
        lambda beta, n, m: torch.tensor(leak(beta, n, m), dtype=torch.float32),
        lambda beta, n, m: 1 / (1 + math.exp(beta + math.log(m / (n - m)))),
    ],
    "check_shortest": [foot, by_cases, by_search, lambda *keys: foot(*keys).float().numpy()],
}  # fmt: skip
WRONG = {
    "check_pair": [
        (lambda K, a, b, beta: torch.linalg.pinv(K) @ units(len(K), 0, 1, beta), "the scores are"),
        (lambda K, a, b, beta: torch.linalg.pinv(K) @ units(len(K), a, b, 1.0), "the scores are"),
        (lambda K, a, b, beta: torch.linalg.solve(K, units(len(K), a, b, beta)), "square"),
        (lambda K, a, b, beta: beta * (K[a] / K[a].square().sum() + K[b] / K[b].square().sum()),
         "the scores are"),
        (lambda K, a, b, beta: beta * (K[a] - K[b]), "the scores are"),
        (lambda K, a, b, beta: beta * K[a], "the scores are"),
        (lambda K, a, b, beta: (torch.linalg.pinv(K) @ units(len(K), a, b, beta))[:, None],
         "a query of three"),
        (lambda K, a, b, beta: 0.5, "a query of three"),
        (lambda K, a, b, beta: [], "a query of three"),
        (lambda K, a, b, beta: averaging_query(K[a], K[b], beta) * math.nan, "the scores are"),
    ],
    "check_recover": [
        (lambda A, B, s: s - subspace_projector(B) @ s, "it gives"),
        (lambda A, B, s: fit(A[:, :1], B, s), "it gives"),
        (lambda A, B, s: fit(A, B[:, :1], s), "it gives"),
        (lambda A, B, s: subspace_projector(A) @ (s - subspace_projector(B) @ s), "it gives"),
        (lambda A, B, s: A @ A.T @ s, "it gives"),
        (lambda A, B, s: fit(B, A, s), "it gives"),
        (lambda A, B, s: s / 2, "it gives"),
        (lambda A, B, s: fit(A, B, s)[:, None], "a vector of 4 numbers"),
        (lambda A, B, s: 0.5, "a vector of 4 numbers"),
        (lambda A, B, s: [], "a vector of 4 numbers"),
        (lambda A, B, s: s * math.nan, "it gives"),
    ],
    "check_group": [
        (lambda beta, n, m: (n - m) / (math.exp(beta) + n - m), "softmax leaves"),
        (lambda beta, n, m: (n - m) / (m * math.exp(beta) + n), "softmax leaves"),
        (lambda beta, n, m: m * leak(beta, n, 1), "softmax leaves"),
        (lambda beta, n, m: (n - 1) / (m * math.exp(beta) + n - 1), "softmax leaves"),
        (lambda beta, n, m: 1 - leak(beta, n, m), "softmax leaves"),
        (lambda beta, n, m: torch.full((m + 1,), leak(beta, n, m)), "one number"),
        (lambda beta, n, m: [], "one number"),
        (lambda beta, n, m: "none", "str"),
        (lambda beta, n, m: math.nan, "softmax leaves"),
    ],
    "check_shortest": [
        (lambda a, b, c: foot(a, b, b), "the gap is"),
        (lambda a, b, c: 2 * foot(a, b, c), "a query of length"),
        (lambda a, b, c: a - b + a - c, "query of length"),
        (lambda a, b, c: foot(a, b, c) * foot(a, b, c).norm(), "the gap is"),
        (lambda a, b, c: -foot(a, b, c), "the gap is"),
        (lambda a, b, c: a / (a @ a), "the gap is"),
        (lambda a, b, c: foot(a, b, c)[:, None], "two numbers"),
        (lambda a, b, c: 0.5, "two numbers"),
        (lambda a, b, c: [], "two numbers"),
        (lambda a, b, c: a * math.nan, "the gap is"),
    ],
}  # fmt: skip


class TestCheckers(Checkers):
    pass
