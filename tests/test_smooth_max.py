"""attnlib/smooth_max.py against 50-digit arithmetic, closed derivatives and proved bounds."""

import math

import mpmath
import pytest
import torch
from helpers import DTYPES, close, dtypes, each_once, each_way, eps, forward_mode, refused
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import lambertw

from attnlib.smooth_max import boltzmann_max, mellowmax, p_norm_max, smooth_abs, smooth_max

inf, nan = math.inf, math.nan


REDUCING = [smooth_max, mellowmax, boltzmann_max, p_norm_max]
SHIFTING = [smooth_max, mellowmax, boltzmann_max]  # defined for entries of any sign


shifting = pytest.mark.parametrize("f", SHIFTING, ids=lambda f: f.__name__)


def gradient(f, x, *arguments):
    x = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(x, *arguments).sum(), x)
    return g


# -- 50 digits -----------------------------------------------------------------------------


def exact(f, row, k):
    """Value and gradient at the very numbers given, floats taken for exact."""
    with mpmath.workdps(50):
        x, k = [mpmath.mpf(v) for v in row], mpmath.mpf(k)
        if f is smooth_abs:
            values = [abs(v) + mpmath.log1p(mpmath.exp(-2 * k * abs(v))) / k for v in x]
            return [float(v) for v in values], [float(mpmath.tanh(k * v)) for v in x]
        top = max(x)
        if f is p_norm_max:
            if top == 0:
                return 0.0, [float(k == 1)] * len(x)
            value = top * mpmath.fsum((v / top) ** k for v in x) ** (1 / k)
            return float(value), [float((v / value) ** (k - 1)) for v in x]
        weights = [mpmath.exp(k * (v - top)) for v in x]
        total = mpmath.fsum(weights)
        y = [w / total for w in weights]
        if f is boltzmann_max:
            value = mpmath.fsum(p * v for p, v in zip(y, x, strict=True))
            return float(value), [
                float(p * (1 + k * (v - value))) for p, v in zip(y, x, strict=True)
            ]
        value = top + mpmath.log(total / (len(x) if f is mellowmax else 1)) / k
        return float(value), [float(p) for p in y]


def allowance(f, row, k, dtype):
    """What the roundings add up to, for the value.

    A few in the size of x; and the n + 8 of exp, sum, log and the two products in what is added
    to the maximum: at most (1 + ln n)/k, and for means at most the spread, however small k is.
    """
    n, size = len(row), max(abs(v) for v in row)
    added = (1 + math.log(n)) / k
    if f in (mellowmax, boltzmann_max):
        added = min(added, max(row) - min(row))
    if f is p_norm_max:
        added = size * n ** (1 / k)
    return eps(dtype) * (4 * size + 4 * (n + 8) * added)


def gradient_allowance(f, n, k, dtype):
    """Of an exponent t = k(x_i − max) the rounding eps·t counts as y·eps·t ≤ eps/e.

    A power x^k instead carries k roundings of its base.
    """
    return eps(dtype) * 4 * (n + 8 + (k if f is p_norm_max else 1 + math.log(n)))


ROWS = {
    "n=1": [0.7],
    "zero": [0.0],
    "zeros": [0.0] * 3,
    "some-zeros": [0.0, 0.25, 0.0, 1.5],
    "tied": [2.0, 2.0, 0.5],
    "all-tied": [1.3] * 7,
    "near-tie": [1.0, 1.0 + 2**-20, 0.3],
    "ordinary": [0.3, 1.2, 2.0, 0.0, 0.9],
    "spread": [0.001, 1000.0, 1.0],
    "top-of-10000": [9999.5, 10000.0, 9998.25, 10000.0, 3.0],
    "small-numbers": [1e-20, 3e-20, 2e-20],
}
SIGNED = {
    "symmetric": [-2.0, 0.0, 2.0],
    "negative": [-3.0, -1.5, -1.0],
    "both-ends": [-1e4, 1e4],
    "bottom-of-minus-10000": [-1e4, -9999.0, -9999.5],
}
K = [1e-12, 1e-6, 1e-3, 0.7, 1, 1.0 + 2**-40, 1.5, 2, 3, 7.3, 100, 1e4]


