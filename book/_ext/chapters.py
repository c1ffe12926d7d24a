"""What the chapters say of themselves: their order, what each builds on, how long it takes.

The order is that of _toc.yml. The rest is one line at the beginning of each chapter:

    30 minutes, and 45 more for the exercises. You need matrices, and [](softmax.ipynb).

The chapters that the line links to are those that it builds on. Its minutes follow from a rule:
words / 180 + displayed formulas × 0.5 + open lines of code × 0.15, up to a multiple of five. What
counts is what a reader of the site sees who opens nothing: no folded code, no rest of a long
proof, no exercises and no section *For the expert*. For the exercises it is the sum of what each
says of itself.

    python book/_ext/chapters.py    what is counted in every chapter, and its minutes
"""

import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)] * (__name__ == "__main__")

from attnlib.evidence.ledger import CLAIM_MIME, VALUES_MIME, load_claims  # noqa: E402

LINE = re.compile(
    r"^(\d+) minutes, and (\d+) more for the exercises\. You need (.+)$", re.MULTILINE
)
BUILDS_ON = re.compile(r"\]\((\w+)\.ipynb\)")
EXERCISE = re.compile(r"^\*(?:Easy|Medium|Hard), (\d+) minutes\b", re.MULTILINE)

ASIDE = {"Exercises", "For the expert"}
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
DISPLAYED = re.compile(r"\$\$.+?\$\$(?: \([\w-]+\))?", re.DOTALL)
INLINE = re.compile(r"\$[^$]+\$")
PROOF = re.compile(r"^(:{3,})\{prf:proof\}[^\n]*\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
LONG_PROOF, LINE_LENGTH = 10, 88  # as in proofs.py
MARKED_LONG = ":class: long\n"
SENTENCE = re.compile(r".{18,}?[.:?!](?=\s|$)", re.DOTALL)  # "Upper bound." is none yet
LABEL = r"^\([\w-]+\)=$"
# Comments, what stands for a figure with sliders, labels, marks of directives, images.
UNSEEN = re.compile(
    rf"<!--.*?-->|^<div .*?</div>$|{LABEL}|^:::+(?:{{[\w:-]+}})?|^:\w+: [^\n]*$"
    r"|!\[[^]]*\]\([^)]*\)",
    re.MULTILINE | re.DOTALL,
)
IMAGES = {"image/png", "image/svg+xml"}
Cell = dict[str, Any]


class Line(NamedTuple):
    """The line of a chapter."""

    minutes: int
    exercises: int
    builds_on: tuple[str, ...]


class Reading(NamedTuple):
    """What there is to read on the main path of a chapter."""

    words: int
    formulas: int
    lines: int

    @property
    def minutes(self) -> int:
        exact = self.words / 180 + self.formulas * 0.5 + self.lines * 0.15
        return 5 * max(1, math.ceil(exact / 5))


def parts(toc: Path = ROOT / "_toc.yml") -> dict[str, list[str]]:
    """The chapters by the part of the book that they stand in, all in order."""
    listed = yaml.safe_load(toc.read_text(encoding="utf-8"))["parts"]
    found = {
        part.get("caption", ""): re.findall(r"notebooks/(\w+)", str(part["chapters"]))
        for part in listed
    }
    return {caption: chapters for caption, chapters in found.items() if chapters}


def cells(chapter: str) -> list[Cell]:
    """The cells of a stored notebook; the source of each is one text."""
    path = ROOT / "notebooks" / f"{chapter}.ipynb"
    stored = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in stored]


def prose(stored: list[Cell]) -> str:
    return "\n\n".join(cell["source"] for cell in stored if cell["cell_type"] == "markdown")


def title(stored: list[Cell]) -> str:
    return stored[0]["source"].splitlines()[0].lstrip("# ")


def line(stored: list[Cell]) -> Line | None:
    """What the chapter says of itself, or None if it has not just one such line."""
    found = LINE.findall(prose(stored))
    if len(found) != 1:
        return None
    minutes, exercises, needs = found[0]
    return Line(int(minutes), int(exercises), tuple(dict.fromkeys(BUILDS_ON.findall(needs))))


def exercises(stored: list[Cell]) -> int:
    """The minutes that the exercises say they take."""
    return sum(map(int, EXERCISE.findall(prose(stored))))


# -- what there is to read ---------------------------------------------------------------------


def reading(stored: list[Cell]) -> Reading:
    words = formulas = lines = 0
    for cell, source, after in main_path(stored):
        if cell["cell_type"] == "markdown":
            text = PROOF.sub(seen_of_proof, source)
            formulas += len(DISPLAYED.findall(text))
            words += count_words(text)
            continue
        words += sum(count_words(text) for text in said_by(cell))
        formulas += sum("text/latex" in output.get("data", {}) for output in cell["outputs"])
        if is_open(cell, after):
            lines += sum(bool(line.strip()) for line in source.splitlines())
    return Reading(words, formulas, lines)


