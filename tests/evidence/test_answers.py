"""attnlib/evidence/answers.py: right answers pass, wrong ones get the smallest counterexample."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import assume, find, given
from hypothesis import strategies as st

from attnlib.evidence import answers, check_answer, rows


def must(condition, message):
    """``assert condition, message``, whose message pytest would rewrite in a file of tests."""
    if not condition:
        raise AssertionError(message)


@check_answer(z=rows())
def check_softmax(answer, z):
    """What a softmax must satisfy."""
    y = answer(z)
    must(y.shape == z.shape, "one probability for each logit")
    must(abs(y.sum() - 1) < 1e-12, "the row must sum to 1")
    must(torch.allclose(answer(z + 1), y), "a shift of all logits must change nothing")
    must((y.diff() * z.diff() >= 0).all(), "the order must be kept")


def softmax(z):
    return torch.softmax(z, -1)


RIGHT = "No counterexample in 200 random instances.\n"


def test_right_answer(capsys):
    check_softmax(softmax)
    assert capsys.readouterr().out == RIGHT


# Each expected instance is the smallest by hand: fewest entries, then entries nearest to 0.
@pytest.mark.parametrize(
    ("answer", "instance", "reason"),
    [
        pytest.param(lambda z: z.exp() / len(z), "[0.0]",
            "a shift of all logits must change nothing", id="not-normalised",
        ),
        pytest.param(lambda z: 1 + 0 * z, "[0.0, 0.0]", "the row must sum to 1", id="all-ones"),
        pytest.param(lambda z: softmax(-z), "[0.0, 1.0]", "the order must be kept", id="sign"),
        pytest.param(
            lambda z: softmax(z * z), "[0.0, 1.0]", "a shift of all logits must change nothing",
            id="not-shift-invariant",
        ),
        pytest.param(
            lambda z: softmax(z)[1:], "[0.0]", "one probability for each logit", id="shape"
        ),
        pytest.param(
            lambda z: softmax(z) if len(z) < 4 else z, "[0.0, 0.0, 0.0, 0.0]",
            "the row must sum to 1", id="wrong-from-n=4-on",
        ),
        pytest.param(
            lambda z: softmax(z) if z.max() < 3 else 0 * z, "[2.0]",  # z + 1 reaches 3
            "a shift of all logits must change nothing", id="wrong-from-3-on",
        ),
    ],
)  # fmt: skip
def test_wrong_answer(answer, instance, reason, capsys):
    check_softmax(answer)
    assert capsys.readouterr().out == f"Counterexample: z = {instance}\n  {reason}\n"


def raises(z):
    raise KeyError("index")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(raises, "KeyError: 'index'", id="raises"),
        pytest.param(lambda z: None, "AttributeError: ", id="returns-None"),
        pytest.param(lambda z: z.tolist(), "AttributeError: ", id="returns-a-list"),
        pytest.param(lambda: 1, "TypeError: ", id="takes-no-argument"),
        pytest.param(3, "TypeError: ", id="is-no-function"),
        pytest.param(lambda z: torch.eye(2) @ z, "RuntimeError: ", id="error-of-torch"),
    ],
)
def test_an_answer_that_raises_is_contradicted(answer, kind, capsys):
    check_softmax(answer)
    assert capsys.readouterr().out.startswith(f"Counterexample: z = [0.0]\n  {kind}")


def test_an_answer_that_overwrites_its_argument(capsys):
    """The instance is shown as it was drawn, not as the answer left it."""

    def in_place(z):
        z += 1
        return z if len(z) > 1 else torch.ones(1, dtype=z.dtype)

    check_softmax(in_place)
    assert capsys.readouterr().out.startswith("Counterexample: z = [0.0, 0.0]\n")


def test_an_answer_that_changes_from_call_to_call(capsys):
    calls = []

    def moody(z):
        calls.append(z)
        return 0 * z if len(calls) == 50 else softmax(z)

    check_softmax(moody)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Counterexample: z = [")
    assert second == "  a shift of all logits must change nothing, but not at every call"


def test_several_arguments_shrink_together(capsys):
    @check_answer(a=rows(2, 3), d=st.integers(1, 100), answer=st.booleans())
    def check(f, a, d, answer):
        must(f(a, d) < 10, f"{f(a, d):g} is too much")

    check(lambda a, d: a.abs().sum() + d)
    assert capsys.readouterr().out == (
        "Counterexample: a = [0.0, 0.0], d = 10, answer = False\n  10 is too much\n"
    )


def test_a_property_without_a_message(capsys):
    @check_answer(k=st.integers(0, 9))
    def check(f, k):
        if f(k) != k:
            raise AssertionError

    check(lambda k: k + 1)
    out = capsys.readouterr().out
    assert out.startswith("Counterexample: k = 0\n")
    assert all(line == line.rstrip() for line in out.splitlines()), "no trailing blanks"


@pytest.mark.parametrize("returned", [True, False, 0, torch.tensor(True)], ids=repr)
def test_a_property_that_returns_instead_of_asserting(returned, capsys):
    """Nobody would look at what it returns, and every answer would pass."""

    @check_answer(k=st.integers(0, 9))
    def check_k(f, k):
        return returned

    with pytest.raises(TypeError, match="check_k must assert what holds and return nothing"):
        check_k(lambda k: k)
    assert capsys.readouterr().out == ""


def test_the_number_of_instances_is_true(capsys):
    seen = []

    @check_answer(b=st.booleans())
    def check(f, b):
        seen.append(b)

    check(None)
    assert len(seen) < 200
    assert f" {len(seen)} " in capsys.readouterr().out


def test_assume_in_a_property_skips_the_instance(capsys):
    @check_answer(k=st.integers(0, 9))
    def check(f, k):
        assume(k > 3)
        must(f(k) < 6, "too much")

    check(lambda k: k)
    assert capsys.readouterr().out == "Counterexample: k = 6\n  too much\n"
    check(lambda k: 0)
    assert capsys.readouterr().out.startswith("No counterexample")


def test_no_instance_at_all_is_no_success(capsys):
    @check_answer(k=st.integers(0, 9).filter(lambda k: k > 9))
    def check(f, k):
        pass

    with pytest.raises(Exception, match="Unable to satisfy"):
        check(None)
    assert capsys.readouterr().out == ""


def test_an_interrupt_is_no_counterexample():
    def interrupted(z):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_softmax(interrupted)


def test_the_checker_keeps_the_name_and_the_words_of_the_property():
    assert check_softmax.__name__ == "check_softmax"
    assert check_softmax.__doc__ == "What a softmax must satisfy."


SCRIPT = """
import torch
from attnlib.evidence import check_answer, rows