@pytest.mark.parametrize("f", [smooth_abs, *REDUCING], ids=lambda f: f.__name__)
@each_once("k, dtype", K, DTYPES)
def test_values_and_gradients_against_50_digits(f, dtype, k):
    """|kx| up to 1e4, and beyond where it costs nothing."""
    if f is p_norm_max:
        k = max(k, 1 / k)  # below 1 there is no norm
    for name, row in (ROWS if f is p_norm_max else ROWS | SIGNED).items():
        x = torch.tensor(row, dtype=dtype)
        value, slope = exact(f, x.tolist(), k)
        small = allowance(f, x.tolist(), k, dtype)
        if f is smooth_abs:  # entry by entry
            small = torch.tensor([allowance(f, [v], k, dtype) for v in x.tolist()])
        for result in each_way(lambda x: f(x, k), x):
            assert result.dtype == dtype
            off = (result.double() - torch.tensor(value, dtype=torch.float64)).abs()
            assert (off <= small).all(), (name, result, value)
        g = gradient(f, x, k)
        assert g.dtype == dtype
        reference = torch.tensor(slope, dtype=torch.float64)
        tolerance = gradient_allowance(f, len(row), k, dtype)
        close(g.double(), reference, atol=tolerance, rtol=0, msg=lambda m, name=name: f"{name} {m}")


@shifting
@pytest.mark.parametrize("k", [1, 0.7, 13, 1e4])
def test_float32_gradients_keep_their_digits_at_kx_of_10000(f, k):
    """Where kx itself, rounded to float32, is off by 5e-4."""
    x = torch.tensor([1e4, 1e4 - 1, 1e4 - 0.5, 1e4, 9e3]) / k
    g = gradient(f, x, k)
    reference = torch.tensor(exact(f, x.tolist(), k)[1], dtype=torch.float64)
    close(g.double(), reference, atol=100 * 2**-23, rtol=0)
    assert abs(g.double().sum().item() - 1) <= 100 * 2**-23, "shift equivariance"


@pytest.mark.parametrize("f", [mellowmax, boltzmann_max], ids=lambda f: f.__name__)
@each_once("k, dtype", [1e-3, 1e-8, 1e-12, 1e-30], DTYPES)
def test_means_become_the_plain_mean_for_small_k(f, k, dtype):
    x = torch.tensor([0.0, 1.0, 2.0, 5.0], dtype=dtype)
    # ½ k Var + O(k²) for mellowmax, k Var for Boltzmann; the variance is 3.5.
    close(f(x, k), x.mean(), atol=4 * k + 64 * eps(dtype), rtol=0)


@each_once("n, dtype", [1, 2, 1000, 100_003], DTYPES)
def test_long_rows_of_equal_entries(n, dtype):
    x = torch.full((n,), 0.75, dtype=dtype)
    exactly = {"dtype": dtype}
    near = {"atol": 0, "rtol": 64 * eps(dtype)}
    close(smooth_max(x, 2), torch.tensor(0.75 + math.log(n) / 2, **exactly), **near)
    close(mellowmax(x, 2), torch.tensor(0.75, **exactly), **near)
    close(boltzmann_max(x, 2), torch.tensor(0.75, **exactly), **near)
    close(p_norm_max(x, 2), torch.tensor(0.75 * n**0.5, **exactly), **near)


