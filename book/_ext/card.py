"""A claim block becomes a card: verdict, what is true, how much was compared and rejected.

Folded in it: every comparison with its tolerance, every wrong version with how far it missed,
and the code. Jupyter, which does not know the record that the block left in its output, shows
the same as plain text. The numbers that ``state`` shows for the text to quote are in the text,
so the page leaves them out.
"""

from docutils import nodes
from fold import folded
from formal import DIFFERENCES, RESULT, proved
from ledger import counts, exactness, told
from outputs import add_renderer, inline_nodes
from sphinx.transforms import SphinxTransform

from attnlib.evidence.ledger import CLAIM_MIME, CLAIMS, VALUES_MIME, load_claims


class claim_card(nodes.General, nodes.Element):
    """The card of one claim."""


def render(renderer, data):
    """The output of a claim block as a card, the values of ``state`` as nothing."""
    if data.mime_type == VALUES_MIME:
        return [nodes.comment("", "quoted")]
    if data.mime_type != CLAIM_MIME:
        return None
    for read in (CLAIMS, RESULT, DIFFERENCES):
        renderer.renderer.document.settings.env.note_dependency(str(read))
    record = data.content
    claim = load_claims().get(record["id"])
    if claim is None:
        return None  # the ledger warns
    id, verdict = record["id"], claim["verdict"]
    head = nodes.paragraph("", "", classes=["claim-head"])
    pill = ["verdict", "verdict-" + verdict.replace(" ", "-")]
    head += nodes.inline("", verdict, classes=pill)
    head += nodes.Text(" ")
    head += inline_nodes(renderer, f"[{id}](#claim-{id})", data.line)
    if id in proved():
        head += nodes.Text(" · ")
        link = f"[{proved()[id].phrase.lower()}](#proved-{id})"
        head += inline_nodes(renderer, link, data.line)
    statement = nodes.paragraph("", "", *inline_nodes(renderer, claim["statement"], data.line))
    evidence = folded(counts(record["comparisons"]), compared(record), kind="evidence")
    return [claim_card("", head, statement, evidence, classes=["claim-card"])]


def compared(record: dict) -> nodes.bullet_list:
    """A line for every comparison; below it, how exact it is, and what it turned down."""
    items = nodes.bullet_list(classes=["comparisons"])
    for c in record["comparisons"]:
        wrong = nodes.bullet_list(classes=["rejected"])
        wrong += [nodes.list_item("", nodes.paragraph("", told(w))) for w in c["rejects"]]
        what = nodes.paragraph("", c["what"] + " ")
        what += nodes.inline("", f"[{exactness(c)}]", classes=["tolerance"])
        items += nodes.list_item("", what, wrong)
    return items


def visit_card(self, node):
    self.body.append(self.starttag(node, "div"))


def depart_card(self, node):
    self.body.append("</div>\n")


class DropQuoted(SphinxTransform):
    """Leave out the outputs that the text quotes, and what is then empty."""

    default_priority = 790  # before cells.py looks at what a cell shows

    def apply(self):
        for quoted in list(self.document.findall(nodes.comment)):
            if quoted.astext() == "quoted" and "mime_type" in quoted.parent:
                bundle = quoted.parent.parent
                outputs = bundle.parent
                cell = outputs.parent
                cell["quoted"] = True
                outputs.remove(bundle)
                if not outputs.children:
                    cell.remove(outputs)


def setup(app):
    app.add_node(claim_card, html=(visit_card, depart_card))
    add_renderer(app, render, CLAIM_MIME, VALUES_MIME)
    app.add_transform(DropQuoted)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
