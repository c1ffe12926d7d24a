"""One model of the study: pretrained or not, with or without some people, fine-tuned, examined."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attnlib._inputs import require_integer, require_real
from attnlib.knowledge.answer import accuracy, choose, greedy_answers
from attnlib.knowledge.corpus import Alphabet, answer_batches, span_batches
from attnlib.knowledge.generate import TEMPLATES, baseline, generate_corpus
from attnlib.knowledge.gpt import GPT
from attnlib.knowledge.hints import asked_name
from attnlib.knowledge.params import load_params, save_params
from attnlib.knowledge.settings import Schedule, Sizes
from attnlib.knowledge.spans import mentions
from attnlib.knowledge.train import new_model, train

__all__ = ["OPENINGS", "Job", "Options", "completed", "fine_tune", "forget", "name_first",
           "run_job"]  # fmt: skip

Pairs = list[tuple[str, str]]

# What is said of a person before the place is: what a model that has read it should go on with.
OPENINGS = list(dict.fromkeys(
    start for start, _, _ in (template.partition("{place}") for template in TEMPLATES)
    if start.count("{name}") == 1 and "{other}" not in start
))  # fmt: skip
POINTS = 5  # of the learning curve: so many times in pretraining a copy is fine-tuned and asked


@dataclass(frozen=True)
class Options:
    """What all jobs of a study share: the corpus, the sizes, and three schedules.

    Raises:
        ValueError: an option is out of range; it is named.
    """

    people: int = 100
    places: int = 8
    block_size: int = 128
    n_layer: int = 2
    n_head: int = 4
    n_embd: int = 96
    pretrain_steps: int = 2000
    pretrain_batch: int = 32
    pretrain_rate: float | int = 5e-3
    finetune_steps: int = 25
    finetune_batch: int = 16
    finetune_rate: float | int = 5e-4
    scratch_steps: int = field(default=400, metadata={"help": "Without pretraining."})
    scratch_rate: float | int = field(default=2e-3, metadata={"help": "Without pretraining."})
    weight_decay: float | int = 0.1

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(option.default, int):
                require_integer(option.name, value, 1)
            elif option.name != "weight_decay":
                require_real(option.name, value, above=0)
        self.sizes()
        self.finetuning(pretrained=True)  # weight_decay

    def sizes(self) -> Sizes:
        return Sizes(self.block_size, self.n_layer, self.n_head, self.n_embd)

    def pretraining(self, batch: int, rate: float) -> Schedule:
        """With another batch as many texts are read: in more steps or in fewer, warmup included."""
        share = self.pretrain_batch / batch
        steps = round(self.pretrain_steps * share)
        return Schedule(steps, rate, round(100 * share), self.weight_decay)

    def finetuning(self, pretrained: bool) -> Schedule:
        """Without pretraining it is longer and faster.

        With the shorter one not even the questions that are trained on would be answered.
        """
        if pretrained:
            return Schedule(self.finetune_steps, self.finetune_rate, 5, self.weight_decay)
        return Schedule(self.scratch_steps, self.scratch_rate, 5, self.weight_decay)


@dataclass(frozen=True)
class Job:
    """One model: what tells it from the others."""

    name: str
    seed: int
    attention: str
    pretrained: bool
    left_out: tuple[str, ...]  # questions about the people whose sentences are not read
    batch: int
    rate: float

    def row(self) -> dict[str, Any]:
        """As it stands in the record."""
        return {**asdict(self), "left_out": list(self.left_out)}


def fine_tune(
    model: GPT, pairs: Pairs, examined: Pairs, alphabet: Alphabet, schedule: Schedule, batch: int,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Train a model in place on questions, then ask about everybody."""
    batches = answer_batches(pairs, alphabet, model.block_size, batch, seed)
    history = train(model, batches, schedule, seed=seed)
    trained = greedy_answers(model, alphabet, [q for q, _ in pairs])
    found = greedy_answers(model, alphabet, [q for q, _ in examined])
    return {
        "finetune_loss": round(history[-1][1], 5),
        "trained": accuracy([a for a, _ in trained], [place for _, place in pairs]),
        "examined": accuracy([a for a, _ in found], [place for _, place in examined]),
        "answers": [
            {"question": q, "place": place, "answer": a, "probability": round(p, 6)}
            for (q, place), (a, p) in zip(examined, found, strict=True)
        ],
    }


def completed(
    model: Callable[[Tensor], Tensor], alphabet: Alphabet, people: list[tuple[str, str]]
) -> list[list[str | float]]:
    """For each opening of a sentence, the share of (question, place) whose place goes on with it.

    The trade, where there is one, is the same for all: it need not be theirs. An opening with a
    letter that the alphabet does not have, which happens in tiny corpora, is left out.
    """
    places = sorted({place for _, place in people})
    shares: list[list[str | float]] = []
    for opening in OPENINGS:
        prompts = [opening.format(name=asked_name(q), work="judge") for q, _ in people]
        if alphabet.unknown("".join(prompts)):
            continue
        found = choose(model, alphabet, prompts, places)
        shares.append([opening, accuracy(found, [place for _, place in people])])
    return shares


