"""The smoothed loss."""

import math
import re

import pytest
import torch
import torch.nn.functional as F

from attnlib.transformer import smoothed_cross_entropy

from .figure import Seen, f64, reading, same, shows


def smoothed(leads, eps, K):
    logits = F.pad(f64(leads)[:, None], (0, int(K) - 1))
    target = torch.zeros(len(leads), dtype=torch.int64)
    return smoothed_cross_entropy(logits, target, eps).numpy()


def check_training(seen: Seen) -> None:
    eps, K = seen.values
    along = reading(seen, "tick-x", "x", slice(0, 6))
    above = reading(seen, "tick-y", "y", slice(0, 6), raised=4)
    for part, share in (("plain", 0.0), ("smoothed", eps)):
        curve = seen.points(part)
        leads = along(curve[:, 0])
        assert [leads[0], leads[-1]] == pytest.approx([0, 10])
        same(above(curve[:, 1]), smoothed(leads, share, K))
    if eps == 0:
        assert seen.said == (
            f"{K:g} classes, no smoothing: the loss falls for ever, and no lead is the best."
        )
        assert "best" not in seen.parts
        return
    # The least loss is where softmax gives what the target asks for.
    right = f64(1 - eps + eps / K)
    best = float(torch.log(right) - math.log(eps / K))
    same(along(seen.number("best", "cx")), [best])
    same(above(seen.number("best", "cy")), smoothed([best], eps, K))
    lead, p = re.fullmatch(
        rf"{K:g} classes, ε = {eps:.2f}: the best lead is (.*)\. "
        r"The right class then has the probability (.*)\.",
        seen.said,
    ).groups()
    shows([lead], [best], digits=2)
    shows([p], torch.softmax(F.pad(f64([best]), (0, int(K) - 1)), 0)[0], digits=3)


FIGURES = {
    "explore-training": check_training,
}

WRONG = {
    "ε for the wrong classes alone": ("explore-training", "1 - eps + eps / K) *", "1 - eps) *"),
    "the best lead without the 1": ("explore-training", "Math.log(1 + K", "Math.log(K"),
    "ε/K counted twice": ("explore-training", "- eps + eps / K;", "- eps;"),
    "no smoothing drawn": ("explore-training", "line(0)", "line(eps)"),
}
