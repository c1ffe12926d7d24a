"""attnlib/evidence/compare.py: what each comparison allows, and how far a miss is."""

import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from attnlib.evidence import ClaimError, excused, within
from attnlib.evidence.compare import Mean, Near, Pattern, one_digit

nan, inf = float("nan"), float("inf")
EPS = 2.0**-52


def hand(atol=0.0, rtol=0.0):
    return within(atol, "by hand", rtol=rtol)


# -- each comparison: the right on the border, the wrong just outside ----------------------

# method, value, reference, tolerance, wrong version
SOUND = [
    pytest.param(m, v, r, t, w, id=f"{m}:{name}")
    for m, name, v, r, t, w in [
        ("agrees", "scalar-float", 1.0, 1.0, None, 1.5),
        ("agrees", "scalar-integer", 3, 3, None, 4),
        ("agrees", "scalar-boolean", True, True, None, False),
        ("agrees", "scalar-tensor", torch.tensor(3), 3, None, torch.tensor(4)),
        ("agrees", "integer-against-float", [1, 2], [1.0, 2.0], None, [1, 3]),
        ("agrees", "booleans", [True, False, True], np.array([True, False, True]), None,
         [True, True, False]),
        ("agrees", "beyond-2^53", [2**53 + 1, 7], [2**53 + 1, 7], None, [2**53, 7]),
        ("agrees", "float32", torch.tensor([0.1]), [float(np.float32(0.1))], None, [0.1]),
        ("agrees", "nested-list", [[1.0, 2.0], [3.0, 4.0]], torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
         None, [[1.0, 3.0], [2.0, 4.0]]),
        ("agrees", "one-bad-of-many", np.zeros(999), np.zeros(999), None, np.eye(1, 999, 998)[0]),
        ("agrees", "below-by-atol", [0.5], [1.0], hand(0.5), [0.4375]),
        ("agrees", "above-by-atol", [1.5], [1.0], hand(0.5), [1.5625]),
        ("agrees", "above-by-rtol", [-3.0], [-2.0], hand(rtol=0.5), [-3.0625]),
        ("agrees", "atol-plus-rtol", [3.5], [2.0], hand(0.5, 0.5), [3.5625]),
        ("agrees", "rtol-of-the-reference", [2.0], [4.0], hand(rtol=0.5), [1.9375]),
        ("agrees", "rtol-of-zero", [0.0, 1.5], [0.0, 1.0], hand(rtol=0.5), [1e-300, 1.0]),
        ("agrees", "integers-with-atol", [10, 20], [11, 20], hand(1.0), [10, 22]),
        ("agrees", "integers-are-not-rounded", 2**53, 0, hand(2.0**53), 2**53 + 1),
        ("agrees", "huge", [1e308, 1.0], [1e308, 1.0], hand(1e307), [-1.5e308, 2.0]),
        ("agrees", "tiny", 5e-324, 0.0, hand(5e-324), 1.5e-323),
        ("at_most", "below", [1.0, 2.0], [1.0, 3.0], None, [1.0, 3.5]),
        ("at_most", "integers", 3, 3, None, 4),
        ("at_most", "slack", [1.5], [1.0], hand(0.5), [1.5625]),
        ("at_most", "slack-of-a-negative-bound", [-1.0], [-2.0], hand(rtol=0.5), [-0.9375]),
        ("at_least", "above", [1.0, 3.0], [1.0, 2.0], None, [0.5, 3.0]),
        ("at_least", "integers", 4, 3, None, 1),
        ("at_least", "slack", [0.5], [1.0], hand(0.5), [0.4375]),
        ("at_least", "slack-of-a-negative-bound", [-3.0], [-2.0], hand(rtol=0.5), [-3.0625]),
        ("pattern", "all-three-signs", [-2.0, 0.0, 5.0], [-1, 0, 1], None, [-2.0, 5.0, 5.0]),
        ("pattern", "integers", [-2, 0, 5], [-1.0, 0.0, 1.0], None, [2, 0, 5]),
        ("pattern", "scalar-integer", -7, -1, None, 8),
        ("pattern", "zero-within-atol", [-0.5, 2.0], [0, 1], hand(0.5), [-0.5625, 2.0]),
        ("pattern", "no-sign-within-atol", [2.0], [1], hand(0.5), [0.5]),
        ("pattern", "zero-nowhere-else", [0.0, 3.0], [False, True], None, [0.0, -0.0]),
        ("pattern", "zero-everywhere-there", [0.0, 3.0], [False, True], None, [1.0, 3.0]),
        ("pattern", "either-sign", [0, -3, 3], [False, True, True], None, [0, -3, 0]),
        ("pattern", "scalar-zero", 0, False, None, 1),
        ("pattern", "negative-zero", [-0.0, 3.0], [False, True], None, [-3.0, 3.0]),
        ("pattern", "mask-within-atol", [-0.5, 3.0], [False, True], hand(0.5), [-0.5625, 3.0]),
    ]
]  # fmt: skip