@shifting
@each_once("k, dtype", [1e-3, 1, 50], DTYPES)
def test_long_rows(f, k, dtype):
    x = 4 * torch.randn(5000, dtype=dtype)
    value, slope = exact(f, x.tolist(), k)
    # The sums of 5000 are pairwise: ln n roundings in place of n.
    assert abs(f(x, k).item() - value) <= allowance(f, x.tolist(), k, dtype) * 60 / 5000
    reference = torch.tensor(slope, dtype=torch.float64)
    close(gradient(f, x, k).double(), reference, atol=200 * eps(dtype), rtol=0)


# -- a sharpness that is learnt, masks, lower precision ------------------------------------


def slope_in_k(f, row, k):
    """The derivative with respect to k at the very numbers given, a difference quotient.

    For numbers of 1e-20 and k = 1e-12 all that it is about begins at the 64th digit.
    """
    with mpmath.workdps(150):
        x, k = [mpmath.mpf(v) for v in row], mpmath.mpf(k)
        top = max(map(abs, x)) if f is smooth_abs else max(x)

        def value(k):
            if f is p_norm_max:
                return top * mpmath.fsum((v / top) ** k for v in x) ** (1 / k) if top else top
            weights = [mpmath.exp(k * (v - top)) for v in x]
            if f is boltzmann_max:
                y = (w * (v - top) for w, v in zip(weights, x, strict=True))
                return mpmath.fsum(y) / mpmath.fsum(weights)
            return mpmath.log(mpmath.fsum(weights) / (len(x) if f is mellowmax else 1)) / k

        step = mpmath.mpf(10) ** -16 * k
        return float((value(k + step) - value(k - step)) / (2 * step))


def slope_allowance(f, row, k, dtype):
    """As for the value, over k: a mean is the difference of two such terms."""
    n = len(row)
    added = (1 + math.log(n)) / k
    if f in (mellowmax, boltzmann_max):
        added = min(added, max(row) - min(row))
    if f is boltzmann_max:
        return eps(dtype) * 4 * (n + 8) * added**2
    if f is p_norm_max:
        return eps(dtype) * 4 * (n + 8 + k) * max(row) * n ** (1 / k) * added / k
    return eps(dtype) * 4 * (n + 8) * added / k


@pytest.mark.parametrize("f", REDUCING, ids=lambda f: f.__name__)
@each_once("k, dtype", K, DTYPES)
def test_slopes_of_a_learnt_sharpness_against_150_digits(f, dtype, k):
    if f is p_norm_max:
        k = max(k, 1 / k)
    for name, row in (ROWS if f is p_norm_max else ROWS | SIGNED).items():
        x = torch.tensor(row, dtype=dtype)
        sharp = torch.tensor(k, dtype=dtype, requires_grad=True)
        result = f(x, sharp)
        close(result, f(x, sharp.item()), atol=allowance(f, x.tolist(), k, dtype), rtol=0)
        (slope,) = torch.autograd.grad(result, sharp)
        off = abs(slope.item() - slope_in_k(f, x.tolist(), sharp.item()))
        assert off <= slope_allowance(f, x.tolist(), k, dtype), name


@each_once("k, dtype", K, DTYPES)
def test_the_slope_of_a_learnt_sharpness_in_smooth_abs(k, dtype):
    """ln(1 + e^{-2k|x|})/k is the smooth maximum of x and −x, less |x|."""
    for v in {v for row in (ROWS | SIGNED).values() for v in row}:
        x = torch.tensor([v], dtype=dtype)
        sharp = torch.tensor(k, dtype=dtype, requires_grad=True)
        (slope,) = torch.autograd.grad(smooth_abs(x, sharp), sharp)
        wanted = slope_in_k(smooth_max, [x.item(), -x.item()], sharp.item())
        assert abs(slope.item() - wanted) <= slope_allowance(smooth_max, [v, v], k, dtype), v


