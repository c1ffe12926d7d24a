"""Drop from the built site what no page uses: the theme's icon fonts and their script and style.

The few icons of the pages are drawn by icons.css. The script that draws the theme's own is half
a megabyte; templates/static/webpack-macros.html no longer asks for it.
"""

import re
import shutil
from pathlib import Path

ICON = r"\.fa[\w-]*(?:::?before)?"
RULES = [
    re.compile(rf"(?:{ICON},?)+\{{[^{{}}]*\}}"),  # the class of an icon, hundreds of them
    re.compile(r"@font-face\{[^{}]*(?:Font ?Awesome)[^{}]*\}"),
    re.compile(r"/\*# sourceMappingURL=[^*]*\*/"),
]
UNUSED = ("scripts/fontawesome.js*", "vendor/fontawesome", "scripts/*.map", "styles/*.map")


def drop(app, error):
    if error or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    for pattern in UNUSED:
        for path in static.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in static.glob("styles/*.css"):
        css = path.read_text(encoding="utf-8")
        for rule in RULES:
            css = rule.sub("", css)
        path.write_text(css, encoding="utf-8")
    for path in static.glob("scripts/*.js"):
        script = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"//# sourceMappingURL=\S*", "", script), encoding="utf-8")


def setup(app):
    app.connect("build-finished", drop)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
