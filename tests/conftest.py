"""What every test file shares. It must not import attnlib: a conftest is loaded before
pytest installs the shape checker, and an attnlib imported here would escape it."""

import pytest
import torch
from helpers import run_cells, unchecked
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("exercises")  # its assertions explain themselves too

# The same cases every time, and no verdict that hangs on how busy the machine is.
settings.register_profile(
    "attnlib", derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.load_profile("attnlib")


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