def excused_if_hollow(wrong):
    zero = not np.asarray(wrong).any()
    return excused(wrong, "the smallest case") if zero else wrong


@pytest.mark.parametrize(("method", "value", "reference", "tolerance", "wrong"), SOUND)
def test_right_is_accepted_and_wrong_rejected(method, value, reference, tolerance, wrong, compare):
    case = [method, value, reference, tolerance]
    told = excused_if_hollow(wrong) if method == "pattern" else wrong
    (rejected,) = compare(*case, wrong=[told])["rejects"]
    assert rejected["name"] == "wrong 0"
    with pytest.raises(ClaimError, match=r"the wrong version 'wrong 1' is accepted \["):
        compare(*case, wrong=[told, value])
    with pytest.raises(ClaimError, match=r"claim fake: the case: \S+ [a-z ]+ \S+.* \["):
        compare(method, wrong, reference, tolerance, wrong=[value])


def test_the_worst_entry_is_named(compare):
    value = np.zeros((2, 3))
    value[0, 1], value[1, 2] = 1.0, -7.0
    message = "-7.0 differs from 0.0 at index (1, 2); 2 of 6 entries are off [|error| ≤ 1e-9]"
    with pytest.raises(ClaimError, match=re.escape(f"claim fake: the case: {message}")):
        compare("agrees", value, np.zeros((2, 3)), within(1e-9), wrong=[value])
    with pytest.raises(ClaimError, match=re.escape("3.5 exceeds 2.0 at index (1,); 1 of 2")):
        compare("at_most", [1.0, 3.5], [1.0, 2.0], wrong=[value])
    with pytest.raises(ClaimError, match=re.escape("case: 3.5 is below 4.0 [exact]")):
        compare("at_least", 3.5, 4.0, wrong=[value])
    with pytest.raises(
        ClaimError, match=re.escape("5.0 does not have the sign -1.0 at index (1,)")
    ):
        compare("pattern", [0.0, 5.0], [0, -1], wrong=[value])


def test_the_worst_of_a_relative_tolerance_is_that_in_tolerances(compare):
    with pytest.raises(ClaimError, match=re.escape("1.5 differs from 1.0 at index (1,); 2 of 2")):
        compare("agrees", [110.0, 1.5], [100.0, 1.0], hand(rtol=0.05), wrong=[[1.0, 1.0]])


# -- tolerances ----------------------------------------------------------------------------


@pytest.mark.parametrize("tolerance", [-1e-3, nan, inf, -inf])
@pytest.mark.parametrize("name", ["atol", "rtol"])
def test_no_tolerance(name, tolerance):
    with pytest.raises(ClaimError, match=f"{name} must be finite and ≥ 0, got "):
        within(**{"atol": 0.0, name: tolerance})


@pytest.mark.parametrize("why", [1e-6, None], ids=str)
def test_a_reason_is_a_sentence(why, no_shape_checks):
    with pytest.raises(TypeError, match=re.escape("within(atol, why, rtol=...)")):
        within(1e-12, why)


def test_a_tolerance_that_overflows(compare):
    with pytest.raises(ClaimError, match="the tolerance overflows"):
        compare("agrees", 1e308, 1e308, hand(rtol=10.0), wrong=[2.0])


