"""Kernels that start warm: a process that has imported what chapters import forks into each.

Torch, SymPy and Matplotlib take seconds to import, and every chapter's kernel did it anew.
Nothing of attnlib is imported here, so a chapter still brings its own.

    with warm_kernels() as options:  # what tells nbval to use them
        ...

nbval starts `python warm.py join SOCKET FILE`, which asks the server for a kernel and stands for
it: the kernel ends when this process does, and the other way round.
"""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "warm"
IMPORTED = ("torch", "sympy", "scipy.stats", "matplotlib.pyplot", "hypothesis.strategies", "mpmath")


@contextmanager
def warm_kernels() -> Iterator[str]:
    """nbval's option, while the server runs; where the kernels are goes into the environment.

    Where a fork after such imports is not safe, the option is for kernels as they are.
    """
    if sys.platform != "linux":
        yield "--nbval-current-env"
        return
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:
        path = f"{folder}/socket"
        spec = Path(folder, "kernels", NAME, "kernel.json")
        spec.parent.mkdir(parents=True)
        # -S and -I: what only stands for a kernel need not load a site.
        argv = [sys.executable, "-S", "-I", __file__, "join", path, "{connection_file}"]
        spec.write_text(json.dumps({"argv": argv, "display_name": NAME, "language": "python"}))
        # Matplotlib reads its backend when it is imported; a kernel's is this one.
        given = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
        given["OMP_NUM_THREADS"] = "1"  # also: a process with more threads cannot fork
        command = [sys.executable, __file__, "serve", path]
        with subprocess.Popen(command, env=given, stdin=subprocess.DEVNULL) as server:
            try:
                os.environ["JUPYTER_PATH"] = folder
                yield f"--nbval-kernel-name {NAME}"
            finally:
                server.terminate()


def serve(path: str) -> None:
    """Import, then become a kernel for each that asks."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()  # from here on askers wait in line
        for name in ("ipykernel.kernelapp", *IMPORTED):
            __import__(name)
        # What is imported stays: no kernel's collector of garbage need go through it.
        gc.collect()
        gc.freeze()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
        while True:
            asker, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                become_a_kernel(asker)
            asker.close()


def become_a_kernel(asker: socket.socket) -> None:
    """Take over the asker's streams, folder and environment; end when it ends."""
    from ipykernel.kernelapp import IPKernelApp

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    said, streams, _, _ = socket.recv_fds(asker, 1 << 20, 3)
    order = json.loads(said)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.update(order["environment"])
    os.chdir(order["folder"])

    def obey() -> None:
        while asker.recv(1):
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(1)

    threading.Thread(target=obey, daemon=True).start()
    sys.argv = ["ipykernel_launcher", "-f", order["connection"]]
    IPKernelApp.launch_instance(argv=sys.argv[1:])
    os._exit(0)


def join(path: str, connection: str) -> None:
    """Ask for a kernel and stand for it: pass interrupts on, end with it."""
    # A kernel looks whether its parent still lives; this process does that for it.
    environment = {k: v for k, v in os.environ.items() if k != "JPY_PARENT_PID"}
    order = {"connection": connection, "folder": os.getcwd(), "environment": environment}
    with socket.socket(socket.AF_UNIX) as kernel:
        kernel.connect(path)
        socket.send_fds(kernel, [json.dumps(order).encode()], [0, 1, 2])
        signal.signal(signal.SIGINT, lambda *_: kernel.send(b"i"))
        kernel.recv(1)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", path]:
            serve(path)
        case ["join", path, connection]:
            join(path, connection)
