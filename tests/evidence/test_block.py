"""The checker of claims, attacked: everything else in this book rests on it."""

# ruff: noqa: PT012 (a claim block that fails has several statements)

import json
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import mpmath
import nbformat
import numpy as np
import pytest
import sympy
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from nbclient import NotebookClient
from scipy import stats

from attnlib.evidence import block as checks
from attnlib.evidence import ledger as claims
from attnlib.evidence.block import ClaimError, claim, one_digit, quote
from attnlib.evidence.symbolic import nonzero_at

nan, inf = float("nan"), float("inf")
ENTRY = {
    "id": "fake", "chapter": "none", "note": "000", "verdict": "holds",
    "says": "one is two", "statement": "one is one",
}  # fmt: skip
REAL_CLAIMS = claims.load_claims


@pytest.fixture(autouse=True)
def fake_claims(monkeypatch):
    monkeypatch.setattr(checks, "load_claims", lambda: {"fake": ENTRY})


def compare(method, *args, wrong=(), **kwargs):
    """One block with one comparison and the wrong versions it must reject."""
    with claim("fake") as c:
        getattr(c, method)("the case", *args, **kwargs)
        for i, version in enumerate(wrong):
            c.rejects(f"wrong {i}", version)
    return c.record()


# -- each kind of comparison: right, wrong, malformed --------------------------------------

t64 = torch.float64
x, y = sympy.symbols("x y")
# method, value, reference, keywords, wrong version
SOUND = [
    pytest.param(m, v, r, k, w, id=f"{m}:{name}")
    for m, name, v, r, k, w in [
        ("agrees", "scalar-float", 1.0, 1.0, {}, 1.5),
        ("agrees", "scalar-integer", 3, 3, {}, 4),
        ("agrees", "scalar-boolean", True, True, {}, False),
        ("agrees", "scalar-tensor", torch.tensor(3), 3, {}, torch.tensor(4)),
        ("agrees", "integer-against-float", [1, 2], [1.0, 2.0], {}, [1, 3]),
        ("agrees", "booleans", [True, False], np.array([True, False]), {}, [True, True]),
        ("agrees", "int8-does-not-wrap", np.int8([100]), np.int8([100]), {}, np.int8([-100])),
        ("agrees", "uint8-does-not-wrap", np.uint8([0]), np.uint8([0]), {}, np.uint8([1])),
        ("agrees", "beyond-2^53", [2**53 + 1, 7], [2**53 + 1, 7], {}, [2**53, 7]),
        ("agrees", "int64-extremes", [2**63 - 1], [2**63 - 1], {}, [-(2**63)]),
        ("agrees", "uint64", np.uint64([2**64 - 1]), np.uint64([2**64 - 1]), {}, [2**63 - 1]),
        ("agrees", "float16", torch.tensor([0.1], dtype=torch.float16),
         [float(np.float16(0.1))], {}, [0.1]),
        ("agrees", "bfloat16", torch.tensor([0.1], dtype=torch.bfloat16),
         [0.10009765625], {}, [0.1]),
        ("agrees", "float32", torch.tensor([0.1]), [float(np.float32(0.1))], {}, [0.1]),
        ("agrees", "requires_grad", torch.tensor([1.0], requires_grad=True), [1.0], {},
         torch.tensor([2.0], requires_grad=True)),
        ("agrees", "nested-list", [[1.0, 2.0], [3.0, 4.0]], torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
         {}, [[1.0, 3.0], [2.0, 4.0]]),
        ("agrees", "(1,)", [1.0], [1.0], {}, [2.0]),
        ("agrees", "one-bad-of-many", np.zeros(999), np.zeros(999), {}, np.eye(1, 999, 998)[0]),
        ("agrees", "below-by-atol", [0.5], [1.0], {"atol": 0.5}, [0.4375]),
        ("agrees", "above-by-atol", [1.5], [1.0], {"atol": 0.5}, [1.5625]),
        ("agrees", "above-by-rtol", [-3.0], [-2.0], {"rtol": 0.5}, [-3.0625]),
        ("agrees", "atol-plus-rtol", [3.5], [2.0], {"atol": 0.5, "rtol": 0.5}, [3.5625]),
        ("agrees", "rtol-of-the-reference", [2.0], [4.0], {"rtol": 0.5}, [1.9375]),
        ("agrees", "integers-with-tolerance", [10, 20], [11, 20], {"atol": 1.0}, [10, 22]),
        ("at_most", "below", [1.0, 2.0], [1.0, 3.0], {}, [1.0, 3.5]),
        ("at_most", "integers", 3, 3, {}, 4),
        ("at_most", "slack", [1.5], [1.0], {"atol": 0.5}, [1.5625]),
        ("at_most", "slack-of-a-negative-bound", [-1.0], [-2.0], {"rtol": 0.5}, [-0.9375]),
        ("at_least", "above", [1.0, 3.0], [1.0, 2.0], {}, [0.5, 3.0]),
        ("at_least", "integers", 4, 3, {}, 2),
        ("at_least", "slack", [0.5], [1.0], {"atol": 0.5}, [0.4375]),
        ("at_least", "slack-of-a-negative-bound", [-3.0], [-2.0], {"rtol": 0.5}, [-3.0625]),
        ("signs", "all-three", [-2.0, 0.0, 5.0], [-1, 0, 1], {}, [-2.0, 5.0, 5.0]),
        ("signs", "integers", [-2, 0, 5], [-1.0, 0.0, 1.0], {}, [2, 0, 5]),
        ("signs", "scalar-integer", -7, -1, {}, 7),
        ("signs", "zero-within-atol", [-0.5, 2.0], [0, 1], {"atol": 0.5}, [-0.5625, 2.0]),
        ("signs", "no-sign-within-atol", [2.0], [1], {"atol": 0.5}, [0.5]),
        ("zeros", "nowhere-else", [0.0, 3.0], [True, False], {}, [0.0, 0.0]),
        ("zeros", "everywhere-there", [0.0, 3.0], [True, False], {}, [1.0, 3.0]),
        ("zeros", "integers", [0, 3], [True, False], {}, [0, 0]),
        ("zeros", "scalar-integer", 0, True, {}, 1),
        ("zeros", "negative-zero", [-0.0, 3.0], [True, False], {}, [-3.0, 3.0]),
        ("zeros", "within-atol", [-0.5, 3.0], [True, False], {"atol": 0.5}, [-0.5625, 3.0]),
        ("estimates", "scalar", 0.0, [-1.0, 0.0, 1.0], {"confidence": 0.9}, 2.0),
        ("estimates", "vector", [0.0, 1.0], [[-1.0, 0.0], [0.0, 1.0], [1.0, 2.0]],
         {"confidence": 0.9}, [0.0, 6.0]),
        ("estimates", "float32-averaged-in-float64", 2e38, np.float32([1e38, 2e38, 3e38]),
         {"confidence": 0.5}, 1e38),  # a sum in float32 would overflow
        ("identical", "polynomial", (x + y) ** 2, x**2 + 2 * x * y + y**2, {}, x**2 + y**2),
    ]
]  # fmt: skip


