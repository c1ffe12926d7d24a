"""Drop from the built site what no page uses: the theme's icon fonts with their script, and styles.

The few icons of the pages are drawn by icons.css. The script that draws the theme's own is half
a megabyte; templates/static/webpack-macros.html no longer asks for it. A style goes if every
selector of it needs a class that stands in no page and in no script.
"""

import re
import shutil
from pathlib import Path

UNUSED = ("scripts/fontawesome.js*", "vendor/fontawesome", "scripts/*.map", "styles/*.map")
STYLES = ("styles/*.css", "sphinx-design.min.css")
RULE = re.compile(r"(?<=[{}])([^{}@]+)\{[^{}]*\}")
NOISE = re.compile(r"/\*.*?\*/|@font-face\{[^{}]*Font ?Awesome[^{}]*\}", re.DOTALL)
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")


def slim(app, error):
    if error or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    for path in {path for pattern in UNUSED for path in static.glob(pattern)}:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    used = classes_in_use(Path(app.outdir))
    for path in [path for pattern in STYLES for path in static.glob(pattern)]:
        path.write_text(slimmer(path.read_text(encoding="utf-8"), used), encoding="utf-8")
    for path in static.glob("scripts/*.js"):
        script = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"//# sourceMappingURL=\S*", "", script), encoding="utf-8")


def classes_in_use(root: Path) -> set[str]:
    """Every class of a page, and every word of a script, which may be one."""
    used: set[str] = set()
    for page in root.rglob("*.html"):
        for names in re.findall(r'class="([^"]*)"', page.read_text(encoding="utf-8")):
            used.update(names.split())
    for script in root.glob("_static/**/*.js"):
        if "mathjax" not in script.parts:
            used.update(re.findall(r"[\w-]+", script.read_text(encoding="utf-8")))
    return used


def slimmer(css: str, used: set[str]) -> str:
    def kept(rule: re.Match) -> str:
        if "(" in re.sub(r":not\([^()]*\)", "", rule[1]):
            return rule[0]  # a choice among selectors: not taken apart here
        needed = [CLASS.findall(re.sub(r":not\([^()]*\)", "", s)) for s in rule[1].split(",")]
        return rule[0] if any(used.issuperset(names) for names in needed) else ""

    css = RULE.sub(kept, NOISE.sub("", css))
    return re.sub(r"@media[^{}]*\{\}", "", css)


def setup(app):
    app.connect("build-finished", slim)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
