"""attnlib/ordering.py against exact fractions, 50 digits, autograd and a search of the claims."""

import math
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import torch
from helpers import DTYPES, close, dtypes, each_once, eps, refused
from hypothesis import given
from hypothesis import strategies as st

from attnlib import ordering
from attnlib.entropy import sums_of_law
from attnlib.evidence.search import (
    epsilons,
    flatter_pairs,
    law_tensor,
    laws,
    pairs,
    search,
)
from attnlib.ordering import line_integral, majorizes, safe_eps, safe_gap, segment_integrand

VARIANTS = ["once", "twice"]
inf, nan = math.inf, math.nan


variants = pytest.mark.parametrize("variant", VARIANTS)
EPS = 2.0**-52
EXAMPLES = 500  # drawing them is what takes the time; the chapter searches longer


def tensor(*rows, dtype=torch.float64):
    return torch.tensor(rows[0] if len(rows) == 1 else rows, dtype=dtype)


def probabilities(*shape, dtype=torch.float64):
    return torch.softmax(2 * torch.randn(*shape, dtype=dtype), -1)


# -- majorisation ----------------------------------------------------------------------------


def exact_law(law):
    return [Fraction(w) / sum(map(Fraction, law)) for w in law]


def deficit(p, q):
    """By the definition, O(n²): the most by which the k largest of p fall short of those of q."""
    p, q = sorted(exact_law(p), reverse=True), sorted(exact_law(q), reverse=True)
    return max(sum(q[:k]) - sum(p[:k]) for k in range(1, len(p) + 1))


def hinges(p, q):
    """By Hardy, Littlewood and Pólya: Σ(p − t)₊ ≥ Σ(q − t)₊ at every corner t of either side."""
    p, q = exact_law(p), exact_law(q)

    def hinge(x, t):
        return sum(max(v - t, Fraction(0)) for v in x)

    return all(hinge(p, t) >= hinge(q, t) for t in {*p, *q})


@given(pairs(most=12) | flatter_pairs(most=12))
def test_majorisation_against_exact_fractions(pair):
    for a, b in (pair, pair[::-1]):
        missing = deficit(a, b)
        assert hinges(a, b) == (missing <= 0), "Hardy, Littlewood, Pólya"
        for dtype in DTYPES:
            small = len(a) * eps(dtype)
            # The entries are rounded by half an eps of their size: at most eps in a sum.
            verdict = majorizes(*(law_tensor(law).to(dtype) for law in (a, b))).item()
            if missing <= 0:
                assert verdict
            elif missing > small + 2 * eps(dtype):
                assert not verdict


@dtypes
def test_the_tolerance_is_n_roundings(dtype):
    n = 8
    q = torch.full((n,), 1 / n, dtype=dtype)
    for units, verdict in ((0.5, True), (1, True), (2, False), (4, False), (1000, False)):
        step = units * n * eps(dtype)
        flatter = q.clone()
        flatter[0] += step
        flatter[1] -= step
        assert majorizes(flatter, q).item()
        assert majorizes(q, flatter).item() == verdict, units


@each_once("n, dtype", [2, 3, 64, 512], DTYPES)
def test_a_sharper_softmax_majorises(n, dtype):
    """In both precisions, and never the other way round."""
    z = 3 * torch.randn(20, n, dtype=dtype)
    ladder = [torch.softmax(beta * z, -1) for beta in (0.0, 0.5, 1.0, 1.0001, 2.0, 50.0)]
    for i, flat in enumerate(ladder):
        for sharp in ladder[i:]:
            assert majorizes(sharp, flat).all()
    if n > 2:  # two points can lie too close together or too far apart
        assert not majorizes(ladder[1], ladder[2]).any()
        assert not majorizes(ladder[2], ladder[4]).any()


@dtypes
def test_sums_are_made_one_first(dtype):
    """Half the digits may be missing from a sum: without that, neither would majorise."""
    p = tensor(0.5, 0.3, 0.2, dtype=dtype)
    more = p * (1 + 0.5 * eps(dtype) ** 0.5)
    assert majorizes(p, more)
    assert majorizes(more, p)


@dtypes
def test_extremes(dtype):
    for n in (1, 2, 5, 300):
        p = probabilities(3, n, dtype=dtype)
        uniform, one_hot = torch.full_like(p, 1 / n), torch.zeros_like(p)
        one_hot[:, -1] = 1
        assert majorizes(one_hot, p).all()
        assert majorizes(p, uniform).all()
        assert majorizes(p, p).all()
        assert majorizes(uniform, one_hot).all() == (n == 1)


def test_incomparable_laws():
    p, q = tensor(0.6, 0.2, 0.2), tensor(0.5, 0.4, 0.1)
    assert not majorizes(p, q)
    assert not majorizes(q, p)


def test_every_partial_sum_counts():
    """Laws that fall short at one k alone."""
    n = 6
    for k in range(1, n):
        q = torch.arange(2.0 * n, n, -1, dtype=torch.float64)
        p = q.clone()
        p[k - 1] -= 0.25
        p[k] += 0.25
        assert not majorizes(p / p.sum(), q / q.sum())
        assert majorizes(q / q.sum(), p / p.sum())


