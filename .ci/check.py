"""The steps of `make check`, `make test` and `make test-all`: cheap before dear, two side by side.

    python .ci/check.py              what is quick: style, types, guards, contract, evidence
    python .ci/check.py softmax      what belongs to one topic, its claim blocks included
    python .ci/check.py --test       all but what has the mark slow: what trains, mostly
    python .ci/check.py --all        everything that needs no browser
    python .ci/check.py --browser    the site in a browser

Each step that passes is a line. The first that fails ends the others, and what it said comes
last. Two steps at a time, since that is what most machines for tests have; each has one thread.
"""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, NamedTuple

from warm import warm_kernels

ROOT = Path(__file__).parents[1]
SIDE_BY_SIDE = 2
PYTEST = "python -m pytest -x --no-header --tb=short"
TWO_WORKERS = f"-n {SIDE_BY_SIDE} --dist worksteal"
SITE = "_build/test/_build/html"
# The site is built apart from `make book`'s, from nothing: no page of a deleted chapter is
# left over, and the book you are reading stays as it is. Warnings are errors.
BUILD = (
    "rm -rf _build/test && "
    "jupyter-book build . --path-output _build/test -n -W --keep-going --all --quiet"
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CONTRACT, GUARDS = "tests/test_contract.py", "tests/test_notebooks.py"


class Step(NamedTuple):
    name: str
    command: str  # for a shell in which `python` is this one


class Running(NamedTuple):
    step: Step
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    began: float


# -- which steps there are ---------------------------------------------------------------------


# In chapters only names without a use or a meaning: to format one would break its pair.
CHAPTERS = "ruff check --select F notebooks/*.ipynb"
STYLE = Step("style", f"ruff check && {CHAPTERS} && ruff format --check")
TYPES = Step("types", "mypy")
# Where there is no Rocq it says so, and holds what was stored against the sources.
PROOFS = Step("proofs", "python .ci/proofs.py --test")


def quick() -> list[list[Step]]:
    """What can fail in under a minute, about all topics: no numerics, no page, no notebook."""
    rest = f"attnlib README.md {CONTRACT} tests/test_inputs.py tests/test_files.py tests/evidence"
    return [
        [STYLE],
        [TYPES, Step("guards", f"{PYTEST} {GUARDS}")],
        [Step("examples, contract, evidence", f"{PYTEST} -m 'not slow' {rest} {TWO_WORKERS}")],
    ]


def one_topic(topic: str) -> list[list[Step]]:
    """Style, types, and what bears the topic's name: its tests, guards and claim blocks."""
    own = [f"attnlib/{topic}.py", f"attnlib/{topic}", f"tests/{topic}"]
    own += [f"tests/{test.name}" for test in sorted((ROOT / "tests").glob(f"test_{topic}*.py"))]
    own = [path for path in own if (ROOT / path).exists()]
    chapter = (ROOT / "notebooks" / f"{topic}.md").exists()
    if topic not in topics():
        sys.exit(f"There is no topic {topic!r}. There are: {' '.join(topics())}")
    # Rows of the contract carry the names of functions, guards that of the chapter.
    names = public_names(ROOT / f"attnlib/{topic}.py")
    which = " or ".join([topic, "every_chapter", "every_public_function", *names])
    own += [path for path in (CONTRACT, GUARDS) if (ROOT / path).exists()]
    tests = Step("tests and guards", f"{PYTEST} -m 'not slow' -k '{which}' {' '.join(own)}")
    cells = [Step("claim blocks", f"python .ci/cells.py {topic}")] if chapter else []
    return [[STYLE], [TYPES, tests, *cells]]


def whole(dear: bool) -> list[list[Step]]:
    """All tests, the site, all chapters; with what is dear, or all but that.

    A slow test or cell is deselected, and pytest says how many were. The cells that need what a
    slow cell makes are slow too.
    """
    text = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("notebooks/*.md")}
    # What takes longest starts first: a chapter that trains, if it may.
    longest = sorted(text, key=lambda t: (dear * text[t].count("slow]"), len(text[t])))[::-1]
    site = f"{BUILD} && {PYTEST} tests/test_site.py"
    # The kernels check no shapes, so pytest need not load what does, nor any other plugin.
    nbval = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {PYTEST} -p nbval.plugin -o addopts= --nbval $KERNEL"
    nbval += "" if dear else " -m 'not slow'"
    package = f"{PYTEST} --ignore=tests/test_site.py"
    # Otherwise a test holds what is stored of the proofs against their sources.
    slow = [Step("slow tests", f"{package} -m slow"), PROOFS] if dear else []
    cells = [Step(t, f"{nbval} notebooks/{t}.ipynb") for t in longest]
    return [
        [STYLE],
        [TYPES, Step("guards", f"{PYTEST} {GUARDS}")],
        [Step("package", f"{package} --ignore={GUARDS} -m 'not slow' {TWO_WORKERS}")],
        [*slow, Step("site", site), *cells],
    ]


