"""attnlib.scaling against counting, SymPy, SciPy and simulation."""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from torch.testing import assert_close

from attnlib.scaling import dot_product_excess_kurtosis, expected_saturation, score_saturation
from attnlib.softmax import jacobian_norm_bounds

F64 = torch.float64
INF, NAN = math.inf, math.nan


def counted_excess(values_q, values_k, d):
    """Excess kurtosis of q·k by visiting every outcome; all values of an entry equally likely."""
    products = [a * b for a in values_q for b in values_k]
    sums = torch.tensor([float(sum(t)) for t in itertools.product(products, repeat=d)], dtype=F64)
    return float((sums**4).mean() / (sums**2).mean() ** 2 - 3)


@pytest.mark.parametrize(
    ("values_q", "kurtosis_q", "values_k", "kurtosis_k"),
    [
        ((-1, 1), 1, (-1, 1), 1),
        ((-1, 0, 1), 1.5, (-1, 1), 1),
        ((-2, -1, 1, 2), 34 / 25, (-1, 0, 1), 1.5),
        ((-1, -1, 2), 1.5, (-1, 1), 1),
    ],
    ids=["coins", "zero-and-coin", "two-laws", "skewed"],
)
@pytest.mark.parametrize("d", [1, 3], ids="d={}".format)
def test_kurtosis_by_counting(values_q, kurtosis_q, values_k, kurtosis_k, d):
    expected = counted_excess(values_q, values_k, d)
    assert_close(dot_product_excess_kurtosis(kurtosis_q, kurtosis_k, d), expected)


@pytest.mark.parametrize("d", [1, 2, 5], ids="d={}".format)
def test_kurtosis_of_normal_vectors_by_differentiation(d):
    # The characteristic function of q·k is (1 + t²)^(-d/2).
    t = sympy.Symbol("t")
    phi = (1 + t**2) ** sympy.Rational(-d, 2)
    fourth, second = (sympy.diff(phi, t, i).subs(t, 0) for i in (4, 2))
    assert_close(dot_product_excess_kurtosis(3, 3, d), float(fourth / second**2 - 3))


@pytest.mark.parametrize(
    ("law", "kurtosis"),
    [(stats.norm(), 3), (stats.uniform(-1, 2), 9 / 5), (stats.laplace(), 6), (stats.t(9), 4.2)],
    ids=["normal", "uniform", "laplace", "student"],
)
def test_kurtosis_from_scipy_moments(law, kurtosis):
    # One product, d = 1, with normal entries on the other side.
    expected = law.moment(4) * 3 / law.moment(2) ** 2 - 3
    assert_close(dot_product_excess_kurtosis(kurtosis, 3, 1), float(expected))


def test_kurtosis_in_the_plane_is_that_of_laplace():
    assert dot_product_excess_kurtosis(3, 3, 2) == stats.laplace.stats(moments="k")


def test_kurtosis_accepts_numpy_integers(no_shape_checks):
    assert dot_product_excess_kurtosis(3, 3, np.int64(4)) == 1.5


@pytest.mark.parametrize("bad", [0.5, -3, NAN, INF, -INF, True, "3", None], ids=repr)
@pytest.mark.parametrize("name", ["kurtosis_q", "kurtosis_k"])
def test_impossible_kurtosis(no_shape_checks, name, bad):
    arguments = {"kurtosis_q": 3.0, "kurtosis_k": 3.0, "d": 4, name: bad}
    with pytest.raises(ValueError, match=name) as raised:
        dot_product_excess_kurtosis(**arguments)
    assert repr(bad) in str(raised.value)


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "4", None], ids=repr)
def test_impossible_dimension(no_shape_checks, bad):
    with pytest.raises(ValueError, match=r"\bd\b") as raised:
        dot_product_excess_kurtosis(3.0, 3.0, bad)
    assert repr(bad) in str(raised.value)


