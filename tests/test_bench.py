"""`make bench`: that it compares like with like, and that its page says what was measured."""

import copy
import json
import sys

import pytest
import torch
from helpers import ROOT, close
from torch.utils._pytree import tree_leaves

sys.path.insert(0, str(ROOT / ".ci"))
import bench
import bench_page
from bench_cases import CASES, EXACT

STORED = bench.with_reasons(json.loads((ROOT / "book/speed.json").read_text(encoding="utf-8")))
# What is a measure of work alone, or has weights of its own.
UNLIKE = ("writing n² numbers", "nn.MultiheadAttention", "32 runs with a masked head")
LIKE = [case for case in CASES if case.against and case.against not in UNLIKE]


def ids(case):
    return f"{case.name} | {case.against}"


@pytest.mark.parametrize("case", LIKE, ids=ids)
def test_both_compute_the_same(case):
    calls = case.make(3, 8, torch.float64)
    ours = tree_leaves(calls.ours())
    for other in calls.theirs.values():
        for a, b in zip(ours, tree_leaves(other()), strict=False):  # weights or none
            if case.name == "rotary" and other is calls.theirs["two halves"]:
                close(a.norm(dim=-1), b.norm(dim=-1))  # it pairs other coordinates
            elif isinstance(a, torch.Tensor):
                close(a, b)


@pytest.mark.parametrize("case", [c for c in CASES if c not in LIKE], ids=ids)
def test_the_others_run(case):
    calls = case.make(8, 8, torch.float32)
    calls.ours()
    assert all(other() is not StopIteration for other in calls.theirs.values())


@pytest.mark.parametrize("name", EXACT)
def test_errors_are_found(name, monkeypatch):
    found = bench.error(name, "float64")
    assert 0 < found["ours"] < 1e3
    wanted, ours, theirs, truth = EXACT[name]
    monkeypatch.setitem(EXACT, name, (wanted, lambda *x: ours(*x) * (1 + 1e-9), theirs, truth))
    assert bench.error(name, "float64")["ours"] > 1e6


def test_the_peak_of_memory():
    x = torch.ones(1000)
    for kilobytes, f in (
        (4, lambda: x + 1),
        (12, lambda: (x + 1) + (x + 2)),
        (0, lambda: x.add_(1)),
    ):
        assert abs(bench.peak(f) - 1000 * kilobytes) < 100, "numbers become tensors of one entry"


# -- the page --------------------------------------------------------------------------------


def test_the_page_is_that_of_what_was_measured():
    page = (ROOT / "book/speed.md").read_text(encoding="utf-8")
    assert page == bench_page.page(STORED), "run .ci/bench.py --page"


def test_every_case_was_measured():
    measured = [[case["name"], case["against"], case["target"]] for case in STORED["cases"]]
    wanted = [[case.name, case.against, case.target] for case in CASES]
    assert bench.rounded(wanted) == measured
    assert not STORED["quick"]


def test_a_target_is_missed_if_any_length_is_above_it():
    stored = copy.deepcopy(STORED)
    case = next(case for case in stored["cases"] if case["target"])
    stored["cases"] = [case]
    for found in case["ratios"]:
        found |= {"low": case["target"] / 2, "ratio": case["target"], "high": 2 * case["target"]}
    assert "Of 1 targets 1 are met, 0 missed and 0 undecided" in bench_page.page(stored)
    assert "None is." in bench_page.page(stored)
    last = case["ratios"][-1]
    last["ratio"] = 1.01 * case["target"]
    assert "Of 1 targets 0 are met, 0 missed and 1 undecided" in bench_page.page(stored)
    last["low"] = 1.005 * case["target"]
    page = bench_page.page(stored)
    assert "Of 1 targets 0 are met, 1 missed and 0 undecided" in page
    assert f"n = {last['n']} in {last['dtype']}. Likely cause: {case['why']}." in page
    assert page.count("**") == 2
