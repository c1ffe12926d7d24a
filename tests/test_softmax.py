"""attnlib/softmax.py against autograd, a slow loop, 50-digit arithmetic and an eigensolver."""

import math

import mpmath
import pytest
import torch
from helpers import DTYPES, close, dtypes, eps, forward_mode, refused
from hypothesis import given
from hypothesis import strategies as st

from attnlib.softmax import (
    jacobian_from_weights,
    jacobian_norm_bounds,
    softmax_jacobian,
    softmax_vjp,
)

inf = math.inf


def logits(*shape, dtype=torch.float64):
    return 3 * torch.randn(*shape, dtype=dtype)


# Any logits a chapter might show: ties, masked entries, saturated rows, logits of any size.
CASES = {
    "n=1": [0.7],
    "ties": [1.0, 1.0, -2.0, 1.0],
    "all-tied": [0.0] * 7,
    "ordinary": [0.3, -1.2, 2.0, 0.0, 0.9],
    "masked-entry": [0.5, -inf, 1.5],
    "all-but-one-masked": [-inf, 4.0, -inf],
    "saturated": [40.0, 0.0, -3.0, 1.0],
    "one-hot-in-float64": [800.0, 0.0, -800.0],
    "huge": [1e30, -1e30, 1e30, 0.0],
    "shifted-by-a-million": [1e6, 1e6 + 1, 1e6 - 2],
}
cases = pytest.mark.parametrize("z", CASES.values(), ids=CASES.keys())


def exact_jacobian(z):
    """diag(y) − yyᵀ entry by entry, at 50 digits, rounded once."""
    with mpmath.workdps(50):
        weights = [mpmath.exp(mpmath.mpf(v) - max(z)) for v in z]
        y = [w / mpmath.fsum(weights) for w in weights]
        rows = [[y[i] * ((i == k) - y[k]) for k in range(len(z))] for i in range(len(z))]
        return torch.tensor([[float(v) for v in row] for row in rows], dtype=torch.float64)


class TestJacobian:
    @cases
    @dtypes
    def test_against_50_digits(self, z, dtype):
        z = torch.tensor(z, dtype=dtype)
        J = softmax_jacobian(z)
        assert J.dtype == dtype
        # y carries a few eps relative to y ≤ 1 (the rounded shift of the logits included).
        close(J.double(), exact_jacobian(z.tolist()), atol=8 * eps(dtype), rtol=0)

    @cases
    def test_against_autograd(self, z):
        z = torch.tensor(z, dtype=torch.float64)
        reference = torch.autograd.functional.jacobian(lambda z: torch.softmax(z, -1), z)
        close(softmax_jacobian(z), reference, atol=4 * eps(z.dtype), rtol=0)

    def test_by_hand(self):
        z = torch.tensor([0.0, math.log(2), math.log(3)], dtype=torch.float64)  # y = (1, 2, 3)/6
        by_hand = torch.tensor([[5.0, -2, -3], [-2, 8, -6], [-3, -6, 9]], dtype=torch.float64) / 36
        close(softmax_jacobian(z), by_hand)

    def test_masked_row_and_column_vanish(self):
        J = softmax_jacobian(torch.tensor([[0.5, -inf, 1.5]]))[0]
        assert not J[1].any()
        assert not J[:, 1].any()
        close(J[::2, ::2], softmax_jacobian(torch.tensor([0.5, 1.5])))

    def test_saturated_beyond_precision_is_exactly_zero(self):
        assert not softmax_jacobian(torch.tensor([800.0, 0.0, -800.0], dtype=torch.float64)).any()


# Weights that a chapter might show, among them rows that no finite logits have.
WEIGHTS = {
    "n=1": [1.0],
    "one-hot": [0.0, 1.0, 0.0],
    "tie-of-two": [0.5, 0.0, 0.5],
    "uniform": [0.125] * 8,
    "ordinary": [0.1, 0.2, 0.3, 0.4],
    "tiny": [1e-30, 1.0, 1e-37],
    "not-quite-1": [0.25, 0.75005, 0.0],
}


