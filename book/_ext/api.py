"""The pages on the package: an index of the modules, and a page for each.

- ``{modules}`` lists the pages of ``book/api``: what each module is for, its chapter, and its
  entries. A link from when all entries stood on one page finds the entry there; see moved.py.
- A module's own page names its chapter, and the claims of that chapter.
- A claim that a docstring names links to its entry in the ledger, and so does a name of the
  package to its own.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from ledger import title
from moved import old_anchors
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from attnlib.evidence.ledger import CLAIMS, load_claims

INDEX, PAGES, LEDGER = "book/api", "book/api/", "book/claims"
SHOWN = ("function", "class", "exception", "data")  # others are parts of these


class module_index(nodes.General, nodes.Element):
    """Where the list of modules will stand, once all pages are read."""


class Modules(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [module_index()]


class ListModules(SphinxPostTransform):
    default_priority = 5  # before links are resolved

    def run(self, **kwargs) -> None:
        for place in list(self.document.findall(module_index)):
            entries = [self.entry(page) for page in pages(self.env)]
            place.replace_self(nodes.definition_list("", *entries, classes=["module-index"]))

    def entry(self, page: str) -> nodes.definition_list_item:
        """A page: its module, what that is for, and a link to each thing in it."""
        objects = {n: o for n, o in self.env.domains["py"].objects.items() if o.docname == page}
        module = min((n for n, o in objects.items() if o.objtype == "module"), key=len)
        links: dict[str, nodes.reference] = {}
        for name, found in objects.items():
            if name == module or found.objtype in SHOWN:
                text = name if name == module else name.rpartition(".")[2]
                links[name] = self.link(page, found.node_id, text)
        for name, found in objects.items():
            links[within(name, links)]["ids"].append(found.node_id)
        links[module]["ids"].append(nodes.make_id(module))  # of its heading
        for old, new in old_anchors(objects).items():
            links[within(new, links)]["ids"].append(old)
        purpose = nodes.paragraph("", importlib.import_module(module).__doc__.splitlines()[0])
        if doc := chapter_of(self.env, module):
            purpose += [nodes.Text(" Chapter: "), to_chapter(self.env, doc), nodes.Text(".")]
        names = nodes.paragraph("", classes=["entries"])
        for name in list(links)[1:]:
            names += [nodes.Text(" · ")] * bool(names.children) + [links[name]]
        term = nodes.term("", "", links[module])
        return nodes.definition_list_item("", term, nodes.definition("", purpose, names))

    def link(self, page: str, anchor: str, text: str) -> nodes.reference:
        code = nodes.literal("", text, classes=["xref"])
        return make_refnode(self.app.builder, self.env.docname, page, anchor, code)


def within(name: str, links: dict[str, nodes.reference]) -> str:
    """The entry that is linked itself, or the class or module that holds it."""
    while name not in links:
        name = name.rpartition(".")[0]
    return name


def pages(env) -> list[str]:
    """The pages of modules: in the order of the chapters, then the others."""
    order = [doc for docs in env.toctree_includes.values() for doc in docs]
    rank = {doc.rpartition("/")[2]: i for i, doc in enumerate(order) if is_chapter(doc)}
    found = [doc for doc in env.found_docs if doc.startswith(PAGES)]
    return sorted(found, key=lambda doc: (rank.get(doc.removeprefix(PAGES), len(order)), doc))


def is_chapter(doc: str) -> bool:
    return doc.startswith("notebooks/")


def chapter_of(env, module: str) -> str | None:
    doc = "notebooks/" + module.removeprefix("attnlib.")
    return doc if doc in env.found_docs else None


def to_chapter(env, doc: str) -> addnodes.pending_xref:
    text = nodes.inline("", title(Path(env.doc2path(doc))))
    return addnodes.pending_xref("", text, refdomain="std", reftype="doc", reftarget="/" + doc,
                                 refexplicit=True, refwarn=True, refdoc=env.docname)  # fmt: skip


def to_claim(env, id: str) -> addnodes.pending_xref:
    code = nodes.literal("", id, classes=["xref"])
    return addnodes.pending_xref("", code, refdomain="", reftype="claim", reftarget=id,
                                 refwarn=True, refdoc=env.docname)  # fmt: skip


def resolve_claim(app, env, node, contnode) -> nodes.reference | None:
    if node["reftype"] != "claim" or LEDGER not in env.found_docs:
        return None
    anchor = f"claim-{node['reftarget'].lower()}"  # as Sphinx writes it
    return make_refnode(app.builder, node["refdoc"], LEDGER, anchor, contnode)


# -- on the page of a module ---------------------------------------------------------------------


class ChapterOf(SphinxDirective):
    """The chapter of a module, and the verdict and the id of each of its claims."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(CLAIMS))
        doc = chapter_of(self.env, self.arguments[0])
        head = nodes.paragraph("", "Its chapter: ", to_chapter(self.env, doc))
        claims = nodes.bullet_list(classes=["claims-of-chapter"])
        for claim in chapter_claims(doc):
            pill = "verdict-" + claim["verdict"].replace(" ", "-")
            line = nodes.paragraph(
                "", "", nodes.inline("", claim["verdict"], classes=["verdict", pill])
            )
            line += [nodes.Text(" "), to_claim(self.env, claim["id"])]
            claims += nodes.list_item("", line)
        head += nodes.Text(". The claims that it settles:" if claims.children else ".")
        return [head, claims] if claims.children else [head]


