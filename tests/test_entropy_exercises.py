"""The checkers of the exercises of notebooks/entropy.md: what they accept and what they refuse."""

import math

import pytest
import torch
from exercises import Checkers
from helpers import cells_of

from attnlib.entropy import entropy, rectified

CELLS = cells_of("entropy")
EXERCISES = [cell for cell in CELLS[1:] if "check_" in cell.code]
RUN = [CELLS[0], *EXERCISES]


def without_zeros(p):
    kept = p[p > 0]
    return -(kept * kept.log()).sum()


def by_a_loop(p):
    total = torch.zeros(())
    for x in p:
        if x > 0:
            total = total - x * x.log()
    return total


def constant_dropped(p):
    """Its gradient in p lacks the 1 of ln p + 1, which softmax does not see."""
    return -(p * torch.where(p > 0, p, 1.0).log().detach()).sum()


def half_detached(p):
    safe = torch.where(p > 0, p, 1.0)
    return -(safe.detach() * safe.log()).sum()


def value_alone(p):
    return torch.special.entr(p.detach()).sum() + 0 * p.sum()


def middle(B, n, eps):
    return B - (math.log1p(eps) + math.log1p(n * eps)) / 2


def between_the_extreme_laws(B, n, eps):
    """No farther from the two ends of what A can be, given B."""
    least, most = B - math.log1p(n * eps), B - math.log1p(eps)
    return torch.tensor([least, most]).mean()


def clipped(B, n, eps):
    """The middle, kept within what an entropy can be."""
    return min(0.0, max(-math.log(n), middle(B, n, eps)))


def phi(r):
    return (2 + r) * torch.log1p(r) / r


def by_hyperbolic(a, eps):
    u = torch.log1p(eps / a)
    return bool((a.log() + u / torch.tanh(u / 2)).sum() > 0)


def by_sums(a, eps):
    """The mean of a and a + ε, with their logarithms."""
    return ((2 * a + eps) * (a + eps).log() - 2 * a * a.log()).sum() > 0


def by_products(a, eps):
    total = sum(math.log(x) + (2 * x / eps + 1) * math.log1p(eps / x) for x in a.tolist())
    return total > 0


RIGHT = {
    "check_entropy": [
        lambda p: -(torch.where(p > 0, p, 1.0) * torch.where(p > 0, p, 1.0).log()).sum(),
        without_zeros,
        by_a_loop,
        entropy,
        lambda p: torch.distributions.Categorical(probs=p).entropy(),
        constant_dropped,
    ],
    "check_estimate": [
        middle,
        between_the_extreme_laws,
        clipped,
        lambda B, n, eps: B - math.log(math.sqrt((1 + eps) * (1 + n * eps))),
    ],
    "check_closer": [
        lambda a, eps: (a.log() + phi(eps / a)).sum() > 0,
        by_hyperbolic,
        by_sums,
        by_products,
    ],
}


def flickering():
    """Right, but for one call."""
    calls = 0

    def answer(B, n, eps):
        nonlocal calls
        calls += 1
        return middle(B, n, eps) + (calls == 20)

    return answer


