"""Where the heads of a model are, and how to switch them off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from attnlib._inputs import require_finite
from attnlib.synthesizer import SynthesizerAttention
from attnlib.transformer import MultiHeadAttention, ProcessHeads

__all__ = ["AttentionLayer", "Block", "attention_layers", "gate_heads", "rescale_heads"]


class Block(NamedTuple):
    """Where the heads of a layer lie in one of its parameters: side by side along an axis.

    Head i owns the d_k rows (axis 0) or columns (axis 1) from start + i·d_k on.
    """

    parameter: str
    axis: int
    start: int = 0
    bias: tuple[str, int] | None = None  # added to the product: a vector, and where head 0 starts


class AttentionLayer(NamedTuple):
    r"""One attention layer of a model, as the functions of this package see it.

    .. math:: Y = \sum_h A_h\,(X'' W_V^{(h)})\,W_O^{(h)} + b_O, \qquad
              A_h = \operatorname{softmax}\Bigl(\frac{Q_h K_h^\top}{\sqrt{d_k}} + M\Bigr)

    with masks or biases M that do not depend on Q and K. Heads are switched off in O alone, W_O.
    A layer whose weights A come from elsewhere (a Synthesizer) has None for Q and K. Its forward
    returns the outputs [b, n, d_model] and the weights [b, h, n, m] of every head, if it has an
    argument ``need_weights`` only when that is True, and names its tokens ``inputs``: those of the
    queries, the keys and the values (a missing one: those of the queries).
    """

    name: str  # as in model.named_modules()
    n_heads: int
    d_k: int
    Q: Block | None
    K: Block | None
    V: Block
    O: Block  # noqa: E741 (the letter of the notation page)
    inputs: tuple[str, str, str] = ("x", "memory", "memory")
    process_heads: ProcessHeads | None = None  # of Q, K, V of all heads, before they meet


def attention_layers(model: nn.Module) -> list[AttentionLayer]:
    """The attention layers of a model, in the order of the rows of all scores.

    A model with a method ``attention_layers()`` names them itself: that is the whole protocol.
    Otherwise every ``MultiHeadAttention`` and ``SynthesizerAttention`` of this package and every
    ``torch.nn.MultiheadAttention`` among its modules is taken, in the order of the modules.

    Raises:
        ValueError: there is none, or they differ in the number of heads: L×H needs one H; or
            one of them has a forward of its own, and nobody says where its heads are.

    >>> layer = nn.TransformerEncoderLayer(6, 3, batch_first=True)
    >>> [(a.name, a.n_heads, a.O.parameter) for a in attention_layers(layer)]
    [('self_attn', 3, 'out_proj.weight')]
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if hasattr(model, "attention_layers"):
        named: Any = model.attention_layers  # torch's Module takes it for a tensor or a module
        layers: list[AttentionLayer] = list(named())
    else:
        layers = [_describe(name, module) for name, module in model.named_modules()
                  if isinstance(module, _KNOWN)]  # fmt: skip
    if not layers or len({layer.n_heads for layer in layers}) > 1:
        raise ValueError(f"model must have attention layers with one number of heads, got "
                         f"{[(layer.name, layer.n_heads) for layer in layers]}")  # fmt: skip
    return layers


_KNOWN = (MultiHeadAttention, SynthesizerAttention, nn.MultiheadAttention)


def _describe(
    name: str, module: MultiHeadAttention | SynthesizerAttention | nn.MultiheadAttention
) -> AttentionLayer:
    if not any(type(module).forward is known.forward for known in _KNOWN):
        raise ValueError(f"model has {name!r}, a {type(module).__name__} with a forward of its "
                         "own: say in model.attention_layers() where its heads are")  # fmt: skip
    if isinstance(module, SynthesizerAttention):
        d_k, x = module.d_model // module.n_heads, ("x", "x", "x")
        return AttentionLayer(name, module.n_heads, d_k, None, None, Block("V", 1),
                              Block("W_O", 0), x)  # fmt: skip
    if isinstance(module, MultiHeadAttention):
        d_k = module.d_model // module.n_heads
        Q, K, V = (Block(W, 1) for W in ("W_Q", "W_K", "W_V"))
        return AttentionLayer(name, module.n_heads, d_k, Q, K, V, Block("W_O", 0),
                              process_heads=module.process_heads)  # fmt: skip
    # Torch's matrices are transposed, and in one if keys and values have d_model entries as well.
    d, joint = module.embed_dim, module.in_proj_weight is not None
    Q, K, V = (
        Block("in_proj_weight" if joint else f"{x}_proj_weight", 0, i * d if joint else 0,
              bias=None if module.in_proj_bias is None else ("in_proj_bias", i * d))
        for i, x in enumerate("qkv")
    )  # fmt: skip
    O = Block("out_proj.weight", 1)  # noqa: E741
    inputs = ("query", "key", "value")
    return AttentionLayer(name, module.num_heads, module.head_dim, Q, K, V, O, inputs)


