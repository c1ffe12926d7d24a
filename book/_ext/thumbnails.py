"""A small picture for each chapter: a part of one of its figures, for its card.

What they draw is computed here by the package, as in the chapter, or read from what the chapter
has recorded. They are SVG in the colours of the page. A chapter without one has a card without.
"""

import itertools
import json
import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from attnlib import entropy, positions, smooth_max, transformer, two_heads
from attnlib.bilinear import bilinear_gradient, unidentifiable
from attnlib.layer_costs import Convolution, Recurrent, Restricted, SelfAttention
from attnlib.studies.record import RECORDED
from attnlib.synthesizer import SynthesizerAttention

WIDTH, HEIGHT, EDGE = 120, 80, 5
DRAWN: dict[str, Callable[[], str]] = {}


def thumbnail(chapter: str) -> str:
    """The picture as SVG, or nothing."""
    if chapter not in DRAWN:
        return ""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}">{DRAWN[chapter]()}</svg>'


def of(chapter: str):
    def keep(draw):
        DRAWN[chapter] = draw
        return draw

    return keep


def recorded(study: str):
    """What a study has recorded."""
    return json.loads((RECORDED / study).read_text(encoding="utf-8"))


# -- shapes ------------------------------------------------------------------------------------


def scaled(values: Iterable[float], low: float, high: float, size: int) -> list[float]:
    """Numbers between low and high as places between the edges; in y, 0 is below."""
    return [EDGE + (float(v) - low) / (high - low) * (size - 2 * EDGE) for v in values]


def points(x, y, x_range, y_range) -> list[tuple[float, float]]:
    xs = scaled(x, *x_range, WIDTH)
    return list(zip(xs, [HEIGHT - v for v in scaled(y, *y_range, HEIGHT)], strict=True))


def path(places, kind: str = "curve", closed: bool = False) -> str:
    d = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    return f'<path class="{kind}" d="M{d}{"Z" * closed}"/>'


def dots(places, kind: str = "dots") -> str:
    """Each a line of no length with round ends."""
    return f'<path class="{kind}" d="{"".join(f"M{x:.1f} {y:.1f}h0" for x, y in places)}"/>'


def matrix(entries: Tensor, left: float, size: float) -> str:
    """Squares, the darker the larger, between 0 and the largest entry."""
    side = size / len(entries)
    top = (HEIGHT - size) / 2
    shade = (entries / entries.max()).tolist()
    squares = "".join(
        square(left + j * side, top + i * side, side, side, v)
        for i, row in enumerate(shade)
        for j, v in enumerate(row)
        if v > 0.005
    )
    return squares + f'<rect class="frame" x="{left}" y="{top}" width="{size}" height="{size}"/>'


def square(x: float, y: float, width: float, height: float, shade: float) -> str:
    """A little too large, so that there is no seam between two; its colour covers what it laps."""
    return (
        f'<rect class="cell" x="{x:.1f}" y="{y:.1f}" width="{width + 0.2:.1f}" '
        f'height="{height + 0.2:.1f}" style="--shade:{shade:.0%}"/>'
    )


# -- the idea ----------------------------------------------------------------------------------


@of("first_look")
def weights_against_stretch() -> str:
    """Weights of the four tokens as the query is stretched, base 2."""
    t = torch.linspace(0, 3, 40, dtype=torch.float64)
    weights = torch.softmax(math.log(2) * t[:, None] * torch.tensor([3.0, 2, 1, 1]), -1)
    return "".join(path(points(t, w, (0, 3), (0, 1))) for w in weights[:, :3].T)


@of("softmax")
def weight_of_the_leader() -> str:
    """Weight of the leader among 2, 10 and 1000 logits against its gap."""
    gap = torch.linspace(0, 14, 40, dtype=torch.float64)
    rows = [torch.cat([gap[:, None], torch.zeros(40, n - 1)], -1) for n in (2, 10, 1000)]
    return "".join(path(points(gap, r.softmax(-1)[:, 0], (0, 14), (0, 1))) for r in rows)


