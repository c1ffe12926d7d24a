"""book/_ext: what the pages are made with, on small documents."""

import re
import subprocess
import sys

import jupytext
import nbformat
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from helpers import ROOT
from sphinx.errors import ConfigError

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import colophon
import fold
import terms

TARGETS = {"mask": "m", "causal mask": "c", "KV cache": "kv", "query": "q", "key": "q",
           "singular values": "s", "Zipf's law": "z", "share": "h"}  # fmt: skip


def paragraph(*parts):
    """Of strings, and of nodes made of one."""
    return nodes.paragraph("", "", *(nodes.Text(p) if isinstance(p, str) else p for p in parts))


def linked(*blocks):
    """What becomes a link in a document of these blocks, in the order of the links."""
    document = new_document("chapter")
    document += [paragraph(b) if isinstance(b, str) else b for b in blocks]
    before = document.astext()
    found = terms.link_first_uses(
        document, TARGETS, lambda target, text: nodes.inline("", text, classes=["term", target])
    )
    assert document.astext() == before
    links = [n for n in document.findall(nodes.inline) if "term" in n["classes"]]
    assert sorted(found) == sorted(n["classes"][1] for n in links)
    return [n.astext() for n in links]


def bold(text):
    return nodes.strong("", text)


@pytest.mark.parametrize(
    ("blocks", "links"),
    [
        (["A mask hides.", "A mask hides."], ["mask"]),
        (["A causal mask is a mask, and a mask is not causal."], ["causal mask", "mask"]),
        (["A causal\nmask."], ["causal\nmask"]),
        (["The query meets a key."], ["query"]),  # one entry
        (["Masks and queries."], ["Masks", "queries"]),
        (["One singular value."], ["singular value"]),
        (["Zipf’s law."], ["Zipf’s law"]),
        (["A kv cache, a KV cache"], ["KV cache"]),
        (["Unmasked, masked, mask-like, query–mask."], []),
        ([paragraph("x", nodes.literal("", "mask"), nodes.math("", "mask"))], []),
        ([nodes.literal_block("", "mask")], []),
        ([paragraph(nodes.reference("", "mask"), " and a mask")], ["mask"]),
        ([nodes.title("", "A mask"), nodes.caption("", "A mask")], []),
        ([paragraph("They share a ", bold("share"), ".")], ["share"]),
        (["They share it."], []),
        ([paragraph(bold("What a mask does."), " A key.")], ["key"]),
        ([paragraph("A ", bold("mask"), " is a mask")], ["mask"]),
        ([nodes.table("", paragraph("mask"))], []),
    ],
    ids=lambda v: " | ".join(map(str, v)),
)
def test_the_first_use_of_a_term_is_linked(blocks, links):
    assert linked(*blocks) == links


def test_what_is_folded_comes_last():
    folded = fold.folded("Proof", paragraph("A mask, a query."), kind="proof-rest")
    assert linked(folded, "A mask.") == ["query", "mask"]
    document = new_document("chapter")
    document += [
        fold.folded("Proof", paragraph("A mask."), kind="proof-rest"),
        paragraph("A mask."),
    ]
    assert [text.astext() for text in terms.running_text(document)] == ["A mask.", "A mask."]
    terms.link_first_uses(document, TARGETS, lambda target, text: nodes.emphasis("", text))
    assert not list(document[0].findall(nodes.emphasis))
    assert list(document[1].findall(nodes.emphasis))


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("query, key, value (查询, 键, 值)", ["query", "key", "value"]),
        ("leak", ["leak"]),
        ("rotary positions, RoPE (旋转位置编码)", ["rotary positions", "RoPE"]),
    ],
)
def test_names_of_a_term(title, names):
    assert terms.names_of(title) == names


def test_exceptions_are_names_of_terms():
    glossary = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8").splitlines()
    known = {name for line in glossary for name in terms.names_of(line)}
    assert terms.EVERYDAY | set(terms.ELSEWHERE) <= known
    chapters = {path.stem for path in ROOT.glob("notebooks/*.md")}
    assert set().union(*terms.ELSEWHERE.values()) <= chapters


