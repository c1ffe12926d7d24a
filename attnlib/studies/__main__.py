"""The command line: ``python -m attnlib.studies COMMAND --help``."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click

from attnlib import _commands
from attnlib._commands import PATH, Commands, gathered
from attnlib.studies import findable, knowledge, pruning
from attnlib.studies.knowledge_job import Options
from attnlib.studies.knowledge_looks import record_looks


@click.group(cls=Commands, context_settings={"show_default": True})
def cli() -> None:
    """Record a study. The same command again goes on where an interrupted one stopped."""


@cli.command("pruning")
@click.option("--seeds", type=int, default=10, help="How many, from 0 on.")
@click.option("--file", type=PATH, default=Path("pruning-study.json"))
@click.option("--models", type=PATH, default=Path("_build/pruning"),
              help="Where trained parameters are kept.")  # fmt: skip
def pruning_(seeds: int, file: Path, models: Path) -> None:
    """Train, score and prune small readers into FILE, a row for each seed."""
    found = pruning.study(seeds, file, models)
    click.echo(f"{len(found['rows'])} rows in {file}")


@cli.command("knowledge")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--seeds", type=int, default=5, help="How many, from 0 on.")
@click.option("--batch_seeds", type=int, default=3, help="With other batches.")
@gathered("options", Options, [
    click.option(f"--{option.name}", type=type(option.default), default=option.default,
                 help=option.metadata.get("help"))
    for option in fields(Options)
])  # fmt: skip
@click.option("--workers", type=int, default=2, help="Processes, a core each.")
def knowledge_(
    folder: Path, seeds: int, batch_seeds: int, workers: int, options: Options
) -> None:  # fmt: skip
    """Pretrain, fine-tune and examine small GPTs into DIR, a row for each.

    DIR gets study.json, and a parameters file for each variant. Three variants with and without
    pretraining, for each seed; then vanilla once more for each seed without one person's
    sentences, and without those of half of the people examined; and for the first --batch_seeds
    with a quarter of the batch and with four times it. The parameters files hold the pretrained
    models of seed 0 in float16.
    """
    for row in knowledge.study(folder, options, seeds, batch_seeds, workers):
        click.echo(
            f"{row['name']:32s} examined {row['examined']:6.1%}  trained on "
            f"{row['trained']:6.1%}  most frequent place {row['baseline']:6.1%}"
        )


@cli.command("findable")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--people", type=PATH,
              help="A folder with wiki.txt, train.tsv, dev.tsv.  [default: made up]")  # fmt: skip
@click.option("--seeds", type=int, default=5, help="How many, from 0 on.")
@click.option("--cell", "cells", multiple=True, type=click.Choice(list(findable.CELLS)),
              help="One of the ways of reading; may be given again.  [default: all]")  # fmt: skip
@gathered("options", findable.Options, [
    click.option(f"--{option.name}", type=type(option.default), default=option.default)
    for option in fields(findable.Options)
])  # fmt: skip
@click.option("--workers", type=int, default=2, help="Processes, a core each.")
def findable_(
    folder: Path, people: Path | None, seeds: int, cells: tuple[str, ...], workers: int,
    options: findable.Options,
) -> None:  # fmt: skip
    """Read about 250 people in several ways, and record what is stored and what is found.

    DIR gets findable.json, a row for each way and seed, with its curve.
    """
    chosen = cells or tuple(findable.CELLS)
    for row in findable.study(folder, options, seeds, workers, chosen, people):
        last = row["curve"][-1]
        click.echo(
            f"{row['name']:22s} stored {last['stored']:3d} of {last['own_texts']}  found "
            f"{last['found']:3d}, name first {last['found_first']:3d}, of {last['asked']}"
        )


@cli.command("looks")
@click.argument("folder", metavar="DIR", type=PATH)
def looks_(folder: Path) -> None:
    """Write into DIR/looks.json where the models of a study of knowledge in DIR look."""
    rows = record_looks(folder)
    click.echo(f"{len(rows)} rows in {folder / 'looks.json'}")


if __name__ == "__main__":
    _commands.run(cli, "attnlib.studies")
