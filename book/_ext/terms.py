"""The first use of a term in a chapter links to its entry in the glossary.

Only running text counts: no heading, no caption, no table, no code, no formula, no link, no card
of a claim. What is folded comes last, so that the link stands where it is seen. Of two terms the
longer wins: "causal mask" is no use of "mask". A plural is a use as well, and so is a singular.
"""

import re
from collections.abc import Callable, Iterator

from card import claim_card
from docutils import nodes
from fold import fold
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

GLOSSARY = "book/glossary"
# Words of every day: terms only where a chapter puts them in bold.
EVERYDAY = {
    "claim", "comparison", "kernel", "law", "lead", "leak", "memory", "miss", "share", "slope",
    "state", "stride", "value", "view", "window",
}  # fmt: skip
# Chapters that use a term in another sense.
ELSEWHERE = {
    "contiguous": {"layer_costs"}, "convolution": {"scaling"}, "flip": {"lookup"},
    "gap": {"two_heads", "smooth_max"}, "gradient": {"softmax"},
    "score": {"knowledge", "lookup", "pruning", "synthesizer", "training"},
}  # fmt: skip
RUNNING = (nodes.paragraph, nodes.term)
SPARED = (  # within a paragraph, or around one
    nodes.literal, nodes.math, nodes.raw, nodes.reference, addnodes.pending_xref,
    nodes.figure, nodes.table, claim_card,
)  # fmt: skip


def names_of(term: str) -> list[str]:
    """The English names in the title of an entry: "query, key, value (查询, 键, 值)" has three."""
    return [name for part in re.sub(r"\(.*?\)", "", term).split(",") if (name := part.strip())]


def pattern(names) -> re.Pattern[str]:
    """Any of the names as words of their own, the longest first."""
    found = "|".join(map(inflected, sorted(names, key=len, reverse=True)))
    return re.compile(rf"(?<![\w–-])(?:{found})(?![\w–-])")


def inflected(name: str) -> str:
    """A name in a group of its own: at the beginning of a sentence too, and its plural."""
    first, rest = name[0], re.escape(name[1:])
    rest = rest.replace("'", "['’]").replace(r"\ ", r"\s+")
    if first.islower():
        first = f"[{first}{first.upper()}]"
    if rest.endswith("y"):
        rest = rest[:-1] + "(?:y|ies)"
    elif rest.endswith("x"):
        rest += "(?:es)?"
    elif not rest.endswith(("ss", "ous")):
        rest = rest.removesuffix("s") + "s?"
    return f"({first}{rest})"


def link_first_uses(
    document: nodes.Element, targets: dict[str, str], link: Callable[[str, str], nodes.Node]
) -> list[str]:
    """Put ``link(target, text)`` in the place of the first use of each; the targets linked."""
    names = sorted(targets, key=len, reverse=True)
    search, linked = pattern(names), []
    for text in running_text(document):
        pieces: list[nodes.Node] = []
        end = 0
        for use in search.finditer(text):
            name = names[use.lastindex - 1]
            target = targets[name]
            if target not in linked and is_term(name, use[0], text):
                linked.append(target)
                pieces += [nodes.Text(text[end : use.start()]), link(target, use[0])]
                end = use.end()
        if pieces:
            text.parent.replace(text, [*pieces, nodes.Text(text[end:])])
    return linked


def is_term(name: str, use: str, text: nodes.Text) -> bool:
    """Words in bold are one term alone, or a heading of a kind, which has no links."""
    if isinstance(text.parent, nodes.strong):
        return text == (name if name in EVERYDAY else use)
    return name not in EVERYDAY


def running_text(document: nodes.Element) -> list[nodes.Text]:
    """In the order of the page, what is folded last."""
    open_text, folded_text = [], []
    for text in document.findall(nodes.Text):
        above = list(ancestors(text))

        def within(kinds, above=above) -> bool:
            return any(isinstance(node, kinds) for node in above)

        if within(RUNNING) and not within(SPARED):
            (folded_text if within(fold) else open_text).append(text)
    return open_text + folded_text


def ancestors(node: nodes.Node) -> Iterator[nodes.Element]:
    while (node := node.parent) is not None:
        yield node


class LinkTerms(SphinxPostTransform):
    default_priority = 4  # links are still what their authors wrote

    def run(self, **kwargs) -> None:
        folder, _, chapter = self.env.docname.partition("/")
        if folder == "notebooks":
            link_first_uses(self.document, self.targets(chapter), self.link)

    def targets(self, chapter: str) -> dict[str, str]:
        """Where each name of a term leads, but for those that mean something else here."""
        terms = self.env.domains["std"].objects.items()
        return {
            name: anchor
            for (kind, term), (doc, anchor) in terms
            if kind == "term" and doc == GLOSSARY
            for name in names_of(term)
            if chapter not in ELSEWHERE.get(name, ())
        }

    def link(self, target: str, text: str) -> nodes.reference:
        found = make_refnode(self.app.builder, self.env.docname, GLOSSARY, target, nodes.Text(text))
        found["classes"].append("term")
        return found


def setup(app):
    app.add_post_transform(LinkTerms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