def reason(keywords):
    return {"why": "by hand"} if {"atol", "rtol"} & set(keywords) else {}


@pytest.mark.parametrize(("method", "value", "reference", "keywords", "wrong"), SOUND)
class TestSoundComparisons:
    """The wrong versions of the table sit just outside, the right ones often on the border."""

    def test_right_is_accepted_and_wrong_rejected(self, method, value, reference, keywords, wrong):
        record = compare(method, value, reference, wrong=[wrong], **keywords, **reason(keywords))
        (comparison,) = record["comparisons"]
        assert comparison["rejects"] == ["wrong 0"]

    def test_a_wrong_version_that_is_right(self, method, value, reference, keywords, wrong):
        with pytest.raises(ClaimError, match="the wrong version 'wrong 1' is accepted"):
            compare(method, value, reference, wrong=[wrong, value], **keywords, **reason(keywords))

    def test_a_right_version_that_is_wrong(self, method, value, reference, keywords, wrong):
        with pytest.raises(ClaimError, match=r"claim fake: the case: .* \["):
            compare(method, wrong, reference, **keywords, **reason(keywords))


# What may stand on neither side.
MALFORMED = [
    pytest.param(bad, message, id=name)
    for name, bad, message in [
        ("nan", [1.0, nan], r"holds nan at \(1,\)"),
        ("inf", [inf, 1.0], r"holds inf at \(0,\)"),
        ("minus-inf", [1.0, -inf], "holds -inf"),
        ("nan-tensor", torch.tensor([1.0, nan]), "holds nan"),
        ("float16-overflow", torch.tensor([1e5, 1.0], dtype=torch.float16), "holds inf"),
        ("empty", [], "is empty"),
        ("empty-rows", np.ones((2, 0)), "is empty"),
        ("complex", [1.0, 1.0 + 0j], "complex128"),
        ("complex-tensor", torch.ones(2, dtype=torch.complex64), "complex64"),
        ("strings", ["1", "2"], "real numbers"),
        ("none", None, "got object"),
        ("objects", np.array([1.0, 1.0], dtype=object), "got object"),
        ("mpmath", mpmath.mpf(1), "got object"),
        ("sympy", sympy.Rational(1, 2), "got object"),
        ("fractions", [Fraction(1), Fraction(2)], "got object"),
        ("beyond-64-bits", [2**70, 1], "got object"),
        ("long-double", np.ones(2, dtype=np.longdouble), "longdouble|float128"),
        ("ragged", [[1.0], [1.0, 2.0]], "is not an array"),
        ("dates", np.array(["2000-01-01"] * 2, dtype="datetime64[D]"), "datetime64"),
    ]
]


