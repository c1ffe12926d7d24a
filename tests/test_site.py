"""The built site: it asks nobody else for anything, no link leads nowhere, formulas can show.

``make test`` builds the site just before and says where it is in ATTNLIB_SITE. Run by hand
without that, these tests are skipped; with it, a missing site is a failure.
"""

import json
import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

import attnlib
from attnlib.evidence.ledger import load_claims

pytestmark = pytest.mark.skipif(
    "ATTNLIB_SITE" not in os.environ, reason="`make test` builds the site and sets ATTNLIB_SITE"
)

# Attributes that make a browser fetch something as soon as the page is shown.
LOADS = ("src", "srcset", "poster", "data", "background", "xlink:href")
# <link> of these kinds is for people to follow; every other kind is fetched, or prepared for.
FOLLOWED = {"next", "prev", "index", "search", "author", "license", "canonical", "help"}
# Hosts that scripts name without ever asking them: XML namespaces, and the help text of a menu.
NAMED_ONLY = {"www.w3.org", "www.mathjax.org"}
# MathJax would ask this host for spoken formulas, if it could not find its own copy; it only
# looks for one when a reader switches speech on, and then it looks in the site.
MATHJAX_SPEECH = ("tex-chtml.js", "cdn.jsdelivr.net")


@cache
def site() -> Path:
    root = Path(os.environ["ATTNLIB_SITE"]).resolve()
    if not (root / "book" / "index.html").is_file():
        pytest.fail(f"there is no site in {root}: run `make test`, which builds it")
    return root


@cache
def pages() -> dict[Path, BeautifulSoup]:
    # The theme leaves fragments of templates in _static: no page links to them.
    files = [f for f in site().rglob("*.html") if "_static" not in f.relative_to(site()).parts]
    return {f: BeautifulSoup(f.read_text(encoding="utf-8"), "html.parser") for f in files}


def name(page: Path) -> str:
    return page.relative_to(site()).as_posix()


def is_elsewhere(url: str) -> bool:
    parts = urlsplit(url.strip())
    return bool(parts.netloc) or parts.scheme not in ("", "data")


def css_urls(css: str) -> list[str]:
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    quoted = r"""(?:"([^"]*)"|'([^']*)'|([^"')\s;]+))"""
    found = re.findall(rf"url\(\s*{quoted}\s*\)|@import\s+(?!url){quoted}", css)
    return [next(filter(None, groups), "") for groups in found]


def script_hosts(script: str) -> set[str]:
    return set(re.findall(r"""["'`](?:https?:|wss?:)?//([\w-]+(?:\.[\w-]+)+)""", script))


def loaded(page: BeautifulSoup) -> list[str]:
    """Every URL that showing the page makes a browser fetch."""
    urls = [tag[a] for a in LOADS for tag in page.find_all(attrs={a: True}) if a != "srcset"]
    for tag in page.find_all(srcset=True):
        urls += [part.split()[0] for part in tag["srcset"].split(",") if part.strip()]
    for tag in page.find_all("link", href=True):
        if not FOLLOWED & set(tag.get("rel", [])):
            urls.append(tag["href"])
    urls += [tag["href"] for tag in page.find_all(["use", "image", "base"], href=True)]
    for tag in page.find_all(attrs={"style": True}):
        urls += css_urls(tag["style"])
    for tag in page.find_all("style"):
        urls += css_urls(tag.string or "")
    for tag in page.find_all("meta", attrs={"http-equiv": re.compile("refresh", re.I)}):
        urls.append(tag["content"].partition("url=")[2])
    return urls


def test_there_are_pages():
    assert {"book/index.html", "book/claims.html", "search.html"} <= set(map(name, pages()))
    chapters = {claim["chapter"] for claim in load_claims().values()}
    assert {f"notebooks/{chapter}.html" for chapter in chapters} <= set(map(name, pages()))


def test_no_page_loads_anything_from_elsewhere():
    asked = [(name(p), url) for p, page in pages().items() for url in loaded(page)]
    assert len(asked) > 10 * len(pages())  # the search for URLs finds some
    assert [a for a in asked if is_elsewhere(a[1])] == []


