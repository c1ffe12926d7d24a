"""The recorded study: what pretraining, the variant, and one person's sentences are worth."""

from __future__ import annotations

import json
import multiprocessing
import platform
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import click
import torch
from tqdm import tqdm

import attnlib
from attnlib.knowledge.experiment import run_job
from attnlib.knowledge.files import require_writable, write_atomically
from attnlib.knowledge.gpt import VARIANTS

__all__ = ["study"]


def _job(options: dict[str, Any], seed: int, what: str, **other) -> dict[str, Any]:
    job = {"seed": seed, "attention": "vanilla", "pretrained": True, "left_out": [],
           "batch": options["pretrain_batch"], "rate": options["pretrain_rate"],
           **other}  # fmt: skip
    return {"name": f"{job['attention']}-{what}-{seed}", **job}


def _first_jobs(seeds: int, options: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        _job(options, seed, what, attention=attention, pretrained=what == "pretrained")
        for seed in range(seeds) for what in ("pretrained", "scratch") for attention in VARIANTS
    ]  # fmt: skip


def _second_jobs(first: list[dict[str, Any]], options: dict[str, Any]) -> list[dict[str, Any]]:
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
            jobs += [_job(options, result["seed"], f"without-{which}",
                          left_out=[r["question"] for r in chosen])
                     for which, chosen in left_out.items()]  # fmt: skip
    return jobs


def _third_jobs(seeds: int, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Vanilla with a quarter of the batch and with four times it.

    The learning rate is kept, or goes with the root of the batch: the rule for Adam.
    """
    batch, rate = options["pretrain_batch"], options["pretrain_rate"]
    return [
        _job(options, seed, f"batch-{size}-{rule}", batch=size,
             rate=rate if rule == "kept" else rate * (size / batch) ** 0.5)
        for seed in range(seeds) for size in (max(1, batch // 4), 4 * batch)
        for rule in ("kept", "scaled")
    ]  # fmt: skip


def _run_all(
    jobs: list[dict], options: dict, folder: Path, pool: Executor | None, title: str
) -> list:
    """Run those jobs that have no result yet, here or in a pool; the results of all, in order."""
    paths = [folder / "jobs" / f"{job['name']}.json" for job in jobs]
    missing = [job for job, path in zip(jobs, paths, strict=True) if not path.exists()]
    with tqdm(total=len(jobs), initial=len(jobs) - len(missing), desc=title) as bar:
        if pool is None:
            for job in missing:
                bar.set_postfix_str(run_job(job, options, str(folder)), refresh=False)
                bar.update()
        else:
            running = [pool.submit(run_job, job, options, str(folder)) for job in missing]
            for done in as_completed(running):
                bar.set_postfix_str(done.result(), refresh=False)
                bar.update()
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--seeds", type=click.IntRange(1), default=5, help="How many, from 0 on.")
@click.option("--batch_seeds", type=click.IntRange(0), default=3, help="With other batches.")
@click.option("--people", type=int, default=100)
@click.option("--places", type=int, default=8)
@click.option("--block_size", type=int, default=128)
@click.option("--n_layer", type=int, default=2)
@click.option("--n_head", type=int, default=4)
@click.option("--n_embd", type=int, default=96)
@click.option("--pretrain_steps", type=int, default=2000)
@click.option("--pretrain_batch", type=int, default=32)
@click.option("--pretrain_rate", type=float, default=5e-3)
@click.option("--finetune_steps", type=int, default=25)
@click.option("--finetune_batch", type=int, default=16)
@click.option("--finetune_rate", type=float, default=5e-4)
@click.option("--scratch_steps", type=int, default=400, help="Without pretraining.")
@click.option("--scratch_rate", type=float, default=2e-3, help="Without pretraining.")
@click.option("--weight_decay", type=float, default=0.1)
@click.option("--workers", type=click.IntRange(1), default=2, help="Processes, a core each.")
def study(folder: Path, seeds: int, batch_seeds: int, workers: int, **options) -> None:
    """Run the recorded study into DIR: study.json and a parameters file for each variant.

    Three variants with and without pretraining, for each seed; then vanilla once more for each
    seed without one person's sentences, and without those of half of the people examined; and
    for the first --batch_seeds with a quarter of the batch and with four times it. The same
    command again goes on where an interrupted one stopped. The parameters files hold the
    pretrained models of seed 0 in float16.
    """
    jobs = folder / "jobs"
    jobs.mkdir(parents=True, exist_ok=True)
    require_writable(folder / "study.json")
    made_with = jobs / "options.json"
    if not made_with.exists():
        write_atomically(made_with, json.dumps(options))
    elif (before := json.loads(made_with.read_text(encoding="utf-8"))) != options:
        raise ValueError(f"{folder} holds a study with other options: {before}")
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    pool = ProcessPoolExecutor(workers, mp_context=context) if workers > 1 else None
    try:
        done = _run_all(_first_jobs(seeds, options), options, folder, pool, "variants")
        done += _run_all(_second_jobs(done, options), options, folder, pool, "left out")
        done += _run_all(_third_jobs(batch_seeds, options), options, folder, pool, "batches")
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)  # after an error start nothing that still waits
    record = {
        # Every option, so that defaults that change later do not matter.
        "command": " ".join(["python -m attnlib.knowledge study DIR", *(
            f"--{name} {value}" for name, value in
            {"seeds": seeds, "batch_seeds": batch_seeds, **options, "workers": workers}.items())]),
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "attnlib": attnlib.__version__},
        "machine": platform.machine(), "workers": workers, "threads": 1,
        "seeds": list(range(seeds)), "options": options,
    }  # fmt: skip
    # A job on each line: a change shows where it is.
    head = json.dumps(record, ensure_ascii=False, indent=1).removesuffix("\n}")
    lines = ",\n".join(json.dumps(job, ensure_ascii=False) for job in done)
    write_atomically(folder / "study.json", f'{head},\n "jobs": [\n{lines}\n]}}\n')
    for job in done:
        click.echo(
            f"{job['name']:32s} examined {job['examined']:6.1%}  trained on "
            f"{job['trained']:6.1%}  most frequent place {job['baseline']:6.1%}"
        )
