"""Where the models of the study look: what the script draws is what the record holds."""

import json

import numpy as np

from attnlib.knowledge import generate_corpus
from attnlib.studies.knowledge_job import name_first
from attnlib.studies.record import RECORDED

from .figure import Seen, same

ROWS = json.loads((RECORDED / "knowledge-study" / "looks.json").read_text("utf-8"))["rows"]
TITLES = {"vanilla": "Vanilla attention", "rotary": "Rotary attention",
          "synthesizer": "The Synthesizer"}  # fmt: skip
ASKED = generate_corpus(100, 8, seed=0)[2]
# As the chapter writes it into its page.
DATA = f'<script type="application/json" class="knowledge-looks">{json.dumps(ROWS)}</script>'


def row(model: float, person: float, first: float) -> dict:
    question, _ = (name_first(ASKED) if first else ASKED)[int(person) - 1]
    attention = list(TITLES)[int(model) - 1]
    (found,) = [r for r in ROWS if (r["attention"], r["question"]) == (attention, question)]
    return found


def name_of(person: float) -> str:
    return " ".join(ASKED[int(person) - 1][0].split()[2:4])


def check_knowledge(seen: Seen) -> None:
    model, person, first = seen.values
    look = row(model, person, first)
    letters = [*look["question"], "⁇"]
    assert [text.replace("\u00a0", " ") for text in seen.text("letter")] == letters
    down = len(set(seen.number("letter", "x"))) == 1
    long, across = ("width", "y") if down else ("height", "x")
    places = seen.number("letter", across) - (4 if down else 0)
    unit = places[1] - places[0]
    for h, weights in enumerate(look["weights"]):
        bars, start = seen.number(f"head-{h}", long), seen.number(f"head-{h}", across)
        same(bars / bars.sum(), np.array(weights) / sum(weights))
        same(start + (unit - 4) / 2, places)
        assert 0.9 < bars.sum() / (58 if down else 34) < 1.1  # one full bar is a weight of 1
    ends = seen.number("name", across)[0], seen.number("name", "height" if down else "width")[0]
    begin = look["question"].index(name_of(person))
    end = begin + len(name_of(person))
    same(ends, [places[begin] - unit / 2, unit * (end - begin)])
    on_name = [round(sum(w[begin:end]) / 10 + 1e-9) for w in look["weights"]]
    right = look["answer"] == look["place"]
    assert look["place"] == ASKED[int(person) - 1][1]
    assert seen.said == (
        f"{TITLES[look['attention']]}, asked “{look['question']}”: the heads put "
        f"{on_name[0]}, {on_name[1]}, {on_name[2]} and {on_name[3]} % of their weight on the name. "
        f"It answers {look['answer']}, "
        + ("which is right." if right else f"and it should be {look['place']}.")
    )


FIGURES = {
    "explore-knowledge": check_knowledge,
}

WRONG = {
    "the models in another order":
        ("explore-knowledge", '["vanilla", "rotary", "synthesizer"]',
         '["vanilla", "synthesizer", "rotary"]'),
    "the next person": ("explore-knowledge", "chosen[person - 1]", "chosen[person % 6]"),
    "the wordings exchanged": ("explore-knowledge", "(first === 1)", "(first === 0)"),
    "the name one character late":
        ("explore-knowledge", '"Where was ".length', '"Where was? ".length'),
    "every answer right": ("explore-knowledge", "look.answer === look.place", "true"),
    "the bars one character on": ("explore-knowledge", "LETTER * i + 2", "LETTER * (i + 1) + 2"),
}  # fmt: skip
