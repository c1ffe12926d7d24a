"""attnlib/evidence/search.py: what is searched, and what counts as found."""

import math
from fractions import Fraction
from itertools import pairwise

import jaxtyping
import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnlib.evidence import ClaimError
from attnlib.evidence.search import (
    NEAR,
    NOISE,
    Search,
    epsilons,
    flatter_pairs,
    law_tensor,
    laws,
    pairs,
    search,
)

pytestmark = pytest.mark.slow  # thousands of laws are drawn first


inf, nan = math.inf, math.nan


def samples(strategy, examples):
    """What a search of a claim that is always true looks at."""
    seen = []

    def margin(exact, case):
        seen.append(case)
        return 1.0

    assert search(margin, examples, case=strategy) == Search(examples, None)
    assert len(seen) == examples
    return seen


@pytest.fixture(scope="module")
def sampled():
    """400 of each; checking their shapes would take longer than drawing them."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield {
        "laws": [(law,) for law in samples(laws(), 400)],
        "pairs": samples(pairs(), 400),
        "flatter": samples(flatter_pairs(), 400),
    }
    jaxtyping.config.update("jaxtyping_disable", before)


def share(cases, holds):
    return sum(map(holds, cases)) / len(cases)


def is_law(law, least, most):
    return (
        type(law) is tuple
        and least <= len(law) <= most
        and all(type(w) is int and w >= 0 for w in law)
        and any(law)
    )


# -- what is searched ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["laws", "pairs", "flatter"])
def test_what_is_drawn_are_laws_of_one_length(sampled, kind):
    for case in sampled[kind]:
        assert all(is_law(law, 2, 512) for law in case), case
        assert len({len(law) for law in case}) == 1


@pytest.mark.parametrize("kind", ["laws", "pairs", "flatter"])
def test_what_is_drawn_is_adversarial(sampled, kind):
    cases = [case[-1] for case in sampled[kind]]

    def near_tie(case):
        weights = sorted({w for law in case for w in law} - {0})
        return any(0 < b - a < 1e-6 * b for a, b in pairwise(weights))

    assert share(cases, lambda law: 0 in law) > 0.05, "zeros"
    assert share(sampled[kind], near_tie) > 0.02, "near-ties"
    assert share(cases, lambda law: max(law) > 0.999 * sum(law)) > 0.01, "near-vertices"
    assert share(cases, lambda law: sum(w > 0 for w in law) == 1) > 0.005, "vertices"
    assert share(cases, lambda law: len(set(law)) == 1) > 0.02, "uniform"
    assert share(cases, lambda law: len(set(law)) > 2) > 0.2, "several levels"
    assert share(cases, lambda law: len(law) > 400) > 0.02
    assert any(len(law) == 512 for law in cases)
    assert share(cases, lambda law: len(law) <= 8) > 0.02


@pytest.mark.parametrize(("least", "most"), [(2, 2), (3, 4), (8, 8), (1, 5), (5, 17)])
@pytest.mark.parametrize("strategy", [laws, pairs, flatter_pairs], ids=lambda f: f.__name__)
def test_the_number_of_points_is_bounded(strategy, least, most):
    cases = samples(strategy(least, most), 60)
    flat = cases if strategy is laws else [law for pair in cases for law in pair]
    assert all(is_law(law, least, most) for law in flat)
    assert {len(law) for law in flat} >= ({least} if most > 16 else {least, most})


def test_few_points_are_not_mostly_uniform():
    """A law of few points that repeats its first weight alone finds nothing."""
    for least, most in ((3, 4), (8, 8)):
        assert share(samples(laws(least, most), 300), lambda law: len(set(law)) == 1) < 0.5


def test_pairs_are_unrelated_or_close(sampled):
    def distance(pair):
        p, q = ([Fraction(w, sum(law)) for w in law] for law in pair)
        return sum(abs(a - b) for a, b in zip(p, q, strict=True))

    distances = [float(distance(pair)) for pair in sampled["pairs"][::4]]
    assert share(distances, lambda d: d > 0.1) > 0.1
    assert share(distances, lambda d: 0 < d < 1e-6) > 0.02
    assert share(distances, lambda d: 0 < d < 1e-12) > 0.002


def lead(law):
    """Partial sums of the sorted weights: whole numbers, of one total."""
    total, sums = 0, []
    for w in sorted(law, reverse=True):
        total += w
        sums.append(total)
    return sums


def test_flatter_pairs_are_majorised_exactly(sampled):
    strict, shuffled, tiny = 0, 0, 0
    for law, flatter in sampled["flatter"]:
        a, b = lead(law), lead(flatter)
        assert a[-1] == b[-1]
        assert all(x >= y for x, y in zip(a, b, strict=True))
        strict += a != b
        shuffled += sum(x != y for x, y in zip(law, flatter, strict=True)) > 12
        tiny += 0 < max(x - y for x, y in zip(a, b, strict=True)) < 1e-9 * a[-1]
    n = len(sampled["flatter"])
    assert strict > n / 2, "a law and itself are no test"
    assert shuffled > n / 4, "six moves touch twelve entries"
    assert tiny > n / 100


@pytest.mark.parametrize(
    ("bounds", "least", "most"),
    [((), 1e-12, 0.49), ((0.1, 0.2), 0.1, 0.2), ((1e-3,), 1e-3, 0.49), ((0.5, 3), 0.5, 3)],
    ids=str,
)
def test_epsilons(bounds, least, most):
    drawn = samples(epsilons(*bounds), 400)
    assert all(isinstance(eps, float | int) and least <= eps <= most for eps in drawn)
    assert {least, most} <= set(drawn)
    assert len(set(drawn)) > 50
    if not bounds:
        assert len({math.floor(math.log10(eps)) for eps in drawn}) == 12


# -- values ----------------------------------------------------------------------------------


@given(laws(most=30))
def test_a_tensor_of_a_law_is_rounded_once(law):
    p = law_tensor(law)
    assert p.dtype == torch.float64
    total = Fraction(sum(law))
    exact = [float(w / total) for w in law]
    torch.testing.assert_close(p, torch.tensor(exact, dtype=torch.float64), atol=0, rtol=2**-52)


@pytest.mark.parametrize(
    "law", [(10**27, 1), (10**19, 0), (10**18,) * 50, (2**63, 1), (3 * 10**22, 10**22)], ids=repr
)
def test_weights_beyond_the_integers_of_torch(law):
    """Those of pairs, scaled by up to 10¹², reach 10²⁷."""
    exact = [w / sum(law) for w in law]
    assert law_tensor(law).tolist() == pytest.approx(exact, rel=2**-51)


# -- the search ------------------------------------------------------------------------------

numbers = st.integers(0, 10**6)


def planted(exact, x):
    return (mpmath.mpf(100_000) if exact else 1e5) - x + (mpmath.mpf(1) / 2 if exact else 0.5)


def test_a_planted_counterexample_is_found_and_made_small():
    found = search(planted, 500, x=numbers)
    assert found.counterexample == {"x": 100_001}
    assert found.met > 0


def test_several_arguments():
    found = search(lambda exact, a, b: 50 - a - b, 500, a=st.integers(0, 100), b=st.integers(0, 9))
    assert set(found.counterexample) == {"a", "b"}
    assert sum(found.counterexample.values()) == 51


def test_nothing_is_found_where_nothing_is():
    assert search(lambda exact, x: x, 300, x=st.integers(0, 10**9)) == Search(300, None)


@pytest.mark.parametrize("rough", [-1e-17, -1.0, -inf, 0.0, NEAR, nan, inf, None], ids=str)
@pytest.mark.parametrize(
    ("sharp", "found"),
    [
        pytest.param("0", False, id="0"),
        pytest.param("1e-30", False, id="positive"),
        pytest.param("-1e-41", False, id="noise"),
        pytest.param("-1e-39", True, id="negative"),
        pytest.param("-1", True, id="very-negative"),
        pytest.param(None, False, id="not-met"),
    ],
)
def test_fifty_digits_decide_whatever_double_precision_says(rough, sharp, found):
    calls = []

    def margin(exact, x):
        calls.append(exact)
        assert mpmath.mp.dps == (50 if exact else before)
        if exact:
            return None if sharp is None else mpmath.mpf(sharp)
        return rough

    before = mpmath.mp.dps
    result = search(margin, 30, x=numbers)
    assert mpmath.mp.dps == before
    assert (result.counterexample is not None) == found
    assert True in calls
    if not found:
        assert result.met == (0 if sharp is None else 30)


@pytest.mark.parametrize("sharp", [nan, mpmath.nan], ids=["float", "mpmath"])
def test_no_number_at_fifty_digits_is_no_success(sharp):
    with pytest.raises(ClaimError, match=r"the margin at 50 digits is nan for {'x': \d+}"):
        search(lambda exact, x: sharp if exact else -1.0, 20, x=numbers)


def test_far_from_a_failure_double_precision_is_enough():
    def margin(exact, x):
        assert not exact
        return math.nextafter(NEAR, 1)

    assert search(margin, 50, x=numbers) == Search(50, None)


def test_the_noise_is_above_what_fifty_digits_lose():
    assert mpmath.mpf(10) ** -48 * 512 * 100 < NOISE < mpmath.mpf(10) ** -30


def test_a_violation_of_double_precision_alone_is_not_reported():
    """ln is increasing; at neighbours of 1 in double precision 1 − e^{ln x} is not exactly so."""

    def margin(exact, k):
        number, log, exp = (
            (mpmath.mpf, mpmath.log, mpmath.exp) if exact else (float, math.log, math.exp)
        )
        x = number(k) / 7
        return x - exp(log(x))  # 0

    tiny = [margin(False, k) for k in range(1, 500)]
    assert min(tiny) < 0, "double precision sees violations"
    assert search(margin, 300, k=st.integers(1, 500)).counterexample is None


def test_only_cases_that_meet_the_hypotheses_are_counted():
    def margin(exact, x):
        return 1.0 if x % 2 else None

    seen = samples(numbers, 400)
    assert search(margin, 400, x=numbers).met == pytest.approx(sum(x % 2 for x in seen), abs=40)
    assert search(lambda exact, x: None, 100, x=numbers) == Search(0, None)


def test_the_same_cases_every_time():
    def cases(seed):
        torch.manual_seed(seed)
        seen = []

        def margin(exact, pair, eps):
            seen.append((pair, eps))
            return 1.0

        search(margin, 100, pair=pairs(), eps=epsilons())
        return seen

    assert cases(0) == cases(1)


def test_the_same_counterexample_every_time():
    results = [search(planted, 200, x=numbers) for _ in range(2)]
    assert results[0] == results[1]


def test_a_margin_that_fails_is_not_taken_for_an_answer():
    def margin(exact, x):
        raise ZeroDivisionError("inside")

    with pytest.raises(ZeroDivisionError, match="inside"):
        search(margin, 20, x=numbers)


@pytest.mark.parametrize("examples", [1, 17, 250])
def test_as_many_cases_as_asked(examples):
    assert search(lambda exact, x: 1.0, examples, x=st.floats(0, 1)).met == examples
