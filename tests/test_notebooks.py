"""Guards: what a stored notebook must be before its outputs mean anything.

nbval runs every cell again and compares outputs. It says nothing about a cell that never ran, a
pair that differs, a claim without a block, or a number typed into prose. These tests do.

``python tests/test_notebooks.py > tests/stand_ins.txt`` writes the list of stand-ins anew.
"""

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import nbformat
import pytest
import yaml
from helpers import ROOT, script

from attnlib.evidence import claim, excused
from attnlib.evidence.ledger import (
    CLAIM_MIME,
    VALUES_MIME,
    load_claims,
    stored_records,
    stored_values,
)

stale = script("stale")
told = script("chapters", "book/_ext")  # what chapters say of themselves
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.md"))
chapters = pytest.mark.parametrize("chapter", CHAPTERS)

# A number followed by the name of the value it quotes: 0.576<!-- p_max -->
QUOTED = re.compile(r"([-−]?\d+(?:\.\d+)?)(?:[eE]([-−]?\d+))?<!--\s*(\w+)\s*-->")
NOT_PROSE = re.compile(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|<!--.*?-->|\]\([^)]*\)", re.DOTALL)
DECIMAL = re.compile(r"(?<![\d.])\d+\.\d{2,}(?![\d.]*\.\d)")


def path(chapter):
    return ROOT / "notebooks" / f"{chapter}.ipynb"


def load(chapter):
    return nbformat.read(path(chapter), as_version=4)


def code(chapter):
    return [cell for cell in load(chapter).cells if cell.cell_type == "code"]


def prose(chapter):
    cells = load(chapter).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def misquotations(text, values):
    """What is wrong between the numbers that a text quotes and the values shown."""
    wrong, used = [], set()
    for digits, exponent, name in QUOTED.findall(text):
        used.add(name)
        if name not in values:
            wrong.append(f"{digits} quotes {name}, which no cell shows by state({name}=…)")
            continue
        typed = Decimal(digits.replace("−", "-")).scaleb(int(exponent.replace("−", "-") or 0))
        # Half a unit of the last digit typed, and of the sixth stored: "0.99" is 0.990000.
        stored = Decimal(values[name])
        slack = Decimal(5).scaleb(typed.as_tuple().exponent - 1)
        slack += Decimal(5).scaleb(stored.adjusted() - 6)
        if abs(typed - stored) > slack:
            wrong.append(f"{digits} quotes {name}, whose value is {values[name]}")
    wrong += [
        f"{name} is shown but never quoted: write {values[name]}<!-- {name} --> where it belongs"
        for name in sorted(values.keys() - used)
    ]
    bare = NOT_PROSE.sub(" ", QUOTED.sub(" ", text))
    return wrong + [
        f"{number} quotes nothing: write {number}<!-- name --> and show the value in a cell, "
        f"state(name=…); a number that nobody computed is $math$ or `code`"
        for number in DECIMAL.findall(bare)
    ]


def misfits(chapter, claims, records, text):
    """What does not fit together between the list of claims, blocks and text of a chapter."""
    file, run = f"notebooks/{chapter}.md", f"`make notebooks TOPIC={chapter}`"
    listed = {entry["id"] for entry in claims.values() if entry["chapter"] == chapter}
    blocks = Counter(record["id"] for record in records)
    for id in sorted(listed - blocks.keys()):
        yield (
            f"{id} is in claims.yml for {file}, which has no block of it: write a cell "
            f"`with claim({id!r}) as c:` there, then run {run}"
        )
    for id, times in sorted(blocks.items()):
        if id not in listed:
            yield f"{id} has a block in {file}, but claims.yml does not list it for {chapter}"
        if times > 1:
            yield f"{id} has {times} blocks in {file}: one is enough"
        if f"(check-{id})=" not in text:
            yield f"{file}: write the line (check-{id})= before the cell with the block of {id}"
        if f"(#claim-{id})" not in text:
            yield f"{file}: link to the entry in the ledger, [{id}](#claim-{id})"
    for record in records:
        # A block that was opened with `says` has no verdict: what the book claims is in its list.
        if record["id"] in listed and record.get("verdict") != claims[record["id"]]["verdict"]:
            yield f"{record['id']} has another verdict in claims.yml than in its block: run {run}"
    for kind, id in sorted(set(re.findall(r"\]\(#(claim|check)-([^)]*)\)", text))):
        if id not in claims:
            yield f"{file} links to #{kind}-{id}, but claims.yml has no claim {id}"


