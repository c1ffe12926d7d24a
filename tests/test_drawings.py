"""The drawings of book/drawings against the code of the chapters: what is drawn is what runs.

Each check reads a drawing by its coordinates and holds it against the layers themselves. Wrong
drawings, made by changing a few characters, must fail the same check.
"""

import inspect
import re
import unicodedata
import xml.etree.ElementTree as ET
from functools import cache
from itertools import pairwise

import pytest
import torch
from helpers import ROOT, cells_of, close, run_cells
from torch import nn

from attnlib.layer_costs import Convolution, Recurrent, Restricted, SelfAttention
from attnlib.transformer import MultiHeadAttention, TransformerLayer, attention, causal_mask

FOLDER = ROOT / "book" / "drawings"
DRAWINGS = sorted(path.stem for path in FOLDER.glob("*.svg"))
NARROW = 343  # px that a page 375 px wide leaves to a drawing
pytestmark = pytest.mark.usefixtures("double_by_default")
drawings = pytest.mark.parametrize("stem", DRAWINGS)


def source(stem):
    return (FOLDER / f"{stem}.svg").read_text(encoding="utf-8")


def read(svg):
    """The elements of a drawing, without their namespace."""
    return ET.fromstring(re.sub(r' xmlns="[^"]*"', "", svg))


