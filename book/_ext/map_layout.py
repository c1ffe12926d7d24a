"""Where the chapters stand on the map, and the lines between them.

On a wide page each chapter stands right of all that it builds on, in the column that the longest
way to it leads to. On a narrow one the chapters stand below each other, and the lines run left of
them. Sizes are in those of a box: the style sheet says how large that is.
"""

from itertools import combinations, pairwise
from statistics import mean

GAP = 0.28  # between columns
PASSAGE = 0.3  # the height of a line that passes between boxes
SWEEPS = 12

BuildsOn = dict[str, tuple[str, ...]]  # in the order of the book
Edges = list[tuple[str, str]]
Place = dict[str, tuple[float, float]]


def depths(builds_on: BuildsOn) -> dict[str, int]:
    """The column of each chapter: the length of the longest way to it. No circles, please."""
    found: dict[str, int] = {}
    for chapter, needs in builds_on.items():  # in order: what it needs has come
        found[chapter] = 1 + max((found[need] for need in needs), default=-1)
    return found


def columns(builds_on: BuildsOn) -> tuple[list[list[str]], Edges]:
    """The columns, and the lines from each to the next.

    A line that passes a column has a place of its own there, which all lines from one chapter
    share: "softmax>2" is that of the lines from softmax that pass column 2.
    """
    column = depths(builds_on)
    found: list[list[str]] = [[] for _ in range(1 + max(column.values()))]
    for chapter, i in column.items():
        found[i].append(chapter)
    edges: Edges = []
    for chapter, needs in builds_on.items():
        for need in needs:
            steps = way(need, chapter, column)
            for i, step in enumerate(steps[1:-1], column[need] + 1):
                found[i] += [step] if step not in found[i] else []
            edges += [edge for edge in pairwise(steps) if edge not in edges]
    return found, edges


def way(need: str, chapter: str, column: dict[str, int]) -> list[str]:
    """Where a line goes: its ends, and its places in the columns between them."""
    passed = range(column[need] + 1, column[chapter])
    return [need, *(f"{need}>{i}" for i in passed), chapter]


def crossings(layers: list[list[str]], edges: Edges) -> int:
    place = {node: i for layer in layers for i, node in enumerate(layer)}
    column = {node: i for i, layer in enumerate(layers) for node in layer}
    return sum(
        column[a] == column[c] and (place[a] - place[c]) * (place[b] - place[d]) < 0
        for (a, b), (c, d) in combinations(edges, 2)
    )


def untangled(layers: list[list[str]], edges: Edges) -> list[list[str]]:
    """The columns, each sorted so that few lines cross: next to the mean of its neighbours."""
    best, layers = layers, [list(layer) for layer in layers]
    for sweep in range(SWEEPS):
        for i in range(len(layers))[:: (-1) ** sweep]:
            place = {node: k / len(layer) for layer in layers for k, node in enumerate(layer)}
            near = {
                node: [place[a] for a, b in edges if b == node and sweep % 2 == 0]
                + [place[b] for a, b in edges if a == node and sweep % 2 == 1]
                or [place[node]]
                for node in layers[i]
            }
            layers[i].sort(key=lambda node, near=near: mean(near[node]))
        if crossings(layers, edges) < crossings(best, edges):
            best = [list(layer) for layer in layers]
    return best


def wide(builds_on: BuildsOn) -> tuple[Place, float, float]:
    """Left end and middle of every box and passage; width and height of all."""
    layers, edges = columns(builds_on)
    layers = untangled(layers, edges)

    def size(node: str) -> float:
        return PASSAGE if ">" in node else 1

    heights = [sum(map(size, layer)) for layer in layers]
    place = {}
    for i, layer in enumerate(layers):
        top = (max(heights) - heights[i]) / 2
        for node in layer:
            place[node] = (i * (1 + GAP), top + size(node) / 2)
            top += size(node)
    return place, len(layers) * (1 + GAP) - GAP, max(heights)


def lanes(builds_on: BuildsOn) -> dict[str, int]:
    """For the narrow map: the lane left of the boxes in which the lines from a chapter run."""
    row = {chapter: i for i, chapter in enumerate(builds_on)}
    last = {need: row[chapter] for chapter, needs in builds_on.items() for need in needs}
    lane: dict[str, int] = {}
    for need in sorted(last, key=lambda need: last[need] - row[need]):  # short ones nearest
        taken = {
            lane[other] for other in lane if row[other] < last[need] and row[need] < last[other]
        }
        lane[need] = min(set(range(len(last))) - taken)
    return lane


def lane_count(builds_on: BuildsOn) -> int:
    return 1 + max(lanes(builds_on).values(), default=0)


# -- lines ---------------------------------------------------------------------------------------


def classes(start: str, end: str, routes: list[list[str]]) -> str:
    on = [f" on-{i}" for i, chapters in enumerate(routes, 1) if {start, end} <= set(chapters)]
    return f"from-{start} to-{end}" + "".join(on)


def wide_lines(builds_on: BuildsOn, routes: list[list[str]]) -> str:
    place, width, height = wide(builds_on)
    column = depths(builds_on)
    paths = []
    for chapter, needs in builds_on.items():
        for need in needs:
            steps = [place[step] for step in way(need, chapter, column)]
            d = f"M{steps[0][0] + 1:.2f} {steps[0][1]:.2f}"
            for (x0, y0), (x1, y1) in pairwise(steps):
                middle = (x0 + 1 + x1) / 2
                d += f"H{x0 + 1:.2f}C{middle:.2f} {y0:.2f} {middle:.2f} {y1:.2f} {x1:.2f} {y1:.2f}"
            paths.append(f'<path class="{classes(need, chapter, routes)}" d="{d}"/>')
    lit = ",".join(
        f".chapter-map:has(.map-{chapter} :is(a:hover,a:focus-visible)) "
        f":is(.to-{chapter},.from-{chapter})"
        for chapter in builds_on
    )
    style = f"<style>{lit}{{stroke:var(--accent);stroke-width:2.5}}</style>"
    return svg("wide", width, height, [style, *paths])


def narrow_lines(builds_on: BuildsOn, routes: list[list[str]]) -> str:
    lane, width = lanes(builds_on), lane_count(builds_on) + 0.5
    row = {chapter: i + 0.5 for i, chapter in enumerate(builds_on)}
    paths = []
    for chapter, needs in builds_on.items():
        for k, need in enumerate(sorted(needs, key=lane.get)):
            x, start = width - lane[need] - 1, row[need] + 0.2  # room for the heads of arrows
            end = row[chapter] - 0.2 * k  # each line has an end of its own
            d = f"M{width} {start:.2f}H{x}V{end:.2f}H{width}"
            paths.append(f'<path class="{classes(need, chapter, routes)}" d="{d}"/>')
    return svg("narrow", width, len(builds_on), paths)


def svg(kind: str, width: float, height: float, shapes: list[str]) -> str:
    """Stretched to what is behind the boxes, which the style sheet puts in place."""
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:.2f} {height:.2f}" preserveAspectRatio="none" '
        f'aria-hidden="true">{"".join(shapes)}</svg>'
    )
