"""Which keys can be picked: the hull of four keys, and the shortest query for a fifth."""

import itertools
import re

import numpy as np
import torch
from scipy.optimize import linprog

from attnlib.transformer import attention

from .figure import Seen, f64, reading, same, shares, shows

OTHERS = np.array([[-1.5, -1], [0.5, -1.5], [1, 0.5], [-0.5, 1]])


def in_hull(key) -> bool:
    """Weights of the others that make it their mean."""
    found = linprog(
        np.zeros(4), A_eq=np.vstack([OTHERS.T, np.ones(4)]), b_eq=[*key, 1], bounds=(0, 1)
    )
    return found.success


def nearest(key):
    """On a segment between two of the others, wherever a nearest point of their hull lies."""
    feet = []
    for p, q in itertools.combinations(OTHERS, 2):
        t = np.clip((key - p) @ (q - p) / ((q - p) @ (q - p)), 0, 1)
        feet.append(p + t * (q - p))
    return min(feet, key=lambda foot: np.linalg.norm(key - foot))


def weights_of(query, key):
    K = f64(np.vstack([key, OTHERS]).tolist())
    return attention(f64([list(query)]), K, torch.eye(5, dtype=torch.float64), scale=1.0)[1][0]


def check_lookup(seen: Seen) -> None:
    *key, gap = seen.values
    key = np.array(key)
    right = reading(seen, "tick-x", "x", slice(0, 3))
    up = reading(seen, "tick-y", "y", slice(0, 3), raised=4)
    discs = np.c_[right(seen.number("disc", "cx")), up(seen.number("disc", "cy"))]
    same(discs, np.vstack([key, OTHERS]))
    hull = seen.points("hull")
    same(np.c_[right(hull[:, 0]), up(hull[:, 1])], OTHERS)
    place = rf"Key a at \({key[0]:.1f}, {key[1]:.1f}\)".replace("-", "−")
    if in_hull(key):
        weights = np.full(5, 0.2)
        assert "nearest" not in seen.parts
        assert re.fullmatch(
            rf"{place} lies in the hull of the others\. No query gives it more than half of the "
            rf"weight, and none has the gap {gap:.1f} unless that is 0\.", seen.said
        )  # fmt: skip
    else:
        foot = nearest(key)
        rho = np.linalg.norm(key - foot)
        weights = weights_of(gap / rho**2 * (key - foot), key).numpy()
        assert "nearest" in seen.parts
        check_margin(seen, right, up, key, foot)
        found = re.fullmatch(
            rf"{place} is (.*) away from the hull\. The shortest query with a gap of {gap:.1f} has "
            r"the length (.*), and gives a the weight (.*)\.", seen.said
        )  # fmt: skip
        assert found
        shows(list(found.groups()), [rho, gap / rho, weights[0]], digits=3)
    same((seen.number("disc", "r") - 3) ** 2 / 13**2, weights)
    shares(seen.number("bar", "width"), weights)
    shows(seen.text("weight"), weights, digits=3)


def check_margin(seen, right, up, key, foot):
    """From the nearest point to the key, and on in the same direction."""
    line = seen.parts["distance"][0]
    same([[right(float(line[f"x{i}"])), up(float(line[f"y{i}"]))] for i in (1, 2)], [foot, key])
    same([right(seen.number("nearest", "cx")[0]), up(seen.number("nearest", "cy")[0])], foot)
    arrow = seen.points("query")[:2]
    start, tip = np.c_[right(arrow[:, 0]), up(arrow[:, 1])]
    same(start, key)
    along, away = tip - start, key - foot
    same(along / np.linalg.norm(along), away / np.linalg.norm(away))


FIGURES = {
    "explore-lookup": check_lookup,
}

WRONG = {
    "the nearest corner": ("explore-lookup", "corner[0] + share * side[0]", "corner[0]"),
    "beyond the ends of a side": (
        "explore-lookup", "Math.min(1, Math.max(0, dot(away, side) / dot(side, side)))",
        "dot(away, side) / dot(side, side)"),
    "inside is out": ("explore-lookup", "return outside ? best", "return !outside ? best"),
    "the distance not squared": (
        "explore-lookup", "gap / found.distance ** 2", "gap / found.distance"),
    "along the key": (
        "explore-lookup", "minus(key, found.point).map", "key.map"),
    "the key left out of the softmax": (
        "explore-lookup", "softmax([key, ...OTHERS]", "softmax([[0, 0], ...OTHERS]"),
    "a length that forgets the hull": (
        "explore-lookup", "written(gap / found.distance, 3)", "written(gap, 3)"),
    "radii, not areas": ("explore-lookup", "13 * Math.sqrt(weights[i])", "13 * weights[i]"),
    "a corner elsewhere": ("explore-lookup", "[1, 0.5], [-0.5, 1]", "[1, -0.5], [-0.5, 1]"),
}  # fmt: skip
