"""attnlib/lookup.py against 50-digit arithmetic, softmax of real keys, and counted moments."""

import math

import mpmath
import pytest
import torch
from helpers import DTYPES, close, dtypes, each_once, eps, refused
from hypothesis import given
from hypothesis import strategies as st

from attnlib.lookup import (
    average_leak,
    averaging_query,
    copy_leak,
    sample_keys,
    subspace_projector,
)

inf, nan = math.inf, math.nan


# -- the projector -------------------------------------------------------------------------


def exact_projector(A):
    """A(AᵀA)⁻¹Aᵀ at the very numbers given, with digits to spare for the condition of AᵀA."""
    with mpmath.workdps(120):
        A = mpmath.matrix(A.tolist())
        M = A * mpmath.inverse(A.T * A) * A.T
        return torch.tensor([[float(x) for x in row] for row in M.tolist()], dtype=torch.float64)


@each_once("d, m, dtype", [1, 5, 7, 4, 6, 17], [1, 1, 3, 4, 5, 9], DTYPES)
def test_projector_against_50_digits(d, m, dtype):
    A = torch.randn(d, m, dtype=dtype)
    M = subspace_projector(A)
    assert M.dtype == dtype
    assert M.shape == (d, d)
    condition = torch.linalg.cond(A.double()).item()
    tolerance = 4 * d * eps(dtype) * condition
    close(M.double(), exact_projector(A), atol=tolerance, rtol=0)
    assert torch.equal(M, M.mT)
    close(M @ M, M, atol=4 * d * eps(dtype), rtol=0)
    assert abs(M.trace().item() - m) <= 4 * d * eps(dtype)
    close(M @ A, A, atol=tolerance * A.abs().max().item(), rtol=0)


@dtypes
@pytest.mark.parametrize("power", [0.25, 0.5, 0.75])
def test_nearly_dependent_columns_cost_the_condition_number_not_its_square(power, dtype):
    """Two columns at an angle of eps^power: AᵀA is then singular to working precision, or near."""
    angle = eps(dtype) ** power
    A = torch.tensor([[1.0, 1.0], [0.0, angle], [1.0, 1.0], [2.0, 2.0 - angle]], dtype=dtype)
    close(
        subspace_projector(A).double(),
        exact_projector(A),
        atol=32 * eps(dtype) / angle,
        rtol=0,
    )


@dtypes
def test_orthogonal_columns_give_the_sum_of_the_note(dtype):
    A = torch.tensor([[1.0, 2, 0], [1, -2, 0], [0, 1, 0], [0, 0, 5], [3, 0, 0]], dtype=dtype)
    A[:, 1] = torch.tensor([3.0, -3.0, 4.0, 0.0, 0.0], dtype=dtype)
    assert (A.T @ A).count_nonzero() == 3
    note = sum(torch.outer(a, a) / (a @ a) for a in A.T)
    close(subspace_projector(A), note, atol=16 * eps(dtype), rtol=0)


@dtypes
def test_lengths_of_the_columns_do_not_matter(dtype):
    """Not even where their squares, or the product of two, leave the range of the dtype."""
    kind = torch.finfo(dtype)
    A = torch.randn(6, 3, dtype=dtype)
    lengths = torch.tensor([kind.max / 16, 1.0, kind.tiny * 2**10], dtype=dtype)
    stretched = A * 2.0 ** lengths.log2().round()  # exact: powers of two
    close(subspace_projector(stretched), subspace_projector(A), atol=64 * kind.eps, rtol=0)


