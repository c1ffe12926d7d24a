"""The built site: it asks nobody else for anything, no link leads nowhere, formulas can show,
and its pages show the argument and fold the evidence. What only a browser sees: tests/browser.

``make test`` builds the site just before and says where it is in ATTNLIB_SITE. Run by hand
without that, these tests are skipped; with it, a missing site is a failure.
"""

import gc
import gzip
import json
import os
import re
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag
from helpers import script

import attnlib
from attnlib.evidence.ledger import CLAIMS, load_claims, stored_records, stored_values

told = script("chapters", "book/_ext")  # what chapters say of themselves
formal = script("formal", "book/_ext")  # what a machine has proved

pytestmark = pytest.mark.skipif(
    "ATTNLIB_SITE" not in os.environ, reason="`make test` builds the site and sets ATTNLIB_SITE"
)

# Attributes that make a browser fetch something as soon as the page is shown.
LOADS = ("src", "srcset", "poster", "data", "background", "xlink:href")
# <link> of these kinds is for people to follow; every other kind is fetched, or prepared for.
FOLLOWED = {"next", "prev", "index", "search", "author", "license", "canonical", "help"}
# Hosts that scripts name without ever asking them: those of XML namespaces.
NAMED_ONLY = {"www.w3.org"}


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
    with no_collecting():  # of 170 000 tags, which all stay
        return {f: BeautifulSoup(plain(f.read_text("utf-8")), "html.parser") for f in files}


@contextmanager
def no_collecting():
    gc.disable()
    yield
    gc.enable()


def plain(html: str) -> str:
    """Without the colours of code and bold names, which are most of what there is to parse."""
    html = re.sub(r'<span class="(?!qed)\w{1,3}">([^<]*)</span>', r"\1", html)
    return re.sub(r"<b>([^<]*)</b>", r"\1", html)


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


@cache
def loaded(path: Path) -> list[str]:
    """Every URL that showing the page makes a browser fetch."""
    urls = []
    for tag in pages()[path].find_all(True):
        has = tag.attrs
        urls += [has[a] for a in LOADS if a != "srcset" and a in has]
        urls += [part.split()[0] for part in has.get("srcset", "").split(",") if part.strip()]
        urls += css_urls(has.get("style", ""))
        if tag.name == "style":
            urls += css_urls(tag.string or "")
        if tag.name == "meta" and has.get("http-equiv", "").lower() == "refresh":
            urls.append(has["content"].partition("url=")[2])
        followed = tag.name == "link" and FOLLOWED & set(has.get("rel", []))
        if tag.name in ("link", "use", "image", "base") and not followed:
            urls += [has["href"]] if "href" in has else []
    return urls


@cache
def by_id(path: Path) -> dict[str, Tag]:
    """What a page's anchors lead to: one walk instead of one for each."""
    return {tag["id"]: tag for tag in pages()[path].find_all(id=True)}


def test_there_are_pages():
    assert {"book/index.html", "book/claims.html", "search.html"} <= set(map(name, pages()))
    chapters = {claim["chapter"] for claim in load_claims().values()}
    assert {f"notebooks/{chapter}.html" for chapter in chapters} <= set(map(name, pages()))


def test_no_page_loads_anything_from_elsewhere():
    asked = [(name(p), url) for p in pages() for url in loaded(p)]
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
    assert {n for n in named if n[1] not in NAMED_ONLY} == set()


def test_every_link_within_the_site_leads_somewhere():
    anchors = {
        p: {t[a] for a in ("id", "name") for t in page.find_all(attrs={a: True})}
        for p, page in pages().items()
    }
    broken, followed = [], 0
    for p, page in pages().items():
        for url in [tag["href"] for tag in page.find_all("a", href=True)] + loaded(p):
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


