"""What several test files share."""

import contextlib
import importlib.util
import io
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]

DTYPES = [torch.float32, torch.float64]
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
close = torch.testing.assert_close
# Forward mode makes torch import a file of its own that still uses a deprecated function.
forward_mode = pytest.mark.filterwarnings(r"ignore:.torch\.jit\.script. is deprecated")


def eps(dtype):
    return torch.finfo(dtype).eps


def refused(name, words, call):
    """A ValueError that begins with the name of the argument and holds every word."""
    with pytest.raises(ValueError, match=rf"^{name} ") as error:
        call()
    missing = [word for word in words if word not in str(error.value)]
    assert not missing, f"{missing} not in: {error.value}"


def each_once(names, *lists):
    """Every value of each list at least once, in as many cases as the longest list has."""
    cases = [tuple(v[i % len(v)] for v in lists) for i in range(max(map(len, lists)))]
    return pytest.mark.parametrize(
        names, cases, ids=lambda v: getattr(v, "__name__", None) or str(v)
    )


def load(tool):
    """One of the scripts in .ci, as a module."""
    spec = importlib.util.spec_from_file_location(tool, ROOT / ".ci" / f"{tool}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exercises(topic):
    """What the cells of a chapter's exercises bind, and what its attempts and solutions print.

    Only the first cell, which imports, runs before them.
    """
    text = (ROOT / "notebooks" / f"{topic}.md").read_text(encoding="utf-8")
    start = text[: text.index("\n## Exercises\n")].count("\n")
    setup, *rest = load("cells").cells(text)
    space = {}
    exec(setup.code, space)
    printed = {"attempts": [], "solutions": []}
    for cell in (cell for cell in rest if cell.line > start):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(cell.code, space)
        printed["solutions" if "hide-cell" in cell.tags else "attempts"].append(out.getvalue())
    return space | printed
