"""What a link to another page leads to travels with the page, for previews.js to show.

A theorem, an exercise or an equation of the same page is there already, and so is the card of a
claim of the same chapter. What stands on another page, works cited among it, is copied to the
end of the article as a ``<template>``, which a browser neither shows nor loads anything for. So
a preview needs no request, and works on pages opened from a disk.
"""

import os
import re
from pathlib import Path

LINK = re.compile(r'<a [^>]*?href="([^":#]+\.html)#([^"]+)"')
# What is worth a preview, by its address: claims, what is numbered, terms, works cited.
SHOWN = re.compile(r"(claim|thm|cor|prop|lem|def|ex|equation|fig|term)-|id\d+$")
OLD = re.compile(r"<template data-for=.*?</template>\n", re.DOTALL)  # of the last build
MATHJAX = "mathjax/startup.js"  # only pages with formulas of their own load it
TAG = re.compile(r"<(/?)(\w+)")


def write_templates(app, error):
    if error or app.builder.format != "html":
        return
    root = Path(app.outdir)
    pages = {path: path.read_text(encoding="utf-8") for path in root.rglob("*.html")
             if "_static" not in path.relative_to(root).parts}  # fmt: skip
    for path, html in pages.items():
        body, closing, rest = OLD.sub("", html).partition("</article>")
        made = []
        for page, id in sorted(set(LINK.findall(body))):
            target = Path(os.path.normpath(path.parent / page))
            here = id.startswith("claim-") and f'id="check-{id[6:]}"' in body
            if not SHOWN.match(id) or target not in pages or here or path.parent == root:
                continue  # at the root there are only lists of links
            copy = excerpt(pages[target], id)
            if MATHJAX in html or 'class="math' not in copy:
                made.append(f'<template data-for="{page}#{id}">{copy}</template>\n')
        new = "".join([body, *made, closing, rest])
        if new != html:
            path.write_text(new, encoding="utf-8")


def excerpt(html: str, id: str) -> str:
    """The element with this id, or the section that it begins; no links, no second use of ids."""
    at = html.find(f' id="{id}"')
    if at < 0:
        return ""
    start = html.rindex("<", 0, at)
    if html.startswith("<span", start):  # the target of a section, at its beginning
        start = html.rindex("<section", 0, start)
    if html.startswith("<details", start):  # an entry of the ledger: its line
        start = html.index("<summary", start)
    end = end_of_element(html, start)
    if html.startswith("<dt", start):  # a term: with what it means
        end = end_of_element(html, html.index("<dd", end))
    found = html[start:end].partition("<details")[0]
    found = found.replace("<summary", "<div").replace("</summary>", "</div>")
    found = re.sub(r"</?(?:a|section)\b[^>]*>", "", found.replace("¶", "").replace("#</a>", ""))
    return re.sub(r' id="[^"]*"', "", found)


def end_of_element(html: str, start: int) -> int:
    """Where the element that starts there ends: its tags open and close in pairs."""
    name = TAG.match(html, start)[2]
    depth = 0
    for tag in TAG.finditer(html, start):
        if tag[2] == name:
            depth += -1 if tag[1] else 1
            if depth == 0:
                return html.index(">", tag.start()) + 1
    return len(html)


def setup(app):
    app.connect("build-finished", write_templates)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
