"""attnlib/_inputs.py, where the tests of the public functions do not already reach it."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
import sympy
import torch

from attnlib._inputs import (
    require_above,
    require_axis,
    require_between,
    require_broadcast,
    require_choice,
    require_classes,
    require_different,
    require_epsilon,
    require_finite,
    require_flag,
    require_integer,
    require_kurtosis,
    require_logits,
    require_mask,
    require_positions,
    require_positive,
    require_probabilities,
    require_real,
    require_same,
    require_tokens,
)

nan, inf = math.nan, math.inf


class Index:
    """Counts like an integer without being one."""

    def __index__(self):
        return 7


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(7, id="int"),
        pytest.param(np.int64(7), id="numpy-int64"),
        pytest.param(np.uint8(7), id="numpy-uint8"),
        pytest.param(torch.tensor(7), id="tensor"),
        pytest.param(sympy.Integer(7), id="sympy"),
        pytest.param(Index(), id="__index__"),
    ],
)
def test_integers(value):
    number = require_integer("d", value, least=7)
    assert type(number) is int
    assert number == 7


def test_an_integer_beyond_float64_stays_exact():
    assert require_integer("d", 2**70 + 1, least=1) == 2**70 + 1


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(0, id="below"),
        pytest.param(-3, id="negative"),
        pytest.param(2.0, id="whole-float"),
        pytest.param(np.float64(2), id="numpy-float"),
        pytest.param(nan, id="nan"),
        pytest.param(inf, id="inf"),
        pytest.param(True, id="bool"),
        pytest.param(np.True_, id="numpy-bool"),
        pytest.param(torch.tensor(True), id="tensor-bool"),
        pytest.param(torch.tensor(2.0), id="tensor-float"),
        pytest.param(torch.tensor([2, 3]), id="tensor-of-two"),
        pytest.param(np.array([2, 3]), id="array-of-two"),
        pytest.param("2", id="string"),
        pytest.param(None, id="None"),
        pytest.param(Fraction(2), id="fraction"),
        pytest.param(sympy.Rational(5, 2), id="sympy-rational"),
    ],
)
def test_no_integer(value):
    message = f"d must be an integer, at least 1; got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        require_integer("d", value, least=1)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(1, id="least"),
        pytest.param(1.0, id="least-float"),
        pytest.param(3, id="normal"),
        pytest.param(np.float32(1.5), id="numpy"),
        pytest.param(np.int64(9), id="numpy-integer"),
        pytest.param(Fraction(9, 5), id="fraction"),
        pytest.param(sympy.Rational(9, 5), id="sympy"),
    ],
)
def test_kurtosis(value):
    number = require_kurtosis("kurtosis_q", value)
    assert type(number) is float
    assert number == float(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(math.nextafter(1.0, 0.0), id="just-below-1"),
        pytest.param(0, id="excess-kurtosis-of-the-normal-law"),
        pytest.param(-1.2, id="excess-kurtosis-of-the-uniform-law"),
        pytest.param(nan, id="nan"),
        pytest.param(inf, id="inf"),
        pytest.param(-inf, id="minus-inf"),
        pytest.param(torch.tensor(nan), id="nan-tensor"),
        pytest.param(True, id="bool"),
        pytest.param(np.True_, id="numpy-bool"),
        pytest.param(torch.tensor(True), id="tensor-bool"),
        pytest.param("3", id="string"),
        pytest.param(b"3", id="bytes"),
        pytest.param(None, id="None"),
        pytest.param(3 + 0j, id="complex"),
        pytest.param(np.complex128(3 + 4j), id="numpy-complex"),
        pytest.param([3.0], id="list"),
        pytest.param(np.array([3.0, 3.0]), id="array-of-two"),
        pytest.param(torch.tensor([3.0, 3.0]), id="tensor-of-two"),
        pytest.param(torch.tensor(3.0 + 1j), id="complex-tensor"),
        pytest.param(10**400, id="integer-beyond-float64"),
        pytest.param(sympy.Symbol("kappa"), id="symbol"),
    ],
)
def test_no_kurtosis(value):
    message = f"kurtosis_q must be a finite kurtosis, at least 1; got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        require_kurtosis("kurtosis_q", value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(3, id="int"),
        pytest.param(0.25, id="float"),
        pytest.param(5e-324, id="smallest-float"),
        pytest.param(1.7e308, id="large"),
        pytest.param(np.float32(1.5), id="numpy"),
        pytest.param(Fraction(9, 5), id="fraction"),
        pytest.param(sympy.Rational(9, 5), id="sympy"),
    ],
)
def test_sharpness(value):
    number = require_positive("k", value)
    assert type(number) is float
    assert number == float(value)


NO_SHARPNESS = [
    pytest.param(0, id="0"),
    pytest.param(-0.0, id="minus-0"),
    pytest.param(-1, id="negative"),
    pytest.param(nan, id="nan"),
    pytest.param(inf, id="inf"),
    pytest.param(-inf, id="minus-inf"),
    pytest.param(10**400, id="integer-beyond-float64"),
    pytest.param(Fraction(1, 10**400), id="fraction-rounding-to-0"),
    pytest.param(True, id="bool"),
    pytest.param(np.True_, id="numpy-bool"),
    pytest.param("3", id="string"),
    pytest.param(None, id="None"),
    pytest.param([3.0], id="list"),
    pytest.param(3 + 0j, id="complex"),
    pytest.param(torch.tensor(3.0), id="tensor"),
    pytest.param(torch.tensor([3.0, 3.0]), id="tensor-of-two"),
]


@pytest.mark.parametrize("value", NO_SHARPNESS)
def test_no_sharpness(value):
    message = f"k must be a finite number, positive; got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        require_positive("k", value)


@pytest.mark.parametrize("value", [*NO_SHARPNESS, 0.5, math.nextafter(1.0, 0.0)])
def test_no_sharpness_of_at_least_1(value):
    assert require_positive("k", 1, least=1) == require_positive("k", 1.0, least=1.0) == 1
    message = f"k must be a finite number, at least 1; got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        require_positive("k", value, least=1)


@pytest.mark.parametrize("value", [*NO_SHARPNESS, 0.5, 1, 1.0])
def test_not_above_1(value):
    assert require_above("base", math.nextafter(1.0, 2.0), 1) > 1
    assert type(require_above("base", 2, 1)) is float
    message = f"base must be a finite number above 1, got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        require_above("base", value, 1)


def test_positions():
    require_positions("p", torch.tensor([0, -3, 7]), 3, most=7)
    require_positions("p", torch.tensor([0.5, -7.0]), 2, most=7)
    for bad, words in (([0.5, 7.5], "beyond 7: 7.5"), ([-8.0, inf], "not finite: inf")):
        with pytest.raises(ValueError, match=rf"^p holds a value .*{words} at index \(1,\)"):
            require_positions("p", torch.tensor(bad), 2, most=7)
    with pytest.raises(ValueError, match=r"^p must have shape \(3,\).*\(2,\)"):
        require_positions("p", torch.zeros(2), 3, most=7)


@pytest.mark.parametrize("least", [0.0, -1.5, 2.0])
def test_the_least_entry_is_allowed_and_none_below_it(least):
    x = torch.tensor([[least, least + 1.0]], dtype=torch.float64)
    require_finite("x", x, least=least)
    below = torch.cat([x, torch.full_like(x, math.nextafter(least, -inf))])
    require_finite("x", below)
    with pytest.raises(ValueError, match=rf"^x holds a value below {least:g}: .*\(1, 0\)"):
        require_finite("x", below, least=least)


def test_minus_zero_is_not_below_zero():
    require_finite("x", torch.tensor([-0.0, 0.0]), least=0.0)
    with pytest.raises(ValueError, match=r"^x .*not finite: inf at index \(1,\)"):
        require_finite("x", torch.tensor([-1.0, inf]), least=0.0)


@pytest.mark.parametrize(
    ("require", "bad", "message"),
    [
        pytest.param(require_finite, [[0.0, 1.0], [nan, 2.0]], r"nan.*\(1, 0\)", id="nan"),
        pytest.param(require_finite, [[0.0, nan], [inf, 2.0]], r"nan.*\(0, 1\)", id="two"),
        pytest.param(require_finite, [0.0, -inf], r"-inf.*\(1,\)", id="minus-inf"),
        pytest.param(require_logits, [[0.0], [-inf]], r"-inf.*row \(1,\)", id="masked-row"),
        pytest.param(require_logits, [-inf, nan], r"nan.*\(1,\)", id="nan-behind-a-mask"),
        pytest.param(require_logits, [-inf, inf], r"inf.*\(1,\)", id="inf-behind-a-mask"),
        pytest.param(require_probabilities, [[[1.0], [0.5]]], r"row \(0, 1\).*0\.5", id="sum"),
        pytest.param(require_probabilities, [2.0, -1.0], r"-1\..*\(1,\)", id="negative-sums-to-1"),
    ],
)
def test_the_first_offence_is_shown(require, bad, message):
    with pytest.raises(ValueError, match=rf"^some_name .*{message}"):
        require("some_name", torch.tensor(bad))


def test_same():
    a = torch.ones(2, 3)
    require_same("a", a, "b", a.clone())
    with pytest.raises(ValueError, match=r"a and b .* \(2, 3\) and \(3,\)"):
        require_same("a", a, "b", a[0])
    with pytest.raises(ValueError, match=r"a and b .* torch.float32 and torch.float64"):
        require_same("a", a, "b", a.double())


@pytest.mark.parametrize("n", [1, 1000, 100_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_softmax_rows_of_any_length_count_as_normalised(n, dtype):
    require_probabilities("y", torch.softmax(torch.randn(2, n, dtype=dtype), -1))


def test_arguments_on_the_tape_are_only_looked_at():
    y = torch.tensor([0.5, 0.5], requires_grad=True)
    require_probabilities("y", y)
    assert y.grad is None
    with pytest.raises(ValueError, match=r"y must sum to 1 .* 0\.75"):
        require_probabilities("y", y * 0.75)


def test_values_are_read_again_after_a_transform_failed():
    def fails(row):
        require_finite("row", row)  # not read here
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        torch.func.vmap(fails)(torch.full((2, 2), nan))
    with pytest.raises(ValueError, match="nan"):
        require_finite("row", torch.tensor([nan]))


def refused(message, call, *arguments, **keywords):
    """The whole message, so that no value or name in it can go wrong."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call(*arguments, **keywords)


