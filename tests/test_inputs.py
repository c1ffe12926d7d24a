"""attnlib/_inputs.py, where the tests of the public functions do not already reach it."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
import sympy
import torch
from helpers import forward_mode
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from attnlib._inputs import (
    FLOATS,
    HALVES,
    are_rows,
    eager,
    in_float32,
    raised,
    require_axis,
    require_broadcast,
    require_choice,
    require_classes,
    require_epsilon,
    require_finite,
    require_flag,
    require_integer,
    require_mask,
    require_probabilities,
    require_real,
    require_rows,
    require_same,
    require_tokens,
    rounded,
    surely_finite,
    surely_laws,
    tracked,
    values_may_be_read,
)

nan, inf = math.nan, math.inf
NO_NUMBERS = [nan, inf, -inf, 10**400, True, np.True_, "3", None, [3.0], 3 + 0j, torch.tensor(3.0),
              sympy.Symbol("k")]  # fmt: skip


def refused(message, call, *arguments, **keywords):
    """The whole message, so that no value or name in it can go wrong."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call(*arguments, **keywords)


class Index:
    """Counts like an integer without being one."""

    def __index__(self):
        return 7


def test_integers_of_any_kind():
    for value in (7, np.int64(7), np.uint8(7), torch.tensor(7), sympy.Integer(7), Index()):
        number = require_integer("d", value, least=7)
        assert (type(number), number) == (int, 7)


@pytest.mark.parametrize(
    "value",
    [0, -3, 2.0, np.float64(2), nan, inf, True, np.True_, torch.tensor(True), torch.tensor(2.0),
     torch.tensor([2, 3]), np.array([2, 3]), "2", None, Fraction(2), sympy.Rational(5, 2)],
    ids=repr,
)  # fmt: skip
def test_no_integer(value):
    refused(f"d must be an integer, at least 1; got {value!r}", require_integer, "d", value, 1)


# -- real numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "must"),
    [
        ({}, [0, -2.5, 1e300], [], "a finite number"),
        ({"above": 0}, [5e-324, 3, 1.7e308], [0, -0.0, -1], "a finite number, positive"),
        ({"above": 1}, [math.nextafter(1.0, 2.0)], [1, 0.5], "a finite number, above 1"),
        ({"least": 1}, [1, 1.0], [math.nextafter(1.0, 0.0)], "a finite number, at least 1"),
        ({"below": 2}, [math.nextafter(2.0, 0.0)], [2, 2.5], "a finite number, below 2"),
        ({"most": 2}, [2, -5], [2.5], "a finite number, at most 2"),
        ({"above": 0, "most": 1}, [1, 1e-9], [0, 1.5], "a finite number, above 0 and at most 1"),
        ({"least": 0, "most": 1}, [0, 1, -0.0], [-5e-324, 1.5], "between 0 and 1"),
    ],
    ids=["any", "positive", "above", "least", "below", "most", "above-most", "between"],
)
def test_real_numbers(bounds, good, bad, must):
    for value in good:
        number = require_real("x", value, **bounds)
        assert type(number) is float
        assert number == value
    for value in [*bad, *NO_NUMBERS]:
        refused(f"x must be {must}; got {value!r}", require_real, "x", value, **bounds)


def test_real_numbers_of_any_kind():
    for value in (np.float32(1.5), Fraction(3, 2), sympy.Rational(3, 2), np.int64(9)):
        number = require_real("x", value, above=1)
        assert type(number) is float
        assert number == float(value)
    refused("x must be a finite number, positive; got Fraction(1, 1" + "0" * 400 + ")",
            require_real, "x", Fraction(1, 10**400), above=0)  # fmt: skip


def test_an_integer_beyond_float64_stays_exact():
    assert require_integer("d", 2**70 + 1, least=1) == 2**70 + 1


def test_the_first_offence_is_shown():
    bad = torch.tensor([[0.0, 1.0], [nan, inf]])
    refused("x holds a value that is not finite: nan at index (1, 0)", require_finite, "x", bad)
    refused("y holds a negative probability: -1.0 at index (1,)", require_probabilities,
            "y", torch.tensor([2.0, -1.0]))  # fmt: skip
    refused("y must sum to 1 along its last axis; row (0, 1) sums to 0.5", require_probabilities,
            "y", torch.tensor([[[1.0], [0.5]]], requires_grad=True))  # fmt: skip


