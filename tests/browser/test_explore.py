"""The figures that move: at every setting they show what attnlib computes, to the digits shown.

Each figure is set to the ends of its sliders and to random places. A check reads the drawing and
the sentence below it. What a check must notice is at the end: wrong figures, and each is found.
"""

import contextlib
import itertools
import json
import math
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from attnlib.scaling import expected_saturation
from attnlib.smooth_max import smooth_max
from attnlib.softmax import softmax_jacobian
from attnlib.transformer import attention, smoothed_cross_entropy

SCRIPTS = Path(__file__).parents[2] / "book" / "_static" / "explore"
RANDOM = 20  # settings of each figure, its ends not counted
# Beside half a unit of the last digit shown. Logits reach 20 · 1003, whose rounding moves a
# weight by 1e−11; λ has a root in it, of which 1e−16 makes 1e−8.
SLACK = 1e-7
EXACT = 1e-9  # of what is drawn, in units of what it stands for

# Puts the sliders to each setting in turn, as a reader's hand would, and reads what is shown.
READ = """([selector, settings]) => {
  const root = document.querySelector(selector);
  const svg = root.querySelector("svg");
  const inputs = [...root.querySelectorAll("input")];
  const read = () => {
    const parts = {};
    svg.querySelectorAll("[data-part]").forEach((node) => {
      const part = Object.fromEntries([...node.attributes].map((a) => [a.name, a.value]));
      (parts[node.dataset.part] ??= []).push({ ...part, text: node.textContent });
    });
    const box = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].map((node) => {
      const { left, right, top, bottom } = node.getBoundingClientRect();
      const size = node.getAttribute("font-size") * svg.getScreenCTM().a;
      const within = left >= box.left - 1 && right <= box.right + 1 && top >= box.top - 1
        && bottom <= box.bottom + 1;
      return { text: node.textContent, size, within, left, right, top, bottom,
        moves: node.classList.contains("query-name") };
    });
    return {
      values: inputs.map((input) => Number(input.value)),
      outputs: [...root.querySelectorAll("output")].map((node) => node.textContent),
      said: root.querySelector(".said").textContent,
      parts, texts,
    };
  };
  return JSON.stringify([read(), ...settings.map((values) => {
    values.forEach((value, i) => {
      inputs[i].value = value;
      inputs[i].dispatchEvent(new Event("input", { bubbles: true }));
    });
    return read();
  })]);  // one string: that is quick
}"""


class Seen(NamedTuple):
    """What a figure shows at one setting."""

    values: list[float]  # of the sliders
    outputs: list[str]  # the numbers beside them
    said: str
    parts: dict[str, list[dict[str, str]]]  # of the drawing: attributes and text
    texts: list[dict]  # each label, where it stands and how large it is

    def text(self, part: str) -> list[str]:
        return [p["text"] for p in self.parts[part]]

    def number(self, part: str, name: str) -> np.ndarray:
        return np.array([float(p[name]) for p in self.parts[part]])

    def points(self, part: str, which: int = 0) -> np.ndarray:
        pairs = self.parts[part][which]["points"].split()
        return np.array([[float(x) for x in pair.split(",")] for pair in pairs])


class Figure(NamedTuple):
    page: str
    selector: str
    check: Callable[[Seen], None]
    script: str

    def see(self, page, settings=()) -> list[Seen]:
        """What it shows at first, and then at each setting."""
        seen = json.loads(page.evaluate(READ, [self.selector, list(settings)]))
        return [Seen(**one) for one in seen]

    def ends(self, page) -> list[list[float]]:
        """Least, most and step of each slider."""
        inputs = page.locator(f"{self.selector} input")
        return inputs.evaluate_all("(all) => all.map((i) => [i.min, i.max, i.step].map(Number))")

    def inside(self, page) -> list[float]:
        """A place where every slider matters: far from the ends, no two alike."""
        ends = enumerate(self.ends(page))
        return [low + (0.4 + 0.05 * i) * (high - low) for i, (low, high, _) in ends]

    def settings(self, page, more=RANDOM) -> list[list[float]]:
        """All sliders at one end, each alone at either end, random places; the same each run."""
        ends = self.ends(page)
        draw = random.Random(self.selector)

        def anywhere():
            return [low + step * draw.randint(0, round((high - low) / step))
                    for low, high, step in ends]  # fmt: skip

        alone = [
            [*place[:i], end, *place[i + 1 :]]
            for i, (low, high, _) in enumerate(ends)
            for end in (low, high)
            for place in [anywhere()]
        ]
        corners = [[low for low, _, _ in ends], [high for _, high, _ in ends]]
        return corners + alone + [anywhere() for _ in range(more)]


