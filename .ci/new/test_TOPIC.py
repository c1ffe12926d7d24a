"""attnlib/TOPIC.py against a slow loop."""

import pytest
import torch

from attnlib.TOPIC import TOPIC_example

close = torch.testing.assert_close


@pytest.mark.parametrize("n", [1, 2, 7], ids="n={}".format)
def test_against_a_slow_loop(n):
    x = torch.randn(3, n, dtype=torch.float64)
    expected = torch.zeros_like(x)
    for b in range(3):
        mean = sum(x[b].tolist()) / n
        for i in range(n):
            expected[b, i] = x[b, i].item() - mean
    # Some roundings of a sum of n numbers below 4, divided by n.
    close(TOPIC_example(x), expected, rtol=0, atol=1e-14)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("bad", [float("nan"), float("inf")], ids=str)
def test_bad_input_is_named(bad):
    with pytest.raises(ValueError, match=r"^x\b"):
        TOPIC_example(torch.tensor([0.0, bad]))
