"""Reading text with errors that name file and line; writing that leaves nothing half-written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["MASK", "PAD", "naming", "read_pairs", "read_texts", "require_writable",
           "write_atomically", "write_folder"]  # fmt: skip

PAD, MASK = "□", "⁇"  # what fills a short row of a batch; what stands for a hidden span


def read_texts(path: str | Path) -> list[str]:
    """The lines of a UTF-8 text file, one text each.

    Raises:
        ValueError: the file is empty; a line is empty, is not UTF-8, or holds ⁇ or □.
        OSError: the file cannot be read.
    """
    # Not str.splitlines: it also splits at U+2028 and others, which occur inside real text.
    lines = Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if lines[-1] == b"":  # behind the last newline
        lines.pop()
    if not lines:
        raise ValueError(f"{path}: the file is empty")
    texts = []
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}, line {number}: not UTF-8 ({error.reason})") from None
        if not text.strip():
            raise ValueError(f"{path}, line {number}: the line is empty")
        for mark in (PAD, MASK):
            if mark in text:
                raise ValueError(f"{path}, line {number}: {mark} is reserved for the model")
        texts.append(text)
    return texts


def read_pairs(path: str | Path, answers: bool = True) -> list[tuple[str, str]]:
    """Lines ``question<TAB>answer``. With answers=False a file may hold questions alone.

    Its answers are then "" throughout: a file with some answers must have them all.

    Raises:
        ValueError: as for ``read_texts``, or a line is not a question, a tab and an answer.
        OSError: the file cannot be read.
    """
    rows = [line.split("\t") for line in read_texts(path)]
    if not answers and all(len(row) == 1 for row in rows):
        return [(question, "") for (question,) in rows]
    for number, row in enumerate(rows, 1):
        if len(row) != 2 or not all(field.strip() for field in row):
            raise ValueError(
                f"{path}, line {number}: expected a question, one tab and an answer, "
                f"got {len(row) - 1} tabs" + (" and an empty field" if len(row) == 2 else "")
            )
    return [(question, answer) for question, answer in rows]


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Put the file in front of what is wrong with one of its lines."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from None


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Write a file so that, whenever we are stopped, path holds the old content or the new one.

    Text is written in UTF-8 with "\\n". An OSError (a full disk) leaves path as it was.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    # Beside the target, since a file can only be moved at once within one file system. The name
    # is fixed, so that what a killed run leaves is overwritten by the next one.
    draft = path.with_name(f".{path.name}.draft")
    try:
        with open(draft, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave an empty file under path
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def write_folder(folder: str | Path, files: dict[str, str]) -> None:
    """Make a folder of text files, all of them or none. It must not exist, or be empty."""
    folder = Path(folder).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists and is not an empty folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Made under another name, which is then moved.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".generate-") as made:
        draft = Path(made) / "draft"
        draft.mkdir()
        for name, content in files.items():
            write_atomically(draft / name, content)
        if folder.exists():
            folder.rmdir()
        os.replace(draft, folder)


def require_writable(path: str | Path) -> None:
    """Fail before the work rather than after it: an OSError unless path can be written."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(21, "is a folder", str(path))
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