class TestJacobianFromWeights:
    @pytest.mark.parametrize("row", WEIGHTS.values(), ids=WEIGHTS.keys())
    @dtypes
    def test_against_50_digits(self, row, dtype):
        if row == WEIGHTS["not-quite-1"] and dtype == torch.float64:
            row = [0.25, 0.75 + 1e-9, 0.0]
        y = torch.tensor(row, dtype=dtype)
        J = jacobian_from_weights(y)
        assert J.dtype == dtype
        with mpmath.workdps(50):
            p = [mpmath.mpf(v) for v in y.tolist()]
            exact = [[a * ((i == k) - b) for k, b in enumerate(p)] for i, a in enumerate(p)]
        exact = torch.tensor([[float(v) for v in line] for line in exact], dtype=torch.float64)
        # A product and a difference, each of a number ≤ 1, are rounded to within ½ eps.
        close(J.double(), exact, atol=eps(dtype), rtol=0)

    @cases
    @dtypes
    def test_it_is_the_jacobian_of_the_logits(self, z, dtype):
        z = torch.tensor(z, dtype=dtype)
        y = torch.softmax(z, -1)
        close(jacobian_from_weights(y), softmax_jacobian(z), atol=0, rtol=0)

    @cases
    def test_against_autograd(self, z):
        z = torch.tensor(z, dtype=torch.float64)
        reference = torch.autograd.functional.jacobian(lambda z: torch.softmax(z, -1), z)
        close(jacobian_from_weights(z.softmax(-1)), reference, atol=4 * eps(z.dtype), rtol=0)

    def test_by_hand(self):
        y = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64) / 6
        by_hand = torch.tensor([[5.0, -2, -3], [-2, 8, -6], [-3, -6, 9]], dtype=torch.float64) / 36
        close(jacobian_from_weights(y), by_hand)


class TestVJP:
    @cases
    @dtypes
    def test_against_autograd(self, z, dtype):
        z = torch.tensor(z, dtype=dtype, requires_grad=True)
        g = torch.linspace(-2, 1, len(z), dtype=dtype)
        y = torch.softmax(z, -1)
        (reference,) = torch.autograd.grad(y, z, g, retain_graph=True)
        close(softmax_vjp(y.detach(), g), reference, atol=8 * eps(dtype), rtol=0)

    def test_by_hand(self):
        y = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64) / 6
        g = torch.tensor([6.0, 0.0, 12.0], dtype=torch.float64)  # ⟨g, y⟩ = 7
        close(softmax_vjp(y, g), torch.tensor([-1.0, -14.0, 15.0], dtype=torch.float64) / 6)

    def test_a_constant_gradient_does_nothing(self):
        y = torch.softmax(logits(3, 5), -1)
        close(softmax_vjp(y, torch.full_like(y, 7.0)), torch.zeros_like(y), atol=1e-14, rtol=0)


