"""Reading text, with errors that name file and line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["MASK", "PAD", "naming", "read_pairs", "read_texts"]

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
