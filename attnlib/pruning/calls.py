"""What an attention layer was given and gave: its weights, and gradients of its activations."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib._inputs import require_probabilities
from attnlib.pruning.heads import (
    AttentionLayer,
    Block,
    attention_layers,
    head_matrices,
    owner_of,
    projections,
)

__all__ = ["Call", "activation_gradients", "recorded_calls", "require_calls"]


class Call(NamedTuple):
    """What went into an attention layer and came out, the examples along axis 0.

    ``output`` is the tensor that the rest of the model computes with: it has a gradient.
    """

    tokens: tuple[Tensor, Tensor, Tensor]
    output: Tensor
    weights: Float[Tensor, "b h n m"]


@contextmanager
def recorded_calls(model: nn.Module, examples: int) -> Iterator[list[Call | None]]:
    """Within the context, the call of every attention layer with so many examples, checked.

    Raises:
        ValueError: a layer is called twice, or does not return outputs [b, n, d_model] and
            weights [b, h, n, m] with the examples along axis 0 and rows of sum 1.
    """
    layers = attention_layers(model)
    calls: list[Call | None] = [None] * len(layers)  # missing ones are found by require_calls

    def after(
        index: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> tuple[Tensor, ...]:
        layer = layers[index]
        if calls[index]:
            raise ValueError(f"model must call every attention layer once for each batch; it "
                             f"called {layer.name!r} again")  # fmt: skip
        given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
        first = given[layer.inputs[0]]
        tokens = [first if (x := given.get(name)) is None else x for name in layer.inputs]
        Y, A, *rest = _checked(layer, result)
        turned = isinstance(module, nn.MultiheadAttention) and not module.batch_first
        if turned:  # torch's layout [n, b, d_model]; its weights have the examples first
            Y, *tokens = (x.transpose(0, 1) for x in (Y, *tokens))
        if torch.is_grad_enabled() and not Y.requires_grad:
            Y = Y.detach().requires_grad_()  # a frozen model: gradients start here
        _require_layout(layer, Y, A, examples)
        calls[index] = Call(tuple(tokens), Y, A)
        return Y.transpose(0, 1) if turned else Y, A, *rest

    with ExitStack() as undo:
        for index, layer in enumerate(layers):
            module = model.get_submodule(layer.name)
            undo.callback(module.register_forward_pre_hook(_ask, with_kwargs=True).remove)
            hook = module.register_forward_hook(partial(after, index), with_kwargs=True)
            undo.callback(hook.remove)
        yield calls


def _ask(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Ask for the weights: models that do not need them do not, and then there are none."""
    signature = inspect.signature(module.forward)
    given = signature.bind(*args, **kwargs)
    wanted = {"need_weights": True, "average_attn_weights": False}
    given.arguments |= {name: x for name, x in wanted.items() if name in signature.parameters}
    return given.args, given.kwargs


def _checked(layer: AttentionLayer, result: Any) -> tuple[Tensor, ...]:
    parts = result if isinstance(result, tuple | list) else (result,)
    if len(parts) < 2 or not all(isinstance(x, Tensor) for x in parts[:2]):
        kinds = [type(x).__name__ for x in parts]
        raise ValueError(f"model must return outputs and weights of heads from the forward of "
                         f"{layer.name!r}, two tensors; it returned {kinds}")  # fmt: skip
    return tuple(parts)


def _require_layout(layer: AttentionLayer, Y: Tensor, A: Tensor, examples: int) -> None:
    shape = (examples, layer.n_heads, Y.shape[1] if Y.ndim > 1 else None)
    if Y.ndim != 3 or A.ndim != 4 or Y.shape[0] != examples or A.shape[:3] != shape:
        raise ValueError(f"model must return outputs [b, n, d_model] and weights [b, h, n, m] from "
                         f"{layer.name!r}, for b = {examples} examples and h = {layer.n_heads} "
                         f"heads; got {tuple(Y.shape)} and {tuple(A.shape)}")  # fmt: skip
    require_probabilities(f"weights of {layer.name!r}", A.detach())


def require_calls(model: nn.Module, calls: list[Call | None]) -> list[Call]:
    """The calls, one of every attention layer."""
    missed = [a.name for a, call in zip(attention_layers(model), calls, strict=True) if not call]
    if missed:
        raise ValueError(f"model must call every attention layer; it did not call {missed}")
    return [call for call in calls if call]


def activation_gradients(
    model: nn.Module, layer: AttentionLayer, call: Call, dY: Float[Tensor, "b n d_model"]
) -> tuple[Tensor, Tensor, Tensor]:
    r"""dQ, dK, dV of every head, [b, h, n or m, d_k], from the gradient of the layer's output.

    .. math:: dO = dY\,W_O^\top, \quad dV = A^\top dO, \quad dS = A \odot (dA - \text{row sums of }
              A \odot dA), \quad dA = dO\,V^\top, \quad dQ = \frac{dS\,K}{\sqrt{d_k}}

    With ``process_heads`` these are pulled back through it: Q, K and V are X W_Q, X' W_K, X' W_V,
    before they are rotated. A layer that is not what ``AttentionLayer`` says is a ValueError.
    """
    examples = len(dY)

    def projected(block: Block, x: Tensor) -> Tensor:
        module = model.get_submodule(layer.name)
        y = x.unsqueeze(-3) @ head_matrices(layer, block, module.get_parameter(block.parameter))
        if block.bias is not None:
            name, start = block.bias
            b = module.get_parameter(name)[start : start + layer.n_heads * layer.d_k]
            y = y + b.unflatten(0, (layer.n_heads, 1, layer.d_k))
        return y.expand(examples, *y.shape[-3:])  # tokens without examples are those of all

    owner, tensor = owner_of(model, layer, layer.O)
    W_O = head_matrices(layer, layer.O, getattr(owner, tensor))  # transposed, with its gates
    before = [projected(*pair) for pair in zip(projections(layer), call.tokens, strict=True)]
    process = layer.process_heads or (lambda Q, K, V: (Q, K, V))
    # Torch's annotation allows for a third result, which only has_aux=True gives.
    (Q, K, V), pull_back = torch.func.vjp(process, *before)  # type: ignore[misc]
    _require_outputs(layer, call, V, W_O)
    dO, A = dY.unsqueeze(-3) @ W_O, call.weights
    dA = dO @ V.mT
    dS = A * (dA - (A * dA).sum(-1, keepdim=True)) / math.sqrt(layer.d_k)
    dQ, dK, dV = pull_back((dS @ K, dS.mT @ Q, A.mT @ dO))
    return dQ, dK, dV


def _require_outputs(layer: AttentionLayer, call: Call, V: Tensor, W_O: Tensor) -> None:
    """The recorded outputs are A V W_O plus one bias: heads are where the layer says they are."""
    fits = call.weights.shape[-1] == V.shape[-2]
    if fits:
        terms = (call.weights @ V) @ W_O.mT  # of each head
        bias = call.output - terms.sum(-3)
        miss = (bias - bias.mean((0, 1))).abs().max()
        # Half the digits: sums of any length pass, another matrix does not.
        size = call.output.abs().max() + terms.abs().sum(-3).max()
        fits = bool(miss <= torch.finfo(miss.dtype).eps ** 0.5 * size)
    if not fits:
        raise ValueError(f"model has {layer.name!r}, whose outputs are not A V W_O plus a bias "
                         "with the matrices and tokens that attention_layers names; or it adds "
                         "keys of its own (add_bias_kv, add_zero_attn): gradients of activations "
                         "are not known then")  # fmt: skip
