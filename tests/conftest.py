"""What every test file shares. It must not import attnlib: a conftest is loaded before
pytest installs the shape checker, and an attnlib imported here would escape it."""

import jaxtyping
import pytest
import torch
from hypothesis import HealthCheck, settings

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
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
