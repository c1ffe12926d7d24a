"""How fast the package is beside what people use instead: `make bench`, or QUICK=1 for a look.

    python .ci/bench.py           measure, and write book/speed.json and the page book/speed.md;
                                  with QUICK=1 less of it, and both into _build
    python .ci/bench.py --page    write the page again from what was measured

Both calls of a comparison run in turn, in blocks of a few milliseconds, by torch's own timer; a
ratio is the median over such pairs, with its quartiles. So what else the machine does hits both.
The cases are in bench_cases.py.
"""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import torch
from bench_cases import CASES, EXACT, Case
from bench_page import page
from torch.profiler import ProfilerActivity, profile
from torch.utils.benchmark import Timer

from attnlib._files import write_atomically

ROOT = Path(__file__).parents[1]
DTYPES = {"float32": torch.float32, "float64": torch.float64}
QUICK = bool(os.environ.get("QUICK"))
WHERE = ROOT / ("_build" if QUICK else "book")  # a look replaces nothing that is kept
STORED, PAGE = WHERE / "speed.json", WHERE / "speed.md"
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
NUMBERS = 2**16 if QUICK else 2**19  # in the tensors of a case
SECONDS = 0.05 if QUICK else 0.4  # for each ratio
BLOCK = 0.002  # seconds: shorter than what the system lets another process run
LEAST = 5 if QUICK else 7  # pairs for a ratio
IMPORTS = {"attnlib.softmax": 30, "attnlib.evidence": 150}  # milliseconds at most, beyond torch's


# -- time ------------------------------------------------------------------------------------


def timer(f: Callable[[], Any]) -> tuple[Timer, int]:
    """A timer of f, and how often f fits into a block."""
    timed = Timer("f()", globals={"f": f}, num_threads=THREADS)
    once = min(timed.timeit(2).mean for _ in range(2))
    return timed, max(1, int(BLOCK / once))


