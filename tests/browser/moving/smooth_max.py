"""The smooth maximum, and its slope."""

import re

import numpy as np
import torch

from attnlib.smooth_max import smooth_max

from .figure import EXACT, Seen, reading, same, shows


def check_smooth_max(seen: Seen) -> None:
    x, k, n = seen.values
    numbers = torch.zeros(int(n), dtype=torch.float64)
    numbers[0] = x
    numbers.requires_grad_()
    smooth = smooth_max(numbers, k)
    slope = float(torch.autograd.grad(smooth, numbers)[0][0])
    smooth, numbers = float(smooth.detach()), numbers.detach()
    weight = float(torch.softmax(k * numbers, 0)[0])
    bound = float(smooth_max(torch.zeros(int(n), dtype=torch.float64), k))  # at the tie
    shows(seen.text("smooth"), [smooth], digits=3)
    shows(seen.text("slope"), [slope], digits=3)
    shows(seen.text("weight"), [weight], digits=3)
    shows([seen.text("bound")[0].rpartition("= ")[2]], [bound], digits=3)
    smooth_max_planes(seen, (x, k, numbers), (smooth, slope, weight, bound))
    shown = [seen.text(part)[0].split()[-1] for part in ("smooth", "bound", "weight")]
    above, most = re.fullmatch(
        rf"x = {re.escape(f'{x:.1f}'.replace('-', '−'))} and {n - 1:g} zeros?, k = {k:g}: the "
        rf"maximum is {max(x, 0):.1f}, the smooth maximum {shown[0]}, which is (.*) above it and "
        rf"may be up to ln n/k = (.*)\. Its slope is the softmax weight of x, {shown[2]}\.",
        seen.said,
    ).groups()
    shows([above], [smooth - max(x, 0)], digits=3)
    assert most == shown[1]


def smooth_max_planes(seen: Seen, setting, exact) -> None:
    """The two planes, read by the numbers at their edges."""
    x, k, numbers = setting
    smooth, slope, weight, bound = exact
    along = reading(seen, "tick-x", "x", slice(0, 7))
    above = reading(seen, "tick-y", "y", slice(0, 4), raised=4)
    share = reading(seen, "tick-y", "y", slice(4, 7), raised=4)
    rows = numbers.repeat(301, 1)
    rows[:, 0] = torch.linspace(-3, 3, 301, dtype=torch.float64)
    kink, curve, tangent, band = (
        np.c_[along(p[:, 0]), above(p[:, 1])]
        for p in map(seen.points, ("kink", "curve", "tangent", "band"))
    )
    same(kink, [[-3, 0], [0, 0], [3, 3]])
    same(band, np.r_[kink, kink[::-1] + np.array([0, bound])])
    same(curve, np.c_[rows[:, 0], smooth_max(rows, k)])
    same(tangent[:, 1], smooth + slope * (tangent[:, 0] - x))
    assert tangent[0, 0] <= x <= tangent[1, 0]
    assert 0.3 < np.ptp(tangent[:, 0]) <= 3 + EXACT
    same([along(seen.number("point", "cx"))[0], above(seen.number("point", "cy"))[0]], [x, smooth])
    same(above(np.r_[seen.number("tie", "y1"), seen.number("tie", "y2")]), [0, bound])
    same(along(seen.number("tie", "x1")), [0])
    weights = seen.points("weights")
    same(along(weights[:, 0]), rows[:, 0])
    same(share(weights[:, 1]), torch.softmax(k * rows, -1)[:, 0])
    same(share(seen.number("weight-point", "cy")), [weight])
    same(along(seen.number("weight-point", "cx")), [x])


FIGURES = {
    "explore-smooth-max": check_smooth_max,
}

WRONG = {
    "1/k forgotten": ("explore-smooth-max", "(top + Math.log(sum)) / k", "top / k + Math.log(sum)"),
    "k forgotten in the weight": (
        "explore-smooth-max",
        "softmax(scores)[0]",
        "softmax(scores.map((z) => z / k))[0]",
    ),
    "k times the weight": ("explore-smooth-max", "softmax(scores)[0]", "k * softmax(scores)[0]"),
    "mellowmax": ("explore-smooth-max", "Math.log(sum))", "Math.log(sum / n))"),
    "one zero too many": ("explore-smooth-max", "Array(n - 1)", "Array(n)"),
    "ln 2/k for any n": ("explore-smooth-max", "Math.log(n) / k", "Math.log(2) / k"),
    "a tangent too flat": (
        "explore-smooth-max",
        "weight * (x - place)",
        "0.99 * weight * (x - place)",
    ),
    "a secant beside the point": (
        "explore-smooth-max",
        "smooth + weight *",
        "smooth + 0.01 + weight *",
    ),
    "a scale that is not its own": (
        "explore-smooth-max",
        "180 - 150 * weight",
        "180 - 140 * weight ** 1.01",
    ),
}
