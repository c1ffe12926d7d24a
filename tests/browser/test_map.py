"""The map of the chapters on the front page: what is drawn where, and what a route shows."""

import pytest

INDEX = "book/index.html"
BOXES = """
[...document.querySelectorAll(".plane li")].map((item) => {
  const {left, right, top, bottom} = item.querySelector("a").getBoundingClientRect();
  return {left, right, top: top + scrollY, bottom: bottom + scrollY, name: item.className};
})
"""
# Ends of a line on the page: of its first point and its last.
ENDS = """
[...document.querySelectorAll(".plane > svg")].filter((svg) => svg.checkVisibility())
  .flatMap((svg) => [...svg.querySelectorAll("path")].map((path) => {
    const at = (length) => {
      const place = path.getPointAtLength(length).matrixTransform(path.getScreenCTM());
      return [place.x, place.y + scrollY];
    };
    const [need, chapter] = [...path.classList].map((name) => name.replace(/^(from|to)-/, ""));
    return {need, chapter, start: at(0), end: at(path.getTotalLength())};
  }))
"""


@pytest.mark.parametrize("width", [1280, 375])
def test_boxes_lie_apart_and_lines_lead_from_box_to_box(visit, width):
    page = visit(INDEX, width=width)
    boxes = {box["name"].split()[0].removeprefix("map-"): box for box in page.evaluate(BOXES)}
    assert len(boxes) > 10
    for name, box in boxes.items():
        for other in boxes.values():
            apart = (
                box["right"] <= other["left"] or other["right"] <= box["left"]
                or box["bottom"] <= other["top"] or other["bottom"] <= box["top"]
            )  # fmt: skip
            assert box is other or apart, (name, other)
    lines = page.evaluate(ENDS)
    assert len(lines) > 15
    for line in lines:
        need, chapter = boxes[line["need"]], boxes[line["chapter"]]
        side = "right" if width == 1280 else "left"
        assert line["start"][0] == pytest.approx(need[side], abs=3), line
        assert need["top"] < line["start"][1] < need["bottom"], line
        assert line["end"][0] == pytest.approx(chapter["left"], abs=3), line
        assert chapter["top"] < line["end"][1] < chapter["bottom"], line


@pytest.mark.parametrize("width", [1280, 375])
def test_no_label_is_cut_or_small(visit, width):
    page = visit(INDEX, width=width)
    cut = page.evaluate("""[...document.querySelectorAll(".plane a")]
      .filter((box) => box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth)
      .map((box) => box.textContent)""")
    assert cut == []
    assert (
        page.evaluate("""Math.min(...[...document.querySelectorAll(".plane a, .plane span")]
      .map((box) => parseFloat(getComputedStyle(box).fontSize)))""")
        >= 9
    )


def test_a_route_is_shown_on_the_map(visit):
    page = visit(INDEX)
    border = """(which) => [...document.querySelectorAll(which)]
      .map((box) => getComputedStyle(box).borderColor)"""
    plain = set(page.evaluate(border, ".plane a"))
    assert len(plain) == 1
    page.get_by_label("To use").check()
    assert not plain & set(page.evaluate(border, ".plane .on-2 a"))
    assert set(page.evaluate(border, ".plane li:not(.on-2) a")) == plain
    page.keyboard.press("ArrowLeft")
    assert page.get_by_label("To learn").is_checked()
    assert not plain & set(page.evaluate(border, ".plane .on-1 a"))


def test_a_chapter_that_is_pointed_at_lights_its_lines(visit):
    page = visit(INDEX)
    width = """(which) => [...document.querySelectorAll(which)]
      .map((line) => parseFloat(getComputedStyle(line).strokeWidth))"""
    assert set(page.evaluate(width, ".plane path")) == {1.5}
    page.locator(".map-softmax a").hover()
    own = ".plane path:is(.to-softmax, .from-softmax)"
    assert min(page.evaluate(width, own)) > 2
    page.keyboard.press("Tab")
    page.locator(".map-entropy a").focus()
    page.mouse.move(1, 1)
    assert min(page.evaluate(width, ".plane path.to-entropy")) > 2
    assert set(page.evaluate(width, f"{own}:not(.to-entropy)")) == {1.5}
