"""What an attention layer was given and gave: its weights, and gradients of its activations."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from attnlib.pruning.heads import (
    AttentionLayer,
    Block,
    attention_layers,
    head_matrices,
    owner_of,
)

__all__ = ["Call", "activation_gradients", "recorded_calls", "require_calls"]


class Call(NamedTuple):
    """What went into an attention layer and came out: tokens, outputs, weights."""

    tokens: tuple[Tensor, Tensor, Tensor]
    output: Tensor
    weights: Tensor


@contextmanager
def recorded_calls(model: nn.Module) -> Iterator[list[Call | None]]:
    """Within the context, the last call of every attention layer."""
    layers = attention_layers(model)
    calls: list[Call | None] = [None] * len(layers)  # checked by require_calls

    def before(module, args, kwargs):
        # Torch's layers do not ask for the weights, and then there are none.
        return args, {**kwargs, "need_weights": True, "average_attn_weights": False}

    with ExitStack() as undo:
        for index, layer in enumerate(layers):

            def after(module, args, kwargs, result, index=index, layer=layer):
                given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
                first = given[layer.inputs[0]]
                tokens = tuple(first if (x := given.get(name)) is None else x
                               for name in layer.inputs)  # fmt: skip
                calls[index] = Call(tokens, *result[:2])

            module = model.get_submodule(layer.name)
            if isinstance(module, nn.MultiheadAttention):
                undo.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
            undo.callback(module.register_forward_hook(after, with_kwargs=True).remove)
        yield calls


def require_calls(model: nn.Module, calls: list[Call | None]) -> None:
    """Every attention layer was called."""
    missed = [a.name for a, call in zip(attention_layers(model), calls, strict=True) if not call]
    if missed:
        raise ValueError(f"model must call every attention layer; it did not call {missed}")


def activation_gradients(
    model: nn.Module, layer: AttentionLayer, call: Call, dY: Float[Tensor, "b n d_model"]
) -> tuple[Tensor, Tensor, Tensor]:
    r"""dQ, dK, dV of every head, [b, h, n or m, d_k], from the gradient of the layer's output.

    .. math:: dO = dY\,W_O^\top, \quad dV = A^\top dO, \quad dS = A \odot (dA - \text{row sums of }
              A \odot dA), \quad dA = dO\,V^\top, \quad dQ = \frac{dS\,K}{\sqrt{d_k}}
    """
    module = model.get_submodule(layer.name)

    def projected(block: Block, x: Tensor) -> Tensor:
        W = head_matrices(layer, block, module.get_parameter(block.parameter))
        y = x.unsqueeze(-3) @ W
        if block.bias is None:
            return y
        name, start = block.bias
        b = module.get_parameter(name)[start : start + layer.n_heads * layer.d_k]
        return y + b.unflatten(0, (layer.n_heads, 1, layer.d_k))

    owner, tensor = owner_of(model, layer, layer.O)
    W_O = head_matrices(layer, layer.O, getattr(owner, tensor))  # transposed, with its gates
    Q, K, V = (projected(*pair) for pair in zip(layer[3:6], call.tokens, strict=True))
    dO, A = dY.unsqueeze(-3) @ W_O, call.weights
    dA = dO @ V.mT
    dS = A * (dA - (A * dA).sum(-1, keepdim=True)) / math.sqrt(layer.d_k)
    return dS @ K, dS.mT @ Q, A.mT @ dO
