"""The page book/speed, from what `make bench` has stored."""

from collections.abc import Iterable
from typing import Any

Found = dict[str, Any]  # a part of book/speed.json

BEGIN = """# How fast it is

<!-- Written by .ci/bench.py from book/speed.json: `make bench`. -->

Each function of the package is timed beside what people use instead. A ratio of 2 means that ours
takes twice as long. The two run in turn, in blocks of two milliseconds, and a ratio is the median
over such pairs. Behind ± stands half the distance of its quartiles. A target is met if no ratio is
above it, missed if the lower quartile of one is, and undecided where only the noise could tell.

{machine}
"""

RATIOS = """
## Ratios

A line for every length n of a row. What misses its target is bold.

{table}
{alone}"""

MISSED = """
## Targets that are missed

Causes are read from the code; none of them was measured by itself.

{reasons}"""

TINY = """
## Tiny inputs

On a single row of 8 numbers a call is all overhead. The table says by how much ours takes longer
than the other form. At most 30 µs are wanted.

{table}"""

MEMORY = """
## Memory

The most that is held at once beyond what was there before, in units of what goes in, float32.

{table}"""

GROWTH = """
## How cost grows

The slope of the logarithm of the time against that of n, for a fixed number of rows, beside the
power of n that the chapters state. What every row costs, however short it is, lowers the slope.
Three lengths make it rough.

{table}"""

ERRORS = """
## Errors

The largest error against 50 digits on eight rows of 24 numbers, whose logits have a deviation of 5,
in units of eps times the largest entry of what belongs to the row.

{table}"""

IMPORTS = """
## Imports

What an import adds to `import torch`, the least of several.

{table}"""

STEPS = """
## Where the time of the tests goes

Seconds of the steps of `make test`, two of them side by side. The step *site* is what `make book`
does, and the tests of the pages.

{table}"""


def page(stored: Found) -> str:
    cases = [case for case in stored["cases"] if case["against"]]
    alone = [case for case in stored["cases"] if not case["against"]]
    parts = [
        BEGIN.format(machine=machine(stored, cases)),
        RATIOS.format(table=ratios(cases), alone="".join(map(by_itself, alone))),
        MISSED.format(reasons=reasons(cases)),
        TINY.format(table=tiny(cases)),
        MEMORY.format(table=memory(cases)),
    ]
    if any("exponent" in case for case in cases):
        parts.append(GROWTH.format(table=growth(cases)))
    parts += [ERRORS.format(table=errors(stored)), IMPORTS.format(table=imports(stored))]
    if stored.get("steps"):
        parts.append(STEPS.format(table=steps(stored["steps"])))
    return "".join(parts)


def machine(stored: Found, cases: list[Found]) -> str:
    judged = [case for case in cases if case["target"]]
    verdicts = [verdict(case) for case in judged]
    count = {word: verdicts.count(word) for word in ("met", "missed", "undecided")}
    versions = ", ".join(f"{name} {version}" for name, version in stored["versions"].items())
    threads = f"{stored['threads']} thread" + "s" * (stored["threads"] > 1)
    return (
        f"Of {len(judged)} targets {count['met']} are met, {count['missed']} missed and "
        f"{count['undecided']} undecided, measured on {stored['cores']} cores of "
        f"{stored['machine']}, {threads}, {stored['system']}, {versions}, with about "
        f"{stored['numbers']} numbers in a tensor.\nOther machines give other ratios."
    )


# -- tables ----------------------------------------------------------------------------------


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, [":--"] * len(head), *rows))


def number(x: float) -> str:
    """Two or three digits."""
    if x >= 100:
        return f"{x:.0f}"
    return f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def code(name: str) -> str:
    """A name as code, and what stands behind its comma as words."""
    function, comma, rest = name.partition(",")
    return f"`{function}`{comma}{rest}"


def missed(case: Found) -> list[Found]:
    target = case["target"]
    return [r for r in case["ratios"] if target and r["low"] > target]


def verdict(case: Found) -> str:
    if missed(case):
        return "missed"
    above = any(r["ratio"] > case["target"] for r in case["ratios"])
    return "undecided" if above else "met"


def ratios(cases: list[Found]) -> str:
    """A row for each length, the names only in the first of a case."""
    dtypes = sorted({r["dtype"] for case in cases for r in case["ratios"]})
    rows = []
    for case in cases:
        target = f"{number(case['target'])}, {verdict(case)}" if case["target"] else "–"
        first = [f"{code(case['name'])}<br>{case['against']}", target]
        for n in dict.fromkeys(r["n"] for r in case["ratios"]):
            at = {r["dtype"]: cell(r, case["target"]) for r in case["ratios"] if r["n"] == n}
            rows.append([*first, str(n), *(at.get(dtype, "") for dtype in dtypes)])
            first = [""] * 2
    # Five columns: with more the numbers would stand beyond the edge of the page.
    return table(["Function, and what stands beside it", "At most", "n", *dtypes], rows)


def cell(found: Found, target: float | None) -> str:
    ratio, spread = number(found["ratio"]), number((found["high"] - found["low"]) / 2)
    text = f"{ratio}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{spread}"
    over = target is not None and found["low"] > target
    return f"**{text}**" if over else text


def by_itself(case: Found) -> str:
    first = case["ratios"][0]
    each = number(first["ours_us"] / first["rows"])
    return f"\n{code(case['name'])}: {each} µs each, so about {each} s for a million.\n"


def reasons(cases: list[Found]) -> str:
    lines = []
    for case in filter(missed, cases):
        places = ", ".join(f"n = {r['n']} in {r['dtype']}" for r in missed(case))
        why = f" Likely cause: {case['why']}." if case["why"] else ""
        lines.append(f"- {code(case['name'])} against {case['against']}: {places}.{why}\n")
    return "".join(lines) or "None is.\n"


def tiny(cases: list[Found]) -> str:
    rows = [[code(c["name"]), c["against"], number(max(0.0, c["tiny"]["excess_us"]))]
            for c in cases if "tiny" in c]  # fmt: skip
    return table(["Function", "Beside", "Longer by, µs"], rows)


def memory(cases: list[Found]) -> str:
    rows = [[code(c["name"]), c["against"], str(c["memory"]["n"]), number(c["memory"]["ours"]),
             number(c["memory"]["theirs"])] for c in cases if "memory" in c]  # fmt: skip
    return table(["Function", "Beside", "n", "Ours", "The other"], rows)


def growth(cases: list[Found]) -> str:
    rows = []
    for case in cases:
        if found := case.get("exponent"):
            lengths = f"{found['n'][0]} to {found['n'][-1]}"
            rows.append([code(case["name"]), f"{found['claimed']:g}", number(found["fitted"]),
                         lengths])  # fmt: skip
    return table(["Function", "Power of n", "Fitted", "For n"], rows)


def errors(stored: Found) -> str:
    rows = [[code(e["name"]), e["dtype"], number(e["ours"]), number(e["theirs"])]
            for e in stored["errors"]]  # fmt: skip
    return table(["Function", "Numbers", "Ours", "The other form"], rows)


def imports(stored: Found) -> str:
    rows = [[f"`{i['module']}`", number(i["ms"]), str(i["target"])] for i in stored["imports"]]
    return table(["Module", "Milliseconds", "At most"], rows)


def steps(seconds: dict[str, float]) -> str:
    longest = sorted(seconds.items(), key=lambda step: -step[1])
    rows = [[name, f"{took:.0f}"] for name, took in longest if took >= 1]
    return table(["Step", "Seconds"], rows)
