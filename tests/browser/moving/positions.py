"""A query and a key, turned by angles in proportion to their positions."""

import re

import numpy as np

from attnlib.positions import rotary

from .figure import Seen, f64, reading, same, shows

QUERY, KEY = (2.0, 1.0), (1.0, 1.0)


def turned(vector, angles):
    """By the package: two coordinates have the one frequency 1, and places may be fractions."""
    return rotary(f64(vector).expand(len(angles), 2), f64(angles)).numpy()


def check_positions(seen: Seen) -> None:
    p, s, t, omega = seen.values
    (query,), (key,) = turned(QUERY, [omega * (p + t)]), turned(KEY, [omega * (s + t)])
    right = reading(seen, "plane-x", "x", slice(0, 2))
    up = reading(seen, "plane-y", "y", slice(0, 2), raised=4)

    def place(part, x, y):
        return [right(seen.number(part, x)[0]), up(seen.number(part, y)[0])]

    for name, before, after in (("query", QUERY, query), ("key", KEY, key)):
        for part, tip in ((f"{name}-before", before), (name, after)):
            same(place(part, "x1", "y1"), [0, 0])
            same(place(part, "x2", "y2"), tip)
        same(place(f"{name}-tip", "cx", "cy"), after)
    check_angle(seen, right, up, query, key)
    along = reading(seen, "tick-x", "x", slice(0, 4))
    above = reading(seen, "tick-y", "y", slice(0, 3), raised=4)
    wave = seen.points("wave")
    offsets = np.linspace(-12, 12, 481)
    same(along(wave[:, 0]), offsets)
    same(above(wave[:, 1]), turned(QUERY, omega * offsets) @ KEY)
    same([along(seen.number("point", "cx")[0]), above(seen.number("point", "cy")[0])],
         [p - s, query @ key])  # fmt: skip
    found = re.fullmatch(
        rf"Query at {p + t:g}, key at {s + t:g}, ω = {omega:.2f}: the offset is (.*), "
        r"the dot product (.*)\. It is the same for every t\.",
        seen.said,
    )
    assert found
    shows([found[1]], [p - s], digits=0)
    shows([found[2]], [query @ key], digits=3)


def check_angle(seen, right, up, query, key):
    """It begins at the key, ends at the query, and is the smaller of the two."""
    arc = seen.points("arc")
    arc = np.c_[right(arc[:, 0]), up(arc[:, 1])] / 0.8
    same(arc[0], key / np.linalg.norm(key))
    same(arc[-1], query / np.linalg.norm(query))
    same(np.linalg.norm(arc, axis=1), np.ones(len(arc)))
    assert arc[0] @ arc[len(arc) // 2] > -1e-9


FIGURES = {
    "explore-positions": check_positions,
}

WRONG = {
    "one sign of the rotation": (
        "explore-positions", "x * Math.cos(angle) - y", "x * Math.cos(angle) + y"),
    "turned the other way": (
        "explore-positions", "QUERY, omega * (p + t)", "QUERY, -omega * (p + t)"),
    "the key left behind by t": ("explore-positions", "omega * (s + t)", "omega * s"),
    "the key turned in the wave": (
        "explore-positions", "product(turned(QUERY, omega * x), KEY)",
        "product(QUERY, turned(KEY, omega * x))"),
    "the offset s − p": ("explore-positions", "p - s, value", "s - p, value"),
    "the sum of positions in the sentence": (
        "explore-positions", "written(p - s, 0)", "written(p + s, 0)"),
    "the long way round": (
        "explore-positions", "const gap = Math.atan2(", "const gap = 2 * Math.PI + Math.atan2("),
    "up is down": ("explore-positions", "106 - UNIT * y]", "106 + UNIT * y]"),
    "a wave of twice the frequency": (
        "explore-positions", "turned(QUERY, omega * x)", "turned(QUERY, 2 * omega * x)"),
}  # fmt: skip