def say(wrong):
    """Fail with a line for everything that is wrong."""
    if lines := list(wrong):
        pytest.fail("\n".join(lines), pytrace=False)


# The excuse of a wrong version that nobody would write, until a chapter has a better one.
STAND_IN = "a stand-in"
STAND_INS = Path(__file__).with_name("stand_ins.txt")


def stand_ins(records):
    """A line on each wrong version that is excused as a stand-in: claim · comparison · name."""
    return sorted(
        f"{record['id']} · {comparison['what']} · {wrong['name']}"
        for record in records
        for comparison in record["comparisons"]
        for wrong in comparison["rejects"]
        if wrong["excuse"] == STAND_IN
    )


def unlisted(found, listed):
    """What is wrong between the stand-ins of the chapters and the list, which only shrinks."""
    new, gone = Counter(found) - Counter(listed), Counter(listed) - Counter(found)
    wrong = [f"{line}: find a wrong version that somebody could write" for line in new.elements()]
    wrong += [f"{line}: it is gone, so take it from {STAND_INS.name}" for line in gone.elements()]
    return wrong + ["the list is not sorted"] * (listed != sorted(listed))


def all_stand_ins():
    return stand_ins(record for chapter in CHAPTERS for record in stored_records(path(chapter)))


def test_every_chapter_is_a_pair_in_the_table_of_contents():
    notebooks = sorted(p.stem for p in (ROOT / "notebooks").glob("*.ipynb"))
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    listed = re.findall(r"notebooks/(\w+)", str(toc))
    assert CHAPTERS
    assert notebooks == CHAPTERS
    assert sorted(listed) == CHAPTERS
    assert {entry["chapter"] for entry in load_claims().values()} == set(CHAPTERS)


@chapters
def test_every_chapter_is_on_the_front_page(chapter):
    index = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    assert f"\n[](../notebooks/{chapter}.ipynb)\n: " in index


@chapters
def test_pair_agrees(chapter):
    if found := stale.difference(chapter):
        pytest.fail(f"{stale.cure(chapter)}\n{found}", pytrace=False)


@chapters
def test_outputs_come_from_one_clean_run(chapter):
    counts = [cell.execution_count for cell in code(chapter) if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1))
    for cell in code(chapter):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", cell.source
            shown = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            assert not re.search(r"\b(nan|inf)\b|0x[0-9a-f]{6}", shown, re.I), shown


@chapters
def test_figures_have_alt_text_and_code_fits_the_page(chapter):
    for cell in code(chapter):
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) > 40, cell.source
    lines = [line for cell in code(chapter) for line in cell.source.splitlines()]
    assert [line for line in lines if len(line) > 72] == []


@chapters
def test_every_claim_has_one_block_that_rejects_something(chapter):
    records = stored_records(path(chapter))
    say(misfits(chapter, load_claims(), records, prose(chapter)))
    for record in records:
        assert record["comparisons"]
        for comparison in record["comparisons"]:
            assert comparison["rejects"], comparison["what"]


@chapters
def test_numbers_in_prose_are_the_values_computed(chapter):
    shown = stored_values(path(chapter))
    values = {name: text for record in shown for name, text in record.items()}
    assert sum(map(len, shown)) == len(values), "two cells show the same name"
    entries = [entry for entry in load_claims().values() if entry["chapter"] == chapter]
    text = "\n\n".join([prose(chapter), *(entry["statement"] for entry in entries)])
    say(misquotations(text, values))


# -- minutes and order -------------------------------------------------------------------------


@chapters
def test_every_chapter_says_how_long_it_takes(chapter):
    if wrong := told.mistold(told.cells(chapter)):
        pytest.fail(f"notebooks/{chapter}.md: {wrong}", pytrace=False)