@pytest.mark.parametrize(("bad", "message"), MALFORMED)
@pytest.mark.parametrize("method", ["agrees", "at_most", "at_least", "signs", "estimates"])
class TestMalformed:
    def good(self, method):
        return [[1.0, 1.0], [2.0, 2.0]] if method == "estimates" else [1.0, 1.0]

    def test_as_the_value(self, method, bad, message):
        with pytest.raises(ClaimError, match=f"the value.*(?:{message})"):
            compare(method, bad, self.good(method))

    def test_as_the_reference(self, method, bad, message):
        with pytest.raises(ClaimError, match=f"the (reference|bound|pattern|draws).*(?:{message})"):
            compare(method, [1.0, 1.0], bad)

    def test_as_a_wrong_version(self, method, bad, message):
        refused = f"'wrong 0' is refused, not rejected.*(?:{message})"
        value = [1.5, 1.5] if method == "estimates" else [1.0, 1.0]
        with pytest.raises(ClaimError, match=refused):
            compare(method, value, self.good(method), wrong=[bad])


SHAPES = [
    pytest.param(a, b, id=f"{np.shape(a)}-against-{np.shape(b)}")
    for a, b in [
        (np.ones(3), np.ones((3, 1))),
        (np.ones((3, 1)), np.ones((1, 3))),
        (np.ones(3), np.ones((2, 3))),
        (np.ones(3), 1.0),
        (1.0, np.ones(3)),
        (np.ones(1), 1.0),
        (1.0, np.ones(1)),
        (np.ones(1), np.ones(3)),
        (np.ones((2, 3)), np.ones((3, 2))),
    ]
]


@pytest.mark.parametrize(("a", "b"), SHAPES)
@pytest.mark.parametrize("method", ["agrees", "at_most", "at_least", "signs", "zeros", "estimates"])
class TestNothingIsBroadcast:
    def yardstick(self, method, b):
        if method == "estimates":
            return np.stack([b, np.add(b, 1)])
        return np.zeros_like(b) == 0 if method == "zeros" else b

    def test_the_value(self, method, a, b):
        with pytest.raises(ClaimError, match="nothing is broadcast"):
            compare(method, a, self.yardstick(method, b))

    def test_the_wrong_version(self, method, a, b):
        right = np.zeros_like(b) if method == "zeros" else b
        # Halfway, so that a comparison that did broadcast would reject.
        with pytest.raises(ClaimError, match=r"refused, not rejected.*nothing is broadcast"):
            compare(method, right, self.yardstick(method, b), wrong=[np.multiply(a, 100.0)])


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        pytest.param([True], [1], id="boolean-against-integer"),
        pytest.param([1.0], [True], id="float-against-boolean"),
        pytest.param([1], [True], id="integer-against-boolean"),
    ],
)
def test_booleans_are_no_numbers(value, reference):
    with pytest.raises(ClaimError, match="booleans compare with booleans"):
        compare("agrees", value, reference)
    with pytest.raises(ClaimError, match=r"refused, not rejected.*booleans"):
        compare("agrees", reference, reference, wrong=[value])


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        pytest.param(2**53 + 1, 2.0**53, id="integer-that-is-no-float64"),
        pytest.param([2**63, 1], [2**63 + 1, 1], id="list-that-numpy-turns-to-float64"),
    ],
)
def test_integers_are_never_rounded(value, reference):
    with pytest.raises(ClaimError):
        compare("agrees", value, reference, wrong=[np.multiply(value, 2)])


def test_masked_arrays_are_refused():
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    with pytest.raises(ClaimError, match="mask"):
        compare("agrees", masked, [1.0, 2.0], wrong=[[2.0, 2.0]])


TOLERANCES = [
    pytest.param(m, t, id=f"{m}:{t}")
    for m in ("agrees", "at_most", "at_least", "signs", "zeros")
    for t in ("atol", "rtol")
    if t == "atol" or m not in ("signs", "zeros")
]


