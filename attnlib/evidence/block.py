"""A claim, what agrees with it, and the wrong versions that the same comparisons turn down.

A claim block reads like this::

    with claim("softmax-jacobian") as c:
        c.agrees("J g without J", softmax_vjp(y, g), J @ g, within(1e-15, "four roundings"),
                 rejects={"y ⊙ g": y * g})

The first value of every comparison is the one under test, the second is the yardstick. Each
wrong version is put in the place of the first value: the same comparison, with the same
tolerance, must turn it down, and the block says by how much it misses. A comparison without a
wrong version has not been seen to fail, and cannot be written.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np

from attnlib.evidence.compare import HAIR, Identity, Mean, Near, Pattern, Tolerance, Yardstick
from attnlib.evidence.errors import ClaimError
from attnlib.evidence.hollow import hollow
from attnlib.evidence.ledger import CLAIM_MIME, VALUES_MIME, load_claims

__all__ = ["Claim", "Excused", "claim", "excused", "miss_text", "state"]

# In place of rejects, which is always needed: the error says why, which Python's own does not.
MISSING: Mapping[str, Any] = MappingProxyType({})
DECIDES = 10**3  # a tolerance that could be so much wider needs no reason
# What is said of a miss: "at least" the largest of these that it reaches, which no rounding
# on another machine changes, unless the miss lies just there.
BUCKETS = (10**9, 10**6, 10**3, 10, 2, 1)
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def claim(id: str, *, says: str | None = None) -> Claim:
    """Open the block of a claim: use as ``with claim(id) as c``.

    Args:
        id: its name.
        says: what it says. Without this, the claim must be one of the book's.

    Raises:
        ClaimError: the id is blank; or the book does not list it, and ``says`` is not given.
    """
    if not (isinstance(id, str) and id.strip()):
        raise ClaimError(f"a claim needs an id, got {id!r}")
    if says is not None:
        if not (isinstance(says, str) and says.strip()):
            raise ClaimError(f"claim {id}: says must be a sentence, got {says!r}")
        return Claim({"id": id, "says": says})
    if id not in load_claims():
        raise ClaimError(
            f"unknown claim {id!r}: claims.yml does not list it. For a claim of your own, "
            f"say what it says: claim({id!r}, says=...)"
        )
    return Claim({"id": id, "verdict": load_claims()[id]["verdict"]})


@dataclass(frozen=True)
class Excused:
    """A wrong version that is allowed although it is hollow or misses narrowly."""

    value: Any
    why: str


def excused(value: Any, why: str) -> Excused:
    """Allow a wrong version that would be refused, for a reason that is shown with it.

    Refused are those that miss by less than two tolerances or by rounding alone, and those that
    nobody would write: the value times 0, a constant array in place of a computed one, the value
    or the yardstick with its sign turned, the two sides of the same inequality exchanged.

    Raises:
        ClaimError: no reason is given.
    """
    if not (isinstance(why, str) and why.strip()):
        raise ClaimError("an excuse needs a reason: excused(value, why)")
    return Excused(value, why)


class Claim:
    """The open block of one claim; ``claim(id)`` makes it."""

    def __init__(self, entry: dict[str, str]) -> None:
        self._entry = entry
        self._comparisons: list[dict[str, Any]] = []
        self._unfinished: list[str] = []
        self._open = False

    # -- comparisons ---------------------------------------------------------

    def agrees(
        self, what: str, value: Any, reference: Any, tolerance: Tolerance | None = None, *,
        rejects: Mapping[str, Any] = MISSING,
    ) -> None:  # fmt: skip
        """``|value − reference|`` is within the tolerance in every entry, shapes equal."""
        self._compare(what, value, rejects, tolerance, lambda: Near(reference, tolerance))

    def at_most(
        self, what: str, value: Any, bound: Any, tolerance: Tolerance | None = None, *,
        rejects: Mapping[str, Any] = MISSING,
    ) -> None:  # fmt: skip
        """``value ≤ bound``, up to the tolerance, in every entry, shapes equal."""
        self._compare(what, value, rejects, tolerance, lambda: Near(bound, tolerance, 1))

    def at_least(
        self, what: str, value: Any, bound: Any, tolerance: Tolerance | None = None, *,
        rejects: Mapping[str, Any] = MISSING,
    ) -> None:  # fmt: skip
        """``value ≥ bound``, up to the tolerance, in every entry, shapes equal."""
        self._compare(what, value, rejects, tolerance, lambda: Near(bound, tolerance, -1))

    def pattern(
        self, what: str, value: Any, expected: Any, tolerance: Tolerance | None = None, *,
        rejects: Mapping[str, Any] = MISSING,
    ) -> None:  # fmt: skip
        """The value has the signs expected (−1, 0, 1); or is 0 just where False is expected.

        What is within the tolerance of 0 counts as 0.
        """
        self._compare(what, value, rejects, tolerance, lambda: Pattern(expected, tolerance))

    def is_mean_of(
        self, what: str, value: Any, draws: Any, *, confidence: float = 0.9999,
        rejects: Mapping[str, Any] = MISSING,
    ) -> None:  # fmt: skip
        """The value lies in the confidence interval of the mean of the draws (first axis).

        The draws are independent, with mean ``value`` if the claim holds. The half-width is the
        standard error s/√N times Student's quantile, shared among all entries (Bonferroni).
        """
        self._compare(what, value, rejects, None, lambda: Mean(draws, confidence))

    def equals(
        self, what: str, value: Any, derived: Any, *, rejects: Mapping[str, Any] = MISSING,
    ) -> None:  # fmt: skip
        """Two SymPy expressions, or matrices of them, are equal: their difference simplifies to 0.

        A wrong version is turned down by a point at which the difference is not 0. Where SymPy
        finds neither a proof nor such a point, the block fails: undecided is not rejected.
        """
        self._compare(what, value, rejects, None, lambda: Identity(derived))

    def _compare(
        self, what: str, value: Any, rejects: Any, tolerance: Any, make: Callable[[], Yardstick]
    ) -> None:
        where = f"claim {self._entry['id']}: {what}"
        self._unfinished.append(where)
        if not isinstance(rejects, Mapping) or not rejects:
            given = "nothing" if rejects is MISSING else repr(rejects)
            raise TypeError(
                f"{where}: rejects must name at least one wrong version, as in rejects="
                f"{{'without the factor': value}}; got {given}. A comparison that has not been "
                "seen to fail says nothing"
            )
        if not isinstance(tolerance, Tolerance | None):
            raise TypeError(f"{where}: tolerance must come from within(atol, why), "
                            f"got {tolerance!r}")  # fmt: skip
        try:
            if not self._open:
                raise ClaimError("comparisons belong inside `with claim(...) as c:`")
            if not (isinstance(what, str) and what.strip()):
                raise ClaimError("say what is compared, before the value")
            self._comparisons.append(_examine(what, value, make(), rejects))
        except ClaimError as error:
            raise ClaimError(f"{where}: {error}") from None
        self._unfinished.pop()

    # -- the block -----------------------------------------------------------

    def __enter__(self) -> Claim:
        if self._open or self._comparisons:
            raise ClaimError(f"claim {self._entry['id']}: a block is entered once")
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        self._open = False
        if kind is not None:
            return
        if self._unfinished:
            raise ClaimError(f"{self._unfinished[0]}: it failed, and the error was caught inside "
                             "the block")  # fmt: skip
        if not self._comparisons:
            raise ClaimError(f"claim {self._entry['id']}: the block compares nothing")
        _show(self._text(), CLAIM_MIME, self.record())

    def record(self) -> dict[str, Any]:
        """What the ledger needs to know of this block, as stored in the notebook."""
        return {**self._entry, "comparisons": self._comparisons}

    def _text(self) -> str:
        lines = _wrap(f"{self._entry['id']}: ", self._entry.get("verdict", self._entry.get("says")))
        for c in self._comparisons:
            lines += _wrap("✓ ", f"{c['what']} [{c['tolerance']}]")
            lines += _wrap("    because ", c["why"]) if c["why"] else []
            lines += _wrap("    ", c["window"]) if c["window"] else []
            for wrong in c["rejects"]:
                told = f"{wrong['name']}, {miss_text(wrong)}"
                told += f"; {wrong['excuse']}" * bool(wrong["excuse"])
                lines += _wrap("    ✗ rejected: ", told)
        return "\n".join(lines)


# -- one comparison --------------------------------------------------------------------------


def _examine(
    what: str, value: Any, yardstick: Yardstick, rejects: Mapping[str, Any]
) -> dict[str, Any]:
    """Hold the value and every wrong version against the yardstick; what the record says of it."""
    gap = yardstick.gap(value)
    if gap.off:
        raise ClaimError(f"{gap.text} [{yardstick.text()}]")
    found = [_reject(name, wrong, value, yardstick) for name, wrong in rejects.items()]
    why, window = yardstick.tolerance.why, ""
    if not yardstick.tolerance.exact:
        versions = [w.value if isinstance(w, Excused) else w for w in rejects.values()]
        if yardstick.holds(value, versions, DECIDES * (1 - HAIR)):
            # Wide enough: how wide says more than why it is not wider.
            why, window = "", _window_text(yardstick.tolerance, yardstick.reach(value, versions))
        elif not why.strip():
            near = min(found, key=lambda w: w["miss"])
            told = f"The wrong version {near['name']!r} is {miss_text(near)}"
            if yardstick.unit != "tolerances":
                told = "A thousand times as wide, it gives another verdict"
            raise ClaimError(f"the tolerance decides, so it needs a reason: within(atol, why). "
                             f"{told} [{yardstick.text()}]")  # fmt: skip
    return {
        "kind": yardstick.kind, "what": what, "tolerance": yardstick.text(), "why": why,
        "window": window, "rejects": found,
    }  # fmt: skip


def _reject(name: str, wrong: Any, value: Any, yardstick: Yardstick) -> dict[str, Any]:
    """Turn one wrong version down; what the record says of it."""
    if not (isinstance(name, str) and name.strip()):
        raise ClaimError(f"a wrong version needs a name, got {name!r}")
    excuse = wrong.why if isinstance(wrong, Excused) else ""
    wrong = wrong.value if isinstance(wrong, Excused) else wrong
    try:
        gap = yardstick.gap(wrong)
    except ClaimError as error:
        raise ClaimError(f"the wrong version {name!r} is refused, not rejected: {error}") from None
    if not gap.off:
        raise ClaimError(f"the wrong version {name!r} is accepted [{yardstick.text()}]")
    kind = hollow(wrong, value, yardstick)
    # The reason of a tolerance says why it is not wider. That of an interval says nothing of
    # the kind, and an exact comparison has none.
    tolerance = yardstick.tolerance
    explained = excuse or (tolerance.why.strip() and not tolerance.exact)
    if (kind and not excuse) or (gap.narrow and not explained):
        told = f"is {kind}: nobody would write it" if kind else gap.narrow
        raise ClaimError(f"the wrong version {name!r} {told}. Find a better one, or say why it "
                         f"may stand: excused(value, why) [{yardstick.text()}]")  # fmt: skip
    if excuse and not (kind or gap.narrow):
        raise ClaimError(f"the wrong version {name!r} needs no excuse: give its value alone")
    miss = next((b for b in BUCKETS if gap.miss * (1 + HAIR) >= b), 1)
    return {"name": name, "miss": miss, "unit": yardstick.unit, "hollow": kind or "",
            "excuse": excuse}  # fmt: skip


def miss_text(wrong: Mapping[str, Any]) -> str:
    """By how much a wrong version of a record misses, in words."""
    miss, unit = wrong["miss"], wrong["unit"]
    size = str(miss) if miss < 1000 else _power(miss)
    if unit == "entries":
        return "off in one entry" if miss == 1 else f"off in {size} entries or more"
    return f"off by less than 2 {unit}" if miss == 1 else f"off by at least {size} {unit}"


def _window_text(tolerance: Tolerance, reach: int) -> str:
    """How much wider the tolerance could be, to a power of ten."""
    if tolerance.rtol:
        return f"any tolerance up to {_power(10**reach)} times as wide gives this verdict"
    largest = int(np.floor(np.log10(tolerance.atol) + np.log10(1 + HAIR) + reach))
    return f"any tolerance up to 1e{min(largest, 308)} gives this verdict"


def _power(n: int) -> str:
    return "10" + str(round(np.log10(n))).translate(SUPERSCRIPT)


# -- what is shown ---------------------------------------------------------------------------


def state(**values: Any) -> None:
    """Show named values that the text quotes; the tests compare the text with them.

    In the text, ``0.576<!-- p_max -->`` is a quotation of ``state(p_max=...)``: the digits
    typed must be those of the value, rounded.
    """
    if not values:
        raise ClaimError("state: nothing is stated")
    shown = {}
    for name, value in values.items():
        try:
            number = float(value) + 0.0  # no −0, whose sign may be one of rounding
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise ClaimError(f"state: {name} must be one real number, got {value!r}") from None
        if not np.isfinite(number):
            raise ClaimError(f"state: {name} is {value}")
        # Six digits: enough for any prose, too few for rounding errors to show. Twelve first, so
        # that they do not decide a tie either: 2⁻¹⁰ = 0.0009765625.
        shown[name] = f"{float(f'{number:.12g}'):.6g}"
    _show("\n".join(f"{k} = {float(v):.4g}" for k, v in shown.items()), VALUES_MIME, shown)


def _wrap(head: str, text: str | None) -> list[str]:
    indent = " " * min(len(head), 8)
    return textwrap.wrap(text or "", 72, initial_indent=head, subsequent_indent=indent)


def _show(text: str, mime: str, record: dict[str, Any]) -> None:
    """In a notebook: one output with the text and the record; elsewhere: print the text."""
    ipython = sys.modules.get("IPython")  # who runs in IPython has loaded it
    if ipython is None or ipython.get_ipython() is None:
        print(text)
        return
    from IPython.display import display

    display({"text/plain": text, mime: record}, raw=True)  # type: ignore[no-untyped-call]