@cache
def included():
    """What chapters say of a drawing: its name, words for those who cannot see it, its caption."""
    image = re.compile(r"^!\[([^\]]*)\]\(\.\./book/drawings/(\w+)\.svg\)\n\n\*([^*]+)\*$", re.M)
    chapters = [path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").glob("*.md")]
    return [(stem, alt, text) for chapter in chapters for alt, stem, text in image.findall(chapter)]


def caption(stem):
    return next(text for name, _, text in included() if name == stem)


def classes(element):
    return element.get("class", "").split()


def number(element, *names):
    return [float(element.get(name)) for name in names]


def text_of(element):
    return "".join(element.itertext())


def points(d):
    """The corners of each line of a path, with M, L, H and V, and v and h from the last one."""
    lines = []
    for command, arguments in re.findall(r"([MLHVhv])([-\d. ]+)", d):
        given = [float(a) for a in arguments.split()]
        x, y = lines[-1][-1] if lines else (0, 0)
        if command in "ML":
            new = list(zip(given[::2], given[1::2], strict=True))
        else:
            new = [{"H": (a, y), "V": (x, a), "h": (x + a, y), "v": (x, y + a)}[command]
                   for a in given]  # fmt: skip
        if command == "M":
            lines.append(new)
        else:
            lines[-1] += new
    return lines


def inside(point, rect):
    x, y, width, height = number(rect, "x", "y", "width", "height")
    return x <= point[0] <= x + width and y <= point[1] <= y + height


def words_in(root, rect):
    """What is written in a box."""
    texts = [t for t in root.iter("text") if inside(number(t, "x", "y"), rect)]
    return " ".join(map(text_of, texts))


# -- one style, words for all ------------------------------------------------------------------


def test_every_drawing_stands_in_one_chapter_with_words_and_a_caption():
    assert sorted(stem for stem, *_ in included()) == DRAWINGS
    for _, alt, text in included():
        assert len(alt) > 200
        assert text[-1] == "."
        assert "*" not in text


@drawings
def test_drawings_share_one_style_and_no_address(stem):
    svg = source(stem)
    style = re.search(r"<style>.*</style>", svg, re.DOTALL)[0]
    assert style == re.search(r"<style>.*</style>", source("first_look"), re.DOTALL)[0]
    assert len(svg.encode()) < 8400
    root = read(svg)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert all(id.startswith(f"{stem}-") for id in ids)  # two drawings may share a page
    assert set(re.findall(r'(?:url\(|href=")#([\w-]+)', svg)) == set(ids)
    assert not re.search(r"#[0-9a-f]{3,6}\b", svg.replace(style, ""))  # colours of the style only
    assert root.get("class") == "drawn"


@drawings
def test_labels_can_be_read_on_a_narrow_page(stem):
    svg = source(stem)
    width = float(read(svg).get("viewBox").split()[2])
    sizes = [float(size) for size in re.findall(r"([\d.]+)px", svg)]
    assert min(sizes) * NARROW / width >= 9


# -- four kinds of layer -----------------------------------------------------------------------


@cache
def seen_by_layers():
    """What the chapter finds: which outputs depend on which inputs, and its k and r."""
    needed = ("import math", "def blocks", "def recurrent", "def weights", "def band")
    cells = [c for c in cells_of("layer_costs") if any(word in c.code for word in needed)]
    with run_cells(cells) as (space, _):
        seen = dict(zip(space["names"], (size > 0 for size in space["seen"]), strict=True))
        return seen, space["k"], space["r"]


def nodes_and_edges(d, height):
    """A path as lines between (position, layer)."""
    edges = [tuple((x / 26, -y / height) for x, y in line) for line in points(d)]
    assert all(c == int(c) for edge in edges for node in edge for c in node)
    return set(edges)


def reached(edges, start):
    found, new = set(), {start}
    while new:
        found |= new
        new = {b for a, b in edges if a in new} - found
    return found


def check_one_layer(group, edges, n, seen):
    """Lines lead from s to t where t depends on s; those to output 4 are blue."""
    for s in range(n):
        outputs = {t for t, layer in reached(edges, (s, 0)) if layer == 1}
        assert outputs == {t for t in range(n) if seen[t, s]}
    ring = group.find("circle")
    assert number(ring, "cx") == [3 * 26]
    height = -float(ring.get("cy"))
    band = next(p for p in group.iter("path") if "band" in classes(p))
    to_ring = {edge for edge in edges if (3, 1) in reached(edges, edge[1])}
    assert nodes_and_edges(band.get("d"), height) == to_ring
    dots = next(p for p in group.iter("path") if {"dots", "one"} <= set(classes(p)))
    (((first, _), (last, _)),) = points(dots.get("d"))
    inputs = [s for s in range(n) if seen[3, s]]
    assert inputs == list(range(int(first / 26), int((last - 1) / 26) + 1))


def check_way(group, edges, layers, height, n, length):
    """Orange is a way from position 1 to position n, and as short as the package says."""
    orange = next(g for g in group.iter("g") if {"two", "thick"} <= set(classes(g)))
    steps = [nodes_and_edges(p.get("d"), height).pop() for p in orange]
    assert all(end == start for (_, end), (start, _) in pairwise(steps))
    assert steps[0][0][0] == 0
    assert steps[-1][1] == (n - 1, layers)
    for (s, a), (t, b) in steps:
        at = 1 if a == b else 0  # within a row of outputs, or from a row to the next
        assert ((s, at), (t, 1)) in edges
    assert len(steps) == length
    said = next(text_of(t) for t in group.iter("text") if "end" in classes(t))
    assert said.split() == [str(length), "layer" if length == 1
                            else "steps" if layers == 1 else "layers"]  # fmt: skip


def check_four_layers(root, text):
    seen, k, r = seen_by_layers()
    costs = {"self-attention": SelfAttention(), "recurrent": Recurrent(),
             "convolution": Convolution(k), "restricted": Restricted(r)}  # fmt: skip
    groups = {g.get("data-layer"): g for g in root.iter("g") if g.get("data-layer")}
    assert groups.keys() == costs.keys() == seen.keys()
    n = 7
    for name, group in groups.items():
        assert text_of(group.find("text")) == name
        height = -float(group.find("circle").get("cy"))
        pale = next(g for g in group.iter("g") if "pale" in classes(g))
        edges = nodes_and_edges(pale.find("path").get("d"), height)
        above = [float(use.get("y")) for use in pale.iter("use")]
        layers = 1 + len(above)
        assert above == [-height * layer for layer in range(1, layers)]
        rows = next(p for p in group.iter("path") if classes(p) == ["dots"])
        assert points(rows.get("d")) == [
            [(0, -height * row), (26 * (n - 1) + 1, -height * row)] for row in range(layers + 1)
        ]
        tokens = [text_of(t) for t in group.iter("text") if t.get("y") == "20"]
        assert tokens == [str(t + 1) for t in range(n)]
        check_one_layer(group, edges, n, seen[name][:n, :n])
        check_way(group, edges, layers, height, n, costs[name].path_length(n))
    everything = [name for name in groups if seen[name][:n, :n].all()]
    assert everything == ["self-attention"] == [c for c in costs if costs[c].path_length(n) == 1]
    assert "Self-attention alone sees every token in one layer" in text
    assert f"$k = {k}$" in text
    assert f"$r/2 = {r // 2}$" in text


# -- heads -------------------------------------------------------------------------------------


UNIT = 6  # of the drawing, for an entry


def shapes_of(n, h, d_k, d_v, d_model):
    """Of every part of attention with h heads, by running it."""
    X, W_Q, W_V = torch.ones(n, d_model), torch.ones(d_model, h * d_k), torch.ones(d_model, h * d_v)
    Q, V, W_O = X @ W_Q, X @ W_V, torch.ones(h * d_v, d_model)
    q, v = Q.unflatten(-1, (h, d_k)).movedim(-2, 0), V.unflatten(-1, (h, d_v)).movedim(-2, 0)
    heads, _ = attention(q, q, v)
    joined = torch.cat([*heads], -1)
    parts = {"X": X, "Q": Q, "K": Q, "V": V, "O": joined, "W": W_O, "output": joined @ W_O}
    return {name: tuple(part.shape) for name, part in (
        parts | {f"O{i + 1}": head for i, head in enumerate(heads)}).items()}  # fmt: skip


def check_shapes(root, rects, sizes, shapes):
    """Every box is to scale, and the shapes in letters are right, for values of any width."""
    for rect in rects:
        width, height = number(rect, "width", "height")
        assert (height / UNIT, width / UNIT) == shapes[rect.get("data-part")]
    # Letters that are one number in the drawing would pass for each other.
    sizes = sizes | {"d_v": sizes["d_v"] + 3, "d_model": sizes["d_model"] + 1}
    shapes = shapes_of(**sizes)
    letters = {"n": "n", "h": "h", "dk": "d_k", "dv": "d_v", "dmodel": "d_model"}
    for label in root.iter("text"):
        if of := label.get("data-shape"):
            factors = [re.findall(r"h|n|dk|dv|dmodel", side) for side in text_of(label).split("×")]
            assert all(factors)
            shape = tuple(int(torch.tensor([sizes[letters[f]] for f in side]).prod())
                          for side in factors)  # fmt: skip
            assert shape == shapes[of], of


def check_labels(root, rects):
    """In a box stands its name, and its colour is that of its head."""
    colours = ("one", "ink", "two")
    for rect in rects:
        part = rect.get("data-part")
        if part[-1].isdigit():
            assert colours[int(part[-1]) - 1] in classes(rect), part
        said = words_in(root, rect).replace(" ", "")
        if part.startswith("W"):
            assert said == f"WO({part[1]})"
        elif said and part[-1].isdigit():
            assert said == part[0] + "₀₁₂₃"[int(part[-1])], part


def blocks(rects, name, axis):
    """Which columns, or rows, the blocks Q1, Q2, … of a matrix hold, where they lie together."""
    sides = {"x": ("x", "width"), "y": ("y", "height")}[axis]
    found = {r.get("data-part"): number(r, *sides) for r in reversed(rects)
             if r.get("data-part").rstrip("123") == name}  # fmt: skip
    start = min(at for at, _ in found.values())
    return {part: slice(int((at - start) / UNIT), int((at - start + size) / UNIT))
            for part, (at, size) in sorted(found.items())}  # fmt: skip


def check_heads(root, text):
    sizes = {key: int(value) for key, value in re.findall(r"\$(n|h) = (\d+)\$", text)}
    width, sizes["d_model"] = (int(n) for n in re.search(
        r"model\}\} = (\d+)\$, \$d_k = d_v = (\d+)", text).groups()[::-1])  # fmt: skip
    sizes |= {"d_k": width, "d_v": width}
    n, h, d_model = (sizes[name] for name in ("n", "h", "d_model"))
    mha, X = MultiHeadAttention(d_model, h), torch.randn(n, d_model)
    heads = dict(zip("QKV", mha.heads(X, X), strict=True))
    output, A = mha(X)
    heads["O"] = A @ heads["V"]
    rects = list(root.iter("rect"))
    shapes = {"X": tuple(X.shape), "output": tuple(output.shape), "W": tuple(mha.W_O.shape),
              "O": (n, h * width)}  # fmt: skip
    for i in range(h):
        shapes |= {f"{name}{i + 1}": tuple(heads[name][i].shape) for name in heads}
        shapes[f"W{i + 1}"] = (width, d_model)
    check_shapes(root, rects, sizes, shapes | dict.fromkeys("QKV", (n, h * width)))
    check_labels(root, rects)
    for name in "QKV":
        owned = blocks(rects, name, "x")
        assert len(owned) == h
        for i, columns in enumerate(owned.values()):
            close(heads[name][i], (X @ getattr(mha, f"W_{name}"))[:, columns])
    check_output(root, rects, mha, heads["O"], output)


def check_output(root, rects, mha, outputs, output):
    """The last two rows: side by side times W_O, and a sum, both as the module computes it."""
    h, names = len(outputs), [r.get("data-part") for r in rects]
    side_by_side = names.index("O1", names.index("O3"))
    row = rects[side_by_side : side_by_side + h]
    order = [int(r.get("data-part")[1]) - 1 for r in sorted(row, key=lambda r: float(r.get("x")))]
    rows = blocks(rects[side_by_side : -2 * h], "W", "y")
    stacked = torch.cat([mha.W_O[rows[f"W{i + 1}"]] for i in range(h)])
    close(torch.cat([outputs[i] for i in order], -1) @ stacked, output)
    last = rects[-2 * h :]
    assert [r.get("data-part") for r in last] == [f"{x}{i + 1}" for i in range(h) for x in "OW"]
    assert all(float(a.get("x")) < float(b.get("x")) for a, b in pairwise(last))
    close(sum(outputs[i] @ mha.W_O[rows[f"W{i + 1}"]] for i in range(h)), output)
    signs = [text_of(t) for t in root.iter("text") if text_of(t) in "=+"]
    assert signs == ["=", "=", *"+" * (h - 1)]


# -- encoder and decoder, post-norm and pre-norm -----------------------------------------------


def calls(layer, *given):
    """Which parts of a layer run, in order: name, what goes in, what comes out."""
    found = []
    parts = {name: part for name, part in layer.named_modules()
             if re.fullmatch(r"attend|cross|ffn|norms\.\d", name)}  # fmt: skip
    hooks = [part.register_forward_hook(
        lambda _, inputs, output, name=name: found.append((name, inputs, output)))
        for name, part in parts.items()]  # fmt: skip
    result = layer(*given)
    for hook in hooks:
        hook.remove()
    return found, result


def upwards(elements, at="y"):
    return sorted(elements, key=lambda element: -float(element.get(at)))


def mixes(part):
    """Do tokens meet in it?"""

    def run(x):
        output = part(x)
        return output[0] if isinstance(output, tuple) else output

    J = torch.autograd.functional.jacobian(run, torch.randn(3, 12)).abs().amax((1, 3))
    return bool((J * (1 - torch.eye(3))).any())


NAMES = {"attend": "self-attention", "cross": "cross-attention", "ffn": "feed-forward",
         "norms": "add, then norm"}  # fmt: skip


def check_boxes(root, boxes, layer, called, causal):
    assert [box.get("data-part") for box in upwards(boxes)] == [name for name, *_ in called]
    for box in boxes:
        name = box.get("data-part")
        said = NAMES[name.split(".")[0]]
        assert words_in(root, box) == ("causal " if causal and name == "attend" else "") + said
        assert ("one" in classes(box)) == mixes(layer.get_submodule(name)), name


def check_residuals(stack, boxes, called):
    """The line around a part starts at what goes in, and ends where it is added, at the norm."""
    outputs = {name: out[0] if isinstance(out, tuple) else out for name, _, out in called}
    inputs = {name: given[0] for name, given, _ in called}
    order, y = upwards(boxes), {box: number(box, "y")[0] for box in boxes}
    lines = [p for p in stack.iter("path") if p.get("data-residual")]
    assert len(lines) == len(boxes) / 2
    for i, line in enumerate(lines):
        part, norm = order[2 * i], order[2 * i + 1]
        below = y[order[2 * i - 1]] if i else y[part] + 200
        (_, start), *_, end = points(line.get("d"))[0]
        assert y[part] + float(part.get("height")) < start < below
        assert inside(end, norm)
        name = part.get("data-part")
        close(inputs[norm.get("data-part")], inputs[name] + outputs[name])


def check_masks(stack, boxes, weights):
    """The small squares are the masks: a row for each query, as long as what it may see."""
    cells = [p for p in stack.iter("path") if "cells" in classes(p)]
    blue = [box for box in boxes if "one" in classes(box)]
    assert len(cells) == len(blue) == len(weights)
    for drawn, box, A in zip(cells, blue, weights, strict=True):
        lines = points(drawn.get("d"))
        assert all(inside(point, box) for line in lines for point in line)
        lengths = [int((end - start) / 5) for (start, _), (end, _) in lines]
        mask = torch.arange(A.shape[-1]) < torch.tensor(lengths)[:, None]
        assert mask.equal((A > 0).all(0))


def check_encoder_decoder(root, text):
    m, n = (int(re.search(rf"\${name} = (\d+)\$", text)[1]) for name in "mn")
    source, written = torch.randn(m, 12), torch.randn(n, 12)
    encoder, decoder = (TransformerLayer(12, 3, 17, cross=cross) for cross in (False, True))
    below, (memory, weights) = calls(encoder, source)
    runs = {"encoder": (encoder, below, weights)}
    above, (_, weights) = calls(decoder, written, memory, causal_mask(n))
    runs["decoder"] = (decoder, above, weights)
    stacks = {g.get("data-stack"): g for g in root.iter("g") if g.get("data-stack")}
    assert stacks.keys() == runs.keys()
    boxes = {}
    for name, (layer, called, weights) in runs.items():
        boxes[name] = [r for r in stacks[name].iter("rect") if r.get("data-part")]
        check_boxes(root, boxes[name], layer, called, causal=name == "decoder")
        check_residuals(stacks[name], boxes[name], called)
        check_masks(stacks[name], boxes[name], weights)
    way = points(next(p for p in root.iter("path") if p.get("data-memory") is not None).get("d"))[0]
    assert inside(way[0], upwards(boxes["encoder"])[-1])
    (reader,) = [name for name, given, _ in above if any(x is memory for x in given)]
    assert [b.get("data-part") for b in boxes["decoder"] if inside(way[-1], b)] == [reader]
    letters = [text_of(t) for t in root.iter("text") if re.match("[QKV]", text_of(t))]
    assert sorted(letters) == ["K, V", "Q", "Q, K, V", "Q, K, V"]
    layers = inspect.signature(nn.Transformer).parameters
    for name in stacks:
        number = layers[f"num_{name}_layers"].default
        assert f"{name} ×{number}" in [text_of(t) for t in root.iter("text")]
        assert number == 6
    assert "six layers" in text


def check_norms(root, text):
    x = torch.randn(3, 12)
    groups = {g.get("data-order"): g for g in root.iter("g") if g.get("data-order")}
    for first, order in ((False, "post-norm"), (True, "pre-norm")):
        group, layer = groups[order], TransformerLayer(12, 3, 17, norm_first=first)
        boxes = list(group.iter("rect"))
        # From bottom to top: the parts as they run, and after each its sum on the line.
        at = {number(box, "y")[0]: box.get("data-part") for box in boxes}
        sums = [number(circle, "cy")[0] for circle in group.iter("circle")]
        at |= dict.fromkeys(sums, "+")
        run = [part for name, *_ in calls(layer, x)[0]
               for part in ([name] if name.startswith("norms") else [name, "+"])]  # fmt: skip
        assert [at[y] for y in sorted(at, reverse=True)] == run
        for box in boxes:
            name = box.get("data-part").split(".")[0]
            names = {"attend": "attention", "ffn": "feed-forward", "norms": "layer norm"}
            assert words_in(root, box) == names[name]
        line = number(group.find("circle"), "cx")[0]
        on_it = {b.get("data-part") for b in boxes if inside((line, number(b, "y")[0]), b)}
        assert on_it == (set() if first else {"norms.0", "norms.1"})
        ends = [points(p.get("d"))[-1][-1] for p in group.iter("path")]
        assert all((line + 9, y) in ends for y in sums)
        said = [text_of(t).replace(" ", "") for t in group.iter("text")]
        assert (said[0], said[-1]) == (order, "x+f(LN(x))" if first else "LN(x+f(x))")
        with torch.no_grad():
            for weight in (layer.attend.W_O, layer.ffn[2].weight, layer.ffn[2].bias):
                weight.zero_()
        assert layer(x)[0].equal(x) == first
    assert "In pre-norm it meets nothing but sums, so parts that give 0 leave $x$" in text


# -- a head ------------------------------------------------------------------------------------


def numbers(words):
    """½ is 0.5, and (1, −1) two numbers."""
    found = re.findall(r"[−\d]+|[½¼⅛]", words)
    return [unicodedata.numeric(f) if len(f) == 1 else float(f.replace("−", "-")) for f in found]


def check_first_look(root, text):
    needed = ("import math", "K = torch.tensor([[1.0", "s = K", "w = 2")
    cells = [c for c in cells_of("first_look") if any(word in c.code for word in needed)]
    with run_cells(cells) as (space, _):
        K, v, q, s, w = (space[name] for name in "Kvqsw")
    heads = {text_of(t): number(t, "x")[0] for t in root.iter("text") if t.get("y") == "16"}
    columns = {head: [] for head in heads}
    for label in root.iter("text"):
        x, y = number(label, "x", "y")
        if found := numbers(text_of(label)):
            nearest = min(heads, key=lambda head: abs(heads[head] - x))
            columns[nearest] += found if 16 < y < 190 else []
    close(torch.tensor(columns["query"]), q)
    close(torch.tensor(columns["key"]).view(4, 2), K)
    known = {"score": s, "2 to it": 2**s, "weight": w, "value": v, "product": w * v}
    for head, values in (known | {"output": (w @ v)[None]}).items():
        close(torch.tensor(columns[head]), values, msg=head)
    bars = [number(r, "width")[0] for r in root.iter("rect") if {"one"} & set(classes(r))]
    close(torch.tensor(bars) / bars[0], w / w[0])
    sums = [text_of(t) for t in root.iter("text") if text_of(t).startswith("sum")]
    assert sums == [f"sum {(2**s).sum():g}", f"sum {w.sum():g}"]


# -- two ways back -----------------------------------------------------------------------------


def learners(n=5, d=6, k=3):
    """The matrices of a head, by whether they learn where softmax lets nothing back."""
    X, dY = torch.randn(n, d), torch.randn(n, d)
    shapes = {"W_Q": (d, k), "W_K": (d, k), "W_V": (d, k), "W_O": (k, d)}
    W = {name: torch.randn(shape, requires_grad=True) for name, shape in shapes.items()}
    A = torch.softmax((X @ W["W_Q"]) @ (X @ W["W_K"]).T, -1).detach()
    grads = torch.autograd.grad((dY * (A @ X @ W["W_V"] @ W["W_O"])).sum(), list(W.values()),
                                allow_unused=True)  # fmt: skip
    return {name: grad is not None for name, grad in zip(W, grads, strict=True)}


def check_two_ways_back(root, text):
    boxes = {b.get("data-part"): b for b in root.iter("rect")}
    coloured = {name: c for name, b in boxes.items() for c in classes(b) if c != "area"}
    learns = learners()
    by_colour = {name: "one" if learns[part] else "two"
                 for name in boxes for part in name.split() if part in learns}  # fmt: skip
    assert coloured == by_colour | {"softmax": "two"}
    assert {words_in(root, b) for b in boxes.values()} == {
        "X", "WQ, WK", "S", "softmax", "A", "WV", "V", "AV", "WO", "Y"}  # fmt: skip

    def nearest(x, y):
        def distance(name):
            left, top, width, height = number(boxes[name], "x", "y", "width", "height")
            return max(left - x, x - left - width, 0) + max(top - y, y - top - height, 0)

        return min(boxes, key=distance)

    ways = {colour: set() for colour in ("", "one", "two")}
    for path in root.iter("path"):
        if path.get("marker-end"):
            colour = next((c for c in classes(path) if c in ways), "")
            (line,) = points(path.get("d"))
            ways[colour].add((nearest(*line[0]), nearest(*line[-1])))
    assert ways == {
        "": {("X", "W_Q W_K"), ("W_Q W_K", "S"), ("S", "softmax"), ("softmax", "A"), ("A", "AV"),
             ("X", "W_V"), ("W_V", "V"), ("V", "AV"), ("AV", "W_O"), ("W_O", "Y")},
        "one": {("Y", "W_V"), ("W_O", "W_O")},
        "two": {("AV", "softmax"), ("softmax", "W_Q W_K")},
    }  # fmt: skip
    assert "to $W_Q$ and $W_K$ passes softmax, and is multiplied by $J$" in text


# -- the checks, and drawings that they turn down ----------------------------------------------


CHECKS = {
    "encoder_decoder": check_encoder_decoder,
    "first_look": check_first_look,
    "four_layers": check_four_layers,
    "heads": check_heads,
    "norms": check_norms,
    "two_ways_back": check_two_ways_back,
}


@drawings
def test_a_drawing_shows_what_the_code_does(stem):
    CHECKS[stem](read(source(stem)), caption(stem))


# What somebody could draw: wherever the first stands, the second does, and with True also back.
WRONG = {
    "recurrent-backwards": ("four_layers", "M52 -48 78 -48", "M78 -48 52 -48"),
    "recurrent-cut": ("four_layers", "M26 0 26 -48M52", "M52"),
    "self-attention-without-one": ("four_layers", "M156 0 0 -48", ""),
    "field-too-small": ("four_layers", "M156 0 78 -48\"", "\""),
    "convolution-of-four": ("four_layers", "M52 0 104 -34M78 0 104 -34M104 0 104 -34M78",
                            "M26 0 104 -34M52 0 104 -34M78 0 104 -34M104 0 104 -34M78"),
    "window-too-narrow": ("four_layers", "M130 0 78 -34", ""),
    "dots-too-few": ("four_layers", "M26 0h105", "M26 0h79"),
    "ring-elsewhere": ("four_layers", 'cx="78"', 'cx="104"'),
    "a-detour": ("four_layers", '"M104 -68 156 -102"', '"M104 -68 130 -102"'),
    "a-leap": ("four_layers", '0 52 -34"/><path d="M52', '0 78 -34"/><path d="M78'),
    "steps-miscounted": ("four_layers", "6 steps", "7 steps"),
    "layers-miscounted": ("four_layers", "3 layers", "4 layers"),
    "wrong-name": ("four_layers", ">convolution<", ">restricted<", True),
    "interleaved-columns": ("heads", 'one area" x="120"', 'one area" x="144"'),
    "heads-exchanged": ("heads", 'x="242" y="26"', 'x="266" y="26"', True),
    "rows-exchanged": ("heads", 'y="218" width="72"', 'y="266" width="72"', True),
    "concatenated-backwards": ("heads", 'x="76" y="239"', 'x="124" y="239"', True),
    "wrong-pairs": ("heads", 'x="62" y="340"', 'x="182" y="340"', True),
    "output-as-wide-as-a-head": ("heads", '"252" y="239" width="72"', '"252" y="239" width="24"'),
    "values-as-wide-as-tokens": ("heads", 'n × d<tspan class="s" dy="4">v',
                                 'n × d<tspan class="s" dy="4">model'),
    "queries-as-wide-as-values": ("heads", 'hd<tspan class="s" dy="4">k',
                                  'hd<tspan class="s" dy="4">v'),
    "queries-as-wide-as-tokens": ("heads", 'hd<tspan class="s" dy="4">k',
                                  'd<tspan class="s" dy="4">model'),
    "outputs-as-wide-as-keys": ("heads", 'n × d<tspan class="s" dy="4">v',
                                'n × d<tspan class="s" dy="4">k'),
    "matrix-for-the-keys": ("heads", '"188" y="308">hd<tspan class="s" dy="4">v',
                            '"188" y="308">hd<tspan class="s" dy="4">k'),
    "one-head-wide": ("heads", 'n × hd<tspan class="s" dy="4">v',
                      'n × d<tspan class="s" dy="4">v'),
    "wrong-head": ("heads", ">Q₂<", ">Q₃<"),
    "wrong-colour": ("heads", 'O2" class="ink area"', 'O2" class="two area"'),
    "product-for-sum": ("heads", ">+<", ">=<"),
    "memory-to-self-attention": ("encoder_decoder", "V244H228", "V336H228"),
    "memory-before-the-last-norm": ("encoder_decoder", "M98 192V158", "M98 226V158"),
    "cross-attention-last": ("encoder_decoder", '"228" y="226"', '"228" y="134"', True),
    "attention-named-otherwise": ("encoder_decoder", ">cross-attention<", ">feed-forward<", True),
    "causal-in-the-encoder": ("encoder_decoder", "M36 326h25M36", "M36 326h5M36"),
    "sees-the-future": ("encoder_decoder", "328.5h5M236 333.5h10M236 338.5h15M236 343.5h20",
                        "328.5h20M236 333.5h15M236 338.5h10M236 343.5h5"),
    "memory-square": ("encoder_decoder", "M236 251.5h25", "M236 251.5h20"),
    "residual-from-inside": ("encoder_decoder", "M98 366H16", "M98 330H16"),
    "residual-around-two-parts": ("encoder_decoder", "M298 182H380", "M298 274H380"),
    "residual-past-the-norm": ("encoder_decoder", "V203H28", "V186H28"),
    "feed-forward-mixes": ("encoder_decoder", 'ffn" class="ink', 'ffn" class="one'),
    "norm-mixes": ("encoder_decoder", 'norms.1" class="two', 'norms.1" class="one'),
    "eight-layers": ("encoder_decoder", "decoder ×6", "decoder ×8"),
    "titles-exchanged": ("norms", ">post-norm<", ">pre-norm<", True),
    "norm-before-the-sum": ("norms", 'x="4" y="190"', 'x="4" y="250"'),
    "norm-beside-the-line": ("norms", 'x="4" y="60"', 'x="90" y="60"'),
    "norm-after-the-part": ("norms", 'x="294" y="262"', 'x="294" y="223"', True),
    "formulas-exchanged": ("norms", ">LN(<", "><"),
    "sum-left-out": ("norms", '<circle class="two" cx="248" cy="76" r="8"/>', ""),
    "branch-that-ends-elsewhere": ("norms", "V236H53", "V201H84"),
    "score": ("first_look", 'y="89">2<', 'y="89">3<'),
    "weight": ("first_look", ">¼<", ">½<"),
    "bar": ("first_look", 'width="20"', 'width="30"'),
    "key": ("first_look", "(1, −1)", "(1, 1)"),
    "output": ("first_look", ">6<", ">7<"),
    "sum": ("first_look", "sum 16", "sum 15"),
    "values-through-softmax": ("two_ways_back", 'W_V" class="one', 'W_V" class="two'),
    "queries-past-softmax": ("two_ways_back", 'W_Q W_K" class="two', 'W_Q W_K" class="one'),
    "back-to-the-values": ("two_ways_back", "M218 38H90V52", "M218 38H156V52"),
    "weights-from-values": ("two_ways_back", "M290 86V142", "M290 142V86"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("stem", "right", "wrong", "back"), [(*w, False)[:4] for w in WRONG.values()], ids=WRONG
)
def test_a_wrong_drawing_is_turned_down(stem, right, wrong, back):
    svg = source(stem)
    assert right in svg
    changed = svg.replace(right, "\0").replace(wrong, right if back else wrong).replace("\0", wrong)
    with pytest.raises(AssertionError):
        CHECKS[stem](read(changed), caption(stem))


WRONG_WORDS = {
    "one-layer": ("four_layers", "alone sees every", "sees nearly every"),
    "taps": ("four_layers", "$k = 3$", "$k = 4$"),
    "window": ("four_layers", "$r/2 = 2$", "$r/2 = 4$"),
    "heads": ("heads", "$h = 3$", "$h = 4$"),
    "width": ("heads", "d_v = 4", "d_v = 3"),
    "tokens": ("heads", "$n = 5$", "$n = 4$"),
    "source": ("encoder_decoder", "$m = 5$", "$m = 4$"),
    "layers": ("encoder_decoder", "six layers", "two layers"),
    "order": ("norms", "In pre-norm it", "In post-norm it"),
    "ways": ("two_ways_back", "to $W_Q$ and $W_K$", "to $W_V$ and $W_O$"),
}


@pytest.mark.parametrize(("stem", "right", "wrong"), WRONG_WORDS.values(), ids=WRONG_WORDS)
def test_a_wrong_caption_is_turned_down(stem, right, wrong):
    assert right in caption(stem)
    with pytest.raises(AssertionError):
        CHECKS[stem](read(source(stem)), caption(stem).replace(right, wrong))
