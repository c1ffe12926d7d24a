"""A page for each file of proofs: every sentence of a proof with what is left to prove there.

All comes from the sources and from proofs/goals, which `make proofs` stored, so the book is built
without Rocq. A proof opens at a click, and so does each of its sentences; the browser does that
without a script. proof_steps.js adds a button that opens all sentences of a proof.

Alectryon renders proofs in this way too. Its own drivers need programs that come with no
distribution's Rocq, its sentences open with a mouse alone, and its colours are for light pages.
"""

import json
import re
from collections.abc import Iterator
from functools import partial
from html import escape

from formal import PAGE, PROOFS, SHARED, anchor, result, source, title
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

GOALS = PROOFS / "goals"
CLAIMED = re.compile(r"\(\*\* claim [\w-]+\. (?:(?!\*\)).)*\*\)\s*\Z", re.DOTALL)
INLINE = partial(highlight, lexer=get_lexer_by_name("coq"), formatter=HtmlFormatter(nowrap=True))
LEADING = re.compile(r"( *)(?:\d+:)?[-+*{ ]*")
ASSETS = "proof_steps"


def has_page(file: str) -> bool:
    """Whether something is proved in a file."""
    return '"name"' in (GOALS / f"{file}.json").read_text(encoding="utf-8")


# -- a page ------------------------------------------------------------------------------------


def body(file: str, block, uri) -> str:
    """A file from its first line to its last, proofs folded.

    block colours code that stands alone; uri is the address of another page.
    """
    text = source(file)
    told = json.loads((GOALS / f"{file}.json").read_text(encoding="utf-8"))
    theorems = {t["name"]: t for t in result()["theorems"] if t["file"] == file}
    parts, at = [introduction(file, uri)], 0
    for proof in told["proofs"]:
        start, end = proof["stated"]
        between = text[at:start]
        name = proof["name"]
        theorem = theorems.get(name)
        between = CLAIMED.sub("", between) if theorem else between
        parts += [block(between.strip("\n"))] if between.strip() else []
        parts += [f'<section id="{anchor(name)}">', heading(theorem, uri) if theorem else ""]
        parts += [block(text[start:end]), steps(proof, told["lines"], text), "</section>"]
        at = proof["steps"][-1][1]
    parts += [block(text[at:].strip("\n"))] if text[at:].strip() else []
    return '<div class="proof-steps">' + "\n".join(parts) + "</div>"


def of_chapter(file: str, uri) -> str:
    """What the file is about, with a link to the chapter."""
    if file in SHARED:
        return "what all chapters share"
    return f'<a href="{uri(f"notebooks/{file}")}">{escape(title(file))}</a>'


def introduction(file: str, uri) -> str:
    return f"""<h1>Proofs, step by step: {of_chapter(file, uri)}</h1>
<p>This is <code>proofs/{file}.v</code> as the machine reads it. Open a proof, then a sentence of
it, to see what is left to prove where that sentence starts: what is given there, and below the
line what is to be shown. A bar marks what is new since the sentence above.</p>
<p>How a theorem compares with what the book says stands in
<a href="{uri(PAGE)}">What exactly is proved</a>.</p>"""


def heading(theorem: dict, uri) -> str:
    name, id = theorem["name"], theorem["claim"]
    words = re.sub("`([^`]+)`", r"<code>\1</code>", escape(theorem["words"], quote=False))
    back = f'<a href="{uri(PAGE)}#proved-{id.lower()}">{id}</a>'
    return (
        f'<h2>{escape(name).replace("_", "_<wbr>")}<a class="headerlink" href="#{anchor(name)}" '
        f'title="Link to this heading">#</a></h2>\n<p>{words} ({back})</p>'
    )


# -- a proof -----------------------------------------------------------------------------------