# -- where values are read, and where the work may be done in place --------------------------


class Subclass(torch.Tensor):
    pass


def asked(x, place):
    """What ``values_may_be_read`` and ``eager`` say of x in some place."""
    answers = []

    def ask(x):
        answers.append((values_may_be_read(x), eager(x)))
        return x * 2

    match place:
        case "eager" | "subclass" | "parameter" | "meta":
            ask({"subclass": lambda x: x.as_subclass(Subclass), "parameter": nn.Parameter,
                 "meta": lambda x: x.to("meta")}.get(place, lambda x: x)(x))  # fmt: skip
        case "vmap" | "functionalize":
            getattr(torch.func, place)(ask)(x)
        case "jvp":
            torch.func.jvp(ask, (x,), (x,))
        case "dual":
            with torch.autograd.forward_ad.dual_level():
                ask(torch.autograd.forward_ad.make_dual(x, x))
        case "compile":
            compiled = torch.compile(lambda x: x * (2 * values_may_be_read(x) + eager(x)),
                                     fullgraph=True, backend="eager")  # fmt: skip
            assert compiled(x).tolist() == [0, 0]
            answers.append((False, False))
        case "make_fx":
            make_fx(ask)(x)
        case "jit":
            torch.jit.trace(ask, x, check_trace=False)
        case "fake":
            with FakeTensorMode():
                ask(torch.ones(2))
        case "counted":
            with FlopCounterMode(display=False):
                ask(x)
    return answers[0]


@pytest.mark.parametrize(
    ("place", "values", "in_place"),
    [("eager", True, True), ("parameter", True, True), ("subclass", True, False),
     ("dual", True, False), ("counted", True, False), ("vmap", False, False),
     ("jvp", False, False), ("functionalize", False, False), ("compile", False, False),
     ("make_fx", False, False), ("jit", False, False), ("meta", False, False),
     ("fake", False, False)],
)  # fmt: skip
@forward_mode
@pytest.mark.filterwarnings(r"ignore:.torch\.jit\.trace. is deprecated")
def test_where_values_are_read_and_where_the_work_is_done_in_place(place, values, in_place):
    assert asked(torch.ones(2), place) == (values, in_place)
    assert asked(torch.ones(2), "eager") == (True, True), "nothing stays behind"


def test_one_tensor_is_enough_to_read_none():
    x, meta = torch.ones(2), torch.ones(2, device="meta")
    for several in ((x, meta), (meta, x)):
        assert not values_may_be_read(*several)
        assert not eager(*several)
    assert eager(x, None, 3, [meta]), "what is no tensor does not count"


def test_tracked():
    x, w = torch.ones(2), torch.ones(2, requires_grad=True)
    assert not tracked(x, x)
    assert tracked(x, w)
    with torch.no_grad():
        assert not tracked(x, w)


# -- quick answers: True is certain ----------------------------------------------------------


def accepts(check, *arguments, **keywords):
    try:
        check(*arguments, **keywords)
    except ValueError:
        return False
    return True


