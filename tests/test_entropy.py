"""attnlib/entropy.py against 50-digit arithmetic, closed derivatives and a search of the claims."""

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import torch
from helpers import close, dtypes, each_once, each_way, eps, refused
from hypothesis import given
from hypothesis import strategies as st

from attnlib.entropy import (
    crossover,
    entropy,
    entropy_from_logits,
    rectified,
    sums_of_law,
)
from attnlib.evidence.search import NEAR, epsilons, laws, search

inf, nan = math.inf, math.nan


VARIANTS = ["once", "twice"]


variants = pytest.mark.parametrize("variant", VARIANTS)


def probabilities(*shape, dtype=torch.float64):
    return torch.softmax(2 * torch.randn(*shape, dtype=dtype), -1)


def gradient(f, x):
    x = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(x).sum(), x)
    return g


# -- the quick way -----------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, 3, 10])
@pytest.mark.parametrize("n", [5, 64, 512])
def test_the_quick_way_from_logits_loses_no_digit(n, scale, monkeypatch):
    """Errors of many rows, so that no lucky one decides."""
    z = (scale * torch.randn(2000, n)).float()
    exact = entropy_from_logits(z.double())

    def size_of_errors(H):
        return ((H.double() - exact) / exact).square().mean().sqrt().item()

    quick = size_of_errors(entropy_from_logits(z))
    monkeypatch.setattr("attnlib.entropy.eager", lambda *x: False)
    # Below is what other orders of the same sums change.
    assert quick < 1.3 * size_of_errors(entropy_from_logits(z))


@dtypes
@pytest.mark.parametrize("n", [3, 18, 40])
def test_two_leaders_an_eps_apart_are_two(n, dtype):
    """Rounded, both may be half of the sum or more: neither belongs to the other's rest."""
    least = 18 if dtype == torch.float32 else 38
    z = torch.cat([torch.zeros(2000, 1), eps(dtype) * torch.rand(2000, 1),
                   -least - 4 * torch.rand(2000, n - 2)], 1).to(dtype)  # fmt: skip
    z = z.gather(1, torch.rand(z.shape).argsort(1))
    log_p = z.double().log_softmax(-1)  # all digits of ln 2, if not of small entropies
    exact = -(log_p.exp() * log_p).sum(-1)
    close(entropy_from_logits(z).double(), exact, rtol=0, atol=8 * eps(dtype))


# -- lower precision -------------------------------------------------------------------------

halves = pytest.mark.parametrize("half", [torch.float16, torch.bfloat16], ids=["fp16", "bf16"])


@halves
def test_entropy_of_lower_precision_is_rounded_once(half):
    z = 3 * torch.randn(50, 300).to(half)
    z[0, 1:] = -100  # far ahead: of the other weights nothing is left
    exact = entropy_from_logits(z.double())
    close(entropy_from_logits(z).double(), exact, rtol=0.51 * eps(half), atol=1e-30)
    p = z.softmax(-1)
    exact = entropy(p.double(), precision=half)
    close(entropy(p).double(), exact, rtol=0.51 * eps(half), atol=1e-30)
    close(entropy(p.T, dim=0), entropy(p), atol=0, rtol=0)
    assert gradient(entropy, p).isfinite().all()


@halves
@pytest.mark.parametrize("f", [entropy, lambda p, **k: rectified(p, 0.1, "once", **k)])
def test_laws_are_judged_by_what_they_were_computed_in(f, half):
    p = torch.full((1000,), 0.001).to(half)
    close(f(p), f(p.float(), precision=half).to(half), atol=0, rtol=0)
    refused("p", ["lower precision"], lambda: f(p.float()))
    refused("precision", ["int64"], lambda: f(p, precision=torch.int64))


@variants
def test_an_eps_that_lower_precision_has_not_is_added_all_the_same(variant):
    """In float16 1e-8 is 0, and the logarithm of 0 would make the sum NaN."""
    assert torch.tensor(1e-8).half() == 0
    p = torch.tensor([0.5, 0.5, 0.0]).half()
    close(rectified(p, 1e-8, variant), torch.tensor(-math.log(2)).half())
    refused("eps", ["torch.float32"], lambda: rectified(p, 1e-50, variant))


def test_a_sum_beyond_lower_precision_is_refused():
    p = torch.tensor([0.5, 0.5]).half()
    assert rectified(p, 1e3, "twice").isfinite()
    refused("the result", ["beyond torch.float16"], lambda: rectified(p, 1e4, "twice"))
    assert rectified(p.bfloat16(), 1e4, "twice").isfinite()


# -- 50 digits: probabilities ----------------------------------------------------------------

