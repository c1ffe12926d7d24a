"""attnlib/evidence/arrays.py: what may be compared, and that nothing is rounded on the way."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
import torch

from attnlib.evidence import ClaimError, within
from attnlib.evidence.arrays import as_array, as_pair

nan, inf = float("nan"), float("inf")
METHODS = ["agrees", "at_most", "at_least", "pattern", "is_mean_of"]

TAKEN = [
    pytest.param(*case, id=name)
    for name, *case in [
        ("float", 1.5, [1.5], "f"),
        ("integer", 3, [3], "i"),
        ("boolean", True, [True], "b"),
        ("list-of-booleans", [True, False], [True, False], "b"),
        ("integers-among-floats", [1, 2.5], [1.0, 2.5], "f"),
        ("tuple", ((1, 2), (3, 4)), [1, 2, 3, 4], "i"),
        ("range", range(3), [0, 1, 2], "i"),
        ("list-of-tensors", [torch.ones(2), torch.zeros(2)], [1.0, 1.0, 0.0, 0.0], "f"),
        ("list-of-scalars", [np.float32(0.5), torch.tensor(2)], [0.5, 2.0], "f"),
        ("2^63-in-a-float64", [2**63, 0.5], [2.0**63, 0.5], "f"),
        ("uint64", np.uint64([2**64 - 1]), [2**64 - 1], "u"),
        ("int64", [-(2**63)], [-(2**63)], "i"),
        ("float16", np.float16([0.1]), [0.0999755859375], "f"),
        ("float32", torch.tensor([0.1]), [0.10000000149011612], "f"),
        ("bfloat16", torch.tensor([0.1], dtype=torch.bfloat16), [0.10009765625], "f"),
        ("float8", torch.tensor([0.5]).to(torch.float8_e4m3fn), [0.5], "f"),
        ("requires-grad", torch.tensor([1.5], requires_grad=True), [1.5], "f"),
        ("negative-bit", torch.tensor([1 + 2j], dtype=torch.complex128).conj().imag, [-2.0], "f"),
    ]
]


@pytest.mark.parametrize(("x", "expected", "kind"), TAKEN)
def test_taken_as_it_is(x, expected, kind):
    a = as_array("x", x)
    assert a.dtype.kind == kind
    assert a.dtype == np.float64 or kind != "f"
    assert a.flatten().tolist() == expected


def test_a_list_keeps_its_shape():
    assert as_array("x", [[1, 2, 3], [4, 5, 6]]).shape == (2, 3)
    assert as_array("x", [torch.ones(3), torch.ones(3)]).shape == (2, 3)


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("numbers", [[1, -1], [1.0, -1.0], [True, False]], ids=str)
def test_a_new_array(make, numbers):
    original = make(numbers)
    a = as_array("x", original)
    original[0] = 0
    assert a.tolist() == numbers


MALFORMED = [
    pytest.param(bad, message, id=name)
    for name, bad, message in [
        ("nan", [1.0, nan], r"x holds nan at \(1,\)"),
        ("nan-scalar", nan, "x holds nan$"),
        ("inf", [[1.0], [inf]], r"x holds inf at \(1, 0\)"),
        ("minus-inf", [1.0, -inf], r"x holds -inf at \(1,\)"),
        ("nan-tensor", torch.tensor([nan, 1.0]), r"x holds nan at \(0,\)"),
        ("float16-overflow", torch.tensor([1e5], dtype=torch.float16), "x holds inf"),
        ("empty", [], "x is empty"),
        ("empty-rows", np.ones((2, 0)), "x is empty"),
        ("complex", [1.0, 1.0 + 0j], r"got np.complex128\(1\+0j\) of type complex128"),
        ("complex-tensor", torch.ones(2, dtype=torch.complex64), r"got np.complex64\(1\+0j\)"),
        ("strings", ["1", "2"], "must hold real numbers or booleans of .*, got np.str_.'1'"),
        ("none", None, "got None of type NoneType"),
        (
            "objects",
            np.array([1.0, 1.0], dtype=object),
            "type float in an array of object",
        ),
        ("mpmath", mpmath.mpf(1), "of type mpf"),
        ("sympy", sympy.Rational(1, 2), "got 1/2 of type Half"),
        ("fractions", [1, Fraction(2)], r"got Fraction\(2, 1\) of type Fraction"),
        ("set", {1, 2}, r"got \{1, 2\} of type set"),
        ("tolerance", within(1e-9, "in the wrong place"), r"got Tolerance\(atol"),
        ("beyond-64-bits", [1, 2**70], f"at most 64 bits, got {2**70} of type int"),
        ("long-double", np.ones(2, dtype=np.longdouble), r"got np.longdouble\("),
        ("ragged", [[1.0], [1.0, 2.0]], "x is not an array"),
        ("dates", np.array(["2000-01-01"], dtype="datetime64[D]"), "got np.datetime64"),
        ("sparse", torch.eye(2).to_sparse(), "x is not an array: .*to_dense"),
        ("meta", torch.ones(2, device="meta"), "x is not an array: .*meta"),
        ("masked", np.ma.array([1.0, 2.0], mask=[False, True]), "masked: nothing may be hidden"),
        ("masked-in-a-list", [np.ma.array([1.0, 2.0], mask=[False, True])], "masked"),
        ("boolean-among-floats", [True, 2.0], "mixes booleans with numbers"),
        ("boolean-among-integers", [[True], [2]], "mixes booleans with numbers"),
        ("list-of-both-signs", [2**63 + 1, -1], "holds 9223372036854775809, which NumPy would"),
        ("integer-beside-a-float", [2**53 + 1, 0.5], "which NumPy would round"),
        ("integer-of-numpy", [np.int64(2**53 + 1), 0.5], "which NumPy would round"),
        ("integer-of-torch", [torch.tensor(2**53 + 1), 0.5], "which NumPy would round"),
    ]
]


@pytest.mark.parametrize(("bad", "message"), MALFORMED)
def test_malformed(bad, message):
    with pytest.raises(ClaimError, match=message):
        as_array("x", bad)


@pytest.mark.parametrize("method", METHODS)
def test_every_comparison_looks_at_all_three(method, compare):
    value, reference = [1, 1], [1, 1]
    if method == "is_mean_of":
        value, reference = [1.5, 1.5], [[1.0, 1.0], [2.0, 2.0]]
    with pytest.raises(ClaimError, match=r"claim fake: the case: the value holds nan at \(1,\)"):
        compare(method, [1.0, nan], reference, wrong=[[9.0, 9.0]])
    who = "the (reference|bound|pattern|draws)"
    with pytest.raises(ClaimError, match=rf"claim fake: the case: {who} holds nan at \(1,\)"):
        compare(method, value, [1.0, nan], wrong=[[9.0, 9.0]])
    refused = "the wrong version 'wrong 0' is refused, not rejected: the value holds nan"
    with pytest.raises(ClaimError, match=refused):
        compare(method, value, reference, wrong=[[1.0, nan]])
    for wrong in ([[1.0, 9.0]], [9.0], 9.0, [1.0, 9.0, 9.0]):
        with pytest.raises(ClaimError, match=r"refused, not rejected.*nothing is broadcast"):
            compare(method, value, reference, wrong=[wrong])
        with pytest.raises(ClaimError, match=r"the case: shape .* nothing is broadcast"):
            compare(method, wrong, reference, wrong=[[9.0, 1.0]])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        pytest.param(np.ones(a), np.ones(b), id=f"{a}-against-{b}")
        for a, b in [
            (3, (3, 1)), ((3, 1), (1, 3)), (3, (2, 3)), (3, ()), ((), 3), (1, ()), ((), 1), (1, 3),
            ((2, 3), (3, 2)),
        ]
    ],
)  # fmt: skip
def test_shapes_are_equal(a, b):
    with pytest.raises(ClaimError, match="nothing is broadcast"):
        as_pair(a, as_array("b", b))


@pytest.mark.parametrize(
    ("a", "b", "difference"),
    [
        pytest.param([2**53 + 1], [2**53], 1, id="beyond-2^53"),
        pytest.param(np.int8([-100]), np.int8([100]), -200, id="int8-does-not-wrap"),
        pytest.param(np.uint8([0]), np.uint8([1]), -1, id="uint8-does-not-wrap"),
        pytest.param([-(2**63)], [2**63 - 1], 1 - 2**64, id="int64-does-not-wrap"),
        pytest.param(np.uint64([2**64 - 1]), [-1], 2**64, id="uint64-against-int64"),
        pytest.param([False], [True], -1, id="booleans"),
        pytest.param(3, 5, -2, id="no-axes"),
        pytest.param([3], [2.5], 0.5, id="integer-against-float"),
        pytest.param([2**53], [0.0], 2.0**53, id="integer-that-is-a-float64"),
    ],
)
def test_differences_are_exact(a, b, difference):
    x, r = as_pair(a, as_array("b", b))
    assert x.shape == r.shape == np.shape(a)
    assert np.ravel(x - r).tolist() == [difference]


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        pytest.param([True], [1], "booleans compare with booleans", id="boolean-against-integer"),
        pytest.param([1], [True], "booleans compare with booleans", id="integer-against-boolean"),
        pytest.param([1.0], [True], "booleans compare with booleans", id="float-against-boolean"),
        pytest.param([True], [1.0], "booleans compare with booleans", id="boolean-against-float"),
        pytest.param(2**53 + 1, 2.0**53, "no float64", id="integer-that-is-no-float64"),
        pytest.param([1, 2**53 + 1], [1.0, 2.0**53], "no float64", id="one-such-of-two"),
        pytest.param(2.0**53, 2**53 + 1, "no float64", id="float-against-such-an-integer"),
    ],
)
def test_no_kind_is_taken_for_another(a, b, message):
    with pytest.raises(ClaimError, match=message):
        as_pair(a, as_array("b", b))
