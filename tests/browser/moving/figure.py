"""What a figure that moves shows at each setting of its sliders, and how its numbers are read."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

SCRIPTS = Path(__file__).parents[3] / "book" / "_static" / "explore"
RANDOM = 20  # settings of each figure, its ends not counted
# Beside half a unit of the last digit shown. Logits reach 20 · 1003, whose rounding moves a
# weight by 1e−11; λ has a root in it, of which 1e−16 makes 1e−8.
SLACK = 1e-7
EXACT = 1e-9  # of what is drawn, in units of what it stands for

# Puts the sliders to each setting in turn, as a reader's hand would, and reads what is shown.
READ = """([selector, settings, labels]) => {
  const root = document.querySelector(selector);
  const svg = root.querySelector("svg");
  const inputs = [...root.querySelectorAll("input")];
  const read = () => {
    const parts = {};
    svg.querySelectorAll("[data-part]").forEach((node) => {
      const part = Object.fromEntries([...node.attributes].map((a) => [a.name, a.value]));
      (parts[node.dataset.part] ??= []).push({ ...part, text: node.textContent });
    });
    const box = labels && svg.getBoundingClientRect();
    const texts = !labels ? [] : [...svg.querySelectorAll("text")].map((node) => {
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
    texts: list[dict]  # each label, where it stands and how large it is: takes a while

    def text(self, part: str) -> list[str]:
        return [p["text"] for p in self.parts[part]]

    def number(self, part: str, name: str) -> np.ndarray:
        return np.array([float(p[name]) for p in self.parts[part]])

    def points(self, part: str, which: int = 0) -> np.ndarray:
        pairs = self.parts[part][which]["points"].split()
        return np.array([[float(x) for x in pair.split(",")] for pair in pairs])


class Figure(NamedTuple):
    topic: str  # its script is book/_static/explore/TOPIC.js
    selector: str
    check: Callable[[Seen], None]
    data: str = ""  # what the chapter writes into the page for it

    @property
    def page(self) -> str:
        return f"{'book' if self.topic == 'index' else 'notebooks'}/{self.topic}.html"

    def see(self, page, settings=(), labels=False) -> list[Seen]:
        """What it shows at first, and then at each setting; where its labels stand if asked."""
        seen = json.loads(page.evaluate(READ, [self.selector, list(settings), labels]))
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


def reading(seen: Seen, part: str, axis: str, which: slice, raised=0):
    """From a place in a drawing to what the numbers at its edge say; they are evenly spaced."""
    places = seen.number(part, axis)[which] - raised
    read = [0.5 if text == "½" else value(text) for text in seen.text(part)[which]]
    scale = (read[-1] - read[0]) / (places[-1] - places[0])
    same(read[0] + scale * (places - places[0]), read)
    return lambda place: read[0] + scale * (place - places[0])
