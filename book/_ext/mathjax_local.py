"""Serve MathJax from the site itself, so that formulas show offline and nobody is tracked.

The package sphinx-mathjax-offline brings MathJax 3.2.2. Its own extension copies all of it,
24 MB; a page needs the parts below, 2 MB. Left out is the menu: with it, every formula is a stop
of the tab key. formulas.js says when formulas are set. The parts must not lie in a source
``_static`` folder: Jupyter Book loads every script it finds there on every page.

A formula in a line stays together with the punctuation around it, where browsers would break.
"""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

LOADED = ["core", "input/tex", "output/chtml", "a11y/assistive-mml"]
PARTS = ("startup.js", *(f"{part}.js" for part in LOADED))
FOLDERS = ("input/tex/extensions", "output/chtml/fonts/woff-v2", "output/chtml/fonts/tex.js")


IN_LINE = re.compile(
    r'\(?(<span class="math notranslate nohighlight">\\\([^<]*\\\)</span>)(?:-?[.,;:!?)’”]+)?'
)


def copy_mathjax(app):
    if app.builder.format != "html":
        return
    source = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in (*PARTS, *FOLDERS):
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            shutil.copy2(source / part, target / part)


def unbroken(found: re.Match) -> str:
    return f'<span class="unbroken">{found[0]}</span>' if found[0] != found[1] else found[0]


def keep_together(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = IN_LINE.sub(unbroken, context["body"])


def setup(app):
    app.config.mathjax_path = "mathjax/startup.js"
    app.config.mathjax3_config = {"loader": {"load": LOADED}, "startup": {"typeset": False}}
    app.connect("builder-inited", copy_mathjax)
    app.connect("html-page-context", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
