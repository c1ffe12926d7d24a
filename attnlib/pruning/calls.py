"""What an attention layer was given and gave: its weights, and gradients of its activations."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attnlib._inputs import raised, require_probabilities, require_rows
from attnlib._shapes import Float
from attnlib.pruning.fewer import FewerHeads
from attnlib.pruning.layers import (
    AttentionLayer,
    Block,
    attention_layers,
    head_matrices,
    owner_of,
    projections,
)

__all__ = ["Call", "activation_gradients", "recorded_calls", "require_calls", "scaled_heads"]


class Call(NamedTuple):
    """What went into an attention layer and came out, the examples along axis 0.

    ``output`` is a tensor that the rest of the model computes with: it has a gradient. It is what
    the layer returns, [b, n, d_model], or what its ``mix`` gets, the heads side by side.
    """

    tokens: tuple[Tensor, Tensor, Tensor]
    output: Tensor
    weights: Float[Tensor, "b h n m"]
    to_itself: bool  # queries and keys are of the same tokens


@contextmanager
def recorded_calls(model: nn.Module, examples: int) -> Iterator[list[Call | None]]:
    """Within the context, the call of every attention layer with so many examples, checked.

    Raises:
        ValueError: a layer is called twice, or does not return outputs [b, n, d_model] and
            weights [b, h, n, m] with the examples along axis 0 and rows of sum 1.
    """
    layers = attention_layers(model)
    calls: list[Call | None] = [None] * len(layers)  # missing ones are found by require_calls
    mixed: list[Tensor | None] = [None] * len(layers)

    def before_mix(index: int, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        mixed[index] = O = _with_gradient(_mixed(layers[index], args, examples))  # noqa: E741
        return O, *args[1:]

    def after(
        index: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> tuple[Tensor, ...] | None:
        layer = layers[index]
        if calls[index]:
            raise ValueError(f"model must call every attention layer once for each batch; it "
                             f"called {layer.name!r} again")  # fmt: skip
        tokens = _tokens(layer, module, args, kwargs)
        Y, A, *rest = _checked(layer, result)
        to_itself = tokens[0] is tokens[1]
        turned = isinstance(module, nn.MultiheadAttention | FewerHeads) and not module.batch_first
        if turned:  # torch's layout [n, b, d_model]; its weights have the examples first
            Y, *tokens = (x.transpose(0, 1) for x in (Y, *tokens))
        _require_mixed(layer, O := mixed[index])  # noqa: E741
        Y = _with_gradient(Y) if O is None else O
        _require_layout(layer, Y, A, examples)
        calls[index] = Call((tokens[0], tokens[1], tokens[2]), Y, A, to_itself)
        return None if layer.mix else (Y.transpose(0, 1) if turned else Y, A, *rest)

    with ExitStack() as undo:
        for index, layer in enumerate(layers):
            module = model.get_submodule(layer.name)
            undo.callback(module.register_forward_pre_hook(_ask, with_kwargs=True).remove)
            hook = module.register_forward_hook(partial(after, index), with_kwargs=True)
            undo.callback(hook.remove)
            if layer.mix:
                mix = module.get_submodule(layer.mix)
                before = mix.register_forward_pre_hook(partial(before_mix, index))
                undo.callback(before.remove)
        yield calls


def _mixed(layer: AttentionLayer, args: tuple[Any, ...], examples: int) -> Tensor:
    """What a mix is given, checked: the heads side by side."""
    O = args[0] if args else None  # noqa: E741
    width = layer.n_heads * layer.d_k
    if not isinstance(O, Tensor) or O.ndim != 3 or (len(O), O.shape[2]) != (examples, width):
        got = tuple(O.shape) if isinstance(O, Tensor) else type(O).__name__
        raise ValueError(f"model must give {layer.mix!r} of {layer.name!r} heads side by side, "
                         f"[{examples}, n, {width}]; it gave {got}")  # fmt: skip
    return O


def _require_mixed(layer: AttentionLayer, O: Tensor | None) -> None:  # noqa: E741
    if layer.mix and O is None:
        raise ValueError(f"model must call {layer.mix!r} of {layer.name!r}, which its "
                         "AttentionLayer names as mix: its heads are not seen")  # fmt: skip


def _with_gradient(x: Tensor) -> Tensor:
    """In a frozen model gradients start here."""
    if torch.is_grad_enabled() and not x.requires_grad:
        return x.detach().requires_grad_()
    return x


def _tokens(
    layer: AttentionLayer, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Tensor]:
    """The tokens of queries, keys and values that a call was given."""
    given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    if not isinstance(first := given.get(layer.inputs[0]), Tensor):
        raise ValueError(f"model must give {layer.name!r} a tensor {layer.inputs[0]!r}, the tokens "
                         f"of its queries; it gave {sorted(given)}")  # fmt: skip
    return [first if (x := given.get(name)) is None else x for name in layer.inputs]


@contextmanager
def scaled_heads(model: nn.Module, gates: Float[Tensor, "b L H"]) -> Iterator[None]:
    """Within the context, heads of each example are scaled before the ``mix`` of their layer."""
    layers = attention_layers(model)
    seen: list[Tensor | None] = [None] * len(layers)

    def scale(index: int, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        layer = layers[index]
        seen[index] = O = _mixed(layer, args, len(gates))  # noqa: E741
        return O * gates[:, index].repeat_interleave(layer.d_k, -1)[:, None], *args[1:]

    with ExitStack() as undo:
        for index, layer in enumerate(layers):
            mix = model.get_submodule(layer.name).get_submodule(layer.mix or "")
            undo.callback(mix.register_forward_pre_hook(partial(scale, index)).remove)
        yield
    for layer, O in zip(layers, seen, strict=True):  # noqa: E741
        _require_mixed(layer, O)


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
                         f"{layer.name!r}, two tensors; it returned {kinds} (models of "
                         "transformers do so with attn_implementation='eager')")  # fmt: skip
    return tuple(parts)


def _require_layout(layer: AttentionLayer, Y: Tensor, A: Tensor, examples: int) -> None:
    shape = (examples, layer.n_heads, Y.shape[1] if Y.ndim > 1 else None)
    wide = Y.shape[-1] if layer.mix is None else layer.n_heads * layer.d_k
    if (Y.ndim != 3 or A.ndim != 4 or (Y.shape[0], Y.shape[-1]) != (examples, wide)
            or A.shape[:3] != shape):  # fmt: skip
        raise ValueError(f"model must return outputs [b, n, d_model] and weights [b, h, n, m] from "
                         f"{layer.name!r}, for b = {examples} examples and h = {layer.n_heads} "
                         f"heads; got {tuple(Y.shape)} and {tuple(A.shape)}")  # fmt: skip
    (weights,), kind = raised(A.detach())
    require_probabilities(f"weights of {layer.name!r}", weights, precision=kind)


def require_calls(model: nn.Module, calls: list[Call | None]) -> list[Call]:
    """The calls, one of every attention layer."""
    missed = [a.name for a, call in zip(attention_layers(model), calls, strict=True) if not call]
    if missed:
        raise ValueError(f"model must call every attention layer; it did not call {missed}")
    return [call for call in calls if call]


def activation_gradients(
    model: nn.Module, layer: AttentionLayer, call: Call, dY: Float[Tensor, "b n _"]
) -> tuple[Tensor, Tensor, Tensor]:
    r"""dQ, dK, dV of every head, [b, h, n or m, d_k], from the gradient of ``call.output``.

    .. math:: dO = dY\,W_O^\top, \quad dV = A^\top dO, \quad dS = A \odot (dA - \text{row sums of }
              A \odot dA), \quad dA = dO\,V^\top, \quad dQ = \text{scale}\;dS\,K

    With ``process_heads`` these are pulled back through it: Q, K and V are X W_Q, X' W_K, X' W_V,
    before they are rotated. A layer that is not what ``AttentionLayer`` says is a ValueError.
    """
    examples = len(dY)
    # dA less a sum of it: half precision would lose what is left.
    require_rows(f"weights of {layer.name!r}", call.weights)

    def projected(block: Block, x: Tensor) -> Tensor:
        module = model.get_submodule(layer.name)
        y = x.unsqueeze(-3) @ head_matrices(layer, block, module.get_parameter(block.parameter))
        if block.bias is not None:
            name, start = block.bias
            b = module.get_parameter(name)[start : start + layer.n_heads * layer.d_k]
            y = y + b.unflatten(0, (layer.n_heads, 1, layer.d_k))
        return y.expand(examples, *y.shape[-3:])  # tokens without examples are those of all

    W_O = None
    if layer.mix is None:
        owner, tensor = owner_of(model, layer, layer.O)
        W_O = head_matrices(layer, layer.O, getattr(owner, tensor))  # transposed, with its gates
    before = [projected(*pair) for pair in zip(projections(layer), call.tokens, strict=True)]
    process = layer.process_heads or (lambda Q, K, V: (Q, K, V))
    # Torch's annotation allows for a third result, which only has_aux=True gives.
    (Q, K, V), pull_back = torch.func.vjp(process, *before)  # type: ignore[misc]
    _require_outputs(layer, call, V, W_O)
    dO = _side_by_side(layer, dY) if W_O is None else dY.unsqueeze(-3) @ W_O
    A, scale = call.weights, 1 / math.sqrt(layer.d_k) if layer.scale is None else layer.scale
    dA = dO @ V.mT
    dS = scale * A * (dA - (A * dA).sum(-1, keepdim=True))
    dQ, dK, dV = pull_back((dS @ K, dS.mT @ Q, A.mT @ dO))
    return dQ, dK, dV


def _side_by_side(layer: AttentionLayer, x: Float[Tensor, "b n hd"]) -> Float[Tensor, "b h n d"]:
    heads: Tensor = x.unflatten(-1, (layer.n_heads, layer.d_k))
    return heads.transpose(-3, -2)


def _require_outputs(layer: AttentionLayer, call: Call, V: Tensor, W_O: Tensor | None) -> None:
    """The recorded outputs are A V W_O plus one bias: heads are where the layer says they are."""
    fits = call.weights.shape[-1] == V.shape[-2]
    if fits:
        heads = call.weights @ V
        if W_O is None:
            Y = _side_by_side(layer, call.output)
            miss, size = (Y - heads).abs().max(), Y.abs().max() + heads.abs().max()
        else:
            terms = heads @ W_O.mT  # of each head
            bias = call.output - terms.sum(-3)
            miss = (bias - bias.mean((0, 1))).abs().max()
            size = call.output.abs().max() + terms.abs().sum(-3).max()
        # Half the digits: sums of any length pass, another matrix does not.
        fits = bool(miss <= torch.finfo(miss.dtype).eps ** 0.5 * size)
    if not fits:
        raise ValueError(f"model has {layer.name!r}, whose outputs are not A V W_O plus a bias "
                         "with the matrices and tokens that attention_layers names; or it adds "
                         "keys of its own (add_bias_kv, add_zero_attn): gradients of activations "
                         "are not known then")  # fmt: skip
