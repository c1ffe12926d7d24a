"""What is stored and what is found: a place hidden in the person's own text, and asked for."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnlib._inputs import require_integer
from attnlib.knowledge.answer import greedy_answers
from attnlib.knowledge.corpus import Alphabet, answer_batches
from attnlib.knowledge.files import MASK
from attnlib.knowledge.gpt import GPT
from attnlib.knowledge.hints import asked_name
from attnlib.knowledge.settings import Schedule
from attnlib.knowledge.spans import mentions
from attnlib.knowledge.train import train
from attnlib.studies.record import Form, Recorder, read_study, versions

__all__ = [
    "CURVE",
    "Exam",
    "answered",
    "follow",
    "hidden_places",
    "read_curve",
    "recalled",
    "stored_and_found",
]

Pairs = Sequence[tuple[str, str]]
CURVE = Form(settings="settings", rows="rows", key="step")


def _hidden_place(texts: Sequence[str], name: str, place: str, shown: int) -> str | None:
    """The first text that serves, with the place hidden."""
    for text in texts:
        named = mentions(name, text)
        if not named:
            continue
        said = [(i, j) for i, j in mentions(place, text)
                if all(j <= a or b <= i for a, b in named)]  # fmt: skip
        if not said:
            continue
        i, j = said[0]
        # What is said twice could be copied.
        end = min([shown, len(text), *(a for a, _ in said[1:2])])
        if j <= end and named[0][1] <= end:
            return f"{text[:i]}{MASK}{text[j:end]}"
    return None


def hidden_places(texts: Sequence[str], pairs: Pairs, shown: int) -> list[str | None]:
    """For each (question, place) a text about the person with ⁇ where the place is said.

    It is the first text that holds name and place, each whole and within the first ``shown``
    characters, of which no more are shown. A mention inside the name does not count, and the text
    ends before the place is said again, where it could be copied. None if there is no such text.

    Raises:
        ValueError: a question is none of the form of ``asked_name``, or shown is no positive
            integer.

    >>> texts = ["Ada Bergson left Rome.", "Ada Berg was born in Rome. She left Rome."]
    >>> hidden_places(texts, [("Where was Ada Berg born?", "Rome")], 100)
    ['Ada Berg was born in ⁇. She left ']
    """
    require_integer("shown", shown, 1)
    return [_hidden_place(texts, asked_name(question), place, shown) for question, place in pairs]


def recalled(
    model: GPT, alphabet: Alphabet, texts: Sequence[str], pairs: Pairs, shown: int | None = None
) -> list[bool | None]:
    """For each (question, place) whether the model restores the place in the person's own text.

    This is what pretraining asked of it, so it tells what is stored; whether a question finds it
    is another matter. As many letters are judged as the place has: pretraining never says where a
    span ends, so what comes behind means nothing. None where :func:`hidden_places` has no text.

    Args:
        model, alphabet: pretrained, and not yet fine-tuned to answer questions alone.
        texts: those of pretraining.
        pairs: whom to ask about.
        shown: most characters of a text; None shows what fits the block. Texts that were cut in
            pretraining should be cut here: positions behind have seen nothing.

    Raises:
        ValueError: as for ``hidden_places``.
    """
    room = model.block_size - 1
    prompts = hidden_places(texts, pairs, room if shown is None else min(shown, room))
    asked = [prompt for prompt in prompts if prompt is not None]
    answers = iter(greedy_answers(model, alphabet, asked))
    return [
        None if prompt is None else next(answers)[0].startswith(place)
        for prompt, (_, place) in zip(prompts, pairs, strict=True)
    ]


@dataclass(frozen=True)
class Exam:
    """How a copy is fine-tuned before it is asked, and whom it is asked about.

    ``texts``, ``alphabet`` and ``shown`` are those of pretraining, see :func:`recalled`.
    """

    texts: Sequence[str]
    alphabet: Alphabet
    trained: Pairs
    examined: Pairs
    schedule: Schedule
    batch_size: int = 16
    seed: int = 0
    shown: int | None = None


def answered(model: GPT, exam: Exam) -> list[bool]:
    """Whether each question is answered right by a copy of the model that is fine-tuned before.

    The model stays as it is, and so does the random stream.
    """
    copied = copy.deepcopy(model)
    batches = answer_batches(exam.trained, exam.alphabet, model.block_size, exam.batch_size,
                             exam.seed)  # fmt: skip
    train(copied, batches, exam.schedule, seed=exam.seed)
    answers = greedy_answers(copied, exam.alphabet, [question for question, _ in exam.examined])
    return [a == place for (a, _), (_, place) in zip(answers, exam.examined, strict=True)]


def stored_and_found(model: GPT, exam: Exam) -> dict[str, int]:
    """Two numbers about one model: places restored in their own texts, and questions answered.

    Returns:
        ``own_texts``: of those examined, how many have a text that serves; ``stored``: in how
        many of these the place is restored (:func:`recalled`); ``asked`` and ``found``: questions,
        and right answers of a fine-tuned copy; ``found_if_stored``: right answers among those
        stored.
    """
    kept = recalled(model, exam.alphabet, exam.texts, exam.examined, exam.shown)
    right = answered(model, exam)
    both = [bool(k) and r for k, r in zip(kept, right, strict=True)]
    return {"own_texts": len(kept) - kept.count(None), "stored": kept.count(True),
            "asked": len(right), "found": sum(right), "found_if_stored": sum(both)}  # fmt: skip


def follow(
    path: Path, settings: dict[str, Any], model: GPT, measure: Callable[[GPT], dict[str, int]],
    every: int, steps: int,
) -> Callable[[int], None]:  # fmt: skip
    """What :func:`train` calls after each step, to record a curve such as that of both numbers.

    Every so many steps and after the last one, what is measured becomes a row of the file, which
    is whole at every moment. What stands there is not measured again, so a run that is resumed
    goes on with its record.

    Args:
        path: a JSON file, made by the first row.
        settings: what fixes the run; a record of another one is refused.
        model: the one that is trained.
        measure: :func:`stored_and_found`, with its exam.
        every, steps: of the rows, and of the run.

    Raises:
        ValueError: path holds another record, or ``every`` is no positive integer.
        OSError: it cannot be written.
    """
    require_integer("every", every, 1)
    recorder = Recorder(path, CURVE, {"settings": settings, "versions": versions("torch")})

    def after(step: int) -> None:
        if (step % every == 0 or step == steps) and recorder.missing([step]):
            row = {"step": step, **measure(model)}
            model.train()
            recorder.add(row, range(steps + 1), {})

    return after


def read_curve(path: str | Path) -> list[tuple[int, float, float]]:
    """The curve of a record: steps, share of places stored, share of questions answered.

    Stored is a share of those who have a text that serves, or NaN if there are none.

    Raises:
        ValueError: the file is no such record.
        OSError: it cannot be read.
    """
    rows = read_study(path, CURVE)["rows"]
    return [(row["step"], row["stored"] / row["own_texts"] if row["own_texts"] else math.nan,
             row["found"] / row["asked"]) for row in rows]  # fmt: skip
