"""Code that only has to run is folded: the page shows the code that teaches.

What a cell is for can be seen from it, so no chapter needs a mark:

- the block of a claim: its code goes into its card, and that of the cell just before with it;
- imports and set-up: the cell begins with an import;
- a figure: it shows an image;
- a preparation: no text stands between it and the block of a claim;
- the numbers of the text: all that it shows is quoted there;
- a checker of answers: it defines one with ``check_answer``;
- a solution in code: it has the tag ``hide-cell``.

Any other cell is folded by ``jupyter: {source_hidden: true}`` in its metadata, which folds it in
JupyterLab too. Solutions in words fold like those in code. Outputs stay where they are, but for
those of an exercise: its checker and its solutions fold behind one line, so that the page shows
what is asked and nothing that answers it.
"""

import re

from card import claim_card
from docutils import nodes
from fold import folded
from sphinx.transforms import SphinxTransform
from sphinx_exercise.nodes import exercise_enumerable_node, exercise_node, solution_node

FIGURE = "Code: the figure"
IMPORT = re.compile(r"(import|from) ")
EXERCISES = (exercise_node, exercise_enumerable_node)
ANSWERS = "Check your answer, or see a solution"


class FoldCells(SphinxTransform):
    default_priority = 800

    def apply(self):
        cells = [n for n in self.document.findall(nodes.container) if is_part(n, "cell_code")]
        for cell in cells:
            source = part(cell, "cell_code_source")
            card = next(cell.findall(claim_card), None)
            if card is not None:
                into_card(cell, source, card)
            elif cell.get("hide_mode"):
                fold_solution(cell)
            elif line := purpose(cell, source.astext()):
                cell.remove(source)
                # Below a figure, above any other output.
                at = len(cell.children) if line == FIGURE else 0
                cell.insert(at, folded(line, source, kind="code"))
        for solution in list(self.document.findall(solution_node)):
            if "dropdown" in solution["classes"]:
                solution["classes"].remove("dropdown")
                words = solution.children[1:]
                del solution.children[1:]
                solution += folded("Show the solution", *words, kind="solution")
        for section in [n for n in self.document.findall(nodes.section) if has_exercises(n)]:
            fold_answers(section)


def is_part(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == name


def part(cell: nodes.container, name: str) -> nodes.container | None:
    return next((child for child in cell.children if is_part(child, name)), None)


def purpose(cell: nodes.container, code: str) -> str | None:
    """The line that a folded cell leaves on the page; None if it stays open."""
    shown = part(cell, "cell_code_output")
    if "@check_answer" in code:
        return "Code: the checker of answers"
    if shown and next(shown.findall(nodes.image), None) is not None:
        return FIGURE
    if IMPORT.match(code):
        return "Code: imports and set-up"
    if prepares(cell):
        return "Code: preparation of the check"
    if cell.get("quoted") and not shown:
        return "Code: the numbers in the text"
    if cell["cell_metadata"].get("jupyter", {}).get("source_hidden"):
        return "Code"
    return None


def neighbour(node: nodes.Node, step: int) -> nodes.Node | None:
    """The next node on one side that is to be seen: no target, no comment."""
    siblings, i = node.parent.children, node.parent.index(node) + step
    while 0 <= i < len(siblings) and isinstance(siblings[i], nodes.target | nodes.comment):
        i += step
    return siblings[i] if 0 <= i < len(siblings) else None


def prepares(cell: nodes.container) -> bool:
    after = neighbour(cell, 1)
    return is_part(after, "cell_code") and next(after.findall(claim_card), None) is not None


def into_card(cell: nodes.container, source: nodes.container, card: claim_card) -> None:
    """Move the code of a block into the evidence, that of a silent preparation above it."""
    cell.remove(source)
    code = [source]
    before = neighbour(cell, -1)
    if is_part(before, "cell_code") and len(before.children) == 1:  # it shows nothing
        hidden = before.children[0]
        if hidden.get("classes", []) == ["fold", "code"] and not before["ids"]:
            code.insert(0, hidden.children[1])
            before.parent.remove(before)
    cell["classes"].append("has-card")
    card.children[-1] += folded("The code of this check", *code, kind="code")


def fold_solution(cell: nodes.container) -> None:
    line = cell.attributes.pop("prompt_show")
    del cell["hide_mode"]
    children = cell.children
    cell.children = []
    cell += folded(line, *children, kind="solution")


def has_exercises(section: nodes.section) -> bool:
    return any(isinstance(child, EXERCISES) for child in section.children)


def fold_answers(section: nodes.section) -> None:
    """Fold what stands between two exercises, unless it is a solution alone, which folds itself."""
    children, answers = section.children, None
    section.children = []

    def put_answers() -> None:
        several = sum(not isinstance(n, nodes.target | nodes.comment) for n in answers or ()) > 1
        section.extend([folded(ANSWERS, *answers, kind="answers")] if several else answers or [])

    for child in children:
        if isinstance(child, (*EXERCISES, nodes.section)):
            put_answers()
            answers = [] if isinstance(child, EXERCISES) else None
            section += child
        elif answers is None:
            section += child
        else:
            answers.append(child)
    put_answers()


def setup(app):
    app.add_transform(FoldCells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