def in_turn(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[list[float], list[float]]:
    """Seconds a call, of one and the other in turn."""
    (a, n), (b, m) = timer(ours), timer(theirs)
    first, second, end = [], [], time.perf_counter() + SECONDS
    while len(first) < LEAST or time.perf_counter() < end:
        first.append(a.timeit(n).mean)
        second.append(b.timeit(m).mean)
    return first, second


def fastest(theirs: dict[str, Callable[[], Any]]) -> str:
    return min(theirs, key=lambda name: min(timer(theirs[name])[0].timeit(2).mean for _ in "123"))


def compared(case: Case, rows: int, n: int, dtype: str) -> dict[str, Any]:
    """What the two take, and the quartiles of the ratio."""
    torch.manual_seed(0)
    calls = case.make(rows, n, DTYPES[dtype])
    found = {"dtype": dtype, "n": n, "rows": rows}
    if not calls.theirs:
        timed, number = timer(calls.ours)
        took = [timed.timeit(number).mean for _ in range(LEAST)]
        return found | {"ours_us": 1e6 * statistics.median(took)}
    other = fastest(calls.theirs) if len(calls.theirs) > 1 else next(iter(calls.theirs))
    ours, theirs = in_turn(calls.ours, calls.theirs[other])
    low, ratio, high = np.quantile(np.divide(ours, theirs), [0.25, 0.5, 0.75])
    low_ours, low_theirs = np.quantile(ours, 0.25), np.quantile(theirs, 0.25)
    return found | {
        "against": other, "ratio": ratio, "low": low, "high": high, "pairs": len(ours),
        "ours_us": 1e6 * low_ours, "excess_us": 1e6 * (low_ours - low_theirs),
    }  # fmt: skip


def ratios(case: Case) -> Iterator[dict[str, Any]]:
    lengths = case.lengths[:: max(1, len(case.lengths) - 1)] if QUICK else case.lengths
    for dtype in list(DTYPES)[: 1 if QUICK else 2]:
        for n in lengths:
            yield compared(case, max(1, NUMBERS // case.work(n)), n, dtype)


def exponent(case: Case) -> dict[str, Any]:
    """The slope of log time against log n, the number of rows being the same."""
    longest = case.lengths[-1]
    rows = max(1, NUMBERS // case.work(longest))
    lengths = [longest // 4, longest // 2, longest]
    least = []
    for n in lengths:
        timed, number = timer(case.make(rows, n, torch.float32).ours)
        least.append(min(timed.timeit(number).mean for _ in range(LEAST)))
    slope = np.polyfit(np.log(lengths), np.log(least), 1)[0]
    return {"claimed": case.claimed, "fitted": slope, "n": lengths}


# -- memory, errors, imports -----------------------------------------------------------------


def peak(f: Callable[[], Any]) -> int:
    """The most bytes held at once beyond those that were there before."""
    f()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        f()
    events = seen.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    return max(0, *np.cumsum([0, *(size for _, size in changes)]).tolist())


def memory(case: Case) -> dict[str, Any]:
    """Peaks in units of what goes in."""
    n = min(case.lengths[-1], 1024)
    calls = case.make(max(1, 2**18 // case.work(n)), n, torch.float32)
    unit = sum(x.nbytes for x in calls.inputs)
    theirs = next(iter(calls.theirs.values()))
    return {"n": n, "ours": peak(calls.ours) / unit, "theirs": peak(theirs) / unit}


def error(name: str, dtype: str) -> dict[str, Any]:
    """The largest error of a row against 50 digits, in eps times its largest entry."""
    wanted, ours, theirs, truth = EXACT[name]
    torch.manual_seed(0)
    z = 5 * torch.randn(8, 24, dtype=DTYPES[dtype])
    given = [torch.softmax(z, -1) if kind == "p" else z for kind in wanted]
    with mpmath.workdps(50):
        exact = [truth(*([mpmath.mpf(v) for v in x[i].tolist()] for x in given)) for i in range(8)]
        worst = {}
        for whose, f in (("ours", ours), ("theirs", theirs)):
            off = [relative(a, b) for a, b in zip(f(*given).tolist(), exact, strict=True)]
            worst[whose] = float(max(off)) / torch.finfo(DTYPES[dtype]).eps
    return {"name": name, "dtype": dtype, **worst}


def relative(found: Any, exact: Any) -> mpmath.mpf:
    """The largest difference, over the largest entry of the truth."""
    a, b = (np.array(x, dtype=object).reshape(-1) for x in (found, exact))
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) / max(abs(y) for y in b)


def import_time(module: str) -> dict[str, Any]:
    """Milliseconds that a module adds to torch, the least of several."""
    code = "import sys, time, torch; began = time.perf_counter(); import {}; " \
           "print(time.perf_counter() - began)"  # fmt: skip
    # With compiled files, which every import but the first has.
    given = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    took = [
        float(subprocess.run([sys.executable, "-c", code.format(module)], env=given, cwd=ROOT,
                             capture_output=True, check=True, text=True).stdout)
        for _ in range(2 if QUICK else 5)
    ]  # fmt: skip
    return {"module": module, "ms": 1e3 * min(took), "target": IMPORTS[module]}


# -- all of it -------------------------------------------------------------------------------


def measured(case: Case) -> dict[str, Any]:
    print(f"{case.name} against {case.against or 'nothing'}", flush=True)
    found: dict[str, Any] = {
        "name": case.name, "against": case.against, "target": case.target,
        "ratios": list(ratios(case)),
    }  # fmt: skip
    if case.tiny:
        found["tiny"] = compared(case, 1, 8, "float32")
    if case.claimed is not None and not QUICK:
        found["exponent"] = exponent(case)
    if case.target is not None:
        found["memory"] = memory(case)
    return found


def all_of_it() -> dict[str, Any]:
    torch.set_num_threads(THREADS)
    began = time.perf_counter()
    versions = {"Python": platform.python_version(), "PyTorch": torch.__version__,
                "NumPy": np.__version__}  # fmt: skip
    found = {
        "quick": QUICK, "threads": THREADS, "cores": os.cpu_count(), "machine": processor(),
        "system": platform.system(), "versions": versions, "numbers": NUMBERS,
        "cases": [measured(case) for case in CASES],
        "errors": [error(name, dtype) for name in EXACT for dtype in DTYPES],
        "imports": [import_time(module) for module in IMPORTS],
        "steps": steps(),
    }  # fmt: skip
    return rounded(found) | {"seconds": round(time.perf_counter() - began)}


def steps() -> dict[str, float]:
    """Seconds of each step of the last `make test` or `make test-all` that passed, if any did."""
    record = ROOT / "_build/seconds.json"
    return json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def rounded(x: Any) -> Any:
    """Four digits: a time has no more."""
    if isinstance(x, dict):
        return {key: rounded(value) for key, value in x.items()}
    if isinstance(x, list):
        return [rounded(value) for value in x]
    return float(f"{float(x):.4g}") if isinstance(x, float) and math.isfinite(x) else x


def with_reasons(stored: dict[str, Any]) -> dict[str, Any]:
    """What was measured, and for each case the reason that bench_cases.py gives."""
    why = {(case.name, case.against): case.why for case in CASES}
    for found in stored["cases"]:
        found["why"] = why.get((found["name"], found["against"]), "")
    return stored


def main() -> None:
    WHERE.mkdir(exist_ok=True)
    if "--page" not in sys.argv:
        write_atomically(STORED, json.dumps(all_of_it(), indent=1, ensure_ascii=False) + "\n")
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    write_atomically(PAGE, page(with_reasons(stored)))
    print(f"wrote {STORED.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