class TestBounds:
    def test_against_a_loop_over_rows(self):
        y = torch.softmax(logits(4, 3, 5), -1)
        lower, upper = jacobian_norm_bounds(y)
        for row in range(4):
            for column in range(3):
                first, second, *_ = sorted(y[row, column].tolist(), reverse=True)
                spread = max(v * (1 - v) for v in y[row, column].tolist())
                assert lower[row, column].item() == max(spread, second)
                assert upper[row, column].item() == min(2 * spread, first)

    @pytest.mark.parametrize(
        ("y", "lower", "upper"),
        [
            pytest.param([0.5, 0.5], 0.5, 0.5, id="half-half"),
            pytest.param([0.0, 0.5, 0.0, 0.5], 0.5, 0.5, id="half-half-among-zeros"),
            pytest.param([0.0, 1.0, 0.0], 0.0, 0.0, id="one-hot"),
            pytest.param([1.0], 0.0, 0.0, id="n=1"),
            pytest.param([0.25] * 4, 0.25, 0.25, id="uniform"),  # λ = 1/n, 1/n, …, 0
            pytest.param([0.75, 0.25], 0.25, 0.375, id="y2-below"),  # λ = 2·¾·¼: upper is tight
            pytest.param([0.875, 0.0625, 0.0625], 0.109375, 0.21875, id="spread-both"),
            pytest.param([0.375, 0.375, 0.25], 0.375, 0.375, id="two-tied"),
            pytest.param([0.5, 0.25, 0.25], 0.25, 0.5, id="spread-on-both-sides"),
        ],
    )
    def test_by_hand(self, y, lower, upper):
        values = jacobian_norm_bounds(torch.tensor(y, dtype=torch.float64))
        assert tuple(v.item() for v in values) == (lower, upper)

    def test_each_of_the_four_is_needed(self):
        """None of the four numbers is the better one on every row."""
        y = torch.softmax(logits(200, 4), -1)
        spread = (y * (1 - y)).amax(-1)
        first, second = y.sort(descending=True).values[:, :2].T
        assert (spread > second).any()
        assert (spread < second).any()
        assert (2 * spread < first).any()
        assert (2 * spread > first).any()


# -- properties ----------------------------------------------------------------------------

rows = st.integers(1, 7).flatmap(
    lambda n: st.lists(
        st.floats(-40, 40) | st.sampled_from([0.0, 1.0, -inf, 1e30, -1e30]), min_size=n, max_size=n
    )
).filter(lambda row: max(row) > -inf)  # fmt: skip


@given(rows, st.sampled_from(DTYPES))
def test_properties_of_the_jacobian(row, dtype):
    z = torch.tensor(row, dtype=dtype)
    y, J = torch.softmax(z, -1), softmax_jacobian(z)
    n, small = len(row), 4 * len(row) * eps(dtype)  # n roundings of numbers ≤ 1, twice over
    close(J, J.T, atol=0, rtol=0)
    close(J.sum(-1), torch.zeros_like(z), atol=small, rtol=0)
    close(J.trace(), 1 - (y * y).sum(), atol=small, rtol=0)
    assert (J.diagonal() >= 0).all()
    assert (J - torch.diag(J.diagonal()) <= 0).all()
    spectrum = torch.linalg.eigvalsh(J.double())
    assert spectrum[0] >= -small, "positive semidefinite"
    lower, upper = jacobian_norm_bounds(y)
    assert lower <= upper + eps(dtype)
    # The eigenvalues move by at most the norm of the rounding errors in J.
    assert lower - small <= spectrum[-1] <= upper + small
    assert lower >= 0
    assert upper <= 0.5 + eps(dtype)
    vjp = softmax_vjp(y, torch.linspace(-1, 1, n, dtype=dtype))
    close(vjp.sum(), torch.zeros((), dtype=dtype), atol=small, rtol=0)


@given(rows, st.floats(-30, 30))
def test_a_shift_of_all_logits_does_nothing(row, shift):
    z = torch.tensor([v for v in row if abs(v) < 100] or [0.0], dtype=torch.float64)
    # The shifted logits are rounded to within ½ eps·70, and softmax carries that over.
    close(softmax_jacobian(z + shift), softmax_jacobian(z), atol=100 * 2**-52, rtol=0)


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=6), st.randoms())
def test_permuting_the_logits_permutes_the_jacobian(row, random):
    order = random.sample(range(len(row)), len(row))
    z = torch.tensor(row, dtype=torch.float64)
    y = torch.softmax(z, -1)
    permuted = softmax_jacobian(z[order])
    close(permuted, softmax_jacobian(z)[order][:, order], atol=2**-50, rtol=0)
    for bound, again in zip(jacobian_norm_bounds(y), jacobian_norm_bounds(y[order]), strict=True):
        close(bound, again, atol=0, rtol=0)


# -- derivatives and transforms ------------------------------------------------------------


