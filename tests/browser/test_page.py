"""What a browser shows of the site: folds, previews, formulas, figures, focus, weight, access."""

import itertools
import os
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe

PAGES = [
    "book/index.html",
    "book/claims.html",
    "book/evidence.html",
    "book/proofs/two_heads.html",
    "book/api/softmax.html",
    "_modules/attnlib/softmax.html",
    "notebooks/softmax.html",
    "notebooks/ordering.html",
]
SOFTMAX = "notebooks/softmax.html"
WIDTHS = [1280, 375]
FOLDS = "article details.fold:not(.solution)"
CARD = "#check-softmax-lipschitz"

views = pytest.mark.parametrize(
    "view", list(itertools.product(PAGES, WIDTHS)), indirect=True, ids=lambda v: f"{v[0]}-{v[1]}"
)
# What is no wider than the page is not cut, and what is wider can be scrolled.
WIDE_FORMULAS_SCROLL = """
[...document.querySelectorAll("article mjx-container")].every((formula) => {
  const ink = formula.querySelector("mjx-math").getBoundingClientRect();
  return !ink.width || ink.right <= innerWidth || formula.closest(".scrolls") !== null;
})
"""


def count(page, selector):
    return page.locator(selector).count()


def is_open(page, selector):
    return page.evaluate("(s) => document.querySelector(s).open", selector)


# -- folds -------------------------------------------------------------------------------------


def test_a_link_to_a_proof_opens_it_and_a_button_its_sentences(visit):
    page = visit("book/proofs/two_heads.html#proof-of-two_keys", formulas=False)
    proof = "#proof-of-two_keys details.script"
    assert count(page, "details.script[open]") == 1
    assert is_open(page, proof)
    steps = count(page, f"{proof} details.step")
    assert steps > 3
    button = page.locator(f"{proof} button.every-goal")
    for opened in (steps, 0):
        button.press("Enter")
        assert count(page, "details.step[open]") == opened
    page.locator(f"{proof} summary").nth(2).press("Enter")
    assert count(page, f"{proof} .goals:visible") == 1


def test_an_old_anchor_in_the_section_for_the_expert_opens_it(visit):
    page = visit("notebooks/ordering.html#thm-order-pinsker", formulas=False)
    assert is_open(page, "details.expert")


def test_numbers_for_a_script_leave_no_empty_box(visit):
    page = visit("notebooks/pruning.html", formulas=False)
    assert page.locator(".cell_output:has(.pruning-record)").bounding_box() is None


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_switch_opens_all_and_is_remembered(visit, address, site, scheme):
    base = address if scheme == "http" else site.as_uri() + "/"
    page = visit(SOFTMAX, base=base, formulas=False)
    folds = count(page, FOLDS)
    assert folds > 20
    assert count(page, f"{FOLDS}[open]") == 0
    button = page.locator("button.fold-switch")
    button.click()
    assert count(page, f"{FOLDS}[open]") == folds
    assert count(page, "article details.solution[open]") == 0
    other = visit("notebooks/pruning.html", base=base, context=page.context, formulas=False)
    assert count(other, FOLDS) == count(other, f"{FOLDS}[open]") > 0
    button.press("Enter")
    assert count(page, f"{FOLDS}[open]") == 0


def test_code_that_teaches_is_open_and_the_rest_is_not(visit):
    page = visit(SOFTMAX, formulas=False)
    code = page.evaluate("""[...document.querySelectorAll("article div.cell_input")]
      .map((cell) => [cell.checkVisibility({ contentVisibilityAuto: true }), cell.textContent])""")
    shown = [text for visible, text in code if visible]
    hidden = [text for visible, text in code if not visible]
    assert shown
    for mark in ("import math", "plt.", "with claim(", "@check_answer"):
        assert any(mark in text for text in hidden), mark
        assert not any(mark in text for text in shown), mark