# -- bounds and axes -------------------------------------------------------------------------


@pytest.mark.parametrize("most", [0.0, 1.0, -1.5])
def test_the_largest_entry_is_allowed_and_none_above_it(most):
    x = torch.tensor([[most, most - 1.0]], dtype=torch.float64)
    require_finite("x", x, most=most)
    require_finite("x", x, least=most - 1, most=most)
    above = torch.cat([x, torch.full_like(x, math.nextafter(most, inf))])
    require_finite("x", above)
    with pytest.raises(ValueError, match=rf"^x holds a value above {most:g}: .*\(1, 0\)"):
        require_finite("x", above, most=most)


def test_no_bound_is_no_licence_for_infinity():
    for value in (inf, -inf):
        with pytest.raises(ValueError, match=r"^x holds a value that is not finite"):
            require_finite("x", torch.tensor([value]), most=1.0)


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
def test_axes(dim):
    assert require_axis("x", torch.ones(2, 3, 4), dim) == dim


@pytest.mark.parametrize("dim", [3, -4, 1.0, True, False, None, "0", (0,), torch.tensor(0)])
def test_no_axis(dim):
    message = f"dim must be an axis of x, of shape (2, 3, 4); got {dim!r}"
    refused(message, require_axis, "x", torch.ones(2, 3, 4), dim)