# -- numbers -----------------------------------------------------------------------------------


def value(text: str) -> float:
    """The number in a label."""
    numbers = re.findall(r"[-−]?\d+(?:\.\d+)?", text)
    assert len(numbers) == 1, text
    return float(numbers[0].replace("−", "-"))


def shows(texts: list[str], values, digits: int) -> None:
    """Each label has this many decimals, and its value to half a unit of the last."""
    values = np.asarray(values, dtype=float).ravel()
    assert len(texts) == len(values)
    for text, exact in zip(texts, values, strict=True):
        assert re.search(rf"\d\.\d{{{digits}}}(?!\d)" if digits else r"\d(?!\.)", text), text
        assert abs(value(text) - exact) <= 0.5 * 10**-digits + SLACK, (text, exact)


def same(drawn, exact) -> None:
    drawn, exact = np.asarray(drawn, dtype=float), np.asarray(exact, dtype=float)
    assert drawn.shape == exact.shape
    assert np.abs(drawn - exact).max() <= EXACT, (drawn, exact)


def shares(sizes, weights) -> None:
    """Bars of one row stand to each other as the weights do, whatever their unit."""
    same(sizes / sizes.sum(), weights)


def f64(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


# -- what each figure must show ----------------------------------------------------------------


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


def check_landing(seen: Seen) -> None:
    size, gap = seen.values
    two_rows(seen, [[size, size, size + gap], [0, 0, gap]], decimals=1)


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


def check_first_look(seen: Seen) -> None:
    K, v = f64([[1, 1], [1, 0], [0, 1], [1, -1]]), f64([[4], [8], [0], [16]])
    q = f64(seen.values)
    output, A = attention(q[None], K, v, scale=math.log(2))
    weights, mean = A[0].numpy(), float(output)
    shows(seen.text("score"), K @ q, digits=1)
    shows(seen.text("weight"), weights, digits=3)
    shows(seen.text("output"), [mean], digits=2)
    shares(seen.number("bar", "width"), weights)
    same((seen.number("disc", "r") - 3) ** 2 / 17**2, weights)  # an area, and a dot for none
    same(seen.number("query", "cx") / 30 - 4, q[:1])
    same(4 - seen.number("query", "cy") / 30, q[1:])
    same((seen.number("mean", "cx") - 270) / 15, [mean])
    assert seen.said == (
        f"Scores {', '.join(seen.text('score'))}; weights {', '.join(seen.text('weight'))}; "
        f"{seen.text('output')[0]}."
    )


TABLE = re.search(
    r"LARGEST = `\n(.*?)\n`", (SCRIPTS / "scaling.js").read_text(encoding="utf-8"), re.DOTALL
)
# tests/test_scaling.py holds it against attnlib.
LARGEST = np.array([row.split() for row in TABLE[1].splitlines()], dtype=float) / 1000


def hundredths(p: float) -> str:
    return "less than 0.01" if p < 0.005 else f"{p:.2f}"


def check_scaling(seen: Seen) -> None:
    width, doublings = seen.values
    row = LARGEST[int(doublings) - 1]
    without = np.interp(2 * math.log2(width), np.arange(17), row)
    critical = 2 * math.log(2**doublings)
    # The curve: a unit of log₂ d_k is 30 wide, a weight of 1 is 240 high.
    same(seen.points("row") @ np.diag([1 / 15, -1]) + [0, 240], np.c_[np.arange(17), 240 * row])
    same(seen.number("critical", "x1") / 30, [math.log2(critical)])
    same(seen.number("without", "cx") / 30, [math.log2(width)])
    same(1 - seen.number("without", "cy") / 240, [without])
    same(1 - seen.number("scaled", "cy") / 240, row[:1])
    # The plane: the row of n is 240/19 high, the lowest is that of 2.
    same(seen.number("cell", "fill-opacity"), LARGEST.ravel())
    line = seen.points("line") / [30, 240 / 19]
    same(2 ** line[:, 0], 2 * math.log(2) * (19.5 - line[:, 1]))
    same(seen.number("place", "cx") / 30, [math.log2(width), 0])
    same(19.5 - seen.number("place", "cy") / (240 / 19), [doublings, doublings])
    keys, d, threshold, *shown = re.fullmatch(
        r"([\d\u202f]+) keys, dₖ = (\d+), 2 ln n = (\d+\.\d)\. The largest weight is (.*) on "
        r"average without a divisor, (.*) with √dₖ\.",
        seen.said,
    ).groups()
    assert [int(keys.replace("\u202f", "")), int(d)] == [2**doublings, width]
    shows([threshold], [critical], digits=1)
    for text, p in zip(shown, (without, row[0]), strict=True):
        assert ("less" in text) == (p < 0.005)
        if "less" not in text:
            shows([text], [p], digits=2)


def check_smooth_max(seen: Seen) -> None:
    x, k, n = seen.values
    numbers = torch.zeros(int(n), dtype=torch.float64)
    numbers[0] = x
    numbers.requires_grad_()
    smooth = smooth_max(numbers, k)
    slope = float(torch.autograd.grad(smooth, numbers)[0][0])
    smooth, numbers = float(smooth.detach()), numbers.detach()
    weight = float(torch.softmax(k * numbers, 0)[0])
    bound = float(smooth_max(torch.zeros(int(n), dtype=torch.float64), k))  # at the tie
    shows(seen.text("smooth"), [smooth], digits=3)
    shows(seen.text("slope"), [slope], digits=3)
    shows(seen.text("weight"), [weight], digits=3)
    shows([seen.text("bound")[0].rpartition("= ")[2]], [bound], digits=3)
    smooth_max_planes(seen, (x, k, numbers), (smooth, slope, weight, bound))
    shown = [seen.text(part)[0].split()[-1] for part in ("smooth", "bound", "weight")]
    above, most = re.fullmatch(
        rf"x = {re.escape(f'{x:.1f}'.replace('-', '−'))} and {n - 1:g} zeros?, k = {k:g}: the "
        rf"maximum is {max(x, 0):.1f}, the smooth maximum {shown[0]}, which is (.*) above it and "
        rf"may be up to ln n/k = (.*)\. Its slope is the softmax weight of x, {shown[2]}\.",
        seen.said,
    ).groups()
    shows([above], [smooth - max(x, 0)], digits=3)
    assert most == shown[1]


def smooth_max_planes(seen: Seen, setting, exact) -> None:
    """The two planes, read by the numbers at their edges."""
    x, k, numbers = setting
    smooth, slope, weight, bound = exact
    along = reading(seen, "tick-x", "x", slice(0, 7))
    above = reading(seen, "tick-y", "y", slice(0, 4), raised=4)
    share = reading(seen, "tick-y", "y", slice(4, 7), raised=4)
    rows = numbers.repeat(301, 1)
    rows[:, 0] = torch.linspace(-3, 3, 301, dtype=torch.float64)
    kink, curve, tangent, band = (
        np.c_[along(p[:, 0]), above(p[:, 1])]
        for p in map(seen.points, ("kink", "curve", "tangent", "band"))
    )
    same(kink, [[-3, 0], [0, 0], [3, 3]])
    same(band, np.r_[kink, kink[::-1] + np.array([0, bound])])
    same(curve, np.c_[rows[:, 0], smooth_max(rows, k)])
    same(tangent[:, 1], smooth + slope * (tangent[:, 0] - x))
    assert tangent[0, 0] <= x <= tangent[1, 0]
    assert 0.3 < np.ptp(tangent[:, 0]) <= 3 + EXACT
    same([along(seen.number("point", "cx"))[0], above(seen.number("point", "cy"))[0]], [x, smooth])
    same(above(np.r_[seen.number("tie", "y1"), seen.number("tie", "y2")]), [0, bound])
    same(along(seen.number("tie", "x1")), [0])
    weights = seen.points("weights")
    same(along(weights[:, 0]), rows[:, 0])
    same(share(weights[:, 1]), torch.softmax(k * rows, -1)[:, 0])
    same(share(seen.number("weight-point", "cy")), [weight])
    same(along(seen.number("weight-point", "cx")), [x])


def reading(seen: Seen, part: str, axis: str, which: slice, raised=0):
    """From a place in a drawing to what the numbers at its edge say; they are evenly spaced."""
    places = seen.number(part, axis)[which] - raised
    read = [0.5 if text == "½" else value(text) for text in seen.text(part)[which]]
    scale = (read[-1] - read[0]) / (places[-1] - places[0])
    same(read[0] + scale * (places - places[0]), read)
    return lambda place: read[0] + scale * (place - places[0])


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
    "landing": Figure("book/index.html", ".explore-landing", check_landing, "index"),
    "first_look": Figure(
        "notebooks/first_look.html", ".explore-first-look", check_first_look, "first_look"
    ),
    "softmax": Figure("notebooks/softmax.html", ".explore-softmax", check_shift, "softmax"),
    "jacobian": Figure("notebooks/softmax.html", ".explore-jacobian", check_jacobian, "softmax"),
    "scaling": Figure("notebooks/scaling.html", ".explore-scaling", check_scaling, "scaling"),
    "smooth_max": Figure(
        "notebooks/smooth_max.html", ".explore-smooth-max", check_smooth_max, "smooth_max"
    ),
    "training": Figure("notebooks/training.html", ".explore-training", check_training, "training"),
}

