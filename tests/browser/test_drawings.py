"""Drawings as a reader sees them: labels that can be read, in both themes, at both widths."""

import itertools

import pytest

PAGES = ["notebooks/first_look.html", "notebooks/layer_costs.html", "notebooks/transformer.html"]
VIEWS = list(itertools.product(PAGES, [1280, 375]))
view = pytest.mark.parametrize("view", VIEWS, indirect=True, ids=lambda v: f"{v[0]}-{v[1]}")
# Of each drawing: how large it is, how large its labels are, where they stand.
SEEN = """[...document.querySelectorAll("figure.drawing svg")].map((svg) => {
  const box = (node) => {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    return { left, right, top, bottom };
  };
  const scale = svg.getScreenCTM().a;
  const small = [...svg.querySelectorAll("text, tspan")]
    .map((node) => parseFloat(getComputedStyle(node).fontSize) * scale);
  const labels = [...svg.querySelectorAll("text:not(.s)")]
    .map((node) => ({ said: node.textContent, ...box(node) }));
  const boxes = [...svg.querySelectorAll("rect:not(.pale)")].map(box);
  return { name: svg.closest("figure").id, scale, least: Math.min(...small), labels, boxes,
    ...box(svg) };
})"""
# Contrast of every label with the page behind it, at least.
CONTRAST = """Math.min(...[...document.querySelectorAll("figure.drawing text")].map((label) => {
  const light = (color) => {
    const part = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const [a, b] = [getComputedStyle(label).fill, getComputedStyle(document.body).backgroundColor]
    .map(light).sort((x, y) => x - y);
  return (b + 0.05) / (a + 0.05);
}))"""


def overlap(a, b, slack):
    """By more than the slack, across and along: lines of text are taller than their letters."""
    across = min(a["right"], b["right"]) - max(a["left"], b["left"])
    along = min(a["bottom"], b["bottom"]) - max(a["top"], b["top"])
    return across > 0 and along > slack


@view
def test_labels_are_large_enough_and_apart(view):
    _, width, page = view
    drawings = page.evaluate(SEEN)
    assert drawings
    for seen in drawings:
        name, scale = seen["name"], seen["scale"]
        assert seen["least"] >= 9, name
        assert 0 <= seen["left"] < seen["right"] <= width
        for label in seen["labels"]:
            assert seen["left"] <= label["left"] < label["right"] <= seen["right"], (name, label)
        touching = [(a["said"], b["said"]) for a, b in itertools.combinations(seen["labels"], 2)
                    if overlap(a, b, 3 * scale)]  # fmt: skip
        assert touching == [], name
        for label, box in itertools.product(seen["labels"], seen["boxes"]):
            middle = (label["left"] + label["right"]) / 2, (label["top"] + label["bottom"]) / 2
            if box["left"] < middle[0] < box["right"] and box["top"] < middle[1] < box["bottom"]:
                assert box["left"] < label["left"] < label["right"] < box["right"], (name, label)


@view
def test_labels_stand_out_in_both_themes(view):
    page = view[2]
    least = {}
    for theme in ("light", "dark"):
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        page.wait_for_timeout(300)
        least[theme] = page.evaluate(CONTRAST)
    assert least["light"] != least["dark"]  # they take their colours from the page
    assert min(least.values()) >= 4.5
