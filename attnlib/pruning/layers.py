"""Where the heads of a model are: what a layer must offer, and the layers that are known."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple, get_args

from torch import Tensor, nn
from torch.nn.utils import parametrize

from attnlib.pruning.fewer import FewerHeads
from attnlib.synthesizer import SynthesizerAttention
from attnlib.transformer import MultiHeadAttention, ProcessHeads

__all__ = ["AttentionLayer", "Block", "attention_layers"]


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
              A_h = \operatorname{softmax}(\text{scale}\cdot Q_h K_h^\top + M)

    with masks or biases M that do not depend on Q and K, and keys and values of its own for every
    head. Heads are switched off in O alone, W_O.
    A layer whose weights A come from elsewhere (a Synthesizer) has None for Q and K. That is all
    that gates, "gate", "gradient-product", "leave-one-out" and "random" need.

    "entropy", "confidence" and gradients of activations record a call of the layer. They need a
    forward that is called once for each batch, returns first the outputs [b, n, d_model] and then
    the weights [b, h, n, m] of every head (if it has an argument ``need_weights`` only when that
    is True), and names its tokens ``inputs``: those of the queries, the keys and the values (a
    missing one: those of the queries).

    Where a submodule multiplies by W_O, ``mix`` names it: its input, [b, n, h·d_k], has the heads
    side by side. The outputs of the layer may then be anything, and "gate" is faster.

    ``remove_heads`` needs ``counts``: the attributes of the layer that grow with the number of
    heads, each with what one head adds to it; and in ``others`` the name, the axis and the
    entries of a head in each parameter that has a part of every head and is none of Q, K, V, O.
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
    mix: str | None = None
    scale: float | None = None  # 1/√d_k if None
    counts: tuple[tuple[str, int], ...] = ()
    others: tuple[tuple[str, int, int], ...] = ()


def attention_layers(model: nn.Module) -> list[AttentionLayer]:
    """The attention layers of a model, in the order of the rows of all scores.

    A model with a method ``attention_layers()`` names them itself: that is the whole protocol.
    Otherwise these are taken, in the order of the modules: ``MultiHeadAttention`` and
    ``SynthesizerAttention`` of this package, ``torch.nn.MultiheadAttention``, and the attention of
    BERT and GPT-2 in ``transformers``, version 5.

    Raises:
        ValueError: there is none, or they differ in the number of heads: L×H needs one H; one of
            them has a forward of its own, and nobody says where its heads are; two share W_O.

    >>> layer = nn.TransformerEncoderLayer(6, 3, batch_first=True)
    >>> [(a.name, a.n_heads, a.O.parameter) for a in attention_layers(layer)]
    [('self_attn', 3, 'out_proj.weight')]
    """
    layers = any_layers(model)
    if not layers:
        raise ValueError("model must have attention layers that are known; if it has others, "
                         "model.attention_layers() must say where their heads are")  # fmt: skip
    if len({layer.n_heads for layer in layers}) > 1:
        raise ValueError(f"model must have attention layers with one number of heads, got "
                         f"{[(layer.name, layer.n_heads) for layer in layers]}; if remove_heads "
                         "made it smaller, score and gate the whole model")  # fmt: skip
    return layers


def any_layers(model: nn.Module) -> list[AttentionLayer]:
    """The attention layers of a model, with any number of heads in each."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if hasattr(model, "attention_layers"):
        named: Any = model.attention_layers  # torch's Module takes it for a tensor or a module
        layers: list[AttentionLayer] = list(named())
    else:
        described = ((name, _describe(name, m)) for name, m in model.named_modules())
        layers = [layer for _, layer in described if layer is not None]
    shared: dict[int, str] = {}
    for layer in layers:
        _require_blocks(model, layer)
        first = shared.setdefault(id(raw_parameter(model, layer, layer.O)), layer.name)
        if first != layer.name:
            raise ValueError(f"model has one W_O for {first!r} and {layer.name!r}: a head cannot "
                             "be switched off in one of them")  # fmt: skip
    return layers


class Gate(nn.Module):
    """A parametrization of W_O that scales the part of every head."""

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.scale = scale  # no buffer: the state of the model stays what it was

    def forward(self, W: Tensor) -> Tensor:
        """The matrix with its gates."""
        return W * self.scale


