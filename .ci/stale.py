"""Which chapters were edited after their outputs were stored?

    python .ci/stale.py

The site shows the stored notebooks, so `make book` asks this first, and the guards ask it of
every chapter. Contents are compared, not times, which git sets at random.
"""

import sys
from pathlib import Path

import jupytext
from jupytext.compare import NotebookDifference, compare_notebooks

ROOT = Path(__file__).parents[1]


def difference(chapter: str) -> str | None:
    """How the text of a chapter differs from its stored notebook, or None if it does not."""
    text = ROOT / "notebooks" / f"{chapter}.md"
    stored = text.with_suffix(".ipynb")
    if not stored.exists():
        return f"there is no {stored.name}"
    try:
        compare_notebooks(jupytext.read(stored), jupytext.read(text), fmt="md:myst")
    except NotebookDifference as found:
        told = str(found).replace("--- expected", f"--- {text.name}")
        return told.replace("+++ actual", f"+++ {stored.name}")
    return None


def cure(chapter: str) -> str:
    """What is wrong with a stale chapter, and what to do about it."""
    return (
        f"notebooks/{chapter}.md was edited after its outputs were stored: "
        f"run `make notebooks TOPIC={chapter}`"
    )


if __name__ == "__main__":
    chapters = sorted(path.stem for path in (ROOT / "notebooks").glob("*.md"))
    sys.exit("\n".join(cure(c) for c in chapters if difference(c)) or None)
