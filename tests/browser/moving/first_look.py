"""Four tokens: the query that is dragged."""

import math

from attnlib.transformer import attention

from .figure import Seen, f64, same, shares, shows


def check_first_look(seen: Seen) -> None:
    K, v = f64([[1, 1], [1, 0], [0, 1], [1, -1]]), f64([[4], [8], [0], [16]])
    q = f64(seen.values)
    output, A = attention(q[None], K, v, scale=math.log(2))
    weights, mean = A[0].numpy(), float(output)
    shows(seen.text("score"), K @ q, digits=1)
    shows(seen.text("weight"), weights, digits=3)
    shows(seen.text("output"), [mean], digits=2)
    shares(seen.number("bar", "width"), weights)
    same((seen.number("disc", "r") - 3) ** 2 / 17**2, weights)  # an area, and a dot for none
    same(seen.number("query", "cx") / 30 - 4, q[:1])
    same(4 - seen.number("query", "cy") / 30, q[1:])
    same((seen.number("mean", "cx") - 270) / 15, [mean])
    assert seen.said == (
        f"Scores {', '.join(seen.text('score'))}; weights {', '.join(seen.text('weight'))}; "
        f"{seen.text('output')[0]}."
    )


FIGURES = {
    "explore-first-look": check_first_look,
}

WRONG = {
    "base e": ("explore-first-look", "s * Math.LN2", "s"),
    "the base the other way": ("explore-first-look", "s * Math.LN2", "s / Math.LN2"),
    "up is down": (
        "explore-first-look",
        "SIDE / 2 - unit * point[1]",
        "SIDE / 2 + unit * point[1]",
    ),
    "a key mistaken": ("explore-first-look", "[1, -1]]", "[-1, 1]]"),
    "values in another order": ("explore-first-look", "[4, 8, 0, 16]", "[4, 0, 8, 16]"),
    "radii, not areas": ("explore-first-look", "Math.sqrt(weights[i])", "weights[i]"),
}
