"""attnlib/_files.py: whole files or none, never over what is no regular file."""

import io
import multiprocessing
import os
import re
import signal
import socket
import stat
from pathlib import Path

import pytest
import torch
from processes import count_up, hold, write_often

from attnlib._files import (
    alone,
    fcntl,
    read_dict,
    require_writable,
    to_bytes,
    write_atomically,
    write_folder,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_is_utf_8_with_plain_line_ends(tmp_path):
    write_atomically(tmp_path / "a", "Zoë ⁇\n\r\n")
    assert (tmp_path / "a").read_bytes() == "Zoë ⁇\n\r\n".encode()
    write_atomically(str(tmp_path / "a"), b"\xff")
    assert (tmp_path / "a").read_bytes() == b"\xff"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, call, error):
    def fails(*_):
        raise error

    path = tmp_path / "file"
    write_atomically(path, "old")
    monkeypatch.setattr(f"attnlib._files.os.{call}", fails)
    with pytest.raises(type(error)):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_content_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr("attnlib._files.os.fsync", lambda handle: done.append(
        ("synced", os.fstat(handle).st_size)))  # fmt: skip
    monkeypatch.setattr("attnlib._files.os.replace", lambda a, b: done.append(("moved", b.name)))
    write_atomically(tmp_path / "a", "1234")
    assert done == [("synced", 4), ("moved", "a")]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_are_those_of_any_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        (tmp_path / "plain").write_bytes(b"")
        for _ in range(2):
            write_atomically(tmp_path / "ours", b"")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")]
    assert modes[0] == modes[1] == 0o666 & ~mask


def test_two_processes_do_not_mix(tmp_path):
    path = tmp_path / "a"
    context = multiprocessing.get_context("spawn")
    running = [context.Process(target=write_often, args=(path, x)) for x in "xy"]
    for process in running:
        process.start()
    while any(process.is_alive() for process in running):
        if path.exists():
            found = path.read_text()
            assert found in ("x" * 50_000, "y" * 50_000)
    for process in running:
        process.join()
        assert process.exitcode == 0
    assert names(tmp_path) == ["a"]


def make(kind, path):
    """Something at path that is no regular file; how it is called."""
    if kind == "link":
        path.with_name("aim").write_bytes(b"aim")
        path.symlink_to(path.with_name("aim"))
    elif kind == "broken-link":
        path.symlink_to(path.with_name("nothing"))
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.relpath(path))  # the whole path may be too long
    elif kind == "folder":
        path.mkdir()


KINDS = {"link": "a symbolic link", "broken-link": "a symbolic link", "fifo": "a FIFO",
         "socket": "a socket", "folder": "a folder", "device": "a device"}  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["write", "require"])
def test_what_is_no_regular_file_is_never_replaced(tmp_path, kind, call):
    path = Path(os.devnull) if kind == "device" else tmp_path / "path"
    make(kind, path)
    before = path.lstat(), names(tmp_path)
    with pytest.raises(OSError, match=f"is {KINDS[kind]}.*{re.escape(str(path))}"):
        write_atomically(path, b"new") if call == "write" else require_writable(path)
    assert (path.lstat(), names(tmp_path)) == before


def test_writable(tmp_path):
    (tmp_path / "old").write_text("x", encoding="utf-8")
    require_writable(tmp_path / "new")
    require_writable(tmp_path / "old", tmp_path / "other", None)
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text(encoding="utf-8") == "x"
    for bad in (tmp_path, tmp_path / "no" / "where", tmp_path / "old" / "x"):
        with pytest.raises(OSError, match=re.escape(bad.name)):
            require_writable(bad)


def test_an_input_is_no_output(tmp_path):
    """By whatever name: through a linked folder, or as a second name of the same file."""
    (tmp_path / "in").write_bytes(b"x")
    (tmp_path / "in-too").write_bytes(b"x")
    (tmp_path / "linked").symlink_to(tmp_path)
    os.link(tmp_path / "in", tmp_path / "hard")
    for path in (tmp_path / "in", tmp_path / "linked" / "in", tmp_path / "hard"):
        with pytest.raises(ValueError, match=f"^{path} is read by the same command"):
            require_writable(path, None, tmp_path / "in-too", tmp_path / "in")
    require_writable(tmp_path / "in-too", tmp_path / "in", tmp_path / "missing")


