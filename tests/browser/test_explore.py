"""The figures that move: at every setting they show what attnlib computes, to the digits shown.

Each figure is set to the ends of its sliders and to random places. A check reads the drawing and
the sentence below it. What each must show stands in moving/, with wrong figures to be found.
"""

import itertools
import math
import random
import re

import pytest
from moving import FIGURES, WRONG
from moving.figure import SCRIPTS, Figure, value

from attnlib.scaling import expected_saturation

# A page is visited once for all that is tried on its figures there. None has formulas in it.
FORMULAS = False
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
        for seen in figure.see(page, figure.settings(page), labels=True):
            assert seen.texts
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
def test_without_scripts_a_sentence_says_where_the_figure_starts(visit, blank, figure):
    page = visit(figure.page, java_script_enabled=False)
    page.evaluate(UNFOLD)
    root = page.locator(figure.selector)
    assert root.is_visible()
    words = root.text_content()
    assert "shown on the site, where scripts run" in words
    alone(blank, figure)
    (start,) = figure.see(blank)
    assert [n for n in re.findall(r"\d+\.\d+", words) if n not in start.said] == []


@pytest.mark.parametrize("by", ["mouse", "finger"])
def test_the_query_follows_what_is_pressed_on_the_plane(visit, by):
    figure = FIGURES["explore-first-look"]
    finger = by == "finger"
    page = visit(figure.page, width=375 if finger else 1280, has_touch=finger, formulas=False)
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


def alone(page, figure: Figure, old="", new=""):
    """The figure on a page of its own, with something in its scripts exchanged."""
    page.goto("about:blank")  # forgets the scripts of the one before
    page.set_content(f"<div class={figure.selector[1:]}></div>{figure.data}")
    scripts = [(SCRIPTS / f"{s}.js").read_text(encoding="utf-8") for s in ("kit", figure.topic)]
    if old:
        assert sum(script.count(old) for script in scripts) > 0, old
        scripts = [script.replace(old, new) for script in scripts]
    for script in scripts:
        page.add_script_tag(content=script)


@pytest.mark.parametrize(("name", "old", "new"), WRONG.values(), ids=WRONG)
def test_a_wrong_figure_is_noticed(blank, name, old, new):
    figure = FIGURES[name]
    alone(blank, figure, old, new)
    seen = figure.see(blank, figure.settings(blank, more=5))
    with pytest.raises(AssertionError):
        list(map(figure.check, seen))


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
def test_a_right_figure_alone_passes(blank, figure):
    """So what is noticed above is what was exchanged."""
    alone(blank, figure)
    list(map(figure.check, figure.see(blank, figure.settings(blank))))


def test_the_figure_of_scaling_reads_what_the_package_computes(blank):
    """Where that takes no seconds: up to d_k = 16. tests/test_scaling.py goes further."""
    figure, draw = FIGURES["explore-scaling"], random.Random(0)
    settings = [[draw.randint(1, 16), draw.randint(1, 19)] for _ in range(4)]
    alone(blank, figure)
    for seen in figure.see(blank, settings)[1:]:
        d, doublings = seen.values
        exact, _ = expected_saturation(2 ** int(doublings), math.sqrt(d))
        assert abs(1 - seen.number("without", "cy")[0] / 240 - exact) < 0.005
