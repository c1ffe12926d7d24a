"""Claims with evidence: what agrees, how far wrong versions miss, what no search has found.

Made for the book of attention, and not tied to it: ``claim("my-own", says="...")`` works in a
script, a test or a notebook of any subject.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from attnlib.evidence.block import claim, excused, state
from attnlib.evidence.compare import within
from attnlib.evidence.errors import ClaimError

if TYPE_CHECKING:
    from attnlib.evidence.answers import check_answer, rows

__all__ = ["ClaimError", "check_answer", "claim", "excused", "rows", "state", "within"]


def __getattr__(name: str) -> Any:
    # These load Hypothesis, which a claim block does not need.
    if name not in ("check_answer", "rows"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("attnlib.evidence.answers"), name)
