"""The checkers of the exercises of notebooks/layer_costs.md: what they accept and what not."""

import math

import torch
from exercises import Checkers
from helpers import RIGHT_ANSWER, WRONG_ANSWER, cells_of

CELLS = cells_of("layer_costs")
FIRST = next(i for i, cell in enumerate(CELLS) if "@check_answer" in cell.code)
LAST = max(i for i, cell in enumerate(CELLS) if "hide-cell" in cell.tags)
EXERCISES = CELLS[FIRST : LAST + 1]
NEEDED = ("def draw", "def recurrent")
RUN = [CELLS[0], *(c for c in CELLS if any(word in c.code for word in NEEDED)), *EXERCISES]


def field_by_sets(stack):
    seen = {0}
    for taps, step in stack:
        seen = {back + j * step for back in seen for j in range(taps)}
    return max(seen) + 1


def digits(offset, k):
    found = []
    while offset:
        offset, digit = divmod(offset, k)
        found.append(digit)
    return found


def by_outer_products(Q, K, V):
    """No product of matrices, and no n × n entries."""
    M = (K[:, :, None] * V[:, None, :]).sum(0)
    return (Q[:, :, None] * M).sum(1) / (Q * K.sum(0)).sum(1, keepdim=True)


def by_einsum(Q, K, V):
    M = torch.einsum("sd,se->de", K, V)
    return torch.einsum("td,de->te", Q, M) / torch.einsum("td,d->t", Q, K.sum(0))[:, None]


def one_after_the_other(Q, K, V):
    M, Z = torch.zeros(K.shape[1], V.shape[1]), torch.zeros(K.shape[1])
    for k, v in zip(K, V, strict=True):
        M, Z = M + k[:, None] * v, Z + k
    return Q @ M / (Q * Z).sum(1, keepdim=True)


def ones_beside(Q, K, V):
    """Values and normaliser in one product."""
    Y = Q @ (K.T @ torch.cat([V, torch.ones(len(V), 1)], 1))
    return Y[:, :-1] / Y[:, -1:]


def quadratic(Q, K, V):
    A = (Q[:, None] * K).sum(-1)
    return (A[:, :, None] * V).sum(1) / A.sum(1, keepdim=True)


def query_by_query(Q, K, V):
    rows = [(q * K).sum(1) for q in Q]
    return torch.stack([(a[:, None] * V).sum(0) / a.sum() for a in rows])


def in_numpy(Q, K, V):
    """Quadratic, where nothing is counted."""
    Q, K, V = (M.numpy() for M in (Q, K, V))
    A = Q @ K.T
    return torch.from_numpy(A @ V / A.sum(1, keepdims=True))