@given(pairs(most=20), st.randoms())
def test_majorisation_does_not_see_the_order(pair, random):
    p, q = (law_tensor(law) for law in pair)
    orders = [random.sample(range(len(p)), len(p)) for _ in range(2)]
    verdict = majorizes(p, q).item()
    if abs(deficit(*pair)) > 2 * len(p) * EPS:
        assert majorizes(p[orders[0]], q[orders[1]]).item() == verdict


# -- the gap ---------------------------------------------------------------------------------


def G(x):
    return (1 + x) * mpmath.log1p(x) - (x * mpmath.log(x) if x else 0)


def exact_gap(n, epsilon, variant):
    with mpmath.workdps(400):  # ε may be 1e-300, and (1 + x) ln(1 + x) must keep it
        n, epsilon = mpmath.mpf(n), mpmath.mpf(epsilon)
        if variant == "once":
            return mpmath.log((1 + n * epsilon) / (1 + epsilon))
        return G(n * epsilon) - G(epsilon)


SIZES = [1, 2, 3, 8, 100, 512, 10**6, 2**40, 2**62, 2**63 - 1]
LEVELS = [1e-300, 1e-100, 1e-17, 1e-9, 0.001, 0.3, 1, math.nextafter(1.0, 2.0), 7, 1e5, 1e10, 1e16]


@variants
@pytest.mark.parametrize("n", SIZES)
def test_safe_gap_against_50_digits(n, variant):
    """A few relative roundings; two terms are subtracted that differ by a factor of n at least.

    For large ε: in a difference beside ln n.
    """
    values = []
    for level in LEVELS:
        value = safe_gap(n, level, variant)
        assert type(value) is float
        want = exact_gap(n, level, variant)
        assert abs(value - want) <= 12 * EPS * want, level
        values.append(value)
    if n > 1:
        assert values == sorted(values)
        assert len(set(values)) >= len(values) - 2  # next to 1, and where ln n is reached
        assert 0 < values[0] < 1e-270
        assert values[-1] == pytest.approx(math.log(n), rel=1e-13)


@variants
@each_once("n, level", [1, 2, 512, 2**62], [1e300, 1.7e308])
def test_an_enormous_eps_needs_a_gap_of_ln_n(n, level, variant):
    assert safe_gap(n, level, variant) == pytest.approx(math.log(n), rel=4 * EPS)


def test_the_gap_of_once_is_the_smaller_one():
    for n in SIZES[1:]:
        for level in LEVELS[2:9]:
            assert safe_gap(n, level, "once") < safe_gap(n, level, "twice")


@variants
@pytest.mark.parametrize("n", SIZES[1:])
def test_safe_eps_is_the_root(n, variant):
    """Bracketed at 50 digits: ε(1 − δ) needs a smaller gap, ε(1 + δ) a larger one.

    δ counts the roundings of ln ε, where twice is solved, and those of a gap of the size of
    ln n, divided by the slope of the gap.
    """
    top = math.log(n)
    for gap in (1e-270, 1e-100, 1e-12, 1e-3, 0.1, top / 2, 0.9 * top, top - 1e-3, top - 1e-7):
        if gap >= top:
            continue
        epsilon = safe_eps(gap, n, variant)
        assert type(epsilon) is float
        with mpmath.workdps(50):
            slope = exact_gap(n, epsilon * (1 + 1e-6), variant) - exact_gap(n, epsilon, variant)
            slope = float(slope) / 1e-6
            delta = EPS * (8 + 4 * abs(math.log(epsilon)) + 16 * gap / slope)
            assert delta < 2e-6
            e, delta = mpmath.mpf(epsilon), mpmath.mpf(delta)
            assert exact_gap(n, e * (1 - delta), variant) < gap, gap
            assert exact_gap(n, e * (1 + delta), variant) > gap, gap


@given(st.floats(-12, 3).map(lambda e: 10.0**e), st.integers(2, 10**6), st.sampled_from(VARIANTS))
def test_gap_and_eps_invert_each_other(epsilon, n, variant):
    gap = safe_gap(n, epsilon, variant)
    if gap >= math.log(n):
        return
    slope = (safe_gap(n, epsilon * (1 + 1e-4), variant) - gap) / 1e-4
    allowance = EPS * (16 + 8 * abs(math.log(epsilon)) + 32 * (gap + 1e-300) / max(slope, 1e-15))
    assert abs(safe_eps(gap, n, variant) / epsilon - 1) <= 1.01 * allowance


@variants
@pytest.mark.slow
def test_safe_eps_at_the_ends(variant):
    for n in SIZES[::2]:
        top = math.log(n)
        if top:
            assert safe_eps(top, n, variant) == inf
            assert 1e12 < safe_eps(math.nextafter(top, 0), n, variant) < inf
        assert safe_eps(top + 1e-9, n, variant) == inf
        assert safe_eps(1e300, n, variant) == inf
        grid = [top * i / 16 for i in range(1, 16)] if top else []
        values = [safe_eps(gap, n, variant) for gap in grid]
        assert all(a < b for a, b in pairwise(values))
        if top:  # the smallest gaps
            assert 0 <= safe_eps(5e-324, n, variant) <= 5e-324
            assert 0 < safe_eps(1e-280, n, variant) < 1e-280 / (n - 1) * 1.01


