"""attnlib/evidence/ledger.py: lists of claims, and the records stored in notebooks."""

import json
import sys

import pytest
import yaml

from attnlib.evidence import ClaimError
from attnlib.evidence.ledger import (
    CLAIM_MIME,
    VALUES_MIME,
    VERDICTS,
    load_claims,
    stored_records,
    stored_values,
)

ENTRY = {
    "id": "fake", "chapter": "none", "note": "000", "verdict": "holds",
    "says": "one is two", "statement": "one is one",
}  # fmt: skip


def write(path, entries):
    path.write_text("" if entries is None else yaml.safe_dump(entries), encoding="utf-8")
    return path


def test_the_list_of_the_book():
    claims = load_claims()
    assert claims
    for id, entry in claims.items():
        assert entry["id"] == id
        assert entry["verdict"] in VERDICTS


@pytest.mark.parametrize("change", [{}, {"note": ""}, {"says": None}], ids=str)
def test_a_list_of_ones_own(change, tmp_path):
    other = ENTRY | {"id": "another"} | change
    path = write(tmp_path / "own.yml", [other, ENTRY])
    assert load_claims(path) == {"another": other, "fake": ENTRY}
    assert list(load_claims(str(path))) == ["another", "fake"], "in the order of the file"


def without(key):
    return {k: v for k, v in ENTRY.items() if k != key}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        pytest.param([without("note")], "wrong keys", id="missing-key"),
        pytest.param([ENTRY | {"evidence": "x"}], "wrong keys", id="extra-key"),
        pytest.param([ENTRY | {"verdict": "true"}], "'true' is none of holds, ", id="unknown"),
        pytest.param([ENTRY | {"verdict": True}], "verdict must be text", id="verdict-is-boolean"),
        pytest.param([ENTRY, ENTRY], "fake is listed twice", id="duplicate-id"),
        pytest.param([ENTRY | {"id": 3}], "id must be text", id="number-as-id"),
        pytest.param([ENTRY | {"note": 3}], "fake: note must be text: 3", id="003-read-as-3"),
        pytest.param([ENTRY | {"says": 3}], "fake: says must be text or null", id="says-a-number"),
        pytest.param([ENTRY | {"statement": " "}], "statement must be text", id="no-statement"),
        pytest.param(["fake"], "wrong keys", id="no-mapping"),
        pytest.param([3], "wrong keys in 3", id="a-number"),
        pytest.param(None, "a list of claims is expected", id="empty-file"),
        pytest.param(ENTRY, "a list of claims is expected", id="mapping-for-list"),
    ],
)
def test_a_list_with_a_slip(entries, message, tmp_path):
    with pytest.raises(ClaimError, match=rf"own\.yml: .*{message}|own\.yml: {message}"):
        load_claims(write(tmp_path / "own.yml", entries))


def test_a_list_that_cannot_be_read(tmp_path):
    with pytest.raises(ClaimError, match=r"own\.yml cannot be read: .*No such file"):
        load_claims(tmp_path / "own.yml")
    (tmp_path / "own.yml").write_text("- id: [", encoding="utf-8")
    with pytest.raises(ClaimError, match=r"own\.yml cannot be read"):
        load_claims(tmp_path / "own.yml")


def test_without_yaml(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match="pip install pyyaml"):
        load_claims(tmp_path / "own.yml")


def test_what_is_stored(tmp_path):
    def output(**data):
        return {"output_type": "display_data", "data": data}

    cells = [
        {"cell_type": "markdown", "source": "text"},
        {"cell_type": "code", "outputs": [{"output_type": "stream", "text": "printed"}]},
        {"cell_type": "code", "outputs": [output(**{CLAIM_MIME: {"id": "a"}, "text/plain": "a"}),
                                          output(**{VALUES_MIME: {"p": "0.5"}})]},
        {"cell_type": "code", "outputs": [output(**{CLAIM_MIME: {"id": "b"}})]},
    ]  # fmt: skip
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert stored_records(tmp_path / "a.ipynb") == [{"id": "a"}, {"id": "b"}]
    assert stored_values(str(tmp_path / "a.ipynb")) == [{"p": "0.5"}]