def main_path(stored: list[Cell]) -> Iterator[tuple[Cell, str, list[Cell]]]:
    """Every cell, what of its source stands in sections that are not aside, and what follows."""
    aside = False
    for i, cell in enumerate(stored, 1):
        if cell["cell_type"] != "markdown":
            if not aside:
                yield cell, cell["source"], stored[i:]
            continue
        before, *sections = SECTION.split(cell["source"])
        kept = [] if aside else [before]
        for heading, text in zip(sections[::2], sections[1::2], strict=True):
            aside = heading in ASIDE
            kept += [] if aside else [heading, text]
        yield cell, "\n".join(kept), stored[i:]


def seen_of_proof(found: re.Match[str]) -> str:
    """A proof, or its first sentence if the page folds the rest (see proofs.py)."""
    text = found[2].removeprefix(MARKED_LONG).strip()
    length = math.inf if found[2].startswith(MARKED_LONG) else 0.0
    for formula in DISPLAYED.findall(text):
        length += 2 + formula.count(r"\\")
    for paragraph in re.split(r"\n\s*\n", DISPLAYED.sub("\n\n", text)):
        if paragraph.strip():
            hidden = sum(len(formula) - 2 for formula in INLINE.findall(paragraph))
            length += 0.5 + (len(paragraph) - hidden / 2) / LINE_LENGTH
    first = SENTENCE.match(INLINE.sub("x", DISPLAYED.split(text)[0]))
    return first[0] if length > LONG_PROOF and first else text


def count_words(text: str) -> int:
    """Words as a reader counts them: a formula within a line is one, a citation is one."""
    text = UNSEEN.sub(" ", DISPLAYED.sub(" ", text))
    text = INLINE.sub("x", text)
    text = re.sub(r"\{\w+\}`[^`]*`|\[\]\([^)]*\)", "x", text)
    text = re.sub(r"\]\([^)]*\)", "", text)
    return sum(any(map(str.isalnum, word)) for word in text.split())


def said_by(cell: Cell) -> Iterator[str]:
    """The sentences that a cell shows: what a claim says, and the caption of a figure."""
    for record in data(cell, CLAIM_MIME):
        if claim := load_claims().get(record["id"]):
            yield claim["statement"]
    if figure := cell["metadata"].get("figure"):
        yield figure["caption"]


def data(cell: Cell, mime_type: str) -> list[Any]:
    shown = [output.get("data", {}) for output in cell["outputs"]]
    return [kinds[mime_type] for kinds in shown if mime_type in kinds]


def is_open(cell: Cell, after: list[Cell]) -> bool:
    """Does the page show the code of a cell? It folds what cells.py says."""
    source, metadata = cell["source"], cell["metadata"]
    shown = [output for output in cell["outputs"] if VALUES_MIME not in output.get("data", {})]
    quoted = len(shown) < len(cell["outputs"])
    return not (
        data(cell, CLAIM_MIME)
        or any(data(cell, image) for image in IMAGES)
        or "hide-cell" in metadata.get("tags", [])
        or "@check_answer" in source
        or re.match("(import|from) ", source)
        or prepares(after)
        or (quoted and not shown)
        or metadata.get("jupyter", {}).get("source_hidden")
    )


def prepares(after: list[Cell]) -> bool:
    """Is the next thing to be seen the block of a claim?"""
    for cell in after:
        if cell["cell_type"] == "code":
            return bool(data(cell, CLAIM_MIME))
        if re.sub(rf"<!--.*?-->|{LABEL}", "", cell["source"], flags=re.MULTILINE).strip():
            return False
    return False


def as_hours(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return " ".join([f"{hours} h"] * bool(hours) + [f"{rest} min"] * bool(rest or not hours))


# -- what does not fit together ----------------------------------------------------------------


def mistold(stored: list[Cell]) -> str | None:
    """What to write where the line of a chapter is missing or no longer true."""
    told, minutes = line(stored), reading(stored).minutes
    if told is not None and told[:2] == (minutes, exercises(stored)):
        return None
    right = f"{minutes} minutes, and {exercises(stored)} more for the exercises. You need …"
    return f"write one line near the beginning that begins with {right!r}"


def misplaced(order: list[str], builds_on: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Chapters that come before what they build on. A circle of them cannot be put in order."""
    place = {chapter: i for i, chapter in enumerate(order)}
    for chapter, needs in builds_on.items():
        for need in needs:
            if need not in place:
                yield f"{chapter} builds on {need}, which is no chapter in _toc.yml"
            elif place[need] >= place[chapter]:
                yield f"{chapter} builds on {need}, which must come before it in _toc.yml"


def main() -> None:
    for caption, chapters in parts().items():
        print(caption)
        for chapter in chapters:
            stored = cells(chapter)
            found = reading(stored)
            counted = f"{found.words:5} words {found.formulas:3} formulas {found.lines:3} lines"
            wrong = mistold(stored)
            print(
                f"  {chapter:12} {counted}: {found.minutes} minutes", f"({wrong})" if wrong else ""
            )


if __name__ == "__main__":
    main()
