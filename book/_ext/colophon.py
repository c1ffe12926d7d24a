"""Foot and head of every page: version, date, licence, how to cite; description for previews.

All of it comes from CITATION.cff and the package. ``book_repository`` in _config.yml is the one
setting: where the source lives. With it the header has buttons that lead there, and launch
buttons; without it there are none.
"""

import os
import re
import time
from html import escape
from pathlib import Path

import yaml
from docutils import nodes

from attnlib import __version__

CITATION = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text(encoding="utf-8"))
LAUNCH = {"binderhub_url": "https://mybinder.org", "colab_url": "https://colab.research.google.com"}
LONGEST = 200  # characters of a description: what previews show


def configure(app, config) -> None:
    options = config.html_theme_options
    # As reproducible builds have it, or today.
    built = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    names = ", ".join(author["name"] for author in CITATION["authors"])
    cite = f"{names} ({built.tm_year}). <em>{CITATION['title']}</em>, version {__version__}."
    where = config.book_repository
    if where:
        cite += f' <a href="{escape(where)}">{escape(where)}</a>.'
        options.update(repository_url=where, repository_branch="main")
        options.update(use_repository_button=True, use_issues_button=True)
        options["launch_buttons"] = options.get("launch_buttons", {}) | LAUNCH
    options["extra_footer"] = (
        f"<p>Version {__version__}, {time.strftime('%-d %B %Y', built)}. "
        f"{CITATION['license']} licence. Cite as: {cite}</p>"
    )


def describe(app, pagename, templatename, context, doctree) -> None:
    """Title and first sentences of the page, for search engines and for links in messages."""
    first = doctree.next_node(nodes.paragraph) if doctree else None
    text = re.sub(r"\s+", " ", first.astext()).strip() if first else CITATION["abstract"].strip()
    if len(text) > LONGEST:
        text = text[:LONGEST].rpartition(" ")[0] + " …"
    tags = {
        "description": ("name", text),
        "og:title": ("property", re.sub("<[^>]*>", "", context.get("title", CITATION["title"]))),
        "og:description": ("property", text),
        "og:type": ("property", "article"),
        "og:site_name": ("property", CITATION["title"]),
    }
    context["metatags"] = context.get("metatags", "") + "".join(
        f'\n<meta {kind}="{name}" content="{escape(value)}">'
        for name, (kind, value) in tags.items()
    )


def setup(app):
    app.add_config_value("book_repository", "", "html")
    app.connect("config-inited", configure)
    app.connect("html-page-context", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
