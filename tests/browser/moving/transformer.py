"""A mask, the weights that it leaves, and the inputs that an output depends on."""

import re

import numpy as np
import pytest
import torch

from attnlib.transformer import attention

from .figure import Seen, f64, same, shows

WORDS = ["the", "cat", "sat", "on", "the", "mat"]
SCORES = [
    [2, 1, 0, 0, 1, 0],
    [1, 2, 1, 0, 0, 1],
    [0, 3, 1, 1, 0, 1],
    [0, 0, 2, 1, 1, 2],
    [1, 0, 0, 1, 2, 2],
    [1, 1, 2, 2, 1, 2],
]


def mask_of(back, ahead, padding):
    whole = torch.ones(6, 6, dtype=torch.bool)
    return whole.tril(ahead) & whole.triu(-back) & (torch.arange(6) < 6 - padding)


def weights(mask):
    """Row by row; None where no key is left, which attention refuses."""
    rows = []
    for scores, may in zip(f64(SCORES), mask, strict=True):
        if not may.any():
            with pytest.raises(ValueError, match="nothing to attend to"):
                attention(scores[None], torch.eye(6).double(), torch.eye(6).double(), may[None])
            rows.append(None)
            continue
        eye = torch.eye(6, dtype=torch.float64)
        rows.append(attention(scores[None], eye, eye, may[None], scale=1)[1][0].numpy())
    return rows


def depends_on(query, mask, layers):
    """The inputs with a derivative other than 0, of a stack with residual connections."""
    g = torch.Generator().manual_seed(0)
    X = torch.randn(6, 4, generator=g, dtype=torch.float64).requires_grad_()
    # An empty row is that of padding, and nobody looks at what it gives.
    mask = mask | (torch.eye(6, dtype=torch.bool) & ~mask.any(-1, keepdim=True))
    y = X
    for _ in range(layers):
        Q, K, V = (y @ torch.randn(4, 4, generator=g, dtype=torch.float64) for _ in range(3))
        y = y + attention(Q, K, V, mask)[0]
    (dX,) = torch.autograd.grad(y[query] @ f64([1, 2, 3, 4]), X)
    return (dX != 0).any(-1).nonzero().flatten().tolist()


def listed(tokens):
    return ", ".join(str(s + 1) for s in tokens)


def check_mask(seen: Seen) -> None:
    number, back, ahead, padding, layers = map(int, seen.values)
    t, mask = number - 1, mask_of(back, ahead, padding)
    rows = weights(mask)
    filled = [np.zeros(6) if row is None else row for row in rows]
    same(seen.number("cell", "fill-opacity") ** 2, np.concatenate(filled))
    same(seen.number("cell", "y") / 34, np.repeat(np.arange(6), 6))
    same(seen.number("cell", "x") / 34, np.tile(np.arange(6), 6))
    same(seen.number("row", "y") / 34, [t])
    said = (
        f"Query {number}, “{'pad' if t >= 6 - padding else WORDS[t]}”: up to {back} back, up to "
        f"{ahead} ahead, {padding} of padding. It may attend to "
    )
    if rows[t] is None:
        assert seen.said == said + "nothing, so its row has no softmax."
        assert not {"weight", "way", "node"} & seen.parts.keys()
        return
    kept = mask[t].nonzero().flatten().tolist()
    shows(seen.text("weight"), rows[t][kept], digits=2)
    same((seen.number("weight", "x") - 17) / 34, kept)
    reached = depends_on(t, mask, layers)
    shown = re.fullmatch(
        re.escape(f"{said}{listed(kept)}, with the weights ")
        + rf"(.*)\. Through {layers} layers? its output depends on {listed(reached)}\.",
        seen.said,
    )
    assert shown, seen.said
    assert shown[1].split(", ") == seen.text("weight")
    ways(seen, t, mask, layers)


def ways(seen: Seen, t, mask, layers) -> None:
    """Full nodes are the tokens reached from the output; a line is a step that is allowed."""
    words = seen.number("word", "x")
    assert seen.text("word") == [
        "pad" if s >= 6 - mask_padding(mask) else w for s, w in enumerate(WORDS)
    ]
    columns = dict(zip(words, range(6), strict=True))
    heights = sorted(set(seen.number("node", "cy")))
    assert len(heights) == layers + 1
    same(np.diff(heights), np.full(layers, 176 / layers))
    full = {
        (heights.index(float(n["cy"])), columns[float(n["cx"])])
        for n in seen.parts["node"]
        if n["class"] == "handle"
    }
    expected = [depends_on(t, mask, level) for level in range(layers + 1)]
    assert full == {(level, s) for level, tokens in enumerate(expected) for s in tokens}
    lines = {
        (heights.index(float(w["y1"])), columns[float(w["x1"])], columns[float(w["x2"])])
        for w in seen.parts["way"]
    }
    step = mask | torch.eye(6, dtype=torch.bool)
    assert lines == {
        (level, u, s)
        for level, tokens in enumerate(expected[:-1])
        for u in tokens
        for s in step[u].nonzero().flatten().tolist()
    }
    same([heights.index(float(w["y2"])) - heights.index(float(w["y1"])) for w in seen.parts["way"]],
         np.ones(len(lines)))  # fmt: skip


def mask_padding(mask):
    """How many keys at the end nobody may see: with a window, all queries together see the rest."""
    return int((~mask.any(0)).sum())


FIGURES = {
    "explore-transformer": check_mask,
}

WRONG = {
    "cut after softmax": (
        "explore-transformer", "softmax(kept.map((s) => SCORES[t][s]))",
        "softmax(SCORES[t]).filter((_, s) => kept.includes(s))"),
    "columns for rows": ("explore-transformer", "SCORES[t][s]", "SCORES[s][t]"),
    "the token itself cut": ("explore-transformer", "s <= t + ahead", "s < t + ahead"),
    "ahead for back": ("explore-transformer", "t - back <= s", "t - ahead <= s"),
    "padding in front": (
        "explore-transformer", "&& s < TOKENS.length - padding;", "&& s >= padding;"),
    "one layer, whatever is said": (
        "explore-transformer", "layer < layers; layer += 1", "layer < 1; layer += 1"),
    "no residual connection": ("explore-transformer", "u === s || permitted(u", "permitted(u"),
    "from the input upwards": (
        "explore-transformer", "permitted(u, s, mask)", "permitted(s, u, mask)"),
    "a row without a key is uniform": (
        "explore-transformer", "return null;", "return TOKENS.map(() => 1 / 6);"),
    "weights, not their roots": ("explore-transformer", "Math.sqrt(w)", "w"),
}  # fmt: skip
