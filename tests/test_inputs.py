"""attnlib/inputs.py, where the tests of the public functions do not already reach it."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
import sympy
import torch

from attnlib.inputs import (
    require_finite,
    require_integer,
    require_kurtosis,
    require_logits,
    require_probabilities,
    require_same,
    require_sharpness,
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
    number = require_sharpness("k", value)
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
        require_sharpness("k", value)


@pytest.mark.parametrize("value", [*NO_SHARPNESS, 0.5, math.nextafter(1.0, 0.0)])
def test_no_sharpness_of_at_least_1(value):
    assert require_sharpness("k", 1, least=1) == require_sharpness("k", 1.0, least=1.0) == 1
    message = f"k must be a finite number, at least 1; got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        require_sharpness("k", value, least=1)


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
