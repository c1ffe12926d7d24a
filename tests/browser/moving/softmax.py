"""Softmax: the shift, and the Jacobian."""

import numpy as np
import torch

from attnlib.softmax import softmax_jacobian

from .figure import EXACT, Seen, f64, same, shares, shows, value


def two_rows(seen: Seen, rows: list[list[float]], decimals: int) -> None:
    """Bars with logits and weights of two rows; logits have as many decimals as they need."""
    weights = torch.softmax(f64(rows), -1).numpy()
    shows(seen.text("weight"), weights, digits=3)
    for label, exact in zip(seen.text("logit"), np.ravel(rows), strict=True):
        assert abs(value(label) - exact) <= 0.5 * 10**-decimals + EXACT
    sizes = seen.number("bar", "height").reshape(2, 3)
    for size, row in zip(sizes, weights, strict=True):
        shares(size, row)
    words = [
        f"Softmax of {', '.join(seen.text('logit')[i : i + 3])} "
        f"is {', '.join(seen.text('weight')[i : i + 3])}."
        for i in (0, 3)
    ]
    assert seen.said == " ".join(words)


def check_shift(seen: Seen) -> None:
    *z, c, beta = seen.values
    two_rows(seen, [[beta * (x + c) for x in z], [beta * x for x in z]], decimals=2)


def check_jacobian(seen: Seen) -> None:
    *z, beta = seen.values
    logits = beta * f64(z)
    y, jacobian = torch.softmax(logits, -1).numpy(), softmax_jacobian(logits)
    largest = float(torch.linalg.eigvalsh(jacobian)[-1])
    entries = jacobian.numpy().ravel()
    shows(seen.text("weight"), y, digits=3)
    shares(seen.number("bar", "height"), y)
    shows(seen.text("entry"), entries, digits=3)
    shows(seen.text("lambda"), [largest], digits=3)
    same(seen.number("cell", "fill-opacity"), np.minimum(1, 4 * np.abs(entries)))
    colours = [part["class"] for part in seen.parts["cell"]]
    assert colours == ["minus" if entry < 0 else "plus" for entry in entries]
    assert seen.said == (
        f"Weights {', '.join(seen.text('weight'))}. The largest eigenvalue λ of J is "
        f"{seen.text('lambda')[0].rpartition(' ')[2]}."
    )


FIGURES = {
    "explore-softmax": check_shift,
    "explore-jacobian": check_jacobian,
}

WRONG = {
    "the largest logit is not taken out": ("explore-softmax", "Math.exp(x - top)", "Math.exp(x)"),
    "weights cut off, not rounded": (
        "explore-softmax",
        "p.toFixed(3)",
        "(Math.floor(1000 * p) / 1000).toFixed(3)",
    ),
    "the factor spares the shift": ("explore-softmax", "beta * (x + c)", "beta * x + c"),
    "the shift in both rows": ("explore-softmax", "[shift, 0].map", "[shift, shift].map"),
    "bars of another height": ("explore-softmax", "height: 120 * p", "height: 120 * p * p"),
    "the sentence lags behind": (
        "explore-softmax",
        "said.textContent =",
        "said.textContent = said.late ?? ''; said.late =",
    ),
    "J with a plus": ("explore-jacobian", "((i === k) - b)", "((i === k) + b)"),
    "the square of the trace": ("explore-jacobian", "- trace * trace", "- trace"),
    "the smaller eigenvalue": ("explore-jacobian", "trace + Math.sqrt", "trace - Math.sqrt"),
    "J times β": ("explore-jacobian", "=> a * (", "=> 2 * a * ("),
}