def steps(proof: dict, lines: list[str], text: str) -> str:
    """A line for each sentence; it opens to show the goals."""
    made, seen = [], None
    for words, depth, goals in rows(proof, text):
        code = f'<code class="highlight">{INLINE(words).rstrip()}</code>'
        inset = f' style="--depth: {depth}"' * bool(depth)
        if goals is None:
            made.append(f'<p class="step"{inset}>{code}</p>')
        else:
            new = {*goals[0], *goals[1][:1]} - seen if seen is not None else set()
            seen = {*goals[0], *goals[1][:1]}
            made.append(
                f'<details class="step"{inset}><summary>{code}</summary>'
                f"{shown(*goals, new, lines)}</details>"
            )
    count = sum(len(step) > 2 for step in proof["steps"])
    sentences = f"{count} sentence" + "s" * (count != 1)
    return (
        f'<details class="fold script"><summary>Proof, {sentences}</summary>'
        f"<div>{''.join(made)}</div></details>"
    )


def rows(proof: dict, text: str) -> Iterator[tuple[str, int, list | None]]:
    """What stands on a line of the page, how deep it stands, and the goals where it starts.

    A bullet or a brace that opens stands before the sentence that it leads to, one that closes
    after the sentence that it ends. Comments come along.
    """
    inner = [step for step in proof["steps"] if text[step[0] : step[1]] != "Proof."]
    margin = min(column(text, step[0]) for step in inner[:-1])
    words, depth, goals, at = "", 0, None, inner[0][0]
    for start, end, *left in inner:
        between, sentence = text[at:start].strip(), text[start:end]
        at = end
        if sentence == "}":
            words += " }"
            continue
        if goals is not None:
            yield words, depth, goals
            words, goals = "", None
        if not words:
            depth = (column(text, start) - margin) // 2
        words = " ".join(filter(None, [words, between, sentence]))
        goals = left or None
    yield words, 0, goals


def column(text: str, at: int) -> int:
    """How far a sentence is indented: as its line is, or as what follows the marks there."""
    begin = text.rfind("\n", 0, at) + 1
    indent = LEADING.match(text, begin)
    return min(at, indent.end() if at > indent.end(1) else indent.end(1)) - begin


def shown(given: list[int], toshow: list[int], new: set[int], lines: list[str]) -> str:
    """What is given, a line, what is to be shown; then what is to be shown elsewhere."""
    marked = dict.fromkeys(new, ' class="new"')
    parts = [f"<li{marked.get(n, '')}>{hypothesis(lines[n])}</li>" for n in given]
    if parts:
        parts = ["<ul>", *parts, "</ul>"]
    first, *others = toshow or [None]
    if first is not None:
        parts.append(f"<p{marked.get(first, '')}>{escape(lines[first], quote=False)}</p>")
    if others:
        more = "".join(f"<li>{escape(lines[n], quote=False)}</li>" for n in others)
        parts += [f"<p class='more'>and {len(others)} more:</p><ul>{more}</ul>"]
    return f'<div class="goals">{"".join(parts)}</div>'


def hypothesis(line: str) -> str:
    names, colon, rest = line.partition(" :")
    return f"<b>{escape(names)}</b>{colon}{escape(rest, quote=False)}"


# -- the site ----------------------------------------------------------------------------------


def collect(app) -> Iterator[tuple[str, dict, str]]:
    """The pages, which no search of prose looks into."""
    for path in sorted(PROOFS.glob("*.v")):
        if has_page(path.stem):
            page = f"{PAGE}/{path.stem}"
            uri = partial(app.builder.get_relative_uri, page)
            block = partial(app.builder.highlighter.highlight_block, lang="coq")
            name = "what all chapters share" if path.stem in SHARED else title(path.stem)
            context = {
                "title": f"Proofs, step by step: {name}",
                "body": body(path.stem, block, uri),
                "toc": contents(path.stem),
            }
            yield page, context, "page.html"


def contents(file: str) -> str:
    """The theorems of a page, for the list at its side."""
    names = [t["name"] for t in result()["theorems"] if t["file"] == file]
    links = "".join(
        f'<li><a class="reference internal" href="#{anchor(n)}">{escape(n)}</a></li>' for n in names
    )
    return f'<ul><li><a class="reference internal" href="#">Proofs</a><ul>{links}</ul></li></ul>'


def add_assets(app, pagename, templatename, context, doctree) -> None:
    if pagename.startswith(f"{PAGE}/"):
        app.add_css_file(f"{ASSETS}.css")
        app.add_js_file(f"{ASSETS}.js", loading_method="defer")


def setup(app):
    app.connect("html-collect-pages", collect)
    app.connect("html-page-context", add_assets)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
