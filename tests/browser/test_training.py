"""The figure of the chapter on training: what it draws and says is the loss of attnlib."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from attnlib.transformer import smoothed_cross_entropy

SETTINGS = [(0.1, 10), (0.01, 100), (0.5, 2), (0.5, 100), (0.01, 2), (0.23, 37), (0.04, 71)]
READ = """([eps, K]) => {
  const root = document.querySelector(".explore-training");
  [eps, K].forEach((value, i) => {
    const input = root.querySelectorAll("input")[i];
    input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  const points = (part) => root.querySelector(`[data-part=${part}]`).getAttribute("points");
  const best = root.querySelector("[data-part=best]");
  const box = root.querySelector("svg").getBoundingClientRect();
  const out = [...root.querySelectorAll("svg text")].filter((node) => {
    const text = node.getBoundingClientRect();
    return text.left < box.left - 1 || text.right > box.right + 1 || text.bottom > box.bottom + 1;
  });
  return { said: root.querySelector(".said").textContent, out: out.map((node) => node.textContent),
    plain: points("plain"), smoothed: points("smoothed"),
    best: best && [best.getAttribute("cx"), best.getAttribute("cy")].map(Number) };
}"""


def losses(leads, eps, K):
    z = F.pad(torch.tensor(leads, dtype=torch.float64)[:, None], (0, K - 1))
    return smoothed_cross_entropy(z, torch.zeros(len(leads), dtype=torch.int64), eps).numpy()


def numbers(points):
    return np.array([[float(x) for x in pair.split(",")] for pair in points.split()])


@pytest.fixture(params=[1280, 375])
def page(visit, request):
    return visit("notebooks/training.html", width=request.param)


def test_the_curves_and_the_sentence_are_the_loss(page):
    for eps, K in SETTINGS:
        seen = page.evaluate(READ, [eps, K])
        plain, smoothed = numbers(seen["plain"]), numbers(seen["smoothed"])
        width, height = (
            plain[-1, 0],
            page.evaluate(
                "document.querySelector('.explore-training .axis').getAttribute('y1') * 1"
            ),
        )
        leads = 10 * smoothed[:, 0] / width
        for points, share in ((plain, 0.0), (smoothed, eps)):
            drawn = 5 * (1 - points[:, 1] / height)
            np.testing.assert_allclose(drawn, losses(leads, share, K), atol=1e-9)
        best, p = map(float, re.search(r"lead is ([\d.]+)\..*probability ([\d.]+)\.",
                                       seen["said"]).groups())  # fmt: skip
        # The slope is 0 where p is the target: no lead is better.
        around = losses(best + np.array([-0.01, 0, 0.01]), eps, K)
        assert around.argmin() == 1
        assert abs(p - 1 / (1 + (K - 1) * math.exp(-best))) < 2e-3
        assert abs(seen["best"][0] - width * best / 10) < width / 1000
        assert seen["out"] == []


def test_without_smoothing_no_lead_is_the_best(page):
    seen = page.evaluate(READ, [0, 10])
    assert "no lead is the best" in seen["said"]
    assert seen["best"] is None
    assert seen["plain"] == seen["smoothed"]
