"""What every test file shares. It must not import attnlib: a conftest is loaded before
pytest installs the shape checker, and an attnlib imported here would escape it."""

import gc
import inspect

import jaxtyping
import pytest
import torch
from helpers import run_cells, unchecked
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("exercises")  # its assertions explain themselves too


def where_shapes_are_said(*, typechecker, checked=jaxtyping.jaxtyped):
    """What the shape checker does to a function, left out where no annotation says a shape.

    Most say none. A checker that looks at every call of them takes as long as the tests
    themselves; what else an annotation says is for mypy.
    """

    def decorate(fn):
        told = getattr(inspect.unwrap(fn) if callable(fn) else fn, "__annotations__", {})
        silent = inspect.isfunction(fn) and not any("[Tensor, " in str(t) for t in told.values())
        return fn if silent else checked(fn, typechecker=typechecker)

    return decorate


jaxtyping.jaxtyped = where_shapes_are_said  # attnlib asks for it when it is imported

# The same cases every time, and no verdict that hangs on how busy the machine is.
settings.register_profile(
    "attnlib", derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.load_profile("attnlib")


# For devices that are not there, torch.manual_seed keeps a trace of who called it, of all callers
# down to pytest: a millisecond and a half each time.
torch.manual_seed = torch.default_generator.manual_seed


def pytest_collection_finish():
    """What is there by now stays: the collector of garbage need not go through it every time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


@pytest.fixture
def no_shape_checks():
    """For bad input: without this, the shape checker's TypeError comes before our ValueError."""
    with unchecked():
        yield


@pytest.fixture
def double_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def no_waiting_for_the_disk(monkeypatch):
    """A sync can take a tenth of a second; only a power cut could tell the difference."""
    monkeypatch.setattr("attnlib._files.os.fsync", lambda file: None)


@pytest.fixture(scope="module")
def run(request):
    """What a module's RUN, cells of a chapter, leaves behind: its names, and what was printed.

    As in a notebook no shapes are checked: that took half of the time. And fewer instances are
    tried than a reader's answer gets: every wrong version that a test names shows up among them.
    """
    with pytest.MonkeyPatch.context() as patch, unchecked():
        patch.setattr("attnlib.evidence.answers.EXAMPLES", 50)
        with run_cells(request.module.RUN) as found:
            yield found


@pytest.fixture
def chapter(run):
    return run[0]