def test_a_number_has_no_axes():
    for dim in (0, -1):
        message = f"dim must be an axis of x, of shape (); got {dim}"
        refused(message, require_axis, "x", torch.tensor(1.0), dim)
    refused("x must be a torch tensor, got list", require_axis, "x", [1.0], 0)
    refused("x must be a torch tensor, got ndarray", require_axis, "x", np.ones(2), 0)


def test_probabilities_along_another_axis():
    y = torch.tensor([[0.5, 0.25, 1.0], [0.5, 0.75, 0.0]])
    require_probabilities("y", y, dim=0)
    require_probabilities("y", y, dim=-2)
    refused("y must sum to 1 along its last axis; row (0,) sums to 1.75", require_probabilities,
            "y", y)  # fmt: skip
    y[1, 1] = 0.5
    refused("y must sum to 1 along axis 0; row (1,) sums to 0.75", require_probabilities,
            "y", y, dim=0)  # fmt: skip
    require_probabilities("y", torch.ones(1, 0), dim=0)
    refused("y must have at least one entry along axis 0, got shape (0, 2)",
            require_probabilities, "y", torch.ones(0, 2), dim=0)  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_sums_may_be_off_by_half_the_digits(sign, dtype):
    slack = torch.finfo(dtype).eps ** 0.5
    y = torch.tensor([0.5, 0.5 + sign * 0.9 * slack], dtype=dtype)
    require_probabilities("y", y)
    y = torch.tensor([0.5, 0.5 + sign * 1.1 * slack], dtype=dtype)
    with pytest.raises(ValueError, match=r"^y must sum to 1"):
        require_probabilities("y", y)