@pytest.mark.parametrize(
    ("hash", "opened"),
    [
        (CARD, f"{CARD} details.evidence"),
        ("#check-softmax-jacobian", "#check-softmax-jacobian details.evidence"),
        ("#proof-of-thm-bounds", "#proof-of-thm-bounds details.proof-rest"),
    ],
)
def test_an_address_opens_what_it_leads_to(visit, hash, opened):
    page = visit(SOFTMAX + hash)
    assert is_open(page, opened)
    top = page.evaluate("(s) => document.querySelector(s).getBoundingClientRect().top", hash)
    assert 0 <= top < 300
    page = visit(SOFTMAX, formulas=False)
    assert not is_open(page, opened)
    page.evaluate("(hash) => { location.hash = hash; }", hash)
    page.wait_for_timeout(200)
    assert is_open(page, opened)


def test_an_address_opens_what_it_stands_in(visit):
    """Here an equation within a folded proof."""
    path = "notebooks/ordering.html"
    inside = visit(path, formulas=False).evaluate(
        "document.querySelector('details.proof-rest div.math[id]')?.id ?? null"
    )
    assert inside is not None
    page = visit(f"{path}#{inside}", formulas=False)
    assert page.locator(f"[id='{inside}']").is_visible()


def test_paper_gets_proofs_and_solutions_and_no_folded_code(visit):
    page = visit(SOFTMAX, formulas=False)
    kinds = ("proof-rest", "answers", "solution", "code", "evidence")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert [count(page, f"article details.{kind}[open]") > 0 for kind in kinds] == [
        True, True, True, False, False]  # fmt: skip
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert count(page, "article details.fold[open]") == 0


# -- previews ----------------------------------------------------------------------------------


LINKS = {
    "a[href^='#thm-']": "Theorem",  # of this page
    "a[href^='#equation-']:not(.headerlink)": "(",
    "a[href$='#claim-softmax-vanish']": "corrected",  # from its card
    "a[href*='references.html#']": "[",  # from another page
    "a.term[href$='#term-one-hot']": "one entry 1 and the rest 0",
}


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_link_that_is_pointed_at_shows_what_it_leads_to(visit, address, site, scheme):
    page = visit(SOFTMAX, base=address if scheme == "http" else site.as_uri() + "/")
    preview = page.locator(".preview")
    for link, shown in LINKS.items():
        assert preview.is_hidden()
        page.locator(f"article {link}:visible").first.hover()
        preview.wait_for(state="visible")
        assert shown in preview.text_content()
        assert preview.locator("a, [id], [tabindex]").count() == 0
        page.keyboard.press("Escape")
        page.mouse.move(1, 1)


def test_the_keyboard_shows_previews_too(visit):
    page = visit(SOFTMAX, formulas=False)
    link = page.locator("article a[href^='#thm-']:visible").first
    page.keyboard.press("Tab")  # the keyboard is in use
    link.focus()
    page.locator(".preview").wait_for(state="visible")
    assert link.get_attribute("aria-describedby") == "preview"
    page.keyboard.press("Tab")
    page.locator(".preview").wait_for(state="hidden")


# -- the package -------------------------------------------------------------------------------


@pytest.mark.parametrize("old", ["attnlib.softmax.softmax_vjp", "attnlib.checks.Claim.agrees"])
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_an_old_address_of_an_entry_leads_on_to_it(visit, address, site, scheme, old):
    page = visit("book/api.html", base=address if scheme == "http" else site.as_uri() + "/")
    page.evaluate("(hash) => { location.hash = hash; }", old)
    page.wait_for_url(f"**/book/api/*.html#{old}")
    top = page.evaluate("(id) => document.getElementById(id).getBoundingClientRect().top", old)
    assert 0 <= top < 300