# A page is visited once for all that is tried on its figures there.
PAGES = list(dict.fromkeys(figure.page for figure in FIGURES.values()))
shown = pytest.mark.parametrize("view", [(p, 1280) for p in PAGES], indirect=True, ids=PAGES)


UNFOLD = "document.querySelectorAll('article details').forEach((d) => { d.open = true; })"


def on(view):
    """The figures of a page, with the page."""
    path, _, page = view
    page.evaluate(UNFOLD)
    return [(figure, page) for figure in FIGURES.values() if figure.page == path]


@shown
def test_numbers_are_those_of_the_package(view):
    for figure, page in on(view):
        settings = figure.settings(page)
        for seen, values in zip(figure.see(page, settings)[1:], settings, strict=True):
            assert seen.values == pytest.approx(values)
            assert [value(text) for text in seen.outputs] == seen.values
            figure.check(seen)


def overlap(a, b):
    """Lines of text are taller than their letters, by a quarter at least."""
    along = min(a["bottom"], b["bottom"]) - max(a["top"], b["top"])
    across = min(a["right"], b["right"]) - max(a["left"], b["left"])
    return across > 0 and along > a["size"] / 4


@shown
@pytest.mark.parametrize("width", [375, 1280])
def test_labels_can_be_read(view, width):
    for figure, page in on(view):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        narrow = page.locator(f"{figure.selector} svg").evaluate("(svg) => svg.clientWidth < 420")
        assert narrow == (width == 375)
        for seen in figure.see(page, figure.settings(page)):
            figure.check(seen)
            small = [text for text in seen.texts if text["size"] < 9 or not text["within"]]
            assert small == [], seen.values
            still = [text for text in seen.texts if not text["moves"]]
            touching = [(a["text"], b["text"]) for a, b in itertools.combinations(still, 2)
                        if overlap(a, b)]  # fmt: skip
            assert touching == [], seen.values


