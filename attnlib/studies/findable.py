"""The study of what makes facts findable: 250 people, a text each, one thing changed at a time."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from attnlib._files import alone
from attnlib._inputs import require_integer
from attnlib.knowledge.corpus import Alphabet, alternate, answer_batches, span_batches
from attnlib.knowledge.files import read_pairs, read_texts
from attnlib.knowledge.generate import baseline, generate_corpus
from attnlib.knowledge.gpt import GPT
from attnlib.knowledge.hints import asked_name
from attnlib.knowledge.recall import CURVE, Exam, answered, follow, hidden_places, stored_and_found
from attnlib.knowledge.settings import Reading, Schedule, Sizes
from attnlib.knowledge.train import new_model, train
from attnlib.studies.knowledge_job import name_first
from attnlib.studies.record import Form, Recorder, read_study, run_all, versions

__all__ = ["CELLS", "FORM", "Cell", "Options", "People", "people_of", "run_cell", "study"]

Pairs = list[tuple[str, str]]
Row = dict[str, Any]
FORM = Form(settings="options", rows="rows", key="name")
SHOWN = 96  # characters of a text, in which its place is said
POINTS = 4  # of each curve
TRAINED, EXAMINED = 150, 100  # people


@dataclass(frozen=True)
class Cell:
    """How a model reads: what one row of the study tells from the others, beside its seed."""

    attention: str = "vanilla"
    offset: int = 0
    cut: tuple[int, int] | None = (40, SHOWN)
    names: float | int = 0.6
    passes: float | int = 1.0  # times those of the study
    questions: int = 0  # one step in so many reads questions with their answers; 0 none


CELLS = {
    "base": Cell(),
    "offset": Cell(offset=12),
    "rotary": Cell(attention="rotary"),
    "rotary-offset": Cell(attention="rotary", offset=12),
    "synthesizer": Cell(attention="synthesizer"),
    "synthesizer-offset": Cell(attention="synthesizer", offset=12),
    "half": Cell(passes=0.5),
    "half-offset": Cell(passes=0.5, offset=12),
    "whole": Cell(cut=None),
    "any-span": Cell(names=0.0),
    "questions": Cell(questions=4),
    "questions-offset": Cell(questions=4, offset=12),
}


@dataclass(frozen=True)
class Options:
    """What all rows of a study share.

    Raises:
        ValueError: an option is out of range; it is named.
    """

    passes: int = 400
    n_layer: int = 3
    n_head: int = 4
    n_embd: int = 128
    batch: int = 32
    rate: float | int = 4e-3
    warmup: int = 200

    def __post_init__(self) -> None:
        for name in ("passes", "batch"):
            require_integer(name, getattr(self, name), 1)
        self.sizes()
        self.schedule(1)

    def sizes(self) -> Sizes:
        return Sizes(128, self.n_layer, self.n_head, self.n_embd)

    def schedule(self, steps: int) -> Schedule:
        return Schedule(steps, self.rate, self.warmup, 0.1, final=0.03)


@dataclass(frozen=True)
class People:
    """Texts, a person each, who begins it; pairs to train on, and to be examined on."""

    texts: list[str]
    trained: Pairs
    examined: Pairs
    characters: str

    def digest(self) -> str:
        """What tells these people from others in a record, which does not hold their texts."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


def people_of(folder: Path | None = None) -> People:
    """The first 150 and 100 people whose text says their place within 96 characters.

    Args:
        folder: with ``wiki.txt``, ``train.tsv`` and ``dev.tsv``; a text begins with "NAME. ".
            None makes people up, whose text is one of their sentences that begins with the name.

    Raises:
        ValueError: a file is malformed, or nobody is left.
        OSError: a file cannot be read.
    """
    if folder is None:
        texts, *pairs = generate_corpus(4 * EXAMINED, 40, seed=0)
        asked = [asked_name(question) for question, _ in pairs[0] + pairs[1]]
        own = {name: next(t for t in texts if t.startswith(name)) for name in asked}
    else:
        texts = read_texts(folder / "wiki.txt")
        pairs = [read_pairs(folder / f"{name}.tsv") for name in ("train", "dev")]
        own = {text.partition(". ")[0]: text for text in texts}

    def said(question: str, place: str) -> bool:
        text = own.get(asked_name(question))
        return text is not None and hidden_places([text], [(question, place)], SHOWN) != [None]

    trained, examined = ([pair for pair in some if said(*pair)] for some in pairs)
    trained, examined = trained[:TRAINED], examined[:EXAMINED]
    if not trained or not examined:
        raise ValueError("nobody's text says their place early enough")
    chosen = [own[asked_name(question)] for question, _ in trained + examined]
    return People(chosen, trained, examined, Alphabet("".join(texts)).characters)