# -- masks -----------------------------------------------------------------------------------


def test_no_mask_attends_to_all_but_minus_infinity():
    z = torch.tensor([[0.0, -inf, 2.0], [-inf, -1e38, 0.0]])
    assert require_mask("mask", None, "z", z).tolist() == [[True, False, True], [False, True, True]]
    finite = torch.zeros(2, 3)
    attend = require_mask("mask", None, "z", finite)
    assert attend.dtype == torch.bool
    assert attend.all()


@pytest.mark.parametrize("shape", [(), (3,), (1,), (1, 3), (2, 1), (2, 3)], ids=str)
def test_masks_are_expanded(shape):
    mask = torch.ones(shape, dtype=torch.bool)
    attend = require_mask("mask", mask, "z", torch.zeros(2, 3))
    assert attend.shape == (2, 3)
    assert attend.all()


def test_a_mask_and_minus_infinity():
    z = torch.tensor([[0.0, -inf, nan], [inf, 1.0, 2.0]])
    mask = torch.tensor([[True, True, False], [False, True, True]])
    attend = require_mask("mask", mask, "z", z)
    assert attend.tolist() == [[True, False, False], [False, True, True]]
    assert mask.tolist() == [[True, True, False], [False, True, True]], "left alone"


@pytest.mark.parametrize(
    ("mask", "got"),
    [
        pytest.param(torch.ones(3), "torch.float32", id="float"),
        pytest.param(torch.ones(3, dtype=torch.uint8), "torch.uint8", id="uint8"),
        pytest.param(torch.ones(3, dtype=torch.int64), "torch.int64", id="int64"),
        pytest.param([True] * 3, "list", id="list"),
        pytest.param(np.ones(3, dtype=bool), "ndarray", id="numpy"),
        pytest.param(False, "bool", id="python-bool"),
    ],
)
def test_no_mask(mask, got):
    refused(f"m must be a boolean tensor, True = attend; got {got}", require_mask,
            "m", mask, "z", torch.zeros(2, 3))  # fmt: skip


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 3), (1, 2, 3), (0,), (3, 1)], ids=str)
def test_masks_that_do_not_fit(shape):
    refused(f"m must broadcast to the shape of z, got {shape} and (2, 3)", require_mask,
            "m", torch.ones(shape, dtype=torch.bool), "z", torch.zeros(2, 3))  # fmt: skip


@pytest.mark.parametrize(
    ("mask", "dim", "row"),
    [
        pytest.param([[True] * 3, [False] * 3], -1, (1,), id="row"),
        pytest.param([[True] * 3, [False, False, True]], -1, (1,), id="with-minus-infinity"),
        pytest.param([[False, True, True]] * 2, 0, (0,), id="column"),
        pytest.param([[True] * 3, [False, False, True]], 0, None, id="not-in-columns"),
        pytest.param([[False, True, True]] * 2, 1, None, id="not-in-rows"),
    ],
)
def test_nothing_to_attend_to(mask, dim, row):
    z = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, -inf]])
    mask = torch.tensor(mask)
    if row is None:
        assert require_mask("m", mask, "z", z, dim=dim).any()
    else:
        refused(f"z is masked in every entry of row {row}: nothing to attend to", require_mask,
                "m", mask, "z", z, dim=dim)  # fmt: skip


