"""attnlib/evidence/block.py, attacked: everything else in this book rests on it."""

# ruff: noqa: PT012 (a claim block that fails has several statements)

import ast
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import nbformat
import numpy as np
import pytest
import sympy
import torch

from attnlib import evidence
from attnlib.evidence import ClaimError, block, claim, excused, state, within
from attnlib.evidence.ledger import CLAIM_MIME, VALUES_MIME

nan, inf = float("nan"), float("inf")
x, y = sympy.symbols("x y")
TWO = {"two": 2.0}


def fake():
    return claim("fake", says="one is one")


# -- opening a block -----------------------------------------------------------------------


@pytest.mark.parametrize("id", ["fake ", "Fake", "no-such-claim"])
def test_an_id_that_no_list_has(id):
    with pytest.raises(ClaimError, match=re.escape(f"unknown claim {id!r}")) as error:
        claim(id)
    assert f"claim({id!r}, says=...)" in str(error.value), "what to do"


def test_a_listed_claim_brings_its_verdict(monkeypatch):
    monkeypatch.setattr(block, "load_claims", lambda: {"fake": {"verdict": "holds if"}})
    with claim("fake") as c:
        c.agrees("one", 1.0, 1.0, rejects=TWO)
    assert {k: v for k, v in c.record().items() if k != "comparisons"} == {
        "id": "fake", "verdict": "holds if",
    }  # fmt: skip
    assert c._text().startswith("fake: holds if\n✓ one [exact]\n")


def test_a_claim_of_ones_own_reads_no_list(monkeypatch, capsys):
    def no_list():
        raise AssertionError("a list is read")

    monkeypatch.setattr(block, "load_claims", no_list)
    with claim("my-own", says="One is one.") as c:
        c.agrees("one", 1.0, 1.0, rejects=TWO)
    assert capsys.readouterr().out.startswith("my-own: One is one.\n✓ one [exact]\n")
    assert (c.record()["id"], c.record()["says"]) == ("my-own", "One is one.")
    assert "verdict" not in c.record()


@pytest.mark.parametrize("id", ["", "  ", None, 3], ids=repr)
def test_a_claim_needs_an_id(id, no_shape_checks):
    for says in ("one is one", None):
        with pytest.raises(ClaimError, match="a claim needs an id"):
            claim(id, says=says)


@pytest.mark.parametrize("says", ["", "  ", 3], ids=repr)
def test_a_claim_says_something(says, no_shape_checks):
    with pytest.raises(ClaimError, match="claim my-own: says must be a sentence"):
        claim("my-own", says=says)


# -- what it refuses -----------------------------------------------------------------------

COMPARISONS = [
    pytest.param("agrees", 1.0, 1.0, id="agrees"),
    pytest.param("at_most", 1.0, 1.0, id="at_most"),
    pytest.param("at_least", 1.0, 1.0, id="at_least"),
    pytest.param("pattern", 1.0, 1, id="pattern"),
    pytest.param("is_mean_of", 1.0, [0.5, 1.5, 1.0], id="is_mean_of"),
    pytest.param("equals", x, x, id="equals"),
]


@pytest.mark.parametrize(("method", "value", "reference"), COMPARISONS)
@pytest.mark.usefixtures("no_shape_checks")
def test_every_comparison_needs_a_block_a_name_and_a_wrong_version(
    method, value, reference, capsys
):
    with pytest.raises(ClaimError, match="the case: comparisons belong inside"):
        getattr(fake(), method)("the case", value, reference, rejects=TWO)
    for what in ("", "  ", None, 1.0, np.ones(2)):
        with pytest.raises(ClaimError, match=r"claim fake: .*say what is compared"), fake() as c:
            getattr(c, method)(what, value, reference, rejects=TWO)
    told = r"the case: rejects must name .* got nothing\. A comparison that has not been seen"
    with pytest.raises(TypeError, match=told), fake() as c:
        getattr(c, method)("the case", value, reference)
    for rejects in ({}, None, [], [2.0], "two", 2.0):
        with pytest.raises(TypeError) as error, fake() as c:
            getattr(c, method)("the case", value, reference, rejects=rejects)
        assert "claim fake: the case: rejects must name at least one" in str(error.value)
        assert f"got {rejects!r}" in str(error.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["", "  ", 3, None], ids=repr)
