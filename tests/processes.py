"""What processes of their own do in test_files.py. They load no more than that: a second each."""

import time

from attnlib._files import alone, write_atomically


def write_often(path, letter):
    for _ in range(30):
        write_atomically(path, letter * 50_000)


def count_up(path, rounds):
    """Read a number and write the next, with nobody in between."""
    while rounds:
        try:
            with alone(path):
                path.write_text(str(int(path.read_text()) + 1))
        except ValueError:
            time.sleep(1e-4)
            continue
        rounds -= 1


def hold(path, connection):
    with alone(path):
        connection.send("held")
        connection.recv()
