"""The checkers of the exercises of notebooks/bilinear.md: what they accept and what they refuse."""

import math

import torch
from exercises import Checkers
from helpers import cells_of

from attnlib.bilinear import unidentifiable

CELLS = cells_of("bilinear")
FIRST = next(i for i, cell in enumerate(CELLS) if "@check_answer" in cell.code)
EXERCISES = CELLS[FIRST:]
RUN = [CELLS[0], *EXERCISES]


def by_projectors(W_Q, W_K):
    P, R = (torch.eye(3) - W @ W.T / (W.T @ W) for W in (W_Q, W_K))
    C = torch.linspace(1, 2, 9).reshape(3, 3).sin()
    return P @ C @ R


def across(w):
    """Some vector at right angles to a column."""
    x, y, z = w[:, 0].tolist()
    return torch.tensor([y, -x, 0.0]) if x or y else torch.tensor([z, 0.0, 0.0])


def by_kernel(W_Q, W_K):
    N_Q, N_K = unidentifiable(W_Q, W_K)
    return N_Q @ torch.tensor([[1.0, 2.0], [3.0, 5.0]]) @ N_K.T


def keep(scores, u, r):
    order = sorted(range(3), key=lambda i: -float(scores[i]))[:r]
    return torch.tensor([float(u[i]) if i in order else 0.0 for i in range(3)])


def by_roots(u, c, r):
    P, s, R = torch.linalg.svd(torch.diag(c * u * c))
    return torch.diagonal((P[:, :r] * s[:r]) @ R[:r]) / c**2


def by_trying_all(u, c, r):
    masks = torch.eye(3) if r == 1 else 1 - torch.eye(3)
    return u * min(masks, key=lambda m: float((c**2 * u * (1 - m)).norm()))


def by_basis(W_Q, W_K):
    """Entries that no change of the kernel's basis touches."""
    N_Q, N_K = unidentifiable(W_Q, W_K)
    kernel = torch.einsum("ip,jq->pqij", N_Q, N_K).flatten(0, 1)
    return (kernel.abs().amax(0) < 1e-9).long()


def by_directions(W_Q, W_K):
    unit_Q, unit_K = (W[:, 0].abs() / W.norm() > 1 - 1e-9 for W in (W_Q, W_K))
    return [[bool(a or b) for b in unit_K] for a in unit_Q]


def by_columns(W_Q, W_K):
    sure = torch.zeros(3, 3)
    for k in range(3):
        sure[k] += (W_Q.flatten() != 0).tolist() == [i == k for i in range(3)]
        sure[:, k] += (W_K.flatten() != 0).tolist() == [i == k for i in range(3)]
    return sure.clamp(max=1)


def strike(M, axis, where=0):
    mask = torch.ones_like(M)
    mask.select(axis, where).zero_()
    return M * mask


def one_entry(M):
    M[0, 0] = 0
    return M