def gate_values(model: nn.Module, name: str, mask: Any) -> Tensor:
    """One number for each head, [L, H], in the dtype of the model."""
    layers = attention_layers(model)
    shape = (len(layers), layers[0].n_heads)
    if not isinstance(mask, Tensor) or mask.shape != shape:
        got = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(f"{name} must be a tensor of shape [L, H] = {shape}, got {got}")
    dtype = next(model.parameters()).dtype
    gates = mask.to(dtype) if mask.dtype == torch.bool else mask.detach()
    require_finite(name, gates)
    return gates.to(dtype)


def scale_along(layer: AttentionLayer, gates: Float[Tensor, " h"]) -> Float[Tensor, "hd _"]:
    """One factor for each row or column of O, in a shape that broadcasts to it."""
    scale = gates.repeat_interleave(layer.d_k)
    return scale.unsqueeze(1 - layer.O.axis)


class _Gate(nn.Module):
    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.scale = scale  # no buffer: the state of the model stays what it was

    def forward(self, W: Tensor) -> Tensor:
        return W * self.scale


@contextmanager
def gate_heads(
    model: nn.Module, mask: Bool[Tensor, "L H"] | Float[Tensor, "L H"]
) -> Iterator[nn.Module]:
    r"""Within the context, the output of head (l, h) is multiplied by its gate ξ = mask[l, h].

    .. math:: Y = \sum_h \xi_h\, O_h W_O^{(h)}

    0 or False removes a head, 1 or True keeps it. Scales rows of W_O through a parametrization,
    so a fine-tuning inside the context leaves removed heads removed, and the parameters come
    back as they were, with what was learned. Contexts nest: their gates multiply.

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
            parametrize.register_parametrization(owner, tensor, _Gate(scale_along(layer, row)))
            undo.callback(_remove_gate, owner, tensor, order)
        yield model


def owner_of(model: nn.Module, layer: AttentionLayer, block: Block) -> tuple[nn.Module, str]:
    """The module that a parameter belongs to, and its name there."""
    path, _, tensor = block.parameter.rpartition(".")
    return model.get_submodule(layer.name).get_submodule(path), tensor


def _remove_gate(owner: nn.Module, tensor: str, order: list[str]) -> None:
    gates = owner.get_submodule(f"parametrizations.{tensor}")
    assert isinstance(gates, parametrize.ParametrizationList)  # torch says any module
    if len(gates) > 1:  # those of an outer context stay
        del gates[-1]
        return
    parametrize.remove_parametrizations(owner, tensor, leave_parametrized=False)
    for name in order:  # optimisers count parameters in order
        owner._parameters[name] = owner._parameters.pop(name)


@torch.no_grad()
def rescale_heads(model: nn.Module, factors: Float[Tensor, "L H"]) -> None:
    r"""Multiply W_V of head (l, h) by c = factors[l, h] and divide its part of W_O by c, in place.

    .. math:: V W_O^{(h)} = (c\,V)\,(c^{-1} W_O^{(h)})

    Serves the claim ``gradient-score-meaning``: the model computes the same function. b_V, if
    there is one, goes with W_V.

    Raises:
        ValueError: factors are not finite and positive, of shape [L, H]; or the heads are gated.

    >>> layer = MultiHeadAttention(4, 2).eval()
    >>> x = torch.ones(3, 4)
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


def projections(layer: AttentionLayer) -> tuple[Block, Block, Block]:
    """Q, K and V of a layer that has all three."""
    if layer.Q is None or layer.K is None:
        raise ValueError(f"model has attention without W_Q and W_K: {layer.name!r}")
    return layer.Q, layer.K, layer.V


def parameter_name(model: nn.Module, layer: AttentionLayer, block: Block) -> str:
    """The name in ``model.named_parameters()``, also while the heads are gated."""
    owner, tensor = owner_of(model, layer, block)
    path = ".".join(p for p in (layer.name, *block.parameter.split(".")[:-1]) if p)
    if parametrize.is_parametrized(owner, tensor):
        tensor = f"parametrizations.{tensor}.original"
    return f"{path}.{tensor}" if path else tensor


def head_matrices(layer: AttentionLayer, block: Block, W: Tensor) -> Float[Tensor, "*b h _ d_k"]:
    """Of W, [..., rows, columns], the part of each head, d_k columns each."""
    W = W if block.axis == 1 else W.mT
    W = W[..., block.start : block.start + layer.n_heads * layer.d_k]
    heads: Tensor = W.unflatten(-1, (layer.n_heads, layer.d_k))
    return heads.movedim(-2, -3)
