"""A form, and what a rank and as many entries keep of it."""

import re

import numpy as np
import torch

from attnlib.bilinear import low_rank_factors

from .figure import EXACT, Seen, f64, same, shows

SIDE = 12


def form(width):
    place = torch.arange(SIDE, dtype=torch.float64)
    apart = place[:, None] - place - 0.15 * torch.sin(2.4 * place)
    return torch.exp(-apart.square() / (2 * width**2))


def truncated(U, r):
    left, right = low_rank_factors(U, torch.eye(SIDE, dtype=U.dtype), r)
    return left @ right.mT


def largest(U, count):
    kept = U.flatten().topk(count).indices
    return torch.zeros(SIDE**2, dtype=U.dtype).index_copy(0, kept, U.flatten()[kept]).view_as(U)


def check_bilinear(seen: Seen) -> None:
    width, r = seen.values
    r = int(r)
    count = 2 * SIDE * r
    U = form(width)
    maps = torch.stack([U, truncated(U, r), largest(U, count)])
    drawn = seen.number("entry", "fill-opacity").reshape(3, SIDE, SIDE)
    signs = np.array([p["class"] == "minus" for p in seen.parts["entry"]]).reshape(3, SIDE, SIDE)
    same(drawn, maps.abs().clamp(max=1))
    assert (signs == (maps < 0).numpy())[(maps.abs() > EXACT).numpy()].all()
    shares = maps.square().sum((1, 2)) / U.square().sum()
    shows(seen.text("share"), shares, digits=3)
    bars = seen.number("share-bar", "width")
    same(bars / bars[0], shares)
    told = re.fullmatch(
        rf"Width {width:.1f}, {count} numbers: the nearest matrix of rank {r} keeps (.*) of the "
        r"sum of squares, the largest entries keep (.*)\. The (rank|entries) keeps? more\.",
        seen.said,
    ).groups()
    shows(list(told[:2]), f64(shares[1:].tolist()), digits=3)
    assert told[2] == ("rank" if shares[1] > shares[2] else "entries")


FIGURES = {
    "explore-bilinear": check_bilinear,
}

WRONG = {
    "one number a term": ("explore-bilinear", "2 * FEATURES * r", "FEATURES * r"),
    "the first terms, not the largest": ("explore-bilinear", "b.square - a.square", "0"),
    "the smallest entries": ("explore-bilinear", "(a, b) => b - a)[", "(a, b) => a - b)["),
    "rows and columns turned apart": (
        "explore-bilinear",
        "turn(rows[p], rows[q], cos, cos * tan)",
        "turn(rows[p], rows[q], cos, -cos * tan)",
    ),
    "the sizes, not their squares": ("explore-bilinear", "sum + u ** 2", "sum + Math.abs(u)"),
    "the width halved": ("explore-bilinear", "(2 * width ** 2)", "(width ** 2)"),
}
