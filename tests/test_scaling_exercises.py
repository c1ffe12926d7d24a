"""The exercises of the chapter on scaling: right answers pass its checkers, wrong ones do not."""

import math

import numpy as np
import pytest
import torch
from helpers import RIGHT_ANSWER, WRONG_ANSWER, cells_of, run_cells, told

CELLS = cells_of("scaling")
CHECKERS = [cell for cell in CELLS if "@check_answer" in cell.code]
RUN = [CELLS[0], *CHECKERS]


def row_variance(mu_q, Sigma_q, mu_k, Sigma_k):
    return (Sigma_q @ Sigma_k).trace() + mu_q @ Sigma_k @ mu_q


def fold(W_Q, W_K):
    return W_Q * W_Q.shape[-1] ** -0.25, W_K * W_K.shape[-1] ** -0.25


def fold_in_a_list(W_Q, W_K):
    root = math.sqrt(math.sqrt(W_K.shape[1]))
    return [W_Q / root, W_K / root]


def fold_and_rotate(W_Q, W_K):
    # Any orthogonal matrix may stand between the two: here the order of the columns.
    return tuple(W.flip(-1) for W in fold(W_Q, W_K))


ACCEPTED = {
    "check_row_variance": {
        "traces": row_variance,
        "einsum": lambda mu_q, Sigma_q, mu_k, Sigma_k: float(
            torch.einsum("ij,ji", Sigma_q + torch.outer(mu_q, mu_q), Sigma_k)
        ),
        "entries": lambda mu_q, Sigma_q, mu_k, Sigma_k: (
            (Sigma_q + mu_q[:, None] * mu_q) * Sigma_k
        ).sum(),
    },
    "check_fold": {"power": fold, "list": fold_in_a_list, "rotated": fold_and_rotate},
    "check_needle": {
        "logsumexp": lambda s: s.logsumexp(0),
        "float": lambda s: math.log(sum(math.exp(x) for x in s)),
        "one entry": lambda s: s.exp().sum().log()[None],
        "numpy": lambda s: np.log(np.exp(s.numpy()).sum(keepdims=True)),
    },
}

REJECTED = {
    "check_row_variance": {
        "no means": lambda mu_q, Sigma_q, mu_k, Sigma_k: (Sigma_q @ Sigma_k).trace(),
        "the other mean": lambda mu_q, Sigma_q, mu_k, Sigma_k: row_variance(
            mu_k, Sigma_k, mu_q, Sigma_q
        ),
        "mean of the keys": lambda mu_q, Sigma_q, mu_k, Sigma_k: row_variance(
            mu_k, Sigma_q, mu_k, Sigma_k
        ),
        "product of traces": lambda mu_q, Sigma_q, mu_k, Sigma_k: (
            Sigma_q.trace() * Sigma_k.trace() + mu_q @ Sigma_k @ mu_q
        ),
        "unit variance": lambda mu_q, Sigma_q, mu_k, Sigma_k: len(mu_q) + mu_q @ mu_q,
        "deviation": lambda *given: row_variance(*given) ** 0.5,
    },
    "check_fold": {
        "root in each": lambda W_Q, W_K: tuple(W / W.shape[-1] ** 0.5 for W in (W_Q, W_K)),
        "all in one": lambda W_Q, W_K: (W_Q / W_Q.shape[-1] ** 0.5, W_K),
        "d_model": lambda W_Q, W_K: tuple(W / W.shape[0] ** 0.25 for W in (W_Q, W_K)),
        "nothing": lambda W_Q, W_K: (W_Q, W_K),
        "columns": lambda W_Q, W_K: fold(W_Q.T, W_K.T),
        "one sign": lambda W_Q, W_K: fold(-W_Q, W_K),
        "one matrix": lambda W_Q, W_K: fold(W_Q, W_K)[0],
    },
    "check_needle": {
        "best": lambda s: s.max(),
        "all as the best": lambda s: s.max() + math.log(len(s)),
        "all as the mean": lambda s: s.mean() + math.log(len(s)),
        "sum": lambda s: s.sum(),
        "no logarithm": lambda s: s.exp().sum(),
        "variance 1": lambda s: math.log(len(s)) + 0.5,
    },
}


def each(answers):
    """Checker and answer, a case of its own for each."""
    return pytest.mark.parametrize(
        ("checker", "answer"),
        [
            pytest.param(
                checker, answer, id=f"{checker}-{name}", marks=[pytest.mark.slow] * (i >= 3)
            )
            for checker, named in answers.items()
            for i, (name, answer) in enumerate(named.items())
        ],
    )


@each(ACCEPTED)
def test_right_answers_are_accepted(chapter, capsys, checker, answer):
    assert told(chapter, capsys, checker, answer).startswith(RIGHT_ANSWER)


@each(REJECTED)
def test_wrong_answers_are_rejected(chapter, capsys, checker, answer):
    assert told(chapter, capsys, checker, answer).startswith(WRONG_ANSWER)


STRANGE = {
    "None": lambda *given: None,
    "a float": lambda *given: 0.5,
    "a list": lambda *given: [0.5],
    "text": lambda *given: "ln Z",
    "an empty tensor": lambda *given: torch.zeros(0),
    "another at each call": lambda *given: torch.randn(()),
}


@pytest.mark.parametrize("checker", ACCEPTED)
@pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE)
def test_what_is_no_answer_gets_a_clear_line(chapter, capsys, checker, answer):
    said = told(chapter, capsys, checker, answer)
    assert said.startswith(WRONG_ANSWER)
    assert "Error" not in said


def test_the_counterexample_shows_what_the_function_was_given(chapter, capsys):
    said = told(chapter, capsys, "check_row_variance", lambda *given: 1.0)
    assert "mu_q = [" in said
    assert "Sigma_k = [[" in said


def test_the_attempts_shown_fail_and_the_printed_solutions_pass(run):
    assert len(CHECKERS) == len(ACCEPTED)
    assert all(out.startswith(WRONG_ANSWER) for out in run[1][1:])
    solutions = [cell for cell in CELLS if cell.code.startswith("check_")]
    with run_cells([CELLS[0], *CHECKERS, *solutions]) as (_, printed):
        passed = [out.startswith(RIGHT_ANSWER) for out in printed[1 + len(CHECKERS) :]]
    assert passed == [True] * len(ACCEPTED)