@chapters
def test_every_exercise_says_how_long_it_takes(chapter):
    exercises = re.findall(r"^:::+\{exercise\}.*\n(?::.*\n)*\n(.*)", prose(chapter), re.MULTILINE)
    assert exercises
    say(
        f"notebooks/{chapter}.md: an exercise begins like *Easy, 10 minutes.*, not with {start!r}"
        for start in exercises
        if not told.EXERCISE.match(start)
    )


def test_no_chapter_comes_before_what_it_builds_on():
    order = [chapter for part in told.parts().values() for chapter in part]
    builds_on = {chapter: told.line(told.cells(chapter)).builds_on for chapter in order}
    assert builds_on["scaling"] == ("softmax",)
    say(told.misplaced(order, builds_on))


@pytest.mark.parametrize(
    ("builds_on", "complaint"),
    [
        ({"b": ("a",), "c": ("a", "b")}, ""),
        ({"a": ("b",)}, "a builds on b, which must come before it"),
        ({"a": ("b",), "b": ("a",)}, "a builds on b, which must come before it"),
        ({"b": ("b",)}, "b builds on b"),
        ({"b": ("x",)}, "b builds on x, which is no chapter"),
    ],
    ids=["right", "later", "circle", "itself", "unknown"],
)
def test_misplaced_chapters_are_found(builds_on, complaint):
    found = list(told.misplaced(["a", "b", "c"], builds_on))
    assert bool(found) == bool(complaint)
    assert complaint in "".join(found)


def text(source):
    return {"cell_type": "markdown", "source": source}


def ran(source, *kinds, **metadata):
    outputs = [{"data": {kind: {"id": "made-up"}}} for kind in kinds]
    return {"cell_type": "code", "source": source, "outputs": outputs, "metadata": metadata}


SHORT_PROOF = ":::{prf:proof}\nIt is seen at once.\n:::"
LONG_PROOF = ":::{prf:proof}\n" + "Here is the first of its sentences. " + "More. " * 200 + "\n:::"


@pytest.mark.parametrize(
    ("cells", "words", "formulas", "lines"),
    [
        ([text("# One two\n\nthree $x + y$, [five](a.ipynb) — 6<!-- six -->")], 6, 0, 0),
        ([text("(eq)=\n$$\nx = 1\n$$ (eq-x)\n\n$$y$$\n\n![none](a.svg) {cite}`one2020`")], 1, 2, 0),
        ([text(SHORT_PROOF), text(LONG_PROOF)], 5 + 7, 0, 0),
        ([text("one\n\n## Exercises\n\nmore"), ran("a"), text("more\n\n## two")], 2, 0, 0),
        ([text("## For the expert\n\nmore\n\n$$x$$"), ran("a = 1")], 0, 0, 0),
        ([ran("a = 1\n\n# why\nb = 2"), text("one"), ran("c", CLAIM_MIME)], 1, 0, 3),
        ([ran("prepared = 1"), text("(check-x)="), ran("c", CLAIM_MIME)], 0, 0, 0),
        ([ran("import a"), ran("plot()", "image/png"), ran("state()", VALUES_MIME)], 0, 0, 0),
        ([ran("a", tags=["hide-cell"]), ran("a", jupyter={"source_hidden": True})], 0, 0, 0),
        ([ran("Math(a)", "text/latex"), ran("state()", VALUES_MIME, "text/plain")], 0, 1, 2),
    ],
    ids=["words", "formulas", "proofs", "exercises", "expert", "code", "preparation", "folded-code",
         "hidden-code", "shown"],
)  # fmt: skip
def test_what_is_read_is_what_the_page_shows(cells, words, formulas, lines):
    assert told.reading(cells) == (words, formulas, lines)


def test_minutes_are_those_of_the_rule():
    assert told.Reading(words=1800, formulas=10, lines=100).minutes == 30
    assert told.Reading(words=1800, formulas=10, lines=101).minutes == 35  # 30.15
    assert told.Reading(words=1800, formulas=20, lines=100).minutes == 35
    assert told.Reading(words=1, formulas=0, lines=0).minutes == 5


