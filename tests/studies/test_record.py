"""attnlib/studies/record.py: what is recorded stays, and what is not ours is left alone."""

import json
import os
import runpy
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from attnlib.studies.__main__ import cli
from attnlib.studies.record import Form, Recorder, read_study, versions

FORM = Form(settings="options", rows="jobs", key="name")
HEAD = {"command": "", "versions": versions("torch"), "options": {"rate": 0.5, "steps": 3}}


def recorder(path, **changes):
    return Recorder(path, FORM, HEAD | changes)


def row(name, value=1.0):
    return {"name": name, "value": value, "text": 'Zoë\n "jobs": []', "nested": {"jobs": []}}


def test_versions():
    assert versions("torch", "numpy")["torch"] == str(torch.__version__)
    assert versions("numpy") == {
        "python": ".".join(map(str, sys.version_info[:3])), "numpy": np.__version__
    }  # fmt: skip


def test_rows_come_back_in_order_each_on_a_line(tmp_path):
    path = tmp_path / "new" / "study.json"
    ours = recorder(path)
    assert not path.exists()
    order = ["a", "b", "c"]
    for name, command in (("c", "one"), ("later", "two"), ("a", "three")):
        assert name in ours.missing([*order, "later"])
        ours.add(row(name), order, {"command": command})
    ours.note({"rounding": 0.0, "jobs of": "x"})
    assert ours.missing(order) == ["b"]
    found = read_study(path, FORM)
    assert found["jobs"] == [row("a"), row("c"), row("later")]
    assert list(found) == ["command", "versions", "options", "jobs", "rounding", "jobs of"]
    assert found["command"] == "three"
    assert {k: found[k] for k in ("versions", "options")} == {
        k: HEAD[k] for k in ("versions", "options")
    }
    assert ours.rows() == {name: row(name) for name in ("a", "c", "later")}
    text = path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    for name in ("a", "c", "later"):
        (line,) = [x for x in text.splitlines() if f'"name": "{name}"' in x]
        assert json.loads(line.removesuffix(",")) == row(name)
    assert "Zoë" in text
    assert os.listdir(path.parent) == ["study.json"]


def test_another_recorder_goes_on_and_both_see_all_rows(tmp_path):
    path = tmp_path / "study.json"
    one, two = recorder(path), recorder(path)
    one.add(row("a"), ["a", "b"], {})
    two.add(row("b"), ["a", "b"], {})
    assert list(one.rows()) == ["a", "b"]
    with pytest.raises(ValueError, match="has a row of b already"):
        one.add(row("b", 2.0), ["a", "b"], {})
    assert one.rows()["b"] == row("b")


NO_STUDIES = {
    "empty": "", "half": "{", "list": "[]", "object": "{}", "no-options": '{"jobs": []}',
    "no-versions": '{"jobs": [], "options": {}}',
    "list-options": '{"jobs": [], "options": [], "versions": {}}',
    "list-versions": '{"jobs": [], "options": {}, "versions": []}',
    "rows-of-numbers": '{"jobs": [1], "options": {}, "versions": {}}',
    "rows-without-a-key": '{"jobs": [{}], "options": {}, "versions": {}}',
    "two-rows-of-one-key":
        '{"jobs": [{"name": 1}, {"name": 1}], "options": {}, "versions": {}}',
    "not-utf-8": "\xff",
}  # fmt: skip


@pytest.mark.parametrize("text", NO_STUDIES.values(), ids=NO_STUDIES)
def test_a_file_that_is_no_study_is_refused_and_left_alone(tmp_path, text):
    path = tmp_path / "study.json"
    ours = recorder(path)
    path.write_bytes(text.encode("latin-1"))
    for touch in (lambda: read_study(path, FORM), lambda: recorder(path), ours.rows,
                  lambda: ours.add(row("a"), [], {}), lambda: ours.note({"x": 1})):  # fmt: skip
        with pytest.raises(ValueError, match=r"study\.json: no recorded study"):
            touch()
    assert path.read_bytes() == text.encode("latin-1")


def test_a_study_with_other_settings_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "study.json"
    recorder(path).add(row("a"), ["a"], {})
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"study\.json holds a study with other options.*0\.5"):
        recorder(path, options={"rate": 0.25, "steps": 3})
    assert path.read_bytes() == before


def test_rows_of_other_versions_are_not_mixed(tmp_path):
    path = tmp_path / "study.json"
    recorder(path).add(row("a"), ["a"], {})
    later = recorder(path, versions={"python": "9", "torch": "9"})
    assert later.missing(["a"]) == []
    assert list(later.rows()) == ["a"]  # what is recorded can be read
    with pytest.raises(ValueError, match=r"study\.json was recorded with .* and these are .*'9'"):
        later.missing(["a", "b"])


def test_a_link_is_refused_before_the_work(tmp_path):
    (tmp_path / "study.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(OSError, match="is a symbolic link"):
        recorder(tmp_path / "study.json")


def test_the_command_line_tells_errors_in_one_line(tmp_path):
    result = CliRunner().invoke(cli, ["pruning", "--file", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output == f"Error: {tmp_path}: is a folder\n"
    output = CliRunner().invoke(cli, ["--help"]).output
    for command in ("pruning", "knowledge"):
        assert f"\n  {command}" in output
        assert CliRunner().invoke(cli, [command, "--help"]).exit_code == 0


def test_the_old_command_of_pruning_names_the_new_one():
    """That of knowledge is one of several: see its own tests."""
    says = "^the study is another command now: python -m attnlib.studies pruning$"
    with pytest.raises(SystemExit, match=says):
        runpy.run_module("attnlib.pruning", run_name="__main__")
