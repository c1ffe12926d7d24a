"""Foot and head of every page: version, date, licence, how to cite; description for previews.

All of it comes from CITATION.cff and the package. ``book_repository`` in _config.yml is the one
setting: where the source lives, https://github.com/NAME/REPOSITORY or the same on GitLab. With it
the header has buttons that lead there, to the text of the page and to Binder, which opens a
chapter with all that .binder/requirements.txt names; without it there are none. Colab would open
a chapter too, but without the package that it imports.
"""

import os
import re
import time
from html import escape
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.errors import ConfigError

from attnlib import __version__

CITATION = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text(encoding="utf-8"))
HOSTS = ("https://github.com/", "https://gitlab.com/")  # the theme knows what their addresses mean
LAUNCH = {"binderhub_url": "https://mybinder.org", "notebook_interface": "jupyterlab"}
LONGEST = 200  # characters of a description: what previews show


def configure(app, config) -> None:
    options = config.html_theme_options
    # As reproducible builds have it, or today.
    built = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    names = ", ".join(author["name"] for author in CITATION["authors"])
    cite = f"{names} ({built.tm_year}). <em>{CITATION['title']}</em>, version {__version__}."
    if where := config.book_repository.strip().rstrip("/").removesuffix(".git"):
        cite += f' <a href="{escape(where)}">{escape(where)}</a>.'
        options.update(buttons(where))
    options["extra_footer"] = (
        f"<p>Version {__version__}, {time.strftime('%-d %B %Y', built)}. "
        f"{CITATION['license']} licence. Cite as: {cite}</p>"
    )


def buttons(where: str) -> dict:
    """The theme's options for buttons that lead to the repository and launch its notebooks."""
    if not where.startswith(HOSTS):
        raise ConfigError(f"book_repository: {where} begins with none of {', '.join(HOSTS)}")
    used = ("repository", "issues", "source", "edit_page")
    return {
        "repository_url": where,
        "repository_branch": "main",
        "launch_buttons": LAUNCH,
        **{f"use_{name}_button": True for name in used},
    }


def edit_the_text(app, pagename, templatename, context, doctree) -> None:
    """A chapter is edited in its .md, not in the notebook that is made of it."""
    for group in context.get("header_buttons", ()):
        for button in group.get("buttons", ()):
            if button.get("label") in ("source-file-button", "source-edit-button"):
                button["url"] = button["url"].replace(".ipynb", ".md")


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
    app.connect("html-page-context", edit_the_text, priority=900)  # when the theme has made them
    return {"parallel_read_safe": True, "parallel_write_safe": True}