def test_no_style_loads_anything_from_elsewhere():
    styles = list(site().rglob("*.css"))
    asked = [(name(s), url) for s in styles for url in css_urls(s.read_text(encoding="utf-8"))]
    assert asked
    assert [a for a in asked if is_elsewhere(a[1])] == []


def test_no_script_names_another_host():
    scripts = [(name(f), f.read_text(encoding="utf-8")) for f in site().rglob("*.js")]
    inline = [
        (name(p), s.string or "") for p, page in pages().items() for s in page.find_all("script")
    ]
    named = {(Path(f).name, host) for f, text in scripts + inline for host in script_hosts(text)}
    assert {host for _, host in named} & NAMED_ONLY  # the search for hosts finds some
    assert {n for n in named if n[1] not in NAMED_ONLY} <= {MATHJAX_SPEECH}


def test_every_link_within_the_site_leads_somewhere():
    anchors = {
        p: {t[a] for a in ("id", "name") for t in page.find_all(attrs={a: True})}
        for p, page in pages().items()
    }
    broken, followed = [], 0
    for p, page in pages().items():
        for url in [tag["href"] for tag in page.find_all("a", href=True)] + loaded(page):
            if is_elsewhere(url) or url.startswith("data:"):
                continue
            followed += 1
            parts = urlsplit(url)
            target = (p.parent / unquote(parts.path)).resolve() if parts.path else p
            fragment = unquote(parts.fragment)
            found = not fragment or target not in anchors or fragment in anchors[target]
            if not (target.is_file() and found):
                broken.append((name(p), url))
    assert followed > 10 * len(pages())
    assert broken == []


# Addresses that people have, and where they lead now.
OLD_PAGES = {"encoders": "layer_costs", "multihead": "two_heads"}
OLD_ANCHORS = {
    "module-attnlib.encoders": "module-attnlib.layer_costs",
    "attnlib.encoders.multiply_adds": "attnlib.layer_costs.SelfAttention.multiply_adds",
    "attnlib.encoders.path_length": "attnlib.layer_costs.SelfAttention.path_length",
    "attnlib.encoders.sequential_depth": "attnlib.layer_costs.SelfAttention.sequential_depth",
    "attnlib-multihead": "module-attnlib.two_heads",
    "module-attnlib.multihead": "module-attnlib.two_heads",
    "attnlib.multihead.weight_gap": "attnlib.two_heads.weight_gap",
    "attnlib.entropy.rectified_once": "attnlib.entropy.rectified",
    "attnlib.entropy.rectified_twice": "attnlib.entropy.rectified",
    "module-attnlib.checks": "module-attnlib.evidence.block",
    "attnlib.checks.claim": "attnlib.evidence.block.claim",
    "attnlib.checks.Claim.rejects": "attnlib.evidence.block.Claim",  # no such method any more
    "module-attnlib.claims": "module-attnlib.evidence.ledger",
    "attnlib.claims.load_claims": "attnlib.evidence.ledger.load_claims",
    "module-attnlib.answers": "module-attnlib.evidence.answers",
    "attnlib.answers.check_answer": "attnlib.evidence.answers.check_answer",
    "module-attnlib.search": "module-attnlib.evidence.search",
    "attnlib.search.laws": "attnlib.evidence.search.laws",
    "attnlib.search.rectified": "attnlib.entropy.sums_of_law",
    "module-attnlib.inputs": "module-attnlib._inputs",
    "attnlib.inputs.require_mask": "attnlib._inputs.require_mask",
}


@pytest.mark.parametrize(("old", "new"), OLD_PAGES.items(), ids=OLD_PAGES)
def test_an_old_address_of_a_page_leads_to_the_new_one(old, new):
    """Without scripts too. With them the part after # is kept, and every such part still exists."""
    page = pages()[site() / "notebooks" / f"{old}.html"]
    refresh = page.find("meta", attrs={"http-equiv": "refresh"})
    assert refresh["content"] == f"0; url={new}.html"
    assert "window.location.hash" in page.find("script").string
    assert pages()[site() / "notebooks" / f"{new}.html"].find("h1")


