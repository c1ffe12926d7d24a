"""The claims of the book, and the records that their blocks left in the notebooks.

``claims.yml`` says what is claimed. The stored output of a claim block says what was compared
and what was rejected. The ledger and the tests hold one against the other.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

__all__ = ["VERDICTS", "ClaimError", "load_claims", "stored_records", "stored_values"]

CLAIM_MIME = "application/vnd.attnlib.claim+json"
VALUES_MIME = "application/vnd.attnlib.values+json"
VERDICTS = ("holds", "holds if", "corrected", "refuted", "measured")


class ClaimError(AssertionError):
    """A claim block that does not hold, or that is not written soundly enough to tell."""


@cache
def load_claims() -> dict[str, dict[str, Any]]:
    """Every claim of ``attnlib/claims.yml`` by its id, in the order of the file."""
    text = files("attnlib").joinpath("claims.yml").read_text(encoding="utf-8")
    claims: dict[str, dict[str, Any]] = {}
    entries = yaml.safe_load(text)
    if not isinstance(entries, list):
        raise ClaimError("claims.yml: a list of claims is expected")
    keys = {"id", "chapter", "note", "verdict", "says", "statement"}
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != keys:
            raise ClaimError(f"claims.yml: wrong keys in {entry}")
        for key in ("id", "chapter", "note", "verdict", "statement"):
            # An unquoted 003 is the number 3. A claim of our own has no source note.
            if not isinstance(entry[key], str) or not (entry[key].strip() or key == "note"):
                raise ClaimError(f"claims.yml: {entry['id']}: {key} must be text: {entry[key]!r}")
        if entry["verdict"] not in VERDICTS:
            raise ClaimError(f"claims.yml: {entry['id']}: verdict {entry['verdict']!r}")
        if entry["id"] in claims:
            raise ClaimError(f"claims.yml: {entry['id']} is listed twice")
        claims[entry["id"]] = entry
    return claims


def stored_records(notebook: str | Path) -> list[dict[str, Any]]:
    """The records of the claim blocks among a notebook's stored outputs."""
    return _stored(notebook, CLAIM_MIME)


def stored_values(notebook: str | Path) -> list[dict[str, str]]:
    """The values shown by ``quote`` among a notebook's stored outputs."""
    return _stored(notebook, VALUES_MIME)


def _stored(notebook: str | Path, mime: str) -> list[dict[str, Any]]:
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    outputs = (out for cell in cells for out in cell.get("outputs", ()))
    return [out["data"][mime] for out in outputs if mime in out.get("data", {})]