@of("scaling")
def transition() -> str:
    """Mean p_max of 200 random rows: d_k to 24, n from 2 to 2¹²; and the line d_k = 2 ln n."""
    draws = torch.randn(200, 2**12)
    wide, high = (WIDTH - 2 * EDGE) / 12, (HEIGHT - 2 * EDGE) / 12
    plane = ""
    for i, j in itertools.product(range(12), range(12)):
        std = math.sqrt(2 * j + 1)  # that of the scores, whose variance is d_k
        p_max = float(torch.softmax(std * draws[:, : 2 ** (i + 1)], -1).amax(-1).mean())
        plane += square(EDGE + wide * j, HEIGHT - EDGE - high * (i + 1), wide, high, p_max)
    line = [2 * math.log(2 ** (i + 1)) for i in range(12)]
    return plane + path(points(line, [i + 0.5 for i in range(12)], (0, 24), (0, 12)), "line")


@of("smooth_max")
def smooth_absolute_value() -> str:
    """|x|, and its smooth form at k = 2."""
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    smooth = smooth_max.smooth_abs(x, 2)
    box = (-2, 2), (0, 2.2)
    return path(points(x, x.abs(), *box), "line") + path(points(x, smooth, *box))


# -- what heads can do -------------------------------------------------------------------------


@of("lookup")
def outputs_for_some_queries() -> str:
    """Outputs for directions of the query as its length grows, within the hull of the values."""
    turn = 2 * math.pi * torch.arange(5) / 5 + math.pi / 2
    corners = torch.stack([turn.cos(), turn.sin()], -1)
    values = torch.cat([corners, torch.tensor([[0.25, -0.1]])])
    turn = torch.tensor([1.4, 2.9, 3.6, 5.2, 6.2, 0.5])
    keys = torch.stack([turn.cos(), turn.sin()], -1)
    beta = torch.cat([torch.zeros(1), torch.logspace(-1.5, 2.3, 24)])
    box = (-1.6, 1.6), (-0.85, 1.05)
    hull = path(points(*corners.T, *box), "area", closed=True)
    outputs = [
        torch.softmax(beta[:, None] * (keys @ torch.stack([a.cos(), a.sin()])), -1) @ values
        for a in torch.linspace(0, 2 * math.pi, 21)[:-1]
    ]
    lines = "".join(path(points(*c.T, *box), "thin") for c in outputs)
    return hull + lines + dots(points(*values.T, *box))


@of("two_heads")
def misses_against_noise() -> str:
    """How far one head that looks away misses, and two that decide, as the noise grows."""
    n, beta = 10, 10.0
    mean = torch.eye(n, dtype=torch.float64)
    powers = torch.linspace(-6, -1, 21)
    heads = -beta * mean[2:].sum(0, keepdim=True), beta * mean[:2]
    misses = [[two_heads.pair_miss(q, 10**x, 0.5**0.5) for x in powers.tolist()] for q in heads]
    return "".join(path(points(powers, row, (-6, -1), (0, 0.65))) for row in misses)


@of("synthesizer")
def what_scores_depend_on() -> str:
    """Size of the derivative of row t of the scores by token j: dot product, and dense."""
    n, d = 6, 8
    x = torch.randn(1, n, d)
    W_Q, W_K = torch.randn(2, d, 2)
    dense = SynthesizerAttention(d, 1, n)
    maps = []
    for scores in (lambda x: x @ W_Q @ (x @ W_K).mT, lambda x: dense.scores(x)[:, 0]):
        slope = torch.autograd.functional.jacobian(scores, x)[0, :, :, 0]  # rows, keys, tokens, d
        maps.append(slope.square().sum((1, 3)).sqrt())
    return matrix(maps[0], 6, 50) + matrix(maps[1], 64, 50)


# -- the Transformer ---------------------------------------------------------------------------


@of("transformer")
def causal_weights() -> str:
    """Weights under the causal mask."""
    Q, K = torch.randn(2, 8, 16)
    _, weights = transformer.attention(Q, K, torch.zeros(8, 1), transformer.causal_mask(8))
    return matrix(weights, 27, 66)


@of("training")
def loss_with_smoothing() -> str:
    """Loss against the lead of the right class among ten, without smoothing and with."""
    lead = torch.linspace(0, 9, 40)
    logits = torch.cat([lead[:, None], torch.zeros(40, 9)], -1)
    losses = [
        torch.nn.functional.cross_entropy(
            logits, torch.zeros(40, dtype=torch.long), reduction="none", label_smoothing=smoothing
        )
        for smoothing in (0.0, 0.1, 0.3)
    ]
    return "".join(path(points(lead, loss, (0, 9), (0, 2.9))) for loss in losses)