class OnlySums(TorchDispatchMode):
    """Passes that write, or look at more than they must, are not allowed."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        allowed = ("sum", "amin", "aminmax", "detach", "_local_scalar_dense")
        assert func.overloadpacket.__name__ in allowed, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dim", [-1, 0, 1])
def test_are_rows_is_what_require_rows_accepts(dim):
    kinds = [torch.float16, torch.bfloat16, *FLOATS, torch.int64, torch.bool, torch.complex64]
    tensors = [torch.zeros(shape, dtype=kind) for kind in kinds for shape in
               [(2, 3), (0, 3), (2, 0), (0, 0)]]  # fmt: skip
    answers = [are_rows(x, dim) for x in tensors]
    assert answers == [accepts(require_rows, "x", x, dim) for x in tensors]
    assert any(answers)
    assert not are_rows([[1.0]])
    assert not are_rows(torch.tensor(1.0))


odd = st.sampled_from([nan, inf, -inf, 0.0, -0.0, 1.0, -1e-30, 3e38, -3e38, 1e-45, 0.5, 2.0])
matrices = st.lists(st.lists(odd, min_size=3, max_size=3), min_size=0, max_size=3)


@given(rows=matrices)
@pytest.mark.parametrize("times", [1, 30], ids=["few", "many"])
def test_surely_finite_is_never_wrong_and_rarely_silent(times, rows):
    x = torch.tensor(rows, requires_grad=True).repeat(times, 1)
    if surely_finite(x):
        assert x.isfinite().all()
    elif x.isfinite().all():
        assert times > 1, "of few none may be silent"
        assert (x.abs() > 1e38).any(), "only an overflow may hide that all are finite"


slacks = st.sampled_from([0, 0.5, 0.985, 0.9995, 1.0005, 1.1, -0.5, -0.985, -1.0005, nan])


@given(rows=matrices, dtype=st.sampled_from(FLOATS), dim=st.sampled_from([-1, 0]), off=slacks)
@pytest.mark.parametrize("times", [1, 30], ids=["few", "many"])
def test_surely_laws_is_never_wrong_and_rarely_silent(times, rows, dtype, dim, off):
    slack = torch.finfo(dtype).eps ** 0.5
    x = torch.tensor(rows, dtype=dtype).reshape(-1, 3).repeat(*((times, 1)[:: dim or 1]))
    for y in (x, torch.softmax(x.nan_to_num(0, 9, -9), dim) * (1 + off * slack)):
        y = y.movedim(dim, -1)
        if are_rows(y) and surely_laws(y):
            assert accepts(require_probabilities, "y", y)
        total = y.sum(dim=-1)
        if (y >= 0).all() and ((total - 1).abs() < 0.987 * slack).all():
            assert surely_laws(y)


def test_a_good_law_is_read_and_never_written():
    y = torch.softmax(torch.randn(40, 50), -1)
    with OnlySums():
        require_probabilities("y", y)
        require_finite("y", y)
    with pytest.raises(AssertionError, match="neg"), OnlySums():
        surely_finite(-y)


@pytest.mark.parametrize("least", [0.0, -1.5, 2.0])
def test_the_least_entry_is_allowed_and_none_below_it(least):
    x = torch.tensor([[least, least + 1.0]], dtype=torch.float64)
    require_finite("x", x, least=least)
    below = torch.cat([x, torch.full_like(x, math.nextafter(least, -inf))])
    require_finite("x", below)
    with pytest.raises(ValueError, match=rf"^x holds a value below {least:g}: .*\(1, 0\)"):
        require_finite("x", below, least=least)


def test_same():
    a = torch.ones(2, 3)
    require_same("a", a, "b", a.clone())
    with pytest.raises(ValueError, match=r"a and b .* \(2, 3\) and \(3,\)"):
        require_same("a", a, "b", a[0])
    with pytest.raises(ValueError, match=r"a and b .* torch.float32 and torch.float64"):
        require_same("a", a, "b", a.double())


def test_values_are_read_again_after_a_transform_failed():
    def fails(row):
        require_finite("row", row)  # not read here
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        torch.func.vmap(fails)(torch.full((2, 2), nan))
    with pytest.raises(ValueError, match="nan"):
        require_finite("row", torch.tensor([nan]))


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


@pytest.mark.parametrize("lower", HALVES, ids=["float16", "bfloat16"])
def test_probabilities_of_lower_precision(lower):
    """Rounded to bfloat16, 1000 equal weights sum to 0.99945; the caller may say why."""
    y = torch.full((1000,), 0.001).to(lower).float()
    total = y.sum().item()
    refused(f"y must sum to 1 along its last axis; row () sums to {total}, as in lower precision: "
            "renormalise, y / y.sum(-1, keepdim=True)", require_probabilities, "y", y)  # fmt: skip
    require_probabilities("y", y, precision=lower)
    require_probabilities("y", y / y.sum(-1, keepdim=True))
    off = torch.finfo(lower).eps ** 0.5
    require_probabilities("y", torch.tensor([0.5, 0.5 + 0.9 * off]), precision=lower)
    for far in (1.1 * off, 0.5):
        with pytest.raises(ValueError, match=r"^y must sum to 1") as error:
            require_probabilities("y", torch.tensor([0.5, 0.5 + far]), precision=lower)
    assert "renormalise" not in str(error.value), "that is no rounding"


def test_raised_and_rounded():
    x, half = torch.ones(2), torch.ones(2).half()
    assert raised(x, None, 3) == ((x, None, 3), None)
    (a, b, n), kind = raised(half, half, 3)
    assert (a.dtype, b.dtype, n, kind) == (torch.float32, torch.float32, 3, torch.float16)
    assert raised(half, x)[1] is None, "refused afterwards"
    assert raised(half, half.bfloat16())[1] is None
    assert raised(half, torch.arange(2))[1] == torch.float16
    with torch.autocast("cpu", torch.bfloat16):
        (a, b), kind = raised(x, half)
        assert (a.dtype, b.dtype, kind) == (torch.float32, torch.float32, torch.float16)
    mixed = rounded((x, (x.double(), torch.arange(2), None)), torch.float16)
    assert [t.dtype for t in (mixed[0], *mixed[1][:2])] == [torch.half, torch.double, torch.int64]


@pytest.mark.parametrize("lower", HALVES, ids=["float16", "bfloat16"])
def test_what_is_finite_stays_so_when_rounded(lower):
    most = torch.finfo(lower).max
    edge = torch.tensor([0.0, most * (1 + torch.finfo(lower).eps / 8)])  # still rounded to most
    assert rounded(edge, lower)[1].item() == most
    beyond = torch.tensor([0.0, -most * (1 + torch.finfo(lower).eps / 2)])
    assert beyond.isfinite().all()
    for found in (beyond, (edge, beyond)):
        said = f"the result holds a value beyond {lower}: {beyond[1]} at index (1,)"
        refused(said, rounded, found, lower)
    rounded(torch.tensor([math.inf, math.nan]), lower)
    assert rounded(beyond, lower, bounded=True).isinf().any(), "nobody looks"


def test_in_float32():
    @in_float32
    def f(x, y=None, *, k=1.0):
        assert x.dtype in (torch.float32, torch.float64)
        assert not torch.is_autocast_enabled("cpu")
        return x @ x * k, x if y is None else y

    x = torch.tensor([0.1, 0.3])
    for kind in HALVES:
        value, y = f(x.to(kind), k=3.0, y=x.to(kind))
        exact = x.to(kind).float()
        assert torch.equal(value, (exact @ exact * 3).to(kind))
        assert y.dtype == kind
    with torch.autocast("cpu", torch.bfloat16):
        assert f(x)[0].dtype == torch.float32
    assert f(x.double())[0].dtype == torch.float64
    assert f.__name__ == "f"


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


def test_masks_inside_a_transform_are_not_read():
    z = torch.tensor([[nan, 0.0], [-inf, -inf]])
    attend = torch.func.vmap(lambda z: require_mask("m", None, "z", z))(z)
    assert attend.tolist() == [[True, True], [False, False]]
    with pytest.raises(ValueError, match=r"^m must broadcast .* \(3,\) and \(2,\)"):
        torch.func.vmap(lambda z: require_mask("m", torch.ones(3).bool(), "z", z))(z)


# -- pairs, numbers and words ----------------------------------------------------------------


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


# -- tokens, leading axes, classes -----------------------------------------------------------


def test_tokens():
    x = torch.ones(2, 3, 4)
    assert require_tokens("x", x) is None
    require_tokens("x", x, "W", torch.zeros(4), tokens=3, entries=4)
    shape = "and none of them empty; got shape"
    refused(f"x must have the axes tokens and entries, {shape} (4,)", require_tokens, "x", x[0, 0])
    require_tokens("x", x[:0])  # an empty batch
    for empty in (x[:, :0], x[..., :0]):
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
    assert require_broadcast("a, b and c", a, b, c) == (2, 3)
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
