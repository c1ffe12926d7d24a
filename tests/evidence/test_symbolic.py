"""attnlib/evidence/symbolic.py: a proof, a point where two expressions differ, or no answer."""

import pytest
import sympy

from attnlib.evidence import ClaimError
from attnlib.evidence.symbolic import nonzero_at

S = sympy.Symbol
x, y = sympy.symbols("x y")
i, j = sympy.symbols("i j", integer=True)
p, q = sympy.symbols("p q", positive=True)
real, negative, even = S("r", real=True), S("m", negative=True), S("n", even=True)
nonpositive = S("t", nonpositive=True)
f, g = sympy.Function("f"), sympy.Function("g")
one = sympy.Integer(1)
delta = sympy.KroneckerDelta
softmax2 = sympy.Matrix([sympy.exp(x), sympy.exp(y)]) / (sympy.exp(x) + sympy.exp(y))
by_hand = sympy.diag(*softmax2) - softmax2 * softmax2.T
# A zero that only simplification finds.
hidden_zero = sympy.sin(y) ** 2 + sympy.cos(y) ** 2 - 1
# value, derived form, wrong version
IDENTITIES = [
    pytest.param(*case, id=name)
    for name, *case in [
        ("constant", sympy.sqrt(5 + 2 * sympy.sqrt(6)), sympy.sqrt(2) + sympy.sqrt(3), one),
        ("sixteen-digits", sympy.sqrt(6), sympy.sqrt(2) * sympy.sqrt(3),
         sympy.Rational("2.449489742783178")),
        ("trigonometric", sympy.sin(x) ** 2, (1 - sympy.cos(2 * x)) / 2, sympy.sin(x)),
        ("off-by-1e-20", x + 1, 1 + x, x + 1 + sympy.Rational(1, 10**20)),
        ("extra-symbol", x, x + hidden_zero, x + y),
        ("positive-symbols", sympy.log(p * q), sympy.log(p) + sympy.log(q),
         sympy.log(p) * sympy.log(q)),
        ("negative-symbol", sympy.log(negative**2) / 2, sympy.log(-negative),
         sympy.log(negative)),
        ("even-symbol", even / 2 + hidden_zero, even / 2, sympy.floor((even + 3) / 2)),
        ("kronecker", (1 - 2 * delta(i, j)) ** 2, one, 1 - 2 * delta(i, j)),
        ("kronecker-off-the-diagonal", delta(i, j), delta(j, i), one),
        ("kronecker-on-the-diagonal", delta(i, j), delta(j, i), 2 * delta(i, j)),
        ("imaginary", sympy.exp(sympy.I * real), sympy.cos(real) + sympy.I * sympy.sin(real),
         sympy.cos(real)),
        ("jacobian", softmax2.jacobian([x, y]), by_hand, sympy.diag(*softmax2)),
        ("immutable-matrix", sympy.Matrix([[x, y]]), sympy.ImmutableMatrix([[x, y]]),
         sympy.Matrix([[y, x]])),
        ("last-entry", sympy.eye(2) * x, sympy.diag(x, x), sympy.diag(x, x + y)),
    ]
]  # fmt: skip


@pytest.mark.parametrize(("value", "derived", "wrong"), IDENTITIES)
def test_identity(value, derived, wrong, compare):
    record = compare("equals", value, derived, wrong=[wrong])
    assert record["kind"] == "identity"
    assert record["rejects"][0]["unit"] == "entries"
    with pytest.raises(ClaimError, match="the wrong version 'wrong 0' is accepted"):
        compare("equals", value, derived, wrong=[derived])
    with pytest.raises(ClaimError, match=r"claim fake: the case: .* differs from .* at {.*entry"):
        compare("equals", wrong, derived, wrong=[x + 7])


@pytest.mark.parametrize(
    ("value", "derived"),
    [
        pytest.param(sympy.sqrt(real**2), real, id="only-where-positive"),
        pytest.param(sympy.sqrt(x**2), x, id="no-assumption"),
        pytest.param(sympy.log(x * y), sympy.log(x) + sympy.log(y), id="branch-of-the-logarithm"),
        pytest.param(sympy.sin(sympy.pi * x), 0 * one, id="only-at-integers"),
        pytest.param(
            sympy.Matrix([[0, x], [y, 0]]), sympy.Matrix([[0, y], [x, 0]]), id="transpose"
        ),
    ],
)
def test_identity_that_needs_more(value, derived, compare):
    with pytest.raises(ClaimError, match="differs from"):
        compare("equals", value, derived, wrong=[x + 7])
    compare("equals", derived, derived, wrong=[value])