def test_gradients_flow_through_every_argument():
    y = torch.softmax(logits(2, 3), -1).requires_grad_()
    g = logits(2, 3).requires_grad_()
    softmax_vjp(y, g).square().sum().backward()
    # v = y∘(g − s), L = |v|²: ∂L/∂g = 2y∘v − 2y⟨v, y⟩, ∂L/∂y = 2v∘(g − s) − 2g⟨v, y⟩
    with torch.no_grad():
        s = (g * y).sum(-1, keepdim=True)
        v = y * (g - s)
        vy = (v * y).sum(-1, keepdim=True)
        close(g.grad, 2 * (y * v - y * vy))
        close(y.grad, 2 * (v * (g - s) - g * vy))


def test_gradient_at_a_masked_logit_is_zero():
    z = torch.tensor([0.5, -inf, 1.5], requires_grad=True)
    softmax_jacobian(z).square().sum().backward()
    assert z.grad[1] == 0
    assert z.grad[0] != 0


@forward_mode
def test_jacrev_and_jacfwd_of_softmax_are_the_jacobian():
    z = logits(5)
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        close(transform(lambda z: torch.softmax(z, -1))(z), softmax_jacobian(z))
        second = transform(softmax_jacobian)(z)  # ∂J/∂z, of all indices symmetric
        close(second, second.permute(2, 1, 0))


# -- lower precision -----------------------------------------------------------------------


class TestLowerPrecision:
    """1000 equal weights: their sum is off 1 by far more than float32 would explain."""

    @pytest.fixture(params=[torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
    def y(self, request):
        y = torch.full((3, 1000), 0.001).to(request.param)
        assert ((y.float().sum(-1) - 1).abs() > eps(torch.float32) ** 0.5).all()
        return y

    @pytest.mark.parametrize("f", [jacobian_from_weights, jacobian_norm_bounds, softmax_vjp])
    def test_weights_are_judged_by_what_they_were_computed_in(self, f, y):
        given = (y, y) if f is softmax_vjp else (y,)
        exact = [t.float() for t in given]
        close(f(*given), as_dtype(f(*exact, precision=y.dtype), y.dtype), atol=0, rtol=0)
        refused("y", ["row (0,)", "lower precision"], lambda: f(*exact))

    def test_a_forgotten_factor_is_none_of_rounding(self, y):
        with pytest.raises(ValueError, match=r"^y must sum to 1"):
            softmax_vjp(0.9 * y, y)

    def test_logits(self, y):
        z = 8 * torch.randn(4, 6).to(y.dtype)
        close(softmax_jacobian(z), softmax_jacobian(z.float()).to(y.dtype), atol=0, rtol=0)

    def test_a_gradient_is_rounded_once(self, y):
        """In bfloat16 throughout ⟨g, y⟩ alone would be off by several per cent of the result."""
        g = torch.randn(3, 1000).to(y.dtype)
        exact = softmax_vjp(y.double(), g.double(), precision=y.dtype)
        close(softmax_vjp(y, g).double(), exact, rtol=0.51 * eps(y.dtype), atol=1e-7)


def as_dtype(result, dtype):
    return tuple(t.to(dtype) for t in result) if isinstance(result, tuple) else result.to(dtype)


# -- bad input -----------------------------------------------------------------------------


@pytest.mark.usefixtures("no_shape_checks")
class TestBadInput:
    @dtypes
    @pytest.mark.parametrize("side", [1, -1], ids=["above", "below"])
    def test_normalised_to_half_the_digits(self, dtype, side):
        root = eps(dtype) ** 0.5
        y = torch.tensor([[0.5, 0.5], [0.5, 0.5]], dtype=dtype)
        y[1, 0] += side * root * 0.99
        jacobian_norm_bounds(y)
        jacobian_from_weights(y)
        softmax_vjp(y, y)
        y[1, 0] += side * root * 0.02
        refused("y", ["row (1,)", str(y[1].sum().item())], lambda: jacobian_norm_bounds(y))
        refused("y", ["row (1,)"], lambda: jacobian_from_weights(y))
        refused("y", ["row (1,)"], lambda: softmax_vjp(y, y))