@pytest.mark.parametrize(("method", "name"), TOLERANCES)
class TestTolerance:
    def call(self, method, name, tolerance, why=""):
        value = {"zeros": [0.0], "signs": [5.0]}.get(method, [1.0])
        reference = [True] if method == "zeros" else [1.0]
        wrong = [9.0 if method == "at_most" else -9.0]
        return compare(method, value, reference, wrong=[wrong], **{name: tolerance}, why=why)

    @pytest.mark.parametrize("why", ["", " "], ids=["none", "blank"])
    def test_without_a_reason(self, method, name, why):
        with pytest.raises(ClaimError, match="needs a reason"):
            self.call(method, name, 1e-3, why)

    @pytest.mark.parametrize("tolerance", [-1e-3, nan, inf, -inf])
    def test_that_is_no_tolerance(self, method, name, tolerance):
        with pytest.raises(ClaimError, match=f"{name} must be finite"):
            self.call(method, name, tolerance, "taste")

    def test_zero_needs_no_reason(self, method, name):
        assert self.call(method, name, 0.0)["comparisons"][0]["tolerance"] == "exact"

    def test_whole_number(self, method, name):
        assert "1e0" in self.call(method, name, 1, "by hand")["comparisons"][0]["tolerance"]


def test_booleans_have_no_tolerance():
    with pytest.raises(ClaimError, match="booleans have no tolerance"):
        compare("agrees", [True], [True], atol=0.5, why="taste")


@pytest.mark.parametrize("pattern", [[2], [0.5], [True]], ids=str)
def test_signs_wants_a_pattern_of_signs(pattern):
    with pytest.raises(ClaimError, match="a pattern of signs"):
        compare("signs", [1.0], pattern)


@pytest.mark.parametrize("where", [[0, 1], [1.0, 0.0], [False, False]], ids=str)
def test_zeros_wants_a_mask_that_is_true_somewhere(where):
    with pytest.raises(ClaimError, match="where must be boolean and True"):
        compare("zeros", [0.0, 1.0], where)


def test_the_yardstick_cannot_be_moved_between_comparison_and_rejection():
    for make in (np.array, torch.tensor):
        for numbers in ([1, -1], [1.0, -1.0]):
            moving = make(numbers)
            with pytest.raises(ClaimError, match="accepted"), claim("fake") as c:
                c.agrees("the case", numbers, moving)
                moving[0] = 7
                c.rejects("the right version", numbers)


# -- statistics ----------------------------------------------------------------------------


def student(p, entries=1):
    """Quantile of Student's t with two degrees of freedom, in closed form."""
    p = 1 - (1 - p) / (2 * entries)
    return (2 * p - 1) / (2 * p * (1 - p)) ** 0.5


@pytest.mark.parametrize("entries", [1, 2, 5])
def test_half_width_by_hand(entries):
    # −1, 0, 1: mean 0, standard deviation 1 with Bessel's correction, standard error 1/√3.
    draws = np.array([-1.0, 0.0, 1.0])[:, None].repeat(entries, axis=1)
    half = student(0.95, entries) / 3**0.5
    inside, outside = np.zeros(entries), np.zeros(entries)
    inside[-1], outside[-1] = half * (1 - 1e-9), -half * (1 + 1e-9)
    record = compare("estimates", inside, draws, wrong=[outside], confidence=0.95)
    expected = f"{student(0.95, entries):.1f} standard errors ≤ {one_digit(half)}, N = 3"
    assert record["comparisons"][0]["tolerance"] == expected


def test_the_largest_half_width_is_printed():
    draws = np.array([-1.0, 0.0, 1.0])[:, None] * [1.0, 100.0]
    record = compare("estimates", np.zeros(2), draws, wrong=[[9.0, 0.0]], confidence=0.5)
    half = 100 * student(0.5, 2) / 3**0.5
    assert f"≤ {one_digit(half)}," in record["comparisons"][0]["tolerance"]


def rate_of_acceptance(value, mean, shape, confidence, trials=600):
    rng = np.random.default_rng(0)
    accepted = 0
    for _ in range(trials):
        with pytest.raises(ClaimError) as error:  # at the latest: nothing is rejected
            compare("estimates", value, rng.normal(mean, size=shape), confidence=confidence)
        accepted += "no wrong version" in str(error.value)
    return accepted / trials


def test_confidence_is_that_of_the_whole_comparison():
    # Three independent entries share 10 %, so all three hold with (1 − 0.1/3)³ = 0.903.
    rate = rate_of_acceptance(np.zeros(3), 0.0, (12, 3), 0.9)
    expected = (1 - 0.1 / 3) ** 3
    assert abs(rate - expected) < 4 * (expected * (1 - expected) / 600) ** 0.5


