"""Training in its simplest form: a loss, an optimiser, and a number of steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attnlib._inputs import require_integer
from attnlib._shapes import Float

__all__ = ["minimise"]


def minimise(
    loss: Callable[[], Tensor], optimiser: torch.optim.Optimizer, steps: int,
    rate: Callable[[float], float] | None = None,
) -> Float[Tensor, " steps"]:  # fmt: skip
    r"""Let an optimiser lower a loss, and return the losses, each before its step.

    .. math:: \theta \leftarrow \theta - \eta\,\nabla_\theta L(\theta)

    for ``torch.optim.SGD``; others move θ along the gradient in ways of their own.

    Args:
        loss: called once a step. It draws its batch itself and returns one number with gradients.
        optimiser: made with the parameters and their rates.
        steps: how many.
        rate: the learning rate by the share of the steps that are done, from 0 up to but not
            including 1; without it the rates are the optimiser's own.

    Raises:
        ValueError: steps is no positive integer, the loss is not one number with gradients, or it
            stops being finite.

    >>> x = torch.tensor([8.0], requires_grad=True)
    >>> half = torch.optim.SGD([x], lr=0.5)  # of x²/2 the gradient is x: each step halves it
    >>> minimise(lambda: x.square().sum() / 2, half, 3), x.item()
    (tensor([32.,  8.,  2.]), 1.0)
    """
    losses = []
    for step in range(require_integer("steps", steps, 1)):
        if rate is not None:
            for group in optimiser.param_groups:
                group["lr"] = rate(step / steps)
        value = loss()
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            raise ValueError(f"loss must return one number with gradients, got {value!r}")
        if not value.isfinite():
            raise ValueError(f"loss must stay finite, got {value.item()} at step {step}: try a "
                             "smaller rate")  # fmt: skip
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        losses.append(value.detach().reshape(()))
    return torch.stack(losses)