def test_a_wrong_version_has_a_name(name, no_shape_checks):
    with pytest.raises(ClaimError, match="the case: a wrong version needs a name"), fake() as c:
        c.agrees("the case", 1.0, 1.0, rejects={**TWO, name: 3.0})


def test_empty_block(capsys):
    with pytest.raises(ClaimError, match="claim fake: the block compares nothing"), fake():
        pass
    assert capsys.readouterr().out == ""


def test_after_the_block():
    with fake() as c:
        c.agrees("one", 1.0, 1.0, rejects=TWO)
    before = c.record()
    with pytest.raises(ClaimError, match="belong inside"):
        c.agrees("another", 1.0, 1.0, rejects=TWO)
    with pytest.raises(ClaimError, match="a block is entered once"):
        c.__enter__()
    assert c.record() == before


def test_a_block_is_not_entered_within_itself():
    with pytest.raises(ClaimError, match="entered once"), fake() as c:
        c.__enter__()


def test_an_exception_propagates_and_shows_no_record(capsys):
    with pytest.raises(ZeroDivisionError), fake() as c:
        c.agrees("one", 1.0, 1.0, rejects=TWO)
        _ = 1 / 0
    assert capsys.readouterr().out == ""


FAILURES = [
    pytest.param(lambda c: c.agrees("bad", 1.0, 2.0, rejects=TWO), id="disagreement"),
    pytest.param(lambda c: c.agrees("bad", nan, 2.0, rejects=TWO), id="nan"),
    pytest.param(lambda c: c.agrees("bad", [1.0, 2.0], 2.0, rejects=TWO), id="shape"),
    pytest.param(lambda c: c.agrees("bad", 2.0, 2.0, rejects=TWO), id="wrong-version-accepted"),
    pytest.param(lambda c: c.agrees("bad", 1.0, 1.0, rejects={"nan": nan}), id="refused"),
    pytest.param(lambda c: c.agrees("bad", 1.0, 1.0, rejects={"-": -1.0}), id="hollow"),
    pytest.param(lambda c: c.agrees("bad", 1.0, 1.0, within(0.5), rejects=TWO), id="no-reason"),
    pytest.param(lambda c: c.agrees("bad", 1.0, 1.0, rejects={}), id="rejects-nothing"),
    pytest.param(lambda c: c.pattern("bad", 1.0, 7, rejects=TWO), id="malformed-pattern"),
    pytest.param(lambda c: c.equals("bad", x, y, rejects={"2x": 2 * x}), id="identity"),
    pytest.param(lambda c: c.is_mean_of("bad", 9.0, [0.0, 1e-3], rejects=TWO), id="statistic"),
    pytest.param(
        lambda c: c.at_most("bad", torch.eye(2).to_sparse(), 1.0, rejects=TWO), id="torch"
    ),
]


@pytest.mark.parametrize("fail", FAILURES)
def test_a_failure_that_is_caught_inside_fails_at_the_end(fail, capsys):
    with (
        pytest.raises(ClaimError, match="claim fake: bad: it failed, and the error was"),
        fake() as c,
    ):
        c.agrees("good", 1.0, 1.0, rejects=TWO)
        with suppress(Exception):
            fail(c)
        c.agrees("bad", 1.0, 1.0, rejects=TWO)  # also where a good one has its name
    assert capsys.readouterr().out == ""


def test_the_only_comparison_failed_and_was_caught():
    with pytest.raises(ClaimError, match="bad: it failed"), fake() as c, suppress(ClaimError):
        c.agrees("bad", 1.0, 2.0, rejects=TWO)


def test_the_error_is_an_assertion_error():
    with pytest.raises(AssertionError, match=r"1\.0 differs from 2\.0"), fake() as c:
        c.agrees("bad", 1.0, 2.0, rejects=TWO)