def test_power_is_that_of_the_t_test():
    n, shift, quantile = 12, 0.8, stats.t.ppf(0.95, 11)
    law = stats.nct(n - 1, shift * n**0.5)
    expected = law.cdf(quantile) - law.cdf(-quantile)
    rate = rate_of_acceptance(0.0, shift, n, 0.9)
    assert abs(rate - expected) < 4 * (expected * (1 - expected) / 600) ** 0.5


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        pytest.param([1.0], "at least two", id="one-draw"),
        pytest.param(1.0, "at least two", id="no-axis"),
        pytest.param([1, 2], "floats", id="integers"),
        pytest.param([True, False], "floats", id="booleans"),
        pytest.param([1.0, 1.0, 1.0], "do not vary", id="zero-spread"),
        pytest.param([[1.0, 1.0], [1.0, 2.0]], "do not vary", id="one-entry-without-spread"),
    ],
)
def test_draws_without_a_standard_error(draws, message):
    with pytest.raises(ClaimError, match=message):
        compare("estimates", 1.0 if np.ndim(draws) < 2 else [1.0, 1.5], draws)


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
def test_draws_whose_mean_overflows():
    with pytest.raises(ClaimError, match="overflow"):
        compare("estimates", 0.0, [1.5e308, 1.4e308, 1.6e308])


@pytest.mark.parametrize("confidence", [0.0, 0.49, 1.0, 1.5, nan])
def test_no_confidence(confidence):
    with pytest.raises(ClaimError, match="confidence must be in"):
        compare("estimates", 0.0, [-1.0, 1.0], confidence=confidence)


# -- symbolic identities -------------------------------------------------------------------

S = sympy.Symbol
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
        ("kronecker", (1 - 2 * delta(i, j)) ** 2, one, 1 - delta(i, i)),
        ("kronecker-off-the-diagonal", delta(i, j), delta(j, i), one),
        ("kronecker-on-the-diagonal", delta(i, j), delta(j, i), 0 * one),
        ("imaginary", sympy.exp(sympy.I * real), sympy.cos(real) + sympy.I * sympy.sin(real),
         sympy.cos(real)),
        ("jacobian", softmax2.jacobian([x, y]), by_hand, sympy.diag(*softmax2)),
        ("immutable-matrix", sympy.Matrix([[x, y]]), sympy.ImmutableMatrix([[x, y]]),
         sympy.Matrix([[y, x]])),
        ("last-entry", sympy.eye(2) * x, sympy.diag(x, x), sympy.diag(x, x + y)),
    ]
]  # fmt: skip


@pytest.mark.parametrize(("value", "derived", "wrong"), IDENTITIES)
def test_identity(value, derived, wrong):
    compare("identical", value, derived, wrong=[wrong])
    with pytest.raises(ClaimError, match="is accepted"):
        compare("identical", value, derived, wrong=[derived])
    with pytest.raises(ClaimError, match="differs from"):
        compare("identical", wrong, derived)


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
def test_identity_that_needs_more(value, derived):
    with pytest.raises(ClaimError, match="differs from"):
        compare("identical", value, derived)
    compare("identical", derived, derived, wrong=[value])


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
def test_undecided_identity(value, derived):
    with pytest.raises(ClaimError, match="cannot decide"):
        compare("identical", value, derived)
    with pytest.raises(ClaimError, match=r"refused, not rejected.*cannot decide"):
        compare("identical", derived, derived, wrong=[value])


def test_rounding_errors_are_no_counterexample():
    # More than a hundred digits cancel.
    same = x + hidden_zero * sympy.exp(300 * (x + 2))
    with pytest.raises(ClaimError, match=r"accepted|refused"):
        compare("identical", x, x, wrong=[same])


def test_quadrature_errors_are_no_counterexample():
    # 5/18, but numerically the integral over a kink is good to eight digits only. (Not by
    # ``identical``: SymPy needs seconds to simplify it.)
    integral = sympy.Integral(sympy.Abs(p - sympy.Rational(1, 3)), (p, 0, 1))
    assert nonzero_at(integral - sympy.Rational(5, 18)) is None


def test_a_counterexample_keeps_the_assumptions():
    """|t| = √(t² + 0) = −t for t ≤ 0: rejecting it at a t > 0 would be no evidence."""
    same = sympy.sqrt(nonpositive**2 + hidden_zero)
    with pytest.raises(ClaimError, match=r"accepted|refused"):
        compare("identical", sympy.Abs(nonpositive), -nonpositive, wrong=[same])


def test_two_symbols_of_one_name_are_a_slip():
    with pytest.raises(ClaimError, match="assumptions"):
        compare("identical", x, x, wrong=[S("x", positive=True)])


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
def test_malformed_expression(bad, message):
    with pytest.raises(ClaimError, match=message):
        compare("identical", bad, x)
    with pytest.raises(ClaimError, match=f"refused, not rejected.*{message}"):
        compare("identical", x, x, wrong=[bad])
    if "shape" not in message:
        with pytest.raises(ClaimError, match=message):
            compare("identical", x, bad)


def test_matrices_of_different_shape():
    row = sympy.Matrix([[x, x]])
    with pytest.raises(ClaimError, match=r"shape \(2, 1\) against \(1, 2\)"):
        compare("identical", row.T, row)