def test_code_that_goes_on_beyond_the_edge_can_be_scrolled(visit):
    page = visit("book/api/softmax.html", width=375)
    cut = page.locator(".doctest pre").evaluate_all(
        "(all) => all.filter((pre) => pre.scrollWidth > pre.clientWidth + 1).map((pre) => "
        "[getComputedStyle(pre).overflowX, getComputedStyle(pre).backgroundAttachment])"
    )
    assert cut
    for overflow, shades in cut:
        assert overflow == "auto"
        assert shades.startswith("local, local, scroll, scroll")


# -- ledger and search -------------------------------------------------------------------------


def test_the_ledger_is_filtered_as_one_types(visit):
    page = visit("book/claims.html")
    left, words = page.locator("details.claim:visible"), page.get_by_label("words")
    status = page.locator(".ledger-filter [role=status]")
    total = left.count()
    words.press_sequentially("softmax jacobian")
    some = left.count()
    assert 0 < some < total
    assert status.text_content() == f"{some} of {total} claims"
    assert all("jacobian" in text.lower() for text in left.all_text_contents())
    words.fill("")
    page.get_by_label("verdict").select_option("refuted")
    assert 0 < left.count() < total
    assert set(left.locator("summary .verdict").all_text_contents()) == {"refuted"}
    page.get_by_label("verdict").select_option("all")
    page.get_by_label("chapter").select_option(index=1)
    assert 0 < left.count() < total
    assert page.locator("section:visible:has(> details.claim)").count() == 1
    words.fill("no claim says this")
    assert left.count() == 0
    # An address leads to its entry all the same.
    page.evaluate("location.hash = 'claim-softmax-lipschitz'")
    page.wait_for_timeout(200)
    assert is_open(page, "#claim-softmax-lipschitz")
    assert left.count() == total


def test_an_address_in_the_ledger_opens_its_entry(visit):
    page = visit("book/claims.html#claim-softmax-lipschitz")
    assert is_open(page, "#claim-softmax-lipschitz")
    assert count(page, "details.claim[open]") == 1


@pytest.mark.parametrize("query", ["softmax-lipschitz", "梯度", "rope", "kv cache"])
def test_search_finds_it_and_quotes_prose(visit, query):
    page = visit(f"search.html?q={quote(query)}")
    hits = page.locator("#search-results li")
    hits.first.wait_for()
    page.wait_for_function("document.querySelector('#search-results .context')")
    if query == "softmax-lipschitz":
        assert hits.first.locator("a").get_attribute("href").endswith("#claim-softmax-lipschitz")
    for text in page.locator("#search-results .context").all_text_contents():
        assert not {"\\", "$"} & set(text)
        assert "import " not in text


def test_search_puts_whole_words_before_parts_of_names(visit):
    page = visit("search.html?q=mask")
    page.wait_for_function("document.querySelector('#search-results .search-summary').innerText")
    found = page.evaluate("""Search._performSearch(...Search._parseQuery("mask")).reverse()
      .map(([page, title]) => [page, title])""")
    names = [at for at, (_, title) in enumerate(found) if title.endswith("_mask")]
    chapters = [at for at, (page, _) in enumerate(found) if page.startswith("notebooks/")]
    assert len(names) > 1
    assert len(chapters) > 5
    assert max(chapters) < min(names)
    shown = page.locator("#search-results li a").first.get_attribute("href")
    assert shown.endswith("glossary.html#term-mask")


# -- formulas and figures ----------------------------------------------------------------------


def test_on_a_narrow_page_a_wide_formula_scrolls_and_says_so(visit):
    page = visit(SOFTMAX, width=375)
    wide = page.locator("article .scrolls:visible")
    assert wide.count() > 5
    assert page.evaluate(WIDE_FORMULAS_SCROLL)
    first = wide.first
    assert first.get_attribute("aria-label") == "Formula, scrolls sideways"
    assert "gradient" in first.evaluate("(box) => getComputedStyle(box).maskImage")
    first.focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    box = first.evaluate("(b) => [b.scrollLeft + b.clientWidth, b.scrollWidth, b.className]")
    assert box[0] >= box[1] - 2
    assert "at-end" in box[2]


# -- for everybody -----------------------------------------------------------------------------