@shown
def test_the_keyboard_moves_every_slider_and_the_sentence_says_so(view):
    for figure, page in on(view):
        root = page.locator(figure.selector)
        said = root.locator(".said[aria-live=polite]")
        sliders = root.get_by_role("slider").all()
        figure.see(page, [figure.inside(page)])
        assert len(sliders) == root.locator("input").count() > 0
        for slider in sliders:
            presses(page, slider, said)


def presses(page, slider, said):
    """A step there and back: the slider keeps its name and the focus, the sentence follows."""
    at, least, step = slider.evaluate("(i) => [i.value, i.min, i.step].map(Number)")
    there, back = ("ArrowLeft", "ArrowRight") if at > least else ("ArrowRight", "ArrowLeft")
    words = said.text_content()
    assert slider.evaluate("(i) => i.labels[0].firstChild.textContent.trim()")
    slider.focus()
    page.keyboard.press(there)
    assert abs(float(slider.input_value()) - at) == pytest.approx(step)
    assert said.text_content() != words
    page.keyboard.press(back)
    assert slider.evaluate("(i) => i === document.activeElement")
    assert said.text_content() == words


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
def test_without_scripts_a_sentence_says_where_the_figure_starts(visit, chromium, figure):
    page = visit(figure.page, java_script_enabled=False)
    page.evaluate(UNFOLD)
    root = page.locator(figure.selector)
    assert root.is_visible()
    words = root.text_content()
    assert "shown on the site, where scripts run" in words
    with alone(chromium, figure) as page:
        (start,) = figure.see(page)
    assert [n for n in re.findall(r"\d+\.\d+", words) if n not in start.said] == []


