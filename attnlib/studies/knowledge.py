"""The study of knowledge: what pretraining, the variant, and one person's sentences are worth."""

from __future__ import annotations

import functools
import platform
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from attnlib._files import alone
from attnlib._inputs import require_integer
from attnlib.knowledge.gpt import VARIANTS
from attnlib.studies.knowledge_job import Job, Options, forget, run_job
from attnlib.studies.record import Form, Recorder, run_all, versions

__all__ = ["FORM", "first_jobs", "second_jobs", "study", "third_jobs"]

FORM = Form(settings="options", rows="jobs", key="name")
Row = dict[str, Any]


def _job(options: Options, seed: int, what: str) -> Job:
    """Vanilla and pretrained, until it is replaced."""
    return Job(f"vanilla-{what}-{seed}", seed, "vanilla", True, (), options.pretrain_batch,
               options.pretrain_rate)  # fmt: skip


def first_jobs(seeds: int, options: Options) -> list[Job]:
    """Each variant, pretrained and from scratch."""
    return [
        replace(_job(options, seed, what), name=f"{attention}-{what}-{seed}",
                attention=attention, pretrained=what == "pretrained")
        for seed in range(seeds) for what in ("pretrained", "scratch") for attention in VARIANTS
    ]  # fmt: skip


def second_jobs(first: Sequence[Row], options: Options) -> list[Job]:
    """For each vanilla model: once without one person, and once without half of those examined.

    The one person is the first whose place the model knew and who was not born in the place that
    is most frequent in the training pairs, which a guess would find. If there is none, the first.
    """
    jobs = []
    for result in first:
        if result["attention"] == "vanilla" and result["pretrained"]:
            rows = result["answers"]
            guess = result["most_frequent"]
            known = [r for r in rows if r["answer"] == r["place"] != guess] or rows
            left_out = {"one": known[:1], "half": rows[::2]}
            jobs += [replace(_job(options, result["seed"], f"without-{which}"),
                             left_out=tuple(r["question"] for r in chosen))
                     for which, chosen in left_out.items()]  # fmt: skip
    return jobs


def third_jobs(seeds: int, options: Options) -> list[Job]:
    """Vanilla with a quarter of the batch and with four times it.

    The learning rate is kept, or goes with the root of the batch: the rule for Adam.
    """
    batch, rate = options.pretrain_batch, options.pretrain_rate
    return [
        replace(_job(options, seed, f"batch-{size}-{rule}"), batch=size,
                rate=rate if rule == "kept" else rate * (size / batch) ** 0.5)
        for seed in range(seeds) for size in (max(1, batch // 4), 4 * batch)
        for rule in ("kept", "scaled")
    ]  # fmt: skip


def _changes(rows: Sequence[Row], options: Options, workers: int) -> dict[str, Any]:
    """What the head says about these rows: the command that makes them, and their seeds.

    With every option, so that defaults that change later do not matter.
    """
    seeds = sorted({row["seed"] for row in rows})
    with_batches = {row["seed"] for row in rows if "-batch-" in row["name"]}
    given = {"seeds": len(seeds), "batch_seeds": len(with_batches), **asdict(options),
             "workers": workers}  # fmt: skip
    words = [f"--{name} {value}" for name, value in given.items()]
    command = " ".join(["python -m attnlib.studies knowledge DIR", *words])
    return {"command": command, "workers": workers, "seeds": seeds}


def study(
    folder: Path,
    options: Options,
    seeds: int,
    batch_seeds: int,
    workers: int,
    progress: bool = True,
) -> list[Row]:
    """Record into ``folder/study.json`` the rows that are missing there; those of this command.

    Raises:
        ValueError: the folder holds another study, or a file in the place of one of this study.
        OSError: the folder cannot be written.
    """
    require_integer("seeds", seeds, 1)
    require_integer("batch_seeds", batch_seeds, 0)
    require_integer("workers", workers, 1)
    recorder = Recorder(folder / "study.json", FORM, {
        "command": "", "versions": versions("torch", "attnlib"), "machine": platform.machine(),
        "workers": workers, "threads": 1, "seeds": [], "options": asdict(options),
    })  # fmt: skip
    (folder / "jobs").mkdir(exist_ok=True)
    call = functools.partial(run_job, options=options, folder=folder)
    jobs: dict[str, Job] = {}

    def run_missing(more: Sequence[Job], title: str) -> None:
        jobs.update((job.name, job) for job in more)
        missing = [jobs[name] for name in recorder.missing(job.name for job in more)]
        bar = tqdm(total=len(more), initial=len(more) - len(missing), desc=title)
        with bar, closing(run_all(call, missing, workers)) as done:
            for row in done:
                changes = _changes([*recorder.rows().values(), row], options, workers)
                recorder.add(row, list(jobs), changes)
                forget(jobs[row["name"]], options, folder)
                bar.set_postfix_str(f"{row['name']} {row['examined']:.0%}", refresh=False)
                bar.update()

    with alone(recorder.path):
        run_missing(first_jobs(seeds, options), "variants")
        first = [recorder.rows()[name] for name in jobs]
        run_missing(second_jobs(first, options), "left out")
        run_missing(third_jobs(batch_seeds, options), "batches")
    return [recorder.rows()[name] for name in jobs]
