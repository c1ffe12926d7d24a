"""Under pytest with nbval: a cell with the tag `slow`, or one that needs what such a cell makes,
bears the mark `slow`, so that ``-m "not slow"`` leaves it out as it does slow tests.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / ".ci"))
from cells import names


def pytest_collection_modifyitems(items):
    missing = {}  # notebook: the names that its slow cells would have bound
    for item in items:
        cell = getattr(item, "cell", None)
        if cell is None:
            continue
        lost = missing.setdefault(item.parent, set())
        needs, bound = names(cell.source)
        if "slow" in cell.metadata.get("tags", ()) or needs & lost:
            item.add_marker(pytest.mark.slow)
            lost |= bound
        else:
            lost -= bound  # made anew
