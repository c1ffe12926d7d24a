"""Heads removed for good: a smaller model that computes the same."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attnlib._shapes import Bool, Float
from attnlib.pruning.fewer import FewerHeads
from attnlib.pruning.heads import gate_values, head_gates, scale_along, take_gates_off
from attnlib.pruning.layers import (
    AttentionLayer,
    attention_layers,
    gates_of,
    owner_of,
    raw_parameter,
)

__all__ = ["remove_heads"]


def remove_heads(model: nn.Module, mask: Bool[Tensor, "L H"] | Float[Tensor, "L H"]) -> nn.Module:
    r"""A smaller copy of a model that computes what ``gate_heads(model, mask)`` lets it compute.

    Heads with a gate of 0 or False are cut out of the parameters; other gates are multiplied into
    W_O, and so are those that are in force. A layer that loses all its heads keeps one, with
    W_O = 0. The copy can be saved, loaded, copied and trained like any model:

    - ``torch.save({"mask": mask, "state": small.state_dict()}, path)`` keeps it;
    - ``small = remove_heads(fresh, mask); small.load_state_dict(state)``, where ``fresh`` is a new
      model made like the first, brings it back.

    A ``torch.nn.MultiheadAttention`` that loses heads is replaced by a :class:`FewerHeads`, and
    torch's encoders then leave their fast path, so that padded positions, zeros there, hold
    something else. Numbers of heads in a configuration stay as they were, so ``from_pretrained``
    of transformers does not load what ``save_pretrained`` of the copy wrote.

    Args:
        model: see ``attention_layers``; not changed.
        mask: gates, a boolean or float tensor.

    Raises:
        ValueError: as for ``gate_heads``; a layer adds keys of its own (add_bias_kv,
            add_zero_attn), its ``process_heads`` does not treat all heads alike, or its
            ``AttentionLayer`` names no ``counts``.

    >>> layer = nn.TransformerEncoderLayer(6, 3, batch_first=True)
    >>> small = remove_heads(layer, torch.tensor([[True, False, True]]))
    >>> small.self_attn.num_heads, small.self_attn.out_proj.weight.shape
    (2, torch.Size([6, 4]))
    """
    gates = gate_values(model, "mask", mask) * head_gates(model)
    small = copy.deepcopy(model)
    for layer, row in zip(attention_layers(small), gates, strict=True):
        owner, tensor = owner_of(small, layer, layer.O)
        if gates_of(owner, tensor):
            take_gates_off(owner, tensor)
        with torch.no_grad():
            raw_parameter(small, layer, layer.O).mul_(scale_along(layer, row))
        keep = row.nonzero().flatten().tolist() or [0]
        if len(keep) < layer.n_heads:
            small = _without_the_others(small, layer, keep)
    for module in small.modules():
        if isinstance(module, nn.TransformerEncoder) and _cut(module):
            module.use_nested_tensor = False
    return small


def _cut(model: nn.Module) -> bool:
    return any(isinstance(module, FewerHeads) for module in model.modules())


def _without_the_others(model: nn.Module, layer: AttentionLayer, keep: list[int]) -> nn.Module:
    """The model, whose layer has been cut to some of its heads, in place but for torch's."""
    module = model.get_submodule(layer.name)
    _require_alike(layer, module, keep)
    for name, (axis, gone) in _entries_of_others(layer, keep).items():
        path, _, tensor = name.rpartition(".")
        owner, p = module.get_submodule(path), module.get_parameter(name)
        left = [i for i in range(p.shape[axis]) if i not in gone]
        part = p.detach().index_select(axis, torch.tensor(left, device=p.device))
        setattr(owner, tensor, nn.Parameter(part, p.requires_grad))
        if tensor == "weight":
            _note_shape(owner, part)
    for name, of_one in layer.counts:
        path, _, attribute = name.rpartition(".")
        setattr(module.get_submodule(path), attribute, of_one * len(keep))
    if not isinstance(module, nn.MultiheadAttention):
        return model
    fewer = FewerHeads(module, len(keep))
    if not layer.name:
        return fewer
    path, _, name = layer.name.rpartition(".")
    setattr(model.get_submodule(path), name, fewer)
    return model


def _entries_of_others(
    layer: AttentionLayer, keep: Sequence[int]
) -> dict[str, tuple[int, set[int]]]:
    """For each parameter with parts of heads: an axis, and the entries there that must go."""
    found: dict[str, tuple[int, set[int]]] = {}

    def note(name: str, axis: int, start: int, width: int) -> None:
        gone = {start + h * width + i for h in range(layer.n_heads) if h not in keep
                for i in range(width)}  # fmt: skip
        found[name] = axis, found.get(name, (axis, set()))[1] | gone

    for block in (layer.Q, layer.K, layer.V, layer.O):
        if block is not None:
            note(block.parameter, block.axis, block.start, layer.d_k)
            if block.bias is not None:
                note(block.bias[0], 0, block.bias[1], layer.d_k)
    for name, axis, width in layer.others:
        note(name, axis, 0, width)
    return found


def _note_shape(owner: nn.Module, weight: Tensor) -> None:
    """What a linear module says of its matrix, [out, in], or [in, out] in transformers' Conv1D."""
    names = ("out_features", "in_features") if hasattr(owner, "in_features") else ("nx", "nf")
    for name, size in zip(names, weight.shape, strict=True):
        if hasattr(owner, name):
            setattr(owner, name, size)


def _require_alike(layer: AttentionLayer, module: nn.Module, keep: list[int]) -> None:
    """Nothing in the layer depends on which head it is but its parameters, all of them known."""
    if not layer.counts:
        raise ValueError(f"model has {layer.name!r}, whose AttentionLayer names no counts: nothing "
                         "says how it learns that heads are gone")  # fmt: skip
    if isinstance(module, nn.MultiheadAttention) and (
        module.bias_k is not None or module.add_zero_attn
    ):
        raise ValueError(f"model has {layer.name!r}, which adds keys of its own (add_bias_kv, "
                         "add_zero_attn): its heads can be gated, not removed")  # fmt: skip
    if layer.process_heads is None:
        return
    p = module.get_parameter(layer.O.parameter)
    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(3, 1, layer.n_heads, 2, layer.d_k, generator=generator).to(p)
    try:
        with torch.no_grad():
            every = layer.process_heads(*whole)
            few = layer.process_heads(*whole[:, :, keep])
        alike = all(torch.allclose(a[:, keep], b) for a, b in zip(every, few, strict=True))
    except (RuntimeError, ValueError):  # shapes that do not fit
        alike = False
    if not alike:
        raise ValueError(f"model has {layer.name!r}, whose process_heads does not treat all heads "
                         "alike: they can be gated, not removed")  # fmt: skip