@pytest.mark.parametrize(
    ("tolerance", "text"),
    [
        (None, "exact"),
        (within(0), "exact"),
        (within(1, "x"), "|error| ≤ 1e0"),
        (within(3.5e-15), "|error| ≤ 4e-15"),
        (within(0.0, rtol=1e-9), "|error| ≤ 1e-9·|reference|"),
        (within(1e-3, "x", rtol=1e-9), "|error| ≤ 1e-3 + 1e-9·|reference|"),
    ],
    ids=str,
)
def test_the_tolerance_in_words(tolerance, text, compare):
    assert compare("agrees", 1.0, 1.0, tolerance, wrong=[9.0])["tolerance"] == text


def test_the_words_of_the_others(compare):
    tolerance = within(1e-9)
    assert compare("at_most", 1.0, 1.0, tolerance, wrong=[2.0])["tolerance"] == "slack ≤ 1e-9"
    assert compare("at_least", 2.0, 1.0, tolerance, wrong=[0.5])["tolerance"] == "slack ≤ 1e-9"
    assert compare("pattern", 2.0, 1, tolerance, wrong=[-3.0])["tolerance"] == "|zero| ≤ 1e-9"


@pytest.mark.parametrize("tolerance", [1e-9, 0.5, "1e-9", (1e-9, "why")], ids=repr)
def test_a_tolerance_is_made_by_within(tolerance, compare, no_shape_checks):
    with pytest.raises(TypeError, match=re.escape("must come from within(atol, why), got ")):
        compare("agrees", 1.0, 1.0, tolerance, wrong=[2.0])


def test_booleans_have_no_tolerance(compare):
    with pytest.raises(ClaimError, match="booleans have no tolerance"):
        compare("agrees", [True], [True], hand(0.5), wrong=[[False]])
    assert compare("agrees", [True], [True], within(0), wrong=[[False]])


def test_what_a_pattern_is(compare):
    with pytest.raises(ClaimError, match="a pattern has no relative tolerance"):
        compare("pattern", [1.0], [1], hand(0.0, 0.5), wrong=[[2.0]])
    for bad in ([2], [0.5], [-1, 7]):
        with pytest.raises(ClaimError, match="a pattern holds -1, 0 and 1, or booleans"):
            compare("pattern", [1.0], bad, wrong=[[2.0]])


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
    number = float(f"{digit}e{exponent}") * (1 + ulps * EPS)
    assert one_digit(number) == f"{digit}e{exponent}"


# -- how far a wrong version misses --------------------------------------------------------


@pytest.mark.parametrize(
    ("miss", "bucket"),
    [
        (1.5, 1), (1.999, 1), (2, 2), (9.99, 2), (10, 10), (999.0, 10), (1000, 10**3),
        (999_999.0, 10**3), (10**6, 10**6), (1e9 - 10, 10**6), (10**9, 10**9), (1e15, 10**9),
    ],
)  # fmt: skip
@pytest.mark.parametrize("noise", [1 - 4 * EPS, 1, 1 + 4 * EPS], ids=["below", "at", "above"])
@pytest.mark.parametrize("method", ["agrees", "at_least"])
def test_buckets_in_tolerances(method, miss, bucket, noise, compare):
    """Also where rounding moves a miss that lies on the edge of a bucket."""
    (told,) = compare(method, 0.0, 0.0, hand(2.0**-20), wrong=[-miss * noise * 2.0**-20])["rejects"]
    assert (told["miss"], told["unit"]) == (bucket, "tolerances")


def test_a_miss_is_that_of_the_worst_entry(compare):
    wrong = [1.0, 1.0 + 50.0, 1.25]
    (told,) = compare("agrees", np.ones(3), np.ones(3), hand(0.125), wrong=[wrong])["rejects"]
    assert told["miss"] == 10


@pytest.mark.parametrize(("entries", "bucket"), [(1, 1), (2, 2), (9, 2), (10, 10), (1500, 1000)])
def test_buckets_in_entries(entries, bucket, compare):
    value = np.arange(2000)
    for method, reference in (("agrees", value), ("at_most", value), ("pattern", value > 0)):
        wrong = value + 5 * (np.arange(2000) >= 2000 - entries)
        if method == "pattern":
            wrong = value * (np.arange(2000) < 2000 - entries)
        (told,) = compare(method, value, reference, wrong=[wrong])["rejects"]
        assert (told["miss"], told["unit"]) == (bucket, "entries")