def apart(gap, n, epsilon):
    """By how much two roots may differ: each by the roundings of ln ε, and those of gaps of the
    size of ln n, divided by the slope of the gap."""
    with mpmath.workdps(50):
        e = mpmath.mpf(epsilon)
        slope = n * e * mpmath.log1p(1 / (n * e)) - e * mpmath.log1p(1 / e)
        return 2 * EPS * (8 + 4 * abs(mpmath.log(e)) + 16 * max(gap, 1e-300) / slope)


@given(st.lists(st.floats(0, 1, exclude_min=True) | st.floats(-290, 0).map(lambda e: 10.0**e),
                min_size=1, max_size=6), st.integers(2, 40) | st.integers(2, 2**62),
       st.sampled_from(VARIANTS))  # fmt: skip
def test_many_gaps_are_as_each_alone(parts, n, variant):
    gaps = [max(part * math.log(n), 1e-300) for part in parts]
    found = safe_eps(tensor(gaps), n, variant)
    assert found.dtype == torch.float64
    for gap, epsilon in zip(gaps, found.tolist(), strict=True):
        alone = safe_eps(gap, n, variant)
        if variant == "once" or gap >= math.log(n):
            assert epsilon == pytest.approx(alone, rel=4 * EPS, abs=0)
        else:
            assert abs(epsilon / alone - 1) <= apart(gap, n, alone), gap


@variants
def test_many_gaps_at_the_ends(variant):
    for n in (1, 2, 512, 2**62):
        top = math.log(n)
        gaps = [5e-324, 1e-320, 1e-280, top, top + 1e-9, 1e300]
        gaps += [0.5 * top, math.nextafter(top, 0)] if top else []
        found = safe_eps(tensor([v for v in gaps if v]), n, variant).tolist()
        alone = [safe_eps(v, n, variant) for v in gaps if v]
        for epsilon, other in zip(found, alone, strict=True):
            if 1e11 < other < inf:  # where a rounding of the gap changes ε by its size
                assert 1e11 < epsilon < inf
            else:
                assert epsilon == pytest.approx(other, rel=1e-12, abs=1e-320)


def test_many_gaps_keep_shape_and_dtype():
    gaps = torch.rand(2, 3, requires_grad=True) + 0.01
    for variant in VARIANTS:
        found = safe_eps(gaps, 4, variant)
        assert (found.shape, found.dtype, found.requires_grad) == ((2, 3), torch.float32, False)
        close(found, safe_eps(gaps.double(), 4, variant).float())
        close(safe_eps(gaps[1, 2], 4, variant), found[1, 2])
    refused("gap", ["0.0", "(1, 0)"], lambda: safe_eps(tensor([1.0, 2.0], [0.0, 1.0]), 4, "once"))
    refused("gap", ["float16"], lambda: safe_eps(gaps.half(), 4, "once"))


def test_the_smaller_eps_is_that_of_twice():
    for n in (2, 17, 512):
        for gap in (1e-6, 0.1, 0.9 * math.log(n)):
            ratio = safe_eps(gap, n, "once") / safe_eps(gap, n, "twice")
            assert ratio > 1


@pytest.mark.usefixtures("no_shape_checks")
class TestBadInputOfTheGap:
    def test_variant(self):
        for call in (lambda: safe_gap(3, 0.1, "Once"), lambda: safe_eps(100.0, 3, None)):
            refused("variant", ["one of once, twice"], call)

    @pytest.mark.parametrize("n", [0, 2.0, True, None, 10**400], ids=repr)
    def test_n(self, n):
        for call in (lambda: safe_gap(n, 0.1, "once"), lambda: safe_eps(0.1, n, "twice")):
            with pytest.raises(ValueError, match=r"^n must be an integer"):
                call()

    @pytest.mark.parametrize("bad", [0, -1, nan, inf, True, "1", 10**400], ids=repr)
    def test_eps_and_gap(self, bad):
        with pytest.raises(ValueError, match=r"^eps must be"):
            safe_gap(3, bad, "once")
        with pytest.raises(ValueError, match=r"^gap must be"):
            safe_eps(bad, 3, "once")

    def test_other_integers(self):
        assert safe_gap(np.int64(3), 1, "once") == safe_gap(3, 1, "once")
        assert safe_eps(1, torch.tensor(512), "once") == safe_eps(1, 512, "once")


# -- the integrand ---------------------------------------------------------------------------


def F(x, epsilon, variant):
    if variant == "once":
        return torch.special.xlogy(x, x + epsilon).sum(-1)
    return torch.special.xlogy(x + epsilon, x + epsilon).sum(-1)


LEGS = {
    "two": ([0.2, 0.8], [0.9, 0.1]),
    "ordinary": ([0.1, 0.2, 0.3, 0.4], [0.25, 0.05, 0.6, 0.1]),
    "back": ([0.25, 0.05, 0.6, 0.1], [0.1, 0.2, 0.3, 0.4]),
    "one-stays": ([0.3, 0.5, 0.2], [0.3, 0.1, 0.6]),
    "zero-stays": ([0.0, 0.5, 0.5], [0.0, 0.125, 0.875]),
    "near": ([0.5, 0.5], [0.5 + 2**-20, 0.5 - 2**-20]),
    "n=300": ([1 / 300] * 300, [(i + 0.5) / 45000 for i in range(300)]),
}


