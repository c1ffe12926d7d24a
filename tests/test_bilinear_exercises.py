"""The checkers of the exercises of notebooks/bilinear.md: what they accept and what they refuse."""

import math

import pytest
import torch
from helpers import RIGHT_ANSWER, WRONG_ANSWER, answer_cases, cells_of, told

from attnlib.bilinear import unidentifiable

CELLS = cells_of("bilinear")
FIRST = next(i for i, cell in enumerate(CELLS) if "@check_answer" in cell.code)
EXERCISES = CELLS[FIRST:]
RUN = [CELLS[0], *EXERCISES]
pytestmark = pytest.mark.usefixtures("fewer_instances")


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


RIGHT = {
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
        (lambda u, c, r: keep(c**2 * u.abs(), u.abs(), r), "best"),
        (lambda u, c, r: keep(c**2 * u.abs(), c**2 * u, r), "best"),
        (lambda u, c, r: u, "rank"),
        (lambda u, c, r: torch.diag(keep(c**2 * u.abs(), u, r)), "shape"),
        (lambda u, c, r: 0.0, "shape"),
        (lambda u, c, r: "v", ""),
    ],
}


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
