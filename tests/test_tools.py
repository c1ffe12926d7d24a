"""The scripts behind `make check`, `make new` and `make lock`, on copies of the tree."""

import json
import os
import re
import shutil
import subprocess
import sys

import jupytext
import matplotlib.pyplot
import pytest
from helpers import ROOT, script

CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.md"))
names = "cells", "check", "lock", "new", "stale"
cells, check, lock, new, stale = map(script, names)


def run(tree, *command):
    environment = os.environ | {"PYTHONPATH": str(tree)}
    return subprocess.run(
        [sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True
    )


# -- make check --------------------------------------------------------------------------------


def shell_steps(*commands):
    return [check.Step(f"step {i}", command) for i, command in enumerate(commands)]


def test_steps_of_a_stage_pass_with_their_last_line(capsys):
    assert check.run([shell_steps("echo one; echo two"), shell_steps("echo three")]) == 0
    assert re.sub(r"\d+\.\d", "0.0", capsys.readouterr().out) == (
        "== step 0, 0.0 s\ntwo\n== step 0, 0.0 s\nthree\n"
    )


def test_what_steps_took_is_recorded_if_all_pass(tmp_path):
    record = tmp_path / "new" / "seconds.json"
    assert check.run([shell_steps("sleep 0.2", "exit 3")], record) == 1
    assert not record.exists()
    assert check.run([shell_steps("sleep 0.2", "true")], record) == 0
    took = json.loads(record.read_text())
    assert list(took) == ["step 1", "step 0"]
    assert took["step 0"] >= 0.2


def test_the_first_failure_ends_the_rest_and_comes_last(tmp_path, capsys):
    late = tmp_path / "late"
    slow = f"sleep 20; touch {late}"
    stages = [
        shell_steps(slow, "echo first; echo 'what is wrong' >&2; exit 3"),
        shell_steps("true"),
    ]
    assert check.run(stages) == 1
    said = capsys.readouterr().out
    assert "step 1 FAILED" in said
    assert said.endswith("first\nwhat is wrong\n")
    assert not late.exists()


def test_an_unknown_topic_is_refused_with_those_that_are_known():
    with pytest.raises(SystemExit, match=r"no topic 'sofmax'.*\bsoftmax\b"):
        check.one_topic("sofmax")
    with pytest.raises(SystemExit):
        check.one_topic("softmax; true")


def test_a_topic_selects_its_functions_in_the_contract():
    (_, tests, blocks) = check.one_topic("softmax")[-1]
    assert "'softmax or every_chapter or" in tests.command
    assert "softmax_vjp" in tests.command
    assert "attnlib/softmax.py tests/test_softmax.py" in tests.command
    assert blocks.command == "python .ci/cells.py softmax"


@pytest.mark.parametrize("dear", [False, True])
def test_each_chapter_is_run_once(dear):
    commands = [step.command for stage in check.whole(dear) for step in stage]
    assert sorted(re.findall(r"notebooks/(\w+)\.ipynb", " ".join(commands))) == CHAPTERS


# -- the cells of a chapter ----------------------------------------------------------------------


@pytest.mark.parametrize("path", [*ROOT.glob("notebooks/*.md"), ROOT / ".ci/new/TOPIC.md"],
                         ids=lambda path: path.stem)  # fmt: skip
def test_cells_are_those_that_jupytext_reads(path):
    expected = [c for c in jupytext.read(path).cells if c.cell_type == "code"]
    found = list(cells.cells(path.read_text(encoding="utf-8")))
    assert [c.code.strip("\n") for c in found] == [c.source.strip("\n") for c in expected]
    assert [list(c.tags) for c in found] == [c.metadata.get("tags", []) for c in expected]


@pytest.mark.parametrize(
    ("code", "needs", "bound"),
    [
        ("y = x + 1\nz = y", "x", "y z"),
        ("x = x + 1", "x", "x"),
        ("x += 1", "x", "x"),
        ("for i in a:\n    b.append(i)", "a b", "i"),
        ("def f(x, y=d):\n    return f(x) + c", "c d", "f"),
        ("s = sum(k * w for k in v)", "sum w v", "s"),
        ("import numpy as np\nz = np.e", "", "np z"),
        ("class A(B):\n    n = m\n    def f(self):\n        return self.n + g", "B m g", "A"),
    ],
)
def test_what_a_cell_needs_and_binds(code, needs, bound):
    assert cells.names(code) == (set(needs.split()), set(bound.split()))


CHAPTER = """# T

```{code-cell} ipython3
from attnlib.evidence import claim
a, model = [1], [0]
```

```{code-cell} ipython3
---
tags: [slow]
---
model.append(1)
b = 2
raise AssertionError("this is left to make test")
```

```{code-cell} ipython3
with claim("quick", says="one is one") as c:
    c.agrees("one", a[0], WANTED, rejects={"two": 2})
```

```{code-cell} ipython3
trained = model[-1]
```

```{code-cell} ipython3
with claim("trained", says="it learns") as c:
    c.agrees("one", trained, 1, rejects={"two": 2})
```
"""


@pytest.mark.parametrize("tags", ["---\ntags: [slow]\n---\n", ":tags: [slow]\n\n"])
def test_cells_that_use_what_a_slow_cell_changes_are_left_out(tmp_path, tags):
    path = tmp_path / "t.md"
    path.write_text(CHAPTER.replace("WANTED", "1").replace("---\ntags: [slow]\n---\n", tags))
    assert cells.run(path) == ["trained"]


@pytest.fixture
def chapter_of(tmp_path, monkeypatch):
    """Writes a chapter t; what running its cells changes in this process is undone."""
    monkeypatch.setattr(cells, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr(matplotlib.pyplot, "show", matplotlib.pyplot.show)
    (tmp_path / "notebooks").mkdir()
    return (tmp_path / "notebooks" / "t.md").write_text


def test_what_is_left_out_is_said(chapter_of, capsys):
    chapter_of(CHAPTER.replace("WANTED", "1"))
    cells.main("t")
    assert capsys.readouterr().out == "claims that hold: 1, left to `make test-all`: trained\n"


def test_a_failing_block_names_the_line_of_the_chapter(chapter_of, capsys):
    chapter_of(CHAPTER.replace("WANTED", "3"))
    with pytest.raises(SystemExit, match=r"^1$"):
        cells.main("t")
    said = capsys.readouterr().err
    assert 't.md", line 19, in <module>' in said
    assert "cells.py" not in said
    assert said.strip().rpartition("\n")[2].startswith("attnlib.evidence.errors.ClaimError")


# -- make book ----------------------------------------------------------------------------------


def test_a_chapter_edited_after_its_outputs_were_stored_is_stale(tmp_path, monkeypatch):
    text = tmp_path / "notebooks" / "t.md"
    text.parent.mkdir()
    text.write_text(CHAPTER)
    monkeypatch.setattr(stale, "ROOT", tmp_path)
    assert stale.difference("t") == "there is no t.ipynb"
    jupytext.write(jupytext.read(text), text.with_suffix(".ipynb"))
    assert stale.difference("t") is None
    text.write_text(CHAPTER.replace("b = 2", "b = 3"))
    found = stale.difference("t")
    assert "--- t.md\n+++ t.ipynb\n" in found
    assert "\n-b = 3\n+b = 2\n" in found


# -- make new ------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    """A copy of what is edited by hand, and of nothing that was made."""
    made = [".git", ".venv", "_build", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info"]
    made = shutil.ignore_patterns(*made, "*-study*")
    shutil.copytree(ROOT, tmp_path / "tree", ignore=made)
    return tmp_path / "tree"


def contents(tree):
    return {
        p.relative_to(tree): p.read_bytes()
        for p in tree.rglob("*")
        if p.is_file() and not {"__pycache__", ".ruff_cache", ".hypothesis"} & {*p.parts}
    }


@pytest.mark.slow
def test_a_new_topic_is_green(tree):
    said = run(tree, ".ci/new.py", "masks")
    assert said.returncode == 0, said.stderr
    assert "TOPIC=masks" in said.stdout
    assert run(tree, "-m", "ruff", "check").returncode == 0
    assert run(tree, "-m", "ruff", "format", "--check").returncode == 0
    assert run(tree, "-m", "ruff", "check", "--select=F", "notebooks/masks.ipynb").returncode == 0
    paths = ["attnlib/masks.py", "tests/test_masks.py", check.GUARDS]
    paths += [check.CONTRACT] if (tree / check.CONTRACT).exists() else []
    which = ["-m", "not slow", "-k", "masks or every_chapter or every_public"]
    said = run(tree, "-m", "pytest", "-x", *which, *paths)
    assert said.returncode == 0, said.stdout


@pytest.mark.slow
def test_a_topic_that_does_not_run_leaves_nothing_behind(tree):
    template = tree / ".ci" / "new" / "TOPIC.md"
    text = template.read_text(encoding="utf-8")  # the first cell fails: nothing is imported first
    template.write_text(text.replace("# TITLE", "```{code-cell}\n1 / 0\n```"), encoding="utf-8")
    before = contents(tree)
    said = run(tree, ".ci/new.py", "masks")
    assert said.returncode != 0
    assert "ZeroDivisionError" in said.stderr
    assert contents(tree) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("softmax", "taken by notebooks/softmax.md attnlib/softmax.py"),
        ("evidence", "taken by book/api/evidence.md attnlib/evidence tests/evidence"),
        *((name, f"{name} is a module already") for name in ("torch", "statistics", "attnlib")),
        *((name, "one word is needed") for name in ("Masks", "my-masks", "2d", "", "_x", "class")),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(name, message, monkeypatch):
    monkeypatch.delattr(new, "write")  # nothing may be written
    # As the script has it: pytest would offer the folders of tests as modules.
    outside = [path for path in sys.path if path != str(ROOT / "tests")]
    monkeypatch.setattr(sys, "path", outside)
    with pytest.raises(SystemExit, match=message):
        new.main(name)


# -- make lock -----------------------------------------------------------------------------------


def test_a_renewed_lock_keeps_its_head_and_the_pins_with_a_comment():
    before = "# head\nb==1\nold==1\ntorch==2.13.0  # kept: why\n"
    found = {"torch": "2.14.0", "b": "2", "A_c": "3"}
    assert lock.kept_pins(before) == ["torch==2.13.0  # kept: why"]
    assert lock.renewed(before, found) == "# head\nA_c==3\nb==2\ntorch==2.13.0  # kept: why\n"


def test_the_lock_pins_the_package_of_every_line():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not (line.startswith("#") or lock.PIN.match(line))] == []
    names = [lock.normal(lock.PIN.match(line)[1]) for line in lines if not line.startswith("#")]
    assert names == sorted(set(names))