# The entries of today stood on one page once.
MOVED_ANCHORS = OLD_ANCHORS | {
    anchor: anchor
    for anchor in ("module-attnlib.softmax", "attnlib.softmax.softmax_vjp",
                   "attnlib.evidence.block.Claim.agrees", "attnlib.pruning.task.draw")
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), MOVED_ANCHORS.items(), ids=MOVED_ANCHORS)
def test_an_old_anchor_of_the_package_leads_to_the_entry(old, new):
    """It stands on a link of the index, and on the entry itself in the page that this names."""
    (link,) = {tag.find_parent("a") or tag for tag in index_of_package().find_all(id=old)}
    assert link.name == "a"
    page = pages()[site() / "book" / urlsplit(link["href"]).path]
    places = page.find_all(id=old)
    assert [p["id"] if old == new else p.parent.get("id") for p in places] == [new]


@pytest.mark.parametrize("old", ["check-head-cross-entropy", "thm-order-pinsker"])
def test_an_old_anchor_of_a_part_that_moved_stands_on_the_link_to_it(old):
    """Comparing heads was in the chapter on order, and is in that on pruning."""
    ordering, pruning = (pages()[site() / "notebooks" / f"{name}.html"]
                         for name in ("ordering", "pruning"))  # fmt: skip
    section = ordering.find(id=old).find_parent("section")
    assert "Comparing heads" in section.h3.text
    assert section.find("a", href="pruning.html#comparing-heads")
    assert pruning.find(id="comparing-heads").find_parent("section").find(id=old)


@pytest.mark.parametrize("old", ["check-label-smoothing", "thm-tr-embedding", "equation-eq-tr-gap"])
def test_an_old_anchor_of_training_stands_on_the_link_to_it(old):
    """Training was a part of the chapter on the Transformer, and has one of its own."""
    transformer, training = (pages()[site() / "notebooks" / f"{name}.html"]
                             for name in ("transformer", "training"))  # fmt: skip
    section = transformer.find(id=old).find_parent("section")
    assert section.find("a", href="training.html")
    assert training.find(id=old)


def index_of_package():
    return pages()[site() / "book" / "api.html"].select_one("dl.module-index")


def test_the_index_of_the_package_is_read_without_a_script():
    """One line for each module, with its chapter and links to all that it offers."""
    modules = [tag.text.strip() for tag in index_of_package().find_all("dt")]
    assert modules[0] == "attnlib.softmax"
    assert modules.count("attnlib.two_heads") == 1
    entries = index_of_package().find_all("dd")
    assert all(len(words(entry.p)) > 40 for entry in entries)
    said = dict(zip(modules, entries, strict=True))["attnlib.softmax"]
    assert said.p.a["href"] == "../notebooks/softmax.html"
    assert {f"softmax.{a.text}" for a in said.select(".entries a")} == {
        f"softmax.{name}" for name in attnlib.softmax.__all__}  # fmt: skip


def test_what_a_docstring_says_of_claims_leads_to_the_ledger():
    page = pages()[site() / "book/api/softmax.html"]
    function = page.find(id="attnlib.softmax.jacobian_norm_bounds").parent
    links = {a.text: a["href"] for a in function.dd.find_all("a", href=True)}
    assert links["softmax-lipschitz"] == "../claims.html#claim-softmax-lipschitz"
    source = function.dt.find("a", string=re.compile("source")) or function.dt.select_one(
        "a:has(.viewcode-link)")  # fmt: skip
    code = pages()[(site() / "book/api" / urlsplit(source["href"]).path).resolve()]
    assert "def jacobian_norm_bounds" in code.find(id="jacobian_norm_bounds").text
    listed = {a.text for a in page.select(".claims-of-chapter a")}
    assert listed == {id for id, claim in load_claims().items() if claim["chapter"] == "softmax"}


def test_pages_of_source_are_not_searched():
    assert [doc for doc in index()["docnames"] if "_modules" in doc] == []


def test_every_claim_is_in_the_ledger_and_links_to_its_check():
    ledger = site() / "book" / "claims.html"
    links = {tag["href"] for tag in pages()[ledger].find_all("a", href=True)}
    for id, claim in load_claims().items():
        anchor = id.lower()  # as Sphinx writes it
        assert f"claim-{anchor}" in by_id(ledger), f"{id} is not in the ledger"
        assert f"../notebooks/{claim['chapter']}.html#check-{anchor}" in links