def test_what_is_masked_is_not_looked_at():
    z = torch.tensor([[0.0, nan], [inf, 1.0]])
    require_mask("m", torch.tensor([[True, False], [False, True]]), "z", z)
    refused("z holds NaN or +inf: nan at index (0, 1)", require_mask,
            "m", torch.tensor([[True, True], [False, True]]), "z", z)  # fmt: skip
    refused("z holds NaN or +inf: inf at index (1, 0)", require_mask,
            "m", torch.tensor([True, False]), "z", z)  # fmt: skip
    refused("z holds NaN or +inf: nan at index (0, 1)", require_mask, "m", None, "z", z)


def test_logits_of_a_mask_are_rows():
    refused("z must be float32 or float64, got torch.int64", require_mask,
            "m", None, "z", torch.tensor([1, 2]))  # fmt: skip
    refused("z must have at least one entry along axis 0, got shape (0, 2)", require_mask,
            "m", None, "z", torch.ones(0, 2), dim=0)  # fmt: skip
    assert require_mask("m", None, "z", torch.ones(0, 2)).shape == (0, 2)


def test_masks_inside_a_transform_are_not_read():
    z = torch.tensor([[nan, 0.0], [-inf, -inf]])
    attend = torch.func.vmap(lambda z: require_mask("m", None, "z", z))(z)
    assert attend.tolist() == [[True, True], [False, False]]
    with pytest.raises(ValueError, match=r"^m must broadcast .* \(3,\) and \(2,\)"):
        torch.func.vmap(lambda z: require_mask("m", torch.ones(3).bool(), "z", z))(z)


# -- pairs, numbers and words ----------------------------------------------------------------


def test_different():
    a = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    require_different("a", a, "b", a.flip(0))
    require_different("a", a, "b", a + torch.tensor([0.0, 1e-7]))  # one entry is enough
    require_different("a", a[:0], "b", a[:0])
    refused("a and b must differ; they are equal in row (0,)", require_different, "a", a, "b", a)
    refused("a and b must differ; they are equal in row (1,)", require_different,
            "a", a, "b", torch.stack([a[1], a[1]]))  # fmt: skip
    refused("a and b must differ; they are equal in row ()", require_different,
            "a", a[0], "b", a[0])  # fmt: skip
    torch.func.vmap(lambda x: require_different("a", x, "b", x) or x)(a)  # not read there


FLOATS = {torch.float32: (1e-45, 3.4e38), torch.float64: (5e-324, 1.7e308)}


@pytest.mark.parametrize("dtype", FLOATS, ids=["float32", "float64"])
def test_epsilon(dtype):
    for value in (*FLOATS[dtype], 0.1, 1, np.float32(0.25), Fraction(1, 3), sympy.Rational(1, 3)):
        number = require_epsilon("eps", value, dtype)
        assert type(number) is float
        assert number == float(value), "not rounded to the dtype"


@pytest.mark.parametrize("value", [1e-50, 1e-46, 7e-46, 1e39, 3.5e38])
def test_epsilon_beyond_float32(value):
    becomes = "0" if value < 1 else "inf"
    refused(f"e must be a positive finite number in torch.float32, where {value!r} becomes "
            f"{becomes}", require_epsilon, "e", value, torch.float32)  # fmt: skip
    assert require_epsilon("e", value, torch.float64) == value


@pytest.mark.parametrize("value", NO_SHARPNESS)
@pytest.mark.parametrize("dtype", FLOATS, ids=["float32", "float64"])
def test_no_epsilon(value, dtype):
    refused(f"e must be a finite number, positive; got {value!r}", require_epsilon,
            "e", value, dtype)  # fmt: skip


@pytest.mark.parametrize("value", [0, 1, 0.0, -0.0, 1.0, Fraction(1, 2), np.float32(1)], ids=repr)
def test_between(value):
    number = require_between("t", value, 0, 1)
    assert type(number) is float
    assert number == value


