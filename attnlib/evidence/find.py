"""One search of Hypothesis for an instance, the same every time, shrunk to a small one."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

try:
    import hypothesis
    from hypothesis import strategies as st
    from hypothesis.errors import Flaky, NoSuchExample, UnsatisfiedAssumption
except ImportError:
    raise ImportError("searching needs Hypothesis: pip install hypothesis") from None

# Hypothesis is imported here alone: who lacks it is told so, whichever module asks.
__all__ = ["Flaky", "UnsatisfiedAssumption", "smallest", "st"]


def smallest(
    instance: Mapping[str, st.SearchStrategy[Any]],
    meets: Callable[[dict[str, Any]], bool],
    examples: int,
) -> dict[str, Any] | None:
    """The smallest instance found that meets a condition, or None if none of the examples does.

    Derandomised and without a database on disk: a chapter prints the same lines every time.
    """
    chosen = hypothesis.settings(
        max_examples=examples, database=None, deadline=None,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    strategy = st.fixed_dictionaries(dict(instance))
    try:
        return hypothesis.find(strategy, meets, settings=chosen, random=random.Random(0))
    except NoSuchExample:
        return None