@check_answer(x=rows(), y=rows(3, 9, -50, 50))
def check(f, x, y):
    seen.append(hash((tuple(x.tolist()), tuple(y.tolist()))))
    assert f(x, y), f"{x.sum():g} and {y.sum():g}"

seen = []
check(lambda x, y: True)
check(lambda x, y: x.prod() * y.prod() < 30)
print(hash(tuple(seen)))
"""


@pytest.mark.slow
def test_two_runs_and_two_processes_see_the_same(capsys):
    def run():
        exec(SCRIPT, {})
        return capsys.readouterr().out

    random.seed(1)
    first = run()
    random.seed(2)
    assert run() == first
    # Another process, without the settings of the tests, as if on a build server.
    env = os.environ | {"PYTHONPATH": str(Path(answers.__file__).parents[2]), "CI": "true"}
    command = [sys.executable, "-c", SCRIPT]
    other = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert other.stdout == first


@given(rows(2, 4, -3, 5))
def test_rows(row):
    assert row.dtype == torch.float64
    assert row.ndim == 1
    assert 2 <= len(row) <= 4
    assert (row == row.round()).all()
    assert row.min() >= -3
    assert row.max() <= 5


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(lambda row: len(row) == 1, id="shortest"),
        pytest.param(lambda row: len(row) == 5, id="longest"),
        pytest.param(lambda row: row.min() == -4, id="lowest"),
        pytest.param(lambda row: row.max() == 4, id="highest"),
    ],
)
def test_rows_reach_their_limits(wanted):
    assert wanted(find(rows(), wanted))
