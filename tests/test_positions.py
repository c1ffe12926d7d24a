"""attnlib/positions.py against 50-digit arithmetic, complex exponentials and slow loops."""

import itertools
import math

import mpmath
import pytest
import torch
from helpers import DTYPES, close, dtypes, each_once, eps, refused
from hypothesis import given
from hypothesis import strategies as st

from attnlib.positions import _tables, frequencies, rotary, shift_rotation, sinusoids

inf, nan = math.inf, math.nan


BASES = [10000.0, 500000, 1.5, 2]


EPS = torch.finfo(torch.float64).eps


@pytest.fixture
def default_dtype():
    before = torch.get_default_dtype()
    yield torch.set_default_dtype
    torch.set_default_dtype(before)


@pytest.fixture
def double(default_dtype):
    default_dtype(torch.float64)


def relative(base):
    """Rounding of an angle p ω, relatively.

    The exponent −2i/d is off by half a spacing, which counts ln(base) times; power and product
    add two roundings and a half.
    """
    return (math.log(base) / 2 + 2.5) * EPS


def exact_angles(p, d, base):
    """Angles p ω_i to 50 digits."""
    with mpmath.workdps(50):
        return [mpmath.mpf(p) * mpmath.mpf(base) ** mpmath.mpf(-2 * i / mpmath.mpf(d))
                for i in range(d // 2)]  # fmt: skip


def exact_code(p, d, base=10000.0):
    with mpmath.workdps(50):
        return [float(f(a)) for a in exact_angles(p, d, base) for f in (mpmath.sin, mpmath.cos)]


# -- 50 digits -----------------------------------------------------------------------------


@each_once("d, base", [2, 4, 6, 10, 64], BASES)
def test_frequencies(d, base):
    omega = frequencies(d, base)
    assert omega.shape == (d // 2,)
    assert omega.dtype == torch.float64
    assert omega[0] == 1
    assert (omega.diff() < 0).all()
    exact = torch.tensor([float(a) for a in exact_angles(1, d, base)], dtype=torch.float64)
    close(omega, exact, atol=0, rtol=relative(base))


@each_once("n, d, base, dtype", [1, 7, 5, 33], [2, 4, 10, 6], BASES, DTYPES)
def test_codes(n, d, base, dtype, default_dtype):
    default_dtype(dtype)
    table = sinusoids(n, d, base)
    assert table.shape == (n, d)
    assert table.dtype == dtype
    exact = [exact_code(p, d, base) for p in range(n)]
    small = n * relative(base) + eps(dtype)
    close(table.double(), torch.tensor(exact, dtype=torch.float64), atol=small, rtol=0)


@dtypes
def test_far_positions_keep_their_digits(dtype, default_dtype):
    """Angles in float32 would be off by 0.02 at a position of a million."""
    default_dtype(dtype)
    p, d = 10**6, 12
    exact = torch.tensor(exact_code(p, d), dtype=torch.float64)
    small = p * relative(1e4) + eps(dtype)
    assert small < 2e-7
    start = torch.tensor([0.0, 1.0]).repeat(d // 2)
    close((shift_rotation(p, d) @ start).double(), exact, atol=small, rtol=0)
    swapped = start.view(-1, 2).flip(-1).flatten()
    for kind in (torch.int64, torch.float32, torch.float64, torch.int32):
        turned = rotary(swapped[None], torch.tensor([p], dtype=kind))
        assert turned.dtype == dtype
        pairs = turned[0].double().view(-1, 2).flip(-1).flatten()
        close(pairs, exact, atol=small, rtol=0)
    close(sinusoids(p + 1, 2)[p].double(), exact[:2], atol=small, rtol=0)


@each_once("k, d, base", [0, 1, -1, 5, -300, 10**6, -(2**40), 2**53], [2, 6, 8], BASES)
def test_rotation_is_block_diagonal(k, d, base, double):
    R = shift_rotation(k, d, base)
    assert R.shape == (d, d)
    expected = torch.zeros(d, d)
    with mpmath.workdps(50):
        for i, a in enumerate(exact_angles(k, d, base)):
            c, s = float(mpmath.cos(a)), float(mpmath.sin(a))
            expected[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = torch.tensor([[c, s], [-s, c]])
    if abs(k) < 2**40:  # beyond, the angles of float64 have no digits left
        close(R, expected, atol=abs(k) * relative(base) + EPS, rtol=0)
    assert (R[expected == 0] == 0).all()
    close(R @ R.T, torch.eye(d), atol=4 * EPS, rtol=0)
    close(torch.linalg.det(R).item(), 1.0, atol=4 * d * EPS, rtol=0)


@dtypes
def test_dtype_of_the_rotation_is_the_default(dtype, default_dtype):
    default_dtype(dtype)
    assert shift_rotation(3, 4).dtype == dtype


# -- theorems ------------------------------------------------------------------------------

halves = st.integers(1, 6)
shifts = st.integers(-500, 500)
base_values = st.floats(1.001, 1e6) | st.sampled_from([10000, 2])


@given(st.integers(0, 200), shifts, halves, base_values)
def test_a_shift_rotates(p, k, half, base):
    k = max(k, -p)
    table = sinusoids(p + max(k, 0) + 1, 2 * half, base).double()
    moved = shift_rotation(k, 2 * half, base).double() @ table[p]
    # Default dtype float32 here: three roundings of numbers up to 1.
    close(moved, table[p + k], atol=3 * 2**-23, rtol=0)


@given(shifts, shifts, halves, base_values)
def test_shifts_add_up(j, k, half, base):
    d = 2 * half
    product = shift_rotation(j, d, base) @ shift_rotation(k, d, base)
    close(product, shift_rotation(j + k, d, base), atol=4 * 2**-23, rtol=0)
    close(shift_rotation(-k, d, base), shift_rotation(k, d, base).T, atol=0, rtol=0)


def test_dot_products_depend_on_the_offset_alone(double):
    n, d = 23, 10
    PE = sinusoids(n, d)
    small = (n * relative(1e4) + EPS) * d
    for p in range(n):
        for q in range(n):
            expected = sum(math.cos((p - q) * 10000 ** (-2 * i / d)) for i in range(d // 2))
            assert abs((PE[p] @ PE[q]).item() - expected) <= small
    close(PE.norm(dim=-1), torch.full((n,), math.sqrt(d / 2)), atol=4 * EPS * d, rtol=0)


@pytest.mark.parametrize("d", [2, 6])
def test_no_positions_give_no_rows(d):
    assert sinusoids(0, d).shape == (0, d)


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_windows_are_kept_by_the_identity_and_the_reversal_alone(n):
    """As the chapter proves of masks that allow a distance of at most 1."""
    M = torch.ones(n, n).tril(1).triu(-1)
    kept = [order for order in itertools.permutations(range(n))
            if (M[list(order)][:, list(order)] == M).all()]  # fmt: skip
    assert kept == [tuple(range(n)), tuple(range(n))[::-1]]


# -- rotary --------------------------------------------------------------------------------


def by_complex_numbers(x, positions, base):
    """Multiply x₂ᵢ + j x₂ᵢ₊₁ by exp(j p ω_i), in complex128."""
    d = x.shape[-1]
    omega = torch.tensor([float(a) for a in exact_angles(1, d, base)], dtype=torch.float64)
    turn = torch.exp(1j * positions.double()[:, None] * omega)
    z = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(z * turn).flatten(-2)


@each_once("n, d, base, dtype", [1, 5, 3, 0], [2, 4, 10, 6], BASES, DTYPES)
def test_rotary_against_complex_numbers(n, d, base, dtype):
    x = torch.randn(2, n, d, dtype=dtype)
    positions = torch.randint(-50, 50, (n,))
    turned = rotary(x, positions, base)
    assert turned.shape == x.shape
    assert turned.dtype == dtype
    # cos, sin, two products and a sum of numbers below |x| ≤ 6, and the angles.
    small = 6 * (4 * eps(dtype) + 100 * relative(base))
    close(turned.double(), by_complex_numbers(x, positions, base), atol=small, rtol=0)


@pytest.mark.parametrize(
    "kind", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, *DTYPES], ids=str
)
def test_positions_of_any_kind(kind):
    x = torch.randn(4, 6)
    positions = torch.tensor([0, 3, 100, 7])
    close(rotary(x, positions.to(kind)), rotary(x, positions), atol=0, rtol=0)


def test_positions_that_float32_does_not_hold():
    x, odd = torch.ones(1, 4), torch.tensor([2**24 + 1])
    small = 4 * eps(torch.float32) + odd.item() * relative(1e4)
    close(rotary(x, odd).double(), by_complex_numbers(x, odd, 1e4), atol=small, rtol=0)


def test_fractional_and_negative_positions():
    x = torch.randn(3, 4, dtype=torch.float64)
    positions = torch.tensor([0.5, -2.25, 1e5], dtype=torch.float64)
    small = 6 * (4 * EPS + 1e5 * relative(1e4))
    close(rotary(x, positions), by_complex_numbers(x, positions, 1e4), atol=small, rtol=0)


@given(st.integers(0, 2**32), halves, shifts, shifts, shifts, base_values)
def test_scores_depend_on_the_offset_alone(seed, half, p, s, t, base):
    d = 2 * half
    gen = torch.Generator().manual_seed(seed)
    q, k = torch.randn(2, 1, d, generator=gen, dtype=torch.float64)

    def score(p, s):
        return (rotary(q, torch.tensor([p]), base) * rotary(k, torch.tensor([s]), base)).sum()

    small = (8 * d * EPS + 2000 * relative(base)) * (q.norm() * k.norm()).item()
    close(score(p + t, s + t), score(p, s), atol=small, rtol=0)
    moved = q @ shift_rotation(p - s, d, base).double() @ k.T
    close(score(p, s), moved.squeeze(), atol=small + 2**-22 * (q.norm() * k.norm()).item(), rtol=0)


def test_a_row_is_multiplied_by_the_shift_of_its_position(double):
    x = torch.randn(2, 5, 6)
    positions = torch.tensor([3, 0, -4, 1000, 7])
    rows = [x[:, j] @ shift_rotation(int(p), 6) for j, p in enumerate(positions)]
    close(rotary(x, positions), torch.stack(rows, 1), atol=1e3 * relative(1e4), rtol=0)


@dtypes
def test_norms_are_kept_and_position_0_changes_nothing(dtype):
    x = torch.randn(3, 7, 8, dtype=dtype)
    turned = rotary(x, torch.arange(7))
    close(turned.norm(dim=-1), x.norm(dim=-1), atol=0, rtol=16 * eps(dtype))
    assert torch.equal(turned[:, 0], x[:, 0])
    assert not torch.equal(turned[:, 1:], x[:, 1:])


def test_the_gradient_is_turned_back(double):
    x = torch.randn(5, 6, requires_grad=True)
    positions, g = torch.arange(5), torch.randn(5, 6)
    (dx,) = torch.autograd.grad(rotary(x, positions), x, grad_outputs=g)
    close(dx, rotary(g, -positions), atol=16 * EPS, rtol=0)
    assert torch.autograd.gradcheck(lambda x: rotary(x, positions), x)
    angles = torch.rand(5, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: rotary(x.detach(), a), angles)


# -- positions of each example, rotations in part, tables that are kept ----------------------


@dtypes
def test_positions_of_each_example(dtype):
    x = torch.randn(3, 2, 5, 6, dtype=dtype)
    positions = torch.randint(-50, 50, (3, 1, 5))
    y = rotary(x, positions)
    for i in range(3):
        close(y[i], rotary(x[i], positions[i, 0]), atol=8 * eps(x.dtype), rtol=0)
    every = torch.randint(0, 9, (3, 2, 5)).double()
    for i in range(3):
        for j in range(2):
            close(
                rotary(x, every)[i, j], rotary(x[i, j], every[i, j]), atol=8 * eps(x.dtype), rtol=0
            )
    per_head = every[:1].requires_grad_()  # learnt, one for each head
    close(rotary(x, per_head)[2, 1], rotary(x[2, 1], every[0, 1]), atol=4 * eps(dtype), rtol=1e-6)


@dtypes
@pytest.mark.parametrize(("d", "turned"), [(6, 4), (7, 6), (5, 2), (6, 6)])
def test_the_coordinates_beyond_those_turned_stay(d, turned, dtype):
    x, positions = torch.randn(2, 4, d, dtype=dtype), torch.tensor([0, 3, 1, 70])
    y = rotary(x, positions, turned=turned)
    assert torch.equal(y[..., turned:], x[..., turned:])
    alone = rotary(x[..., :turned].contiguous(), positions)
    close(y[..., :turned], alone, atol=8 * eps(x.dtype), rtol=0)
    assert not torch.equal(y, x)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("shape", [(3, 5), (2, 5), (3, 2, 1), (3, 2, 4), (2, 2, 5), (1, 3, 2, 5)])
def test_positions_that_fit_no_rows(shape):
    """Not even [batch, n], which could be [heads, n]."""
    words = [str(shape), "(5,)", "(3, 2, 5)"]
    refused("positions", words, lambda: rotary(torch.ones(3, 2, 5, 6), torch.ones(shape)))


@pytest.mark.parametrize("turned", [1, 3])
def test_an_odd_part_is_refused(turned):
    refused("turned", [str(turned)], lambda: rotary(
        torch.ones(2, 5), torch.arange(2), turned=turned))  # fmt: skip


@pytest.mark.parametrize("layout", ["heads", "odd-offset", "apart", "transposed"])
def test_entries_anywhere_in_memory(layout):
    """A pair is one complex number only where it begins at an even place."""
    x = {
        "heads": lambda: torch.randn(2, 5, 3, 6).transpose(1, 2),
        "odd-offset": lambda: torch.randn(61)[1:].view(2, 5, 6),
        "apart": lambda: torch.randn(2, 5, 7)[..., 1:],
        "transposed": lambda: torch.randn(2, 6, 5).mT,
    }[layout]()
    apart = x.clone(memory_format=torch.contiguous_format)
    close(rotary(x, torch.arange(5)), rotary(apart, torch.arange(5)), atol=8 * eps(x.dtype), rtol=0)


def test_tables_that_are_kept():
    """Changed positions, other bases and dtypes, and inference mode do not meet the wrong one."""
    x, positions = torch.randn(4, 6, requires_grad=True), torch.arange(4)
    with torch.inference_mode():
        first = rotary(x, positions.clone())
    y = rotary(x, positions)
    assert torch.equal(y, first)
    y.sum().backward()  # a table of inference mode could not be saved for it
    positions[1] = 7
    assert not torch.equal(rotary(x, positions), y)
    assert torch.equal(rotary(x, torch.arange(4)), y)
    assert not torch.equal(rotary(x, torch.arange(4), base=5), y)
    close(rotary(x.double(), torch.arange(4)).float(), y)
    for n in range(1, 12):  # more than are kept
        rotary(torch.ones(n, 2), torch.arange(n))
    assert len(_tables) <= 8
    with pytest.raises(ValueError, match=r"^positions holds a value beyond"):
        rotary(x, positions * 2**53)


# -- bad input -----------------------------------------------------------------------------


@pytest.mark.usefixtures("no_shape_checks")
class TestBadInput:
    @pytest.mark.parametrize("n", [-1, 2.0, True, None, 2**53 + 2])
    def test_n(self, n):
        refused("n", [repr(n)], lambda: sinusoids(n, 4))

    @pytest.mark.parametrize("k", [1.0, "1", 2**53 + 2, -(2**53) - 2])
    def test_k(self, k):
        refused("k", [repr(k)], lambda: shift_rotation(k, 4))

    @pytest.mark.parametrize(
        "f",
        [frequencies, lambda d: sinusoids(3, d), lambda d: shift_rotation(3, d)],
        ids=["frequencies", "sinusoids", "shift_rotation"],
    )
    @pytest.mark.parametrize("d", [2.0, True, 0, 1, -2, 3, 511])
    def test_d(self, f, d):
        refused("d", [repr(d)], lambda: f(d))

    def test_odd_d_is_refused_with_its_reason(self):
        refused("d", ["even", "sine and a cosine", "7"], lambda: sinusoids(3, 7))

    @pytest.mark.parametrize(
        "f",
        [
            lambda base: frequencies(4, base),
            lambda base: sinusoids(3, 4, base),
            lambda base: shift_rotation(3, 4, base),
        ],
        ids=["frequencies", "sinusoids", "shift_rotation"],
    )
    @pytest.mark.parametrize("base", [1, 0.5, -2.0, nan, inf, True, "2"])
    def test_base(self, f, base):
        refused("base", ["above 1", repr(base)], lambda: f(base))

    @pytest.mark.parametrize("shape", [(3, 5), (2, 3, 1)], ids=str)
    def test_an_odd_row(self, shape):
        refused("x", ["even", str(shape)], lambda: rotary(torch.ones(shape), torch.arange(3)))

    @pytest.mark.parametrize("p", [2**53 + 2, -(2**53) - 2, -(2**63)])
    def test_integer_positions_beyond_float64(self, p):
        refused("positions", ["beyond", "(1,)"], lambda: rotary(
            torch.ones(2, 4), torch.tensor([0, p])))  # fmt: skip