@pytest.mark.parametrize("by", ["mouse", "finger"])
def test_the_query_follows_what_is_pressed_on_the_plane(visit, by):
    figure = FIGURES["first_look"]
    page = visit(figure.page, width=1280 if by == "mouse" else 375, has_touch=by == "finger")
    plane = page.locator(f"{figure.selector} .plane")
    plane.scroll_into_view_if_needed()
    box, scrolled = plane.bounding_box(), page.evaluate("scrollY")
    ways = [(2.0, 1.0), (0.5, -1.0), (-2.5, -3.0), (-9.0, 3.3)]  # the last is beyond the plane
    spots = [
        {"x": box["x"] + box["width"] * (x + 4) / 8, "y": box["y"] + box["height"] * (4 - y) / 8}
        for x, y in ways
    ]
    if by == "mouse":
        page.mouse.move(**spots[0])
        page.mouse.down()
        for spot in spots[1:]:
            page.mouse.move(**spot)
        page.mouse.up()
        page.mouse.move(**spots[1])  # no longer pressed
    else:
        touch = page.context.new_cdp_session(page)
        for kind, points in [("touchStart", spots[:1]), *(("touchMove", [s]) for s in spots[1:])]:
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    (seen,) = figure.see(page)
    assert seen.values == pytest.approx([-4, 3.3], abs=0.101)  # to a step of the sliders
    assert page.evaluate("scrollY") == scrolled
    figure.check(seen)


# -- wrong figures, which the checks must notice -----------------------------------------------


@contextlib.contextmanager
def alone(chromium, figure: Figure, old="", new=""):
    """The figure on a page of its own, with something in its scripts exchanged."""
    page = chromium.new_page()
    page.set_content(f"<div class={figure.selector[1:]}></div>")
    scripts = [(SCRIPTS / f"{s}.js").read_text(encoding="utf-8") for s in ("kit", figure.script)]
    if old:
        assert sum(script.count(old) for script in scripts) > 0, old
        scripts = [script.replace(old, new) for script in scripts]
    for script in scripts:
        page.add_script_tag(content=script)
    yield page
    page.close()