RIGHT = {
    "check_certain": [
        by_basis,
        by_directions,
        by_columns,
        lambda W_Q, W_K: by_basis(W_Q, W_K).float().numpy(),
    ],
    "check_zeros": [
        lambda M: strike(M, int(M.shape[0] < M.shape[1])),
        lambda M: strike(M, int(M.shape[0] <= M.shape[1]), -1),
        lambda M: min((strike(M, a) for a in (0, 1)), key=lambda Z: int((Z == 0).sum())).tolist(),
        lambda M: strike(M, int(M.shape[0] < M.shape[1])).float().numpy(),
    ],
    "check_invisible": [
        by_projectors,
        by_kernel,
        lambda W_Q, W_K: torch.outer(across(W_Q), across(W_K)),
        lambda W_Q, W_K: (across(W_Q)[:, None] * across(W_K)).tolist(),
        lambda W_Q, W_K: 1e-9 * by_projectors(W_Q, W_K).float(),
    ],
    "check_scores": [
        lambda u, c, r: keep(c**2 * u.abs(), u, r),
        by_roots,
        by_trying_all,
        lambda u, c, r: keep(c**4 * u**2, u, r).tolist(),
    ],
}
WRONG = {
    "check_certain": [
        (lambda W_Q, W_K: (W_Q != 0) | (W_K.T != 0), "is not determined"),
        (lambda W_Q, W_K: (W_Q != 0) & (W_K.T != 0), "determined"),
        (lambda W_Q, W_K: torch.zeros(3, 3), "is determined"),
        (lambda W_Q, W_K: torch.ones(3, 3), "is not determined"),
        (lambda W_Q, W_K: by_basis(W_Q, W_K).T, "determined"),
        (lambda W_Q, W_K: by_basis(W_K, W_Q), "determined"),
        (lambda W_Q, W_K: 1 - by_basis(W_Q, W_K), "determined"),
        (lambda W_Q, W_K: by_basis(W_Q, W_K) * (W_Q != 0), "is determined"),
        (lambda W_Q, W_K: (W_Q == 0) & (W_K.T == 0), "determined"),
        (lambda W_Q, W_K: torch.randint(2, (3, 3)), "determined"),
        (lambda W_Q, W_K: by_basis(W_Q, W_K)[0], "shape"),
        (lambda W_Q, W_K: W_Q @ W_K.T / 7, "0 or 1"),
        (lambda W_Q, W_K: math.nan * torch.eye(3), "0 or 1"),
        (lambda W_Q, W_K: 0.5, "shape"),
    ],
    "check_zeros": [
        (lambda M: strike(M, 0), "are enough"),
        (lambda M: strike(M, 1), "are enough"),
        (lambda M: 0 * M, "are enough"),
        (lambda M: M, "nothing is zeroed"),
        (one_entry, "the rank is 2"),
        (lambda M: M - torch.eye(*M.shape) * M, "the rank is 2"),
        (lambda M: -strike(M, int(M.shape[0] < M.shape[1])), "must stay"),
        (lambda M: M.triu(1), "are enough"),
        (lambda M: M[1:], "shape"),
        (lambda M: M.tolist()[0], "shape"),
        (lambda M: math.nan * M, "must stay"),
        (lambda M: 0.0, "shape"),
    ],
    "check_invisible": [
        (lambda W_Q, W_K: torch.eye(3) - W_K @ W_K.T / (W_K.T @ W_K), "the gradient of W_K"),
        (lambda W_Q, W_K: torch.eye(3) - W_Q @ W_Q.T / (W_Q.T @ W_Q), "the gradient of W_Q"),
        (lambda W_Q, W_K: by_projectors(W_Q, W_K).T, "sees it"),
        (lambda W_Q, W_K: torch.zeros(3, 3), "its largest entry is 0"),
        (lambda W_Q, W_K: W_Q @ W_K.T, "sees it"),
        (lambda W_Q, W_K: torch.outer(across(W_K), across(W_Q)), "sees it"),
        (lambda W_Q, W_K: across(W_Q), "shape"),
        (lambda W_Q, W_K: 1.0, "shape"),
        (lambda W_Q, W_K: math.nan * torch.eye(3), "nan"),
        (lambda W_Q, W_K: "E", ""),
    ],
    "check_scores": [
        (lambda u, c, r: keep(u.abs(), u, r), "best"),
        (lambda u, c, r: keep(c**2 * u, u, r), "best"),
        (lambda u, c, r: keep(c * u.abs(), u, r), "best"),
        (lambda u, c, r: keep(c, u, r), "best"),
        (lambda u, c, r: keep(c**4 * u.abs(), u, r), "best"),
        (lambda u, c, r: 0 * u, "best"),
        (lambda u, c, r: keep(c**2 * u.abs(), u.abs(), r), "best"),
        (lambda u, c, r: keep(c**2 * u.abs(), c**2 * u, r), "best"),
        (lambda u, c, r: u, "rank"),
        (lambda u, c, r: torch.diag(keep(c**2 * u.abs(), u, r)), "shape"),
        (lambda u, c, r: 0.0, "shape"),
        (lambda u, c, r: "v", ""),
    ],
}


class TestCheckers(Checkers):
    pass