@given(st.lists(st.integers(-9, 9), min_size=10, max_size=10), st.integers(0, 2**32))
def test_other_columns_with_the_same_span(entries, seed):
    A = torch.tensor(entries, dtype=torch.float64).reshape(5, 2)
    change = torch.randn(2, 2, generator=torch.Generator().manual_seed(seed)).double()
    change = change / change.abs().max() + 3 * torch.eye(2)  # well conditioned
    if (A.T @ A).det() < 0.5:  # whole numbers: 0 for dependent columns, at least 1 otherwise
        with pytest.raises(ValueError, match=r"^basis has linearly dependent columns"):
            subspace_projector(A)
        return
    M = subspace_projector(A)
    close(subspace_projector(A @ change), M, atol=1e-12, rtol=0)  # condition below 1e3
    close(subspace_projector(-A.flip(-1)), M, atol=1e-12, rtol=0)
    both = torch.randn(5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    nearest = A @ torch.linalg.lstsq(A, both[:, None]).solution[:, 0]
    close(M @ both, nearest, atol=1e-11, rtol=0)


@pytest.mark.parametrize(("d", "m"), [(4, 2), (3, 3), (5, 1)], ids=str)
def test_gradients_of_the_projector(d, m):
    # dM = (I − M) dA A⁺ and its transpose; also where a plain SVD has no derivative.
    A = torch.eye(d, m, dtype=torch.float64)
    step = torch.randn(d, m, dtype=torch.float64)
    _, dM = torch.autograd.functional.jvp(subspace_projector, A, step)
    half = (torch.eye(d) - A @ A.T).double() @ step @ torch.linalg.pinv(A)
    close(dM, half + half.T, atol=1e-13, rtol=0)


column = torch.tensor([0.3, -1.7, 2.9, 0.1])


@pytest.mark.usefixtures("no_shape_checks")
class TestBadBasis:
    @each_once("scale, dtype", [1.0, 1e-17, 1e17], DTYPES)
    def test_dependent_columns(self, dtype, scale):
        a = column.to(dtype)
        b, zero = a.flip(0), 0 * a
        for columns in ([a, a], [a, -3 * scale * a], [a, b, scale * (a + b)], [a, zero], [zero]):
            basis = torch.stack(columns, -1) * scale
            refused(
                "basis",
                ["dependent", str(tuple(basis.shape))],
                lambda A=basis: subspace_projector(A),
            )

    @dtypes
    def test_the_limit_is_at_eps_times_d(self, dtype):
        """Two unit columns at an angle t have singular values near √2 and t/√2."""
        for factor, accepted in ((1 / 4, False), (4.0, True)):
            t = 2 * 8 * eps(dtype) * factor
            A = torch.zeros(8, 2, dtype=dtype)
            A[0], A[1, 1] = 1.0, t
            if accepted:
                assert subspace_projector(A).isfinite().all()
            else:
                refused("basis", ["dependent"], lambda A=A: subspace_projector(A))

    @dtypes
    def test_the_limit_is_relative_to_the_largest_singular_value(self, dtype):
        """Sixteen unit columns at angles of about t: singular values near 4 and t."""
        for factor, accepted in ((2.0, False), (8.0, True)):
            A = torch.zeros(32, 16, dtype=dtype)
            A[0], A[1:17] = 1.0, factor * 32 * eps(dtype) * torch.eye(16, dtype=dtype)
            if accepted:
                assert subspace_projector(A).isfinite().all()
            else:
                refused("basis", ["dependent"], lambda A=A: subspace_projector(A))

    @dtypes
    def test_a_column_of_large_norm_does_not_drown_the_others(self, dtype):
        """Of entries 1 throughout: longer than a unit vector by √d, until it is scaled."""
        A = torch.zeros(64, 3, dtype=dtype)
        A[:, 0], A[0, 1:], A[1, 2] = 1.0, 1.0, 6 * 64 * eps(dtype)
        assert subspace_projector(A).isfinite().all()

    def test_the_matrix_is_named(self):
        A = torch.randn(2, 3, 4, 2)
        A[1, 2, :, 1] = A[1, 2, :, 0]
        refused("basis", ["(1, 2)"], lambda: subspace_projector(A))


# -- queries and leaks ---------------------------------------------------------------------


def orthonormal(n, d, dtype=torch.float64):
    return torch.linalg.qr(torch.randn(d, n, dtype=torch.float64)).Q.mT.to(dtype)


@dtypes
@pytest.mark.parametrize("beta", [0, 1, 2.5, 12, -3])
@pytest.mark.parametrize(("n", "d"), [(2, 3), (3, 5), (10, 11)], ids=str)
def test_leaks_are_what_softmax_leaves_to_the_others(n, d, beta, dtype):
    K = orthonormal(n, d, dtype)
    small = 64 * eps(dtype) * (1 + abs(beta))
    copying = torch.softmax(beta * K @ K[1], 0)
    assert abs(copying.sum().item() - copying[1].item() - copy_leak(beta, n)) <= small
    q = averaging_query(K[0], K[1], beta)
    assert q.dtype == dtype
    averaging = torch.softmax(K @ q, 0)
    assert abs(averaging[2:].sum().item() - average_leak(beta, n)) <= small
    assert abs(averaging[0].item() - averaging[1].item()) <= small


BETAS = [0, 0.0, 1e-9, 0.5, 1, 36.7, 700, 708, 1e4, 1e308, -1e-9, -2, -50, -745, -1e308]


@pytest.mark.parametrize("n", [2, 3, 4, 10, 12345, 2**53])
def test_leaks_against_50_digits(n):
    for beta in BETAS:
        with mpmath.workdps(50):
            power = mpmath.exp(beta)
            copy, average = (n - 1) / (power + (n - 1)), (n - 2) / (2 * power + (n - 2))
        # Below 1e-307 the exponential is off by half the spacing of such numbers, 5e-324.
        small = n * 5e-324
        assert abs(copy_leak(beta, n) - float(copy)) <= 4 * 2**-52 * float(copy) + small, beta
        assert abs(average_leak(beta, n) - float(average)) <= 4 * 2**-52 * float(average) + small


@given(st.floats(-1e3, 600), st.integers(2, 10**6))
def test_leaks_fall_with_beta_and_rise_with_the_keys(beta, n):
    for leak in (copy_leak, average_leak):
        assert 0 <= leak(beta + 1, n) <= leak(beta, n) <= 1
        assert leak(beta, n) <= leak(beta, n + 1)
    assert average_leak(beta, n) <= copy_leak(beta, n)
    assert isinstance(copy_leak(beta, n), float)
    assert isinstance(average_leak(beta, n), float)


@pytest.mark.parametrize("delta", [0.5, 0.1, 1e-3, 1e-12])
def test_the_beta_of_the_chapter_gives_the_leak(delta):
    n = 37
    assert math.isclose(copy_leak(math.log((n - 1) * (1 - delta) / delta), n), delta, rel_tol=1e-13)
    beta = math.log((n - 2) * (1 - delta) / (2 * delta))
    assert math.isclose(average_leak(beta, n), delta, rel_tol=1e-13)


def test_two_keys_have_nothing_to_leak_to():
    assert [average_leak(beta, 2) for beta in (-1e3, 0, 1, 1e3)] == [0.0] * 4


@dtypes
def test_averaging_query_entry_by_entry(dtype):
    k_a, k_b = torch.randn(2, 3, 4, dtype=dtype).unbind(0)
    q = averaging_query(k_a, k_b, 2.5)
    for x, y, z in zip(k_a.flatten(), k_b.flatten(), q.flatten(), strict=True):
        assert abs(z.item() - 2.5 * (x.item() + y.item())) <= 8 * eps(dtype) * (
            abs(x.item()) + abs(y.item())
        )


@pytest.mark.usefixtures("no_shape_checks")
class TestBadNumbers:
    @pytest.mark.parametrize("beta", [nan, inf, True, "3"])
    def test_beta(self, beta):
        refused("beta", [repr(beta)], lambda: copy_leak(beta, 3))
        refused("beta", [repr(beta)], lambda: average_leak(beta, 3))

    @pytest.mark.parametrize("n", [1, 2.0, None, 2**53 + 1])
    def test_n(self, n):
        refused("n", [repr(n)], lambda: copy_leak(1, n))
        refused("n", [repr(n)], lambda: average_leak(1, n))

    def test_a_query_that_overflows(self):
        with pytest.raises(ValueError, match=r"^beta \* \(k_a \+ k_b\) holds"):
            averaging_query(column, column, 3e38)
        assert averaging_query(column.double(), column.double(), 3e38).isfinite().all()


# -- random keys ---------------------------------------------------------------------------

N = 200_000
MEANS = torch.tensor([[1.0, 0.0, 0.5], [0.0, 2.0, 0.0]])


def draws(dtype, alpha, heavy, seed=0):
    gen = torch.Generator().manual_seed(seed)
    return sample_keys(MEANS.to(dtype).expand(N, 2, 3), alpha, heavy, gen)


@dtypes
@pytest.mark.parametrize("heavy", [None, 0, 1])
@pytest.mark.parametrize("alpha", [0.04, 1])
def test_means_and_covariances_of_the_draws(alpha, heavy, dtype):
    """Of all six coordinates together, so that independence is tested too."""
    keys = draws(dtype, alpha, heavy)
    assert keys.dtype == dtype
    assert keys.shape == (N, 2, 3)
    off = (keys - MEANS).double().reshape(N, 6)
    covariance = alpha * torch.eye(6, dtype=torch.float64)
    if heavy is not None:
        mu = torch.zeros(2, 3, dtype=torch.float64)
        mu[heavy] = MEANS[heavy].double()
        covariance += torch.outer(mu.flatten(), mu.flatten()) / 2
    deviation = covariance.diagonal().sqrt()
    # 5 standard errors of 6 + 36 entries; of normal x, y: Var(xy) = Var x Var y + Cov².
    assert (off.mean(0).abs() <= 5 * deviation / N**0.5).all()
    spread = (torch.outer(deviation, deviation).square() + covariance.square()).sqrt()
    assert ((off.T @ off / N - covariance).abs() <= 5 * spread / N**0.5).all()
    # Fourth moments of a normal law: 3σ⁴, with variance 96σ⁸.
    fourth = (off / deviation).pow(4).mean(0)
    assert ((fourth - 3).abs() <= 5 * (96 / N) ** 0.5).all()


@dtypes
def test_without_variance_only_the_heavy_key_moves_along_its_mean(dtype):
    assert torch.equal(draws(dtype, 0, None), MEANS.to(dtype).expand(N, 2, 3))
    keys = draws(dtype, 0, 1)
    assert torch.equal(keys[:, 0], MEANS[0].to(dtype).expand(N, 3))
    assert (keys[:, 1, [0, 2]] == 0).all()
    gamma = keys[:, 1, 1].double() / 2
    assert abs(gamma.mean().item() - 1) <= 5 * 0.5**0.5 / N**0.5
    assert abs(gamma.var().item() - 0.5) <= 5 * 0.5 * (2 / N) ** 0.5
    below = (gamma < 0).double().mean().item()
    assert abs(below - 0.5 * math.erfc(1)) <= 5 * (0.0786 * 0.9214 / N) ** 0.5  # Φ(−√2)


def test_the_generator_decides():
    same = [sample_keys(MEANS, 1, 0, torch.Generator().manual_seed(s)) for s in (3, 3, 4)]
    assert torch.equal(same[0], same[1])
    assert not torch.equal(same[0], same[2])
    torch.manual_seed(5)
    once = sample_keys(MEANS, 1, 0)
    torch.manual_seed(5)
    assert torch.equal(once, sample_keys(MEANS, 1, 0))
    state = torch.get_rng_state()
    sample_keys(MEANS, 1, 0, torch.Generator().manual_seed(3))
    assert torch.equal(state, torch.get_rng_state()), "the global source is left alone"


def test_gradients_with_respect_to_the_means():
    """∂key/∂mean is 1, and γ for the heavy key."""
    means = MEANS.double().requires_grad_()
    keys = sample_keys(means, 0.3, 1, torch.Generator().manual_seed(0))
    (g,) = torch.autograd.grad(keys.sum(), means)
    still = sample_keys(means.detach(), 0, 1, torch.Generator().manual_seed(0))
    gamma = (still[1, 1] / means[1, 1]).item()
    assert gamma != 1
    expected = torch.tensor([[1.0] * 3, [gamma] * 3], dtype=torch.float64)
    close(g, expected, atol=4 * 2**-52, rtol=0)


def test_keys_that_overflow():
    refused("means with alpha", ["inf"], lambda: sample_keys(MEANS.expand(99, 2, 3), 1e78))
    assert sample_keys(MEANS.double().expand(99, 2, 3), 1e78).isfinite().all()
