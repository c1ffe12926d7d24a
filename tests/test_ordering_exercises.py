"""The checkers of the exercises of notebooks/ordering.md: what they accept and what they refuse."""

import math

import mpmath
import pytest
import torch
import torch.nn.functional as F
from exercises import Checkers
from helpers import (
    cells_of,
)
from scipy.optimize import brentq, minimize_scalar

from attnlib.entropy import entropy, sums_of_law
from attnlib.ordering import segment_integrand

CELLS = cells_of("ordering")
EXERCISES = [c for c in CELLS if "@check_answer" in c.code or "hide-cell" in c.tags]
RUN = [CELLS[0], *EXERCISES]
pytestmark = pytest.mark.usefixtures("no_shape_checks")
inf = math.inf


# -- right answers -----------------------------------------------------------------------------


def kl(x, y):
    log_p, log_q = x.log_softmax(0), y.log_softmax(0)
    return (log_p.exp() * (log_p - log_q)).sum()


def by_sums(x, y):
    """The mean of x − y under the first law, and the two sums of exponentials."""
    return float(x.softmax(0) @ (x - y) - x.logsumexp(0) + y.logsumexp(0))


def by_library(x, y):
    return F.kl_div(y.log_softmax(0), x.log_softmax(0), reduction="sum", log_target=True)


def slope(a, b, t):
    return segment_integrand(a, b, t).item()


def by_root(a, b):
    if slope(a, b, 0.0) >= 0:
        return 0
    return 1 if slope(a, b, 1.0) <= 0 else brentq(lambda t: slope(a, b, t), 0, 1)


def A_on_the_way(a, b):
    return lambda t: -entropy((1 - t) * a + t * b).item()


def by_search(a, b):
    return minimize_scalar(A_on_the_way(a, b), bounds=(0, 1), options={"xatol": 1e-9}).x


def on_a_grid(steps):
    def answer(a, b):
        t = torch.linspace(0, 1, steps + 1, dtype=torch.float64)[:, None]
        return t[(-entropy((1 - t) * a + t * b)).argmin()]

    return answer


def shortfalls(p, q):
    p, q = (sorted(law.tolist(), reverse=True) for law in (p, q))
    return [(sum(q[: k + 1]) - sum(p[: k + 1]), p[k]) for k in range(len(p))]


def by_trying(p, q):
    """Every entry of either law, the best of them."""

    def behind(t):
        return ((q - t).clamp(min=0) - (p - t).clamp(min=0)).sum().item()

    return max((*p.tolist(), *q.tolist()), key=behind)


def A_and_B(law, eps):
    return (sum(p * math.log(p) for p in law if p > 0),
            sum(p * math.log(p + eps) for p in law if p > 0))  # fmt: skip


def largest_and_rest(x, n):
    return [x, *[(1 - x) / (n - 1)] * (n - 1)]


def head_and_rest(t, n):
    k = min(int(t), n)
    return [1 / t] * k + [(t - k) / t]


def by_two_roots(B, n, eps):
    """In t, the number of keys that share, for the upper end."""

    def end(family, least, most):
        def short(x):
            return A_and_B(family(x, n), eps)[1] - B

        low, high = short(least), short(most)
        x = least if abs(low) < 1e-12 else most if abs(high) < 1e-12 else (
            brentq(short, least, most, xtol=1e-15))  # fmt: skip
        return A_and_B(family(x, n), eps)[0]

    return end(largest_and_rest, 1 / n, 1.0), end(head_and_rest, 1.0, float(n))


def on_fine_families(B, n, eps):
    """No root is sought: of many laws of each kind, those whose B lies on either side."""
    ends = []
    for family, ways in ((largest_and_rest, (1 / n, 1.0)), (head_and_rest, (1.0, float(n)))):
        low, high = ways
        for _ in range(12):
            places = [low + (high - low) * i / 40 for i in range(41)]
            sums = [A_and_B(family(x, n), eps)[1] for x in places]
            at = min(range(41), key=lambda i: abs(sums[i] - B))
            low, high = places[max(at - 1, 0)], places[min(at + 1, 40)]
        ends.append(A_and_B(family((low + high) / 2, n), eps)[0])
    return torch.tensor(ends)


def flip(eps, room=4):
    """(½, ½, 0), and (x, y, y) just below it in A, by the root of a function."""
    with mpmath.workdps(80):
        y = mpmath.findroot(
            lambda y: (1 - 2 * y) * mpmath.log(1 - 2 * y) + 2 * y * mpmath.log(y) + mpmath.log(2),
            mpmath.mpf("0.114"),
        )
        scale = 10 ** (room - math.floor(math.log10(eps)))
        y = int(mpmath.floor(y * scale)) + 1
    return (scale - 2 * y, y, y), (1, 1, 0)