def test_folders(tmp_path):
    files = {"a.txt": "ä\n", "b.txt": ""}
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "some" / "where"):
        write_folder(folder, files)
        assert {p.name: p.read_text(encoding="utf-8") for p in folder.iterdir()} == files
        with pytest.raises(ValueError, match="exists and is not an empty folder"):
            write_folder(folder, {})
    assert names(tmp_path) == ["empty", "some"]
    (tmp_path / "aim").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "aim")
    with pytest.raises(ValueError, match="exists and is not an empty folder"):
        write_folder(tmp_path / "link", files)
    assert (tmp_path / "link").is_symlink()


# -- one process at a time ---------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX locks")
class TestAlone:
    def test_a_second_one_is_refused(self, tmp_path):
        with alone(tmp_path / "a"), alone(tmp_path / "b"):
            another = pytest.raises(ValueError, match=f"^{tmp_path / 'a'}: another process is at")
            with another, alone(tmp_path / "a"):
                pytest.fail("worked")
            assert names(tmp_path) == [".a.lock", ".b.lock"]
        assert names(tmp_path) == []
        with pytest.raises(KeyboardInterrupt), alone(tmp_path / "a"):
            raise KeyboardInterrupt
        assert names(tmp_path) == []
        with pytest.raises(FileNotFoundError), alone(tmp_path / "no" / "a"):
            pytest.fail("worked")

    def test_nobody_gets_in_between(self, tmp_path):
        """Though each removes the lock as it leaves, while others are about to take it."""
        path = tmp_path / "count"
        path.write_text("0")
        context = multiprocessing.get_context("spawn")
        running = [context.Process(target=count_up, args=(path, 60)) for _ in range(3)]
        for process in running:
            process.start()
        for process in running:
            process.join()
            assert process.exitcode == 0
        assert path.read_text() == "180"
        assert names(tmp_path) == ["count"]

    def test_a_lock_that_was_removed_before_it_was_taken_is_none(self, tmp_path, monkeypatch):
        real, removals = fcntl.flock, [tmp_path / ".a.lock"]

        def flock(handle, how):
            if removals:
                removals.pop().unlink()
            real(handle, how)

        monkeypatch.setattr("attnlib._files.fcntl.flock", flock)
        with alone(tmp_path / "a"):
            assert names(tmp_path) == [".a.lock"]
        assert names(tmp_path) == []

    def test_a_killed_process_is_in_nobodys_way(self, tmp_path):
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=hold, args=(tmp_path / "a", theirs))
        process.start()
        assert ours.recv() == "held"
        with pytest.raises(ValueError, match="another process"), alone(tmp_path / "a"):
            pytest.fail("worked")
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert names(tmp_path) == [".a.lock"]
        with alone(tmp_path / "a"):
            pass
        assert names(tmp_path) == []

    def test_a_lock_that_is_a_link_is_refused(self, tmp_path):
        (tmp_path / "aim").write_bytes(b"aim")
        (tmp_path / ".a.lock").symlink_to(tmp_path / "aim")
        with pytest.raises(OSError, match="lock"), alone(tmp_path / "a"):
            pytest.fail("worked")
        assert (tmp_path / "aim").read_bytes() == b"aim"


# -- what torch wrote ----------------------------------------------------------------------------


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("code of a file was run",))


def a_list():
    buffer = io.BytesIO()
    torch.save([1], buffer)
    return buffer.getvalue()


def test_what_is_read_is_what_was_written(tmp_path):
    content = {"step": 3, "weights": {"a": torch.arange(3.0)}, "made": ["by", 2.5]}
    (tmp_path / "a").write_bytes(to_bytes(content))
    found = read_dict(tmp_path / "a", "some")
    assert torch.equal(found["weights"].pop("a"), content["weights"].pop("a"))
    assert found == content


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "the file is empty"), (b"text", r"no some file \("),
     (to_bytes({"a": torch.ones(9)})[:-90], r"no some file \("),
     (to_bytes({"a": Trap()}), r"no some file \("),
     (a_list(), r"no some file \(it holds a list\)")],
    ids=["empty", "text", "cut", "code", "list"],
)  # fmt: skip
def test_a_damaged_file_is_one_line(tmp_path, data, message):
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"^{path}: {message}") as error:
        read_dict(path, "some")
    assert "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError):
        read_dict(tmp_path / "b", "some")
