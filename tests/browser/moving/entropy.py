"""A row of weights, its entropy, and what one and two ε make of it."""

import math
import re

import numpy as np
import torch

from attnlib.entropy import entropy, rectified

from .figure import EXACT, Seen, f64, same, shows

SIDE = 190  # of the triangle


def laws_at(points) -> np.ndarray:
    """The laws at these places of the triangle."""
    third = 1 - points[:, 1] / (SIDE * math.sqrt(3) / 2)
    second = points[:, 0] / SIDE - third / 2
    return np.stack([1 - second - third, second, third], -1)


def sums_of(law, eps: float) -> torch.Tensor:
    """A, B and C."""
    sums = [-entropy(law), rectified(law, eps, "once"), rectified(law, eps, "twice")]
    return torch.stack(sums, -1)


def shared(law, n: float) -> torch.Tensor:
    """The row of n keys, of which n/3 share each of three weights."""
    law = f64(law).clamp(min=0)
    return (law / law.sum(-1, keepdim=True)).repeat_interleave(int(n) // 3, -1) / (n / 3)


def after(texts: list[str]) -> list[str]:
    return [text.rpartition("= ")[2] for text in texts]


def check_entropy(seen: Seen) -> None:
    first, rest, eps, n = seen.values
    law = [first, (1 - first) * rest, (1 - first) * (1 - rest)]
    A, B, C = sums_of(shared(law, n), eps).tolist()
    shows(after(seen.text("weight")), law, digits=2)
    same(laws_at(np.c_[seen.number("law", "cx"), seen.number("law", "cy")]), [law])
    entropy_closer(seen, eps, n)
    entropy_shifts(seen, [B - A, C - A], eps, int(n))
    *weights, keys, e, exact, once, twice, closer = re.fullmatch(
        r"Weights (.*), (.*), (.*), (.*) each, ε = (.*): the entropy is (.*), with one ε (.*), "
        r"with two (.*)\. (.*) closer\.",
        seen.said,
    ).groups()
    assert weights == after(seen.text("weight"))
    assert keys == {3: "one key", 6: "two keys", 9: "three keys"}[int(n)]
    shows([e], [eps], digits=2)
    shows([exact, once, twice], [-A, -B, -C], digits=3)
    assert closer == ("Two are" if abs(C - A) < abs(B - A) else "One is")


def entropy_shifts(seen: Seen, shifts, eps: float, n: int) -> None:
    """Both bars within their bands, which end at the shifts of a one-hot and an even row."""
    ends = []
    for law in (torch.eye(n)[0].double(), torch.full((n,), 1 / n, dtype=torch.float64)):
        A, *BC = sums_of(law, eps).tolist()
        ends.append([x - A for x in BC])
    ends = np.transpose(ends)  # of B, of C
    zero = seen.number("zero", "x1")[0]
    low = seen.number("band", "x")
    high = low + seen.number("band", "width")
    unit = (high[0] - zero) / ends[0, 1]
    same((np.stack([low, high], -1) - zero) / unit, ends)
    left = seen.number("bar", "x")
    bars = np.stack([left, left + seen.number("bar", "width")], -1)
    same((bars - zero) / unit, np.sort([[0, shift] for shift in shifts]))
    shows(seen.text("end"), ends, digits=3)
    same((seen.number("end", "x") - zero) / unit, ends.ravel())
    shows(after(seen.text("shift")), shifts, digits=3)


def entropy_closer(seen: Seen, eps: float, n: float) -> None:
    """The shaded laws: from the middle outwards in 120 directions, to an edge or to a draw."""

    def lead(laws):  # of C over B
        A, B, C = sums_of(shared(laws, n), eps).unbind(-1)
        return ((B - A).abs() - (C - A).abs()).numpy()

    if lead([[1 / 3] * 3])[0] <= 0:
        assert "closer" not in seen.parts
        return
    laws = laws_at(seen.points("closer"))
    turns = np.arange(120)[:, None] * math.pi / 60 - 2 * math.pi * np.arange(3) / 3
    same(np.cross(laws - 1 / 3, np.cos(turns)), np.zeros((120, 3)))
    assert ((laws - 1 / 3) * np.cos(turns) >= -EXACT).all()
    edge = laws.min(-1) < EXACT
    assert (laws > -EXACT).all()
    assert (lead(laws)[edge] >= -EXACT).all()
    same(np.where(edge, 0, lead(laws)), np.zeros(120))


FIGURES = {
    "explore-entropy": check_entropy,
}

WRONG = {
    "ε once for twice": (
        "explore-entropy",
        "(x + eps) * Math.log(x + eps)",
        "x * Math.log(x + eps)",
    ),
    "0 ln 0 computed": ("explore-entropy", "x === 0 ? 0 : x * Math.log(y)", "x * Math.log(y)"),
    "three keys, whatever n": ("explore-entropy", "shared = n / 3", "shared = 1"),
    "each key with the whole weight": ("explore-entropy", "f(x / shared)", "f(x)"),
    "one key for three": ("explore-entropy", "shared * sum(law", "sum(law"),
    "an even row as if one-hot": ("explore-entropy", "Math.log1p(n * eps)]", "Math.log1p(eps)]"),
    "n zeros in a one-hot row": ("explore-entropy", "(n - 1) * Math.log(eps)", "n * Math.log(eps)"),
    "C − B for C − A": ("explore-entropy", "B.map((end, i) => end + back[i])", "back"),
    "where C is above A": ("explore-entropy", "return B + C - 2 * A", "return C - A"),
    "the geometric mean decides": (
        "explore-entropy",
        "return B + C - 2 * A",
        "return sum(law.map((x) => Math.log(x / shared) + 2)) * A * A",
    ),
    "too early": ("explore-entropy", "if (lead(law(far), eps, shared) >= 0)", "if (eps > 0.05)"),
    "two corners exchanged": ("explore-entropy", "law[1] + law[2] / 2", "law[2] + law[1] / 2"),
    "the rest not a rest": ("explore-entropy", "(1 - first) * rest,", "rest,"),
    "the signs turned": ("explore-entropy", "written(-B, 3)", "written(B, 3)"),
    "closer counted from B": ("explore-entropy", "Math.abs(C - A) <", "Math.abs(C - B) <"),
    "bars from the left edge": (
        "explore-entropy",
        "[along(0), along(shifts[name])]",
        "[0, along(shifts[name])]",
    ),
}
