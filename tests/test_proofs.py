"""The gate of the machine-read proofs, and that their stored result belongs to the sources."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from helpers import script

from attnlib.evidence.ledger import load_claims

proofs, formal = script("proofs"), script("formal", "book/_ext")
goals, proof_steps = script("goals"), script("proof_steps", "book/_ext")
needs_rocq = pytest.mark.skipif(
    shutil.which("coqc") is None, reason=f"the gate was not tried. {proofs.MISSING}"
)
CLAIM = "(** claim softmax-jacobian. A statement. *)\n"
SOUND = CLAIM + "Theorem sound : 1 + 1 = 2.\nProof. reflexivity. Qed.\n"


def test_the_stored_result_belongs_to_the_sources():
    assert proofs.strange(proofs.PROOFS) == []
    texts = proofs.sources(proofs.PROOFS)
    assert proofs.refused(texts) == []
    stored = [{k: t[k] for k in proofs.Theorem._fields} for t in formal.result()["theorems"]]
    assert stored == [t._asdict() for t in proofs.theorems(texts)]


def test_every_theorem_has_a_claim_and_every_such_claim_its_differences():
    differences = yaml.safe_load(formal.DIFFERENCES.read_text(encoding="utf-8"))
    assert differences.keys() == formal.proved().keys()
    assert formal.proved().keys() <= load_claims().keys()
    assert all(set(entry) == {"whole", "differs"} for entry in differences.values())
    # What is proved in part must say which part.
    assert not [id for id, d in differences.items() if d["differs"] == "None." and not d["whole"]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Proof.\nAdmitted.", ["a.v:2: Admitted"]),
        ("Axiom big : 1 = 2.", ["a.v:1: Axiom"]),
        ("Proof. give_up. Qed.", ["a.v:1: give_up"]),
        ("Unset Guard  Checking.", ["a.v:1: Unset Guard  Checking"]),
        ("(* no Axiom (* nested *) nor Admitted *)\n(* \n *) admit", ["a.v:3: admit"]),
        ("Lemma admits_axiomatic : True.", []),
    ],
)
def test_words_that_leave_something_unproved_are_found(text, found):
    assert proofs.refused({"a": text}) == found


def test_a_theorem_without_a_claim_is_refused():
    with pytest.raises(proofs.ProofError, match=r"a\.v: .*: lonely"):
        proofs.theorems({"a": SOUND + "Theorem lonely : True.\nProof. trivial. Qed.\n"})


def test_a_changed_source_is_noticed(tmp_path):
    shutil.copytree(proofs.PROOFS, tmp_path, dirs_exist_ok=True)
    (tmp_path / "softmax.v").write_text(SOUND)
    assert "run `make proofs`" in proofs.strange(tmp_path)[0]


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(proofs.PROOFS, tmp_path, dirs_exist_ok=True)
    assert proofs.strange(tmp_path) == []
    return tmp_path


def test_a_source_changed_without_new_goals_is_noticed(copied):
    source = copied / "softmax.v"
    source.write_text(source.read_text() + "\n(* one line more *)\n")
    stored = json.loads((copied / proofs.STORED).read_text())
    (copied / proofs.STORED).write_text(
        json.dumps(stored | {"sources": proofs.hashes(copied)})
    )  # all but the goals
    (said,) = proofs.strange(copied)
    assert said == "goals: softmax.v was changed after its goals were stored: run `make proofs`"


def test_goals_without_a_source_and_a_source_without_goals_are_noticed(copied):
    (copied / "goals" / "softmax.json").rename(copied / "goals" / "hardmax.json")
    assert [said.split()[1] for said in proofs.strange(copied)] == ["hardmax:", "softmax:"]


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda told: told["proofs"][3]["steps"][2].__setitem__(1, 2200), "no sentence of"),
        (lambda told: told["proofs"][3]["steps"].pop(2), "no sentence of"),
        (lambda told: told["proofs"][3]["steps"].pop(), "does not end at"),
        (lambda told: told["proofs"].pop(3), "has no goals"),
        (lambda told: told["proofs"].pop(), "the last proof has no goals"),
        (lambda told: told["proofs"][3].update(name="other"), "other is not stated at"),
        (lambda told: told["lines"].pop(), "that no line states"),
    ],
    ids=["moved", "left out", "unended", "no proof", "no last proof", "renamed", "no line"],
)
def test_goals_of_what_is_no_sentence_are_noticed(copied, spoil, found):
    path = copied / "goals" / "common.json"
    told = json.loads(path.read_text())
    spoil(told)
    path.write_text(goals.written(told))
    said = proofs.strange(copied)
    assert said
    assert all(line.startswith("goals: common.json: ") for line in said)
    assert any(found in line for line in said)


def test_stored_goals_are_written_as_they_are_read():
    for path in (proofs.PROOFS / "goals").glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert goals.written(json.loads(text)) == text


TWO_GOALS = """2 goals (ID 7)
  
  n, m : nat
  f := fun i : nat => INR i : nat -> R
  H : forall i : nat,
      (i < n)%nat
  ============================
  Sum n f =
    Sum m f

goal 2 (ID 9) is:
 0 <= f n