# -- what a fork switches on ---------------------------------------------------------------------

CONF = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "book" / "_ext")!r}]
extensions = ["myst_nb", "colophon"]
html_theme = "sphinx_book_theme"
nb_execution_mode = "off"
root_doc = "book/index"
"""


@pytest.fixture
def build(tmp_path):
    """Builds a book of a page and a chapter into ``tmp_path / "site"``."""
    source = tmp_path / "source"
    for folder in ("book", "notebooks"):
        (source / folder).mkdir(parents=True)
    (source / "conf.py").write_text(CONF, encoding="utf-8")
    text = "# A\n\n```{toctree}\n/notebooks/softmax\n```\n"
    (source / "book" / "index.md").write_text(text, encoding="utf-8")
    chapter = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# B")])
    chapter.metadata.kernelspec = {
        "name": "python3",
        "display_name": "Python",
        "language": "python",
    }
    jupytext.write(chapter, source / "notebooks" / "softmax.ipynb")

    def run(repository):
        options = ["-q", "-W", "-D", f"book_repository={repository}"]
        return subprocess.run(
            [sys.executable, "-m", "sphinx", *options, source, tmp_path / "site"],
            capture_output=True, text=True,
        )  # fmt: skip

    return run


@pytest.fixture
def buttons(build, tmp_path):
    """The links to elsewhere of the buttons of a chapter, by their text."""

    def links(repository):
        said = build(repository)
        assert said.returncode == 0, said.stderr
        html = (tmp_path / "site" / "notebooks" / "softmax.html").read_text(encoding="utf-8")
        header = BeautifulSoup(html, "html.parser").select_one(".article-header-buttons")
        found = {a.get_text(strip=True): a["href"] for a in header.find_all("a", href=True)}
        return {text: url for text, url in found.items() if url.startswith("http")}

    return links


@pytest.mark.slow  # a site of its own is built for it
def test_without_a_repository_no_button_leads_elsewhere(buttons):
    assert buttons("") == {}


def test_one_setting_switches_on_all_buttons(buttons):
    found = buttons("https://github.com/me/book.git/")
    issues = found.pop("Open issue")
    assert found == {
        "Binder": "https://mybinder.org/v2/gh/me/book/main?urlpath=lab/tree/notebooks/softmax.ipynb",
        "Repository": "https://github.com/me/book",
        "Show source": "https://github.com/me/book/blob/main/notebooks/softmax.md?plain=1",
        "Suggest edit": "https://github.com/me/book/edit/main/notebooks/softmax.md",
    }
    assert issues.startswith("https://github.com/me/book/issues/new?")


@pytest.mark.slow
def test_buttons_of_another_host(buttons):
    found = buttons("https://gitlab.com/me/book")
    where = "https://mybinder.org/v2/gl/me%2Fbook/main"
    assert found["Binder"] == f"{where}?urlpath=lab/tree/notebooks/softmax.ipynb"
    assert found["Suggest edit"] == "https://gitlab.com/me/book/-/edit/main/notebooks/softmax.md"


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="me/book begins with none of https://"):
        colophon.buttons("git@github.com:me/book")


def test_binder_installs_what_the_chapters_import():
    """Paths are those that pip sees in the root of the repository."""
    lines = (ROOT / ".binder" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    (constraints,) = (line.split()[1] for line in lines if line.startswith("-c "))
    assert (ROOT / ".binder" / constraints).resolve() == ROOT / "constraints.txt"
    assert "-e .[lab]" in lines
    python = (ROOT / ".binder" / "runtime.txt").read_text(encoding="utf-8").strip()
    workflow = (ROOT / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8")
    assert python == "python-" + re.search(r'python-version: "([\d.]+)"', workflow)[1]


def test_every_button_has_an_icon():
    """The theme's own icons are left out, so one that nobody drew is a black square."""
    drawn = (ROOT / "book" / "_static" / "icons.css").read_text(encoding="utf-8")
    for name in ("rocket", "code", "pencil-alt", "lightbulb", "chevron-down"):
        assert f".fa-{name} {{ --icon:" in drawn
    assert ".fab { --icon:" in drawn  # of every host