# -- the block -----------------------------------------------------------------------------


def good(c, what="one"):
    c.agrees(what, 1.0, 1.0)
    c.rejects("two", 2.0)


@pytest.mark.parametrize("id", ["", "fake ", "Fake", "no-such-claim"])
def test_unknown_id(id):
    with pytest.raises(ClaimError, match=re.escape(f"unknown claim {id!r}")):
        claim(id)


def test_empty_block():
    with pytest.raises(ClaimError, match="nothing agrees"), claim("fake"):
        pass


@pytest.mark.parametrize("bare", [0, 1, 2], ids=["first", "middle", "last"])
def test_a_comparison_that_rejects_nothing(bare, capsys):
    with pytest.raises(ClaimError, match=f"number {bare}: no wrong version"), claim("fake") as c:
        for k in range(3):
            c.agrees(f"number {k}", float(k), float(k))
            if k != bare:
                c.rejects("one more", k + 1.0)
    assert capsys.readouterr().out == ""


def test_a_rejection_belongs_to_the_comparison_above():
    with claim("fake") as c:
        good(c, "first")
        c.at_most("second", 5.0, 9.0)
        c.rejects("ten", 10.0)
        with pytest.raises(ClaimError, match="second: the wrong version 'two' is accepted"):
            c.rejects("two", 2.0)  # the first comparison would reject it
        with pytest.raises(ClaimError):
            raise c._failure
        c._failure = None  # only here: let the block end well
    assert [k["rejects"] for k in c.record()["comparisons"]] == [["two"], ["ten"]]


@pytest.mark.parametrize(
    "fail",
    [
        pytest.param(lambda c: c.agrees("bad", 1.0, 2.0), id="disagreement"),
        pytest.param(lambda c: c.agrees("bad", nan, 2.0), id="nan"),
        pytest.param(lambda c: c.agrees("bad", [1.0, 2.0], 2.0), id="shape"),
        pytest.param(lambda c: c.rejects("right", 1.0), id="wrong-version-accepted"),
        pytest.param(lambda c: c.rejects("nan", nan), id="wrong-version-refused"),
        pytest.param(lambda c: c.signs("bad", 1.0, 7), id="malformed-pattern"),
        pytest.param(lambda c: c.identical("bad", x, y), id="identity"),
        pytest.param(lambda c: c.estimates("bad", 9.0, [0.0, 1e-3]), id="statistic"),
        pytest.param(lambda c: c.__enter__(), id="entered-again"),
        pytest.param(
            lambda c: c.agrees("bad", torch.eye(2).to_sparse(), torch.eye(2)), id="error-of-torch"
        ),
        pytest.param(
            lambda c: c.agrees("bad", [torch.ones(1, requires_grad=True)[0]], [1.0]),
            id="error-of-numpy",
        ),
        pytest.param(lambda c: c.agrees("bad", 1.0, 1.0, tol=1), id="misspelt-keyword"),
    ],
)
def test_a_swallowed_failure_fails_at_the_end(fail, capsys):
    swallowed = None
    with pytest.raises(ClaimError) as error, claim("fake") as c:
        good(c)
        try:
            fail(c)
        except Exception as e:
            swallowed = e
        good(c, "another")
    assert swallowed is not None
    assert str(swallowed) in str(error.value)
    assert capsys.readouterr().out == ""


def test_an_exception_propagates_and_shows_no_record(capsys):
    with pytest.raises(ZeroDivisionError), claim("fake") as c:
        good(c)
        _ = 1 / 0
    assert capsys.readouterr().out == ""


def test_outside_the_block():
    c = claim("fake")
    with pytest.raises(ClaimError, match="belong inside"):
        c.agrees("one", 1.0, 1.0)
    with pytest.raises(ClaimError, match="inside"):
        c.rejects("two", 2.0)
    with claim("fake") as c:
        good(c)
    for late in (lambda: good(c), lambda: c.rejects("three", 3.0), c.__enter__):
        with pytest.raises(ClaimError):
            late()
    assert c.record()["comparisons"][0]["rejects"] == ["two"]


def test_rejects_before_any_comparison():
    with pytest.raises(ClaimError, match="must follow a comparison"), claim("fake") as c:
        c.rejects("two", 2.0)


def test_a_failed_comparison_takes_no_rejections():
    with pytest.raises(ClaimError), claim("fake") as c:
        with pytest.raises(ClaimError):
            c.agrees("bad", 1.0, 2.0)
        with pytest.raises(ClaimError, match="must follow a comparison"):
            c.rejects("three", 3.0)


@pytest.mark.parametrize("name", ["", "  ", "two"], ids=["empty", "blank", "twice"])
def test_a_wrong_version_needs_a_name_of_its_own(name):
    with pytest.raises(ClaimError, match="a name of its own"), claim("fake") as c:
        good(c)
        c.rejects(name, 3.0)


