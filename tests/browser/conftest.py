"""A browser for the built site. `make test-browser` builds it and says where both are."""

import contextlib
import functools
import gzip
import os
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.register_assert_rewrite("moving")  # its assertions explain themselves too

# Without a browser there is nothing to collect, and nothing to import: `make test` needs neither.
collect_ignore_glob = [] if "CHROMIUM" in os.environ else ["test_*.py"]

# Sums up what moves on a page without being asked to.
WATCH = """
window.moved = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
  if (!entry.hadRecentInput) window.moved += entry.value;
})).observe({ type: "layout-shift", buffered: true });
"""
# Where formulas do not matter, this stands in for what sets them.
NO_FORMULAS = """
MathJax.startup = { promise: Promise.resolve() };
MathJax.typesetPromise = () => Promise.resolve();
"""
# Of Chromium's own furniture, a renderer that each new window would start for its address bar,
# and what Playwright leaves out: a second such list replaces its own.
LEFT_OUT = (
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,AimEnabled,HttpsUpgrades,"
    "HttpsFirstBalancedModeAutoEnable,LensOverlay,MediaRouter,NetworkTimeServiceQuerying,"
    "OptimizationHints,PaintHolding,PreconnectToSearch,ThirdPartyStoragePartitioning"
)
SET = "!document.querySelector('article .math:not(:has(mjx-container))')"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def site():
    root = Path(os.environ["ATTNLIB_SITE"]).resolve()
    assert (root / "book" / "index.html").is_file(), "`make test-browser` builds the site"
    return root


@pytest.fixture(scope="session")
def address(site):
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Without a sandbox it also runs where only root is, as in a container.
        browser = playwright.chromium.launch(
            executable_path=os.environ["CHROMIUM"], args=["--no-sandbox", LEFT_OUT]
        )
        yield browser
        browser.close()


class Visits:
    """visit("notebooks/softmax.html", width=375): the page, once its formulas are set.

    It notes what goes wrong on pages, and every request to anybody else.
    """

    def __init__(self, chromium, address):
        self.chromium, self.address = chromium, address
        self.contexts, self.wrong = [], []

    def __call__(self, path, width=1280, base=None, context=None, formulas=True, **options):
        base = base or self.address
        if context is None:
            size = {"width": width, "height": 900 if width > 500 else 800}
            context = self.chromium.new_context(viewport=size, **options)
            context.add_init_script(WATCH)
            self.contexts.append(context)
        page = context.new_page()
        page.weights = {}
        page.on("pageerror", lambda error: self.wrong.append(f"{path}: {error}"))
        page.on("request", lambda request: request.url.startswith((base, "data:"))
                or self.wrong.append(f"{path} asks {request.url}"))  # fmt: skip
        page.on("response", functools.partial(weigh, page))
        page.set_default_timeout(120_000)  # ms: the machine may be busy
        if not formulas:
            page.route("**/mathjax/**", lambda route: route.fulfill(body=NO_FORMULAS))
        page.goto(base + path, wait_until="load")
        if formulas and options.get("java_script_enabled", True):
            page.wait_for_function(SET)
            page.wait_for_timeout(300)
        return page

    def close(self):
        for context in self.contexts:
            context.close()
        assert self.wrong == []


def weigh(page, response):
    with contextlib.suppress(Exception):  # a redirect has no body
        page.weights[response.url] = len(gzip.compress(response.body(), 6))


@pytest.fixture
def visit(chromium, address):
    """Visits of one test. What goes wrong on a page fails it."""
    visits = Visits(chromium, address)
    yield visits
    visits.close()


@pytest.fixture(scope="module")
def view(chromium, address, request):
    """A page at a width that several tests look at, one after the other: path, width, page."""
    path, width = request.param
    visits = Visits(chromium, address)
    formulas = getattr(request.module, "FORMULAS", True)
    # Without motion: colours are what they will be as soon as the theme changes.
    yield path, width, visits(path, width=width, formulas=formulas, reduced_motion="reduce")
    visits.close()


@pytest.fixture(scope="session")
def blank(chromium):
    """A page for what brings its own; one for all, since a new one takes longer than most tests."""
    page = chromium.new_page()
    yield page
    page.close()