# Neither a proof nor a counterexample: never accepted, never rejected.
UNDECIDED = [
    pytest.param(*case, id=name)
    for name, *case in [
        ("abstract-function", f(x), g(x)),
        ("abstract-derivative", f(x).diff(x), g(x)),
        ("abstract-sum", sympy.Sum(sympy.IndexedBase("a")[i], (i, 1, j)), 0 * one),
        ("beyond-the-sample", sympy.Max(1, real), one),
        ("complex-only", sympy.conjugate(x), x),
        ("noncommuting", S("A", commutative=False) * S("B", commutative=False),
         S("B", commutative=False) * S("A", commutative=False)),
    ]
]  # fmt: skip


@pytest.mark.parametrize(("value", "derived"), UNDECIDED)
def test_undecided_identity(value, derived, compare):
    with pytest.raises(ClaimError, match="cannot decide"):
        compare("equals", value, derived, wrong=[x + 7])
    with pytest.raises(ClaimError, match=r"refused, not rejected.*cannot decide"):
        compare("equals", derived, derived, wrong=[value])


def test_rounding_errors_are_no_counterexample(compare):
    # More than a hundred digits cancel.
    same = x + hidden_zero * sympy.exp(300 * (x + 2))
    with pytest.raises(ClaimError, match=r"accepted|refused"):
        compare("equals", x, x, wrong=[same])


@pytest.mark.slow
def test_quadrature_errors_are_no_counterexample():
    # 5/18, but numerically the integral over a kink is good to eight digits only. (Not by
    # ``equals``: SymPy needs seconds to simplify it.)
    integral = sympy.Integral(sympy.Abs(p - sympy.Rational(1, 3)), (p, 0, 1))
    assert nonzero_at(integral - sympy.Rational(5, 18)) is None


def test_a_counterexample_keeps_the_assumptions(compare):
    """|t| = √(t² + 0) = −t for t ≤ 0: rejecting it at a t > 0 would be no evidence."""
    same = sympy.sqrt(nonpositive**2 + hidden_zero)
    with pytest.raises(ClaimError, match=r"accepted|refused"):
        compare("equals", sympy.Abs(nonpositive), -nonpositive, wrong=[same])


def test_two_symbols_of_one_name_are_a_slip(compare):
    with pytest.raises(ClaimError, match="assumptions"):
        compare("equals", x, x, wrong=[S("x", positive=True)])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        pytest.param(sympy.oo, "holds oo", id="oo"),
        pytest.param(x - sympy.oo, "holds .*oo", id="minus-oo"),
        pytest.param(sympy.zoo, "holds zoo", id="zoo"),
        pytest.param(sympy.nan, "holds nan", id="nan"),
        pytest.param(1, "must be a SymPy expression", id="python-integer"),
        pytest.param("x", "must be a SymPy expression", id="string"),
        pytest.param(sympy.Eq(x, y), "must be a SymPy expression", id="equation"),
        pytest.param([x, y], "must be a SymPy expression", id="list"),
        pytest.param(sympy.Matrix([[x]]), r"shape \(1, 1\) against \(\)", id="1x1-matrix"),
        pytest.param(sympy.Matrix(0, 0, []), "is empty", id="0x0-matrix"),
        pytest.param(sympy.MatrixSymbol("A", 2, 2), "explicit", id="matrix-symbol"),
    ],
)
def test_malformed_expression(bad, message, compare):
    with pytest.raises(ClaimError, match=message):
        compare("equals", bad, x, wrong=[x + 7])
    with pytest.raises(ClaimError, match=f"refused, not rejected.*{message}"):
        compare("equals", x, x, wrong=[bad])
    if "shape" not in message:
        with pytest.raises(ClaimError, match=message):
            compare("equals", x, bad, wrong=[x + 7])


def test_matrices_of_different_shape(compare):
    row = sympy.Matrix([[x, x]])
    with pytest.raises(ClaimError, match=r"shape \(2, 1\) against \(1, 2\)"):
        compare("equals", row.T, row, wrong=[x + 7])