@pytest.mark.parametrize("leg", LEGS)
@each_once("epsilon, variant, dtype", [0.0, 1e-6, 0.01, 0.4, 10], VARIANTS, DTYPES + DTYPES[::-1])
def test_integrand_against_autograd(leg, epsilon, variant, dtype):
    """The derivative of F by the length of the way, at float64; the 1s add Σl, a rounding."""
    p1, p2 = (tensor(row, dtype=dtype) for row in LEGS[leg])
    a, b = p1.double(), p2.double()
    length = (b - a).square().sum().sqrt()
    for t in (0.0, 0.25, 0.7, 1.0):
        s = (t * length).requires_grad_()
        way = (a + s * (b - a) / length)[a != b]
        (want,) = torch.autograd.grad(F(way, epsilon, variant), s)
        got = segment_integrand(p1, p2, t, epsilon, variant)
        assert got.dtype == dtype
        assert got.shape == ()
        # Σ|l| ≤ √n times the size of a logarithm; p2 − p1 is rounded, and Σl is not quite 0.
        size = (len(p1) ** 0.5) * (2 + abs(math.log(min(p1[p1 > 0].min(), p2[p2 > 0].min()))))
        ratio = max(1.0, 1 / length.item()) if leg == "near" else 1.0
        allowance = 8 * eps(dtype) * size * ratio + 2 * (b.sum() - a.sum()).abs() / length
        close(got.double(), want, atol=allowance.item(), rtol=0)


@variants
@pytest.mark.parametrize("epsilon", [0.0, 0.05])
def test_integrand_has_unit_length(variant, epsilon):
    """How far p2 lies on the line does not count, and backwards the sign is the other."""
    p1, p2 = tensor(0.1, 0.2, 0.7), tensor(0.5, 0.3, 0.2)
    middle = (p1 + p2) / 2
    at = segment_integrand(p1, p2, 0.25, epsilon, variant)
    close(segment_integrand(p1, middle, 0.5, epsilon, variant), at)
    close(segment_integrand(p2, p1, 0.75, epsilon, variant), -at)
    one, other = tensor(0.5, 0.25, 0.25), tensor(0.25, 0.5, 0.25)
    # l = (−1, 1, 0)/√2
    slope = segment_integrand(one, other, 0.0, epsilon, "twice")
    want = (math.log(0.25 + epsilon) - math.log(0.5 + epsilon)) / math.sqrt(2)
    close(slope.item(), want)


@dtypes
@variants
def test_the_note_s_own_example(variant, dtype):
    p1, p2 = tensor(0.2, 0.8, dtype=dtype), tensor(0.9, 0.1, dtype=dtype)
    t = torch.tensor([0.0, 3 / 7, 1.0], dtype=dtype)
    got = segment_integrand(p1, p2, t, variant=variant).double()
    want = tensor(-math.log(4) / math.sqrt(2), 0.0, math.log(9) / math.sqrt(2))
    close(got, want, atol=16 * eps(dtype), rtol=0)


@dtypes
@variants
@pytest.mark.parametrize("scale", [1e-8, 1e-25, 1e-36])
def test_a_short_way_has_a_direction_too(scale, variant, dtype):
    """The square of the difference underflows; its direction does not."""
    p1, p2 = tensor(scale, 2 * scale, 1.0, dtype=dtype), tensor(3 * scale, scale, 1.0, dtype=dtype)
    if dtype == torch.float64:
        p1[:2] *= scale**4
        p2[:2] *= scale**4
    x = p1.double()
    got = segment_integrand(p1, p2, 0.0, variant=variant)
    want = (2 * x[0].log() - x[1].log()) / math.sqrt(5)
    close(got.double(), want, rtol=1e-5, atol=0)


@dtypes
@variants
def test_infinite_ends(variant, dtype):
    """−∞ where an entry leaves 0, +∞ where one arrives; with ε, or where 0 stays 0, neither."""
    leaving = tensor([0.0, 0.5, 0.5], [0.0, 0.5, 0.5], dtype=dtype)
    arriving = tensor([0.25, 0.75, 0.0], [0.0, 0.25, 0.75], dtype=dtype)
    t = torch.tensor([[0.0], [0.5], [1.0]], dtype=dtype)
    got = segment_integrand(leaving, arriving, t, variant=variant)
    assert got.shape == (3, 2)
    assert got[:, 0].isinf().tolist() == [True, False, True]
    assert got[0, 0] == -inf
    assert got[2, 0] == inf
    assert got[:, 1].isfinite().all()
    assert segment_integrand(leaving, arriving, t, 1e-6, variant).isfinite().all()
    one_hot = torch.eye(3, dtype=dtype)
    assert segment_integrand(one_hot[0], one_hot[1], 0, variant=variant) == -inf
    assert segment_integrand(one_hot[0], one_hot[1], 1, variant=variant) == inf