def test_no_error_is_allowed_where_a_relative_tolerance_is_zero(compare):
    record = compare("agrees", [0.0, 1.0], [0.0, 1.0], within(0, rtol=1e-6), wrong=[[1e-300, 1.0]])
    assert record["rejects"][0]["miss"] == 10**9
    assert record["window"] == "any tolerance up to 10¹⁸ times as wide gives this verdict"


@pytest.mark.parametrize(
    ("yardstick", "value", "text"),
    [
        pytest.param(Near([1.0], hand(0.25)), [1.25], "", id="agreement-on-the-border"),
        pytest.param(Near([1.0], None, 1), [-9.0], "", id="far-below-a-bound"),
        pytest.param(Near([1.0], None, -1), [9.0], "", id="far-above-a-bound"),
        pytest.param(Pattern([1], None), [9.0], "", id="sign"),
    ],
)
def test_no_gap(yardstick, value, text):
    gap = yardstick.gap(value)
    assert (gap.off, gap.text) == (0, text)
    assert gap.miss <= 1


# -- narrow misses, windows, reasons -------------------------------------------------------


@pytest.mark.parametrize("miss", [1.5, 1.999], ids=str)
def test_a_narrow_miss_needs_a_reason_or_an_excuse(miss, compare):
    narrow = "the wrong version 'wrong 0' misses by less than 2 tolerances. Find a better one"
    with pytest.raises(ClaimError, match=re.escape(narrow)):
        compare("agrees", 1.0, 1.0, within(0.25), wrong=[1.0 + miss / 4])
    with pytest.raises(ClaimError, match=re.escape(narrow)):
        compare("agrees", 1.0, 1.0, within(0.25, " "), wrong=[1.0 + miss / 4])
    with pytest.raises(ClaimError, match=r"excused\(value, why\) \[\|error\| ≤ 3e-1\]"):
        compare("agrees", 1.0, 1.0, within(0.25), wrong=[1.0 + miss / 4])
    assert compare("agrees", 1.0, 1.0, hand(0.25), wrong=[1.0 + miss / 4])["why"] == "by hand"
    record = compare("agrees", 1.0, 1.0, hand(0.25), wrong=[excused(1.0 + miss / 4, "small n")])
    assert record["rejects"][0]["excuse"] == "small n"


def test_two_tolerances_are_not_narrow(compare):
    with pytest.raises(ClaimError, match="the tolerance decides"):
        compare("agrees", 1.0, 1.0, within(0.25), wrong=[1.5])
    with pytest.raises(ClaimError, match="needs no excuse"):
        compare("agrees", 1.0, 1.0, hand(0.25), wrong=[excused(1.5, "it is wide enough")])


def test_a_narrow_pattern(compare):
    with pytest.raises(ClaimError, match="misses by less than 2 tolerances"):
        compare("pattern", [0.0, 9.0], [0, 1], within(0.25), wrong=[[0.375, 9.0]])
    assert compare("pattern", [0.0, 9.0], [0, 1], hand(0.25), wrong=[[0.375, 9.0]])["why"]
    with pytest.raises(ClaimError, match=r"the tolerance decides.*A thousand times as wide"):
        compare("pattern", [0.0, 9.0], [0, 1], within(0.25), wrong=[[0.5, 9.0]])
    # A miss on one side is enough: the other entry stays off however wide the zero is.
    record = compare("pattern", [0.0, 9.0, 8.0], [0, 1, 1], within(1e-9), wrong=[[0.0, 9.0, -8.0]])
    assert record["window"] == "any tolerance up to 1e0 gives this verdict"


@pytest.mark.parametrize("method", ["agrees", "at_least"])
def test_a_miss_by_rounding_alone(method, compare):
    ulp = [1.0, 1.0 - EPS]
    with pytest.raises(ClaimError, match=r"misses by rounding alone.*another machine.*\[exact\]"):
        compare(method, np.ones(2), np.ones(2), wrong=[ulp])
    excuse = excused(ulp, "the last bit is what this is about")
    assert compare(method, np.ones(2), np.ones(2), wrong=[excuse])["rejects"][0]["miss"] == 1
    assert compare(method, np.ones(2), np.ones(2), wrong=[[1.0, 1.0 - 20 * EPS]])
    assert compare(method, [2**60, 7], [2**60, 7], wrong=[[2**60 - 1, 7]]), "integers do not round"
    assert compare(method, np.zeros(2), np.zeros(2), wrong=[[0.0, -1e-300]]), "nor does 0"


