"""The gate of the machine-read proofs, and that their stored result belongs to the sources."""

import shutil
import subprocess
import sys

import pytest
import yaml
from helpers import script

from attnlib.evidence.ledger import load_claims

proofs, formal = script("proofs"), script("formal", "book/_ext")
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
    result = proofs.prove(tmp_path)
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
