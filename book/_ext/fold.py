"""Two nodes for the page: ``fold`` opens at a click, ``summary`` is the line that is clicked.

They become ``<details>`` and ``<summary>``, so a browser opens them without a script, the
keyboard reaches them, and a search on the page looks into them. What folds is decided in
cells.py, card.py and proofs.py; folds.js adds the switch for all of them.
"""

from docutils import nodes


class fold(nodes.General, nodes.Element):
    """Something that a reader can do without at first. Its first child is its summary."""


class summary(nodes.General, nodes.TextElement):
    """The line that stays."""


def folded(line: str, *children: nodes.Node, kind: str) -> fold:
    """The children behind a line; the kind says whether paper and the switch open it."""
    made = fold("", summary("", line), classes=["fold", kind])
    made += list(children)
    return made


def visit_fold(self, node):
    self.body.append(self.starttag(node, "details"))


def depart_fold(self, node):
    self.body.append("</details>\n")


def visit_summary(self, node):
    self.body.append(self.starttag(node, "summary", ""))


def depart_summary(self, node):
    self.body.append("</summary>\n")


def setup(app):
    app.add_node(fold, html=(visit_fold, depart_fold))
    app.add_node(summary, html=(visit_summary, depart_summary))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
