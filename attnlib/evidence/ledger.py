"""The list of a book's claims, and the records that their blocks left in its notebooks.

``claims.yml`` says what is claimed. The stored output of a claim block says what was compared
and what was rejected. The book's ledger and its tests hold one against the other.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from attnlib.evidence.errors import ClaimError

__all__ = ["CLAIMS", "VERDICTS", "load_claims", "stored_records", "stored_values"]

CLAIM_MIME = "application/vnd.attnlib.claim+json"
VALUES_MIME = "application/vnd.attnlib.values+json"
VERDICTS = ("holds", "holds if", "corrected", "refuted", "measured")
KEYS = {"id", "chapter", "note", "verdict", "says", "statement"}
CLAIMS = Path(__file__).parents[1] / "claims.yml"  # the book that this package comes with


@cache
def load_claims(path: str | Path = CLAIMS) -> dict[str, dict[str, Any]]:
    """Every claim of a list by its id, in the order of the file.

    Raises:
        ClaimError: the file is no list of claims with the keys id, chapter, note, verdict, says
            and statement; a verdict is unknown, or an id is listed twice. The file is named.
        ImportError: PyYAML is missing.
    """
    try:
        import yaml
    except ImportError:
        raise ImportError("a list of claims needs PyYAML: pip install pyyaml") from None
    path = Path(path)
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ClaimError(f"{path.name} cannot be read: {error}") from None
    if not isinstance(entries, list):
        raise ClaimError(f"{path.name}: a list of claims is expected")
    claims: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != KEYS:
            raise ClaimError(f"{path.name}: wrong keys in {entry}")
        for key in sorted(KEYS - {"says"}):
            # An unquoted 003 is the number 3. A claim of our own has no source note.
            if not isinstance(entry[key], str) or not (entry[key].strip() or key == "note"):
                raise ClaimError(f"{path.name}: {entry['id']}: {key} must be text: {entry[key]!r}")
        if not isinstance(entry["says"], str | None):
            raise ClaimError(f"{path.name}: {entry['id']}: says must be text or null")
        if entry["verdict"] not in VERDICTS:
            raise ClaimError(f"{path.name}: {entry['id']}: verdict {entry['verdict']!r} is none of "
                             f"{', '.join(VERDICTS)}")  # fmt: skip
        if entry["id"] in claims:
            raise ClaimError(f"{path.name}: {entry['id']} is listed twice")
        claims[entry["id"]] = entry
    return claims


def stored_records(notebook: str | Path) -> list[dict[str, Any]]:
    """The records of the claim blocks among a notebook's stored outputs."""
    return _stored(notebook, CLAIM_MIME)


def stored_values(notebook: str | Path) -> list[dict[str, str]]:
    """The values shown by ``state`` among a notebook's stored outputs."""
    return _stored(notebook, VALUES_MIME)


def _stored(notebook: str | Path, mime: str) -> list[dict[str, Any]]:
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    outputs = (out for cell in cells for out in cell.get("outputs", ()))
    return [out["data"][mime] for out in outputs if mime in out.get("data", {})]