@pytest.mark.parametrize("f", REDUCING, ids=lambda f: f.__name__)
def test_each_row_may_have_its_own_sharpness(f):
    x, k = torch.rand(2, 5, 3, dtype=torch.float64), 1 + 9 * torch.rand(2, 3, dtype=torch.float64)
    for sharp in (k, k[0], k[:, :1], k[0, 0]):
        each = sharp.expand(2, 3)
        rows = [[f(x[i, :, j], each[i, j].item()) for j in range(3)] for i in range(2)]
        close(f(x, sharp, dim=1), torch.tensor(rows))
        close(f(x, sharp, dim=-2), torch.tensor(rows))
    for bad in (torch.ones(2), torch.ones(2, 1, 3), torch.ones(4, 2, 3)):
        refused("k", [str(tuple(bad.shape)), "(2, 3)"], lambda bad=bad: f(x, bad, dim=1))


@pytest.mark.parametrize("f", [smooth_abs, *REDUCING], ids=lambda f: f.__name__)
def test_a_sharpness_keeps_its_own_dtype(f):
    """A parameter is float32 where activations are bfloat16; what it meets decides on its range."""
    x = torch.tensor([[0.25, 0.75, 0.0]] * 2)
    k = torch.tensor(2.5, requires_grad=True)
    for half in (torch.half, torch.bfloat16):
        result = f(x.to(half), k)
        assert result.dtype == half
        (slope,) = torch.autograd.grad(result.sum(), k)
        (exact,) = torch.autograd.grad(f(x, k).sum(), k)
        close(slope, exact)
    sharp = torch.full(f(x, 1).shape, 2.5, dtype=torch.float64)
    close(f(x, sharp), f(x, k.detach()))
    for beyond in (1e39, 1e-46):
        refused("k", [str(beyond)], lambda k=beyond: f(x, torch.tensor(k, dtype=torch.float64)))


masks = {"some": [1, 0, 1, 1, 0, 0], "one": [0, 0, 0, 1, 0, 0], "all": [1] * 6}


@pytest.mark.parametrize("f", REDUCING, ids=lambda f: f.__name__)
@pytest.mark.parametrize("kept", masks.values(), ids=list(masks))
@each_once("k, dtype, learnt", [1, 2.5, 1e4], DTYPES, [False, True])
def test_masked_entries_have_no_influence(f, kept, k, dtype, learnt):
    """The row of what is kept, exactly; whatever stands at False."""
    row, mask = torch.tensor([0.5, 3.0, 1.5, 0.25, 1.0, 2.0], dtype=dtype), torch.tensor(kept) > 0
    number, k = k, torch.tensor(k, dtype=dtype, requires_grad=True) if learnt else k
    short = row[mask].requires_grad_()
    value = f(short, k)
    slopes = torch.autograd.grad(value, (short, *[k] * learnt))
    for hidden in (nan, inf, -inf, 1e30, -1e30, 0.0):
        x = torch.where(mask, row, hidden).requires_grad_()
        result = f(x, k, mask=mask)
        # A sum of other terms that are 0 may be added up in another order.
        small = allowance(f, short.tolist(), number, dtype)
        close(result, value, atol=small, rtol=0)
        found = torch.autograd.grad(result, (x, *[k] * learnt), create_graph=True)
        few = gradient_allowance(f, len(short), number, dtype)
        close(found[0][mask], slopes[0], atol=few, rtol=0)
        assert (found[0][~mask] == 0).all()
        close(found[1:], slopes[1:], atol=slope_allowance(f, short.tolist(), number, dtype),
              rtol=0)  # fmt: skip
        second = torch.autograd.grad(0 * result + sum(g.sum() for g in found), x)[0]
        assert second.isfinite().all()
        assert (second[~mask] == 0).all()


