"""What a machine has proved: for the ledger, the cards, and the page of proofs.

All comes from what `make proofs` stored, so that the book is built without Rocq:
proofs/theorems.json has the statements as Rocq prints them, proofs/differences.yml says in words
how they differ from the book's, and the definitions are read from the sources. The directive
``{formal-proofs}`` shows all of it, chapter by chapter. The proofs themselves: proof_steps.py.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from attnlib.evidence.ledger import load_claims

PROOFS = Path(__file__).parents[2] / "proofs"
RESULT, DIFFERENCES = PROOFS / "theorems.json", PROOFS / "differences.yml"
PAGE = "book/proofs"
SHARED = {"common", "certify"}  # these belong to no chapter
IMPORTS = re.compile(r"^From Book Require Import ([\w ]+)\.", re.MULTILINE)
DEFINITION = re.compile(
    r"^(?:\(\*\* (?!claim)(?:(?!\*\)).)*?\*\)\n)?(?:Definition|Fixpoint|Record) .*?\.$",
    re.MULTILINE | re.DOTALL,
)


class Proved(NamedTuple):
    theorems: list[dict]
    whole: bool  # the whole statement of the claim, or a part of it
    differs: str

    @property
    def phrase(self) -> str:
        return "Proved by machine" + ", in part" * (not self.whole)


@cache
def result() -> dict:
    return json.loads(RESULT.read_text(encoding="utf-8"))


@cache
def proved() -> dict[str, Proved]:
    """What is proved of every claim that has a theorem."""
    differences = yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8"))
    of_claim: dict[str, list[dict]] = {}
    for theorem in result()["theorems"]:
        of_claim.setdefault(theorem["claim"], []).append(theorem)
    return {
        id: Proved(found, differences[id]["whole"], differences[id]["differs"])
        for id, found in of_claim.items()
    }


def shown(theorem: dict) -> list[str]:
    """A theorem as MyST: what it says, its formal statement, and where its proof is."""
    words = theorem["words"].replace("*", r"\*").replace("_", r"\_")
    statement = f"Theorem {theorem['name']} :\n{theorem['statement']}."
    return [
        "",
        f"{words} ({to_proof(theorem)})",
        "",
        "```coq",
        *statement.splitlines(),
        "```",
        "",
    ]


def to_proof(theorem: dict) -> str:
    """A link to a proof."""
    return to_page(theorem["file"], "its proof, step by step", f"#{anchor(theorem['name'])}")


def to_page(file: str, words: str, where: str = "") -> str:
    """A link from the page of proofs, or that of claims, to what proof_steps.py makes."""
    return f'<a href="{PAGE.rpartition("/")[2]}/{file}.html{where}">{words}</a>'


def anchor(name: str) -> str:
    return f"proof-of-{name}".replace("'", "-prime")


def definitions(file: str) -> list[str]:
    """The definitions of a file, folded, and where those are that it takes from other chapters."""
    text = source(file)
    found, lines = "\n".join(DEFINITION.findall(text)), []
    if found:
        lines = ["", ":::{dropdown} Definitions", "```coq", *found.splitlines(), "```", ":::", ""]
    said = found + "".join(t["statement"] for t in result()["theorems"] if t["file"] == file)
    others = [name for line in IMPORTS.findall(text) for name in line.split()]
    links = [f"[{title(n)}](#formal-{n})" for n in others if n not in SHARED and uses(said, n)]
    return [*lines, f"Further definitions: {', '.join(links)}.", ""] if links else lines


def uses(said: str, file: str) -> bool:
    """Whether a statement has a word that this file defines."""
    defined = re.findall(r"^(?:Definition|Fixpoint|Record) (\w+)", source(file), re.MULTILINE)
    return not {*defined}.isdisjoint(re.findall(r"\w+", said))


def source(file: str) -> str:
    return (PROOFS / f"{file}.v").read_text(encoding="utf-8")


def title(chapter: str) -> str:
    text = (PROOFS.parent / "notebooks" / f"{chapter}.md").read_text(encoding="utf-8")
    return re.search(r"^# (.*)$", text, re.MULTILINE)[1]


class FormalProofs(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        for path in (RESULT, DIFFERENCES, *PROOFS.glob("*.v")):
            self.env.note_dependency(str(path))
        result.cache_clear()
        proved.cache_clear()
        claims = load_claims()
        lemmas = to_page("common", "Their lemmas, step by step")
        lines = ["## For all", "", f"Sums, laws and softmax, which all chapters share. {lemmas}."]
        lines += definitions("common")
        for chapter in dict.fromkeys(claim["chapter"] for claim in claims.values()):
            mine = [id for id in proved() if claims[id]["chapter"] == chapter]
            if mine:
                files = dict.fromkeys(t["file"] for id in mine for t in proved()[id].theorems)
                lines += ["", *(f"(formal-{file})=" for file in files), f"## {title(chapter)}", ""]
                lines += [line for file in files for line in definitions(file)]
                for id in mine:
                    lines += entry(claims[id], proved()[id])
        page = self.state_machine.node
        self.state.nested_parse(StringList(lines, "proofs"), 0, page, match_titles=True)
        return []


def entry(claim: dict, found: Proved) -> list[str]:
    """A claim beside what is proved of it."""
    lines = ["", f"(proved-{claim['id']})=", f"### {claim['id']}", ""]
    lines += [f"**The book:** {' '.join(claim['statement'].split())}", ""]
    lines += [f"**{found.phrase}** · [the claim](#claim-{claim['id']})", ""]
    lines += [f"**Difference:** {found.differs}", ""]
    return [*lines, *(line for theorem in found.theorems for line in shown(theorem))]


def setup(app):
    app.add_directive("formal-proofs", FormalProofs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
