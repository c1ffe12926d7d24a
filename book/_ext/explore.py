"""A page whose figure moves loads what draws it, and no other page does.

The topic of the page is the name of its script: ``_static/explore/softmax.js``, which needs
``_static/explore/kit.js`` before it.
"""

from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "_static" / "explore"


def add_figure(app, pagename, templatename, context, doctree) -> None:
    topic = pagename.rpartition("/")[2]
    if "explore-" in context.get("body", "") and (SCRIPTS / f"{topic}.js").exists():
        for name in ("kit", topic):
            app.add_js_file(f"explore/{name}.js", loading_method="defer")


def setup(app):
    app.connect("html-page-context", add_figure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
