"""Four schemes that average two of n values: draws in triangles, and the exact miss."""

import functools
import math
import re

import numpy as np
import torch

from attnlib.two_heads import pair_miss

from .figure import Seen, f64, same, shows

S, DRAWS, EACH = math.sqrt(0.5), 120, 41


def schemes(n: int, beta: float) -> list[torch.Tensor]:
    """Queries in the means as axes, a first and b second."""
    a, b, *others = torch.eye(n, dtype=torch.float64)
    rest = sum(others)
    heads = [[a + b], [-rest], [a, b], [-b - rest, b - rest / (n - 2)]]
    return [beta * torch.stack(queries) for queries in heads]


@functools.cache
def normals() -> np.ndarray:
    """The generator mulberry32, and normal numbers by Box and Muller, as the script has them."""
    state, uniform = 1, []
    for _ in range(2 * DRAWS * EACH):
        state = (state + 0x6D2B79F5) % 2**32
        t = (state ^ state >> 15) * (1 | state) % 2**32
        t = (t + (t ^ t >> 7) * (61 | t)) % 2**32 ^ t
        uniform.append((t ^ t >> 14) / 2**32)
    first, second = np.array(uniform).reshape(-1, 2).T
    g = np.sqrt(-2 * np.log(1 - first)) * np.cos(2 * math.pi * second)
    return g.reshape(DRAWS, EACH)


def drawn(queries: torch.Tensor, alpha: float) -> np.ndarray:
    """Averaged weights of a, of b and of all others together, for each draw."""
    n, g = queries.shape[1], normals()
    total = 0
    for head, q in enumerate(queries):
        noise = f64(g[:, 1 + 20 * head : 1 + 20 * head + n])
        z = q + math.sqrt(alpha) * q.norm() * noise
        z[:, 0] += S * f64(g[:, 0]) * q[0]
        total = total + torch.softmax(z, -1)
    y = total.numpy() / len(queries)
    return np.c_[y[:, 0], y[:, 1], y[:, 2:].sum(1)]


def check_two_heads(seen: Seen) -> None:
    noise, beta, n = seen.values
    n, alpha = int(n), noise**2
    queries = schemes(n, beta)
    misses = [pair_miss(q, alpha, S) for q in queries]
    shows(seen.text("miss"), misses, digits=3)
    places = np.c_[seen.number("draw", "cx"), seen.number("draw", "cy")].reshape(4, DRAWS, 2)
    for i, q in enumerate(queries):
        corners = seen.points("triangle", i)  # of a, b and the others: weights are their masses
        same(places[i], drawn(q, alpha) @ corners)
        wanted = [seen.number("wanted", axis)[i] for axis in ("cx", "cy")]
        same(wanted, (corners[0] + corners[1]) / 2)
        assert abs(np.linalg.det(corners[1:] - corners[0])) > 1e4, "a triangle with an inside"
    told = re.fullmatch(
        r"(\d+) keys, β = (.*), √α = (.*)\. One head misses by (.*) towards and (.*) away, two "
        r"heads by (.*) committed and (.*) committed and away\. The head that looks away is "
        r"(ahead of|behind|level with) the plain committed heads\.",
        seen.said,
    ).groups()
    assert [float(x) for x in told[:3]] == [n, beta, noise]
    assert [f"miss {x}" for x in told[3:7]] == seen.text("miss")
    away, committed = float(told[4]), float(told[5])
    order = {-1: "ahead of", 0: "level with", 1: "behind"}[int(np.sign(away - committed))]
    assert told[7] == order


FIGURES = {
    "explore-two-heads": check_two_heads,
}

WRONG = {
    "√α for α": ("explore-two-heads", "noise ** 2", "noise"),
    "noise that forgets the length of the query": (
        "explore-two-heads",
        "Math.sqrt(alpha * (a * a + b * b + (n - 2) * rest * rest))",
        "Math.sqrt(alpha)",
    ),
    "one other key only": ("explore-two-heads", "(n - 2) * rest * rest", "rest * rest"),
    "a length that every key has": (
        "explore-two-heads",
        "[Math.hypot(light, SPREAD * a), light, light]",
        "[Math.hypot(light, SPREAD * a), Math.hypot(light, SPREAD * b), light]",
    ),
    "the variance of the length for its deviation": (
        "explore-two-heads",
        "SPREAD = Math.SQRT1_2",
        "SPREAD = 0.5",
    ),
    "heads with the same noise": ("explore-two-heads", "20 * head", "0 * head"),
    "half of the variance, as of one head": (
        "explore-two-heads",
        "/ heads.length ** 2",
        "/ heads.length",
    ),
    "the second head sees a": (
        "explore-two-heads",
        "[0, 1, -1 / (n - 2)]",
        "[-1 / (n - 2), 1, -1 / (n - 2)]",
    ),
    "a miss of a alone": ("explore-two-heads", "[0, 1].reduce", "[0].reduce"),
    "the two sides exchanged": (
        "explore-two-heads",
        "away < committed ?",
        "away > committed ?",
    ),
    "a and b exchanged in the dots": (
        "explore-two-heads",
        "[y[0], y[1], 1 - y[0] - y[1]]",
        "[y[1], y[0], 1 - y[0] - y[1]]",
    ),
    "steps too long": ("explore-two-heads", "STEP = 0.25", "STEP = 2"),
}