# -- what is printed and stored ------------------------------------------------------------


def everything(nudge=1.0):
    """A block with every kind of comparison, all numbers multiplied by ``nudge``."""
    with fake() as c:
        c.agrees(
            "sum",
            0.3 * nudge,
            0.1 + 0.2,
            within(8 * 2**-52 * nudge, "four roundings"),
            rejects={"forgotten term": 0.1 * nudge},
        )
        c.agrees(
            "both",
            2.0 * nudge,
            2.0,
            within(1e-2 * nudge, "by hand", rtol=2e-12 * nudge),
            rejects={"half": 1.0 * nudge},
        )
        c.at_most("bound", 0.1 * nudge, 0.2 * nudge, rejects={"other bound": 0.4 * nudge})
        c.at_least(
            "bound below",
            1.0 * nudge,
            1.0,
            within(3e-15 * nudge),
            rejects={"third": nudge / 3, "off by one": excused(0.0, "n = 1 has it")},
        )
        c.pattern(
            "signs",
            [0.1 * nudge, -5.0 * nudge],
            [1, -1],
            rejects={"without the sign": [0.1 * nudge, 5.0 * nudge]},
        )
        c.pattern(
            "zeros",
            [0.0, nudge, nudge],
            [False, True, True],
            within(1e-12),
            rejects={"triangle": [nudge, nudge, 0.0], "edge": [0.5, nudge, nudge]},
        )
        c.is_mean_of("mean", 2.0 * nudge, nudge * np.arange(5.0), rejects={"ninety": 90.0 * nudge})
        c.equals(
            "square", (x + 1) ** 2, x**2 + 2 * x + 1, rejects={"without the cross term": x**2 + 1}
        )
    return c.record()  # fmt: skip


TEXT = """\
fake: one is one
✓ sum [|error| ≤ 2e-15]
    any tolerance up to 1e-1 gives this verdict
    ✗ rejected: forgotten term, off by at least 10⁹ tolerances
✓ both [|error| ≤ 1e-2 + 2e-12·|reference|]
    because by hand
    ✗ rejected: half, off by at least 10 tolerances
✓ bound [exact]
    ✗ rejected: other bound, off in one entry
✓ bound below [slack ≤ 3e-15]
    any tolerance up to 1e-1 gives this verdict
    ✗ rejected: third, off by at least 10⁹ tolerances
    ✗ rejected: off by one, off by at least 10⁹ tolerances; n = 1 has it
✓ signs [exact]
    ✗ rejected: without the sign, off in one entry
✓ zeros [|zero| ≤ 1e-12]
    any tolerance up to 1e-1 gives this verdict
    ✗ rejected: triangle, off in 2 entries or more
    ✗ rejected: edge, off in one entry
✓ mean [15.5 standard errors ≤ 2e1, N = 5]
    because that is Student's 99.99 % interval
    ✗ rejected: ninety, off by at least 10 standard errors
✓ square [exact]
    because SymPy simplifies the difference to 0
    ✗ rejected: without the cross term, off in one entry
"""


def test_text_and_record(capsys):
    record = everything()
    assert capsys.readouterr().out == TEXT
    assert json.loads(json.dumps(record)) == record
    kinds = [c["kind"] for c in record["comparisons"]]
    assert kinds == ["agreement", "agreement", "inequality", "inequality", "pattern", "pattern",
                     "statistic", "identity"]  # fmt: skip
    assert record["comparisons"][0] == {
        "kind": "agreement", "what": "sum", "tolerance": "|error| ≤ 2e-15", "why": "",
        "window": "any tolerance up to 1e-1 gives this verdict",
        "rejects": [{"name": "forgotten term", "miss": 10**9, "unit": "tolerances", "hollow": "",
                     "excuse": ""}],
    }  # fmt: skip
    assert record["comparisons"][3]["rejects"][1] == {
        "name": "off by one", "miss": 10**9, "unit": "tolerances",
        "hollow": "the value times 0", "excuse": "n = 1 has it",
    }  # fmt: skip


