"""Let a reader check an answer of their own without seeing one.

A chapter writes down what a right answer must satisfy; Hypothesis looks for an instance on
which the reader's answer does not, and shrinks it to a small one.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from attnlib.evidence.find import Flaky, UnsatisfiedAssumption, smallest, st

__all__ = ["check_answer", "rows"]

EXAMPLES = 200


def rows(least: int = 1, most: int = 5, low: int = -4, high: int = 4) -> st.SearchStrategy[Tensor]:
    """Float64 vectors of ``least`` to ``most`` whole numbers between ``low`` and ``high``.

    Whole numbers shrink to counterexamples that a person can follow by hand.
    """
    entries = st.lists(st.integers(low, high), min_size=least, max_size=most)
    return entries.map(lambda row: torch.tensor(row, dtype=torch.float64))


def check_answer(
    **instance: st.SearchStrategy[Any],
) -> Callable[[Callable[..., Any]], Callable[[Any], None]]:
    """Make a checker of answers out of a property.

    The property takes the reader's answer and one instance, drawn from the named strategies,
    and asserts what must hold. The checker prints that 200 instances (all, if there are fewer)
    did not contradict the answer, or the smallest counterexample found. An answer that raises
    is contradicted too, and so is one that changes from call to call. A property that returns
    something is a TypeError: it must assert.

    >>> @check_answer(a=st.integers(0, 99), b=st.integers(0, 99))
    ... def check_sum(add, a, b):
    ...     assert add(a, b) == add(b, a), "the order must not matter"
    ...     assert add(a, 0) == a, "adding 0 must change nothing"
    >>> check_sum(lambda a, b: a + b)
    No counterexample in 200 random instances.
    >>> check_sum(lambda a, b: a - b)
    Counterexample: a = 0, b = 1
      the order must not matter
    """

    def decorate(holds: Callable[..., Any]) -> Callable[[Any], None]:
        def contradiction(answer: Any, values: dict[str, Any]) -> str | None:
            try:
                returned = holds(answer, **deepcopy(values))  # an answer may overwrite them
            except UnsatisfiedAssumption:  # the property skips this instance
                raise
            except Exception as error:
                name = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
                return f"{name}{error}".strip() or "the property does not hold"
            if returned is not None:  # a truth value that nobody would look at
                raise TypeError(f"{holds.__name__} must assert what holds and return nothing; "
                                f"it returned {returned!r}")  # fmt: skip
            return None

        def check(answer: Any) -> None:
            tried, reason, last = 0, "", dict[str, Any]()

            def contradicts(values: dict[str, Any]) -> bool:
                nonlocal tried, reason, last
                found = contradiction(answer, values)
                tried += 1
                if found is not None:  # the last one found is that of the smallest instance
                    reason, last = found, values
                return found is not None

            try:
                found = smallest(instance, contradicts, EXAMPLES)
            except Flaky:
                found, reason = last, f"{reason}, but not at every call"
            if found is None:
                print(f"No counterexample in {tried} random instances.")
                return
            shown = ", ".join(f"{name} = {_plain(v)}" for name, v in found.items())
            print(f"Counterexample: {shown}\n  {reason}")

        check.__name__, check.__doc__ = holds.__name__, holds.__doc__
        return check

    return decorate


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, Tensor) else value