def test_formulas_find_mathjax_and_its_fonts():
    with_math = {p: page for p, page in pages().items() if page.find(class_="math")}
    assert len(with_math) > 2
    mathjax = site() / "_static" / "mathjax"
    for p, page in with_math.items():
        sources = [urlsplit(tag["src"]).path for tag in page.find_all("script", src=True)]
        assert any(s.endswith("_static/mathjax/startup.js") for s in sources), name(p)
        config = next(s.string for s in page.find_all("script") if "window.MathJax" in s.text)
        parts = re.search(r'"load": \[([^]]*)\]', config)[1]
        assert all((mathjax / f"{part}.js").is_file() for part in re.findall(r'"(.*?)"', parts))
    fonts = re.findall(r"MathJax_[\w-]+\.woff", (mathjax / "output/chtml.js").read_text("utf-8"))
    stored = {f.name for f in (mathjax / "output/chtml/fonts/woff-v2").glob("*.woff")}
    assert fonts
    assert set(fonts) <= stored
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


# -- the front page ---------------------------------------------------------------------------

ORDER = [chapter for part in told.parts().values() for chapter in part]
LINES = {chapter: told.line(told.cells(chapter)) for chapter in ORDER}


def front(selector):
    return pages()[site() / "book" / "index.html"].select(selector)


def leads_to_chapter(link):
    return Path(urlsplit(link["href"]).path).stem


def test_the_map_links_to_every_chapter_in_order_and_says_what_it_builds_on():
    items = front(".chapter-map .plane > ol > li")
    assert [leads_to_chapter(item.a) for item in items] == ORDER
    names = {chapter: told.title(told.cells(chapter)) for chapter in ORDER}
    for chapter, item in zip(ORDER, items, strict=True):
        after = " and ".join(names[need] for need in LINES[chapter].builds_on)
        hours = told.as_hours(LINES[chapter].minutes)
        assert words(item) == f"{names[chapter]} {hours}" + f", builds on {after}" * bool(after)


@pytest.mark.parametrize("kind", ["wide", "narrow"])
def test_the_lines_of_the_map_are_the_links_of_the_chapters(kind):
    drawn = [
        tuple(re.sub("^(from|to)-", "", name) for name in path["class"][:2])
        for path in front(f".chapter-map svg.{kind} path")
    ]
    wanted = [(need, chapter) for chapter in ORDER for need in LINES[chapter].builds_on]
    assert sorted(drawn) == sorted(wanted)
    assert len(set(drawn)) == len(drawn) > 15


def test_routes_say_their_chapters_in_order_and_sum_their_minutes():
    whole, *routes = front(".routes > .route")
    assert len(routes) == 3
    total = sum(line.minutes for line in LINES.values())
    assert words(whole) == f"All of it {len(ORDER)} chapters, {told.as_hours(total)}"
    for number, route in enumerate(routes, 1):
        links = route.select("a[href*='notebooks/']")
        chapters = [leads_to_chapter(link) for link in links]
        assert chapters == [chapter for chapter in ORDER if chapter in chapters]
        hours = told.as_hours(sum(LINES[chapter].minutes for chapter in chapters))
        assert route.select_one(".minutes").text == f"{len(chapters)} chapters, {hours}"
        lit = [leads_to_chapter(item.a) for item in front(f".plane li.on-{number}")]
        assert lit == chapters
        if number < 3:  # the third is for who knows the subject
            assert {need for c in chapters for need in LINES[c].builds_on} <= set(chapters)