def in_a_browser() -> list[list[Step]]:
    """What only a browser can see. It must be there before the site is built for it."""
    if "CHROMIUM" not in os.environ:
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        if found is None:
            sys.exit(
                "No Chromium was found. On Debian: apt install chromium. Elsewhere: "
                "make test-browser CHROMIUM=/path/to/chromium, or that of Chrome"
            )
        os.environ["CHROMIUM"] = found
    return [[Step("site", BUILD)], [Step("browser", f"{PYTEST} tests/browser {TWO_WORKERS}")]]


def topics() -> list[str]:
    """Every word that `make check TOPIC=` takes."""
    names = {path.stem for path in ROOT.glob("notebooks/*.md")}
    names |= {path.stem for path in ROOT.glob("attnlib/[!_.]*") if path.suffix in ("", ".py")}
    return sorted(names)


def public_names(module: Path) -> list[str]:
    """The names in a module's __all__, read without importing it."""
    if not module.exists():
        return []
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


# -- how they are run --------------------------------------------------------------------------


def run(stages: list[list[Step]], record: Path | None = None) -> int:
    """Run stage after stage; within one, two steps at a time. 1 at the first that fails.

    How long each step took is recorded if all of them pass, for the page that `make bench` writes.
    """
    running: list[Running] = []
    seconds: dict[str, float] = {}
    try:
        for stage in stages:
            waiting = list(stage)
            while waiting or running:
                while waiting and len(running) < SIDE_BY_SIDE:
                    running.append(start(waiting.pop(0)))
                time.sleep(0.05)
                for done in [r for r in running if r.process.poll() is not None]:
                    running.remove(done)
                    seconds[done.step.name] = round(time.monotonic() - done.began, 1)
                    if not passed(done):
                        return 1
    finally:
        for left in running:
            os.killpg(left.process.pid, signal.SIGTERM)
            left.process.wait()
            left.output.close()
    if record:
        record.parent.mkdir(exist_ok=True)
        record.write_text(json.dumps(seconds, indent=1) + "\n", encoding="utf-8")
    return 0


def start(step: Step) -> Running:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "ATTNLIB_SITE": SITE}
    # Where nothing compiled may be kept, each of twenty processes rewrites all asserts anew.
    given.pop("PYTHONDONTWRITEBYTECODE", None)
    output = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the step)
    process = subprocess.Popen(
        ["bash", "-c", step.command],
        cwd=ROOT,
        env=given,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that it can be ended with all that it started
    )
    return Running(step, process, output, time.monotonic())


def passed(done: Running) -> bool:
    """Say how a step ended: a line or two if it passed, all it said if not."""
    with done.output:
        done.output.seek(0)
        said = done.output.read().decode(errors="replace").strip()
    seconds = f"{time.monotonic() - done.began:.1f} s"
    if done.process.returncode:
        print(f"\n== {done.step.name} FAILED, {seconds}: {done.step.command}\n\n{said}", flush=True)
        return False
    print(f"== {done.step.name}, {seconds}", said.rpartition("\n")[2], sep="\n", flush=True)
    return True


if __name__ == "__main__":
    for ended_by in (signal.SIGTERM, signal.SIGHUP):  # so that the steps are ended too
        signal.signal(ended_by, lambda number, _: sys.exit(128 + number))
    argument = " ".join(sys.argv[1:])
    if argument == "--browser":
        sys.exit(run(in_a_browser()))
    if argument in ("--test", "--all"):
        with warm_kernels() as os.environ["KERNEL"]:
            record = ROOT / "_build/seconds.json"
            sys.exit(run(whole(dear=argument == "--all"), record))
    sys.exit(run(one_topic(argument) if argument else quick()))