def gates_of(owner: nn.Module, tensor: str) -> list[nn.Module]:
    """The parametrizations of a parameter, the first one first."""
    if not parametrize.is_parametrized(owner, tensor):
        return []
    return list(owner.get_submodule(f"parametrizations.{tensor}").children())


def _require_blocks(model: nn.Module, layer: AttentionLayer) -> None:
    """Where the layer says that heads are, there are parameters of their size."""
    width = layer.n_heads * layer.d_k
    names = [name for name, _ in model.named_modules(remove_duplicate=False)]
    for name in [layer.name, f"{layer.name}.{layer.mix}".lstrip(".")][: 2 if layer.mix else 1]:
        if name not in names:
            raise ValueError(f"model.attention_layers() names {name!r}, which is no module")
    for block in (layer.Q, layer.K, layer.V, layer.O):
        if block is None:
            continue
        try:
            shape = tuple(raw_parameter(model, layer, block).shape)
        except AttributeError as error:
            raise ValueError(f"model.attention_layers() names {layer.name!r} and its "
                             f"{block.parameter!r}: {error}") from None  # fmt: skip
        if not all(isinstance(gate, Gate) for gate in gates_of(*owner_of(model, layer, block))):
            raise ValueError(f"model has {layer.name!r}, whose {block.parameter!r} has a "
                             "parametrization of its own: fold it in first, by "
                             "torch.nn.utils.parametrize.remove_parametrizations")  # fmt: skip
        if len(shape) != 2 or shape[block.axis] < block.start + width:
            raise ValueError(f"model.attention_layers() names {layer.n_heads} heads of width "
                             f"{layer.d_k} in {block.parameter!r} of {layer.name!r}, from "
                             f"{block.start} along axis {block.axis}; it has shape "
                             f"{shape}")  # fmt: skip


# -- parameters --------------------------------------------------------------------------------


def owner_of(model: nn.Module, layer: AttentionLayer, block: Block) -> tuple[nn.Module, str]:
    """The module that a parameter belongs to, and its name there."""
    path, _, tensor = block.parameter.rpartition(".")
    return model.get_submodule(layer.name).get_submodule(path), tensor


def raw_parameter(model: nn.Module, layer: AttentionLayer, block: Block) -> nn.Parameter:
    """The parameter of a block, without its gates."""
    owner, tensor = owner_of(model, layer, block)
    if parametrize.is_parametrized(owner, tensor):
        return owner.get_parameter(f"parametrizations.{tensor}.original")
    return owner.get_parameter(tensor)


def parameter_name(model: nn.Module, layer: AttentionLayer, block: Block) -> str:
    """The name in ``model.named_parameters()``, also while the heads are gated."""
    owner, tensor = owner_of(model, layer, block)
    path = ".".join(p for p in (layer.name, *block.parameter.split(".")[:-1]) if p)
    if parametrize.is_parametrized(owner, tensor):
        tensor = f"parametrizations.{tensor}.original"
    return f"{path}.{tensor}" if path else tensor


def projections(layer: AttentionLayer) -> tuple[Block, Block, Block]:
    """Q, K and V of a layer that has all three."""
    if layer.Q is None or layer.K is None:
        raise ValueError(f"model has attention without W_Q and W_K: {layer.name!r}")
    return layer.Q, layer.K, layer.V


# -- layers that are known ---------------------------------------------------------------------

Known = MultiHeadAttention | SynthesizerAttention | nn.MultiheadAttention | FewerHeads


def _describe(name: str, module: nn.Module) -> AttentionLayer | None:
    """What is known of a module: its heads, if it is attention."""
    forwards = [known.forward for known in get_args(Known)]
    if isinstance(module, Known) and type(module).forward not in forwards:
        raise ValueError(f"model has {name!r}, a {type(module).__name__} with a forward of its "
                         "own: say in model.attention_layers() where its heads are")  # fmt: skip
    if isinstance(module, SynthesizerAttention):
        return _synthesizer(name, module)
    if isinstance(module, MultiHeadAttention):
        d_k = module.W_V.shape[1] // module.n_heads
        Q, K, V = (Block(W, 1) for W in ("W_Q", "W_K", "W_V"))
        return AttentionLayer(name, module.n_heads, d_k, Q, K, V, Block("W_O", 0),
                              process_heads=module.process_heads,
                              counts=(("n_heads", 1),))  # fmt: skip
    if isinstance(module, nn.MultiheadAttention | FewerHeads):
        return _torch(name, module)
    if isinstance(module, _loaded("transformers.models.bert.modeling_bert", "BertAttention")):
        return _bert(name, module)
    if isinstance(module, _loaded("transformers.models.gpt2.modeling_gpt2", "GPT2Attention")):
        return _gpt2(name, module)
    return None