def test_without_eps_the_variants_agree():
    p1, p2, t = probabilities(4, 5), probabilities(4, 5), torch.rand(4, dtype=torch.float64)
    close(
        segment_integrand(p1, p2, t, 0, "once"),
        segment_integrand(p1, p2, t, 0.0, "twice"),
        atol=0,
        rtol=0,
    )
    once = segment_integrand(p1, p2, t, 0.1, "once")
    assert (once - segment_integrand(p1, p2, t, 0.1)).abs().min() > 1e-4
    close(segment_integrand(p1, p2, t, 0.1), segment_integrand(p1, p2, t, 0.1, "twice"))
    close(segment_integrand(p1, p2, t, -0.0), segment_integrand(p1, p2, t))


@pytest.mark.parametrize(
    ("b", "c", "shape"),
    [
        ((), (), ()),
        ((), (5,), (5,)),
        ((3,), (3,), (3,)),
        ((3,), (5, 1), (5, 3)),
        ((2, 3), (3,), (2, 3)),
        ((2, 1), (5,), (2, 5)),
        ((0,), (), (0,)),
        ((0,), (0,), (0,)),
        ((), (0,), (0,)),
    ],
    ids=str,
)
def test_the_fraction_broadcasts(b, c, shape):
    p1, p2 = probabilities(*b, 4), probabilities(*b, 4)
    t = torch.rand(c, dtype=torch.float64)
    got = segment_integrand(p1, p2, t, 0.01)
    assert got.shape == shape
    full = [x.expand(*shape, 4).reshape(-1, 4) for x in (p1, p2)]
    each = [
        segment_integrand(x, y, s.item(), 0.01)
        for x, y, s in zip(*full, t.expand(shape).reshape(-1), strict=True)
    ]
    if each:
        close(got.flatten(), torch.stack(each))


@given(flatter_pairs(most=9) | pairs(most=9), st.sampled_from([0.0, 1e-3, 0.4]),
       st.sampled_from(VARIANTS))  # fmt: skip
def test_the_integrand_increases_along_the_way(pair, epsilon, variant):
    """F is convex. Negative at first where the order is the other, at last positive."""
    p1, p2 = (law_tensor(law) for law in pair)
    if torch.equal(p1, p2):
        return
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    values = segment_integrand(p1, p2, t, epsilon, variant).tolist()
    # l is known to eps/‖p2 − p1‖, and the logarithms reach 35 here.
    small = 100 * EPS * len(p1) / (p2 - p1).norm().item()
    assert all(a <= b + small for a, b in pairwise(values))


def test_transforms_of_the_integrand():
    p1, p2 = probabilities(3, 4), probabilities(3, 4)
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    together = segment_integrand(p1, p2, t, 0.01)
    close(torch.func.vmap(lambda a, b, s: segment_integrand(a, b, s, 0.01))(p1, p2, t), together)
    slope = torch.func.vmap(torch.func.grad(lambda s, a, b: segment_integrand(a, b, s)))(t, p1, p2)
    x = p1 + t[:, None] * (p2 - p1)
    step = p2 - p1
    close(slope, (step.square() / x).sum(-1) / step.norm(dim=-1))  # lᵀ (Hessian) step


# -- the integral ----------------------------------------------------------------------------


def closed(p1, p2, epsilon, variant):
    """F(p2) − F(p1) at 50 digits of the very floats, less what the 1 of the derivative adds.

    That is Σp2 − Σp1, a few roundings. With ε inside the logarithm only there is no such 1.
    """
    one = variant == "twice" or epsilon == 0
    with mpmath.workdps(50):
        total = mpmath.mpf(0)
        for sign, row in ((1, p2), (-1, p1)):
            for v, count in Counter(row.tolist()).items():
                v, e = mpmath.mpf(v), mpmath.mpf(epsilon)
                if v + e:
                    factor = v if variant == "once" else v + e
                    total += sign * count * factor * mpmath.log(v + e)
                total -= one * sign * count * v
        return total


ENDS = {
    **LEGS,
    "vertices": ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]),
    "vertex-to-uniform": ([1.0, 0.0, 0.0], [1 / 3] * 3),
    "zeros-at-both": ([0.0, 0.25, 0.75, 0.0], [0.5, 0.5, 0.0, 0.0]),
    "1e-9": ([1e-9, 1 - 1e-9], [0.5, 0.5]),
    "1e-9-at-the-end": ([0.25, 0.75], [1 - 1e-9, 1e-9]),
    "1e-6-and-1e-12": ([1e-6, 1e-12, 0.5, 0.499999], [0.25, 0.5, 1e-12, 0.25]),
    "1e-15-and-0": ([1e-15, 0.0, 1.0], [0.5, 0.5, 1e-15]),
    "1e-30": ([1e-30, 1.0], [1.0, 0.0]),
    "1e-300": ([1e-300, 0.5, 0.5], [1.0, 1e-300, 0.0]),
    "1e-300-to-0": ([1e-300, 1.0], [0.0, 1.0]),
    "1e-4-apart": ([1e-4, 1 - 1e-4], [2e-4, 1 - 2e-4]),
    "short": ([0.5, 0.5], [0.5 + 1e-12, 0.5 - 1e-12]),
    "subnormal": ([1e-320, 0.5, 0.5], [0.0, 1.0, 0.0]),
    "smallest": ([5e-324, 0.5, 0.5], [0.0, 1.0, 0.0]),
    "smallest-at-the-end": ([0.25, 0.0, 0.75], [5e-324, 1.0, 0.0]),
}


