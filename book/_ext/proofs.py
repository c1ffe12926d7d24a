"""A proof ends with ∎, and a long one shows its first sentence and folds the rest.

Long is what would fill more than about ten lines, or has the class ``long``. Each proof also gets
an address of its own, that of its theorem with ``proof-of-`` before it, where all had the same.
"""

import re

from cells import neighbour
from docutils import nodes
from fold import folded
from sphinx.transforms import SphinxTransform

LINES, LETTERS = 10, 88  # more lines than this are long; so many letters fill one
SHARED = re.compile(r' id="(?:proof|exercise|solution)-content"')
SENTENCE = re.compile(r"[.:?!](?=\s|$)")
SHORT = 24  # letters: a heading such as "Upper bound." is not yet a sentence


class FoldProofs(SphinxTransform):
    default_priority = 810

    def apply(self):
        for proof in list(self.document.findall(nodes.admonition)):
            if proof["ids"] == ["proof"]:
                proof["ids"] = address(proof)
                end_mark(proof)
                if length(proof) > LINES or "long" in proof["classes"]:
                    fold_rest(proof)


def address(proof: nodes.admonition) -> list[str]:
    theorem = neighbour(proof.parent, -1)
    label = theorem.get("label") if isinstance(theorem, nodes.Element) else None
    return [f"proof-of-{label}"] if label else []


def length(proof: nodes.admonition) -> float:
    """About how many lines it fills. Half of what formulas are written with is not seen."""
    total = 0.0
    for node in proof.findall():
        if isinstance(node, nodes.math_block):
            total += 2 + node.astext().count(r"\\")
        elif isinstance(node, nodes.paragraph):
            formulas = sum(len(m.astext()) for m in node.findall(nodes.math))
            total += 0.5 + (len(node.astext()) - formulas / 2) / LETTERS
    return total


def end_mark(proof: nodes.admonition) -> None:
    mark = nodes.inline("", "∎", classes=["qed"])
    last = proof.children[-1]
    if not isinstance(last, nodes.paragraph):
        last = nodes.paragraph()
        proof += last
    last += [nodes.Text(" "), mark]


def fold_rest(proof: nodes.admonition) -> None:
    first = proof.children[0]
    cut = end_of_sentence(first)
    if cut is None:
        return
    child, at = cut
    i = first.index(child)
    rest = nodes.paragraph("", "", *first.children[i + 1 :])
    del first.children[i + 1 :]
    if isinstance(child, nodes.Text):
        first.replace(child, nodes.Text(child[:at]))
        rest.insert(0, nodes.Text(child[at:].lstrip()))
    later = [rest] * bool(rest.astext().strip()) + proof.children[1:]
    del proof.children[1:]
    proof += folded("The rest of the proof", *later, kind="proof-rest")


def end_of_sentence(paragraph: nodes.paragraph) -> tuple[nodes.Node, int] | None:
    """The child of the paragraph in which its first sentence ends, and where in its text."""
    seen = 0
    for child in paragraph.children:
        text = child.astext()
        if isinstance(child, nodes.Text | nodes.emphasis):
            for end in SENTENCE.finditer(text):
                whole = isinstance(child, nodes.Text) or end.end() == len(text)
                if seen + end.end() - len("Proof. ") > SHORT and whole:
                    return child, end.end()
        seen += len(text)
    return None


def drop_shared_ids(app, pagename, templatename, context, doctree):
    """All theorems give their content one and the same address, which leads nowhere."""
    if "body" in context:
        context["body"] = SHARED.sub("", context["body"])


def setup(app):
    app.add_transform(FoldProofs)
    app.connect("html-page-context", drop_shared_ids)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
