"""The directive ``{claims-ledger} PATH``: every claim, its verdict and what was seen to fail.

PATH is the list of claims, as :func:`attnlib.evidence.ledger.load_claims` reads it, seen from the
page that holds the directive. The evidence is that of the records which the claim blocks left
in the stored outputs of the notebooks: each comparison with its tolerance and the reason for it
or how much wider it could be, and each wrong version with how far it missed and why it may stand
if that needs saying. Whatever does not fit together is a warning, and the book is built with
warnings as errors.

And the role ``{count}``: {count}`chapters`, {count}`claims`, {count}`comparisons` and
{count}`rejections` are the numbers of them, so that no page has to be told of a new chapter;
{count}`proved` and {count}`whole` those of the claims that have machine-read proofs, and of those
among them that are proved as a whole.
"""

import json
import re
from collections import Counter
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from formal import DIFFERENCES, RESULT, proved, result, shown
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from attnlib.evidence import ClaimError
from attnlib.evidence.block import miss_text
from attnlib.evidence.ledger import CLAIMS, VERDICTS, load_claims, stored_records

logger = logging.getLogger(__name__)


def plain(text: str) -> str:
    """Text that means itself: every character that Markdown could read is escaped."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def badge(verdict: str, count: str = "") -> str:
    return f'<span class="verdict verdict-{verdict.replace(" ", "-")}">{count}{verdict}</span>'


def plural(n: int, thing: str) -> str:
    return f"{n} {thing}" + "s" * (n != 1)


def counts(comparisons: list[dict]) -> str:
    rejected = sum(len(c["rejects"]) for c in comparisons)
    hold = "holds" if len(comparisons) == 1 else "hold"
    return (
        f"{plural(len(comparisons), 'comparison')} {hold}, "
        f"{plural(rejected, 'wrong version')} rejected"
    )


def exactness(comparison: dict) -> str:
    """The tolerance, why it is what it is, and how much wider it could be."""
    how = comparison["tolerance"] + f", because {comparison['why']}" * bool(comparison["why"])
    return how + f"; {comparison['window']}" * bool(comparison["window"])


def told(wrong: dict) -> str:
    """A wrong version, how far it missed, and why it may stand if that needs saying."""
    return f"{wrong['name']}, {miss_text(wrong)}" + f"; {wrong['excuse']}" * bool(wrong["excuse"])


def totals(name: str, entries: list[dict], records: dict) -> str:
    """A line of the table: verdicts, and how much was compared and rejected."""
    compared = [c for claim in entries for c in records[claim["id"]]["comparisons"]]
    count = Counter(claim["verdict"] for claim in entries)
    badges = " ".join(badge(v, f"{count[v]} ") for v in VERDICTS if count[v])
    rejected = sum(len(c["rejects"]) for c in compared)
    return f"| {name} | {badges} | {len(compared)} | {rejected} |"


def title(notebook: Path) -> str:
    first = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"]
    return "".join(first).splitlines()[0].lstrip("# ")


class ClaimsLedger(SphinxDirective):
    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.relfn2path(self.arguments[0])[1])
        for read in (path, RESULT, DIFFERENCES):
            self.env.note_dependency(str(read))
        load_claims.cache_clear()  # the file may have changed since the last build
        try:
            claims = load_claims(path)
        except ClaimError as error:
            raise self.error(f"ledger: {error}") from error
        notebooks = {Path(doc).name: Path(self.env.doc2path(doc)) for doc in chapters(self.env)}
        records = self.match(path.name, claims, notebooks)
        by_chapter = {
            chapter: [c for c in claims.values() if c["chapter"] == chapter and c["id"] in records]
            for chapter in dict.fromkeys(c["chapter"] for c in claims.values())
            if chapter in notebooks
        }
        lines = ["| Chapter | Verdicts | Compared | Rejected |", "| :-- | :-- | --: | --: |"]
        for chapter, entries in by_chapter.items():
            link = f"[{title(notebooks[chapter])}](/notebooks/{chapter}.ipynb)"
            lines.append(totals(link, entries, records))
        everything = [claim for entries in by_chapter.values() for claim in entries]
        lines += [totals("**All**", everything, records), ""]
        for chapter, entries in by_chapter.items():
            lines += ["", f"## {title(notebooks[chapter])}"]
            for claim in entries:
                lines += self.entry(claim, records[claim["id"]]["comparisons"])
        # Into the page's own section: MyST hangs headings there, whatever the parse is rooted in.
        page = self.state_machine.node
        self.state.nested_parse(StringList(lines, "ledger"), 0, page, match_titles=True)
        return []

    def match(self, name: str, claims: dict, notebooks: dict[str, Path]) -> dict:
        """The one record of each claim; everything that does not match is a warning."""
        found: dict[str, dict] = {}
        seen: set[str] = set()
        for chapter, path in notebooks.items():
            for record in stored_records(path):
                claim = claims.get(record["id"])
                if claim is None:
                    self.warn(f"{chapter}: {name} does not list {record['id']}")
                elif record["id"] in seen:
                    self.warn(f"{record['id']} has a second block, in chapter {chapter}")
                elif claim["chapter"] != chapter:
                    self.warn(f"{record['id']} belongs to {claim['chapter']}, not to {chapter}")
                elif claim["verdict"] != record.get("verdict", claim["verdict"]):
                    # A block that was opened with `says` knows no verdict.
                    self.warn(
                        f"{record['id']}: {name} says {claim['verdict']!r}, the stored output "
                        f"{record['verdict']!r}: run `make notebooks TOPIC={chapter}`"
                    )
                else:
                    found[record["id"]] = record
                seen.add(record["id"])
        for id, claim in claims.items():
            if id not in seen:
                self.warn(f"{id} has no block in the stored outputs of {claim['chapter']}")
        return found

    def warn(self, message: str) -> None:
        logger.warning("ledger: %s", message, location=self.get_location())

    def entry(self, claim: dict, comparisons: list[dict]) -> list[str]:
        """One claim as MyST: a line that unfolds into what the note says, and the evidence."""
        id, note = claim["id"], claim["note"]
        source = f"Note{'s' * (',' in note)} {note}" if note else "Not in the notes"
        statement = " ".join(claim["statement"].split())
        lines = ["", f"::::{{dropdown}} {badge(claim['verdict'])} `{id}` {statement}"]
        lines += [f":name: claim-{id}", ":class-container: claim", ""]
        lines += [f"{source} · [see the check](#check-{id})", ""]
        if claim["says"]:
            who = "The note says" if note else "Often said"
            lines += [f"**{who}:** {' '.join(claim['says'].split())}", ""]
        lines += [f"**Evidence:** {counts(comparisons)}", ""]
        for c in comparisons:
            lines += [plain(c["what"]), f": {plain(c['kind'] + ', ' + exactness(c))}", ""]
            lines += [*(f"  - rejected: {plain(told(wrong))}" for wrong in c["rejects"]), ""]
        return [*lines, *formal(id), "::::"]


def formal(id: str) -> list[str]:
    """The formal statements of a claim, folded, and what they assume."""
    if id not in proved():
        return []
    found = proved()[id]
    assumes = ", ".join(f"`{axiom}`" for axiom in result()["assumes"])
    many = plural(len(found.theorems), "theorem")
    lines = ["", f"**{found.phrase}:** {many} · [what exactly](#proved-{id})", ""]
    lines += [":::{dropdown} The formal statements", ":class-container: formal", ""]
    lines += [line for theorem in found.theorems for line in shown(theorem)]
    return [
        *lines,
        f"Assumed, at most: {assumes}.",
        ":::",
        "",
    ]


def chapters(env) -> list[str]:
    return sorted(doc for doc in env.found_docs if doc.startswith("notebooks/"))


def count_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    """How many there are of something, as a word where it is short."""
    env = inliner.document.settings.env
    for read in (CLAIMS, RESULT, DIFFERENCES):
        env.note_dependency(str(read))
    records = [record for doc in chapters(env) for record in stored_records(env.doc2path(doc))]
    compared = [comparison for record in records for comparison in record["comparisons"]]
    numbers = {
        "chapters": len(chapters(env)),
        "claims": len(load_claims()),
        "comparisons": len(compared),
        "rejections": sum(len(comparison["rejects"]) for comparison in compared),
        "proved": len(proved()),
        "whole": sum(found.whole for found in proved().values()),
    }
    if text not in numbers:
        message = inliner.reporter.error(f"count: {text!r} is none of {', '.join(numbers)}")
        return [inliner.problematic(rawtext, rawtext, message)], [message]
    return [nodes.Text(in_words(numbers[text]))], []


def in_words(n: int) -> str:
    words = "no one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    words += "fifteen sixteen seventeen eighteen nineteen twenty"
    return words.split()[n] if n <= 20 else str(n)


def outdated(app, env, added, changed, removed) -> list[str]:
    """Any chapter added, changed or removed: read the ledger and the counts again."""
    touched = any(doc.startswith("notebooks/") for doc in added | changed | removed)
    return sorted({"book/claims", "book/index"} & env.found_docs) if touched else []


def add_filter(app, pagename, templatename, context, doctree) -> None:
    """The script that filters the entries, on the page that holds them."""
    if pagename == "book/claims":
        app.add_js_file("ledger.js", loading_method="defer")


def setup(app):
    app.add_directive("claims-ledger", ClaimsLedger)
    app.add_role("count", count_role)
    app.connect("env-get-outdated", outdated)
    app.connect("html-page-context", add_filter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