def _measure(model: GPT, exam: Exam) -> dict[str, int]:
    """What is stored, and what is found in two wordings, each with a fine-tuning of its own."""
    first = replace(exam, trained=name_first(list(exam.trained)),
                    examined=name_first(list(exam.examined)))  # fmt: skip
    return {**stored_and_found(model, exam), "found_first": sum(answered(model, first))}


def run_cell(job: tuple[str, int], options: Options, people: People, folder: Path) -> Row:
    """One model of the study: trained, and measured on the way. Returns its row.

    Interrupted at any moment it goes on from its checkpoint in ``folder/jobs``.
    """
    torch.set_num_threads(1)
    start = time.perf_counter()
    name, seed = job
    cell, alphabet = CELLS[name], Alphabet(people.characters)
    model = new_model(seed, len(alphabet), options.sizes(), cell.attention)
    reading = Reading(names=cell.names, offset=cell.offset, cut=cell.cut, bucketed=True)
    batches = span_batches(people.texts, alphabet, model.block_size, options.batch, seed, reading)
    steps = round(-(-len(people.texts) // options.batch) * options.passes * cell.passes)
    if cell.questions:  # as many steps of texts as without
        asked = answer_batches(people.trained, alphabet, model.block_size, options.batch, seed)
        batches = alternate(batches, asked, cell.questions)
        steps += steps // (cell.questions - 1)
    exam = Exam(people.texts, alphabet, people.trained, people.examined,
                Schedule(40, 5e-4, 5, 0.1), shown=SHOWN)  # fmt: skip
    made = json.dumps({"cell": asdict(cell), "seed": seed, "options": asdict(options),
                       "people": people.digest()})  # fmt: skip
    every = max(1, steps // POINTS)
    path = folder / "jobs" / f"{name}-{seed}"
    history = train(
        model, batches, options.schedule(steps), seed=seed,
        checkpoint=path.with_suffix(".checkpoint"), settings=made,
        after_step=follow(path.with_suffix(".json"), json.loads(made), model,
                          functools.partial(_measure, exam=exam), every, steps),
    )  # fmt: skip
    return {"name": f"{name}-{seed}", "cell": name, "seed": seed, **asdict(cell), "steps": steps,
            "curve": read_study(path.with_suffix(".json"), CURVE)["rows"],
            "history": [[step, round(loss, 5)] for step, loss in history[9::10]],
            "seconds": round(time.perf_counter() - start, 1)}  # fmt: skip


def study(
    folder: Path, options: Options, seeds: int, workers: int, cells: Sequence[str] = tuple(CELLS),
    people: Path | None = None,
) -> list[Row]:  # fmt: skip
    """Record into ``folder/findable.json`` the rows that are missing there; those of this command.

    Raises:
        ValueError: the folder holds another study, or an argument is out of range.
        OSError: the folder cannot be written, or people not be read.
    """
    require_integer("seeds", seeds, 1)
    require_integer("workers", workers, 1)
    chosen = people_of(people)
    recorder = Recorder(folder / "findable.json", FORM, {
        "command": "", "versions": versions("torch", "attnlib"), "machine": platform.machine(),
        "threads": 1, "options": {**asdict(options), "people": chosen.digest()},
        "baseline": baseline(chosen.trained, chosen.examined),
    })  # fmt: skip
    (folder / "jobs").mkdir(exist_ok=True)
    jobs = {f"{name}-{seed}": (name, seed) for seed in range(seeds) for name in cells}
    call = functools.partial(run_cell, options=options, people=chosen, folder=folder)
    given = {"seeds": seeds, **asdict(options)}
    command = " ".join(["python -m attnlib.studies findable DIR",
                        *(f"--{name} {value}" for name, value in given.items())])  # fmt: skip
    with alone(recorder.path):
        missing = recorder.missing(jobs)
        bar = tqdm(total=len(jobs), initial=len(jobs) - len(missing), desc="rows")
        with bar, closing(run_all(call, [jobs[name] for name in missing], workers)) as done:
            for row in done:
                recorder.add(row, list(jobs), {"command": command})
                for ending in ("checkpoint", "json"):
                    (folder / "jobs" / f"{row['name']}.{ending}").unlink(missing_ok=True)
                bar.update()
    return [recorder.rows()[name] for name in jobs]