RIGHT = {
    "check_field": [
        lambda stack: 1 + sum((k - 1) * step for k, step in stack),
        lambda stack: sum(k * step - step for k, step in stack) + 1.0,
        field_by_sets,
    ],
    "check_pairs": [
        lambda n, w: n * (min(w, n - 1) + 1) - min(w, n - 1) * (min(w, n - 1) + 1) // 2,
        lambda n, w: sum(min(t, w) + 1 for t in range(n)),
        lambda n, w: torch.ones(n, n).tril().triu(-w).sum(),
        lambda n, w: n * (n + 1) // 2 - max(0, n - 1 - w) * max(0, n - w) // 2,
    ],
    "check_linear": [
        lambda Q, K, V: Q @ (K.T @ V) / (Q @ K.sum(0)[:, None]),
        by_outer_products,
        by_einsum,
        one_after_the_other,
        ones_beside,
        lambda Q, K, V: V if len(Q) == 1 else ones_beside(Q, K, V),
        lambda Q, K, V: Q @ (K.T @ (V / (Q @ K.sum(0)).mean())) * (Q @ K.sum(0)).mean()
        / (Q @ K.sum(0))[:, None],
    ],
    "check_route": [
        digits,
        lambda offset, k: [offset // k**i % k for i in range(20) if k**i <= offset],
        lambda offset, k: tuple(digits(offset, k)),
        lambda offset, k: torch.tensor(digits(offset, k)),
    ],
}  # fmt: skip
WRONG = {
    "check_field": [
        (lambda stack: math.prod(k for k, step in stack), "the search finds"),
        (lambda stack: sum((k - 1) * step for k, step in stack), "the search finds"),
        (lambda stack: sum(k * step for k, step in stack), "the search finds"),
        (lambda stack: 1 + sum(k - 1 for k, step in stack), "the search finds"),
        (lambda stack: 1 + max((k - 1) * step for k, step in stack), "the search finds"),
        (lambda stack: sum((k - 1) * step for k, step in stack) + len(stack), "the search finds"),
        (lambda stack: str(field_by_sets(stack)), "got '1', the search finds 1"),
        (lambda stack: [1], "the search finds"),
    ],
    "check_pairs": [
        (lambda n, w: n * (w + 1) - w * (w + 1) // 2, "there are"),
        (lambda n, w: n * min(n, w + 1), "there are"),
        (lambda n, w: n * (n + 1) // 2, "there are"),
        (lambda n, w: n * (2 * w + 1) - w * (w + 1), "there are"),
        (lambda n, w: n * (min(w, n) + 1) - min(w, n) ** 2 // 2, "there are"),
        (lambda n, w: [n], "there are"),
        (lambda n, w: math.nan, "there are"),
    ],
    "check_linear": [
        (lambda Q, K, V: Q @ K.T @ V / (Q @ K.T).sum(1, keepdim=True), "allowed"),
        (quadratic, "grows like n²"),
        (query_by_query, "grows like n²"),
        (in_numpy, "work with torch"),
        (lambda Q, K, V: Q @ (K.T @ V), "a wrong value"),
        (lambda Q, K, V: Q @ (K.T @ V) / Q.sum(1, keepdim=True), "a wrong value"),
        (lambda Q, K, V: Q @ (K.T @ V) / (Q @ K.sum(0)), ""),
        (lambda Q, K, V: torch.softmax(Q @ K.T, 1) @ V, ""),
        (lambda Q, K, V: Q @ (K.T @ V) / (Q @ (K.T @ torch.ones(len(K), len(K))))[:, :1], ""),
        (lambda Q, K, V: by_einsum(Q.float(), K.float(), V.float()), "a wrong value"),
        (lambda Q, K, V: V.mean(0).expand(len(Q), -1) * 1.0, "a wrong value"),
        (lambda Q, K, V: V.tolist(), "list"),
        (lambda Q, K, V: 0.0, "a float"),
    ],
    "check_route": [
        (lambda offset, k: digits(offset, k)[::-1], "move it by"),
        (lambda offset, k: [1] * offset, ""),
        (lambda offset, k: [offset], "layers"),
        (lambda offset, k: digits(offset - 1, k), ""),
        (lambda offset, k: [*digits(offset, k), 0], "layers"),
        (lambda offset, k: [k - 1] * len(digits(offset, k)), "move it by"),
        (lambda offset, k: [offset * (k - 1) / (k ** len(digits(offset, k)) - 1)]
         * len(digits(offset, k)), "no such tap"),
        (lambda offset, k: offset, "a int"),
    ],
}  # fmt: skip


class TestCheckers(Checkers):
    def test_attempts_are_contradicted_and_solutions_are_not(self, run):
        printed = list(zip(EXERCISES, run[1][-len(EXERCISES) :], strict=True))
        solutions = [out for cell, out in printed if "hide-cell" in cell.tags]
        attempts = [out for cell, out in printed if "@check_answer" in cell.code]
        assert len(attempts) == len(RIGHT)
        assert all(out.startswith(WRONG_ANSWER) for out in attempts)
        assert all(out.startswith(RIGHT_ANSWER) for out in solutions[:-1])
        assert solutions[-1].endswith("the same result: True\n")