LAWS = {
    "n=1": [1.0],
    "one-hot": [0.0, 1.0, 0.0],
    "zeros": [0.5, 0.0, 0.25, 0.25, 0.0],
    "uniform": [0.125] * 8,
    "ordinary": [0.1, 0.2, 0.3, 0.4],
    "tiny": [1e-30, 1.0, 1e-37, 0.0],
    "almost-one": [1 - 2**-20, 2**-20],
    "n=512": [1 / 512] * 512,
    "powers": [2.0**-i for i in range(1, 41)] + [2.0**-40],
    "not-quite-1": [0.5, 0.50005, 0.0],
}


def law(row, dtype):
    if row is LAWS["not-quite-1"] and dtype == torch.float64:
        row = [0.5, 0.5 + 1e-9, 0.0]
    return torch.tensor(row, dtype=dtype)


def terms(row, f):
    """The terms of the sum, and its derivative by each entry, floats taken for exact."""
    with mpmath.workdps(50):
        p = [mpmath.mpf(v) for v in row]
        return [f(v) for v in p]


def plain(v):
    return (-v * mpmath.log(v), -mpmath.log(v) - 1) if v else (mpmath.mpf(0), mpmath.mpf(0))


@dtypes
@pytest.mark.parametrize("name", LAWS)
def test_entropy_against_50_digits(name, dtype):
    """Logarithm, product and n additions round relatively: all terms have one sign."""
    p = law(LAWS[name], dtype)
    n = len(p)
    pairs = terms(p.tolist(), plain)
    size = float(mpmath.fsum(abs(v) for v, _ in pairs))
    for result in each_way(entropy, p):
        assert result.dtype == dtype
        assert result.shape == ()
        off = abs(mpmath.mpf(result.item()) - mpmath.fsum(v for v, _ in pairs))
        assert off <= (n + 4) * eps(dtype) * size
    g = gradient(entropy, p).double()
    slope = torch.tensor([float(d) for _, d in pairs], dtype=torch.float64)
    close(g, slope, rtol=0, atol=4 * eps(dtype) * (1 + slope.abs().max().item()))
    assert (g[p == 0] == 0).all()


@dtypes
@pytest.mark.parametrize("smallest", ["normal", "subnormal"])
def test_entropy_of_the_smallest_floats(dtype, smallest):
    kind = torch.finfo(dtype)
    tiny = kind.tiny if smallest == "normal" else kind.smallest_normal * kind.eps
    p = torch.tensor([tiny, 1.0], dtype=dtype)
    assert gradient(entropy, p).tolist() == pytest.approx([-math.log(tiny) - 1, -1], rel=1e-6)
    assert entropy(p).item() == pytest.approx(-tiny * math.log(tiny), rel=1e-2)


@dtypes
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_one_hot_has_entropy_plus_zero(dtype, zero):
    p = torch.tensor([[zero, 1.0, zero], [1.0, zero, zero]], dtype=dtype)
    value = entropy(p)
    assert value.tolist() == [0.0, 0.0]
    assert not value.signbit().any()
    assert not entropy(p[:, :1] * 0 + 1).signbit().any()
    assert gradient(entropy, p).tolist() == [[0, -1, 0], [-1, 0, 0]]


@dtypes
@pytest.mark.parametrize("gap", [50, 104, 746, 1e4])
def test_the_backward_pass_through_an_underflowing_softmax_is_finite(dtype, gap):
    z = torch.tensor([[0.0, -gap, 1.0, -gap], [gap, 0.0, 0.0, 0.0]], dtype=dtype)
    g = gradient(lambda z: entropy(torch.softmax(z, -1)), z)
    assert g.isfinite().all()
    close(g, gradient(entropy_from_logits, z), atol=64 * eps(dtype), rtol=0)


def test_second_derivatives_of_the_entropy():
    p = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(entropy, p)
    close(hessian, torch.diag(-1 / p))
    hessian = torch.autograd.functional.hessian(entropy, torch.tensor([0.0, 1.0]))
    close(hessian, torch.tensor([[0.0, 0.0], [0.0, -1.0]]))


EPSILONS = [1e-30, 1e-12, 1e-6, 0.01, 0.125, 0.49, 1, 10.0, 1e10]


def shifted(variant, epsilon):
    def term(v):
        e = mpmath.mpf(epsilon)
        log = mpmath.log(v + e)
        if variant == "once":
            return v * log, log + v / (v + e)
        return (v + e) * log, log + 1

    return term


@dtypes
@variants
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_rectified_sums_and_gradients_against_50_digits(variant, dtype, epsilon):
    """ε, p + ε and the logarithm round: 2 eps + eps |ln| on every term, then n additions."""
    for name, row in LAWS.items():
        p = law(row, dtype)
        n = len(p)
        pairs = terms(p.tolist(), shifted(variant, epsilon))
        weights = [v + (epsilon if variant == "twice" else 0) for v in p.tolist()]
        size = sum(abs(float(v)) for v, _ in pairs)
        for result in each_way(lambda p: rectified(p, epsilon, variant), p):
            assert result.dtype == dtype
            off = abs(mpmath.mpf(result.item()) - mpmath.fsum(v for v, _ in pairs))
            assert off <= eps(dtype) * ((n + 4) * size + 2 * sum(weights)), name
        slope = torch.tensor([float(d) for _, d in pairs], dtype=torch.float64)
        g = gradient(lambda p: rectified(p, epsilon, variant), p).double()
        close(g, slope, rtol=0, atol=8 * eps(dtype) * (1 + slope.abs().max().item()))