def name_first(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same questions in other words: the name now begins them, as it begins most sentences.

    >>> name_first([("Where was Ada Corlund born?", "Oslo")])
    [('Ada Corlund was born where?', 'Oslo')]
    """
    return [(f"{asked_name(question)} was born where?", place) for question, place in pairs]


def _snapshots(job: Job, options: Options, folder: Path) -> dict[int, Path]:
    """Where the copies for the learning curve lie while a job runs, by the steps made."""
    steps = options.pretraining(job.batch, job.rate).steps
    points = sorted({max(1, steps * i // POINTS) for i in range(1, POINTS)})
    return {step: folder / "jobs" / f"{job.name}.{step}.params" for step in points}


def _checkpoint(job: Job, folder: Path) -> Path:
    return folder / "jobs" / f"{job.name}.checkpoint"


def forget(job: Job, options: Options, folder: Path) -> None:
    """Remove what an interrupted job would go on from."""
    for path in (_checkpoint(job, folder), *_snapshots(job, options, folder).values()):
        path.unlink(missing_ok=True)


def _pretrain(
    job: Job, options: Options, folder: Path, model: GPT, alphabet: Alphabet, sentences: list[str]
) -> tuple[Path, list[tuple[int, float]]]:
    """Train on the sentences; where the model is stored, in float16, and its history of losses."""
    made = json.dumps([job.row(), asdict(options)])
    of_seed_0 = job.name.endswith("-pretrained-0")  # beside the record, for the chapter
    name = f"{job.attention}.params" if of_seed_0 else f"jobs/{job.name}.params"
    stored = folder / name
    if stored.exists() and load_params(stored)[2] != made:
        raise ValueError(f"{stored} was not made by this study: move it away")
    snapshots = _snapshots(job, options, folder)

    def keep(step: int) -> None:
        if step in snapshots:
            save_params(snapshots[step], model, alphabet)

    history = train(
        model, span_batches(sentences, alphabet, model.block_size, job.batch, job.seed),
        options.pretraining(job.batch, job.rate), seed=job.seed,
        checkpoint=_checkpoint(job, folder), settings=made, after_step=keep,
    )  # fmt: skip
    save_params(stored, model, alphabet, made, half=True)
    return stored, [(step, round(loss, 5)) for step, loss in history]


def run_job(job: Job, options: Options, folder: Path) -> dict[str, Any]:
    """One model: pretrained (or not), fine-tuned, examined. Returns its row.

    Interrupted at any moment it goes on from its checkpoint in ``folder/jobs``, which it leaves
    there: see :func:`forget`. The corpus, the start and the order of the batches are all fixed by
    the job's seed. What is fine-tuned is what a reader will have, the weights as they are stored.
    """
    torch.set_num_threads(1)  # two jobs side by side are faster than one on two threads
    start = time.perf_counter()
    sentences, pairs, examined = generate_corpus(options.people, options.places, job.seed)
    # Of all sentences: whoever is left out, the alphabet and so the start stay the same.
    alphabet = Alphabet("".join(sentences))
    model = new_model(job.seed, len(alphabet), options.sizes(), job.attention)
    row: dict[str, Any] = {**job.row(), "baseline": baseline(pairs, examined)}
    row["most_frequent"] = Counter(place for _, place in pairs).most_common(1)[0][0]

    schedule = options.finetuning(job.pretrained)

    def asked(path: Path, reworded: Callable[[Pairs], Pairs] = list) -> float:
        """The share of right answers of the model of a file, fine-tuned."""
        found = fine_tune(load_params(path)[0], reworded(pairs), reworded(examined), alphabet,
                          schedule, options.finetune_batch, job.seed)  # fmt: skip
        share: float = found["examined"]
        return share

    if job.pretrained:
        left_out = [asked_name(question) for question in job.left_out]
        read = [s for s in sentences if not any(mentions(person, s) for person in left_out)]
        stored, row["history"] = _pretrain(job, options, folder, model, alphabet, read)
        model = load_params(stored)[0]
        row["completed"] = completed(model, alphabet, pairs + examined)
        row["name_first"] = asked(stored, name_first)
        snapshots = _snapshots(job, options, folder)
        row["curve"] = [[step, asked(path)] for step, path in snapshots.items()]
    row |= fine_tune(model, pairs, examined, alphabet, schedule, options.finetune_batch, job.seed)
    if job.pretrained:
        row["curve"].append([options.pretraining(job.batch, job.rate).steps, row["examined"]])
    return {**row, "seconds": round(time.perf_counter() - start, 1)}  # since the last interruption
