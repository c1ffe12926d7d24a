"""attnlib/evidence/hollow.py: what nobody would write is no wrong version."""

import numpy as np
import pytest
import sympy

from attnlib.evidence import ClaimError, excused, within

NOISE = 1 + 2.0**-50  # what another order of summation can do
CONSTANT = "a constant array in place of a computed one"
ZERO = "the value times 0"
VALUE, YARDSTICK = "the value with its sign turned", "the yardstick with its sign turned"
EXCHANGED = "the two sides of the same inequality exchanged"
x, y = sympy.symbols("x y")
DRAWS = [[0.0, 3.0], [1.0, 4.0], [2.0, 5.5]]

HOLLOW = [
    pytest.param(*case, id=f"{case[0]}:{name}")
    for name, *case in [
        ("zero", "agrees", [1.0, 2.0], [1.0, 2.0], [0.0, -0.0], ZERO),
        ("zero-number", "agrees", 3, 3, 0, ZERO),
        ("zero", "at_least", [1.0, 2.0], [1.0, 1.5], [0.0, 0.0], ZERO),
        ("zero", "pattern", [1.0, -2.0], [1, -1], [0.0, 0.0], ZERO),
        ("zero", "is_mean_of", [1.0, 4.0], DRAWS, [0.0, 0.0], ZERO),
        ("zero", "equals", x, x, 0 * x, ZERO),
        ("zero-matrix", "equals", sympy.Matrix([x, y]), sympy.Matrix([x, y]),
         sympy.zeros(2, 1), ZERO),
        ("constant", "agrees", [1.0, 2.0], [1.0, 2.0], [1.5, 1.5], CONSTANT),
        ("constant-but-for-rounding", "agrees", [1.0, 2.0], [1.0, 2.0], [1.5, 1.5 * NOISE],
         CONSTANT),
        ("constant-integers", "agrees", [1, 2], [1, 2], [7, 7], CONSTANT),
        ("constant-booleans", "agrees", [True, False], [True, False], [True, True], CONSTANT),
        ("constant", "at_most", [1.0, 2.0], [3.0, 3.0], [9.0, 9.0], CONSTANT),
        ("constant", "pattern", [1.0, -2.0], [1, -1], [5.0, 5.0], CONSTANT),
        ("turned", "agrees", [1.0, 2.0], [1.0, 2.0], [-1.0, -2.0], VALUE),
        ("turned-but-for-rounding", "agrees", [1.0, 2.0], [1.0, 2.0], [-1.0, -2.0 * NOISE], VALUE),
        ("turned-number", "agrees", 3.0, 3.0, -3.0, VALUE),
        ("turned", "at_most", [-2.0, -1.0], [0.5, 0.5], [2.0, 1.0], VALUE),
        ("turned", "at_least", [2.0, 1.0], [0.5, 0.5], [-2.0, -1.0], VALUE),
        ("turned", "pattern", [1.0, -2.0], [1, -1], [-1.0, 2.0], VALUE),
        ("turned", "equals", x + y, x + y, -x - y, VALUE),
        ("yardstick", "agrees", [1.125, 2.0], [1.0, 2.0], [-1.0, -2.0], YARDSTICK),
        ("yardstick", "at_least", [1.5, 2.5], [1.0, 2.0], [-1.0, -2.0], YARDSTICK),
        ("yardstick", "is_mean_of", [1.25, 4.25], DRAWS, [-1.0, -12.5 / 3], YARDSTICK),
        ("yardstick", "equals", (x + y) ** 2, x**2 + 2 * x * y + y**2,
         -(x**2) - 2 * x * y - y**2, YARDSTICK),
        ("exchanged", "at_most", [1.0, 2.0], [3.0, 4.0], [5.0, 6.0], EXCHANGED),
        ("exchanged", "at_least", 3.0, 2.0, 1.0, EXCHANGED),
        ("exchanged-differences", "at_least", [3.0, 5.0], [1.0, 1.0], [-1.0, -3.0], EXCHANGED),
    ]
]  # fmt: skip


WIDE = {"agrees": {"tolerance": within(0.125, "by hand")}, "is_mean_of": {"confidence": 0.6}}


@pytest.mark.parametrize(("method", "value", "reference", "wrong", "kind"), HOLLOW)
def test_refused_unless_excused(method, value, reference, wrong, kind, compare, capsys):
    """An excuse is shown."""
    wide = {} if np.asarray(value).dtype.kind == "b" else WIDE.get(method, {})
    with pytest.raises(ClaimError, match=rf"the wrong version 'wrong 0' is {kind}: nobody"):
        compare(method, value, reference, wrong=[wrong], **wide)
    record = compare(method, value, reference, wrong=[excused(wrong, "it is")], **wide)
    (told,) = record["rejects"]
    assert (told["hollow"], told["excuse"]) == (kind, "it is")
    assert "; it is\n" in capsys.readouterr().out


SOUND = [
    pytest.param(*case, id=name)
    for name, *case in [
        ("constant-where-the-reference-is", "agrees", [1.0, 1.0], [1.0, 1.0], [2.0, 2.0]),
        ("constant-where-the-reference-is-up-to-rounding", "agrees", [1.0, NOISE], [1.0, NOISE],
         [2.0, 2.0]),
        ("constant-where-the-value-is", "at_most", [1.0, 1.0], [1.5, 2.0], [3.0, 3.0]),
        ("one-boolean", "agrees", True, True, False),
        ("other-booleans", "agrees", [True, False, True], [True, False, True],
         [True, True, False]),
        ("one-number", "agrees", 3.0, 3.0, 4.0),
        ("one-entry", "agrees", [3.0], [3.0], [4.0]),
        ("nearly-constant", "agrees", [1.0, 2.0], [1.0, 2.0], [1.5, 1.5 + 1e-9]),
        ("nearly-turned", "agrees", [1.0, 2.0], [1.0, 2.0], [-1.0, -2.0 - 1e-9]),
        ("nothing-where-nothing-is", "agrees", [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]),
        ("nearly-exchanged", "at_most", [1.0, 2.0], [3.0, 4.0], [5.0, 6.0 + 1e-9]),
        ("half-turned", "equals", x + y, x + y, x - y),
        ("zero-for-zero", "equals", 0 * x, 0 * x, x),
        ("huge", "agrees", [1e308, 1.0], [1e308, 1.0], [-1.5e308, 1.0]),
    ]
]  # fmt: skip


@pytest.mark.parametrize(("method", "value", "reference", "wrong"), SOUND)
def test_not_hollow(method, value, reference, wrong, compare):
    (told,) = compare(method, value, reference, wrong=[wrong])["rejects"]
    assert told["hollow"] == ""


def test_an_excuse_that_is_not_needed(compare):
    with pytest.raises(ClaimError, match="the wrong version 'wrong 0' needs no excuse"):
        compare("agrees", 1.0, 1.0, wrong=[excused(2.0, "why not")])


@pytest.mark.parametrize("why", ["", "  ", None, 3], ids=repr)
def test_an_excuse_without_a_reason(why, no_shape_checks):
    with pytest.raises(ClaimError, match="an excuse needs a reason"):
        excused(2.0, why)


def test_an_excuse_is_no_way_past_the_comparison(compare):
    with pytest.raises(ClaimError, match="is accepted"):
        compare("agrees", 1.0, 1.0, wrong=[excused(1.0, "let it pass")])
    with pytest.raises(ClaimError, match=r"refused, not rejected.*nan"):
        compare("agrees", 1.0, 1.0, wrong=[excused(float("nan"), "let it pass")])
