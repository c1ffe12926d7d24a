"""A message from token 1 on its way through three kinds of layer, and what a layer costs."""

from itertools import pairwise

import numpy as np

from attnlib.layer_costs import Convolution, Recurrent, SelfAttention

from .figure import Seen, same, shares, value

HIGH = 112


def arrows(name, n, k):
    """True at [t, s] where one hop leads from s to t."""
    back = np.arange(n)[:, None] - np.arange(n)
    return {
        "recurrence": (back == 0) | (back == 1),  # the state itself stays where it is
        "convolution": (back >= 0) & (back < k),
        "self-attention": back == back,
    }[name]


def spread(one_hop, hops):
    """Which positions a message from the first can be at, after 0, 1, … hops."""
    here = [np.arange(len(one_hop)) == 0]
    for _ in range(hops):
        here.append(one_hop[:, here[-1]].any(1))
    return here


def corners(seen, part, n, rows, width):
    """The lines of a path, as (token, row), counted from 0; rows from below."""
    found = []
    for line in seen.parts[part][0]["d"].split("M")[1:]:
        x, y = np.array(line.split(), dtype=float).reshape(-1, 2).T
        places = np.stack([x * (n - 1) / width, (1 - y / HIGH) * (rows - 1)], 1)
        same(places, places.round())
        found.append([tuple(place) for place in places.round().astype(int).tolist()])
    return found


def check_lines(seen: Seen, name, one_hop, rows, width) -> None:
    """A recurrence has one row of states, a stack has a row for each layer."""
    n = len(one_hop)
    lines = {tuple(line) for line in corners(seen, f"{name}-lines", n, rows, width)}
    if name == "recurrence":
        expected = {((t, 0), (t, 1)) for t in range(n)}
        expected |= {((t - 1, 1), (t, 1)) for t in range(1, n)}
    else:
        pairs = one_hop.T.nonzero()
        expected = {
            ((s, row), (t, row + 1))
            for s, t in zip(*map(np.ndarray.tolist, pairs), strict=True)
            for row in range(rows - 1)
        }
    assert lines == expected


def check_nodes(seen: Seen, name, here, rows, width) -> None:
    """Filled is what has heard of the first token after the hops."""
    n = len(here[0])
    if name == "recurrence":
        filled = [here[0], here[-1]]
    else:
        filled = [*here[:rows], *[np.zeros(n, bool)] * (rows - len(here))]
    nodes = seen.parts[f"{name}-node"]
    assert [p["class"] == "handle" for p in nodes] == np.concatenate(filled).tolist()
    same(seen.number(f"{name}-node", "cx") * (n - 1) / width, np.tile(np.arange(n), rows))
    same((1 - seen.number(f"{name}-node", "cy") / HIGH) * (rows - 1), np.repeat(np.arange(rows), n))
    assert [value(text) for text in seen.text(f"{name}-token")] == [1, n]
    same(seen.number(f"{name}-token", "x") * (n - 1) / width, [0, n - 1])


def check_layer(seen: Seen, name, layer, n, k, hops) -> int:
    """The drawing of one layer or stack; the last token that has heard of the first."""
    one_hop, path, along = arrows(name, n, k), layer.path_length(n), name == "recurrence"
    rows = 2 if along else path + 1
    width = float(seen.parts[f"{name}-node"][n - 1]["cx"])
    here = spread(one_hop, hops)
    assert [at[-1] for at in spread(one_hop, path)] == [False] * path + [True]
    check_lines(seen, name, one_hop, rows, width)
    check_nodes(seen, name, here, rows, width)
    (way,) = corners(seen, f"{name}-way", n, rows, width)
    assert len(way) == min(hops, path) + 1
    assert way[0] == (0, 1 if along else 0)
    for (s, below), (t, above) in pairwise(way):
        assert one_hop[t, s]
        assert above == (1 if along else below + 1)
    heard = int(here[-1].nonzero()[0].max())
    assert way[-1][0] == heard
    return heard + 1


def counted(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"


def check_reading(seen: Seen) -> None:
    n, d, k, hops = map(int, seen.values)
    layers = {"recurrence": Recurrent(), "convolution": Convolution(k),
              "self-attention": SelfAttention()}  # fmt: skip
    costs = [layer.multiply_adds(n, d) for layer in layers.values()]
    at = [check_layer(seen, name, layer, n, k, hops) for name, layer in layers.items()]
    assert seen.text("number") == [
        text
        for layer, cost in zip(layers.values(), costs, strict=True)
        for text in (
            f"{counted(layer.path_length(n), 'hop')} to token {n}",
            f"{counted(layer.sequential_depth(n), 'step')} in a row",
            counted(cost, "multiply–add"),
        )
    ]
    shares(seen.number("bar", "width"), np.array(costs) / sum(costs))
    order = "fewer than" if n < d else "as many as" if n == d else "more than"
    assert seen.said == (
        f"After {counted(hops, 'hop')} the last of {n} tokens to have heard of token 1 is token "
        f"{at[0]} in the recurrence, {at[1]} with convolutions of {k} taps, {at[2]} with "
        f"self-attention. With d = {d} self-attention takes {order} the recurrence: "
        f"{costs[2]} multiply–adds against {costs[0]}."
    )


FIGURES = {
    "explore-layer-costs": check_reading,
}

WRONG = {
    what: ("explore-layer-costs", *exchanged)
    for what, exchanged in {
        "QKᵀ only": ("cost: 2 * n * n * d", "cost: n * n * d"),
        "W_h only": ("cost: 2 * n * d * d", "cost: n * d * d"),
        "one tap only": ("cost: k * n * d * d", "cost: n * d * d"),
        "n and d exchanged": ("cost: 2 * n * n * d", "cost: 2 * n * d * d"),
        "a hop of k": ("hop: k - 1", "hop: k"),
        "half of a centred window": ("hop: k - 1", "hop: Math.max(1, (k - 1) / 2)"),
        "a path to nowhere": ("Math.ceil((n - 1) / layer.hop)", "Math.ceil(n / layer.hop)"),
        "rounded down": ("Math.ceil((n - 1) / layer.hop)", "Math.floor((n - 1) / layer.hop)"),
        "a convolution that waits": (
            "hop: k - 1, waits: 1", "hop: k - 1, waits: Math.ceil((n - 1) / (k - 1))"),
        "one step less": ("waits: n", "waits: n - 1"),
        "attention that looks back only": (' || name === "self-attention"', ""),
        "a convolution that looks ahead": ("(s <= t ||", "(true ||"),
        "beyond the last token": ("Math.min(n, 1 + hop * hops)", "1 + hop * hops"),
        "all nodes of a layer filled": ("t <= last && (along", "(along"),
        "layers not reached filled": (" && (along || row <= hops)", ""),
        "the way a hop too long": ("Math.min(hops, path) + 1 }", "Math.min(hops + 1, path) + 1 }"),
        "no lines along the states": ("if (along) lines.push", "if (!along) lines.push"),
        "bars by their roots": ("BAR * cost / most", "BAR * Math.sqrt(cost / most)"),
        "fewer and more exchanged": ("costs[2] - costs[0])]", "costs[0] - costs[2])]"),
        "the last label": ("[1, n].forEach", "[1, n - 1].forEach"),
    }.items()
}  # fmt: skip
