"""The front page: a row of large numbers beside a row with the same gaps."""

from .figure import Seen
from .softmax import two_rows


def check_landing(seen: Seen) -> None:
    size, gap = seen.values
    two_rows(seen, [[size, size, size + gap], [0, 0, gap]], decimals=1)


FIGURES = {
    "explore-landing": check_landing,
}

WRONG = {
    "the same on the front page": ("explore-landing", "Math.exp(x - top)", "Math.exp(x)"),
    "the gap in one row only": ("explore-landing", "[0, 0, gap]", "[0, 0, 1]"),
}
