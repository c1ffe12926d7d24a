"""The row of word 4: compared with every word, and written from itself alone."""

import re

import torch

from attnlib.synthesizer import SynthesizerAttention
from attnlib.transformer import attention

from .figure import Seen, f64, same, shares, shows

B = f64([[0, 2, 0, 0], [2, 0, 0, 0]])  # to the right: place 2; up: place 1


def synthesizer() -> SynthesizerAttention:
    """One head whose hidden row is the token itself, and whose values are the tokens."""
    layer = SynthesizerAttention(2, 1, 4, causal=False).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        for matrix in (layer.A, layer.V, layer.W_O):
            matrix.copy_(torch.eye(2))
        layer.B.copy_(B)
    return layer


def check_synthesizer(seen: Seen) -> None:
    second, fourth = f64(seen.values[:2]), f64(seen.values[2:])
    words = torch.stack([f64([1.5, 1.5]), second, f64([-1.5, 1]), fourth])
    dot_output, dot_weights = attention(words[3:], words, words)
    with torch.no_grad():
        outputs, weights = synthesizer()(words[None])
    rows = torch.stack([dot_weights[0], weights[0, 0, 3]]).numpy()
    points = torch.stack([dot_output[0], outputs[0, 3]]).numpy()
    shows(seen.text("weight"), rows, digits=3)
    for bars, row in zip(seen.number("bar", "width").reshape(2, 4), rows, strict=True):
        shares(bars, row)
    numbers = [n for text in seen.text("output") for n in re.findall(r"[−\d.]+", text)]
    shows(numbers, points, digits=2)
    for part, exact in (("word", words.numpy()), ("output-point", points)):
        same(seen.number(part, "cx") / 40 - 3, exact[:, 0])
        same(3 - seen.number(part, "cy") / 40, exact[:, 1])
    assert [p["class"] for p in seen.parts["output-point"]] == ["handle", "ring"]
    w, out = seen.text("weight"), seen.text("output")
    assert seen.said == (
        f"Dot product: weights {', '.join(w[:4])}, output {out[0]}. "
        f"Synthesizer: weights {', '.join(w[4:])}, output {out[1]}."
    )


FIGURES = {
    "explore-synthesizer": check_synthesizer,
}

WRONG = {
    "no scale": ("explore-synthesizer", "/ Math.SQRT2", ""),
    "the scale d_k": ("explore-synthesizer", "/ Math.SQRT2", "/ 2"),
    "the query of word 2": (
        "explore-synthesizer", "compared(words, words[3])", "compared(words, words[1])"),
    "no ReLU": ("explore-synthesizer", "Math.max(0, x)", "x"),
    "scores from word 2": (
        "explore-synthesizer", "writtenAlone(words[3])", "writtenAlone(words[1])"),
    "the places exchanged": ("explore-synthesizer", "[0, 2, 0, 0], [2", "[2, 0, 0, 0], [0, 2"),
    "one hidden entry only": ("explore-synthesizer", " + hidden[1] * B[1][j]", ""),
    "the outputs exchanged": (
        "explore-synthesizer", "[dot.output, alone.output]", "[alone.output, dot.output]"),
    "up is down": ("explore-synthesizer", "SIDE / 2 - unit * up", "SIDE / 2 + unit * up"),
    "words 1 and 3 exchanged": (
        "explore-synthesizer", "[FIRST, values.slice(0, 2), THIRD",
        "[THIRD, values.slice(0, 2), FIRST"),
    "bars of another length": ("explore-synthesizer", "width: 65 * w", "width: 65 * w * w"),
    "the output is the heaviest word": (
        "explore-synthesizer", "sum + w * words[j][k], 0)",
        "w === Math.max(...weights) ? words[j][k] : sum, 0)"),
}  # fmt: skip