@pytest.mark.parametrize("nudge", [1 - 2e-15, 1 - 1e-15, 1 + 1e-15, 1 + 2e-15])
def test_lines_do_not_vary_with_rounding_errors(nudge, capsys):
    expected = everything(), capsys.readouterr().out
    assert (everything(nudge), capsys.readouterr().out) == expected


def test_long_lines_are_wrapped(capsys):
    with claim("fake", says="words " * 30) as c:
        c.agrees("more words " * 9, 1.0, 1.0, within(0.1, "words again " * 12),
                 rejects={"and words " * 12: 2.0})  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 72
    assert len(lines) > 8


@pytest.mark.parametrize(
    ("values", "text", "stored"),
    [
        ({"p_max": 0.576117}, "p_max = 0.5761", {"p_max": "0.576117"}),
        ({"n": 3.0, "m": 4}, "n = 3\nm = 4", {"n": "3", "m": "4"}),
        ({"tiny": 2.0**-24}, "tiny = 5.96e-08", {"tiny": "5.96046e-08"}),
        ({"big": 65504.0}, "big = 6.55e+04", {"big": "65504"}),
        ({"third": 1 / 3}, "third = 0.3333", {"third": "0.333333"}),
        ({"zero": -0.0}, "zero = 0", {"zero": "0"}),
        ({"t": torch.tensor(0.5, requires_grad=True)}, "t = 0.5", {"t": "0.5"}),
        ({"s": sympy.Rational(1, 4)}, "s = 0.25", {"s": "0.25"}),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Converting a tensor")
def test_state(values, text, stored, monkeypatch, capsys):
    state(**values)
    assert capsys.readouterr().out == text + "\n"
    shown = []
    monkeypatch.setattr(block, "_show", lambda text, mime, record: shown.append(record))
    state(**values)
    assert shown == [stored]


@pytest.mark.parametrize(
    ("value", "message"),
    [(nan, "b is nan"), (inf, "b is inf"), (-inf, "b is -inf"), ([1.0, 2.0], "b must be one real"),
     (1j, "b must be one real"), ("x", "b must be one real"), (10**400, "b must be one real"),
     (torch.ones(2), "b must be one real")],
    ids=str,
)  # fmt: skip
def test_state_of_no_number(value, message, capsys):
    with pytest.raises(ClaimError, match=f"state: {message}"):
        state(a=1.0, b=value)
    assert capsys.readouterr().out == ""


def test_state_of_nothing():
    with pytest.raises(ClaimError, match="nothing is stated"):
        state()


@pytest.mark.parametrize("tie", [2.0**-10, 1.0000005, 2.5, 0.12345], ids=str)
def test_state_does_not_vary_with_rounding_errors(tie, monkeypatch):
    # Half of a last digit, exactly: the last bit of the value must not decide.
    shown = []
    monkeypatch.setattr(block, "_show", lambda text, mime, record: shown.append((text, record)))
    for value in (tie, float(np.nextafter(tie, 0)), float(np.nextafter(tie, 9))):
        state(value=value)
    assert shown[0] == shown[1] == shown[2]


# -- a wing of its own ---------------------------------------------------------------------

PACKAGE = Path(evidence.__file__).parent
ENV = os.environ | {"PYTHONPATH": str(PACKAGE.parents[1])}


def imported(file):
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module)


@pytest.mark.parametrize("folder", [PACKAGE, Path(__file__).parent], ids=["package", "tests"])
def test_nothing_is_imported_from_the_topics(folder):
    modules = {name: file.name for file in folder.glob("*.py") for name in imported(file)}
    ours = {name for name in modules if name.split(".")[0] in ("attnlib", "")}
    assert len(ours) > 5
    allowed = re.compile(r"attnlib\.evidence(\..+)?|attnlib")
    assert [(modules[m], m) for m in ours if not allowed.fullmatch(m)] == []
    assert folder != PACKAGE or "attnlib" not in ours


SCRIPT = """
import sys
import numpy, torch
before = set(sys.modules)
from attnlib.evidence import claim, excused, state, within
with claim("my-own", says="one is one") as c:
    c.agrees("one", torch.ones(2), numpy.ones(2), within(1e-9), rejects={"ramp": [1.0, 2.0]})
    c.at_most("one", 1.0, 1.0, within(0.1, "tenth"), rejects={"two": 2.0})
    c.at_least("one", 1.0, 1.0, rejects={"half": 0.5})
    c.pattern("one", 1.0, 1, rejects={"minus two": -2.0})
state(one=1.0)
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(loaded - set(sys.stdlib_module_names)))

from importlib import import_module

def told(call):
    try:
        call()
    except ImportError as error:
        print(error)

def without(package, call):
    sys.modules[package] = None
    told(call)
    del sys.modules[package]

c = claim("my-own", says="one is one").__enter__()
without("sympy", lambda: c.equals("one", 1, 1, rejects={"two": 2}))
without("scipy", lambda: c.is_mean_of("one", 1.0, [1.0, 2.0], rejects={"two": 2}))
without("hypothesis", lambda: import_module("attnlib.evidence.answers"))
without("mpmath", lambda: import_module("attnlib.evidence.search"))
without("yaml", lambda: claim("listed"))
"""


@pytest.fixture(scope="module")
def said():
    """What the script says in a process of its own."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    run = subprocess.run(command, env=ENV, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
def test_a_claim_of_ones_own_loads_torch_and_numpy_alone(said):
    assert {"['attnlib']", "['attnlib', 'numpy']"} & {*said.splitlines()}
    assert "my-own: one is one\n✓ one [|error| ≤ 1e-9]\n" in said


@pytest.mark.slow
def test_what_is_missing_is_named_with_its_cure(said):
    found = re.findall(r"needs (\w+): pip install (\w+)\n", said)
    assert found == [("SymPy", "sympy"), ("SciPy", "scipy"), ("Hypothesis", "hypothesis"),
                     ("mpmath", "mpmath"), ("PyYAML", "pyyaml")], said  # fmt: skip


def test_names_at_the_door():
    assert set(evidence.__all__) == {
        "ClaimError", "check_answer", "claim", "excused", "rows", "state", "within",
    }  # fmt: skip
    assert all(callable(getattr(evidence, name)) for name in evidence.__all__)
    with pytest.raises(AttributeError, match="no attribute 'quote'"):
        _ = evidence.quote


# -- a real notebook -----------------------------------------------------------------------

SETUP = "from attnlib.evidence import claim, state"
BLOCK = """with claim("fake", says="one is one") as c:
    c.agrees("one", 1.0, 1.0, rejects={"two": 2.0, "three": 3.0})
"""


def cell(source, text=None, mime=None, record=None):
    """A cell that has shown a text and its record."""
    data = {"text/plain": text, mime: record}
    outputs = [nbformat.v4.new_output("display_data", data)] if text else []
    return nbformat.v4.new_code_cell(source, outputs=outputs, execution_count=1)


@pytest.mark.slow
def test_nbval_finds_the_record_beside_the_text_and_sees_a_rejection_come_and_go(tmp_path):
    with fake() as c:
        c.agrees("one", 1.0, 1.0, rejects={"two": 2.0, "three": 3.0})
    shown = c._text(), CLAIM_MIME, c.record()
    fewer = json.loads(json.dumps(c.record()))
    fewer["comparisons"][0]["rejects"].pop()  # the text stays: the record counts
    cells = [cell(SETUP), cell(BLOCK, *shown), cell(BLOCK, c._text(), CLAIM_MIME, fewer),
             cell(BLOCK.replace(', "three": 3.0', ""), *shown),
             cell("state(half=0.5)", "half = 0.5", VALUES_MIME, {"half": "0.5"})]  # fmt: skip
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--nbval", "a.ipynb"]
    run = subprocess.run(command, cwd=tmp_path, env=ENV, capture_output=True, text=True)
    verdicts = re.findall(r"Cell \d (PASSED|FAILED)", run.stdout)
    assert verdicts == ["PASSED", "PASSED", "FAILED", "FAILED", "PASSED"], run.stdout