def chapter_claims(doc: str) -> Iterator[dict]:
    return (c for c in load_claims().values() if f"notebooks/{c['chapter']}" == doc)


def add_chapter(app, what, name, obj, options, lines) -> None:
    if what == "module" and chapter_of(app.env, name):
        lines += ["", f".. chapter-of:: {name}", ""]


def skip_aliases(app, what, name, obj, skip, options) -> bool | None:
    """The fields of a named tuple tell nothing but their numbers; the signature has them all."""
    return True if (obj.__doc__ or "").startswith("Alias for field number") else None


class LinkClaims(SphinxTransform):
    """``softmax-jacobian`` in a docstring that speaks of a claim becomes a link."""

    default_priority = 830

    def apply(self, **kwargs) -> None:
        if not self.env.docname.startswith(PAGES):
            return
        known = load_claims()
        for code in list(self.document.findall(nodes.literal)):
            spoken_of = "claim" in code.parent.astext() and not is_link(code.parent)
            if code.astext() in known and spoken_of:
                code.replace_self(to_claim(self.env, code.astext()))


class LinkNames(SphinxPostTransform):
    """``softmax_vjp`` in a docstring becomes a link, but within what it names."""

    default_priority = 6  # once all entries are known

    def run(self, **kwargs) -> None:
        if self.env.docname.startswith(PAGES):
            for code in list(self.document.findall(is_name)):
                name = self.full_name(code.astext())
                if name and not is_link(code.parent) and not self.speaks_of_itself(code, name):
                    found = self.env.domains["py"].objects[name]
                    code.replace_self(self.link(found, nodes.literal("", code.astext())))

    def full_name(self, name: str) -> str | None:
        """The one entry of that name: of this module, or of the package."""
        objects = self.env.domains["py"].objects
        named = [full for full, o in objects.items() if f".{full}".endswith(f".{name}")
                 and (o.objtype in SHOWN or full == name)]  # fmt: skip
        here = [full for full in named if objects[full].docname == self.env.docname]
        return next((only[0] for only in (here, named) if len(only) == 1), None)

    def link(self, found, code: nodes.literal) -> nodes.reference:
        code["classes"] += ["xref"]
        return make_refnode(self.app.builder, self.env.docname, found.docname, found.node_id, code)

    def speaks_of_itself(self, code: nodes.Node, name: str) -> bool:
        """Where an entry names itself, or an argument that happens to have its name."""
        while code := code.parent:
            if isinstance(code, addnodes.desc):
                arguments = {p.astext().partition(":")[0].strip("* ")
                             for p in code[0].findall(addnodes.desc_parameter)}  # fmt: skip
                if name in code[0]["ids"] or name.rpartition(".")[2] in arguments:
                    return True
        return False


def is_name(node: nodes.Node) -> bool:
    """In single or double backticks, and not in a signature or a heading."""
    code = isinstance(node, nodes.literal | nodes.title_reference)
    return code and not isinstance(node.parent, nodes.title)


def is_link(node: nodes.Node) -> bool:
    return isinstance(node, nodes.reference | addnodes.pending_xref)


# -- what belongs to these pages -----------------------------------------------------------------


def outdated(app, env, added, changed, removed) -> list[str]:
    """Any page of a module, or any chapter: list them again."""
    touched = any(doc.startswith((PAGES, "notebooks/")) for doc in added | changed | removed)
    return [INDEX] if touched and INDEX in env.found_docs else []


def add_forwarding(app, pagename, templatename, context, doctree) -> None:
    if pagename == INDEX:
        app.add_js_file("moved.js", loading_method="defer")


def setup(app):
    app.add_node(module_index)
    app.add_directive("modules", Modules)
    app.add_directive("chapter-of", ChapterOf)
    app.add_transform(LinkClaims)
    app.add_post_transform(ListModules)
    app.add_post_transform(LinkNames)
    app.connect("autodoc-process-docstring", add_chapter)
    app.connect("autodoc-skip-member", skip_aliases)
    app.connect("missing-reference", resolve_claim)
    app.connect("env-get-outdated", outdated)
    app.connect("html-page-context", add_forwarding)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