@pytest.mark.parametrize("f", REDUCING, ids=lambda f: f.__name__)
def test_masks_broadcast_along_any_axis(f):
    x = torch.rand(3, 4, 2, dtype=torch.float64)
    mask = torch.tensor([True, False, True, True])[:, None]
    close(f(x, 3, 1, mask), f(x[:, [0, 2, 3]], 3, 1))
    none = torch.ones(3, 4, 2, dtype=torch.bool)
    none[1, :, 1] = False
    refused("x", ["masked in every entry of row (1, 1)"], lambda: f(x, 3, 1, none))
    x[2, 0, 0] = nan  # which the mask counts
    refused("x", ["nan at index (2, 0, 0)"], lambda: f(x, 3, 1, mask))


@each_once("k, dtype", [1, 1.5, 2, 3], DTYPES)
def test_derivatives_of_a_norm_with_zeros_in_a_learnt_k(k, dtype):
    """Zeros, one of them masked, add nothing to the derivatives in k, the second neither."""
    sharp = torch.tensor(float(k), dtype=dtype, requires_grad=True)
    found = []
    for row, mask in (([3.0, 4.0], None), ([3.0, 0.0, 4.0, 0.0], [True, True, True, False])):
        x = torch.tensor(row, dtype=dtype)
        value = p_norm_max(x, sharp, mask=mask if mask is None else torch.tensor(mask))
        (first,) = torch.autograd.grad(value, sharp, create_graph=True)
        found.append((value, first, *torch.autograd.grad(first, sharp)))
    close(found[1], found[0], atol=64 * eps(dtype), rtol=0)


@pytest.mark.parametrize("k", [1, 2])
def test_a_norm_of_zeros_with_a_learnt_k(k):
    x, sharp = torch.zeros(3, requires_grad=True), torch.tensor(float(k), requires_grad=True)
    value = p_norm_max(x, sharp)
    slopes = torch.autograd.grad(value, (x, sharp))
    assert value.item() == 0
    assert slopes[0].tolist() == [float(k == 1)] * 3, "as for a k that is no tensor"
    assert slopes[1].item() == 0


# -- shapes --------------------------------------------------------------------------------


@dtypes
def test_one_entry_is_its_own_maximum(dtype):
    x = torch.tensor([[0.7], [123.4], [0.0]], dtype=dtype)
    for f in REDUCING:
        close(f(x, 3.3), x[:, 0], atol=0, rtol=2 * eps(dtype))
        if f is not p_norm_max:
            close(gradient(f, x, 3.3), torch.ones_like(x), atol=4 * eps(dtype), rtol=0)


# -- derivatives ---------------------------------------------------------------------------


