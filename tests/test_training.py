"""attnlib/training.py against torch's optimisers in loops written out."""

import math

import pytest
import torch

from attnlib.training import minimise

OPTIMISERS = [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW]


def parabola(seed=0):
    """A parameter, and a loss that draws its batch: mean square of x − a, a drawn anew."""
    x = torch.tensor([3.0, -2.0], dtype=torch.float64, requires_grad=True)
    gen = torch.Generator().manual_seed(seed)
    return x, lambda: (x - torch.rand(2, generator=gen, dtype=torch.float64)).square().mean()


@pytest.mark.parametrize("kind", OPTIMISERS)
@pytest.mark.parametrize("rate", [None, lambda done: 0.3 * (1 - done)], ids=["own", "falling"])
def test_minimise_is_the_loop_written_out(kind, rate):
    x, loss = parabola()
    losses = minimise(loss, kind([x], lr=0.1), 7, rate)
    y, loss = parabola()
    optimiser, expected = kind([y], lr=0.1), []
    for step in range(7):
        if rate is not None:
            optimiser.param_groups[0]["lr"] = rate(step / 7)
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
        expected.append(value.item())
    assert torch.equal(x, y)
    assert losses.tolist() == expected
    assert losses.dtype == torch.float64
    assert not losses.requires_grad


def test_every_group_has_its_rate():
    (x, loss_x), (y, loss_y) = parabola(), parabola()
    groups = [{"params": [x], "lr": 0.1}, {"params": [y], "lr": 0.0}]
    minimise(lambda: loss_x() + loss_y(), torch.optim.SGD(groups), 2)
    assert y.tolist() == [3.0, -2.0]
    assert x.tolist() != [3.0, -2.0]
    minimise(lambda: loss_x() + loss_y(), torch.optim.SGD(groups), 2, lambda done: 0.1)
    assert y.tolist() != [3.0, -2.0]


def test_one_entry_is_one_number():
    x, loss = parabola()
    assert minimise(lambda: loss().reshape(1, 1), torch.optim.SGD([x]), 2).shape == (2,)


@pytest.mark.usefixtures("no_shape_checks")
class TestBadInput:
    @pytest.mark.parametrize("steps", [0, -1, 2.0, True, None], ids=repr)
    def test_steps(self, steps):
        x, loss = parabola()
        with pytest.raises(ValueError, match=r"^steps must be an integer, at least 1"):
            minimise(loss, torch.optim.SGD([x]), steps)

    @pytest.mark.parametrize(
        "value", [1.0, None, torch.ones(2, requires_grad=True), torch.tensor(1.0)],
        ids=["number", "nothing", "two", "no-gradient"],
    )  # fmt: skip
    def test_loss(self, value):
        x, _ = parabola()
        with pytest.raises(ValueError, match=r"^loss must return one number with gradients"):
            minimise(lambda: value, torch.optim.SGD([x]), 2)

    @pytest.mark.parametrize("bad", [math.inf, math.nan])
    def test_a_loss_that_explodes_stops_before_it_moves_a_parameter(self, bad):
        x, loss = parabola()
        factors = iter([1.0, 1.0, bad])
        optimiser = torch.optim.SGD([x], lr=0.1)
        seen = []

        def exploding():
            seen.append(x.tolist())
            return loss() * next(factors)

        with pytest.raises(ValueError, match=r"^loss must stay finite, got .* at step 2"):
            minimise(exploding, optimiser, 9)
        assert x.tolist() == seen[-1]
