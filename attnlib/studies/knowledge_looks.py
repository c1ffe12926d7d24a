"""Where the stored models of the study look when they are asked: for the chapter's first figure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from attnlib._files import write_atomically
from attnlib.knowledge.answer import greedy_answers
from attnlib.knowledge.corpus import Alphabet
from attnlib.knowledge.files import MASK
from attnlib.knowledge.generate import generate_corpus
from attnlib.knowledge.gpt import GPT, VARIANTS
from attnlib.knowledge.params import load_params
from attnlib.studies.knowledge_job import Options, fine_tune, name_first
from attnlib.studies.record import versions

__all__ = ["ASKED", "looks", "looks_of", "record_looks"]

ASKED = 6  # people: the first of those examined
Row = dict[str, Any]


@torch.no_grad()
def looks_of(model: GPT, alphabet: Alphabet, pairs: Sequence[tuple[str, str]]) -> list[Row]:
    """For each (question, place): what the model answers, and what it looks at before.

    The weights are those of the last layer's heads, from the ⁇ behind the question to each of its
    characters, in thousandths: [head][character].
    """
    found = greedy_answers(model, alphabet, [question for question, _ in pairs])
    rows = []
    for (question, place), (answer, probability) in zip(pairs, found, strict=True):
        A = model.weights(torch.tensor([alphabet.encode(question + MASK)]))[-1]
        rows.append({"question": question, "place": place, "answer": answer,
                     "probability": round(probability, 3),
                     "weights": (1000 * A[0, :, -1]).round().int().tolist()})  # fmt: skip
    return rows


def looks(folder: Path, attention: str, first: bool) -> list[Row]:
    """Those of a stored model of seed 0, fine-tuned as in the study, in one of two wordings.

    With ``first`` the name begins the question, in fine-tuning and when asked.
    """
    options = Options(**json.loads((folder / "study.json").read_text("utf-8"))["options"])
    sentences, pairs, examined = generate_corpus(options.people, options.places, seed=0)
    alphabet = Alphabet("".join(sentences))
    if first:
        pairs, examined = name_first(pairs), name_first(examined)
    model = load_params(folder / f"{attention}.params")[0]
    fine_tune(model, pairs, examined, alphabet, options.finetuning(pretrained=True),
              options.finetune_batch, seed=0)  # fmt: skip
    rows = looks_of(model, alphabet, examined[:ASKED])
    return [{"attention": attention, "name_first": first, **row} for row in rows]


def record_looks(folder: Path) -> list[Row]:
    """Write those of the three models in both wordings into ``folder/looks.json``."""
    torch.set_num_threads(1)
    rows = [row for attention in VARIANTS for first in (False, True)
            for row in looks(folder, attention, first)]  # fmt: skip
    head = {
        "command": "python -m attnlib.studies looks DIR",
        "versions": versions("torch", "attnlib"),
    }
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    text = json.dumps({**head, "rows": []}, indent=1).replace(
        '"rows": []', f'"rows": [\n{lines}\n]'
    )
    write_atomically(folder / "looks.json", f"{text}\n")
    return rows