@shifting
def test_gradcheck_at_ties(f):
    x = torch.tensor([0.0, 0.0, -1.0, 0.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: f(x, 2), x)
    assert torch.autograd.gradgradcheck(lambda x: f(x, 2), x)


@pytest.mark.parametrize("k", [0.5, 1, 3])
def test_second_derivatives_of_smooth_abs_are_checked_at_0(k):
    x = torch.tensor([0.0, -0.0, 1e-3, -0.4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: smooth_abs(x, k), x)
    assert torch.autograd.gradgradcheck(lambda x: smooth_abs(x, k), x)


@each_once("k, dtype", [0.5, 1, 7, 1e4], DTYPES)
def test_second_derivative_of_smooth_abs(k, dtype):
    """k sech²(kx): k at 0, and 0 where e^{2k|x|} overflows."""
    x = torch.tensor([0.0, -0.0, 0.3, -0.3, 1.0, -20.0, 100.0, -500.0, 1e4, -1e4], dtype=dtype) / k
    x.requires_grad_()
    (g,) = torch.autograd.grad(smooth_abs(x, k).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(g.sum(), x)
    assert second[:2].tolist() == [k, k]
    kx = (k * x.detach().double()).clamp(-300, 300)
    close(second.double(), k / kx.cosh() ** 2, atol=16 * eps(dtype) * k, rtol=0)


@forward_mode
@pytest.mark.parametrize("f", [smooth_max, mellowmax], ids=lambda f: f.__name__)
@each_once("k, dtype", [0.5, 2, 13], DTYPES)
def test_hessian_is_k_times_the_softmax_jacobian(f, k, dtype):
    x = torch.tensor([1.0, 0.75, 0.75, -2.0, -1000.0], dtype=dtype)
    y = torch.softmax(k * x.double(), -1)
    expected = k * (torch.diag(y) - y[:, None] * y)
    for hessian in (torch.autograd.functional.hessian, lambda g, x: torch.func.hessian(g)(x)):
        value = hessian(lambda x: f(x, k), x)
        close(value.double(), expected, atol=64 * k * eps(dtype), rtol=0)


def test_boltzmann_is_not_monotone():
    x = torch.tensor([0.0, 3.0], dtype=torch.float64)
    g = gradient(boltzmann_max, x, 2)
    assert g[0] < 0 < g[1]
    assert boltzmann_max(torch.tensor([0.5, 3.0]), 2) < boltzmann_max(torch.tensor([0.0, 3.0]), 2)


@each_once("k, dtype", [1, 1 + 2**-52, 1 + 1e-9, 1.001, 1.5, 2, 3, 100, 1e4], DTYPES)
class TestPNormAtZero:
    def test_all_zeros(self, k, dtype):
        x = torch.zeros(2, 3, dtype=dtype)
        x[1, 1] = 2.0  # the other row is not disturbed
        assert p_norm_max(x, k).tolist() == [0.0, 2.0]
        g = gradient(p_norm_max, x, k)
        # At k = 1 the norm is the sum, elsewhere 0 is the convention, and exact beside the 2.
        off = float(k == 1)
        expected = torch.tensor([[off] * 3, [off, 1.0, off]], dtype=dtype)
        close(g, expected, atol=4 * eps(dtype), rtol=0)

    def test_minus_zero_is_zero(self, k, dtype):
        x = torch.tensor([[-0.0, -0.0], [-0.0, 2.0]], dtype=dtype)
        assert p_norm_max(x, k).tolist() == [0.0, 2.0]
        assert gradient(p_norm_max, x, k).isfinite().all()

    def test_very_large_and_very_small_entries(self, k, dtype):
        """The square of either leaves the range of its dtype."""
        kind = torch.finfo(dtype)
        for scale in (kind.max / 8, kind.tiny):
            x = torch.tensor([0.0, 1.0, 0.5, 1.0], dtype=dtype)
            value, slope = exact(p_norm_max, x.tolist(), k)
            close(p_norm_max(scale * x, k).item(), scale * value, atol=0, rtol=64 * kind.eps)
            g = gradient(p_norm_max, scale * x, k).double()
            reference = torch.tensor(slope, dtype=torch.float64)
            # A vanishing factor x^(k−1) at 0 holds for every k above 1, however near.
            reference[0] = float(k == 1)
            close(g, reference, atol=gradient_allowance(p_norm_max, 4, k, dtype), rtol=0)


# -- properties ----------------------------------------------------------------------------

numbers = st.floats(-50, 50) | st.sampled_from([0.0, 1.0, -1.0, 1e4, -1e4, 9999.5, 1e-30])
rows = st.lists(numbers, min_size=1, max_size=8)
sharpness = st.floats(1e-6, 1e4) | st.sampled_from([1e-3, 0.5, 1, 2, 1000])
kinds = st.sampled_from(DTYPES)


@given(rows, sharpness, kinds)
def test_bounds(row, k, dtype):
    x = torch.tensor(row, dtype=dtype)
    row, n = x.tolist(), len(row)
    top = max(row)
    small = {f: allowance(f, row, k, dtype) for f in SHIFTING}
    assert top - small[smooth_max] <= smooth_max(x, k).item()
    assert smooth_max(x, k).item() <= top + math.log(n) / k + small[smooth_max]
    value = mellowmax(x, k).item()
    assert top - math.log(n) / k - small[mellowmax] <= value <= top + small[mellowmax]
    mean = math.fsum(row) / n
    assert mean - small[mellowmax] <= value, "Jensen"
    value = boltzmann_max(x, k).item()
    gap = lambertw((n - 1) / math.e).real / k
    assert top - gap - small[boltzmann_max] <= value <= top + small[boltzmann_max]
    assert mellowmax(x, k).item() <= value + small[mellowmax] + small[boltzmann_max], "Gibbs"


@each_once("n, k", [2, 3, 10, 1000], [0.5, 1, 30])
def test_bounds_are_attained(n, k):
    tied = torch.full((n,), 0.3, dtype=torch.float64)
    close(smooth_max(tied, k).item(), 0.3 + math.log(n) / k)
    alone = tied.clone()
    alone[1:] -= 60 / k
    close(mellowmax(alone, k).item(), 0.3 - math.log(n) / k)
    w = lambertw((n - 1) / math.e).real
    worst = tied.clone()
    worst[1:] -= (1 + w) / k
    close(boltzmann_max(worst, k).item(), 0.3 - w / k)
    close(p_norm_max(tied, 1 + k).item(), 0.3 * n ** (1 / (1 + k)))


@given(rows, st.floats(1, 1e4) | st.sampled_from([1, 1 + 2**-52, 2]), kinds)
def test_bounds_of_the_p_norm(row, k, dtype):
    x = torch.tensor(row, dtype=dtype).abs()
    value, top, n = p_norm_max(x, k).item(), x.max().item(), len(row)
    small = allowance(p_norm_max, x.tolist(), k, dtype)
    assert top - small <= value <= n ** (1 / k) * top + small
    assert (gradient(p_norm_max, x, k) >= 0).all()
    # Homogeneous: powers of two, so that scaling itself rounds nothing (away from underflow).
    x = torch.where(x < 1e-20, 0.0, x)
    close(p_norm_max(8 * x, k), 8 * p_norm_max(x, k), atol=0, rtol=0)


@given(rows, sharpness, kinds)
def test_smooth_abs_is_even_and_above_the_absolute_value(row, k, dtype):
    x = torch.tensor(row, dtype=dtype)
    value = smooth_abs(x, k)
    close(smooth_abs(-x, k), value, atol=0, rtol=0)
    for v, s in zip(x.tolist(), value.tolist(), strict=True):
        small = allowance(smooth_abs, [v], k, dtype)
        assert abs(s - abs(v) - math.log1p(math.exp(-2 * k * abs(v))) / k) <= small
        assert abs(v) - small <= s <= abs(v) + math.log(2) / k + small
    both = torch.stack([x, -x], -1)
    small = eps(dtype) * (8 * x.abs().max().item() + 64 / k)
    close(smooth_max(both, k), value, atol=small, rtol=0)


@given(rows, sharpness, st.floats(-1e3, 1e3))
def test_a_shift_of_all_entries_shifts_the_maximum(row, k, shift):
    x = torch.tensor(row, dtype=torch.float64)
    for f in SHIFTING:
        # The shifted entries are rounded by ½ eps of their size; a Boltzmann mean changes by at
        # most Σ|∂B| ≤ 1 + k Σ y|x − B| ≤ 3 + 2 ln n times that.
        small = allowance(f, row, k, x.dtype) + allowance(f, (x + shift).tolist(), k, x.dtype)
        small += (3 + 2 * math.log(len(row))) * eps(x.dtype) * (x + shift).abs().max().item()
        assert abs((f(x + shift, k) - f(x, k)).item() - shift) <= small + 2**-52 * 1e3


@given(rows, st.integers(0, 2**32), sharpness, kinds)
def test_no_change_of_the_entries_is_enlarged(row, seed, k, dtype):
    """Non-expansive and monotone: the smooth maximum and mellowmax, not Boltzmann's."""
    x = torch.tensor(row, dtype=dtype)
    step = torch.randn(len(row), generator=torch.Generator().manual_seed(seed), dtype=dtype)
    moved = x + step
    far = (moved.double() - x.double()).abs().max().item()
    higher = torch.maximum(x, moved)
    for f in (smooth_max, mellowmax):
        small = sum(allowance(f, v.tolist(), k, dtype) for v in (x, moved, higher))
        assert abs(f(moved, k).item() - f(x, k).item()) <= far + small
        assert f(higher, k).item() >= max(f(x, k).item(), f(moved, k).item()) - small
        g = gradient(f, x, k)
        assert (g >= 0).all()
        assert abs(g.double().sum().item() - 1) <= gradient_allowance(f, len(row), k, dtype)


@given(rows, sharpness, st.randoms(), kinds)
@pytest.mark.slow
def test_the_order_of_the_entries_does_not_matter(row, k, random, dtype):
    order = random.sample(range(len(row)), len(row))
    x = torch.tensor(row, dtype=dtype)
    for f in SHIFTING:
        small = 2 * allowance(f, x.tolist(), k, dtype)
        close(f(x[order], k), f(x, k), atol=small, rtol=0)
    x, k = x.abs(), k + 1
    small = 2 * allowance(p_norm_max, x.tolist(), k, dtype)
    close(p_norm_max(x[order], k), p_norm_max(x, k), atol=small, rtol=0)
    close(smooth_abs(x[order], k), smooth_abs(x, k)[order], atol=0, rtol=0)


# -- overflow ------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [smooth_abs, *REDUCING], ids=lambda f: f.__name__)
@pytest.mark.parametrize("k", [1e39, 1e300, 1e-46, 1e-300])
def test_a_sharpness_beyond_float32_is_one_of_float64(f, k):
    x = torch.tensor([[0.25, 0.75, 0.0]] * 2)
    refused("k", [], lambda: f(x, k))
    if k > 1 or f is not p_norm_max:
        assert f(x.double(), k).isfinite().all()
        assert gradient(f, x.double(), k).isfinite().all()


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("f", [smooth_abs, *SHIFTING], ids=lambda f: f.__name__)
def test_an_overflowing_product_is_refused(f):
    refused(r"k \* x", ["inf", "(1, 2)"], lambda: f(torch.tensor([[0.0] * 3, [0, 0, 1e30]]), 1e10))
    refused(r"k \* x", ["-inf"], lambda: f(torch.tensor([-1e30, 0.0]), 1e10))
    close(f(torch.tensor([1e30, 0.0]), 10).max().item(), 1e30, atol=0, rtol=1e-6)


@pytest.mark.parametrize("f", [smooth_max, p_norm_max], ids=lambda f: f.__name__)
@pytest.mark.parametrize("learnt", [False, True])
@pytest.mark.parametrize("dtype", [torch.half, *DTYPES], ids=str)
def test_a_result_beyond_the_dtype_is_refused(f, learnt, dtype):
    most = torch.finfo(dtype).max
    k = 1.0 if f is p_norm_max else 5 / most
    k = torch.tensor(k, dtype=torch.float64) if learnt else k
    for n in (2, 70):
        x = torch.full((n,), 0.9 * most, dtype=dtype)
        refused("the result", ["inf", str(dtype)], lambda x=x: f(x, k))
        assert f(x / 1e3, k).isfinite()


@dtypes
def test_an_absolute_value_beyond_the_dtype_is_refused(dtype):
    most = torch.finfo(dtype).max
    refused("the result", ["inf"], lambda: smooth_abs(torch.tensor([most], dtype=dtype), 5 / most))
    assert smooth_abs(torch.tensor([most], dtype=dtype), 1).item() == most


@shifting
def test_entries_further_apart_than_the_dtype_reaches(f):
    x = torch.tensor([3e38, -3e38])
    close(f(x, 1), x[0])
    assert gradient(f, x, 1).tolist() == [1.0, 0.0]
