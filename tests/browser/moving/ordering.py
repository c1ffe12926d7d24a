"""The pair that an ε flips, and the integrand on the way from one law to another."""

import math
import re

import numpy as np
import torch

from attnlib.entropy import entropy, rectified
from attnlib.ordering import line_integral, segment_integrand

from .figure import Seen, f64, reading, same, shows, value

EDGE = f64([0.5, 0.5, 0.0])


def laws(corners: np.ndarray, places: np.ndarray) -> torch.Tensor:
    """The laws at some places of a triangle, from its corners."""
    columns = np.c_[corners, np.ones(3)].T
    weights = np.linalg.solve(columns, np.c_[places, np.ones(len(places))].T).T
    assert weights.min() > -1e-12
    return f64(weights).clamp(min=0) / f64(weights).clamp(min=0).sum(-1, keepdim=True)


def check_ordering(seen: Seen) -> None:
    power, x, times = seen.values
    eps, letter = 10**power, "BC"[int(times) - 1]
    law = f64([x, (1 - x) / 2, (1 - x) / 2])
    sums = {
        "border": lambda p: -entropy(p),
        "kink": lambda p: rectified(p, eps, ["once", "twice"][int(times) - 1]),
    }
    exact = [[float(f(p)) for p in (law, EDGE)] for f in sums.values()]
    shows(seen.text("sum"), exact, digits=4)
    bold = [part["font-weight"] == "700" for part in seen.parts["sum"]]
    assert bold == [v == max(row) for row in exact for v in row]
    corners = seen.points("triangle")
    same(np.ptp(corners[:, 1]) / np.ptp(corners[:, 0]), math.sqrt(0.75))  # equal sides
    dots = np.c_[seen.number("law", "cx"), seen.number("law", "cy")]
    same(laws(corners, dots), torch.stack([law, EDGE]))
    levels = [seen.points(part) for part in sums]
    for places, f in zip(levels, sums.values(), strict=True):
        same(f(laws(corners, places)), np.full(len(places), float(f(EDGE))))
        turn = np.unwrap(np.arctan2(*(places - corners.mean(0)).T[::-1]))
        assert abs(abs(turn[-1] - turn[0]) - 2 * np.pi) < 1e-9  # once around
        assert np.abs(np.diff(turn)).max() < 0.05
    # What is coloured lies within one line and not the other.
    path = seen.parts["flipped"][0]
    assert path["fill-rule"] == "evenodd"
    drawn = [float(v) for v in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", path["d"])]
    same(np.reshape(drawn, (-1, 2)), np.concatenate(levels))
    sharper = ["p₁" if first > second else "p₂" for first, second in exact]
    shown = re.fullmatch(
        r"p₁ = \((.*), (.*), (.*)\), p₂ = \(½, ½, 0\), ε = (.*): by A, (p.) is the sharper, "
        rf"by {letter}, (p.)\. The order is (kept|flipped)\.",
        seen.said,
    ).groups()
    shows(shown[:3], law, digits=3)
    assert math.isclose(float(shown[3]), eps, rel_tol=0.051)
    assert list(shown[4:6]) == sharper
    assert (shown[6] == "kept") == (sharper[0] == sharper[1])


def check_segment(seen: Seen) -> None:
    start, end, eps = seen.values
    along = reading(seen, "tick-x", "x", slice(0, 3))
    above = reading(seen, "tick-y", "y", slice(0, 7), raised=4)
    curve = seen.points("curve")
    if start == end:
        assert "the same" in seen.said
        return
    first, last = f64([start, 1 - start]), f64([end, 1 - end])
    length = float((last - first).norm())
    t = torch.linspace(0, 1, 201, dtype=torch.float64)
    slopes = segment_integrand(first, last, t, eps).numpy()
    same(along(curve[:, 0]), length * t.numpy())
    same(above(curve[:, 1]), slopes)
    for part, cut in (("minus", np.minimum(slopes, 0)), ("plus", np.maximum(slopes, 0))):
        area = seen.points(part)
        same(above(area[:, 1]), np.r_[0, cut, 0])
        same(along(area[:, 0]), np.r_[0, length * t.numpy(), length])
    middle = min(max(0.5, min(start, end)), max(start, end))
    lowest = f64([middle, 1 - middle])
    down, up = (
        0.0 if torch.equal(p, q) else float(line_integral(p, q, eps))
        for p, q in ((first, lowest), (lowest, last))
    )
    numbers = re.fullmatch(
        r"From \((.*), (.*)\) to \((.*), (.*)\), ε = (.*): the integrand rises from (.*) to (.*)\. "
        r"The area below 0 is (.*), that above (.*), and their sum (.*)\.",
        seen.said,
    ).groups()
    shows(numbers[:5], [*first, *last, eps], digits=2)
    shows(numbers[5:], [slopes[0], slopes[-1], down, up, down + up], digits=3)
    assert value(numbers[7]) <= 0 <= value(numbers[8])


FIGURES = {
    "explore-ordering": check_ordering,
    "explore-segment": check_segment,
}

WRONG = {
    "ε twice for once": ("explore-ordering", "times === 2 ? p + eps : p", "p + eps"),
    "ε ln ε of a zero left out": ("explore-ordering", "(times || p ?", "(p ?"),
    "ε in A": ("explore-ordering", "[[0, 0], [eps, times]]", "[[eps, times], [eps, times]]"),
    "base 2": ("explore-ordering", "Math.log(p + eps) :", "Math.log2(p + eps) :"),
    "a line through another law": (
        "explore-ordering", "sumOf(EDGE, eps, times)", "sumOf([0.6, 0.4, 0], eps, times)"),
    "the line stops early": ("explore-ordering", "step < 55", "step < 12"),
    "a triangle too low": ("explore-ordering", "Math.sqrt(0.75)", "0.75"),
    "all within the lines coloured": (
        "explore-ordering", '"fill-rule": "evenodd"', '"fill-rule": "nonzero"'),
    "the flatter for the sharper": ("explore-ordering", "first > second", "first < second"),
    "e for ten": ("explore-ordering", "10 ** power", "Math.exp(power)"),
    "kept for flipped": (
        "explore-ordering", "sharper[0] === sharper[1]", "sharper[0] !== sharper[1]"),
    "l of another length": ("explore-segment", "/ Math.SQRT2;", ";"),
    "no sign of the way": ("explore-segment", "Math.sign(to - from) *", ""),
    "the other weight without ε": ("explore-segment", "Math.log(1 - x + eps)", "Math.log(1 - x)"),
    "ends exchanged": ("explore-segment", "from + t * (to - from)", "to + t * (from - to)"),
    "the longer way": ("explore-segment", "Math.SQRT2 * Math.abs", "2 * Math.abs"),
    "lowest in the middle of the way": (
        "explore-segment", "Math.max(0.5, Math.min(from, to))", "(from + to) / 2"),
    "areas of A at every ε": (
        "explore-segment", "sumOf([x, 1 - x], eps, eps ? 2 : 0)", "sumOf([x, 1 - x], 0, 0)"),
}  # fmt: skip