RIGHT = {
    "check_kl": [kl, by_sums, by_library, lambda x, y: mpmath.mpf(float(kl(x, y)))],
    "check_lowest": [by_root, by_search, on_a_grid(10000)],
    "check_hinge": [
        lambda p, q: max(shortfalls(p, q))[1],
        lambda p, q: next(t for short, t in shortfalls(p, q) if short > 1e-12),
        by_trying,
    ],
    "check_interval": [by_two_roots, on_fine_families,
                       lambda *given: torch.tensor(by_two_roots(*given))],
    "check_flip": [
        flip,
        lambda eps: [list(law)[::-1] for law in flip(eps)],
        lambda eps: (flip(eps, 6)[0], (7.0, 0, 7)),
    ],
}  # fmt: skip


# -- wrong answers -----------------------------------------------------------------------------


def flickering(right):
    """Right, but for one call."""
    calls = 0

    def answer(*given):
        nonlocal calls
        calls += 1
        return right(*given) * (2 if calls == 20 else 1)

    return answer


def secant(a, b):
    """Where a straight line between the two integrands vanishes."""
    first, last = slope(a, b, 0.0), slope(a, b, 1.0)
    return min(max(first / (first - last), 0), 1)


def lowest_square(a, b):
    return float(((1 / 3 - a) @ (b - a) / ((b - a) @ (b - a))).clamp(0, 1))


def bracket(B, n, eps):
    return B - math.log(1 + n * eps), math.log(math.exp(B) - eps)


WRONG = {
    "check_kl": [
        (lambda x, y: (x.softmax(0) * (x.softmax(0) / y.softmax(0)).log()).sum(), "finite"),
        (lambda x, y: kl(y, x), "ln 3"),
        (lambda x, y: (kl(x, y) + kl(y, x)) / 2, "ln 3"),
        (lambda x, y: 0.9 * kl(x, y) + 0.1 * kl(y, x), "ln 3"),
        (lambda x, y: kl(x, y) / math.log(2), ""),
        (lambda x, y: -(x.softmax(0) * y.log_softmax(0)).sum(), "shift"),
        (lambda x, y: (x.softmax(0) * ((x.softmax(0) + 1e-8) / (y.softmax(0) + 1e-8)).log()).sum(),
         ""),
        (lambda x, y: x.log_softmax(0) - y.log_softmax(0), ""),
        (lambda x, y: [float(kl(x, y))], "a list"),
        (flickering(kl), "not at every call"),
    ],
    "check_lowest": [
        (lambda a, b: 0.5, "before t"),
        (on_a_grid(100), ""),
        (lambda a, b: 1 - by_root(a, b), ""),
        (lowest_square, ""),
        (secant, ""),
        (lambda a, b: 2.0, "fraction"),
        (lambda a, b: torch.stack([a, b]), ""),
        (lambda a, b: [0.5], "a list"),
    ],
    "check_hinge": [
        (lambda p, q: 0.5, "at t"),
        (lambda p, q: 0, "at t"),
        (lambda p, q: p.max(), "at t"),
        (lambda p, q: q.min(), "at t"),
        (lambda p, q: (p.max() + q.max()) / 2, "at t"),
        (lambda p, q: p[(p - q).cumsum(0).argmin()], "at t"),  # not sorted first
        (lambda p, q: p, ""),
        (lambda p, q: [0.5], "a list"),
    ],
    "check_interval": [
        (bracket, "no less"),
        (lambda *given: (-inf, by_two_roots(*given)[1]), "no less"),
        (lambda *given: (by_two_roots(*given)[0], bracket(*given)[1]), "no more"),
        (lambda *given: (bracket(*given)[0], by_two_roots(*given)[1]), "no less"),
        (lambda *given: by_two_roots(*given)[::-1], "A can be"),
        (lambda B, n, eps: by_two_roots(B, n, eps / 2), ""),
        (lambda B, n, eps: (B, B), ""),
        (lambda B, n, eps: B, "a float"),
    ],
    "check_flip": [
        (lambda eps: ((76, 12, 12), (50, 50, 0)), "safe"),
        (lambda eps: flip(1e-30), "safe"),
        (lambda eps: flip(eps)[::-1], "larger A"),
        (lambda eps: ((600, 200, 200), (1, 1, 0)), "smaller C"),
        (lambda eps: ((1, 0), (1, 1)), "three points"),
        (lambda eps: ((0.772, 0.114, 0.114), (0.5, 0.5, 0)), "whole numbers"),
        (lambda eps: eps, "a float"),
    ],
}  # fmt: skip


# -- both --------------------------------------------------------------------------------------


class TestCheckers(Checkers):
    NAMES_THE_CASE = True


def test_the_exact_range_lies_within_the_bracket():
    """The first edition asked for the bracket: it is wider than what laws attain."""
    for law in ((6, 3, 1), (5, 3, 1, 1)):
        A, B, _ = sums_of_law(law, 0.25)
        wide, exact = bracket(B, len(law), 0.25), by_two_roots(B, len(law), 0.25)
        assert wide[0] < exact[0] <= A <= exact[1] < wide[1]
