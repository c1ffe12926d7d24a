"""Heads switched off, and on again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from attnlib._inputs import require_finite
from attnlib._shapes import Bool, Float
from attnlib.pruning.layers import AttentionLayer, Gate, attention_layers, gates_of, owner_of

__all__ = ["attention_layers", "gate_heads", "rescale_heads"]


def gate_values(model: nn.Module, name: str, mask: Any) -> Tensor:
    """One number for each head, [L, H], in the dtype of the model."""
    layers = attention_layers(model)
    shape = (len(layers), layers[0].n_heads)
    if not isinstance(mask, Tensor) or mask.shape != shape:
        got = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(f"{name} must be a tensor of shape [L, H] = {shape}, got {got}")
    if mask.dtype != torch.bool:
        require_finite(name, mask)
    return mask.detach().to(next(model.parameters()).dtype)


def scale_along(layer: AttentionLayer, gates: Float[Tensor, " h"]) -> Float[Tensor, "hd _"]:
    """One factor for each row or column of O, in a shape that broadcasts to it."""
    scale = gates.repeat_interleave(layer.d_k)
    return scale.unsqueeze(1 - layer.O.axis)


@contextmanager
def gate_heads(
    model: nn.Module, mask: Bool[Tensor, "L H"] | Float[Tensor, "L H"]
) -> Iterator[nn.Module]:
    r"""Within the context, the output of head (l, h) is multiplied by its gate ξ = mask[l, h].

    .. math:: Y = \sum_h \xi_h\, O_h W_O^{(h)}

    0 or False removes a head, 1 or True keeps it. Scales rows of W_O through a parametrization,
    so a fine-tuning inside the context leaves removed heads removed, and the parameters come
    back as they were, with what was learned. Contexts nest: their gates multiply.

    A copy made inside (``copy.deepcopy``) stays gated. The ``state_dict`` made inside has the
    parameters without the gates, under other names: it loads into a model that is gated at that
    time, and into no other. To keep what a gated model computes, use ``remove_heads``.

    Args:
        model: see ``attention_layers``.
        mask: gates, a boolean or float tensor.

    Raises:
        ValueError: mask is not a finite tensor of shape [L, H], or the model has no heads.

    >>> layer = nn.TransformerEncoderLayer(6, 3, bias=False, batch_first=True).eval()
    >>> x = torch.ones(1, 2, 6)
    >>> with gate_heads(layer, torch.tensor([[False, False, False]])):
    ...     layer.self_attn(x, x, x)[0].abs().max()
    tensor(0., grad_fn=<MaxBackward1>)
    """
    gates = gate_values(model, "mask", mask)
    with ExitStack() as undo:
        for layer, row in zip(attention_layers(model), gates, strict=True):
            owner, tensor = owner_of(model, layer, layer.O)
            order = list(owner._parameters)
            parametrize.register_parametrization(owner, tensor, Gate(scale_along(layer, row)))
            undo.callback(_remove_gate, owner, tensor, order)
        yield model


def head_gates(model: nn.Module) -> Float[Tensor, "L H"]:
    """The gates that are in force: 1 where there are none."""
    rows = []
    for layer in attention_layers(model):
        owner, tensor = owner_of(model, layer, layer.O)
        gates = next(model.parameters()).new_ones(layer.n_heads)
        for gate in gates_of(owner, tensor):
            assert isinstance(gate, Gate)  # attention_layers takes nothing else
            gates = gates * gate.scale.flatten()[:: layer.d_k]
        rows.append(gates)
    return torch.stack(rows)


def _remove_gate(owner: nn.Module, tensor: str, order: list[str]) -> None:
    gates = owner.get_submodule(f"parametrizations.{tensor}")
    assert isinstance(gates, parametrize.ParametrizationList)  # torch says any module
    if len(gates) > 1:  # those of an outer context stay
        del gates[-1]
        return
    take_gates_off(owner, tensor)
    for name in order:  # optimisers count parameters in order
        owner._parameters[name] = owner._parameters.pop(name)


def take_gates_off(owner: nn.Module, tensor: str) -> None:
    """All gates of a parameter, here and in no copy."""
    # Torch deletes a property of the class, which copies share: give this module a class apart.
    kind = type(owner)
    owner.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
    parametrize.remove_parametrizations(owner, tensor, leave_parametrized=False)


@torch.no_grad()
def rescale_heads(model: nn.Module, factors: Float[Tensor, "L H"]) -> None:
    r"""Multiply W_V of head (l, h) by c = factors[l, h] and divide its part of W_O by c, in place.

    .. math:: V W_O^{(h)} = (c\,V)\,(c^{-1} W_O^{(h)})

    Serves the claim ``gradient-score-meaning``: the model computes the same function. b_V, if
    there is one, goes with W_V.

    Raises:
        ValueError: factors are not finite and positive, of shape [L, H]; or the heads are gated.

    >>> from attnlib.transformer import MultiHeadAttention
    >>> layer, x = MultiHeadAttention(4, 2).eval(), torch.ones(3, 4)
    >>> before = layer(x)[0]
    >>> rescale_heads(layer, torch.tensor([[2.0, 0.5]]))  # powers of 2: nothing is rounded
    >>> torch.equal(layer(x)[0], before)
    True
    """
    factors = gate_values(model, "factors", factors)
    if not (factors > 0).all():
        raise ValueError(f"factors must be positive, got {factors.min():g}")
    for layer, row in zip(attention_layers(model), factors, strict=True):
        owner, tensor = owner_of(model, layer, layer.O)
        if parametrize.is_parametrized(owner, tensor):
            raise ValueError("model must not be gated while its heads are rescaled")
        getattr(owner, tensor).div_(scale_along(layer, row))
        module, width = model.get_submodule(layer.name), layer.n_heads * layer.d_k
        scale = row.repeat_interleave(layer.d_k)
        W = module.get_parameter(layer.V.parameter)
        W.narrow(layer.V.axis, layer.V.start, width).mul_(scale.unsqueeze(1 - layer.V.axis))
        if layer.V.bias is not None:
            module.get_parameter(layer.V.bias[0]).narrow(0, layer.V.bias[1], width).mul_(scale)
