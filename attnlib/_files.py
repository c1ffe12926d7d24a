"""Files: written whole or not at all, never over what is no regular file, read without trust."""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["alone", "read_dict", "require_writable", "to_bytes", "write_atomically",
           "write_folder"]  # fmt: skip

_KINDS = {
    stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip


def _require_replaceable(path: Path) -> None:
    """An OSError if something lies at path that is not a regular file."""
    try:
        mode = path.lstat().st_mode  # of a link itself, wherever it leads
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise OSError(errno.EINVAL, f"is {kind}, which would be replaced; name a regular file "
                      "or one that does not exist yet", str(path))  # fmt: skip


def write_atomically(path: str | Path, content: str | bytes) -> None:
    r"""Write a file so that, whenever we are stopped, path holds the old content or the new one.

    Text is written in UTF-8 with "\\n". The file gets the permissions of any new file. Of two
    processes that write at once, one wins, and neither mixes with the other.

    Raises:
        OSError: the file cannot be written (a full disk), or path is a folder, a device, a FIFO
            or a symbolic link; what was there before is kept.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(f"{folder}/a.txt", "Zürich\n")
    ...     Path(folder, "a.txt").read_bytes(), len(os.listdir(folder))
    (b'Z\xc3\xbcrich\n', 1)
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    _require_replaceable(path)
    # Beside the target, since a file can only be moved at once within one file system; under a
    # name that nobody else has; by open, which sets the usual permissions (mkstemp does not).
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.draft")
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave an empty file under path
        os.replace(draft, path)
    except BaseException:  # an interruption too leaves no draft behind
        draft.unlink(missing_ok=True)
        raise


def write_folder(folder: str | Path, files: dict[str, str]) -> None:
    """Make a folder of text files, all of them or none. It must not exist, or be empty."""
    folder = Path(folder).absolute()
    taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if taken or folder.is_symlink():
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


def require_writable(path: str | Path, *inputs: str | Path | None) -> None:
    """Fail before the work rather than after it, unless path can be written.

    Raises:
        OSError: it cannot, or it is a folder, a device, a FIFO or a symbolic link.
        ValueError: it is one of the inputs, the files that the same work reads.
    """
    path = Path(path)
    _require_replaceable(path)
    for other in inputs:
        if other is not None and path.exists() and Path(other).exists() and path.samefile(other):
            raise ValueError(f"{path} is read by the same command: write to another file")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None


@contextmanager
def alone(path: str | Path) -> Iterator[None]:
    """While this lasts, no other process that asks the same can work on path.

    A hidden file beside path is locked and removed afterwards. Where a process was killed it
    stays, and is in nobody's way. On Windows nothing is locked.

    Raises:
        ValueError: another process is at it.
        OSError: there is no such folder, or it cannot be written.
    """
    path = Path(path)
    if fcntl is None:
        yield
        return
    lock = path.with_name(f".{path.name}.lock")
    while True:
        # Never through a link: its aim would be removed for it.
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"{path}: another process is at work on it") from None
            if os.fstat(handle).st_nlink == 0:  # whoever had it removed it meanwhile
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return
        finally:
            os.close(handle)


def to_bytes(content: dict[str, Any]) -> bytes:
    """Tensors, numbers, text, lists and dicts of them, as torch.save writes them."""
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def read_dict(path: str | Path, kind: str) -> dict[str, Any]:
    """What ``to_bytes`` wrote. Code hidden in the file is refused, not run (weights_only).

    Raises:
        ValueError: the file is damaged, or holds something else; the message names the kind of
            file that was expected.
        OSError: it cannot be read.
    """
    import torch

    data = Path(path).read_bytes()
    if not data:
        raise ValueError(f"{path}: the file is empty")
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch all have errors of their own
        raise ValueError(f"{path}: no {kind} file ({type(error).__name__})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: no {kind} file (it holds a {type(content).__name__})")
    return content
