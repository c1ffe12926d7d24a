"""Search that finds what readers type.

- A claim is an index entry of its own: its id leads to its place in the ledger first of all.
- So is each name of a term of the glossary. On the index the Chinese ones stand together.
- Chinese text has no spaces: it is indexed by single characters and by neighbouring pairs.
- Results are quoted as prose: ``search_prose.js``, loaded on the page of the search alone.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.search import languages
from sphinx.search.en import SearchEnglish
from sphinx.transforms import SphinxTransform

HAN = r"\u3400-\u9fff"


class SearchEnglishAndChinese(SearchEnglish):
    # Sphinx's own split, with each Chinese word cut into pairs, as below.
    js_splitter_code = r"""
var splitQuery = (query) => query.split(/[^\p{Letter}\p{Number}_]+/gu)
  .flatMap((word) => word.split(/([\u3400-\u9fff]+)/))
  .flatMap((part) => /^[\u3400-\u9fff]{2,}$/.test(part)
    ? [...part].slice(1).map((_, i) => part.slice(i, i + 2)) : [part])
  .filter((part) => part);
"""

    def split(self, input: str) -> list[str]:
        parts = [part for word in super().split(input) for part in re.split(f"([{HAN}]+)", word)]
        return [piece for part in parts if part for piece in pieces(part)]


def pieces(word: str) -> list[str]:
    """A word; if it is Chinese, its characters and its pairs of neighbours."""
    if not re.match(f"[{HAN}]", word):
        return [word]
    return [*word, *(word[i : i + 2] for i in range(len(word) - 1))]


class Entries(SphinxTransform):
    """Index entries of claims and of the names of terms."""

    default_priority = 820

    def apply(self, **kwargs) -> None:
        for claim in list(self.document.findall(is_claim)):
            target = claim[0]["ids"][0]
            where = claim.parent.index(claim)
            claim.parent.insert(where, entry(target.removeprefix("claim-"), target))
        for term in list(self.document.findall(nodes.term)):
            if term["ids"]:
                names = re.split(r"\s*[,()]\s*", term.astext())
                term.extend(entry(name, term["ids"][0]) for name in names if name)


def is_claim(node: nodes.Node) -> bool:
    """An entry of the ledger: a dropdown of sphinx-design, whose title bears the target."""
    return isinstance(node, nodes.container) and "claim" in node.get("container_classes", ())


def entry(name: str, target: str) -> addnodes.index:
    heading = "中文" if re.match(f"[{HAN}]", name) else None
    return addnodes.index(entries=[("single", name, target, "main", heading)])


def quote_prose(app, pagename, templatename, context, doctree) -> None:
    if pagename == "search":
        app.add_js_file("search_prose.js", loading_method="defer")


def setup(app):
    languages["en"] = SearchEnglishAndChinese
    app.add_transform(Entries)
    app.connect("html-page-context", quote_prose)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