def test_each_chapter_has_a_card_with_its_minutes_and_mostly_a_picture():
    cards = front(".chapter-cards > li")
    assert [leads_to_chapter(card.a) for card in cards] == ORDER
    for chapter, card in zip(ORDER, cards, strict=True):
        assert card.select_one(".card-title .minutes").text == told.as_hours(LINES[chapter].minutes)
        assert 40 < len(words(card.select("p")[1])) < 140
    pictures = [card.select_one(".thumbnail") for card in cards]
    assert all(picture["aria-hidden"] == "true" for picture in pictures if picture)
    assert sum(map(bool, pictures)) > 0.8 * len(cards)


# -- the argument, and the evidence folded -----------------------------------------------------

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
DRAWINGS = Path(__file__).parents[1] / "book" / "drawings"
CHAPTERS = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
chapters = pytest.mark.parametrize("chapter", CHAPTERS)


@cache
def chapter_page(chapter):
    return pages()[site() / "notebooks" / f"{chapter}.html"].find("article")


def words(tag):
    return " ".join(tag.get_text().split())


def typed(text):
    """A text without what typography changes."""
    return re.sub("[\"'’“”]", "", text).replace("…", "...")


@chapters
def test_every_claim_block_is_a_card_with_its_evidence(chapter):
    article = chapter_page(chapter)
    records = stored_records(NOTEBOOKS / f"{chapter}.ipynb")
    assert records
    assert len(article.select(".claim-card")) == len(records)
    for record in records:
        claim, compared = load_claims(CLAIMS)[record["id"]], record["comparisons"]
        card = article.find(id=f"check-{record['id'].lower()}").select_one(".claim-card")
        head = card.select_one(".claim-head")
        assert head.select_one(".verdict").text == claim["verdict"]
        assert head.a["href"].endswith(f"claims.html#claim-{record['id'].lower()}")
        assert len(card.select(":scope > p .math")) == claim["statement"].count("$") / 2
        evidence = card.select_one(":scope > details.evidence")
        rejected = [wrong for c in compared for wrong in c["rejects"]]
        numbers = [int(n) for n in re.findall(r"\d+", evidence.summary.text)]
        assert numbers == [len(compared), len(rejected)]
        said = words(evidence.select_one(".comparisons"))
        shown = [t for c in compared for t in (c["what"], c["tolerance"], c["why"], c["window"])]
        for text in shown + [wrong["name"] for wrong in rejected]:
            assert " ".join(re.sub("[\"'’“”]", "", text).split()) in re.sub("[\"'’“”]", "", said)
        assert "with claim(" in evidence.select_one("details.code").text


def test_what_a_machine_has_proved_stands_on_its_page_in_the_ledger_and_on_the_cards():
    page, ledger = (by_id(site() / "book" / f"{name}.html") for name in ("proofs", "claims"))
    cards = "".join(str(chapter_page(c).select(".claim-head")) for c in CHAPTERS)
    assert formal.proved()
    for id, found in formal.proved().items():
        target = f"proofs.html#proved-{id.lower()}"
        section = page[f"proved-{id.lower()}"].find_parent("section")
        assert found.phrase in section.text
        assert len(section.select("pre")) == len(found.theorems)
        # Markup may eat what looks like a tag, such as <W, G>.
        assert [
            t["name"] for t in found.theorems if typed(t["words"]) not in typed(words(section))
        ] == []
        entry = ledger[f"claim-{id.lower()}"]
        assert (
            entry.select_one(f'a[href="{target}"]').find_parent("p").text.startswith(found.phrase)
        )
        stated = entry.select_one("details.formal").text
        assert [t for t in found.theorems if f"Theorem {t['name']} :" not in stated] == []
        assert f'book/{target}">' in cards