"""  # noqa: W293
GIVEN = ["n, m : nat", "f := fun i : nat => INR i : nat -> R",
         "H : forall i : nat,\n    (i < n)%nat"]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (TWO_GOALS, (GIVEN, ["Sum n f =\n  Sum m f", "0 <= f n"])),
        ("1 goal\n\n  ======\n  True\n", ([], ["True"])),
        ("This subproof is complete.\n1 goal\n\ngoal 1 (ID 4) is:\n b = 0", ([], ["b = 0"])),
        ("No more goals.", ([], [])),
    ],
    ids=["two", "nothing given", "unfocused", "none"],
)
def test_goals_are_read_as_they_are_printed(said, told):
    assert goals.read(said) == told


SCRIPT = """Lemma a : b.
Proof.
  intro x. (* first *) split.
  - ring.
  - { destruct x.
      + lra. }
    2:{ lia. }
    auto.
Qed.
"""


def test_a_bullet_stands_before_its_sentence_and_a_brace_after():
    where = [(m.start(), m.end()) for m in re.finditer(r"2:\{|[-+{}]|\w[\w ]*\.", SCRIPT)]
    steps = [[*at, [], [0]] if len(SCRIPT[slice(*at)]) > 3 else [*at] for at in where[2:]]
    steps = [step[:2] if SCRIPT[step[0]] in "PQ" else step for step in steps]
    rows = proof_steps.rows({"stated": [0, 12], "steps": [[13, 19], *steps]}, SCRIPT)
    assert [(depth, words) for words, depth, _ in rows] == [
        (0, "intro x."),
        (0, "(* first *) split."),
        (0, "- ring."),
        (0, "- { destruct x."),
        (2, "+ lra. }"),
        (1, "2:{ lia. }"),
        (1, "auto."),
        (0, "Qed."),
    ]


def test_what_is_new_is_marked_and_nothing_else():
    text = "Lemma a : b. Proof. intro H. f. Qed."
    steps = [[13, 19], [20, 28, [0], [1]], [29, 31, [0, 2], [1, 3]], [32, 36]]
    lines = ["n : nat", "P <= Q", "H : A", "0 = 0"]
    page = proof_steps.steps({"stated": [0, 12], "steps": steps}, lines, text)
    assert page.count('class="new"') == 1
    assert '<li class="new"><b>H</b> : A</li>' in page
    assert "<p>P &lt;= Q</p>" in page
    assert "and 1 more:" in page
    assert "Proof, 2 sentences" in page


def test_imports_come_first(tmp_path):
    for name, text in {"a": "From Book Require Import c b.\n", "b": "", "c": ""}.items():
        (tmp_path / f"{name}.v").write_text(text)
    assert [*proofs.sources(tmp_path)] == ["c", "b", "a"]


def test_without_rocq_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(proofs.shutil, "which", lambda name: None)
    with pytest.raises(proofs.ProofError, match="apt-get install coq libcoq-coquelicot"):
        proofs.main(proofs.PROOFS, test=False)
    proofs.main(proofs.PROOFS, test=True)
    assert "nothing was proved again" in capsys.readouterr().out


def test_asked_for_help_it_proves_nothing():
    asked = [sys.executable, proofs.ROOT / ".ci" / "proofs.py", "--help"]
    said = subprocess.run(asked, env={"PATH": ""}, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "make proofs" in said.stdout


@needs_rocq
@pytest.mark.slow
def test_a_sound_proof_passes(tmp_path):
    (tmp_path / "small.v").write_text(SOUND)
    result, told = proofs.prove(tmp_path, steps=True)
    assert told["small"]["lines"] == ["1 + 1 = 2"]
    assert [step[2:] for step in told["small"]["proofs"][0]["steps"]] == [[], [[], [0]], []]
    assert list(goals.misplaced(told["small"], SOUND)) == []
    assert proofs.prove(tmp_path, steps=True) == (result, told)
    assert result["theorems"][0]["statement"] == "(1 + 1)%nat = 2%nat"
    assert result["assumes"] == []


INTERVAL = (
    "From Coq Require Import Reals.\nFrom Interval Require Import Tactic.\nOpen Scope R_scope.\n"
)


@needs_rocq
@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (SOUND.replace("reflexivity. Qed", "Admitted"), "small.v:3: Admitted"),
        ("Axiom big : 1 = 2.\n" + SOUND, "small.v:1: Axiom"),
        # By another word, which only Rocq sees.
        (
            f"Hypothesis big : 1 = 3.\n{CLAIM}Theorem bad : 1 = 3.\nProof. exact big. Qed.",
            "the proofs assume (small.)?big",
        ),
        (
            f"{INTERVAL}{CLAIM}Theorem bare : exp 1 <= 3.\nProof. interval. Qed.",
            r"the proofs assume \w*(Float|Int63|Prim)",
        ),
        (SOUND.replace("reflexivity. ", ""), "unfinished proof|incomplete proof"),
    ],
    ids=["admitted", "axiom", "assumed", "bare interval", "unfinished"],
)
def test_the_gate_refuses(text, complaint, tmp_path):
    (tmp_path / "small.v").write_text(text)
    with pytest.raises(proofs.ProofError, match=complaint):
        proofs.prove(tmp_path)