@pytest.mark.parametrize(("old", "new"), OLD_ANCHORS.items(), ids=OLD_ANCHORS)
def test_an_old_anchor_of_the_package_stands_on_the_new_entry(old, new):
    api = pages()[site() / "book" / "api.html"]
    assert [anchor.parent.get("id") for anchor in api.find_all(id=old)] == [new]


def test_every_claim_is_in_the_ledger_and_links_to_its_check():
    ledger = pages()[site() / "book" / "claims.html"]
    links = {tag["href"] for tag in ledger.find_all("a", href=True)}
    for id, claim in load_claims().items():
        anchor = id.lower()  # as Sphinx writes it
        assert ledger.find(id=f"claim-{anchor}"), f"{id} is not in the ledger"
        assert f"../notebooks/{claim['chapter']}.html#check-{anchor}" in links


def test_formulas_find_mathjax_and_its_fonts():
    with_math = {p: page for p, page in pages().items() if page.find(class_="math")}
    assert len(with_math) > 2
    for p, page in with_math.items():
        sources = [urlsplit(tag["src"]).path for tag in page.find_all("script", src=True)]
        assert any(s.endswith("_static/mathjax/tex-chtml.js") for s in sources), name(p)
    mathjax = site() / "_static" / "mathjax"
    fonts = set(re.findall(r"MathJax_[\w-]+\.woff", (mathjax / "tex-chtml.js").read_text("utf-8")))
    stored = {f.name for f in (mathjax / "output/chtml/fonts/woff-v2").glob("*.woff")}
    assert fonts
    assert fonts <= stored
    assert (mathjax / "input/tex/extensions/boldsymbol.js").is_file()


def test_every_image_is_described_in_words():
    images = [(name(p), i) for p, page in pages().items() for i in page.find_all("img")]
    for page, image in images:
        alt = image.get("alt", "")
        assert " " in alt.strip(), f"{page}: {image['src']} has the alt text {alt!r}"
        assert not re.search(r"\.(png|svg|jpe?g|gif|webp)$", alt), f"{page}: {alt!r}"


def test_no_page_shows_where_it_was_built():
    here = str(Path(__file__).resolve().parents[1])
    assert [name(p) for p in pages() if here in p.read_text(encoding="utf-8")] == []


# -- the search -----------------------------------------------------------------------------------


@cache
def index() -> dict:
    text = (site() / "searchindex.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))


def leads_to(entry: str) -> list[str]:
    """Page and anchor of the main entries of the index under a name."""
    found = index()["indexentries"].get(entry.lower(), [])
    return [f"{index()['docnames'][doc]}#{anchor}" for doc, anchor, main in found if main]


def test_the_id_of_a_claim_leads_to_its_entry_in_the_ledger():
    for claim in load_claims():  # some ids, such as dropout, are names of terms as well
        assert f"book/claims#claim-{claim.lower()}" in leads_to(claim)


@pytest.mark.parametrize(
    ("word", "term"),
    [("RoPE", "rotary-positions-RoPE"), ("KV cache", "KV-cache"), ("梯度", "gradient"),
     ("键", "query-key-value"), ("注意力权重", "attention-weights")],
)  # fmt: skip
def test_each_name_of_a_term_leads_to_the_glossary(word, term):
    assert leads_to(word) == [f"book/glossary#term-{term}"]


def test_chinese_words_are_found_within_others():
    pages_with = index()["terms"]["梯度"]
    assert len(pages_with) >= 3  # 梯度消失 and 梯度矩阵 hold it; no space sets it apart


# -- head and foot --------------------------------------------------------------------------------


def test_every_page_has_a_description_and_says_its_version_and_licence():
    for path, page in pages().items():
        if page.find("meta", attrs={"http-equiv": re.compile("refresh", re.I)}):
            continue  # an old address, which leads to the new one
        assert page.find("meta", attrs={"name": "description"})["content"], name(path)
        footer = page.find(class_="extra_footer").get_text()
        assert f"Version {attnlib.__version__}," in footer, name(path)
        assert "MIT licence. Cite as:" in footer, name(path)