WRONG = {
    "the largest logit is not taken out": ("softmax", "Math.exp(x - top)", "Math.exp(x)"),
    "the same on the front page": ("landing", "Math.exp(x - top)", "Math.exp(x)"),
    "weights cut off, not rounded": (
        "softmax", "p.toFixed(3)", "(Math.floor(1000 * p) / 1000).toFixed(3)"),
    "the factor spares the shift": ("softmax", "beta * (x + c)", "beta * x + c"),
    "the shift in both rows": ("softmax", "[shift, 0].map", "[shift, shift].map"),
    "bars of another height": ("softmax", "height: 120 * p", "height: 120 * p * p"),
    "the sentence lags behind": (
        "softmax", "said.textContent =", "said.textContent = said.late ?? ''; said.late ="),
    "the gap in one row only": ("landing", "[0, 0, gap]", "[0, 0, 1]"),
    "J with a plus": ("jacobian", "((i === k) - b)", "((i === k) + b)"),
    "the square of the trace": ("jacobian", "- trace * trace", "- trace"),
    "the smaller eigenvalue": ("jacobian", "trace + Math.sqrt", "trace - Math.sqrt"),
    "J times β": ("jacobian", "=> a * (", "=> 2 * a * ("),
    "base e": ("first_look", "s * Math.LN2", "s"),
    "the base the other way": ("first_look", "s * Math.LN2", "s / Math.LN2"),
    "up is down": ("first_look", "SIDE / 2 - unit * point[1]", "SIDE / 2 + unit * point[1]"),
    "a key mistaken": ("first_look", "[1, -1]]", "[-1, 1]]"),
    "values in another order": ("first_look", "[4, 8, 0, 16]", "[4, 0, 8, 16]"),
    "radii, not areas": ("first_look", "Math.sqrt(weights[i])", "weights[i]"),
    "log₂ for ln": ("scaling", "2 * doublings * Math.LN2", "2 * doublings"),
    "ln n for 2 ln n": ("scaling", "2 * doublings * Math.LN2", "doublings * Math.LN2"),
    "the border elsewhere": ("scaling", "across(2 * j * Math.LN2)", "across(2 * j)"),
    "no line between columns": ("scaling", "(column - left) *", "0 *"),
    "the width for its root": ("scaling", "2 * Math.log2(width)", "Math.log2(width)"),
    "the row of another n": (
        "scaling", "row = LARGEST[doublings - 1]", "row = LARGEST.at(-doublings)"),
    "the two dots exchanged": (
        "scaling", "[without, scaled] =", "[scaled, without] ="),
    "1/k forgotten": ("smooth_max", "(top + Math.log(sum)) / k", "top / k + Math.log(sum)"),
    "k forgotten in the weight": (
        "smooth_max", "softmax(scores)[0]", "softmax(scores.map((z) => z / k))[0]"),
    "k times the weight": ("smooth_max", "softmax(scores)[0]", "k * softmax(scores)[0]"),
    "mellowmax": ("smooth_max", "Math.log(sum))", "Math.log(sum / n))"),
    "one zero too many": ("smooth_max", "Array(n - 1)", "Array(n)"),
    "ln 2/k for any n": ("smooth_max", "Math.log(n) / k", "Math.log(2) / k"),
    "a tangent too flat": ("smooth_max", "weight * (x - place)", "0.99 * weight * (x - place)"),
    "a secant beside the point": ("smooth_max", "smooth + weight *", "smooth + 0.01 + weight *"),
    "a scale that is not its own": (
        "smooth_max", "180 - 150 * weight", "180 - 140 * weight ** 1.01"),
    "ε for the wrong classes alone": ("training", "1 - eps + eps / K) *", "1 - eps) *"),
    "the best lead without the 1": ("training", "Math.log(1 + K", "Math.log(K"),
    "ε/K counted twice": ("training", "- eps + eps / K;", "- eps;"),
    "no smoothing drawn": ("training", "line(0)", "line(eps)"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new"), WRONG.values(), ids=WRONG)
def test_a_wrong_figure_is_noticed(chromium, name, old, new):
    figure = FIGURES[name]
    with alone(chromium, figure, old, new) as page:
        seen = figure.see(page, figure.settings(page, more=5))
    with pytest.raises(AssertionError):
        list(map(figure.check, seen))


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
def test_a_right_figure_alone_passes(chromium, figure):
    """So what is noticed above is what was exchanged."""
    with alone(chromium, figure) as page:
        list(map(figure.check, figure.see(page, figure.settings(page))))


def test_the_figure_of_scaling_reads_what_the_package_computes(chromium):
    """Where that takes no seconds: up to d_k = 16. tests/test_scaling.py goes further."""
    figure, draw = FIGURES["scaling"], random.Random(0)
    settings = [[draw.randint(1, 16), draw.randint(1, 19)] for _ in range(4)]
    with alone(chromium, figure) as page:
        for seen in figure.see(page, settings)[1:]:
            d, doublings = seen.values
            exact, _ = expected_saturation(2 ** int(doublings), math.sqrt(d))
            assert abs(1 - seen.number("without", "cy")[0] / 240 - exact) < 0.005