def _loaded(module: str, name: str) -> type | tuple[()]:
    """A class of a package that is no requirement, if somebody has imported it."""
    found: type | tuple[()] = getattr(sys.modules.get(module), name, ())
    return found


def _synthesizer(name: str, module: SynthesizerAttention) -> AttentionLayer:
    d_k = module.V.shape[1] // module.n_heads
    of_heads = [] if module.kind == "random" else [("A", 1, d_k), ("b_1", 0, d_k)]
    if not module.shared:
        of_heads += [(p, 0, 1) for p in ("B", "b_2", "R", "B_p", "b_p", "B_r", "b_r")
                     if hasattr(module, p)]  # fmt: skip
    return AttentionLayer(name, module.n_heads, d_k, None, None, Block("V", 1), Block("W_O", 0),
                          ("x", "x", "x"), counts=(("n_heads", 1),),
                          others=tuple(of_heads))  # fmt: skip


def _torch(name: str, module: nn.MultiheadAttention | FewerHeads) -> AttentionLayer:
    # Its matrices are transposed, and in one if keys and values have d_model entries as well.
    width, joint = module.num_heads * module.head_dim, module.in_proj_weight is not None
    Q, K, V = (
        Block("in_proj_weight" if joint else f"{x}_proj_weight", 0, i * width if joint else 0,
              bias=None if module.in_proj_bias is None else ("in_proj_bias", i * width))
        for i, x in enumerate("qkv")
    )  # fmt: skip
    return AttentionLayer(name, module.num_heads, module.head_dim, Q, K, V,
                          Block("out_proj.weight", 1), ("query", "key", "value"),
                          counts=(("num_heads", 1),))  # fmt: skip


def _require_version(name: str, module: Any) -> None:
    if not hasattr(module, "scaling"):
        raise ValueError(f"model has {name!r} of a version of transformers before 5: its scores "
                         "may be others than those that are known here")  # fmt: skip


def _bert(name: str, module: Any) -> AttentionLayer:
    _require_version(name, heads := module.self)
    Q, K, V = (Block(f"self.{x}.weight", 0, bias=(f"self.{x}.bias", 0))
               for x in ("query", "key", "value"))  # fmt: skip
    other = "encoder_hidden_states" if module.is_cross_attention else "hidden_states"
    return AttentionLayer(
        name, heads.num_attention_heads, heads.attention_head_size, Q, K, V,
        Block("output.dense.weight", 1), ("hidden_states", other, other), mix="output.dense",
        scale=heads.scaling,
        counts=(("self.num_attention_heads", 1), ("self.all_head_size", heads.attention_head_size)),
    )  # fmt: skip


def _gpt2(name: str, module: Any) -> AttentionLayer:
    _require_version(name, module)
    d_k, cross = module.head_dim, module.is_cross_attention
    width = module.num_heads * d_k
    joint = [Block("c_attn.weight", 1, i * width, ("c_attn.bias", i * width))
             for i in range(2 if cross else 3)]  # fmt: skip
    Q = Block("q_attn.weight", 1, bias=("q_attn.bias", 0)) if cross else joint[0]
    other = "encoder_hidden_states" if cross else "hidden_states"
    return AttentionLayer(
        name, module.num_heads, d_k, Q, joint[-2], joint[-1], Block("c_proj.weight", 0),
        ("hidden_states", other, other), mix="c_proj", scale=module.scaling,
        counts=(("num_heads", 1), ("split_size", d_k)),
    )  # fmt: skip


def head_matrices(layer: AttentionLayer, block: Block, W: Tensor) -> Tensor:
    """Of W, [..., rows, columns], the part of each head, [..., h, _, d_k]."""
    W = W if block.axis == 1 else W.mT
    W = W[..., block.start : block.start + layer.n_heads * layer.d_k]
    heads: Tensor = W.unflatten(-1, (layer.n_heads, layer.d_k))
    return heads.movedim(-2, -3)