@each_once("leg, variant, dtype", list(ENDS), VARIANTS, [*DTYPES, *reversed(DTYPES)])
def test_line_integral_against_50_digits(leg, variant, dtype):
    """To the 1e-13 asked of the rule, and the rounding of the result."""
    p1, p2 = (tensor(row, dtype=dtype) for row in ENDS[leg])
    if torch.equal(p1, p2):
        pytest.skip("equal in float32")
    for epsilon in (0, 1e-30, 1e-12, 1e-9, 1e-3, 0.3, 10.0):
        got = line_integral(p1, p2, epsilon, variant)
        assert got.dtype == dtype
        assert got.shape == ()
        want = float(closed(p1, p2, epsilon, variant))
        assert abs(got.item() - want) <= 1e-13 + eps(dtype) * abs(want), epsilon
        back = line_integral(p2, p1, epsilon, variant)
        close(back, -got, atol=2e-13, rtol=2 * eps(dtype))


@given(laws(most=40), laws(most=40), epsilons() | st.just(0.0), st.sampled_from(VARIANTS))
def test_line_integrals_of_any_laws(a, b, epsilon, variant):
    n = min(len(a), len(b))
    a, b = (law[:n] if any(law[:n]) else (1, *law[1:n]) for law in (a, b))
    p1, p2 = law_tensor(a), law_tensor(b)
    if not torch.equal(p1, p2):
        want = float(closed(p1, p2, epsilon, variant))
        assert abs(line_integral(p1, p2, epsilon, variant).item() - want) <= 1e-13


@given(st.lists(st.floats(-290, 0), min_size=3, max_size=6), st.floats(-290, 0), st.randoms())
def test_line_integrals_between_entries_of_any_size(exponents, exponent, random):
    raw = [10.0**e for e in exponents]
    p1 = tensor(raw) / sum(raw)
    raw = [random.choice([0.0, v, 10.0**exponent]) for v in raw[1:]] + [1.0]
    p2 = tensor(raw) / sum(raw)
    if not torch.equal(p1, p2):
        for x, y in ((p1, p2), (p2, p1)):
            got = line_integral(x, y).item()
            assert abs(got - float(closed(x, y, 0, "twice"))) <= 1e-13


def test_the_notes_sum_is_the_default():
    p1, p2 = tensor(0.7, 0.2, 0.1), tensor(0.1, 0.6, 0.3)
    assert line_integral(p1, p2, 0.1) == line_integral(p1, p2, 0.1, "twice")
    assert segment_integrand(p1, p2, 0.3, 0.1) == segment_integrand(p1, p2, 0.3, 0.1, "twice")
    assert line_integral(p1, p2, 0.1) != line_integral(p1, p2, 0.1, "once")


def test_the_closed_difference_is_not_used(monkeypatch):
    """Another integrand gives another integral: of x₀ along the way, the mean of its ends."""
    nodes = []

    def first_entry(x, direction, epsilon, variant):
        nodes.append(x[..., 0].numel())
        assert direction.flatten().tolist() == pytest.approx([0.75, -0.75])
        return x[..., 0] ** 2

    monkeypatch.setattr(ordering, "_integrand", first_entry)
    p1, p2 = tensor(0.125, 0.875), tensor(0.875, 0.125)
    want = (0.875**3 - 0.125**3) / 3 / 0.75
    assert abs(line_integral(p1, p2).item() - want) <= 1e-13
    assert sum(nodes) > 100


@dtypes
@each_once("epsilon, variant", [0.0, 1e-9, 0.01, 10.0], VARIANTS)
def test_slopes_of_the_integral_against_50_digits(epsilon, variant, dtype):
    """Those of F at the ends; the 1 is left out, as in the integrand."""
    for a, b in ([0.7, 0.2, 0.1], [0.1, 0.6, 0.3]), ([1e-30, 1.0], [0.5, 0.5]):
        ends = [tensor(row, dtype=dtype).requires_grad_() for row in (a, b)]
        for sign, p, g in zip((-1, 1), ends, torch.autograd.grad(line_integral(*ends, epsilon,
                              variant), ends), strict=True):  # fmt: skip
            for v, slope in zip(p.tolist(), g.tolist(), strict=True):
                with mpmath.workdps(50):
                    shifted = mpmath.mpf(v) + epsilon
                    want = mpmath.log(shifted) + (variant == "once") * (epsilon > 0) * v / shifted
                # ln(v + ε): the sum is rounded, which counts where the logarithm is near 0.
                small = eps(dtype) * (2 + 2 * abs(want))
                assert abs(slope - sign * want) <= small, (v, slope)


@variants
@pytest.mark.parametrize("epsilon", [0.0, 0.01])
def test_slopes_of_the_integral_are_those_of_the_closed_difference(epsilon, variant):
    """Along the simplex, where the 1 does not count; twice, and by difference quotients."""
    z = [torch.randn(2, 5, dtype=torch.float64, requires_grad=True) for _ in range(2)]

    def integral(*z):
        return line_integral(*(torch.softmax(v, -1) for v in z), epsilon, variant).sum()

    def difference(*z):
        return sum(
            sign * F(torch.softmax(v, -1), epsilon, variant).sum()
            for sign, v in zip((-1, 1), z, strict=True)
        )

    close(torch.autograd.grad(integral(*z), z), torch.autograd.grad(difference(*z), z))
    for second in zip(*(torch.autograd.functional.hessian(f, tuple(z))
                        for f in (integral, difference)), strict=True):  # fmt: skip
        close(*second)
    assert torch.autograd.gradcheck(integral, z)
    assert torch.autograd.gradgradcheck(integral, z)


