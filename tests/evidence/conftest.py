"""One block with one comparison, for every test of the wing."""

import pytest


@pytest.fixture
def compare():
    """``compare(method, value, reference, wrong=[...])``: the record of that one comparison."""
    from attnlib.evidence import claim  # not before pytest has installed the shape checker

    def compare(method, *args, wrong, **kwargs):
        with claim("fake", says="one is one") as c:
            rejects = {f"wrong {i}": version for i, version in enumerate(wrong)}
            getattr(c, method)("the case", *args, rejects=rejects, **kwargs)
        return c.record()["comparisons"][0]

    return compare
