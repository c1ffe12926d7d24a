"""The record of a study: how it was made, and a row for each thing measured, kept once known."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import platform
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnlib._files import require_writable, write_atomically

__all__ = ["RECORDED", "Form", "Recorder", "read_study", "run_all", "versions"]

#: The studies of the book. They come with the package, so a chapter finds them wherever it runs.
#:
#: :meta hide-value:
RECORDED = Path(__file__).with_name("recorded")


@dataclass(frozen=True)
class Form:
    """The names in the file of a study.

    ``settings``: of what must stay the same; ``rows``: of the list of rows; ``key``: of the entry
    that tells a row from the others.
    """

    settings: str
    rows: str
    key: str


def versions(*packages: str) -> dict[str, str]:
    """Those of Python and of some packages.

    >>> list(versions("torch"))
    ['python', 'torch']
    """
    found = {name: str(importlib.import_module(name).__version__) for name in packages}
    return {"python": platform.python_version(), **found}


def read_study(path: str | Path, form: Form) -> dict[str, Any]:
    """A recorded study, as it stands in its file.

    Raises:
        ValueError: the file is no study of this form; path is named.
        OSError: the file cannot be read.
    """
    try:
        found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        keys = [row[form.key] for row in found[form.rows]]
        if not isinstance(found[form.settings], dict) or not isinstance(found["versions"], dict):
            raise TypeError("settings and versions must be objects")
        if len(set(keys)) < len(keys):
            raise ValueError(f"two rows of one {form.key}")
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{path}: no recorded study of this kind ({error!r})") from None
    return found


def run_all(
    call: Callable[[Any], dict[str, Any]], jobs: Sequence[Any], workers: int
) -> Generator[dict[str, Any]]:
    """The rows of jobs as they are done, here or in processes of their own."""
    if workers == 1:
        yield from map(call, jobs)
        return
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    pool = ProcessPoolExecutor(workers, mp_context=context)
    try:
        for done in as_completed([pool.submit(call, job) for job in jobs]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)  # after an error start nothing that still waits


class Recorder:
    """Writes a study row by row, and goes on where an interrupted one stopped.

    The file is JSON, a row on each line, so that a rerun shows in a diff as the rows that
    changed. It is whole at every moment. Nothing is kept in memory: what stands in the file is
    read before each change, and checked again to be a study with these settings.

    Args:
        path: the file; folders on the way are made.
        form: the names in it.
        head: what a new file begins with; it holds the settings and the versions.

    Raises:
        ValueError: the file is no study of this form, or one with other settings.
        OSError: it cannot be written, or is no regular file.
    """

    def __init__(self, path: Path, form: Form, head: dict[str, Any]) -> None:
        self.path, self.form, self.head = path, form, head
        path.parent.mkdir(parents=True, exist_ok=True)
        require_writable(path)
        self.read()

    def read(self) -> dict[str, Any]:
        """Head and rows as recorded so far."""
        if not self.path.exists():
            return {**self.head, self.form.rows: []}
        found, name = read_study(self.path, self.form), self.form.settings
        if found[name] != self.head[name]:
            raise ValueError(f"{self.path} holds a study with other {name}, {found[name]}: record "
                             "into another file")  # fmt: skip
        return found

    def rows(self) -> dict[Any, dict[str, Any]]:
        """The rows by their keys."""
        return {row[self.form.key]: row for row in self.read()[self.form.rows]}

    def missing(self, keys: Iterable[Any]) -> list[Any]:
        """Those of the keys that have no row yet.

        Raises:
            ValueError: there are some, and the rows recorded were made by other versions.
        """
        known, made_with = self.rows(), self.read()["versions"]
        missing = [key for key in keys if key not in known]
        if missing and made_with != self.head["versions"]:
            raise ValueError(f"{self.path} was recorded with {made_with}, and these are "
                             f"{self.head['versions']}: record into another file")  # fmt: skip
        return missing

    def add(self, row: dict[str, Any], order: Sequence[Any], changes: dict[str, Any]) -> None:
        """Record a row, and what it changes in the head.

        Rows then stand in the order of these keys, others behind them.
        """
        rows = self.rows()
        if row[self.form.key] in rows:
            raise ValueError(f"{self.path} has a row of {row[self.form.key]} already")
        rows[row[self.form.key]] = row
        place = {key: i for i, key in enumerate(order)}
        keys = sorted(rows, key=lambda key: place.get(key, len(place)))
        self._write({**self.read(), **changes, self.form.rows: [rows[key] for key in keys]})

    def note(self, changes: dict[str, Any]) -> None:
        """Record something about the whole study, beside its rows."""
        self._write({**self.read(), **changes})

    def _write(self, found: dict[str, Any]) -> None:
        name = self.form.rows
        head = json.dumps({**found, name: []}, indent=1, ensure_ascii=False)
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in found[name])
        text = head.replace(f'\n "{name}": []', f'\n "{name}": [\n{lines}\n]', 1)
        write_atomically(self.path, f"{text}\n")
