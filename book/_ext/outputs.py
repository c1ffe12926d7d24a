"""How myst-nb shows what it does not know: a few lines that card.py and figures.py share.

myst-nb takes renderers of outputs from entry points of installed packages. Ours belong to this
book, so they are put beside those. A renderer gets an output and a chance to turn it into nodes;
None leaves it to the next one.
"""

from collections.abc import Callable

from docutils import nodes
from myst_nb.core import render


def add_renderer(app, handle: Callable, *mime_types: str) -> None:
    """Ask ``handle(renderer, data)`` first, and prefer these kinds of output to plain text."""
    known = render.load_mime_renders

    class Renderer:
        mime_priority_overrides = ()

        @staticmethod
        def handle_mime(renderer, data, inline):
            return None if inline else handle(renderer, data)

    render.load_mime_renders = lambda: [Renderer, *known()]
    first = [("*", mime_type, 1) for mime_type in mime_types]
    app.config.nb_mime_priority_overrides = [*app.config.nb_mime_priority_overrides, *first]


def inline_nodes(renderer, text: str, line: int | None) -> list[nodes.Node]:
    """One line of Markdown with its mathematics and links, as the chapter itself is read."""
    data = render.MimeData("text/markdown", " ".join(text.split()), line=line)
    return renderer._render_markdown_base(data, fmt="myst", inline=True)
