"""The map of the chapters, with routes through it, and cards with a picture for each of them.

``{chapter-map}`` draws what each chapter builds on (see chapters.py). Its content is a list of
routes: a name, and what a reader finds on it, with links to its chapters in order; the minutes
are summed here. The map is a list of links, put in place by the style sheet, with lines behind
them (see map_layout.py). So it reads as a list where nothing is drawn.

``{chapter-cards}`` holds a list of chapters, a link and what each is about, and adds minutes and
a picture (see thumbnails.py).
"""

from html import escape
from pathlib import PurePath

from chapters import Line, as_hours, cells, line, misplaced, mistold, parts, reading, title
from docutils import nodes
from map_layout import lane_count, narrow_lines, wide, wide_lines
from sphinx.addnodes import pending_xref
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from thumbnails import thumbnail

logger = logging.getLogger(__name__)


class chapter_map(nodes.General, nodes.Element):
    """The map. It has the routes as its children."""


class route(nodes.General, nodes.Element):
    """A route: its ``number``, ``name`` and ``chapters``; its children are words on it."""


class FromChapters(SphinxDirective):
    """A directive whose content is a list of definitions, and which reads the notebooks."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.order = [chapter for part in parts().values() for chapter in part]
        for chapter in self.order:
            self.env.note_dependency(f"notebooks/{chapter}.ipynb")
        holder = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, holder)
        items = list(holder.findall(nodes.definition_list_item))
        return [self.made([(item.children[0], item.children[1:]) for item in items])]

    def warn(self, message: str) -> None:
        logger.warning("%s: %s", self.name, message, location=self.get_location())


class ChapterMap(FromChapters):
    def made(self, items) -> chapter_map:
        stored = {chapter: cells(chapter) for chapter in self.order}
        lines = {chapter: line(stored[chapter]) for chapter in self.order}
        for chapter in [chapter for chapter in self.order if lines[chapter] is None]:
            self.warn(f"notebooks/{chapter}.md: {mistold(stored[chapter])}")
            lines[chapter] = Line(0, 0, ())
        builds_on = {chapter: lines[chapter].builds_on for chapter in self.order}
        if wrong := list(misplaced(self.order, builds_on)):
            self.warn("; ".join(wrong))
            builds_on = dict.fromkeys(self.order, ())
        made = chapter_map(
            builds_on=builds_on,
            titles={chapter: title(stored[chapter]) for chapter in self.order},
            minutes={chapter: reading(stored[chapter]).minutes for chapter in self.order},
        )
        for number, (term, definitions) in enumerate(items, 1):
            words = [child for definition in definitions for child in definition.children]
            made += route(
                "", *words, number=number, name=term.astext(), chapters=linked(definitions)
            )
        return made


class ChapterCards(FromChapters):
    def made(self, items) -> nodes.bullet_list:
        made = nodes.bullet_list(classes=["chapter-cards"])
        for term, definitions in items:
            (chapter,) = linked([term])
            if picture := thumbnail(chapter):
                picture = f'<div class="thumbnail" aria-hidden="true">{picture}</div>'
            head = nodes.paragraph("", "", *term.children, classes=["card-title"])
            minutes = as_hours(reading(cells(chapter)).minutes)
            head += [nodes.Text(" "), nodes.inline("", minutes, classes=["minutes"])]
            words = [child for definition in definitions for child in definition.children]
            drawing = [nodes.raw("", picture, format="html")] * bool(picture)
            made += nodes.list_item("", *drawing, head, *words)
        return made


def linked(within: list[nodes.Node]) -> list[str]:
    """The chapters that some nodes link to, in order."""
    links = [link for node in within for link in node.findall(pending_xref)]
    targets = [PurePath(link["reftarget"]) for link in links]
    return [target.stem for target in targets if target.parent.name == "notebooks"]


# -- on the page -------------------------------------------------------------------------------


def visit_map(self, node):
    everything = sum(node["minutes"].values())
    self.body.append(
        '<div class="chapter-map"><fieldset class="routes"><legend>Show on the map</legend>'
        + choice(0, "All of it", len(node["minutes"]), everything)
        + "</div>"
    )


def depart_map(self, node):
    routes = [child["chapters"] for child in node.children]
    self.body.append(f"</fieldset>{plane(node, routes, address_from(self))}</div>\n")


def visit_route(self, node):
    minutes = node.parent["minutes"]
    total = sum(minutes[chapter] for chapter in node["chapters"])
    self.body.append(choice(node["number"], node["name"], len(node["chapters"]), total))


def depart_route(self, node):
    self.body.append("</div>\n")


def choice(number: int, name: str, chapters: int, minutes: int) -> str:
    """The head of a route, which shows it on the map."""
    return (
        f'<div class="route"><label><input type="radio" name="route" value="{number}"'
        f"{' checked' * (number == 0)}> {escape(name)}</label> "
        f'<span class="minutes">{chapters} chapters, {as_hours(minutes)}</span>'
    )


def address_from(translator):
    """Where a chapter is, seen from the page that is written."""
    here = translator.builder.current_docname
    return lambda chapter: translator.builder.get_relative_uri(here, f"notebooks/{chapter}")


def plane(node, routes: list[list[str]], address) -> str:
    """The list of the chapters, and the lines behind it."""
    builds_on = node["builds_on"]
    place, width, height = wide(builds_on)
    size = f"--width:{width:.2f};--height:{height:.2f};--lanes:{lane_count(builds_on)}"
    return (
        f'<nav class="plane" aria-label="What each chapter builds on" style="{size}">'
        f"{wide_lines(builds_on, routes)}{narrow_lines(builds_on, routes)}<ol>"
        + "".join(box(node, chapter, place[chapter], routes, address) for chapter in builds_on)
        + "</ol></nav>"
    )


def box(node, chapter: str, place: tuple[float, float], routes: list[list[str]], address) -> str:
    """A chapter on the map. What the lines show is said to those who do not see them."""
    titles, needs = node["titles"], node["builds_on"][chapter]
    on = [f"on-{i}" for i, chapters in enumerate(routes, 1) if chapter in chapters]
    classes = " ".join([f"map-{chapter}", *["needs"] * bool(needs), *on])
    after = " and ".join(titles[need] for need in needs)
    heads = "".join(f'<i class="head" style="--k:{k}"></i>' for k in range(len(needs)))
    said = f'<span class="visually-hidden">, builds on {escape(after)}</span>' * bool(needs)
    return (
        f'<li class="{classes}" style="--x:{place[0]:.2f};--y:{place[1]:.2f}">'
        f'<a href="{escape(address(chapter))}">{escape(titles[chapter])} '
        f'<span class="minutes">{as_hours(node["minutes"][chapter])}</span>{said}</a>{heads}</li>'
    )


def add_style(app, pagename, templatename, context, doctree) -> None:
    """The style sheet of map and cards, on the pages that hold one."""
    if 'class="chapter-' in context.get("body", ""):
        app.add_css_file("chapter_map.css")


def setup(app):
    app.add_node(chapter_map, html=(visit_map, depart_map))
    app.add_node(route, html=(visit_route, depart_route))
    app.add_directive("chapter-map", ChapterMap)
    app.add_directive("chapter-cards", ChapterCards)
    app.connect("html-page-context", add_style)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