def test_a_line_that_is_wrong_or_missing_is_found():
    exercise = "## Exercises\n\n*Hard, 20 minutes.* Why?\n\n*Easy, 2 minutes, with care.* How?"
    right = "5 minutes, and 22 more for the exercises. You need [](a.ipynb) and [b](b.ipynb)."
    assert told.line([text(right)]) == (5, 22, ("a", "b"))
    assert told.mistold([text(right), text(exercise)]) is None
    for wrong in ("", right.replace("22", "20"), right.replace("5", "10"), f"{right}\n\n{right}"):
        assert "'5 minutes, and 22 more for" in told.mistold([text(wrong), text(exercise)])


# -- what the other guards find ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "complaints"),
    [
        ("0.576<!-- p -->", {"p": "0.576117"}, 0),
        ("−2.3e−5<!-- p -->", {"p": "-2.27e-05"}, 0),
        ("0.577<!-- p -->", {"p": "0.576117"}, 1),
        ("0.98<!-- p -->", {"p": "0.99"}, 1),
        ("0.44<!-- p -->", {"p": "0.435"}, 0),
        ("0.576<!-- q -->", {"p": "0.576117"}, 2),
        ("about 0.58 of it", {}, 1),
        ("$0.58$, `0.58`, section 3.2.1, 2.5 times", {}, 0),
    ],
    ids=[
        "right",
        "negative",
        "wrong-digit",
        "next-digit",
        "tie",
        "unknown-name",
        "unnamed",
        "not-a-quotation",
    ],
)
def test_misquotations_are_found(text, values, complaints):
    assert len(misquotations(text, values)) == complaints


@pytest.mark.parametrize(
    ("claims", "blocks", "text", "complaint"),
    [
        ("a", "a", "[a](#claim-a) (check-a)=", ""),
        ("ab", "a", "[a](#claim-a) (check-a)=", "b is in claims.yml for notebooks/x.md, which"),
        ("", "a", "[a](#claim-a) (check-a)=", "a has a block in notebooks/x.md, but claims.yml"),
        ("a", "aa", "[a](#claim-a) (check-a)=", "a has 2 blocks"),
        ("a", "a", "[a](#claim-a)", "write the line (check-a)="),
        ("a", "a", "(check-a)=", "link to the entry in the ledger, [a](#claim-a)"),
        ("", "", "[b](#claim-b)", "notebooks/x.md links to #claim-b, but claims.yml has no"),
    ],
    ids=["right", "no-block", "unlisted", "twice", "no-label", "no-link", "link-to-nothing"],
)
def test_misfits_are_found(claims, blocks, text, complaint):
    claims = {id: {"id": id, "chapter": "x", "verdict": "holds"} for id in claims}
    records = [{"id": id, "verdict": "holds"} for id in blocks]
    found = "\n".join(misfits("x", claims, records, text))
    assert complaint in found
    assert bool(found) == bool(complaint)


def test_the_list_of_stand_ins_only_shrinks():
    assert unlisted(all_stand_ins(), STAND_INS.read_text(encoding="utf-8").splitlines()) == []


@pytest.fixture
def made_up(tmp_path):
    """A notebook with one wrong version that is excused as a stand-in, and others that are not."""
    with claim("made-up", says="one is one") as c:
        for what in ("second", "first"):
            c.agrees(what, [1.0, 2.0], [1.0, 2.0], rejects={
                "turned": excused([-1.0, -2.0], STAND_IN),
                "zero": excused([0.0, 0.0], "the empty sum, which people write"),
                "doubled": [2.0, 4.0],
            })  # fmt: skip
    output = nbformat.v4.new_output("display_data", data={CLAIM_MIME: c.record()})
    cell = nbformat.v4.new_code_cell(outputs=[output])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "made_up.ipynb")
    return tmp_path / "made_up.ipynb"


def test_stand_ins_are_found_and_held_against_the_list(made_up):
    found = stand_ins(stored_records(made_up))
    first, second = "made-up · first · turned", "made-up · second · turned"
    assert found == [first, second]
    assert unlisted(found, [first, second]) == []
    assert unlisted(found, [first]) == [f"{second}: find a wrong version that somebody could write"]
    assert unlisted([second], found) == [f"{first}: it is gone, so take it from stand_ins.txt"]
    assert unlisted([first, first], [first]) != []
    assert unlisted(found, [second, first]) == ["the list is not sorted"]


if __name__ == "__main__":
    for line in all_stand_ins():
        print(line)
