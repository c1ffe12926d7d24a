"""The image of a cell and its caption become a ``<figure>`` with a numbered ``<figcaption>``.

The caption is the paragraph in italics right after the cell, which every figure has. Or the
cell's metadata hold both a name, for links to the figure, and the caption:

    figure: {name: fig-softmax-jacobian, caption: "The matrix $J$ …"}

Pages say how large an image is, so that nothing moves when it arrives, and fetch it when a
reader comes near. They get it as WebP, pixel by pixel the same and less than half as heavy.
"""

import re
from pathlib import Path

from cells import neighbour
from docutils import nodes
from outputs import add_renderer, inline_nodes
from PIL import Image
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)

IMAGES = ("image/png", "image/svg+xml")
PNG = re.compile(r'<img ([^>]*\bsrc="(?:\.\./)*_images/)([^"]+\.png)"')


def with_caption(renderer, data):
    """An image of a cell whose metadata hold its caption: the two side by side."""
    spec = data.cell_metadata.get("figure")
    if spec is None or data.mime_type not in IMAGES:
        return None
    text = inline_nodes(renderer, spec["caption"], data.line)
    return [*renderer.render_image(data), nodes.caption("", "", *text, name=spec["name"])]


class Figures(SphinxTransform):
    default_priority = 100  # before targets are resolved and figures are counted

    def apply(self):
        found = 0
        for image in list(self.document.findall(nodes.image)):
            bundle = image.parent.parent
            if bundle is None or bundle.get("nb_element") != "mime_bundle":
                continue
            found += 1
            caption = next(image.findall(nodes.caption, descend=False, siblings=True), None)
            figure = nodes.figure("", classes=["cell-figure"])
            figure.source, figure.line = bundle.source, bundle.line
            if caption is not None:
                caption.parent.remove(caption)
                figure["names"].append(nodes.fully_normalize_name(caption["name"]))
                self.document.note_explicit_target(figure, figure)
            else:
                caption = in_italics(bundle.parent.parent)
                figure["ids"].append(f"figure-{found}")
            bundle.parent.replace(bundle, figure)
            figure += [bundle, caption]


def in_italics(shown: nodes.Element) -> nodes.caption:
    """The caption after a cell or a drawing, taken from the text."""
    after = neighbour(shown, 1)
    if not (isinstance(after, nodes.paragraph) and is_italic(after)):
        logger.warning("figures: a caption in italics must follow the image", location=shown)
        return nodes.caption()
    after.parent.remove(after)
    return nodes.caption("", "", *after.children[0].children)


def is_italic(paragraph: nodes.paragraph) -> bool:
    return len(paragraph.children) == 1 and isinstance(paragraph.children[0], nodes.emphasis)


def lighten(app, pagename, templatename, context, doctree):
    """Give every image of a cell its size, and its lighter form."""
    sources = {name: path for path, name in app.builder.images.items()}

    def lighter(found: re.Match) -> str:
        start, name = found[1], found[2]
        with Image.open(Path(app.srcdir, sources[name])) as image:
            width, height = image.size
            light = Path(app.outdir, "_images", name).with_suffix(".webp")
            light.parent.mkdir(exist_ok=True)
            image.convert("RGB").save(light, lossless=True, quality=75, method=4)
        size = f'loading="lazy" decoding="async" width="{width}" height="{height}"'
        return f'<img {size} {start}{light.name}"'

    if "body" in context:
        context["body"] = PNG.sub(lighter, context["body"])


def drop_heavy(app, error):
    """Nothing asks for the images as they were."""
    for path in Path(app.outdir, "_images").glob("*.png"):
        if path.with_suffix(".webp").exists():
            path.unlink()


def setup(app):
    add_renderer(app, with_caption)
    app.add_transform(Figures)
    app.connect("html-page-context", lighten)
    app.connect("build-finished", drop_heavy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