def test_a_comparison_needs_a_name():
    with pytest.raises(ClaimError, match="say what is compared"), claim("fake") as c:
        c.agrees(" ", 1.0, 1.0)


def test_the_worst_entry_is_named():
    value = np.zeros((2, 3))
    value[0, 1], value[1, 2] = 1.0, -7.0
    with pytest.raises(ClaimError, match=r"-7.0 differs from 0.0 at index \(1, 2\); 2 of 6"):
        compare("agrees", value, np.zeros((2, 3)))


# -- what is printed and stored ------------------------------------------------------------


def everything(nudge=1.0):
    """A block with every kind of comparison, all numbers multiplied by ``nudge``."""
    with claim("fake") as c:
        c.agrees("sum", 0.3 * nudge, 0.1 + 0.2, atol=8 * 2**-52 * nudge, why="four roundings")
        c.rejects("forgotten term", 0.1 * nudge)
        c.agrees("both", 2.0 * nudge, 2.0, atol=1e-3 * nudge, rtol=2e-12 * nudge, why="by hand")
        c.rejects("half", 1.0 * nudge)
        c.at_most("bound", 0.1 * nudge, 0.2 * nudge)
        c.rejects("other bound", 0.3 * nudge)
        c.at_least("bound below", 1.0 * nudge, 1.0, atol=3e-15 * nudge, why="two roundings")
        c.rejects("zero", 0.0)
        c.signs("signs", [0.1 * nudge, -5.0 * nudge], [1, -1])
        c.rejects("turned", [-0.1 * nudge, 5.0 * nudge])
        c.zeros("pattern", [0.0, nudge], [True, False])
        c.rejects("nowhere", [nudge, nudge])
        c.estimates("mean", 2.0 * nudge, nudge * np.arange(5.0))
        c.rejects("ninety", 90.0 * nudge)
        c.identical("square", (x + 1) ** 2, x**2 + 2 * x + 1)
        c.rejects("without the cross term", x**2 + 1)
    return c.record()


def test_text_and_record(capsys):
    record = everything()
    out = capsys.readouterr().out
    assert out.startswith("fake: holds\n✓ sum [|error| ≤ 2e-15]\n    because four roundings\n")
    assert "✓ both [|error| ≤ 1e-3 + 2e-12·|reference|]" in out
    assert out.count("✓") == 8 == out.count("✗ rejected: ")
    assert max(map(len, out.splitlines())) <= 80
    assert json.loads(json.dumps(record)) == record
    assert (record["id"], record["verdict"]) == ("fake", "holds")
    assert record["comparisons"][0] == {
        "kind": "agreement", "what": "sum", "tolerance": "|error| ≤ 2e-15",
        "why": "four roundings", "rejects": ["forgotten term"],
    }  # fmt: skip
    kinds = [c["kind"] for c in record["comparisons"]]
    assert kinds == ["agreement", "agreement", "inequality", "inequality", "signs",
                     "zero pattern", "statistic", "identity"]  # fmt: skip


@pytest.mark.parametrize("nudge", [1 - 2e-15, 1 - 1e-15, 1 + 1e-15, 1 + 2e-15])
def test_lines_do_not_vary_with_rounding_errors(nudge, capsys):
    expected = everything(), capsys.readouterr().out
    assert (everything(nudge), capsys.readouterr().out) == expected


@given(st.floats(1e-300, 1e300))
def test_one_digit(number):
    text = one_digit(number)
    assert re.fullmatch(r"[1-9]e-?\d+", text)
    shown, hair = Fraction(text), Fraction(number) * (1 - Fraction(1, 10**9))
    assert shown >= hair, "rounded up"
    digit, exponent = text.split("e")
    before = f"9e{int(exponent) - 1}" if digit == "1" else f"{int(digit) - 1}e{exponent}"
    assert Fraction(before) < hair, "and no further than one digit needs"
    assert one_digit(float(text)) == text, "idempotent"


@given(st.integers(1, 9), st.integers(-300, 300), st.integers(-4, 4))
def test_one_digit_keeps_a_digit_that_rounding_moved(digit, exponent, ulps):
    number = float(f"{digit}e{exponent}") * (1 + ulps * 2.0**-52)
    assert one_digit(number) == f"{digit}e{exponent}"


def test_quote(capsys):
    quote(p_max=0.576117, n=3.0, tiny=5.960464477539063e-08, big=65504.0)
    assert capsys.readouterr().out == "p_max = 0.5761\nn = 3\ntiny = 5.96e-08\nbig = 6.55e+04\n"


