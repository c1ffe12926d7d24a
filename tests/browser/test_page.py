"""What a browser shows of the site: folds, previews, formulas, figures, focus, weight, access."""

import itertools

import pytest
from axe_playwright_python.sync_playwright import Axe

PAGES = [
    "book/index.html",
    "book/claims.html",
    "book/evidence.html",
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


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_switch_opens_all_and_is_remembered(visit, address, site, scheme):
    base = address if scheme == "http" else site.as_uri() + "/"
    page = visit(SOFTMAX, base=base)
    folds = count(page, FOLDS)
    assert folds > 20
    assert count(page, f"{FOLDS}[open]") == 0
    button = page.locator("button.fold-switch")
    button.click()
    assert count(page, f"{FOLDS}[open]") == folds
    assert count(page, "article details.solution[open]") == 0
    other = visit("notebooks/pruning.html", base=base, context=page.context)
    assert count(other, FOLDS) == count(other, f"{FOLDS}[open]") > 0
    button.press("Enter")
    assert count(page, f"{FOLDS}[open]") == 0


def test_code_that_teaches_is_open_and_the_rest_is_not(visit):
    page = visit(SOFTMAX)
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
    page = visit(SOFTMAX)
    assert not is_open(page, opened)
    page.evaluate("(hash) => { location.hash = hash; }", hash)
    page.wait_for_timeout(200)
    assert is_open(page, opened)


def test_an_address_opens_what_it_stands_in(visit):
    """Here an equation within a folded proof."""
    path = "notebooks/ordering.html"
    inside = visit(path).evaluate(
        "document.querySelector('details.proof-rest div.math[id]')?.id ?? null"
    )
    assert inside is not None
    page = visit(f"{path}#{inside}")
    assert page.locator(f"[id='{inside}']").is_visible()


def test_paper_gets_proofs_and_solutions_and_no_folded_code(visit):
    page = visit(SOFTMAX)
    kinds = ("proof-rest", "solution", "code", "evidence")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert [count(page, f"article details.{kind}[open]") > 0 for kind in kinds] == [
        True, True, False, False]  # fmt: skip
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
    page = visit(SOFTMAX)
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
    page = visit(SOFTMAX, reduced_motion="reduce")
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
def test_axe_finds_nothing(view):
    """Light where it is wide, dark where it is narrow: colours do not depend on the width."""
    _, width, page = view
    theme = "light" if width > 500 else "dark"
    page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
    page.wait_for_timeout(300)
    found = Axe().run(page).response["violations"]
    assert [(v["id"], [n["html"][:150] for n in v["nodes"]][:5]) for v in found] == []


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
