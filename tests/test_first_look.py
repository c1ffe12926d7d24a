"""The checkers of the exercises of first_look: right answers pass in any form, wrong ones fail."""

import contextlib
import io
import math

import pytest
import torch
from helpers import RIGHT_ANSWER, WRONG_ANSWER, cells_of, run_cells

CELLS = cells_of("first_look")
LN2, log2 = math.log(2), math.log2


@pytest.fixture(scope="module")
def checked():
    """checked(name, answer): what the chapter's checker of that name prints about an answer."""
    needed = ("import math", "v = ", "@check_answer")  # imports, numbers of the page, exercises
    with run_cells([c for c in CELLS if any(word in c.code for word in needed)]) as (space, out):
        assert "".join(out).count(WRONG_ANSWER) == 2, "each attempt of the page is wrong"
        yield lambda name, answer: said(space[name], answer)


def said(check, answer):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        check(answer)
    return printed.getvalue()


def answers(**given):
    return pytest.mark.parametrize("answer", given.values(), ids=given)


def in_place(s):
    s -= s.max()
    s.exp2_()
    s /= s.sum()
    return s


def by_bisection(y):
    """Scores that grow with the value, at the rate that gives y."""
    values = torch.tensor([4.0, 8, 0, 16])
    low, high = -40.0, 40.0
    for _ in range(80):
        rate = (low + high) / 2
        too_low = torch.exp2(rate * values / 4) @ values < y * torch.exp2(rate * values / 4).sum()
        low, high = (rate, high) if too_low else (low, rate)
    return rate * values / 4


def below_and_above_8(y):
    if y < 8:
        return [-60, log2(y), log2(8 - y), -60]
    return [-60, log2(16 - y), -60, log2(y - 8)] if y > 8 else [-60, 60, -60, -60]


def solution(name):
    """The answer that the page prints for a checker."""
    own = [c for c in CELLS if "hide-cell" in c.tags and f"{name}(" in c.code]
    space = {"torch": torch, "math": math, name: lambda answer: space.update(answer=answer)}
    for cell in own:
        exec(cell.code, space)
    return space["answer"]


@pytest.mark.parametrize("name", ["check_weights", "check_scores"])
def test_printed_solutions_pass(checked, name):
    assert checked(name, solution(name)).startswith(RIGHT_ANSWER)


@answers(
    softmax=lambda s: torch.softmax(LN2 * s, 0),
    pairs=lambda s: 1 / torch.exp2(s - s[:, None]).sum(1),
    a_list=lambda s: [2**x / sum(2**y for y in s.tolist()) for x in s.tolist()],
    numpy=lambda s: 2 ** s.numpy() / (2 ** s.numpy()).sum(),
    in_place=in_place,
)
def test_right_weights(checked, answer):
    assert checked("check_weights", answer).startswith(RIGHT_ANSWER)


@answers(
    base_e=lambda s: torch.softmax(s, 0),
    score_over_sum=lambda s: s / s.sum(),
    powers_alone=lambda s: 2**s,
    over_16=lambda s: 2**s / 16,
    over_largest=lambda s: 2**s / (2**s).max(),
    divided_by_ln_2=lambda s: torch.softmax(s / LN2, 0),
    sign=lambda s: torch.softmax(-LN2 * s, 0),
    squares=lambda s: (s**2 + 1e-30) / (s**2 + 1e-30).sum(),
    equal=lambda s: torch.ones_like(s) / len(s),
    best_alone=lambda s: torch.nn.functional.one_hot(s.argmax(), len(s)),
    scaled_by_root=lambda s: torch.softmax(LN2 * s / len(s) ** 0.5, 0),
    three_digits=lambda s: torch.softmax(LN2 * s, 0).round(decimals=3),
    column=lambda s: torch.softmax(LN2 * s, 0)[:, None],
    one_number=lambda s: 1.0,
    nothing=lambda s: None,
)
def test_wrong_weights(checked, answer):
    first, reason = checked("check_weights", answer).splitlines()
    assert first.startswith(WRONG_ANSWER)
    assert len(reason) > 12


@answers(
    odds=lambda y: [-60, -60, 0, log2(y / (16 - y))],
    four_tokens=lambda y: [log2(w) for w in shares(y)],
    pairs=below_and_above_8,
    bisection=by_bisection,
    numpy=lambda y: torch.tensor([-40, -40, log2(16 - y), log2(y)]).numpy(),
)
def test_right_scores(checked, answer):
    assert checked("check_scores", answer).startswith(RIGHT_ANSWER)


def shares(y):
    """Weights of all four tokens: tokens 1 and 2 get a little each."""
    small = min(y, 16 - y) / 100
    last = (y - 12 * small) / 16
    return small, small, 1 - 2 * small - last, last


@answers(
    forgets_two=lambda y: [0, 0, log2(16 - y), log2(y)],
    weights=lambda y: [0, 0, 1 - y / 16, y / 16],
    swapped=lambda y: [-60, -60, log2(y), log2(16 - y)],
    natural_logarithm=lambda y: [-60, -60, math.log(16 - y), math.log(y)],
    no_logarithm=lambda y: [-60, -60, 16 - y, y],
    not_low_enough=lambda y: [-10, -10, log2(16 - y), log2(y)],
    wrong_tokens=lambda y: [log2(16 - y), log2(y), -60, -60],
    two_scores=lambda y: [log2(16 - y), log2(y)],
    infinite=lambda y: [-math.inf, -math.inf, log2(16 - y), log2(y)],
    one_number=lambda y: y,
    nothing=lambda y: None,
)
def test_wrong_scores(checked, answer):
    first, reason = checked("check_scores", answer).splitlines()
    assert first.startswith(WRONG_ANSWER)
    assert len(reason) > 10
