"""The checkers of the exercises of notebooks/smooth_max.md: what they accept and what not."""

import math

import pytest
import torch
from helpers import RIGHT_ANSWER, WRONG_ANSWER, answer_cases, cells_of, told

from attnlib.smooth_max import boltzmann_max, mellowmax, smooth_max

CELLS = cells_of("smooth_max")
FIRST = next(i for i, cell in enumerate(CELLS) if "@check_answer" in cell.code)
EXERCISES = CELLS[FIRST:]
RUN = [CELLS[0], *EXERCISES]
pytestmark = pytest.mark.usefixtures("fewer_instances")


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
