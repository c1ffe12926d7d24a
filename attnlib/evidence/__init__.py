"""Claims with evidence: what agrees, how far wrong versions miss, what no search has found.

It holds a result against a reference found in another way, and against wrong versions that the
same comparison must turn down, and says by how much they miss. Made for the book of attention,
and not tied to it: it works in a script, a test or a notebook of any subject, and needs torch and
NumPy alone until SymPy, SciPy, Hypothesis or IPython is asked for.

>>> from attnlib.evidence import claim, within
>>> with claim("short-sine", says="sin x ≈ x − x³/6, up to x⁵/120") as c:
...     c.agrees("x = 0.5", 0.5 - 0.5**3 / 6, 0.479425538604203, within(0.5**5 / 120, "x⁵/120"),
...              rejects={"without x³/6": 0.5, "over 3": 0.5 - 0.5**3 / 3})
short-sine: sin x ≈ x − x³/6, up to x⁵/120
✓ x = 0.5 [|error| ≤ 3e-4]
    because x⁵/120
    ✗ rejected: without x³/6, off by at least 10 tolerances
    ✗ rejected: over 3, off by at least 10 tolerances
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