def test_quote_takes_integers(capsys):
    quote(n=3)
    assert capsys.readouterr().out == "n = 3\n"


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_quote_of_no_number(value, capsys):
    with pytest.raises(ClaimError, match="quote: b is"):
        quote(a=1.0, b=value)
    assert capsys.readouterr().out == ""


def test_quote_of_nothing():
    with pytest.raises(ClaimError):
        quote()


@pytest.mark.parametrize("tie", [2.0**-10, 1.0000005, 2.5, 0.12345], ids=str)
def test_quote_does_not_vary_with_rounding_errors(tie, monkeypatch):
    # Half of a last digit, exactly: the last bit of the value must not decide.
    shown = []
    monkeypatch.setattr(checks, "_show", lambda text, mime, record: shown.append((text, record)))
    for value in (tie, float(np.nextafter(tie, 0)), float(np.nextafter(tie, 9))):
        quote(value=value)
    assert shown[0] == shown[1] == shown[2]


def test_quote_stores_six_digits(monkeypatch):
    stored = []
    monkeypatch.setattr(checks, "_show", lambda text, mime, record: stored.append(record))
    quote(third=1 / 3, big=65504.0)
    assert stored == [{"third": "0.333333", "big": "65504"}]


# -- claims.yml ----------------------------------------------------------------------------


def test_the_real_file_loads():
    real = REAL_CLAIMS()
    assert real
    for id, entry in real.items():
        assert entry["id"] == id
        assert entry["verdict"] in claims.VERDICTS


def without(key):
    return {k: v for k, v in ENTRY.items() if k != key}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        pytest.param([without("note")], "wrong keys", id="missing-key"),
        pytest.param([ENTRY | {"evidence": "x"}], "wrong keys", id="extra-key"),
        pytest.param([ENTRY | {"verdict": "true"}], "verdict 'true'", id="unknown-verdict"),
        pytest.param([ENTRY | {"verdict": True}], "verdict", id="verdict-read-as-boolean"),
        pytest.param([ENTRY, ENTRY], "fake is listed twice", id="duplicate-id"),
        pytest.param([ENTRY | {"id": 3}], "id", id="number-as-id"),
        pytest.param([ENTRY | {"note": 3}], "note", id="003-read-as-3"),
        pytest.param([ENTRY | {"statement": " "}], "statement", id="no-statement"),
        pytest.param(["fake"], "wrong keys", id="no-mapping"),
        pytest.param(None, "claims.yml", id="empty-file"),
        pytest.param(ENTRY, "claims.yml", id="mapping-for-list"),
    ],
)
def test_a_claims_file_with_a_slip(entries, message, tmp_path, monkeypatch):
    text = "" if entries is None else yaml.safe_dump(entries)
    (tmp_path / "claims.yml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(claims, "files", lambda package: tmp_path)
    with pytest.raises(ClaimError, match=message):
        REAL_CLAIMS.__wrapped__()


# -- a real notebook -----------------------------------------------------------------------

SETUP = f"from attnlib import checks\nchecks.load_claims = lambda: {{'fake': {ENTRY!r}}}"
BLOCK = """with checks.claim("fake") as c:
    c.agrees("one", 1.0, 1.0)
    c.rejects("two", 2.0)
    c.rejects("three", 3.0)
"""
ENV = os.environ | {"PYTHONPATH": str(Path(checks.__file__).parents[1])}


@pytest.fixture(scope="module")
def executed():
    sources = [SETUP, BLOCK, BLOCK, BLOCK, "checks.quote(half=0.5)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(env=ENV)
    return notebook


def test_the_record_is_stored_beside_the_text(executed, tmp_path):
    nbformat.write(executed, tmp_path / "a.ipynb")
    with claim("fake") as c:
        good(c)
        c.rejects("three", 3.0)
    assert claims.stored_records(tmp_path / "a.ipynb") == [c.record()] * 3
    assert claims.stored_values(tmp_path / "a.ipynb") == [{"half": "0.5"}]
    (output,) = executed.cells[1].outputs
    assert output["data"]["text/plain"] == c._text()


def test_nbval_sees_a_rejection_come_and_go(executed, tmp_path):
    notebook = nbformat.from_dict(executed)
    fewer = notebook.cells[2].outputs[0]["data"]
    fewer[checks.CLAIM_MIME]["comparisons"][0]["rejects"].pop()  # the text stays: the record counts
    notebook.cells[3].source = "\n".join(BLOCK.splitlines()[:2])
    nbformat.write(notebook, tmp_path / "a.ipynb")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--nbval", "a.ipynb"]
    run = subprocess.run(command, cwd=tmp_path, env=ENV, capture_output=True, text=True)
    verdicts = re.findall(r"Cell \d (PASSED|FAILED)", run.stdout)
    assert verdicts == ["PASSED", "PASSED", "FAILED", "FAILED", "PASSED"], run.stdout