def slow_saturation(row):
    """p_max, H/ln n and λ_max with plain Python numbers and the characteristic equation."""
    weights = [math.exp(s) for s in row]
    y = np.array(weights) / sum(weights)
    entropy = -sum(p * math.log(p) for p in y) / math.log(len(y))
    # λ_max solves Σ y²/(y − λ) = 1 between the two largest weights.
    low, high = sorted(y)[-2:]
    for _ in range(200):
        middle = (low + high) / 2
        if sum(p * p / (p - middle) for p in y if p != middle) < 1:
            low = middle
        else:
            high = middle
    return max(y), entropy, (low + high) / 2


def test_saturation_against_a_slow_loop():
    S = 2 * torch.randn(3, 4, 7, dtype=F64)
    results = score_saturation(S)
    for index in itertools.product(range(3), range(4)):
        for mine, expected in zip(results, slow_saturation(S[index].tolist()), strict=True):
            assert_close(mine[index], torch.tensor(expected, dtype=F64))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([5.0, 5.0, 5.0], (1 / 3, 1.0, 1 / 3)),
        ([0.0, 0.0], (1 / 2, 1.0, 1 / 2)),
        ([900.0, 900.0, 0.0], (1 / 2, math.log(2) / math.log(3), 1 / 2)),
        ([0.0, 900.0, -900.0, 1.0], (1.0, 0.0, 0.0)),
    ],
    ids=["uniform", "n=2", "ties", "one-hot"],
)
def test_saturation_in_closed_form(row, expected):
    for mine, value in zip(score_saturation(torch.tensor(row, dtype=F64)), expected, strict=True):
        assert_close(mine, torch.tensor(value, dtype=F64))


@given(row=st.lists(st.floats(-30, 30), min_size=2, max_size=9))
def test_saturation_keeps_the_bounds(row):
    S = torch.tensor(row, dtype=F64)
    p_max, entropy, norm = score_saturation(S)
    eps = 40 * torch.finfo(F64).eps  # rounding in a softmax and an eigensolver of at most 9 rows
    lower, upper = jacobian_norm_bounds(torch.softmax(S, -1))
    assert lower - eps <= norm <= upper + eps
    assert 1 / len(row) - eps <= p_max <= 1
    assert -eps <= entropy <= 1 + eps


def test_one_score_cannot_be_spread():
    with pytest.raises(ValueError, match=r"^S must have at least two scores a row.*\(3, 1\)"):
        score_saturation(torch.zeros(3, 1))


@pytest.mark.parametrize("std", [0.01, 0.5, 1, 8.0, 20], ids="std={}".format)
def test_expectation_for_two_keys_by_one_integral(std):
    # The gap of two scores is normal with variance 2 std².
    def mean(f):
        def weighted(t):
            return 2 * f(t) * stats.norm.pdf(t, scale=math.sqrt(2) * std)

        top = min(13 * std, 80)
        parts = itertools.pairwise(np.linspace(0, top, 5))
        value = sum(integrate.quad(weighted, a, b, epsabs=1e-10)[0] for a, b in parts)
        return value, 2 * stats.norm.sf(top, scale=math.sqrt(2) * std)

    p_max, entropy = expected_saturation(2, std)
    value, beyond = mean(lambda t: 1 / (1 + math.exp(-t)))
    assert_close(p_max, value + beyond, atol=1e-5, rtol=0)  # p_max = 1 beyond, up to e^-80
    value, _ = mean(
        lambda t: (math.log1p(math.exp(-t)) + t / (1 + math.exp(t))) / math.log(2)
    )  # the entropy of the weights σ(t), σ(−t); 0 beyond
    assert_close(entropy, value, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("n", "std"), [(3, 0.7), (17, 2.0), (128, 8.0)], ids=str)
