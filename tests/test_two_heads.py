"""attnlib/two_heads.py against loops, exact fractions, 40-digit quadrature, and simulation."""

import functools
import math
from fractions import Fraction

import mpmath
import pytest
import torch
from helpers import close, dtypes, each_once, eps, refused
from hypothesis import given
from hypothesis import strategies as st

from attnlib.two_heads import (
    attention_weights,
    averaging_condition,
    pair_miss,
    two_head_moments,
    weight_gap,
)

inf, nan = math.inf, math.nan


# -- weights, the condition, the gap -------------------------------------------------------


def loop_weights(K, q):
    """Softmax of inner products at 50 digits, entry by entry."""
    with mpmath.workdps(50):
        q = [mpmath.mpf(x) for x in q.tolist()]
        scores = [mpmath.fsum(mpmath.mpf(x) * y for x, y in zip(k, q, strict=True))
                  for k in K.tolist()]  # fmt: skip
        powers = [mpmath.exp(s) for s in scores]
        return [float(p / mpmath.fsum(powers)) for p in powers]


@dtypes
def test_weights_against_a_loop(dtype):
    K, q = torch.randn(6, 5, 3, dtype=dtype), torch.randn(6, 3, dtype=dtype)
    y = attention_weights(K, q)
    rows = zip(K.reshape(-1, 5, 3), q.reshape(-1, 3), y.reshape(-1, 5), strict=True)
    for keys, query, weights in rows:
        expected = torch.tensor(loop_weights(keys, query), dtype=torch.float64)
        # 3 products and sums of numbers below 16, and the softmax.
        close(weights.double(), expected, atol=64 * eps(dtype), rtol=0)


@dtypes
def test_weights_of_large_scores(dtype):
    """Only gaps count; one beyond the range of the exponential gives a weight of exactly 0."""
    K = torch.tensor([[1000.0, 1], [1000.0, 0], [-1000.0, 0]], dtype=dtype)
    y = attention_weights(K, torch.tensor([1.0, math.log(3)], dtype=dtype))
    close(y, torch.tensor([0.75, 0.25, 0], dtype=dtype), atol=2000 * eps(dtype), rtol=0)
    assert y[2] == 0


@dtypes
def test_condition_against_a_loop(dtype):
    k_a, k_b, q_1, q_2 = torch.randn(4, 6, 3, dtype=dtype).unbind(0)
    residual = averaging_condition(k_a, k_b, q_1, q_2)
    rows = [x.double().reshape(-1, 3).tolist() for x in (k_a, k_b, q_1, q_2)]
    loops = [
        math.fsum((a - b) * (p + q) for a, b, p, q in zip(*vectors, strict=True))
        for vectors in zip(*rows, strict=True)
    ]
    close(residual.double().flatten(), torch.tensor(loops, dtype=torch.float64),
          atol=64 * eps(dtype), rtol=0)  # fmt: skip


@dtypes
def test_gap_is_the_difference_of_four_weights(dtype):
    K, q_1, q_2 = torch.randn(6, 5, 3), torch.randn(6, 3), torch.randn(6, 3)
    K, q_1, q_2 = K.to(dtype), q_1.to(dtype), q_2.to(dtype)
    gap = weight_gap(K, q_1, q_2, 3, 1)
    rows = zip(K.reshape(-1, 5, 3), q_1.reshape(-1, 3), q_2.reshape(-1, 3), strict=True)
    for got, (keys, one, two) in zip(gap.flatten(), rows, strict=True):
        y, w = loop_weights(keys, one), loop_weights(keys, two)
        assert abs(got.item() - (y[3] + w[3] - y[1] - w[1])) <= 128 * eps(dtype)
    close(weight_gap(K, q_2, q_1, 3, 1), gap, atol=4 * eps(dtype), rtol=0)
    close(weight_gap(K, q_1, q_2, 1, 3), -gap, atol=4 * eps(dtype), rtol=0)


numbers = st.floats(-8, 8)
vectors = st.lists(numbers, min_size=3, max_size=3)


@given(vectors, vectors, vectors, vectors)
def test_two_keys_the_gap_is_a_function_of_the_residual(k_a, k_b, q_1, q_2):
    """sinh((x₁+x₂)/2)/(cosh(x₁/2) cosh(x₂/2)), in which x₁ + x₂ is the residual."""
    k_a, k_b, q_1, q_2 = (torch.tensor(v, dtype=torch.float64) for v in (k_a, k_b, q_1, q_2))
    gap = weight_gap(torch.stack([k_a, k_b]), q_1, q_2, 0, 1).item()
    x_1, x_2 = ((k_a - k_b) @ q_1).item(), ((k_a - k_b) @ q_2).item()
    residual = averaging_condition(k_a, k_b, q_1, q_2).item()
    slack = 64 * 2**-52 * 64 * 3  # roundings of sums of 3 products below 64
    exact = math.sinh(residual / 2) / (math.cosh(x_1 / 2) * math.cosh(x_2 / 2))
    assert abs(gap - exact) <= slack
    met = q_2 - (k_a - k_b) * (residual / max(1e-300, ((k_a - k_b) @ (k_a - k_b)).item()))
    if (k_a - k_b).norm() > 1e-3:  # project the second query: the gap vanishes
        size = 1 + met.abs().max().item()
        assert abs(weight_gap(torch.stack([k_a, k_b]), q_1, met, 0, 1).item()) <= slack * size