def test_every_control_shows_that_it_has_the_focus(visit):
    page = visit(SOFTMAX, width=1280)
    seen, bare = set(), []
    for _ in range(400):
        page.keyboard.press("Tab")
        at = page.evaluate("""(() => {
          const node = document.activeElement, style = getComputedStyle(node);
          return [node.outerHTML.slice(0, 90) + node.getBoundingClientRect().top,
            style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
        })()""")
        if at[0].startswith("<body"):
            break
        seen.add(at[0])
        bare += [] if at[1] else [at[0]]
    assert len(seen) > 60
    assert bare == []


def test_who_wants_no_motion_gets_none(visit):
    page = visit(SOFTMAX, formulas=False, reduced_motion="reduce")
    assert (
        page.evaluate("""[...document.querySelectorAll("body *")].filter((node) => {
      const style = getComputedStyle(node);
      return parseFloat(style.transitionDuration) > 0 || parseFloat(style.animationDuration) > 0;
    }).length""")
        == 0
    )


# -- every page, both widths -------------------------------------------------------------------


@views
def test_nothing_moves_by_itself(view):
    page = view[2]
    for _ in range(12):
        page.evaluate("scrollBy(0, 500)")
        page.wait_for_timeout(60)
    page.wait_for_timeout(300)
    assert page.evaluate("window.moved") < 0.05


@views
def test_weight(view):
    """Everything that the page asks for, compressed, once a reader has seen all of it."""
    path, _, page = view
    page.evaluate("document.querySelectorAll('img').forEach((i) => { i.loading = 'eager'; })")
    page.wait_for_load_state("networkidle")
    total = sum(page.weights.values())
    assert total < (350_000 if path == "book/index.html" else 700_000), page.weights


@views
def test_no_formula_is_cut_and_the_page_does_not_scroll_sideways(view):
    _, width, page = view
    page.evaluate("document.querySelectorAll('article details').forEach((d) => { d.open = true; })")
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert count(page, "mjx-merror") == 0
    assert page.evaluate(WIDE_FORMULAS_SCROLL)
    if width == 1280:
        assert count(page, "article .scrolls") == 0
    assert count(page, "article mjx-container[tabindex]:not(.scrolls)") == 0


# -- every page of the site --------------------------------------------------------------------


def built():
    """All pages but those that only send the reader on."""
    root = Path(os.environ["ATTNLIB_SITE"])
    for path in sorted(root.rglob("*.html")):
        name = path.relative_to(root).as_posix()
        sends_on = 'http-equiv="refresh"' in path.read_text("utf-8").lower()
        if not name.startswith("_static/") and not sends_on:
            yield name


every_page = pytest.mark.parametrize("path", list(built()))

# What has a frame or a ground of its own, and nothing in it; a cell of a table may be empty.
EMPTY_BOXES = """
[...document.querySelectorAll("article *")].filter((node) => {
  if (node.closest("td, mjx-container, svg") || node.matches("img, input, hr")) return false;
  const { width, height } = node.getBoundingClientRect(), style = getComputedStyle(node);
  return width > 4 && height > 4 && node.checkVisibility({ visibilityProperty: true })
    && (style.backgroundColor !== "rgba(0, 0, 0, 0)" || parseFloat(style.borderBottomWidth) > 0)
    && !node.innerText.trim() && !node.querySelector("img, svg, input, mjx-container");
}).map((node) => node.outerHTML.slice(0, 150))
"""
# Most of a page is code in folds, at which axe does not look. It is quicker without.
LESS = """
document.querySelectorAll("article details:not([open]) > :not(summary)").forEach((n) => n.remove());
"""
# Contrast depends on colours, grounds, size and weight of letters alone: one text of each kind
# is enough, and there are some sixty kinds among thousands of texts.
ONE_OF_EACH_KIND = """(() => {
  const seen = new Set();
  document.querySelectorAll("body *").forEach((node) => {
    node.removeAttribute("data-kind");
    const words = [...node.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (!words || !node.checkVisibility({ visibilityProperty: true })) return;
    const { color, fill, fontSize, fontWeight, textShadow } = getComputedStyle(node);
    const kind = [color, fill, fontSize, fontWeight, textShadow];
    for (let at = node; at; at = at.parentElement) {
      const { backgroundColor, backgroundImage, opacity } = getComputedStyle(at);
      if (backgroundColor !== "rgba(0, 0, 0, 0)" || backgroundImage !== "none" || opacity !== "1")
        kind.push(backgroundColor, backgroundImage, opacity);
    }
    if (!seen.has(String(kind))) node.dataset.kind = "";
    seen.add(String(kind));
  });
  return seen.size;
})()"""
CONTRAST = {"runOnly": ["color-contrast"]}
ALL_BUT_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}
BY_WIDTH = {"runOnly": ["scrollable-region-focusable", "target-size", "link-in-text-block"]}


