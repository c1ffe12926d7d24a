"""attnlib/studies/findable.py: who is asked, and a record that goes on where it stopped."""

import functools
import json
from dataclasses import asdict
from unittest import mock

import helpers
import pytest
from helpers import names

from attnlib._files import alone
from attnlib.knowledge.hints import asked_name
from attnlib.studies import findable
from attnlib.studies.__main__ import cli
from attnlib.studies.findable import CELLS, FORM, Options, people_of
from attnlib.studies.knowledge_job import name_first
from attnlib.studies.record import read_study

call, refused = functools.partial(helpers.call, cli), functools.partial(helpers.error_of, cli)
pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")
TINY = ["--passes", 6, "--n_layer", 1, "--n_head", 2, "--n_embd", 8, "--batch", 4, "--warmup", 2,
        "--workers", 1, "--seeds", 1]  # fmt: skip


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(findable, "TRAINED", 5)
    monkeypatch.setattr(findable, "EXAMINED", 3)


def test_made_up_people_begin_their_texts():
    people = people_of()
    assert (len(people.trained), len(people.examined), len(people.texts)) == (150, 100, 250)
    for text, (q, place) in zip(people.texts, people.trained + people.examined, strict=True):
        assert text.startswith(asked_name(q))
        assert place in text[:96]
    assert people.digest() == people_of().digest()


def test_people_of_a_folder(tmp_path, monkeypatch):
    """Whose text says the place, whole, early enough; the first of them, in their order."""
    late = "x" * 90
    texts = ["A B. A B was born in Rome.", "C D. C D met Romeo.", "E F. E F came from Oslo.",
             f"G H. G H {late} Bonn.", "I J. I J is of Bonn.", "K L. K L is of Oslo?"]  # fmt: skip
    (tmp_path / "wiki.txt").write_text("\n".join(texts), "utf-8")
    rows = {"A B": "Rome", "C D": "Rome", "E F": "Oslo", "G H": "Bonn", "I J": "Bonn",
            "K L": "Oslo", "M N": "Oslo"}  # fmt: skip
    pairs = [(f"Where was {name} born?", place) for name, place in rows.items()]
    for file, some in (("train", pairs[:4]), ("dev", pairs[4:])):
        lines = "".join(f"{q}\t{place}\n" for q, place in some)
        (tmp_path / f"{file}.tsv").write_text(lines, "utf-8")
    people = people_of(tmp_path)
    assert people.trained == [pairs[0], pairs[2]]
    assert people.examined == pairs[4:6]
    assert people.texts == [texts[0], texts[2], texts[4], texts[5]]
    assert set("?x") < set(people.characters)  # of all texts
    monkeypatch.setattr(findable, "TRAINED", 1)
    fewer = people_of(tmp_path)
    assert fewer.trained == [pairs[0]]
    assert fewer.digest() != people.digest()
    (tmp_path / "dev.tsv").write_text("Where was M N born?\tOslo\n", "utf-8")
    with pytest.raises(ValueError, match=r"^nobody's text"):
        people_of(tmp_path)


def rows_of(folder):
    rows = json.loads((folder / "findable.json").read_text("utf-8"))["rows"]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_the_study_goes_on_where_it_stopped(tmp_path):
    cells = ["--cell", "offset", "--cell", "questions", "--cell", "half"]
    output = call("findable", tmp_path / "whole", *TINY, *cells)
    assert "questions-0 " in output
    assert names(tmp_path / "whole" / "jobs") == []
    rows = rows_of(tmp_path / "whole")
    assert [row["name"] for row in rows] == ["offset-0", "questions-0", "half-0"]
    steps = {"offset": 12, "questions": 16, "half": 6}  # 8 texts in batches of 4, six times
    for row in rows:
        assert row["steps"] == steps[row["cell"]]
        cell = asdict(CELLS[row["cell"]]) | {"cut": [40, 96]}
        assert {name: row[name] for name in cell} == cell
        assert row["curve"][-1]["step"] == row["steps"]
        assert all(point["own_texts"] == point["asked"] == 3 for point in row["curve"])
        assert len(row["curve"]) in (4, 5, 6)
    from attnlib.knowledge.train import _step

    left = [300]

    def dies(*args):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return _step(*args)

    with mock.patch("attnlib.knowledge.train._step", dies):
        call("findable", tmp_path / "twice", *TINY, *cells, code=1)
    assert "offset-0.json" in names(tmp_path / "twice" / "jobs")
    call("findable", tmp_path / "twice", *TINY, *cells)
    assert rows_of(tmp_path / "twice") == rows
    assert "other options" in refused("findable", tmp_path / "whole", *TINY, "--passes", 7)
    found = read_study(tmp_path / "whole" / "findable.json", FORM)
    assert "--passes 6" in found["command"]
    with alone(tmp_path / "twice" / "findable.json"):
        assert "another process" in refused("findable", tmp_path / "twice", *TINY)


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_both_wordings_are_asked(tmp_path):
    """Each with a fine-tuning of its own: other questions, the same people."""
    seen = []

    def spy(model, exam):
        seen.append((exam.trained, exam.examined))
        return [True] + [False] * (len(exam.examined) - 1)

    with (mock.patch("attnlib.studies.findable.answered", spy),
          mock.patch("attnlib.knowledge.recall.answered", spy)):  # fmt: skip
        call("findable", tmp_path, *TINY, "--cell", "base")
    assert seen[0] != seen[1]
    assert seen[1] == tuple(name_first(pairs) for pairs in seen[0])
    assert {point["found_first"] for row in rows_of(tmp_path) for point in row["curve"]} == {1}


@pytest.mark.parametrize("name", ["passes", "n_layer", "n_head", "n_embd", "batch", "rate"])
def test_options_out_of_range(name):
    with pytest.raises(ValueError, match="must be"):
        Options(**{name: 0})
