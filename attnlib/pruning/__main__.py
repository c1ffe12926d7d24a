"""The command of the study: ``python -m attnlib.pruning study``."""

from __future__ import annotations

import argparse
from pathlib import Path

from attnlib.pruning.study import study


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and record the study."""
    parser = argparse.ArgumentParser(prog="python -m attnlib.pruning", description=__doc__)
    command = parser.add_subparsers(dest="command", required=True)
    options = command.add_parser("study", help="train, score, prune; goes on where it stopped")
    options.add_argument("--seeds", type=int, default=10, help="how many seeds, from 0 on")
    options.add_argument("--file", type=Path, default=Path("notebooks/pruning-study.json"))
    options.add_argument("--models", type=Path, default=Path("_build/pruning"),
                         help="where trained parameters are kept")  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        found = study(given.seeds, given.file, given.models)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(f"{len(found['rows'])} rows in {given.file}")


if __name__ == "__main__":
    main()