def test_three_keys_the_condition_is_neither_sufficient_nor_necessary():
    K = torch.eye(3, dtype=torch.float64)
    assert averaging_condition(K[0], K[1], 3 * K[0], -3 * K[0]) == 0
    e = math.exp(3)
    gap = e / (e + 2) + 1 / (1 + 2 * e) - 1 / (e + 2) - e / (1 + 2 * e)
    assert abs(weight_gap(K, 3 * K[0], -3 * K[0], 0, 1).item() - gap) <= 8 * 2**-52
    assert 0.4 < gap < 0.401
    # Weights (½, ¼, ¼) and (⅛, ⅜, ½): equal sums, but odds of 2 and ⅓.
    q_1 = torch.tensor([2.0, 1, 1], dtype=torch.float64).log()
    q_2 = torch.tensor([1.0, 3, 4], dtype=torch.float64).log()
    assert abs(weight_gap(K, q_1, q_2, 0, 1).item()) <= 8 * 2**-52
    assert Fraction(1, 2) + Fraction(1, 8) == Fraction(1, 4) + Fraction(3, 8)
    residual = averaging_condition(K[0], K[1], q_1, q_2).item()
    assert abs(residual - math.log(2 / 3)) <= 8 * 2**-52


# -- moments -------------------------------------------------------------------------------


# No panel has a singularity near it: half the time of mpmath's own choice, and the same digits.
smooth = functools.partial(mpmath.quad, method="gauss-legendre")


def exact_moments(beta, s):
    """The integrals as they stand in the docstring, at 40 digits: subtraction costs nothing."""
    with mpmath.workdps(40):
        b, s = mpmath.mpf(beta), mpmath.mpf(s)

        def sigma(t):
            return 1 / (1 + mpmath.exp(-t))

        def y(x):
            return (sigma(b * (1 + s * x)) + sigma(-b)) / 2

        points = {mpmath.mpf(k) for k in range(-12, 13)}
        points |= {-1 / s + sign * 2**k / (b * s) for k in range(30) for sign in (-1, 1)}
        points = sorted(p for p in points if -12 <= p <= 12)  # Φ(−12) = 2e-33
        mean = smooth(lambda x: y(x) * mpmath.npdf(x), points)
        total = smooth(mpmath.npdf, points)
        mean += (1 - total) / 2  # the tails, to second order in 1e-33
        variance = smooth(lambda x: (y(x) - mean) ** 2 * mpmath.npdf(x), points)
        return float(mean), float(variance)


@each_once("s, beta", [1e-4, 0.1, 0.3, 0.5**0.5, 3], [1e-3, 0.7, 10, 1000])
@pytest.mark.slow
def test_moments_against_40_digits(beta, s):
    mean, variance = two_head_moments(beta, s)
    expected_mean, expected_variance = exact_moments(beta, s)
    assert math.isclose(mean, expected_mean, rel_tol=1e-14)
    # The tails left out of the reference weigh 4e-33.
    assert math.isclose(variance, expected_variance, rel_tol=1e-12, abs_tol=1e-32)
    assert isinstance(mean, float)
    assert isinstance(variance, float)


@pytest.mark.parametrize(("beta", "s"), [(1e3, 0.05), (1e6, 0.03), (1e5, 0.04)], ids=str)
@pytest.mark.slow
def test_variance_from_a_step_far_out_in_the_tail(beta, s):
    """¼ E σ(−βγ)², in y = βγ: the rest, σ(−β), is below 1e-400, the mean below 1e-88.

    The variance is 5e-90 to 2e-244, all of it from lengths near 0 and below.
    """
    with mpmath.workdps(30):
        b, deviation = mpmath.mpf(beta), mpmath.mpf(beta) * mpmath.mpf(s)
        at_zero = mpmath.npdf(0, b, deviation)  # taken out: quad stops at an absolute error

        def square(y):
            return mpmath.npdf(y, b, deviation) / at_zero / (1 + mpmath.exp(y)) ** 2

        # At y < 0 the density falls like exp(rate y) or faster; the poles of σ are at ±iπ, ….
        rate = b / deviation**2
        points = {-k / rate for k in range(0, 81, 2)} | {mpmath.mpf(k) for k in range(-60, 81, 2)}
        points = sorted(p for p in points if p >= -80 / rate)
        variance = at_zero * smooth(square, points) / 4
    assert math.isclose(two_head_moments(beta, s)[1], float(variance), rel_tol=1e-12)