@variants
def test_large_eps_gives_a_finite_value(variant):
    p = torch.tensor([0.5, 0.5], dtype=torch.float64)
    assert rectified(p, 1e300, variant).isfinite()
    assert rectified(p.float(), 1e35, variant).isfinite()


@variants
@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(("dtype", "epsilon"), [(torch.float32, 3e38), (torch.float64, 1.7e308)])
def test_an_eps_whose_value_overflows_is_refused_or_answered(variant, dtype, epsilon):
    """An infinite sum is no answer."""
    try:
        value = rectified(torch.tensor([0.5, 0.5], dtype=dtype), epsilon, variant)
    except ValueError as error:
        assert "eps" in str(error)  # noqa: PT017
    else:
        assert value.isfinite()


# -- 50 digits: logits -----------------------------------------------------------------------

LOGITS = {
    "n=1": [0.7],
    "n=1-large": [-1e30],
    "zeros": [0.0] * 3,
    "ordinary": [0.3, 1.25, -2.0, 0.0, 0.9],
    "tied-top": [2.0, -1.0, 2.0, 0.5],
    "all-tied": [-3.3] * 7,
    "near-tie": [1.0, 1.0 + 2**-20, 0.3],
    "gap-40": [40.0, 0.0],
    "gap-40-last": [0.0, -1.0, 40.0],
    "gap-80": [-80.0, 0.0, -80.0],
    "gap-100": [0.0, -100.0, -103.0],
    "gap-740": [-740.0, 0.0],
    "gap-1e4": [1e4, 0.0, 0.0, -1e4],
    "gap-1e30": [0.0, 1e30, -1e30],
    "gap-3e38": [3e38, -3e38],
    "tied-at-1e30": [1e30, 0.0, 1e30],
    "offset-1e6": [1e6, 1e6 + 0.5, 1e6 - 1.25, 1e6 + 0.0625],
    "offset-minus-1e6": [-1e6, -1e6 - 2.0, -1e6 + 0.5],
    "offset-1e7": [1e7, 1e7 + 1, 1e7 - 3],
    "masked": [0.3, -inf, 1.0, -inf, 0.0],
    "masked-large": [-inf, 1e6, 1e6 + 1],
    "n=300": [0.02 * i * (-1) ** i for i in range(300)],
}
LOGITS_FLOAT64 = {"gap-1e300": [0.0, 1e300, 0.5], "gap-3.4e308": [-1.7e308, 1.7e308, 0.0]}


def exact(z):
    """H and its gradient at the very logits, with what their roundings may add to each.

    With d = z − max: rounding d and e^d changes a weight by (|d| + 2) eps relatively, and that
    changes H by p |ln p + H| times as much. The rest has one sign: 2n + 8 relative roundings.
    The gradient is p (1 − d + Σpd) − p. Below the smallest normal number digits are lost.
    """
    with mpmath.workdps(50):
        z = [mpmath.mpf(v) for v in z]
        top = max(z)
        weights = [mpmath.exp(v - top) for v in z]
        total = mpmath.fsum(weights)
        p = [w / total for w in weights]
        # ln(1 + rest), because at 50 digits a rest of e⁻⁷⁴⁰ is lost beside 1.
        lead = z.index(top)
        rest = mpmath.fsum(weights[:lead] + weights[lead + 1 :])
        far = [top - v if w else mpmath.mpf(0) for v, w in zip(z, weights, strict=True)]
        value = mpmath.log1p(rest) + mpmath.fsum(q * d for q, d in zip(p, far, strict=True))
        ln = [-d - mpmath.log1p(rest) for d in far]
        slope = [-q * (v + value) for q, v in zip(p, ln, strict=True)]
        slope[lead] = -mpmath.fsum(s for i, s in enumerate(slope) if i != lead)
        n = len(z)
        once = [q * abs(v + value) * (d + 2) for q, v, d in zip(p, ln, far, strict=True)]
        value_units = mpmath.fsum(v for i, v in enumerate(once) if i != lead) + (2 * n + 8) * value
        each = [q * (n + 8 + d) * (2 + d + value) for q, d in zip(p, far, strict=True)]
        each[lead] = mpmath.fsum(v for i, v in enumerate(each) if i != lead)
        return value, slope, value_units, each