WRONG = {
    "check_entropy": [
        (lambda p: -torch.xlogy(p, p).sum(), "not finite"),
        (lambda p: torch.special.entr(p).sum(), "not finite"),
        (lambda p: -(p * p.log()).sum(), ""),
        (lambda p: -(p * p.log()).nansum(), "not finite"),
        (lambda p: (p.exp() * p).logsumexp(0), "the entropy is"),
        (lambda p: without_zeros(p.float()), "the entropy is"),
        (lambda p: -(p * (p + 1e-12).log()).sum(), "the entropy is"),
        (lambda p: -(p * p.clamp(min=1e-8).log()).sum(), "the entropy is"),
        (half_detached, "the gradient is"),
        (value_alone, "the gradient is"),
        (lambda p: torch.special.entr(p.detach()).sum(), "no gradient"),
        (lambda p: without_zeros(p) / math.log(2), "the entropy is"),
        (lambda p: -without_zeros(p), "the entropy is"),
        (lambda p: [without_zeros(p)], "a list"),
        (lambda p: float(without_zeros(p)), "a float"),
        (lambda p: -torch.where(p > 0, p, 1.0).log() * p, "one number"),
    ],
    "check_estimate": [
        (lambda B, n, eps: B, "off by"),
        (lambda B, n, eps: B - math.log((1 + eps) * (1 + (n - 1) * eps)) / 2, "off by"),
        (lambda B, n, eps: B - math.log((1 + n * eps) / (1 + eps)) / 2, "off by"),
        (lambda B, n, eps: torch.tensor(middle(B, n, eps)).float(), "more than allowed"),
        (lambda B, n, eps: B - n * eps, "off by"),
        (lambda B, n, eps: B - math.log1p(eps), "off by"),
        (lambda B, n, eps: B - math.log1p(n * eps), "off by"),
        (lambda B, n, eps: B - (n + 1) * eps / 2, "off by"),
        (lambda B, n, eps: B - math.log1p((n + 1) * eps / 2), "off by"),
        (lambda B, n, eps: 2 * B - middle(B, n, eps), "off by"),
        (lambda B, n, eps: torch.tensor([B, B]), "one number"),
        (lambda B, n, eps: math.nan, ""),
        (flickering(), "not at every call"),
    ],
    "check_closer": [
        (lambda a, eps: True, "B is closer"),
        (lambda a, eps: len(a) < 8, "is closer"),
        (lambda a, eps: a.log().mean() + phi((eps / a).mean()) > 0, "is closer"),
        (lambda a, eps: (a * (a.log() + phi(eps / a))).sum() > 0, "is closer"),
        (lambda a, eps: a.log().mean() > -2, "C is closer"),
        (lambda a, eps: ((a + eps).log() + 2).sum() > 0, "is closer"),
        (lambda a, eps: (a.log() + phi(len(a) * eps / a)).sum() > 0, "is closer"),
        (lambda a, eps: phi(torch.tensor(len(a) * eps)) > math.log(len(a)), "is closer"),
        (lambda a, eps: not (a.log() + phi(eps / a)).sum() > 0, "is closer"),
        (lambda a, eps: (a.log() + phi(eps / a)).sum(), "True or False"),
        (lambda a, eps: [True], "is closer"),
        (lambda a, eps: 1.0, "True or False"),
    ],
}


class TestCheckers(Checkers):
    NAMES_THE_CASE = True


# -- what the exercises on paper say ---------------------------------------------------------------


def closer(a, eps):
    """Which of the two is closer to A, by the distances."""
    A = -entropy(a)
    once, twice = ((rectified(a, eps, v) - A).abs() for v in ("once", "twice"))
    return "C" if twice < once else "B"


@pytest.mark.parametrize("n", range(2, 8))
@pytest.mark.usefixtures("double_by_default")
def test_up_to_seven_keys_either_can_be_closer(n):
    """At the uniform law C always; at a one-hot law B where the exercise says so."""
    one_hot, even = torch.eye(n)[0], torch.full((n,), 1 / n)
    for eps in (1e-6, 0.01, 0.125, 0.25, 0.9 * (1 - 1 / n)):
        assert closer(even, eps) == "C"
        says = phi(torch.tensor(eps)) < (n - 1) * math.log(1 / eps)
        assert (closer(one_hot, eps) == "B") == says
        if eps <= (0.25 if n > 2 else 0.125):
            assert says
    assert closer(torch.eye(2)[0], 0.25) == "C"


@pytest.mark.usefixtures("double_by_default")
def test_only_the_middle_of_the_band_can_be_taken_off():
    n, eps = 5, 0.3
    laws = torch.stack([torch.eye(n)[0], torch.full((n,), 1 / n)])
    half = math.log((1 + n * eps) / (1 + eps)) / 2
    c = (math.log1p(eps) + math.log1p(n * eps)) / 2
    off = rectified(laws, eps, "once") + entropy(laws) - c
    assert off.tolist() == pytest.approx([-half, half])
