"""The map of the chapters, and the pictures of their cards."""

import itertools
import math
import re
import xml.etree.ElementTree as ET

import pytest
from helpers import ROOT, script

told, layout, thumbnails = (
    script(n, "book/_ext") for n in ("chapters", "map_layout", "thumbnails")
)
ORDER = [chapter for part in told.parts().values() for chapter in part]
BOOK = {chapter: told.line(told.cells(chapter)).builds_on for chapter in ORDER}
# d needs a, two columns to its left, and b, which needs a.
SMALL = {"a": (), "b": ("a",), "c": ("b",), "d": ("c", "a"), "e": ("a",)}


def test_a_chapter_stands_right_of_all_that_it_builds_on():
    assert layout.depths(SMALL) == {"a": 0, "b": 1, "c": 2, "d": 3, "e": 1}
    column = layout.depths(BOOK)
    assert all(column[need] < column[chapter] for chapter in BOOK for need in BOOK[chapter])


def test_a_long_line_has_a_place_in_the_columns_that_it_passes():
    columns, edges = layout.columns(SMALL)
    assert columns == [["a"], ["b", "e", "a>1"], ["c", "a>2"], ["d"]]
    assert {("a", "a>1"), ("a>1", "a>2"), ("a>2", "d")} <= set(edges)
    assert ("a", "d") not in edges


def test_sorting_the_columns_takes_crossings_away():
    tangled = [["a", "b"], ["c", "d"]]
    edges = [("a", "d"), ("b", "c")]
    assert layout.crossings(tangled, edges) == 1
    assert layout.crossings(layout.untangled(tangled, edges), edges) == 0
    columns, edges = layout.columns(BOOK)
    best = layout.untangled(columns, edges)
    assert list(map(sorted, best)) == list(map(sorted, columns))
    assert layout.crossings(best, edges) <= layout.crossings(columns, edges)


def test_no_box_covers_another_or_a_line_that_passes():
    place, width, height = layout.wide(BOOK)
    for (one, (x0, y0)), (other, (x1, y1)) in itertools.combinations(place.items(), 2):
        sizes = [layout.PASSAGE if ">" in node else 1 for node in (one, other)]
        assert abs(x0 - x1) >= 1 or abs(y0 - y1) >= sum(sizes) / 2 - 1e-9, (one, other)
    assert all(0 <= x <= width - 1 and 0 < y < height for x, y in place.values())


def test_lines_of_the_narrow_map_share_no_lane():
    lane, row = layout.lanes(BOOK), {chapter: i for i, chapter in enumerate(BOOK)}
    last = {need: row[chapter] for chapter in BOOK for need in BOOK[chapter]}
    assert lane.keys() == last.keys()
    for one, other in itertools.combinations(lane, 2):
        apart = last[one] <= row[other] or last[other] <= row[one]
        assert lane[one] != lane[other] or apart, (one, other)
    assert layout.lane_count(BOOK) == 1 + max(lane.values())


def test_each_need_is_one_line_with_its_routes():
    wanted = {f"from-{need} to-{chapter}" for chapter in SMALL for need in SMALL[chapter]}
    for draw in (layout.wide_lines, layout.narrow_lines):
        drawn = re.findall(r'<path class="([^"]*)"', draw(SMALL, [["a", "b"], ["a", "e"]]))
        assert {" ".join(classes.split()[:2]) for classes in drawn} == wanted
        assert len(drawn) == len(wanted)
        assert [c for c in drawn if "on-" in c] == ["from-a to-b on-1", "from-a to-e on-2"]


def test_what_cannot_be_drawn_is_a_warning(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    import chapter_map

    minutes = "5 minutes, and 0 more for the exercises. You need"
    lines = {
        "one": f"{minutes} [](two.ipynb).",
        "two": f"{minutes} [](one.ipynb).",
        "three": "About an hour.",
    }
    monkeypatch.setattr(
        chapter_map,
        "cells",
        lambda name: [{"cell_type": "markdown", "source": f"# {name}\n\n{lines[name]}"}],
    )
    said, directive = [], object.__new__(chapter_map.ChapterMap)
    directive.order, directive.warn = list(lines), said.append
    made = directive.made([])
    assert "notebooks/three.md: write one line near the beginning" in said[0]
    assert said[1] == "one builds on two, which must come before it in _toc.yml"
    assert made["builds_on"] == {"one": (), "two": (), "three": ()}


def test_hours():
    assert [told.as_hours(m) for m in (5, 60, 65, 195)] == [
        "5 min",
        "1 h",
        "1 h 5 min",
        "3 h 15 min",
    ]


# -- the pictures ------------------------------------------------------------------------------


def drawn(chapter):
    return ET.fromstring(thumbnails.thumbnail(chapter))


def curves(chapter):
    """The places of each curve, as between 0 and 1; y is up."""
    found = []
    for path in drawn(chapter).iterfind("path[@class='curve']"):
        places = re.findall(r"([\d.]+) ([\d.]+)", path.get("d"))
        found.append([((float(x) - 5) / 110, (75 - float(y)) / 70) for x, y in places])
    return found


@pytest.mark.parametrize("chapter", thumbnails.DRAWN)
def test_a_picture_is_light_and_within_its_frame(chapter):
    svg = thumbnails.thumbnail(chapter)
    assert 150 < len(svg) < 14_000
    assert svg == thumbnails.thumbnail(chapter)  # the same at each build
    for shape in drawn(chapter):
        for x, y in re.findall(r"([-\d.]+) ([-\d.]+)", shape.get("d", "")):
            assert 0 <= float(x) <= 120
            assert 0 <= float(y) <= 80
        if shape.tag == "rect":
            assert 0 <= float(shape.get("x")) <= 120 - float(shape.get("width"))
            shade = re.fullmatch(r"--shade:(\d+)%", shape.get("style", "--shade:0%"))
            assert int(shade[1]) <= 100


def test_a_chapter_without_a_picture_has_none():
    assert thumbnails.thumbnail("no such chapter") == ""
    assert set(thumbnails.DRAWN) <= set(ORDER)  # each picture has a chapter


def test_curves_go_through_points_that_are_known():
    near = pytest.approx
    ends = [curve[-1] for curve in curves("first_look")]  # scores 3, 2, 1, 1 times 3, base 2
    assert ends == [near((1, w / (512 + 64 + 8 + 8)), abs=0.002) for w in (512, 64, 8)]
    starts = [curve[0] for curve in curves("softmax")]
    assert starts == [near((0, 1 / n), abs=0.002) for n in (2, 10, 1000)]
    (smooth,) = curves("smooth_max")
    assert smooth[20] == near((0.5, math.log(2) / 2 / 2.2), abs=0.002)
    sharp = [curve[-1][1] for curve in curves("training")]  # lead 9 among ten
    base = math.log(1 + 9 * math.exp(-9))
    assert sharp == [near((base + s * 8.1) / 2.9, abs=0.002) for s in (0, 0.1, 0.3)]
    (share,) = curves("entropy")
    assert share[0] == near((8 / 64, 1 / 8), abs=0.002)  # t*(8) = 1
