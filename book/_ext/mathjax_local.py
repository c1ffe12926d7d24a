"""Serve MathJax from the site itself, so that formulas show offline and nobody is tracked.

The package sphinx-mathjax-offline brings MathJax 3.2.2. Its own extension copies all of it,
24 MB; a page needs the three parts below, 2.2 MB. They must not lie in a source ``_static``
folder: Jupyter Book loads every script it finds there on every page.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

PARTS = ("tex-chtml.js", "input/tex/extensions", "output/chtml/fonts/woff-v2")


def copy_mathjax(app):
    if app.builder.format != "html":
        return
    source = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / part, target / part)


def setup(app):
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("builder-inited", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
