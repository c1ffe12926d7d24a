"""Old anchors of entries of the package: links from before names changed still lead there.

Each stands on the entry that has the name now. Where nothing has it any more, it stands on what
held it: the class, or the module. All of them, and those of today, stand on the index of modules
as well, which was once the page of all entries; moved.js leads on from there. Anchors of a part
of a chapter that moved to another stand on the section that links to it.
"""

from docutils import nodes
from sphinx.util import logging

logger = logging.getLogger(__name__)

PAGES = "book/api/"
# Old module: its new name, and the entries it had.
MODULES = {
    "encoders": ("layer_costs", "multiply_adds path_length sequential_depth"),
    "multihead": (
        "two_heads",
        "attention_weights averaging_condition two_head_moments weight_gap",
    ),
    "checks": (
        "evidence.block",
        "Claim Claim.agrees Claim.at_least Claim.at_most Claim.estimates Claim.identical "
        "Claim.record Claim.rejects Claim.signs Claim.zeros ClaimError claim quote",
    ),
    "claims": ("evidence.ledger", "ClaimError load_claims stored_records stored_values"),
    "answers": ("evidence.answers", "check_answer rows"),
    "search": (
        "evidence.search",
        "Search epsilons flatter_pairs law_tensor laws pairs rectified search",
    ),
    "inputs": (
        "_inputs",
        "require_above require_axis require_between require_broadcast require_choice "
        "require_classes require_different require_epsilon require_finite require_flag "
        "require_independent_columns require_integer require_kurtosis require_logits require_mask "
        "require_matrix require_positions require_positive require_probabilities require_real "
        "require_same require_tokens",
    ),
}
# Entries whose own name is another now.
ENTRIES = {
    "encoders.multiply_adds": "layer_costs.SelfAttention.multiply_adds",
    "encoders.path_length": "layer_costs.SelfAttention.path_length",
    "encoders.sequential_depth": "layer_costs.SelfAttention.sequential_depth",
    "entropy.rectified_once": "entropy.rectified",
    "entropy.rectified_twice": "entropy.rectified",
    "search.rectified": "entropy.sums_of_law",
}
# Parts of chapters that stand in another now: the section that leads there, and their anchors.
PARTS = {
    "notebooks/ordering": (
        "comparing-heads",
        "check-head-cross-entropy thm-order-pinsker equation-eq-order-cross "
        "equation-eq-order-pinsker",
    ),
    "notebooks/transformer": (
        "a-transformer-that-reverses",
        "what-goes-in-embeddings-positions-dropout dropout the-smoothed-loss less-sure-but-better "
        "fewer-assumptions-more-data check-embedding-scale check-dropout check-label-smoothing "
        "check-smoothing-helps check-attention-data-hungry thm-tr-embedding thm-tr-dropout "
        "thm-tr-smoothing thm-tr-population equation-eq-tr-smoothed equation-eq-tr-gap",
    ),
}


def moved() -> dict[str, str]:
    """Every old anchor, and where it should stand."""
    anchors = {}
    for old, (new, names) in MODULES.items():
        anchors[f"attnlib-{old}"] = anchors[f"module-attnlib.{old}"] = f"attnlib.{new}"
        anchors |= {f"attnlib.{old}.{name}": f"attnlib.{new}.{name}" for name in names.split()}
    return anchors | {f"attnlib.{old}": f"attnlib.{new}" for old, new in ENTRIES.items()}


def old_anchors(names) -> dict[str, str]:
    """The old anchors whose place is among these names of entries and modules."""
    found = {}
    for old, new in moved().items():
        while new and new not in names:
            new = new.rpartition(".")[0]
        if new:
            found[old] = new
    return found


def add_anchors(app, doctree):
    if not app.env.docname.startswith(PAGES):
        return
    places = {
        id.removeprefix("module-"): node
        for node in doctree.findall(nodes.Element)
        for id in node.get("ids", ())
        if id.removeprefix("module-").startswith("attnlib.")
    }
    for old, new in old_anchors(places).items():
        places[new]["ids"].append(old)


def add_anchors_of_parts(app, doctree):
    if app.env.docname not in PARTS:
        return
    place, anchors = PARTS[app.env.docname]
    found = [s for s in doctree.findall(nodes.section) if place in s["ids"]]
    if not found:
        logger.warning("moved: %s has no section %s", app.env.docname, place)
    for section in found:
        section["ids"] += anchors.split()


def warn_of_lost(app, env):
    """An old anchor that no page has."""
    known = env.domains["py"].objects
    for old in sorted(moved().keys() - old_anchors(known).keys()):
        logger.warning("moved: no page has a place for the old anchor %s", old)


def setup(app):
    app.connect("doctree-read", add_anchors)
    app.connect("doctree-read", add_anchors_of_parts)
    app.connect("env-check-consistency", warn_of_lost)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
