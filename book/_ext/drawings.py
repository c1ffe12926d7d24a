"""A drawing of book/drawings becomes a ``<figure>`` in the colours of the page.

A chapter includes it as any image, with what it shows in words, and a caption in italics:

    ![Two columns of boxes …](../book/drawings/norms.svg)

    *What to see.*

JupyterLab shows the file as it is, in greys that do on white and on black. The page gets the
SVG itself, since an ``<img>`` would not know the page's colours.
"""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from figures import in_italics
from sphinx.transforms import SphinxTransform

LABEL = re.compile(r'aria-label="[^"]*"')
BLANK = re.compile(r"<!--.*?-->|(?<=>)\n\s*(?=<)", re.DOTALL)


class Drawings(SphinxTransform):
    default_priority = 100  # before figures are counted, and images copied

    def apply(self):
        for image in list(self.document.findall(nodes.image)):
            path = Path(self.document["source"]).parent / image["uri"]
            if path.suffix != ".svg" or path.parent.name != "drawings":
                continue
            self.env.note_dependency(str(path.resolve()))
            paragraph = image.parent
            figure = nodes.figure("", classes=["drawing"])
            figure.source, figure.line = paragraph.source, paragraph.line
            figure["names"].append(nodes.fully_normalize_name(f"fig-{path.stem}"))
            self.document.note_explicit_target(figure, figure)
            svg = inline(path.read_text(encoding="utf-8"), image["alt"])
            figure += [nodes.raw("", svg, format="html"), in_italics(paragraph)]
            paragraph.parent.replace(paragraph, figure)


def inline(svg: str, alt: str) -> str:
    """The file as a part of the page, with the words of the chapter."""
    return LABEL.sub(lambda _: f'aria-label="{escape(alt)}"', BLANK.sub("", svg), count=1)


def setup(app):
    app.add_transform(Drawings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