@pytest.mark.parametrize("s", [0.05, 0.5**0.5, 1, 3, 50])
def test_the_limit_of_large_beta(s):
    """½ with probability Φ(1/s), otherwise 0; the step of width 1/β costs O(1/β)."""
    positive = 0.5 * math.erfc(-1 / s / math.sqrt(2))
    for beta in (1e3, 1e6):
        mean, variance = two_head_moments(beta, s)
        assert abs(mean - positive / 2) <= 1 / (beta * s)
        assert abs(variance - positive * (1 - positive) / 4) <= 1 / (beta * s)


@pytest.mark.parametrize("beta", [1e-6, 0.5, 4, 20])
def test_the_limit_of_small_spread(beta):
    """Var → ¼(β σ′(β) s)², and ½ − mean → ¼ β² s² σ″(−β): digits a subtraction would lose."""
    s = 1e-9
    mean, variance = two_head_moments(beta, s)
    slope = 1 / (2 * math.cosh(beta / 2)) ** 2
    assert math.isclose(variance, (beta * slope * s) ** 2 / 4, rel_tol=1e-12)
    assert abs(mean - 0.5) <= beta**2 * s**2


def test_moments_by_simulation():
    beta, s, n = 10, 0.5**0.5, 400_000
    gamma = 1 + s * torch.randn(n, dtype=torch.float64)
    K = torch.stack([torch.stack([gamma, 0 * gamma], -1),
                     torch.tensor([0.0, 1.0]).double().expand(n, 2)], -2)  # fmt: skip
    q = beta * torch.eye(2, dtype=torch.float64)
    weights = sum(attention_weights(K, q[r].expand(n, 2))[:, 0] for r in (0, 1)) / 2
    mean, variance = two_head_moments(beta, s)
    assert abs(weights.mean().item() - mean) <= 5 * (variance / n) ** 0.5
    squares = (weights - mean).square()
    assert abs(squares.mean().item() - variance) <= 5 * squares.std().item() / n**0.5


@pytest.mark.parametrize(("beta", "s"), [(0, 1), (0.0, 0.0), (7, 0), (1e6, 0)])
def test_nothing_varies(beta, s):
    assert two_head_moments(beta, s) == (0.5, 0.0)


@given(st.floats(0, 1e6), st.floats(0, 1e3))
def test_moments_stay_in_their_bounds(beta, s):
    mean, variance = two_head_moments(beta, s)
    assert 0.25 - 1e-12 <= mean <= 0.5
    assert 0 <= variance <= 1 / 16 + 1e-12, "the weight lies in an interval of length ½"
    assert variance <= beta**2 * s**2 / 64 * (1 + 1e-12) + 5e-324, "σ is ¼-Lipschitz"


# -- the miss ------------------------------------------------------------------------------


def query(n, a, b, rest):
    q = torch.full((n,), float(rest), dtype=torch.float64)
    q[0], q[1] = a, b
    return q


def pair_of(n, beta):
    """Heads committed to keys 0 and 1."""
    return torch.stack([query(n, beta, 0, 0), query(n, 0, beta, 0)])


@pytest.mark.parametrize("n", [2, 3, 10, 300])
@pytest.mark.parametrize("beta", [0, 1, 5])
def test_miss_without_noise_is_that_of_one_softmax(n, beta):
    for q in ([query(n, 0, 0, -beta)], [query(n, beta, beta, 0)], list(pair_of(n, beta))):
        y = sum(torch.softmax(row, 0) for row in q) / len(q)
        exact = (y[:2] - 0.5).norm().item()
        # The square is off by less than 1e-12, and its root by up to 1e-6 where it is 0.
        assert abs(pair_miss(torch.stack(q), 0, 0) - exact) <= 1e-6
        assert abs(pair_miss(torch.stack(q), 0, 0) ** 2 - exact**2) <= 1e-12


@pytest.mark.parametrize("beta", [0.5, 4, 30])
def test_miss_of_two_keys_from_the_moments_of_one_weight(beta):
    """ȳ_b = 1 − ȳ_a, so M² = 2 E(ȳ_a − ½)²."""
    s = 0.5**0.5
    mean, variance = two_head_moments(beta, s)
    expected = 2 * ((mean - 0.5) ** 2 + variance)
    assert abs(pair_miss(pair_of(2, beta), 0, s) ** 2 - expected) <= 1e-12


