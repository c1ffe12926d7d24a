"""What several test files share."""

import importlib.util
import io
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import jaxtyping
import pytest
import torch
from click.testing import CliRunner

ROOT = Path(__file__).parents[1]
DTYPES = [torch.float32, torch.float64]
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
close = torch.testing.assert_close
# Forward mode makes torch import a file of its own that still uses a deprecated function.
forward_mode = pytest.mark.filterwarnings(r"ignore:.torch\.jit\.script. is deprecated")


def script(name, folder=".ci"):
    """A file of .ci or of another folder that is no package, as a module.

    It finds its neighbours, as it does when Python runs it.
    """
    spec = importlib.util.spec_from_file_location(f"{folder}/{name}", ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(ROOT / folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / folder))
    return module


# What a checker of answers begins its line with.
RIGHT_ANSWER, WRONG_ANSWER = "No counterexample in ", "Counterexample: "


def cells_of(chapter):
    """The code cells of a chapter, as its .md has them."""
    text = (ROOT / "notebooks" / f"{chapter}.md").read_text(encoding="utf-8")
    return list(script("cells").cells(text))


@contextmanager
def run_cells(cells):
    """The names that some cells bind, run in order, and what each of them prints."""
    dtype, space, printed = torch.get_default_dtype(), {"__name__": "chapter"}, []
    try:
        for cell in cells:
            with redirect_stdout(io.StringIO()) as out:
                exec(cell.code, space)
            printed.append(out.getvalue())
        yield space, printed
    finally:
        torch.set_default_dtype(dtype)


@contextmanager
def unchecked():
    """Without the shape checker: for bad input, and where it would take most of the time."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


def eps(dtype):
    return torch.finfo(dtype).eps


def each_way(f, x):
    """f of a row alone, beside another, and where a gradient is asked for: computed in ways of
    their own."""
    return f(x), f(torch.stack([x, x]))[1], f(x.detach().clone().requires_grad_()).detach()


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


# -- checkers of answers -----------------------------------------------------------------------


def answer_cases(given):
    """A case for each answer to each checker, named after it.

    To find a counterexample and to shrink it takes a tenth of a second, and there are hundreds:
    three answers to each checker are for every day, the others have the mark slow.
    """
    return [pytest.param(name, answer, id=f"{name}-{i}", marks=[pytest.mark.slow] * (i >= 3))
            for name, several in given.items() for i, answer in enumerate(several)]  # fmt: skip


def told(chapter, capsys, checker, answer):
    """What a checker of a chapter prints about an answer."""
    capsys.readouterr()
    chapter[checker](answer)
    return capsys.readouterr().out


# -- commands ----------------------------------------------------------------------------------


def call(cli, *args, code=0):
    """Run a command; what it printed. Only a clean exit counts, never a traceback."""
    result = CliRunner().invoke(cli, [str(a) for a in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result.output


def error_of(cli, *args, code=1):
    """What a command that must fail says after "Error: "."""
    output = call(cli, *args, code=code)
    assert "Error: " in output
    return output.split("Error: ", 1)[1]


def names(folder):
    return sorted(path.name for path in folder.iterdir())
