"""The largest weight against d_k and n."""

import math
import re

import numpy as np

from .figure import SCRIPTS, Seen, same, shows

TABLE = re.search(
    r"LARGEST = `\n(.*?)\n`", (SCRIPTS / "scaling.js").read_text(encoding="utf-8"), re.DOTALL
)
# tests/test_scaling.py holds it against attnlib.
LARGEST = np.array([row.split() for row in TABLE[1].splitlines()], dtype=float) / 1000


def hundredths(p: float) -> str:
    return "less than 0.01" if p < 0.005 else f"{p:.2f}"


def check_scaling(seen: Seen) -> None:
    width, doublings = seen.values
    row = LARGEST[int(doublings) - 1]
    without = np.interp(2 * math.log2(width), np.arange(17), row)
    critical = 2 * math.log(2**doublings)
    # The curve: a unit of log₂ d_k is 30 wide, a weight of 1 is 240 high.
    same(seen.points("row") @ np.diag([1 / 15, -1]) + [0, 240], np.c_[np.arange(17), 240 * row])
    same(seen.number("critical", "x1") / 30, [math.log2(critical)])
    same(seen.number("without", "cx") / 30, [math.log2(width)])
    same(1 - seen.number("without", "cy") / 240, [without])
    same(1 - seen.number("scaled", "cy") / 240, row[:1])
    # The plane: the row of n is 240/19 high, the lowest is that of 2.
    same(seen.number("cell", "fill-opacity"), LARGEST.ravel())
    line = seen.points("line") / [30, 240 / 19]
    same(2 ** line[:, 0], 2 * math.log(2) * (19.5 - line[:, 1]))
    same(seen.number("place", "cx") / 30, [math.log2(width), 0])
    same(19.5 - seen.number("place", "cy") / (240 / 19), [doublings, doublings])
    keys, d, threshold, *shown = re.fullmatch(
        r"([\d\u202f]+) keys, dₖ = (\d+), 2 ln n = (\d+\.\d)\. The largest weight is (.*) on "
        r"average without a divisor, (.*) with √dₖ\.",
        seen.said,
    ).groups()
    assert [int(keys.replace("\u202f", "")), int(d)] == [2**doublings, width]
    shows([threshold], [critical], digits=1)
    for text, p in zip(shown, (without, row[0]), strict=True):
        assert ("less" in text) == (p < 0.005)
        if "less" not in text:
            shows([text], [p], digits=2)


FIGURES = {
    "explore-scaling": check_scaling,
}

WRONG = {
    "log₂ for ln": ("explore-scaling", "2 * doublings * Math.LN2", "2 * doublings"),
    "ln n for 2 ln n": ("explore-scaling", "2 * doublings * Math.LN2", "doublings * Math.LN2"),
    "the border elsewhere": ("explore-scaling", "across(2 * j * Math.LN2)", "across(2 * j)"),
    "no line between columns": ("explore-scaling", "(column - left) *", "0 *"),
    "the width for its root": ("explore-scaling", "2 * Math.log2(width)", "Math.log2(width)"),
    "the row of another n": (
        "explore-scaling",
        "row = LARGEST[doublings - 1]",
        "row = LARGEST.at(-doublings)",
    ),
    "the two dots exchanged": ("explore-scaling", "[without, scaled] =", "[scaled, without] ="),
}
