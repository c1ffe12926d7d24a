"""book/_ext: what the pages are made with, on small documents."""

import sys

import pytest
from docutils import nodes
from docutils.utils import new_document
from helpers import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
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
    assert set(terms.ELSEWHERE.values()) <= chapters