def test_expectation_by_simulation(n, std):
    g = torch.Generator().manual_seed(1)
    S = std * torch.randn(4_000, n, dtype=F64, generator=g)
    y = torch.softmax(S, -1)
    samples = y.amax(-1), torch.special.entr(y).sum(-1) / math.log(n)
    for value, sample in zip(expected_saturation(n, std), samples, strict=True):
        error = float(sample.std()) / math.sqrt(len(sample))
        assert abs(value - float(sample.mean())) < 5 * error


@pytest.mark.parametrize("bad", [1, 0, -2, 3.0, True, "3", None, 10**6 + 1], ids=repr)
def test_expectation_refuses_n(no_shape_checks, bad):
    with pytest.raises(ValueError, match=r"\bn\b"):
        expected_saturation(bad, 1.0)


@pytest.mark.parametrize("bad", [0, 0.0, 1e-320, -1.0, 20.5, NAN, INF, True, "1", None], ids=repr)
def test_expectation_refuses_std(no_shape_checks, bad):
    with pytest.raises(ValueError, match="std"):
        expected_saturation(3, bad)


@pytest.mark.parametrize("d", [10**400, 2**53 + 1], ids=["beyond-float", "inexact"])
def test_excess_kurtosis_refuses_a_huge_dimension(d):
    with pytest.raises(ValueError, match="d must be an integer, at most"):
        dot_product_excess_kurtosis(3, 3, d)


def test_excess_kurtosis_refuses_an_overflow():
    with pytest.raises(ValueError, match="overflows"):
        dot_product_excess_kurtosis(1e200, 1e200, 1)


def test_entropy_has_a_gradient_where_weights_underflow():
    S = torch.tensor([800.0, 0.0, -800.0], dtype=F64, requires_grad=True)
    _, entropy, _ = score_saturation(S)
    (dS,) = torch.autograd.grad(entropy, S)
    assert_close(entropy, torch.zeros((), dtype=F64))
    assert_close(dS, torch.zeros(3, dtype=F64))


def drawn_table():
    """What the figure of the chapter draws: E p_max for 2, 4, … 2¹⁹ keys, d_k = 1, √2, 2, … 256."""
    script = Path(__file__).parents[1] / "book" / "_static" / "explore" / "scaling.js"
    rows = re.search(r"LARGEST = `\n(.*?)\n`", script.read_text(encoding="utf-8"), re.DOTALL)[1]
    return np.array([[int(x) / 1000 for x in row.split()] for row in rows.splitlines()])


def test_the_figure_draws_expected_saturation():
    table = drawn_table()
    assert table.shape == (19, 17)
    # Wide columns take seconds each: most entries are tried up to d_k = 16.
    draw = np.random.default_rng(0)
    places = [*zip(draw.integers(19, size=10), draw.integers(9, size=10), strict=True), (6, 12)]
    for row, column in places:
        p_max, _ = expected_saturation(2 ** (int(row) + 1), 2 ** (int(column) / 4))
        assert abs(table[row, column] - p_max) <= 0.0005 + 1e-5  # three digits are stored


def test_the_figure_may_read_between_its_columns():
    table, columns = drawn_table(), np.arange(17)
    draw = np.random.default_rng(1)
    for row, width in zip(draw.integers(19, size=6), draw.uniform(1, 20, size=6), strict=True):
        p_max, _ = expected_saturation(2 ** (int(row) + 1), math.sqrt(width))
        read = np.interp(2 * math.log2(width), columns, table[row])
        assert abs(read - p_max) < 0.005  # two digits are shown


def test_the_table_rises_with_the_width_and_falls_with_the_number_of_keys():
    table = drawn_table()
    assert (np.diff(table, axis=1) >= 0).all()
    assert (np.diff(table, axis=0) <= 0).all()


@pytest.mark.parametrize("n", [2, 17, 4096])
@pytest.mark.parametrize("std", [0.5, 3.0, 6.0], ids="std={}".format)
def test_one_key_takes_at_least_what_freezing_says(n, std):
    p_max, _ = expected_saturation(n, std)
    assert p_max >= 1 - math.sqrt(2 * math.log(n)) / std - 1e-5
