"""The checkers of the exercises of notebooks/lookup.md: what they accept and what they refuse."""

import math

import pytest
import torch
from helpers import RIGHT_ANSWER, WRONG_ANSWER, answer_cases, cells_of, told

from attnlib.lookup import averaging_query, subspace_projector

CELLS = cells_of("lookup")
FIRST = next(i for i, cell in enumerate(CELLS) if "@check_answer" in cell.code)
EXERCISES = CELLS[FIRST:]
RUN = [CELLS[0], *EXERCISES]
pytestmark = pytest.mark.usefixtures("fewer_instances")


def wanted(K, a, b, beta):
    z = torch.zeros(len(K))
    z[[a, b]] = beta
    return z


def by_gram(K, a, b, beta):
    return K.T @ torch.linalg.solve(K @ K.T, wanted(K, a, b, beta))


def by_least_squares(K, a, b, beta):
    fit = torch.linalg.lstsq(K, wanted(K, a, b, beta)[:, None], driver="gelsd")
    return fit.solution[:, 0]


def not_the_shortest(K, a, b, beta):
    w = torch.ones(3)
    return by_gram(K, a, b, beta) + w - torch.linalg.pinv(K) @ (K @ w)


def for_keys_0_and_1(K, a, b, beta):
    return by_gram(K, 0, 1, beta)


def together(A, B, s):
    x = torch.linalg.lstsq(torch.cat([A, B], 1), s[:, None]).solution
    return (A @ x[: A.shape[1]])[:, 0]


def oblique(A, B, s):
    R = torch.eye(len(B)) - subspace_projector(B)
    return A @ torch.linalg.solve(A.T @ R @ A, A.T @ R @ s)


def what_b_leaves(A, B, s):
    """Find y first, then take By away."""
    R = torch.eye(len(A)) - subspace_projector(A)
    y = torch.linalg.lstsq(R @ B, (R @ s)[:, None]).solution
    return s - (B @ y)[:, 0]


def first_column_only(A, B, s):
    return together(A[:, :1], B, s)


RIGHT = {
    "check_pair": [
        lambda K, a, b, beta: torch.linalg.pinv(K) @ wanted(K, a, b, beta),
        by_gram,
        by_least_squares,
        not_the_shortest,
        lambda K, a, b, beta: by_gram(K, a, b, beta).tolist(),
        lambda K, a, b, beta: by_gram(K, a, b, beta).float(),
    ],
    "check_recover": [
        together,
        oblique,
        what_b_leaves,
        lambda A, B, s: oblique(A, B, s).tolist(),
    ],
    "check_group": [
        lambda beta, n, m: (n - m) / (m * math.exp(beta) + n - m),
        lambda beta, n, m: 1 - m / (m + (n - m) * math.exp(-beta)),
        lambda beta, n, m: torch.sigmoid(torch.tensor(math.log((n - m) / m) - beta)),
        lambda beta, n, m: torch.softmax(torch.tensor([beta] * m + [0.0] * (n - m)), 0)[m:].sum(),
    ],
}
WRONG = {
    "check_pair": [
        (lambda K, a, b, beta: averaging_query(K[a], K[b], beta), "has the scores"),
        (for_keys_0_and_1, "has the scores"),
        (lambda K, a, b, beta: torch.linalg.solve(K, wanted(K, a, b, beta)), "square"),
        (lambda K, a, b, beta: by_gram(K, a, b, 1.0), "has the scores"),
        (lambda K, a, b, beta: beta * (K[a] / K[a].dot(K[a]) + K[b] / K[b].dot(K[b])),
         "has the scores"),
        (lambda K, a, b, beta: torch.zeros(3), "has the scores"),
        (lambda K, a, b, beta: by_gram(K, a, b, beta)[:, None], "shape"),
        (lambda K, a, b, beta: wanted(K, a, b, beta)[:2], "shape"),
        (lambda K, a, b, beta: 1.0, "shape"),
        (lambda K, a, b, beta: "q", ""),
    ],
    "check_recover": [
        (lambda A, B, s: subspace_projector(A) @ s, "v_a is"),
        (lambda A, B, s: s - subspace_projector(B) @ s, "v_a is"),
        (first_column_only, "v_a is"),
        (lambda A, B, s: A @ A.T @ s, "v_a is"),
        (lambda A, B, s: s - together(A, B, s), "v_a is"),
        (lambda A, B, s: s, "v_a is"),
        (lambda A, B, s: together(A, B, s)[:, None], "shape"),
        (lambda A, B, s: 0.0, "shape"),
    ],
    "check_group": [
        (lambda beta, n, m: (n - m) / (math.exp(m * beta) + n - m), "softmax leaves"),
        (lambda beta, n, m: (n - 1) / (math.exp(beta) + n - 1), "softmax leaves"),
        (lambda beta, n, m: (n - 2) / (2 * math.exp(beta) + n - 2), "softmax leaves"),
        (lambda beta, n, m: n / (m * math.exp(beta) + n), "softmax leaves"),
        (lambda beta, n, m: m * math.exp(beta) / (m * math.exp(beta) + n - m), "softmax leaves"),
        (lambda beta, n, m: math.log((n - m) / m), "softmax leaves"),
        (lambda beta, n, m: [], "list"),
        (lambda beta, n, m: math.nan, "softmax leaves"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "answer"), answer_cases(RIGHT))
def test_right_answers_pass(chapter, capsys, name, answer):
    assert told(chapter, capsys, name, answer).startswith(RIGHT_ANSWER)


@pytest.mark.parametrize(("name", "answer"), answer_cases(WRONG))
def test_wrong_answers_get_one_clear_line(chapter, capsys, name, answer):
    wrong, reason = answer
    first, second = told(chapter, capsys, name, wrong).splitlines()
    assert first.startswith(WRONG_ANSWER)
    assert reason in second


@pytest.mark.parametrize("name", RIGHT)
def test_an_answer_that_forgets_to_return(chapter, capsys, name):
    out = told(chapter, capsys, name, lambda *args: None)
    assert out.startswith(WRONG_ANSWER)
    assert "None" in out


def test_every_checker_is_held_against_both(chapter):
    checkers = {name for name in chapter if name.startswith("check_") and name != "check_answer"}
    assert checkers == set(RIGHT) == set(WRONG)


def test_attempts_are_contradicted_and_solutions_are_not(run):
    printed = list(zip(EXERCISES, run[1][1:], strict=True))
    solutions = [out for cell, out in printed if "hide-cell" in cell.tags]
    attempts = [out for cell, out in printed if "@check_answer" in cell.code]
    assert len(attempts) == len(solutions) == len(RIGHT)
    assert all(out.startswith(WRONG_ANSWER) for out in attempts)
    assert all(out.startswith(RIGHT_ANSWER) for out in solutions)