@of("positions")
def two_clocks() -> str:
    """The first two of the clocks that make up a code of d = 8, positions 0 to 11."""
    clocks = ""
    for k, dial in enumerate(positions.sinusoids(12, 8).unflatten(1, (4, 2)).transpose(0, 1)[:2]):
        x, y = 32 + 56 * k, HEIGHT / 2
        clocks += f'<circle class="frame" cx="{x}" cy="{y:.0f}" r="22"/>'
        clocks += dots([(x + 22 * float(sin), y - 22 * float(cos)) for sin, cos in dial])
    return clocks


@of("layer_costs")
def multiply_adds() -> str:
    """Multiply–adds of the four kinds of layer against the length, d = 32."""
    lengths = [2**k for k in range(1, 10)]
    layers = SelfAttention(), Recurrent(), Convolution(3), Restricted(8)
    logs = [[math.log2(layer.multiply_adds(n, 32)) for n in lengths] for layer in layers]
    return "".join(path(points(range(1, 10), row, (1, 9), (7, 24))) for row in logs)


# -- heads, measured ---------------------------------------------------------------------------


@of("entropy")
def share_of_the_crossover() -> str:
    """t*(n)/n, beyond which the second correction can be closer, for n from 8; and ½."""
    n = range(8, 64)
    box = (0, 64), (0, 1)
    half = path(points((0, 64), (0.5, 0.5), *box), "line")
    return half + path(points(n, [entropy.crossover(k) / k for k in n], *box))


@of("ordering")
def majorised() -> str:
    """The laws on three points, and those that (0.7, 0.28, 0.02) majorises."""
    law = (0.7, 0.28, 0.02)
    turns = [(0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0), (1, 2, 0), (0, 2, 1)]
    corners = torch.tensor([[0, 0], [1, 0], [0.5, math.sqrt(3) / 2]])
    hexagon = torch.tensor([[law[i] for i in turn] for turn in turns]) @ corners
    box = (-0.31, 1.31), (-0.02, 0.92)
    return (
        path(points(*corners.T, *box), "line", closed=True)
        + path(points(*hexagon.T, *box), "area", closed=True)
        + dots(points(*hexagon[:1].T, *box))
    )


@of("bilinear")
def hidden_entries() -> str:
    """A gradient in bases that begin with the columns of W_Q and W_K; the rest is hidden."""
    d, d_k = 9, 3
    W_Q, W_K = torch.randn(2, d, d_k, dtype=torch.float64)
    G = bilinear_gradient(torch.randn(6, d).double(), torch.randn(6, 6).double(), d_k)
    N_Q, N_K = unidentifiable(W_Q, W_K)
    turned = torch.cat([torch.linalg.qr(W_Q).Q, N_Q], 1).mT @ G
    turned = turned @ torch.cat([torch.linalg.qr(W_K).Q, N_K], 1)
    side = 66 / d
    box = f'x="{27 + d_k * side:.1f}" y="{7 + d_k * side:.1f}" width="{66 - d_k * side:.1f}"'
    return (
        matrix(turned.abs(), 27, 66) + f'<rect class="box" {box} height="{66 - d_k * side:.1f}"/>'
    )


@of("pruning")
def accuracy_as_heads_go() -> str:
    """Recorded: mean accuracy as heads are removed, best choice, the note's score, chance."""
    rows = recorded("pruning-study.json")["rows"]
    curves = [[row["subsets"][which] for row in rows] for which in ("best", "mean")]
    curves.append([row["accuracy"][:1] + row["runs"]["note"]["accuracy"] for row in rows])
    means = [torch.tensor([r[:8] for r in curve]).mean(0) for curve in curves]
    return "".join(path(points(range(8), m, (0, 7), (0, 1))) for m in means)


# -- put to work -------------------------------------------------------------------------------


@of("knowledge")
def examined() -> str:
    """Recorded: right answers of pretrained models (full) and of models without (hollow)."""
    jobs = {job["name"]: job for job in recorded("knowledge-study/study.json")["jobs"]}
    shown = ""
    for kind, shift in (("pretrained", -0.16), ("scratch", 0.16)):
        found = [
            (x + shift + 0.03 * (seed - 2), jobs[f"{variant}-{kind}-{seed}"]["examined"])
            for x, variant in enumerate(("vanilla", "rotary", "synthesizer"))
            for seed in range(5)
        ]
        kinds = {"pretrained": "dots", "scratch": "dots pale"}
        shown += dots(points(*zip(*found, strict=True), (-0.5, 2.5), (0, 1)), kinds[kind])
    return shown