@pytest.mark.parametrize("noise", [1 - 4 * EPS, 1, 1 + 4 * EPS], ids=["below", "at", "above"])
def test_a_reason_is_demanded_where_the_tolerance_decides(noise, compare):
    """Below 10³ tolerances, whatever rounding does to a miss that lies just there."""
    decides = "the tolerance decides, so it needs a reason: within(atol, why). The wrong version"
    with pytest.raises(ClaimError, match=re.escape(f"{decides} 'wrong 1' is off by at least 10 ")):
        compare("agrees", 1.0, 1.0, within(1 / 8), wrong=[1e9, 1.0 + 124.9])
    record = compare("agrees", 1.0, 1.0, hand(1 / 8), wrong=[1e9, 1.0 + 124.9])
    assert (record["why"], record["window"]) == ("by hand", "")
    record = compare("agrees", 0.0, 0.0, hand(1 / 8), wrong=[1e9, 125.0 * noise])
    assert (record["why"], record["window"]) == ("", "any tolerance up to 1e1 gives this verdict")


@pytest.mark.parametrize(
    ("tolerance", "wrong", "window"),
    [
        pytest.param(within(1e-9), 0.5, "1e-1", id="the-wrong-version-is-nearer-than-1"),
        pytest.param(within(1e-9), 1.0, "1e-1", id="not-the-tolerance-that-accepts-it"),
        pytest.param(within(1e-9), 1.001, "1e0", id="just-wider"),
        pytest.param(within(4e-12), 0.05, "1e-2", id="a-power-of-ten-within-the-window"),
        pytest.param(within(1e-300), 0.5, "1e-282", id="not-followed-for-ever"),
        pytest.param(within(0, rtol=1e-9), 0.5, "10⁸ times as wide", id="relative"),
        pytest.param(within(1e-12, rtol=1e-9), 0.5, "10⁸ times as wide", id="both"),
    ],
)
@pytest.mark.parametrize("method", ["agrees", "at_least"])
def test_the_window(method, tolerance, wrong, window, compare):
    record = compare(method, 1.0, 1.0, tolerance, wrong=[1.0 - wrong * (1 + EPS), -1e9])
    assert record["window"] == f"any tolerance up to {window} gives this verdict"
    widest = 10.0 ** (int(window[2:]) if window[0] == "1" and "e" in window[:3] else 0)
    if "times" in window:
        widest, tolerance = 0.0, within(0, "the widest", rtol=1e8 * tolerance.rtol)
    else:
        tolerance = within(widest, "the widest")
    assert compare(method, 1.0, 1.0, tolerance, wrong=[1.0 - wrong * (1 + EPS), -1e9])


def test_the_window_of_a_pattern_ends_where_the_right_value_or_a_wrong_one_turns(compare):
    def window(value, wrong):
        return compare("pattern", [0.0, value], [0, 1], within(1e-9), wrong=[wrong])["window"]

    assert window(5.0, [0.03, 5.0]) == "any tolerance up to 1e-2 gives this verdict"
    assert window(0.003, [0.03, 5.0]) == "any tolerance up to 1e-3 gives this verdict"
    assert window(0.003, [0.0, -5.0]) == "any tolerance up to 1e-3 gives this verdict"
    assert window(5.0, [0.01, 5.0]) == "any tolerance up to 1e-3 gives this verdict"
    assert window(1e30, [0.0, -2e30]) == "any tolerance up to 1e9 gives this verdict"
    with pytest.raises(ClaimError, match="the tolerance decides"):
        window(5e-7, [0.03, 5.0])


def test_an_exact_comparison_has_neither_window_nor_reason(compare):
    for tolerance in (None, within(0)):
        record = compare("agrees", 1.0, 1.0, tolerance, wrong=[1.5])
        assert (record["window"], record["why"]) == ("", "")


# -- statistics ----------------------------------------------------------------------------


