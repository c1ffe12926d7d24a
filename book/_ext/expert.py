"""The last section of a chapter, *For the expert*, folds behind one line.

It folds when the page is written, after the lists of contents are made: these still lead into
it, and folds.js opens it then.
"""

from docutils import nodes
from fold import folded
from sphinx.transforms.post_transforms import SphinxPostTransform

TITLE = "For the expert"
LINE = "Side results, second proofs, the fine print"


class FoldExpert(SphinxPostTransform):
    default_priority = 900

    def run(self, **kwargs):
        for section in list(self.document.findall(nodes.section)):
            if section.children and section.children[0].astext() == TITLE:
                title, *rest = section.children
                section.children = []
                section += [title, folded(LINE, *rest, kind="expert")]


def setup(app):
    app.add_post_transform(FoldExpert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
