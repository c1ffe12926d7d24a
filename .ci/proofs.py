"""The theorems that a machine has read: `make proofs`, and their step in `make test`.

    python .ci/proofs.py           compile all, refuse what is assumed, store what was proved,
                                   and what is left to prove at each sentence of a proof
    python .ci/proofs.py --test    the same without storing; without Rocq, compare hashes

A theorem of proofs/*.v stands below a comment with the claim that it belongs to, and a sentence:

    (** claim ID. What is stated. *)
    Theorem name ...

Lemmas need none. Nothing may be left unproved, and nothing assumed but what the real numbers of
Rocq's own library rest on. What was proved is stored in proofs/theorems.json, for the book, and
the goals on the way to it in proofs/goals.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import goals

ROOT = Path(__file__).parents[1]
PROOFS = ROOT / "proofs"
STORED = "theorems.json"
LIBRARY = "Book"
OPTIONS = ["-q", "-w", "-ambiguous-paths", "-Q", ".", LIBRARY]
COQC, COQTOP = ["coqc", *OPTIONS], ["coqtop", *OPTIONS]
MISSING = (
    "The proofs need Rocq, or Coq 8.16 or newer, with Coquelicot and Interval. On Debian and "
    "Ubuntu: sudo apt-get install coq libcoq-coquelicot libcoq-interval"
)

# What the real numbers of the standard library rest on, and nothing else.
ALLOWED = {
    "ClassicalDedekindReals.sig_forall_dec",
    "ClassicalDedekindReals.sig_not_dec",
    "Classical_Prop.classic",
    "FunctionalExtensionality.functional_extensionality_dep",
}
# Words that leave something unproved, or switch a check off. Print Assumptions sees most of what
# they do; the words themselves are found on any machine.
REFUSED = re.compile(
    r"\b(Admitted|admit|Axioms?|Parameters?|Conjectures?|Abort|give_up|bypass_check|type-in-type"
    r"|Unset\s+(?:Guard|Positivity|Universe)\s+Checking)\b"
)
NAMED = re.compile(r"^(Theorem|Lemma|Corollary|Proposition|Fact|Remark)\s+([\w']+)", re.MULTILINE)
CLAIMED = re.compile(r"\(\*\* claim ([\w-]+)\. ((?:(?!\*\)).)*?) \*\)\nTheorem ([\w']+)", re.DOTALL)
IMPORTS = re.compile(rf"^From {LIBRARY} Require Import ([\w ]+)\.", re.MULTILINE)


class Theorem(NamedTuple):
    file: str
    name: str
    claim: str
    words: str


class ProofError(Exception):
    """What is wrong, a line each."""


# -- what the sources say ----------------------------------------------------------------------


def sources(folder: Path) -> dict[str, str]:
    """Every file's text by its name, each after those that it imports."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.v"))}
    ordered: dict[str, str] = {}

    def add(name: str) -> None:
        for other in imported(texts[name]):
            add(other)
        ordered.setdefault(name, texts[name])

    for name in texts:
        add(name)
    return ordered


def imported(text: str) -> list[str]:
    """The files that a source imports."""
    return [name for line in IMPORTS.findall(text) for name in line.split()]


def without_comments(text: str) -> str:
    """The text with every comment blanked; comments nest, and lines stay where they are."""
    kept, depth = [], 0
    for part in re.split(r"(\(\*|\*\))", text):
        if part == "(*":
            depth += 1
        elif part == "*)" and depth:
            depth -= 1
        else:
            kept.append(re.sub(r"[^\n]", "", part) if depth else part)
    return "".join(kept)


def refused(texts: dict[str, str]) -> list[str]:
    """Where a source says that something is not proved."""
    bare = {name: without_comments(text) for name, text in texts.items()}
    return [
        f"{name}.v:{text[: word.start()].count(chr(10)) + 1}: {word[0]}"
        for name, text in bare.items()
        for word in REFUSED.finditer(text)
    ]


def theorems(texts: dict[str, str]) -> list[Theorem]:
    """Every theorem with its claim.

    Raises:
        ProofError: a theorem has no comment with its claim.
    """
    found = []
    for file, text in texts.items():
        mine = [Theorem(file, t[2], t[0], " ".join(t[1].split())) for t in CLAIMED.findall(text)]
        claimed = {theorem.name for theorem in mine}
        bare = [n for kind, n in NAMED.findall(text) if kind == "Theorem" and n not in claimed]
        if bare:
            raise ProofError(f"{file}.v: without (** claim ID. … *) before it: {', '.join(bare)}")
        found += mine
    return found