def test_slopes_at_a_zero_are_set_to_0():
    z = tensor(0.5, -inf, 1.0).requires_grad_()
    p = torch.softmax(z, -1)
    p.retain_grad()
    line_integral(tensor(0.25, 0.5, 0.25), p).backward()
    assert p.grad.tolist() == pytest.approx([p[0].log().item(), 0, p[2].log().item()])
    assert z.grad.isfinite().all()
    rest = tensor(0.5, 1.0).requires_grad_()
    F(torch.softmax(rest, -1), 0.0, "twice").backward()
    close(z.grad[[0, 2]], rest.grad)


def test_many_integrals_are_those_of_each_pair(monkeypatch):
    p1, p2 = probabilities(7, 3, 4), probabilities(7, 3, 4)
    p1[0, 0], p2[1, 1] = tensor(1.0, 0, 0, 0), tensor(0, 0.5, 0.5, 0)
    each = [line_integral(a, b, 0.0, "once")
            for a, b in zip(p1.flatten(0, 1), p2.flatten(0, 1), strict=True)]  # fmt: skip
    for most in (1, 2**13, 2**20):  # one at a time, a few, all at once
        monkeypatch.setattr(ordering, "_MOST_NUMBERS", most)
        found = line_integral(p1, p2, 0.0, "once")
        close(found, torch.stack(each).reshape(7, 3), atol=1e-15, rtol=0)


def test_a_quadrature_that_fails_says_so(monkeypatch):
    monkeypatch.setattr(ordering, "_integrand", lambda x, *_: 1 / (x[..., 0] - 0.3).abs())
    with pytest.raises(ArithmeticError, match="quadrature"):
        line_integral(tensor(0.1, 0.9), tensor(0.9, 0.1))
    with pytest.raises(ArithmeticError, match="quadrature"):  # one of several
        line_integral(tensor([0.5, 0.5], [0.1, 0.9]), tensor([0.8, 0.2], [0.9, 0.1]))


# -- bad pairs -------------------------------------------------------------------------------

good = torch.tensor([[0.25, 0.75, 0.0], [0.5, 0.25, 0.25]])
other = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.75, 0.0]])


@pytest.mark.usefixtures("no_shape_checks")
class TestBadWays:
    def test_equal_laws(self):
        for f in (line_integral, lambda *pair: segment_integrand(*pair, 0.5)):
            refused("p1 and p2", ["differ", "row ()"], lambda f=f: f(good[0], good[0]))
            mixed = torch.stack([other[0], good[1]])
            refused("p1 and p2", ["differ", "row (1,)"], lambda f=f, m=mixed: f(good, m))

    @pytest.mark.parametrize(
        "t", [-1e-9, 1 + 1e-9, 2, -1, nan, inf, True, "0.5", None, [0.5]], ids=repr
    )
    def test_fraction(self, t):
        refused("t", [repr(t)], lambda: segment_integrand(good, other, t))

    @pytest.mark.parametrize(
        ("t", "words"),
        [
            pytest.param(torch.tensor(1.5), ["above 1"], id="no-axis"),
            pytest.param(torch.tensor([0.5, 0.5, 0.5]), ["(3,)", "(2, 3)"], id="shape"),
        ],
    )
    def test_fractions(self, t, words):
        refused("t", words, lambda: segment_integrand(good, other, t))

    def test_eps_beyond_the_dtype(self):
        refused("eps", ["torch.float32"], lambda: segment_integrand(good, other, 0.5, 1e-50))
        refused("eps", ["torch.float32"], lambda: line_integral(good, other, 1e-50))
        assert line_integral(good.double(), other.double(), 1e-50).isfinite().all()


# -- the claims, searched --------------------------------------------------------------------


fast = pytest.mark.usefixtures("no_shape_checks")  # checking shapes takes longer than the search


def signed(values):
    return tuple(b - a for a, b in zip(*values, strict=True))


def same(pair):
    """Up to order: nothing to decide, and not worth 50 digits."""
    return Counter(pair[0]) == Counter(pair[1])


def schur_margin(exact, pair, eps):
    """Of a law and a flatter one: neither B nor C may increase."""
    if same(pair):
        return inf
    (_, b1, c1), (_, b2, c2) = (sums_of_law(law, eps, exact) for law in pair)
    return min(b1 - b2, c1 - c2)


@fast
@pytest.mark.slow
def test_majorisation_keeps_the_order_for_every_eps():
    found = search(schur_margin, EXAMPLES, pair=flatter_pairs(), eps=epsilons())
    assert found.counterexample is None
    assert found.met == EXAMPLES