@dtypes
@pytest.mark.parametrize("name", [*LOGITS, *LOGITS_FLOAT64])
def test_entropy_from_logits_against_50_digits(name, dtype):
    if name in LOGITS_FLOAT64 and dtype == torch.float32:
        pytest.skip("no such float32")
    z = torch.tensor((LOGITS | LOGITS_FLOAT64)[name], dtype=dtype)
    kind = torch.finfo(dtype)
    value, slope, units, slope_units = exact(z.tolist())
    # An exponential that underflows, up to the smallest number, times a difference up to 1000.
    lost = 1000 * len(z) * kind.tiny * kind.eps
    for result in each_way(entropy_from_logits, z):
        assert result.dtype == dtype
        assert result.shape == ()
        assert abs(result.item() - value) <= kind.eps * units + lost, (result.item(), value)
    g = gradient(entropy_from_logits, z)
    assert g.dtype == dtype
    for got, want, unit in zip(g.tolist(), slope, slope_units, strict=True):
        assert abs(got - want) <= kind.eps * unit + lost
    assert (g[z == -inf] == 0).all()


@pytest.mark.parametrize("gap", [10.0, 40.0, 200.0, 600.0])
def test_a_small_entropy_has_many_right_digits(gap):
    """Of e^{−gap} the relative error is gap·eps: 13 digits at 40, where H is about 1e-16."""
    z = torch.tensor([0.0, gap, -gap], dtype=torch.float64)
    value, slope, *_ = exact(z.tolist())
    for result in each_way(entropy_from_logits, z):
        assert 0 < result.item() < 1e-3
        assert abs(result.item() / value - 1) <= 2 * gap * 2**-52
    g = gradient(entropy_from_logits, z).tolist()
    assert abs(g[0] / slope[0] - 1) <= 4 * gap * 2**-52
    assert abs(g[1] / slope[1] - 1) <= 4 * gap * 2**-52


@dtypes
@pytest.mark.parametrize("z", [0.0, -7.5, 1e30, -1e30])
def test_one_logit_decides_nothing(dtype, z):
    z = torch.tensor([[z], [z]], dtype=dtype)
    value = entropy_from_logits(z)
    assert value.tolist() == [0.0, 0.0]
    assert not value.signbit().any()
    assert gradient(entropy_from_logits, z).tolist() == [[0.0], [0.0]]


@dtypes
def test_far_apart_is_plus_zero(dtype):
    z = torch.tensor([[0.0, 1e4], [torch.finfo(dtype).max, -torch.finfo(dtype).max]], dtype=dtype)
    value = entropy_from_logits(z)
    assert value.tolist() == [0.0, 0.0]
    assert not value.signbit().any()
    assert gradient(entropy_from_logits, z).tolist() == [[0.0, 0.0]] * 2


@dtypes
def test_ties_have_the_logarithm_of_their_number_and_no_slope(dtype):
    for n in (2, 3, 17, 512):
        for level in (0.0, 88.5, -1e6):
            z = torch.full((n,), level, dtype=dtype)
            assert abs(entropy_from_logits(z).item() - math.log(n)) <= 4 * n * eps(dtype)
            assert gradient(entropy_from_logits, z).abs().max() <= 4 * eps(dtype)


finite_logits = st.lists(
    st.floats(-30, 30) | st.sampled_from([0.0, 1.0, 100.0, -1e4, 1e6, -1e30]),
    min_size=1,
    max_size=9,
)


@given(finite_logits)
def test_entropy_from_logits_is_the_entropy_of_the_softmax(row):
    z = torch.tensor(row, dtype=torch.float64)
    n, value = len(row), entropy_from_logits(z)
    assert 0 <= value.item() <= math.log(n) + 4 * n * 2**-52
    # A softmax forgets (|d| + n) roundings of each p, and p (1 + |ln p|) |d| stays below 3 + |d|.
    small = 2**-52 * (4 * n + 8) * (3 + math.log(n))
    close(entropy(torch.softmax(z, -1)), value, atol=small, rtol=0)


@given(finite_logits, st.sampled_from([-3.0, 0.5, 64.0]))
def test_a_common_shift_changes_nothing(row, shift):
    z = torch.tensor(row, dtype=torch.float64).clamp(-1e4, 1e4)
    z = (z * 2**20).round() / 2**20  # so that the shift rounds nothing
    close(entropy_from_logits(z + shift), entropy_from_logits(z), atol=0, rtol=0)


@given(finite_logits)
def test_the_gradient_sums_to_zero(row):
    z = torch.tensor(row, dtype=torch.float64)
    g = gradient(entropy_from_logits, z)
    assert abs(math.fsum(g.tolist())) <= 2**-52 * len(row) * g.abs().sum().item()


@given(finite_logits, st.randoms())
def test_the_order_of_the_logits_does_not_matter(row, random):
    order = random.sample(range(len(row)), len(row))
    z = torch.tensor(row, dtype=torch.float64)
    small = 2**-52 * 4 * len(row)
    close(entropy_from_logits(z[order]), entropy_from_logits(z), atol=small, rtol=small)