def hashes(folder: Path) -> dict[str, str]:
    """A hash of every source."""
    found = sorted(folder.glob("*.v"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def strange(folder: Path) -> list[str]:
    """What does not fit between the stored result and the sources."""
    stored, now = json.loads((folder / STORED).read_text(encoding="utf-8")), hashes(folder)
    if stored["sources"] != now:
        return ["the proofs were changed after their result was stored: run `make proofs`"]
    bad = [f"the stored result assumes {a}" for a in stored["assumes"] if a not in ALLOWED]
    misfits = goals.strange(folder / goals.STORED, sources(folder), now)
    return bad + [f"goals: {misfit}: run `make proofs`" for misfit in misfits]


# -- what Rocq says ----------------------------------------------------------------------------


def compile_all(folder: Path, texts: dict[str, str]) -> dict[str, str]:
    """Compile every source where it lies, two at a time, each after those that it imports.

    What Rocq says of each: where its sentences stand. An unfinished proof is an error of Rocq
    itself.
    """
    with ThreadPoolExecutor(2) as two:
        begun: dict[str, Future[str]] = {}
        for name, text in texts.items():
            needed = [begun[other] for other in imported(text)]
            begun[name] = two.submit(compile_one, folder, name, needed)
        return {name: done.result() for name, done in begun.items()}


def compile_one(folder: Path, name: str, needed: list[Future[str]]) -> str:
    for other in needed:
        other.result()
    compiled = [*COQC, "-time", f"{name}.v"]
    done = subprocess.run(compiled, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise ProofError((goals.TIMED.sub("", done.stdout) + done.stderr).strip())
    return done.stdout


def ask_all(
    folder: Path, texts: dict[str, str], timed: dict[str, str], steps: bool
) -> tuple[dict[tuple[str, str], str], dict[str, dict]]:
    """What Rocq answers about all that it has compiled, and the goals of each file, if wanted.

    What takes longest starts first.
    """
    now = hashes(folder)
    with ThreadPoolExecutor(2) as two:
        said = two.submit(ask, folder, texts)
        told = {
            name: two.submit(goals.ask, folder / f"{name}.v", timed[name], COQTOP, now[f"{name}.v"])
            for name in sorted(timed, key=lambda name: len(timed[name]), reverse=True)
            if steps
        }
        return said.result(), {name: done.result() for name, done in told.items()}


def ask(folder: Path, texts: dict[str, str]) -> dict[tuple[str, str], str]:
    """The answers of Rocq to `Check` for every name of every file, and what all together assume.

    Print Assumptions walks through all that a proof uses, down to the bottom of the libraries,
    which takes many seconds each time: so it is asked once. Names print as their file has them,
    since the imports of one file end with the module that asks about it.
    """
    lines = ["From Coq Require Import Reals.", "From Coquelicot Require Import Coquelicot."]
    lines += [f"From {LIBRARY} Require {' '.join(texts)}.", "Set Printing Width 88."]
    whole = ["tt", "tt"]
    with tempfile.TemporaryDirectory() as made:
        for file, text in texts.items():
            names = [name for _, name in NAMED.findall(text)]
            lines += [f"Module Ask_{file}.", f"Import {' '.join([*imported(text), file])}."]
            lines += ["Open Scope R_scope."]
            lines += [f'Redirect "{made}/{file} {name}" Check @{file}.{name}.' for name in names]
            lines += [f"End Ask_{file}."]
            whole += [f"@{file}.{name}" for name in names]
        lines += [f"Definition all_of_it := ({', '.join(whole)})."]
        lines += [f'Redirect "{made}/all assumes" Print Assumptions all_of_it.']
        Path(made, "ask.v").write_text("\n".join(lines), encoding="utf-8")
        done = subprocess.run([*COQC, f"{made}/ask.v"], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise ProofError(done.stderr)
        return {
            tuple(path.name.removesuffix(".out").split()): path.read_text()
            for path in Path(made).glob("*.out")
        }


def statement(said: str) -> str:
    """What stands after the colon in the answer to Check, without its margin."""
    first, _, rest = said.partition(":")[2].strip("\n").partition("\n")
    lines = [first.strip(), *(line.removeprefix("       ").rstrip() for line in rest.splitlines())]
    return "\n".join(lines).strip()


def assumed(said: str) -> list[str]:
    """The axioms in the answer to Print Assumptions; their types may fill further lines."""
    listed = said.partition("Axioms:")[2]
    return sorted(re.findall(r"^([A-Za-z_][\w.']*)(?=\s*:|\s*$)", listed, re.MULTILINE))


def version() -> str:
    said = subprocess.run(["coqc", "--version"], capture_output=True, text=True).stdout
    return re.search(r"version (\S+)", said)[1]


def prove(folder: Path, steps: bool = False) -> tuple[dict, dict[str, dict]]:
    """Compile a copy of a folder, and say what was proved, and with what goals on the way.

    Raises:
        ProofError: a proof fails, or something is left unproved or assumed.
    """
    texts, read = sources(folder), hashes(folder)
    if bad := refused(texts):
        raise ProofError("\n".join(f"{line} leaves something unproved" for line in bad))
    listed = theorems(texts)
    with tempfile.TemporaryDirectory() as made:
        for path in folder.glob("*.v"):
            shutil.copy(path, made)
        timed = compile_all(Path(made), texts)
        said, told = ask_all(Path(made), texts, timed, steps)
    assumes = assumed(said.pop(("all", "assumes")))
    if extra := [axiom for axiom in assumes if axiom not in ALLOWED]:
        raise ProofError("\n".join(f"the proofs assume {axiom}" for axiom in extra))
    stated = [t._asdict() | {"statement": statement(said[t.file, t.name])} for t in listed]
    result = {
        "coq": version(),
        "sources": read,
        "assumes": assumes,
        "lemmas": len(said) - len(listed),
        "theorems": stated,
    }
    return result, told


def main(folder: Path, test: bool) -> None:
    if shutil.which("coqc") is None and not test:
        raise ProofError(MISSING)
    if test and (bad := strange(folder)):
        raise ProofError("\n".join(bad))
    if shutil.which("coqc") is None:
        print("the stored result belongs to the sources; no coqc, so nothing was proved again")
        return
    result, told = prove(folder, steps=not test)
    if not test:
        goals.store(folder / goals.STORED, told)
        text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
        (folder / STORED).write_text(text, encoding="utf-8")
    print(f"{len(result['theorems'])} theorems and {result['lemmas']} lemmas proved; "
          f"assumed: {', '.join(result['assumes']) or 'nothing'}")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--test", action="store_true", help="store nothing; Rocq may be missing")
    try:
        main(PROOFS, parser.parse_args().test)
    except ProofError as error:
        sys.exit(str(error))