@pytest.mark.parametrize(
    "value", [-5e-324, math.nextafter(1.0, 2.0), -1, 2, nan, inf, -inf, True, False, "0", None, [0]]
)
def test_not_between(value):
    refused(f"t must be between 0 and 1, got {value!r}", require_between, "t", value, 0, 1)


def test_choice():
    words = ("once", "twice")
    assert [require_choice("v", word, words) for word in words] == ["once", "twice"]
    for bad in ("Once", "", "on", "once ", None, 0, True, ("once",), ["once"], b"once"):
        refused(f"v must be one of once, twice; got {bad!r}", require_choice, "v", bad, words)


@pytest.mark.parametrize("value", [9, 2**70])
def test_the_most_an_integer_may_be(value):
    assert require_integer("n", value, least=1, most=value) == value
    refused(f"n must be an integer, at most {value - 1}; got {value}", require_integer,
            "n", value, least=1, most=value - 1)  # fmt: skip


def test_flags_are_true_or_false():
    assert [require_flag("f", value) for value in (True, False)] == [True, False]
    for bad in (0, 1, None, "yes", torch.tensor(True), np.bool_(True)):
        refused(f"f must be True or False, got {bad!r}", require_flag, "f", bad)


def test_real_numbers():
    values = (0, -2.5, Fraction(1, 4), np.float32(0.5), 1e300)
    assert [require_real("x", value) for value in values] == [float(value) for value in values]
    assert require_real("x", 2, least=2) == 2.0
    refused("x must be a finite real number, at least 2; got 1.9", require_real, "x", 1.9, 2)
    for bad in (nan, inf, -inf, True, "1", None, 1j, torch.tensor(1.0)):
        refused(f"x must be a finite real number; got {bad!r}", require_real, "x", bad)


# -- tokens, leading axes, classes -----------------------------------------------------------


def test_tokens():
    x = torch.ones(2, 3, 4)
    assert require_tokens("x", x) is None
    require_tokens("x", x, "W", torch.zeros(4), tokens=3, entries=4)
    shape = "and none of them empty; got shape"
    refused(f"x must have the axes tokens and entries, {shape} (4,)", require_tokens, "x", x[0, 0])
    for empty in (x[:0], x[:, :0], x[..., :0]):
        message = f"x must have the axes tokens and entries, {shape} {tuple(empty.shape)}"
        refused(message, require_tokens, "x", empty)
    refused("x must be a torch tensor, got list", require_tokens, "x", [[1.0]])
    refused("x must have the dtype of W, torch.float64, got torch.float32",
            require_tokens, "x", x, "W", torch.zeros(4).double())  # fmt: skip
    refused("x must have the 4 tokens of W along axis -2, got shape (2, 3, 4)",
            require_tokens, "x", x, "W", x, tokens=4)  # fmt: skip
    refused("x must have the 3 entries of W along axis -1, got shape (2, 3, 4)",
            require_tokens, "x", x, "W", x, entries=3)  # fmt: skip


def test_broadcast_looks_at_leading_axes_only():
    a, b, c = torch.ones(2, 1, 4, 5), torch.ones(3, 6, 7), torch.ones(8, 9)
    assert require_broadcast("a, b and c", a, b, c) is None
    refused("a and b must have leading axes that broadcast, got (2, 1, 4), (3, 1, 4)",
            require_broadcast, "a and b", torch.ones(2, 1, 4), torch.ones(3, 1, 4))  # fmt: skip


def test_classes():
    target = torch.tensor([0, 3])
    assert require_classes("c", target, (2,), 4) is None
    refused("c holds no class from 0 to 2: 3 at index (1,)", require_classes, "c", target, (2,), 3)
    refused("c holds no class from 0 to 3: -1 at index (0,)",
            require_classes, "c", target - 1, (2,), 4)  # fmt: skip
    refused("c must have one class for each row, shape (3,); got (2,)",
            require_classes, "c", target, (3,), 4)  # fmt: skip
    refused("c must be an int64 tensor, got torch.int32",
            require_classes, "c", target.int(), (2,), 4)  # fmt: skip
    refused("c must be an int64 tensor, got list", require_classes, "c", [0, 3], (2,), 4)