def student(p, entries=1):
    """Quantile of Student's t with two degrees of freedom, in closed form."""
    p = 1 - (1 - p) / (2 * entries)
    return (2 * p - 1) / (2 * p * (1 - p)) ** 0.5


@pytest.mark.parametrize("entries", [1, 2, 5])
def test_half_width_by_hand(entries, compare):
    # −1, 0, 1: mean 0, standard deviation 1 with Bessel's correction, standard error 1/√3.
    draws = np.array([-1.0, 0.0, 1.0])[:, None].repeat(entries, axis=1)
    half = student(0.95, entries) / 3**0.5
    inside, outside = np.zeros(entries), np.zeros(entries)
    inside[-1], outside[-1] = half * (1 - 1e-9), -half * (1 + 1e-9)
    wrong = excused(outside, "the border itself")
    record = compare("is_mean_of", inside, draws, wrong=[wrong], confidence=0.95)
    expected = f"{student(0.95, entries):.1f} standard errors ≤ {one_digit(half)}, N = 3"
    assert record["tolerance"] == expected
    assert record["why"] == "that is Student's 95 % interval"
    assert record["rejects"][0]["unit"] == "standard errors"
    with pytest.raises(ClaimError, match=r"is accepted \[.*standard errors"):
        compare("is_mean_of", 0 * inside, draws, wrong=[inside], confidence=0.95)


def test_a_miss_in_standard_errors(compare):
    draws = np.array([-1.0, 0.0, 1.0]) * 3**0.5  # standard error 1
    for miss, bucket in ((9.5, 2), (12.0, 10), (1200.0, 10**3)):
        record = compare("is_mean_of", 0.0, draws, wrong=[miss], confidence=0.9)
        assert record["rejects"][0]["miss"] == bucket


def test_a_narrow_statistic_needs_an_excuse(compare):
    draws = np.array([-1.0, 0.0, 1.0]) * 3**0.5
    half = student(0.9)
    for wrong in (1.1 * half, 1.99 * half):
        with pytest.raises(ClaimError, match="less than 2 half-widths of the interval"):
            compare("is_mean_of", 0.0, draws, wrong=[wrong], confidence=0.9)
        assert compare("is_mean_of", 0.0, draws, wrong=[excused(wrong, "x")], confidence=0.9)
    assert compare("is_mean_of", 0.0, draws, wrong=[2.01 * half], confidence=0.9)


def test_the_largest_half_width_is_printed(compare):
    draws = np.array([-1.0, 0.0, 1.0])[:, None] * [1.0, 100.0]
    record = compare("is_mean_of", np.zeros(2), draws, wrong=[[9.0, 0.0]], confidence=0.5)
    half = 100 * student(0.5, 2) / 3**0.5
    assert f"≤ {one_digit(half)}," in record["tolerance"]


def test_float32_is_averaged_in_float64(compare):
    draws = np.float32([1e38, 2e38, 3e38])  # a sum in float32 would overflow
    assert compare("is_mean_of", 2e38, draws, wrong=[1e37], confidence=0.5)


def rate_of_acceptance(value, mean, shape, confidence, trials=600):
    rng = np.random.default_rng(0)
    draws = (rng.normal(mean, size=shape) for _ in range(trials))
    return sum(not Mean(d, confidence).gap(value).off for d in draws) / trials


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
        Mean(draws, 0.9)


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
def test_draws_whose_mean_overflows():
    with pytest.raises(ClaimError, match="overflow"):
        Mean([1.5e308, 1.4e308, 1.6e308], 0.9)


@pytest.mark.parametrize("confidence", [0.0, 0.49, 1.0, 1.5, nan])
def test_no_confidence(confidence):
    with pytest.raises(ClaimError, match="confidence must be in"):
        Mean([-1.0, 1.0], confidence)


def test_a_confidence_next_to_1():
    """1 − (1 − confidence)/2 would be 1, whose quantile is infinite."""
    yardstick = Mean(np.array([-1.0, 0.0, 1.0]), 1 - EPS / 2)
    assert yardstick.quantile == pytest.approx((2 / EPS) ** 0.5, rel=1e-6)
    assert Mean(np.array([-1.0, 1.0]), 0.5).quantile == pytest.approx(1.0)