@pytest.mark.parametrize("beta", [0.1, 1.0, 3.0])
def test_sharpening_lowers_the_entropy_by_beta_times_the_variance(beta):
    z = torch.tensor([0.3, -1.0, 2.0, 0.9, 2.0], dtype=torch.float64)
    b = torch.tensor(beta, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(entropy_from_logits(b * z), b)
    p = torch.softmax(beta * z, -1)
    variance = (p * (z - (p * z).sum()) ** 2).sum()
    close(slope, -beta * variance)


# -- masks -----------------------------------------------------------------------------------

JUNK = [nan, inf, -inf, 1e38, -1e38, 0.0]


@dtypes
@each_once("junk, level", JUNK, [0.0, -1e4, 1e4, -1e38])
def test_masked_positions_influence_nothing(junk, level, dtype):
    """Neither value nor gradient, bit for bit."""
    attended = torch.tensor([0.5, -1.0, 0.25], dtype=dtype) + level
    z = torch.full((2, 6), junk, dtype=dtype)
    mask = torch.zeros(2, 6, dtype=torch.bool)
    mask[0, [1, 2, 5]] = mask[1, [0, 3, 4]] = True
    z[mask] = attended.repeat(2)
    marked = torch.where(mask, z, -inf)
    quiet = torch.where(mask, z, attended[0])
    value, g = entropy_from_logits(z, mask), gradient(lambda z: entropy_from_logits(z, mask), z)
    assert (g[~mask] == 0).all()
    assert not g.isnan().any()
    close(value, entropy_from_logits(attended).expand(2), atol=8 * eps(dtype), rtol=0)
    alone = gradient(entropy_from_logits, attended)
    close(g[mask], alone.repeat(2), atol=8 * eps(dtype), rtol=0)
    for other, its_mask in ((marked, None), (marked, mask), (quiet, mask)):
        close(entropy_from_logits(other, its_mask), value, atol=0, rtol=0)
        its = gradient(lambda z, m=its_mask: entropy_from_logits(z, m), other)
        close(its, g, atol=0, rtol=0)


def test_true_means_attend():
    z = torch.tensor([5.0, 5.0, 5.0, 0.0])
    close(entropy_from_logits(z, torch.tensor([True, True, True, False])), torch.tensor(3.0).log())
    close(entropy_from_logits(z, z == 0), torch.tensor(0.0))
    assert entropy_from_logits(z, torch.ones(4, dtype=torch.bool)) == entropy_from_logits(z)


def test_minus_infinity_and_a_mask_add_up():
    z = torch.tensor([0.0, -inf, 1.0, 0.0])
    mask = torch.tensor([True, True, False, True])
    close(entropy_from_logits(z, mask), torch.tensor(2.0).log())
    assert gradient(lambda z: entropy_from_logits(z, mask), z).tolist() == [0.0] * 4


@pytest.mark.parametrize("shape", [(), (4,), (1, 4), (3, 1), (3, 4), (2, 1, 4), (2, 3, 1)], ids=str)
def test_masks_broadcast(shape):
    z = torch.randn(2, 3, 4, dtype=torch.float64)
    mask = torch.rand(shape) < 0.5
    mask.view(-1)[0] = True
    if mask.expand(2, 3, 4).any(-1).all():
        full = mask.expand(2, 3, 4).clone()
    else:
        mask = torch.ones(shape, dtype=torch.bool)
        full = torch.ones(2, 3, 4, dtype=torch.bool)
    value = entropy_from_logits(z, mask)
    close(value, entropy_from_logits(z, full), atol=0, rtol=0)
    rows = [
        entropy_from_logits(row[keep])
        for row, keep in zip(z.view(-1, 4), full.view(-1, 4), strict=True)
    ]
    close(value.flatten(), torch.stack(rows))


def test_a_causal_mask():
    z = torch.randn(3, 5, 5, dtype=torch.float64)
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    value = entropy_from_logits(z, mask)
    assert (value[:, 0] == 0).all()
    p = torch.softmax(z.masked_fill(~mask, -inf), -1)
    close(value, entropy(p))
    columns = entropy_from_logits(z, mask, dim=1)  # along the queries instead
    close(columns, entropy_from_logits(z.mT, mask.mT), atol=1e-14, rtol=0)


class TestBadMasks:
    z = torch.tensor([[0.0, 1.0, 2.0], [0.0, -inf, 5.0]])

    @pytest.mark.parametrize(
        ("mask", "dim", "row"),
        [
            pytest.param([[True] * 3, [False] * 3], -1, "(1,)", id="fully-masked"),
            pytest.param([[False] * 3, [True] * 3], -1, "(0,)", id="the-other-row"),
            pytest.param([[True] * 3, [False, True, False]], -1, "(1,)", id="with-minus-inf"),
            pytest.param([[True, False, True]] * 2, 0, "(1,)", id="dim=0"),
            pytest.param([[False, True, True], [True, True, True]], 0, None, id="fine"),
            pytest.param([False] * 3, -1, "(0,)", id="all"),
        ],
    )
    def test_a_fully_masked_row(self, mask, dim, row):
        mask = torch.tensor(mask)
        if row is None:
            assert entropy_from_logits(self.z, mask, dim=dim).isfinite().all()
            return
        with pytest.raises(ValueError, match=r"^z is masked") as error:
            entropy_from_logits(self.z, mask, dim=dim)
        assert f"row {row}" in str(error.value)

    def test_a_row_of_minus_infinity(self):
        with pytest.raises(ValueError, match=r"^z is masked .*row \(0, 1\)"):
            entropy_from_logits(torch.tensor([[[0.0, 1.0], [-inf, -inf]]]))

    @pytest.mark.parametrize("bad", [nan, inf])
    def test_what_is_attended_must_be_a_logit(self, bad):
        z = torch.tensor([[0.0, 1.0], [bad, 1.0]])
        with pytest.raises(ValueError, match=rf"^z holds NaN or \+inf: {bad} .*\(1, 0\)"):
            entropy_from_logits(z)
        with pytest.raises(ValueError, match=r"^z .*\(1, 0\)"):
            entropy_from_logits(z, torch.tensor([True, False]))
        value = entropy_from_logits(z, torch.tensor([[True, True], [False, True]]))
        assert value.isfinite().all()


# -- shapes, axes, transforms ----------------------------------------------------------------


@pytest.mark.parametrize("mask", [None, torch.tensor([True, True, False, True])])
def test_gradcheck_of_logits_at_ties(mask):
    z = torch.tensor([0.0, 0.0, -1.0, 0.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: entropy_from_logits(z, mask), z)
    assert torch.autograd.gradgradcheck(lambda z: entropy_from_logits(z, mask), z)


def test_vmap_with_a_mask_of_its_own():
    z = torch.randn(4, 5, dtype=torch.float64)
    z[0, 0] = nan
    mask = torch.rand(4, 5) < 0.6
    mask[:, 2], mask[0, 0] = True, False
    close(torch.func.vmap(entropy_from_logits)(z, mask), entropy_from_logits(z, mask))
    close(torch.func.vmap(entropy_from_logits, in_dims=(None, 0))(z[1], mask),
          entropy_from_logits(z[1].expand(4, 5), mask))  # fmt: skip
    transformed = torch.func.vmap(torch.func.grad(entropy_from_logits))(z, mask)
    close(transformed, gradient(lambda z: entropy_from_logits(z, mask), z))


# -- bad input -------------------------------------------------------------------------------

good = torch.tensor([[0.25, 0.75, 0.0]] * 2)


@variants
@pytest.mark.usefixtures("no_shape_checks")
class TestEpsilon:
    @pytest.mark.parametrize("epsilon", [1e-50, 1e-46, 1e39, 1e300])
    def test_beyond_float32(self, variant, epsilon):
        """Where ε becomes 0, Σ p ln(p + ε) is NaN at zeros again: the very fault it was for."""
        refused("eps", ["torch.float32", repr(epsilon)], lambda: rectified(good, epsilon, variant))
        assert rectified(good.double(), epsilon, variant).isfinite().all()

    @pytest.mark.parametrize("epsilon", [1e-45, 1e-40, 1e-38])
    def test_the_smallest_of_float32(self, variant, epsilon):
        close(rectified(good, epsilon, variant), -entropy(good))

    def test_smallest_of_float64(self, variant):
        close(rectified(good.double(), 5e-324, variant), -entropy(good.double()))


# -- the crossover ---------------------------------------------------------------------------

MANY = [8, 9, 10, 15, 16, 17, 100, 128, 1000, 10**6, 10**9, 2**31, 10**15, 2**53 + 1, 2**63 - 1]


@pytest.mark.parametrize("n", MANY)
def test_the_crossover_solves_its_equation(n):
    """t = e^u − 1: u is a root of u coth(u/2), of slope at most 1, to a few of its roundings."""
    t = crossover(n)
    assert type(t) is float
    with mpmath.workdps(50):
        t = mpmath.mpf(t)
        residual = (2 + t) * mpmath.log1p(t) / t - mpmath.log(n)
        assert abs(residual) <= 6 * 2**-52 * mpmath.log(n)


def test_the_crossover_of_8_is_1():
    """φ(1) = 3 ln 2 = ln 8, and a slope of φ of 0.42 there."""
    assert abs(crossover(8) - 1) <= 16 * 2**-52


def test_the_safe_eps_grows_with_n():
    safe = [crossover(n) / n for n in [*range(8, 200), *MANY[8:]]]
    assert all(a < b for a, b in pairwise(safe))
    assert safe[0] == pytest.approx(1 / 8, rel=1e-14)
    assert safe[-1] < 1
    assert crossover(15) / 15 < 0.4976
    assert crossover(15) / 15 > 0.4975
    assert crossover(16) / 16 > 0.5


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("n", [np.int64(8), torch.tensor(8)], ids=["numpy", "tensor"])
def test_integers_of_other_kinds(n):
    assert crossover(n) == crossover(8)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    "n", [7, 2, 1, 0, -8, 8.0, 7.5, nan, inf, True, "8", None, [8], 2**63, 10**400], ids=repr
)
def test_no_crossover(n):
    refused("n", [repr(n)], lambda: crossover(n))


# -- the sums of a law -----------------------------------------------------------------------


def reference_sums(law, eps):
    """Entry by entry, p a fraction."""
    with mpmath.workdps(70):
        a, b, c = (mpmath.mpf(0) for _ in range(3))
        for w in law:
            p = mpmath.mpf(w) / sum(law)
            a += p * mpmath.log(p) if w else 0
            b += p * mpmath.log(p + mpmath.mpf(eps))
            c += (p + mpmath.mpf(eps)) * mpmath.log(p + mpmath.mpf(eps))
        return a, b, c


@given(laws(most=40), epsilons() | st.sampled_from([1, 3.0, 1e-300]))
def test_sums_of_a_law_at_50_digits(law, eps):
    for want, exact, rough in zip(
        reference_sums(law, eps),
        sums_of_law(law, eps, exact=True),
        sums_of_law(law, eps),
        strict=True,
    ):
        assert isinstance(exact, mpmath.mpf)
        assert type(rough) is float
        with mpmath.workdps(70):
            assert abs(exact - want) <= mpmath.mpf(10) ** -45
            assert abs(rough - want) <= 1e-12


def test_double_precision_is_near_enough_on_many_points():
    """What makes a margin above NEAR a verdict: the worst that 512 points can do."""
    law = tuple(10**15 + 7**i % 10**9 for i in range(512))
    for epsilon in (1e-12, 0.49):
        for rough, exact in zip(
            sums_of_law(law, epsilon), sums_of_law(law, epsilon, True), strict=True
        ):
            assert abs(rough - exact) < 1e-11
    assert NEAR >= 100 * 1e-11


def test_eps_is_the_very_float():
    """0.1 is not 1/10: they differ by 5.6e-18, and Σ p ln(p + ε) by as much for one point."""
    with mpmath.workdps(50):
        _, b, _ = sums_of_law((1,), 0.1, exact=True)
        assert abs(b - mpmath.log(1 + mpmath.mpf(0.1))) < mpmath.mpf(10) ** -48
        assert abs(b - mpmath.log(mpmath.mpf(11) / 10)) > 1e-18


def test_zeros_count_in_C_alone():
    for exact in (False, True):
        a, b, c = sums_of_law((1, 0, 0), 0.25, exact)
        assert a == 0
        assert float(b) == pytest.approx(math.log(1.25), rel=1e-15)
        assert float(c) == pytest.approx(1.25 * math.log(1.25) + 0.5 * math.log(0.25), rel=1e-15)


def test_order_and_scale_of_the_weights_do_not_matter():
    first = sums_of_law((1, 2, 2, 0), 0.1, exact=True)
    second = sums_of_law((6, 0, 3, 6), 0.1, exact=True)
    for a, b in zip(first, second, strict=True):
        assert abs(a - b) < mpmath.mpf(10) ** -48


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("exact", [False, True], ids=["floats", "50-digits"])
@pytest.mark.parametrize("bad", [(), (0,), (0, 0, 0), (3, -1)], ids=repr)
def test_what_is_no_law(bad, exact):
    with pytest.raises(ValueError, match=r"^law must hold whole numbers") as error:
        sums_of_law(bad, 0.1, exact)
    assert repr(bad) in str(error.value)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("exact", [False, True], ids=["floats", "50-digits"])
@pytest.mark.parametrize("bad", [0, -0.1, inf, nan, True, "0.1", None], ids=repr)
def test_an_eps_without_a_logarithm(bad, exact):
    with pytest.raises(ValueError, match=r"^eps must be a finite number, positive"):
        sums_of_law((1, 2), bad, exact)


# -- the claims, searched --------------------------------------------------------------------

EXAMPLES = 500  # drawing them is what takes the time; the chapter searches longer
fast = pytest.mark.usefixtures("no_shape_checks")  # checking shapes takes longer than the search


def logarithm(x, exact):
    return mpmath.log1p(x) if exact else math.log1p(x)


def closer_margin(exact, law, fraction):
    """How much farther C is from A than B is, at a fraction of the crossover."""
    n = len(law)
    if n < 8 or fraction > 1 - 1e-12:  # t* itself is rounded
        return None
    a, b, c = sums_of_law(law, fraction * crossover(n) / n, exact)
    return abs(c - a) - abs(b - a)


FRACTIONS = st.sampled_from([1 - 1e-12, 1 - 1e-9, 0.999, 0.5]) | st.floats(-12, -1e-9).map(
    lambda e: 10.0**e
)


@fast
@pytest.mark.slow
def test_B_is_at_least_as_close_as_C_up_to_the_crossover():
    found = search(closer_margin, EXAMPLES, law=laws(least=8), fraction=FRACTIONS)
    assert found.counterexample is None
    assert found.met == EXAMPLES


@fast
def test_with_seven_points_C_can_be_closer():
    def margin(exact, law, eps):
        a, b, c = sums_of_law(law, eps, exact)
        return abs(c - a) - abs(b - a)

    found = search(margin, 500, law=laws(least=7, most=7), eps=epsilons())
    assert found.counterexample is not None
    with mpmath.workdps(50):
        assert margin(True, **found.counterexample) < 0
    assert len(found.counterexample["law"]) == 7
    # From 8 points on it takes an ε above 1/8.
    found = search(margin, 500, law=laws(least=8, most=8), eps=epsilons(most=0.49))
    assert found.counterexample["eps"] > 1 / 8


@pytest.mark.parametrize("n", [8, 9, 16, 100, 512])
def test_just_above_the_crossover_the_uniform_law_is_a_counterexample(n):
    with mpmath.workdps(50):
        for factor, sign in ((1 + 1e-6, -1), (1 + 1e-12, -1), (1 - 1e-12, 1)):
            a, b, c = sums_of_law((1,) * n, factor * crossover(n) / n, exact=True)
            assert sign * (abs(c - a) - abs(b - a)) > 0

    def margin(exact, law, factor):
        a, b, c = sums_of_law(law, factor * crossover(n) / n, exact)
        return abs(c - a) - abs(b - a)

    found = search(margin, 500, law=laws(n, n), factor=st.just(1 + 1e-6))
    assert found.counterexample is not None


def bounds_margin(exact, law, eps):
    """The smallest of B − A − ln(1+ε), ln(1+nε) − (B − A) and, for ε ≤ 1 − 1/n, B − C."""
    n = len(law)
    a, b, c = sums_of_law(law, eps, exact)
    eps = mpmath.mpf(eps) if exact else eps  # n·eps must not be rounded
    margins = [b - a - logarithm(eps, exact), logarithm(n * eps, exact) - (b - a)]
    if n * eps <= (n - 1) * (1 - 1e-12):
        margins.append(b - c)
    return min(margins)


@fast
@pytest.mark.slow
def test_B_lies_between_its_bounds_and_above_C():
    found = search(bounds_margin, EXAMPLES, law=laws(), eps=epsilons())
    assert found.counterexample is None
    assert found.met == EXAMPLES


@fast
@pytest.mark.slow
def test_for_a_larger_eps_C_can_exceed_B():
    def margin(exact, law, eps):
        _, b, c = sums_of_law(law, eps, exact)
        return b - c

    assert search(margin, 200, law=laws(), eps=epsilons()).counterexample is None
    found = search(margin, 500, law=laws(), eps=epsilons(least=0.49, most=0.99))
    assert found.counterexample["eps"] > 0.49


@dtypes
@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("epsilon", [1e-6, 0.01, 0.4])
def test_the_bounds_are_attained(n, epsilon, dtype):
    uniform = torch.full((n,), 1 / n, dtype=dtype)
    one_hot = torch.eye(n, dtype=dtype)[0]
    small = {"atol": 4 * (n + 4) * eps(dtype), "rtol": 0}
    for p, value in ((uniform, math.log1p(n * epsilon)), (one_hot, math.log1p(epsilon))):
        close((rectified(p, epsilon, "once") + entropy(p)).item(), value, **small)


@given(laws(most=60), epsilons())
def test_C_is_the_entropy_of_a_smoothed_law(law, epsilon):
    """At 50 digits, and the function against it in double precision."""
    n, total = len(law), sum(law)
    _, _, c = sums_of_law(law, epsilon, exact=True)
    with mpmath.workdps(50):
        t = n * mpmath.mpf(epsilon)
        q = [(mpmath.mpf(w) / total + mpmath.mpf(epsilon)) / (1 + t) for w in law]
        h = -mpmath.fsum(v * mpmath.log(v) for v in q)
        meaning = (1 + t) * mpmath.log1p(t) - (1 + t) * h
        assert abs(c - meaning) <= mpmath.mpf(10) ** -44 * n
    p = torch.tensor([w / total for w in law], dtype=torch.float64)
    size = 2**-52 * (n + 8) * (1 + n * epsilon) * (1 + abs(math.log(epsilon)))
    assert abs(rectified(p, epsilon, "twice").item() - float(c)) <= size


def test_the_shape_checker_is_on_unless_a_test_asks():
    """So that no other test passes with it off by accident."""
    if not hasattr(entropy, "__wrapped__"):
        pytest.skip("run without --jaxtyping-packages")
    with pytest.raises(Exception, match="Type-check error"):
        entropy(good.long())