@pytest.mark.parametrize(("alpha", "tau"), [(0.001, 0.3), (0.3, 2.0), (0.01, 40.0)])
def test_miss_of_a_tie_of_two_keys_against_40_digits(alpha, tau):
    """One head with a lead N(0, τ²): M² = ½ E tanh²(x/2). s = 0: τ² = 2α‖q‖² = 4αβ²."""
    beta = tau / math.sqrt(4 * alpha)
    with mpmath.workdps(20):
        cuts = [k / 2 for k in range(-24, 25)] + [k * 0.7 / tau for k in range(-12, 13)]
        square = smooth(lambda g: mpmath.npdf(g) * mpmath.tanh(tau * g / 2) ** 2, sorted(cuts)) / 2
    got = pair_miss(query(2, beta, beta, 0)[None], alpha, 0)
    assert abs(got**2 - float(square)) <= 1e-12


CASES = {
    "towards": (torch.stack([query(6, 3, 3, 0)]), 0.01, 0.7),
    "away": (torch.stack([query(6, 0, 0, -4)]), 0.02, 0.7),
    "any": (torch.tensor([[1.0, 2, -1, 0.5, 0, -3]]), 0.2, 0.4),
    "committed": (pair_of(6, 5), 0.03, 0.7),
    "three": (torch.eye(6, dtype=torch.float64)[[1, 0, 4]] * 2, 0.3, 0.5),
}


@pytest.mark.parametrize("case", CASES)
def test_miss_by_simulation(case):
    """The keys are drawn as they are, so that the heads share them."""
    queries, alpha, s = CASES[case]
    draws, (_, n) = 100_000, queries.shape
    keys = torch.eye(n).double() + math.sqrt(alpha) * torch.randn(draws, n, n).double()
    keys[:, 0, 0] += s * torch.randn(draws).double()
    y = torch.softmax(keys @ queries.double().T, dim=1).mean(-1)
    squares = ((y[:, :2] - 0.5) ** 2).sum(-1)
    error = squares.std().item() / math.sqrt(draws)
    got = pair_miss(queries, alpha, s)
    assert abs(got**2 - squares.mean().item()) <= 5 * error
    swapped = queries[:, [1, 0, *range(2, n)]]
    if s and not torch.equal(swapped.sort(0).values, queries.sort(0).values):
        assert pair_miss(swapped, alpha, s) != got, "the length is that of key 0"


def test_miss_does_not_depend_on_the_order_of_the_others():
    q = torch.tensor([[1.0, 2, -1, 0.5, 0, -3]])
    assert math.isclose(pair_miss(q, 0.2, 0.4), pair_miss(q[:, [0, 1, 5, 3, 2, 4]], 0.2, 0.4))


def test_twins_would_share_their_noise():
    q = torch.stack([query(4, 0, 0, -1)] * 2)
    assert math.isclose(pair_miss(q, 0, 1), pair_miss(q[:1], 0, 1), abs_tol=1e-6)
    refused("queries", ["orthogonal"], lambda: pair_miss(q, 0.1, 1))
    both = torch.tensor([[1.0, 1], [1, -1]])
    refused("queries", ["along key 0"], lambda: pair_miss(both, 0.1, 1))
    assert pair_miss(both, 0.1, 0) > 0


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_queries():
    for wrong in (torch.zeros(3), torch.zeros(1, 1), torch.zeros(0, 3)):
        refused("queries", [str(tuple(wrong.shape))], functools.partial(pair_miss, wrong, 0, 0))
    refused("queries", ["nan"], lambda: pair_miss(torch.tensor([[nan, 0.0]]), 0, 0))
    refused("queries", ["above 1000"], lambda: pair_miss(query(2, 2e3, 0, 0)[None], 0, 1))
    for value in (-1, nan, "3"):
        refused("alpha", [repr(value)], functools.partial(pair_miss, torch.eye(2), value, 0))
        refused("gamma_std", [repr(value)], functools.partial(pair_miss, torch.eye(2), 0, value))


# -- bad input -----------------------------------------------------------------------------

K, q = torch.eye(4, 3), torch.tensor([0.5, 0.0, -1.0])


@pytest.mark.usefixtures("no_shape_checks")
class TestBadInput:
    def test_overflow(self):
        big = torch.full((3,), 3e38)
        with pytest.raises(ValueError, match=r"^K @ q holds"):
            attention_weights(big.expand(2, 3), big)
        with pytest.raises(ValueError, match=r"^\(k_a - k_b\)·\(q_1 \+ q_2\) holds"):
            averaging_condition(big, q, big, q)

    @pytest.mark.parametrize("value", [
        -1e-9, nan, inf, True, "3", None, 1.1e6,
    ], ids=str)  # fmt: skip
    def test_beta_and_gamma_std(self, value):
        refused("beta", [repr(value)], lambda: two_head_moments(value, 1))
        refused("gamma_std", [repr(value)], lambda: two_head_moments(1, value))