def violations(page, options=None, within=None):
    options = {"resultTypes": ["violations"]} | (options or {})
    found = Axe().run(page, context=within, options=options).response["violations"]
    return [(v["id"], [node["html"][:150] for node in v["nodes"]][:5]) for v in found]


def faint(page, theme):
    """What is too faint to be read in this theme, one of each kind of text."""
    page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
    page.wait_for_timeout(200)
    assert page.evaluate(ONE_OF_EACH_KIND) > 5
    return violations(page, CONTRAST, {"include": [["[data-kind]"]]})


@every_page
def test_axe_finds_nothing_and_paper_has_no_empty_box(visit, path):
    """Contrast in both themes; it does not depend on the width, and two other rules do.

    A formula stays as it is written: when it is set it has the colour of its paragraph.
    """
    page = visit(path, formulas=False, reduced_motion="reduce")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(EMPTY_BOXES) == []
    for_paper = page.locator("article .fold:is(.proof-rest, .answers, .solution, .expert)")
    assert for_paper.evaluate_all("(all) => all.every((fold) => fold.open)")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    page.evaluate(LESS)
    assert violations(page, ALL_BUT_CONTRAST) == []
    assert [faint(page, theme) for theme in ("light", "dark")] == [[], []]
    page.set_viewport_size({"width": 375, "height": 800})
    page.wait_for_timeout(700)  # until the theme has made a stop of the tab key of what scrolls now
    assert violations(page, BY_WIDTH) == []


@pytest.mark.parametrize("path", ["notebooks/first_look.html", "book/proofs/positions.html"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_where_all_is_open_and_set_either(visit, theme, width, path):
    page = visit(path, width, color_scheme=theme, reduced_motion="reduce")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
    page.wait_for_timeout(700)
    assert violations(page) == []


def test_a_faint_text_is_noticed_wherever_it_stands(visit):
    page = visit("notebooks/first_look.html", formulas=False, reduced_motion="reduce")
    page.add_style_tag(content="article section p:nth-of-type(3) { color: #999 !important; }")
    assert [rule for rule, _ in faint(page, "light")] == ["color-contrast"]


@every_page
def test_without_scripts_all_of_a_page_can_be_read(visit, path):
    page = visit(path, java_script_enabled=False)
    assert len(page.locator("main").inner_text()) > (100 if path == "search.html" else 200)
    hidden = "(all) => all.filter((n) => !n.checkVisibility({ visibilityProperty: true })).length"
    verdicts = page.locator("article .verdict:not(details:not([open]) > :not(summary) *)")
    assert verdicts.evaluate_all(hidden) == 0
    # From the outside in: a fold can lie in another.
    summaries = page.locator("article details > summary")
    summaries.evaluate_all("(all) => all.forEach((n) => n.parentElement.open || n.click())")
    inside = page.locator("article details > summary + *, article details > summary + * .verdict")
    assert inside.count() >= summaries.count()
    assert inside.evaluate_all(hidden) == 0