@fast
def test_temperature_keeps_the_order_for_every_eps():
    """Powers of one law are its temperatures, exactly: weights w and w², normalised."""

    def pair(law):
        return tuple(w * w for w in law), law

    found = search(schur_margin, 200, pair=laws(most=60).map(pair), eps=epsilons())
    assert found.counterexample is None


SMALL = st.tuples(*[st.tuples(*[st.integers(0, 12)] * 3).filter(any)] * 2)


@fast
@pytest.mark.parametrize("which", [1, 2], ids=["B", "C"])
@pytest.mark.slow
def test_without_majorisation_the_order_can_change(which):
    """A law of the smaller entropy, but not a majorising one."""

    def margin(exact, pair, eps):
        first, second = (sums_of_law(law, eps, exact) for law in pair)
        if same(pair) or first[0] <= second[0]:
            return None
        return first[which] - second[which]

    found = search(margin, 1000, pair=SMALL, eps=epsilons(least=0.01))
    case = found.counterexample
    assert case is not None
    assert deficit(*case["pair"]) > 0, "by the theorem"
    assert deficit(*case["pair"][::-1]) > 0, "by the theorem for A"
    with mpmath.workdps(50):
        assert margin(True, **case) < 0


def flip_margin(pair, epsilon, variant, exact):
    """B or C of the law that is larger in A, less that of the other."""
    which = 1 if variant == "once" else 2
    first, second = (sums_of_law(law, epsilon, exact) for law in pair)
    return (1 if first[0] > second[0] else -1) * (first[which] - second[which])


def gap_of(pair, exact):
    if same(pair):
        return 0.0
    (a1, *_), (a2, *_) = (sums_of_law(law, 1.0, exact) for law in pair)
    return float(abs(a1 - a2))


@fast
@pytest.mark.slow
def test_a_gap_that_is_safe_keeps_the_order():
    """ε is put just below the safe one of each pair, where the theorem is sharpest."""

    def margin(exact, pair, fraction):
        gap = gap_of(pair, exact)
        if gap < 1e-30:
            return None
        margins = []
        for variant in VARIANTS:
            epsilon = fraction * min(safe_eps(gap, len(pair[0]), variant), 1e6)
            if epsilon < 1e-12:
                return None
            if exact:  # the hypothesis, beyond doubt
                (a1, *_), (a2, *_) = (sums_of_law(law, epsilon, True) for law in pair)
                assert abs(a1 - a2) > exact_gap(len(pair[0]), epsilon, variant)
            margins.append(flip_margin(pair, epsilon, variant, exact))
        return min(margins)

    fraction = st.sampled_from([1 - 1e-9, 0.99, 0.5]) | st.floats(-6, -1e-6).map(lambda e: 10.0**e)
    found = search(margin, EXAMPLES, pair=pairs(), fraction=fraction)
    assert found.counterexample is None
    assert found.met > EXAMPLES / 3


@fast
@variants
def test_with_a_smaller_gap_the_order_can_change(variant):
    """The same ε for all pairs flips one; how much too large it was for it is in the gap."""

    def margin(exact, pair, epsilon):
        if gap_of(pair, exact) < (1e-30 if exact else 1e-9):
            return None
        return flip_margin(pair, epsilon, variant, exact)

    found = search(margin, 1000, pair=SMALL, epsilon=st.sampled_from([0.01, 0.1, 0.4]))
    assert found.counterexample is not None
    pair, epsilon = found.counterexample["pair"], found.counterexample["epsilon"]
    assert gap_of(pair, True) < safe_gap(3, epsilon, variant)
    with mpmath.workdps(50):
        assert margin(True, pair, epsilon) < 0


@variants
def test_the_gap_bound_is_the_spread_of_what_eps_adds(variant):
    """B − A and C − A, up to a constant, spread over exactly safe_gap: vertex to uniform."""
    for n in (2, 5, 64):
        for level in (1e-6, 0.01, 0.4):
            ends = [sums_of_law(law, level, True) for law in ((1, *[0] * (n - 1)), (1,) * n)]
            added = [v[1 if variant == "once" else 2] - v[0] for v in ends]
            assert float(abs(added[1] - added[0])) == pytest.approx(
                safe_gap(n, level, variant), rel=1e-13
            )


@pytest.mark.parametrize(
    ("p1", "p2", "flips"),
    [
        ((772, 114, 114), (500, 500, 0), "BC"),
        ((760, 120, 120), (500, 500, 0), "C"),
        ((2, 550, 418, 30), (79, 0, 246, 675), "B"),
    ],
)
def test_known_flips_at_a_hundredth(p1, p2, flips):
    """And the line integral sees them: its sign is that of the rectified difference."""
    a, b, c = signed([sums_of_law(law, 0.01, True) for law in (p1, p2)])
    assert ("B" in flips) == (a * b < 0)
    assert ("C" in flips) == (a * c < 0)
    ways = [law_tensor(law) for law in (p1, p2)]
    for epsilon, variant, want in ((0, "once", a), (0.01, "once", b), (0.01, "twice", c)):
        assert abs(line_integral(*ways, epsilon, variant).item() - float(want)) <= 2e-13
    gap = float(abs(a))
    assert safe_eps(gap, len(p1), "twice") < 0.01 or "C" not in flips
    assert safe_eps(gap, len(p1), "once") < 0.01 or "B" not in flips
