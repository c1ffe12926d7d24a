"""Run the code of a chapter, as its .md has it, in one process: do its claims hold?

    python .ci/cells.py softmax

It starts no kernel, draws nothing and stores nothing, so it is quicker than running the
notebook, and a traceback shows lines of the .md. It does not compare outputs with the stored
ones; `make test` does. Cells with the tag `slow`, which train, are left out, and so are the
cells that use what those would have made. What they leave unchecked is said at the end.
"""

import ast
import contextlib
import io
import os
import re
import symtable
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
CELL = re.compile(
    r"^```\{code-cell\}[^\n]*\n(?:---\n(?P<options>.*?)^---\n|(?P<short>(?::[^\n]*\n)+))?"
    r"(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
CLAIM = re.compile(r"""\bclaim\(\s*["']([\w-]+)""")
LONG = 4  # seconds of work in one cell, beyond which a quick check is not quick
# What a cell that was left out cannot have changed.
FIXED = (ModuleType, FunctionType, type, bool, int, float, complex, str, bytes)


class Cell(NamedTuple):
    line: int  # where the code starts, from 1
    code: str
    tags: tuple[str, ...]


def cells(text: str) -> Iterator[Cell]:
    """The code cells of a chapter in MyST Markdown."""
    for found in CELL.finditer(text):
        short = re.sub("^:", "", found["short"] or "", flags=re.MULTILINE)  # :tags: [slow]
        options = yaml.safe_load(found["options"] or short) or {}
        line = text.count("\n", 0, found.start("code")) + 1
        yield Cell(line, found["code"], tuple(options.get("tags", ())))


def names(code: str) -> tuple[set[str], set[str]]:
    """The names that some code needs from before it, and those that it binds."""
    needs, bound = set(), set()
    for statement in ast.parse(code).body:
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()}
        own |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_imported()}
        read = {symbol.get_name() for scope in scopes(table) for symbol in scope.get_symbols()
                if symbol.is_referenced() and (scope is table or symbol.is_global())}  # fmt: skip
        if isinstance(statement, ast.AugAssign):
            read |= own
        elif not isinstance(statement, (ast.Assign, ast.AnnAssign)):
            read -= own  # the variable of a loop, a function that calls itself
        needs |= read - bound
        bound |= own
    return needs, bound


def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """A table of names and those of the functions and classes within."""
    yield table
    for child in table.get_children():
        yield from scopes(child)


def run(path: Path) -> list[str]:
    """Run every cell that can be run; the ids of the claims that were left out."""
    text = path.read_text(encoding="utf-8")
    space: dict[str, Any] = {"__name__": "__main__", "display": lambda *shown, **options: None}
    missing: set[str] = set()  # names that cells left out would have made or changed
    left_out = []
    for cell in cells(text):
        needs, bound = names(cell.code)
        if "slow" in cell.tags or needs & missing:
            left_out += CLAIM.findall(cell.code)
            missing |= bound | {n for n in needs if not isinstance(space.get(n, 0), FIXED)}
            continue
        missing -= bound  # made anew
        # Blank lines before it give the code the line numbers that it has in the .md.
        code = compile("\n" * (cell.line - 1) + cell.code, str(path), "exec")
        began = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, space)
        seconds = time.process_time() - began
        if seconds > LONG and "import torch" not in cell.code:
            print(f"{path.name}:{cell.line} takes {seconds:.0f} s: should it have the tag slow?")
    return left_out


def main(topic: str) -> None:
    path = ROOT / "notebooks" / f"{topic}.md"
    sys.path.insert(0, str(ROOT))
    os.environ["MPLBACKEND"] = "agg"
    import matplotlib.pyplot as plt

    plt.show = lambda: plt.close("all")
    try:
        # As one who has downloaded the chapter runs it: nothing lies beside it.
        with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
            left_out = run(path)
    except Exception as error:
        # From the chapter on: how it came to be run is of no interest.
        frames = traceback.walk_tb(error.__traceback__)
        ours = sum(1 for frame, _ in frames if frame.f_code.co_filename == __file__)
        for _ in range(ours):
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        traceback.print_exception(error)
        sys.exit(1)
    held = len(set(CLAIM.findall(path.read_text(encoding="utf-8")))) - len(left_out)
    rest = f", left to `make test-all`: {' '.join(left_out)}" if left_out else ""
    print(f"claims that hold: {held}{rest}")


if __name__ == "__main__":
    main(sys.argv[1])