def test_every_theorem_leads_to_its_proof_and_every_sentence_of_it_to_its_goals():
    """In the ledger and on the page of proofs; the search of prose leaves these pages out."""
    targets = {f"proofs/{theorem['file']}.html#{formal.anchor(theorem['name'])}"
               for theorem in formal.result()["theorems"]}  # fmt: skip
    for name in ("proofs", "claims"):
        links = pages()[site() / "book" / f"{name}.html"].find_all("a", href=True)
        assert targets - {link["href"] for link in links} == set()
    for path in sorted((formal.PROOFS / "goals").glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        page = site() / "book" / "proofs" / f"{path.stem}.html"
        assert page.is_file() == bool(told["proofs"])
        for proof in told["proofs"]:
            section = by_id(page)[formal.anchor(proof["name"])]
            goals = [step for step in proof["steps"] if len(step) > 2]
            opens = section.find("details", class_="script").find_all("details", class_="step")
            assert len(opens) == len(goals)
            shown = opens[-1].find(class_="goals").find("p", recursive=False)
            assert shown.text == told["lines"][goals[-1][3][0]]
    assert [doc for doc in index()["docnames"] if doc.startswith("book/proofs/")] == []


def test_a_page_of_proofs_is_no_heavier_than_others():
    for page in (site() / "book" / "proofs").glob("*.html"):
        assert len(gzip.compress(page.read_bytes())) < 120_000, page.name


@chapters
def test_what_answers_an_exercise_is_folded_below_it(chapter):
    """One fold for its checker and its solutions, in this order; a solution alone folds itself."""
    article = chapter_page(chapter)
    checkers = [c for c in article.select("div.cell") if "@check_answer" in c.get_text()]
    assert checkers
    for cell in [*checkers, *article.select("details.solution")]:
        fold = cell.find_parent("details", class_="answers")
        asked = fold or cell.find_parent("div", class_="solution")
        assert "exercise" in asked.find_previous_sibling(["div", "details"])["class"]
        assert fold or cell not in checkers
    for fold in article.select("details.answers"):
        assert fold.select("details.solution")
        assert not fold.has_attr("open")


@chapters
def test_code_is_folded_by_what_it_is_for(chapter):
    cells = chapter_page(chapter).select("div.cell")
    assert len(cells) > 10
    for cell in cells:
        for code in cell.select("div.cell_input"):
            text = code.text
            for_readers = not (
                re.match(r"\s*(import|from) ", text)
                or "with claim(" in text
                or "@check_answer" in text
                or cell.find("figure")
            )
            assert for_readers or code.find_parent("details"), text
    unfolded = [
        c for c in cells for i in c.select("div.cell_input") if not i.find_parent("details")
    ]
    assert unfolded  # something is left to be read


@chapters
def test_what_the_text_quotes_is_not_printed(chapter):
    values = [
        pair for shown in stored_values(NOTEBOOKS / f"{chapter}.ipynb") for pair in shown.items()
    ]
    printed = [words(out) for out in chapter_page(chapter).select("div.cell_output div.output")]
    lines = {f"{key} = {float(value):.4g}" for key, value in values}
    assert [line for line in lines if line in printed] == []


@chapters
def test_every_figure_has_a_numbered_caption(chapter):
    article = chapter_page(chapter)
    images = article.select("div.cell_output img")
    for image in images:
        figure = image.find_parent("figure")
        number = figure.figcaption.select_one(".caption-number").text.split()
        assert number[0] == "Figure"
        assert re.fullmatch(r"\d+\.\d+", number[1])
        assert len(words(figure.figcaption)) > 40
        assert figure["id"]
        assert image["loading"] == "lazy"
        assert int(image["width"]) > int(image["height"]) / 3 > 0
    numbers = [f.select_one(".caption-number").text for f in article.select("figure.cell-figure")]
    assert len(set(numbers)) == len(numbers) == len(images)


@cache
def images(path):
    return [img["src"] for img in pages()[path].find_all("img")]


@pytest.mark.parametrize("drawing", sorted(DRAWINGS.glob("*.svg")), ids=lambda path: path.stem)
def test_a_drawing_is_a_part_of_its_page(drawing):
    """Inline, so that it takes the colours of the page; an <img> would not."""
    id = f"fig-{drawing.stem.replace('_', '-')}"
    (figure,) = [by_id(p)[id] for p in pages() if id in by_id(p)]
    assert figure.name == "figure"
    assert "drawing" in figure["class"]
    assert figure.svg["role"] == "img"
    assert len(figure.svg["aria-label"]) > 200
    assert re.fullmatch(r"Figure \d+\.\d+", words(figure.select_one(".caption-number")))
    assert len(words(figure.figcaption)) > 80
    assert figure.figcaption.find("em") is None
    assert not [url for p in pages() for url in images(p) if drawing.stem in url]


@chapters
def test_proofs_end_with_a_mark_and_long_ones_are_folded(chapter):
    proofs = [
        p for p in chapter_page(chapter).select("div.proof") if not p.select(".admonition-title")
    ]
    for proof in proofs:
        assert words(proof).startswith("Proof.")
        assert [mark.text for mark in proof.select(".qed")] == ["∎"]
        assert words(proof).endswith("∎")
        rest = proof.select_one(":scope > details.proof-rest")
        if rest:
            first = words(proof.p)
            assert 20 < len(first) < 1000
            assert re.search(r"[.:?!]$", first)
        else:
            assert len(words(proof)) < 2500


@chapters
def test_the_first_use_of_a_term_links_to_the_glossary(chapter):
    """Once for each term, in running text, and with what it means at hand."""
    article = chapter_page(chapter)
    links = article.select("a.term")
    assert 0 < len(links) < 40
    targets = [link["href"] for link in links]
    assert len(set(targets)) == len(targets)
    assert [
        a for a in links if a.find_parent(["h1", "h2", "h3", "h4", "figcaption", "table"])
    ] == []
    shown = {template["data-for"] for template in article.find_all("template")}
    assert set(targets) <= shown


@chapters
def test_minutes_count_what_the_page_shows(chapter):
    """The rule counts in the notebook. What it counts is what is open on the page."""
    counted = told.reading(told.cells(chapter))
    article = BeautifulSoup(str(chapter_page(chapter)), "html.parser")
    unread = "details, svg, .headerlink, .toctree-wrapper, .prev-next-footer, #exercises, "
    for tag in article.select(unread + "#for-the-expert, [class^=explore-]"):
        tag.decompose()
    code = [line for pre in article.select("div.cell_input pre") for line in pre.text.splitlines()]
    assert counted.lines == sum(bool(line.strip()) for line in code)
    assert counted.formulas == len(article.select("div.math"))
    for tag in article.select("div.cell_input, div.cell_output pre, div.math"):
        tag.decompose()
    for formula in article.select("span.math"):
        formula.replace_with("x")
    seen = sum(any(map(str.isalnum, word)) for word in article.get_text().split())
    assert 0.95 * seen < counted.words < 1.01 * seen  # verdicts, and captions from metadata


def test_pages_are_light():
    """What a page names itself, and MathJax with two fonts. The browser weighs exactly."""
    fonts = ("Main", "Math-Italic")
    folder = site() / "_static/mathjax"
    formulas = [
        folder / f"{p}.js" for p in ("core", "input/tex", "output/chtml", "output/chtml/fonts/tex")
    ]
    formulas += [
        folder / f"output/chtml/fonts/woff-v2/MathJax_{f}{'' if '-' in f else '-Regular'}.woff"
        for f in fonts
    ]

    @cache
    def weight(path):
        return len(gzip.compress(path.read_bytes(), 6))

    for p in pages():
        named = {(p.parent / unquote(urlsplit(u).path)).resolve() for u in loaded(p)
                 if not u.startswith("data:")}  # fmt: skip
        total = sum(map(weight, {p, *filter(Path.is_file, named), *formulas}))
        most = 350_000 if name(p) == "book/index.html" else 700_000
        assert total < most, f"{name(p)}: {total} bytes"


def test_only_the_search_page_loads_its_index():
    loads = [
        name(p) for p, page in pages().items() if page.find("script", src=re.compile("searchindex"))
    ]
    assert loads == ["search.html"]
    scripts = {Path(urlsplit(u).path).name for p in pages() for u in loaded(p)}
    assert "fontawesome.js" not in scripts
    assert not list(site().rglob("fa-solid-900*"))
