"""One number for each head: gradients, gates, entropies, or what its removal costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves, tree_map

from attnlib._inputs import (
    raised,
    require_choice,
    require_finite,
    require_flag,
    require_integer,
)
from attnlib._shapes import Float
from attnlib.entropy import entropy
from attnlib.pruning.calls import (
    Call,
    activation_gradients,
    recorded_calls,
    require_calls,
    scaled_heads,
)
from attnlib.pruning.heads import gate_heads, head_gates, scale_along
from attnlib.pruning.layers import (
    AttentionLayer,
    attention_layers,
    head_matrices,
    parameter_name,
    projections,
)

__all__ = ["METHODS", "Loss", "Valid", "gradient_matrices", "head_scores"]

METHODS = ("gradient-product", "gradient-product-activations", "gradient-product-max", "gate",
           "entropy", "confidence", "random", "leave-one-out")  # fmt: skip
Loss = Callable[[nn.Module, Any], Tensor]  # one number for each example of a batch
# Which queries of a batch are tokens and no padding, [b, n]: of all layers, or one of each.
Valid = Callable[[Any], Tensor | list[Tensor]]


def head_scores(
    model: nn.Module, batches: Iterable[Any], method: str, loss: Loss, seed: int = 0, *,
    valid: Valid | None = None, per_layer: bool = False,
) -> Float[Tensor, "L H"]:  # fmt: skip
    r"""A score for every head; all but "entropy" are meant to be low for heads that can go.

    .. math:: \text{gate: } \mathbb E_x\Bigl|\frac{\partial\,\text{loss}(x)}{\partial\xi_{lh}}
              \Bigr|, \qquad \text{gradient-product: } G_Q \odot G_K \odot G_V

    Serves the claims ``gradient-score-shape`` and ``gradient-score-meaning``. Of a model in half
    precision scores are float32; it has no "…-activations".

    - "gate": Michel et al. (2019), the absolute value before the mean. One backward pass for
      each batch gives all L×H of them.
    - "gradient-product": the product of the ``gradient_matrices`` of the loss, with respect to
      weights; "-activations" and "-max" as there. The notes' F is the norm of the model's output:
      to have their score, pass that as the loss.
    - "entropy", "confidence" (Voita et al. 2019): mean entropy in nats, and mean largest weight,
      of the rows of attention.
    - "leave-one-out": mean loss without the head, minus mean loss. L·H + 1 forward passes, less
      one for each head that is gated off already: its score is 0.
    - "random": uniform draws, the same for the same seed.

    Args:
        model: a module in eval mode; where its heads are, ``attention_layers`` says.
        batches: a list of batches, or an iterator, read once. A batch is a tensor, or a tuple,
            list or dict of tensors, with the examples along axis 0, and holds no other tensor.
        method: one of ``METHODS``.
        loss: ``loss(model, batch)`` returns one number for each example, shape [batch].
        seed: for "random".
        valid: ``valid(batch)`` says which queries count for "entropy" and "confidence": a boolean
            tensor [batch, n], False at padding, or a list of one for each layer. Without it every
            query counts. Padding reaches the other scores through the loss alone.
        per_layer: divide the scores of each layer by their ℓ2 norm, as Michel et al. (2019) do.

    Raises:
        ValueError: the method is unknown, the model is in training mode, there is no batch, or
            the loss is not one finite number for each example, or has no gradient where one is
            needed. "gradient-…" for a layer without W_Q and W_K (a Synthesizer). "entropy",
            "confidence", "…-activations": a layer is not called exactly once for each batch,
            with the examples along axis 0, or does not return what ``AttentionLayer`` says.
            ``valid`` does not fit the queries, leaves none of an example, or leaves out tokens
            that queries it keeps attend to.
    """
    require_choice("method", method, METHODS)
    if valid is not None and not callable(valid):
        raise ValueError(f"valid must be a function of a batch, got {type(valid).__name__}")
    batches = require_batches(model, batches)
    if require_flag("per_layer", per_layer):
        return _per_layer(model, _scores(model, batches, method, loss, seed, valid))
    return _scores(model, batches, method, loss, seed, valid)


def _per_layer(model: nn.Module, scores: Float[Tensor, "L H"]) -> Float[Tensor, "L H"]:
    """Scores over the ℓ2 norm of those of their layer, where heads that are off do not count."""
    left = torch.where(head_gates(model) != 0, scores, 0)
    size = torch.linalg.vector_norm(left, dim=1, keepdim=True)
    return scores / torch.where(size > 0, size, 1)


def _scores(
    model: nn.Module, batches: list[Any], method: str, loss: Loss, seed: int,
    valid: Valid | None,
) -> Float[Tensor, "L H"]:  # fmt: skip
    if method == "random":
        layers = attention_layers(model)
        generator = torch.Generator().manual_seed(require_integer("seed", seed, 0))
        dtype = next(model.parameters()).dtype
        dtype = torch.float32 if dtype.itemsize == 2 else dtype
        return torch.rand(len(layers), layers[0].n_heads, generator=generator, dtype=dtype)
    if method == "gate":
        mixes = all(layer.mix for layer in attention_layers(model))
        gradients = _gate_gradients_of_mixes if mixes else _gate_gradients
        return _mean_over_examples(model, batches, lambda b: gradients(model, b, loss).abs())
    if method == "leave-one-out":
        return _leave_one_out(model, batches, loss)
    if method in ("entropy", "confidence"):
        return _mean_over_examples(model, batches, lambda b: _rows(model, b, loss, method, valid))
    of = "activations" if method.endswith("activations") else "weights"
    norm = "max" if method.endswith("max") else "frobenius"
    return gradient_matrices(model, batches, loss, of, norm).prod(dim=0)


def gradient_matrices(
    model: nn.Module, batches: Iterable[Any], output: Loss,
    of: str = "weights", norm: str = "frobenius",
) -> Float[Tensor, "3 L H"]:  # fmt: skip
    r"""G_Q, G_K, G_V: the mean over examples of the norm of one example's gradient.

    .. math:: (G_Q)_{lh} = \mathbb E_x\Bigl\|\frac{\partial F(x)}{\partial q^{(lh)}}\Bigr\|_F

    Serves the claim ``gradient-score-norm``. Biases do not count as weights.

    Args:
        model, batches: as for ``head_scores``.
        output: F, one number for each example; in the notes, the norm of the model's output.
        of: what q is. "weights": the head's part of W_Q, by ``torch.func``; "activations": its
            queries Q, for layers that are called once and have the examples along axis 0.
        norm: "frobenius", the notes' norm, or "max", the largest absolute entry.

    Raises:
        ValueError: as for ``head_scores``.
    """
    require_choice("of", of, ("weights", "activations"))
    require_choice("norm", norm, ("frobenius", "max"))
    _require_queries(model)
    gradients = _weight_gradients if of == "weights" else _activation_gradients

    def norms(batch: Any) -> Tensor:
        G = gradients(model, batch, output)  # [3][L], each [b, h, _, d_k]
        p = 2 if norm == "frobenius" else torch.inf
        return torch.stack([torch.stack([torch.linalg.vector_norm(g, p, dim=(-2, -1))
                                         for g in row], 1) for row in G], 1)  # fmt: skip

    return _mean_over_examples(model, require_batches(model, batches), norms)


# -- batches and losses ------------------------------------------------------------------------


def require_batches(model: nn.Module, batches: Iterable[Any]) -> list[Any]:
    """The batches as a list, checked, of a model in eval mode."""
    attention_layers(model)
    if model.training:
        raise ValueError("model must be in eval mode, model.eval(): dropout would change scores")
    many = isinstance(batches, Iterable) and not isinstance(batches, Tensor | dict)
    if not (found := list(batches) if many else []):
        raise ValueError(f"batches must be a list of at least one batch, got {batches!r:.80}")
    for batch in found:
        lengths = {len(x) if isinstance(x, Tensor) and x.ndim else 0 for x in tree_leaves(batch)}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError("batches must hold tensors with the examples of a batch along axis 0, "
                             f"at least one; got lengths {sorted(lengths)}")  # fmt: skip
    return found


def _require_queries(model: nn.Module) -> None:
    without = [a.name for a in attention_layers(model) if a.Q is None or a.K is None]
    if without:
        others = [method for method in METHODS if not method.startswith("gradient")]
        raise ValueError(f"model has attention without W_Q and W_K, {without}, and so no gradients "
                         f"by them; methods that score it: {', '.join(others)}")  # fmt: skip


def _size(batch: Any) -> int:
    return len(tree_leaves(batch)[0])


def example_losses(model: nn.Module, batch: Any, loss: Loss) -> Float[Tensor, " b"]:
    """The loss of each example, checked."""
    losses = loss(model, batch)
    size = _size(batch)
    if not isinstance(losses, Tensor) or losses.shape != (size,):
        got = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        raise ValueError(
            f"loss must return one number for each example, shape {(size,)}; got {got}"
        )
    require_finite("loss", losses)
    return losses


def _mean_over_examples(
    model: nn.Module, batches: list[Any], each: Callable[[Any], Tensor]
) -> Tensor:
    """The mean over all examples of what ``each`` gives for those of a batch along axis 0.

    In half precision the sum would lose what the examples have: it is made in float32.
    """
    with _plain_kernels():
        found = (each(batch).detach() for batch in batches)
        sums = [(x.float() if x.itemsize == 2 else x).sum(dim=0) for x in found]
    scores = sum(sums, torch.zeros_like(sums[0])) / sum(_size(batch) for batch in batches)
    require_finite("scores", torch.atleast_1d(scores))  # within vmap no value can be looked at
    return scores


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Torch's fused attention and its fast path for padded encoders have no rules for vmap."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class _Losses(nn.Module):
    """The loss of one example as a module, for functional_call to swap its parameters."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        self.eval()

    def forward(self, example: Any) -> Tensor:
        losses = example_losses(self.model, tree_map(lambda x: x[None], example), self.loss)
        return _require_gradient(losses)[0]


def _require_gradient(losses: Tensor) -> Tensor:
    if not losses.requires_grad:
        raise ValueError("loss must have a gradient: it was computed under no_grad, from detached "
                         "tensors, by operations like argmax, or without the heads")  # fmt: skip
    return losses


# -- the methods -------------------------------------------------------------------------------


def _gate_gradients(model: nn.Module, batch: Any, loss: Loss) -> Float[Tensor, "b L H"]:
    """∂loss/∂ξ at ξ = 1 of each example, by one backward pass through all gates."""
    layers = attention_layers(model)
    names = [parameter_name(model, layer, layer.O) for layer in layers]
    whole = {name: model.get_parameter(name).detach() for name in names}
    losses = _Losses(model, loss)

    def gated(gates: Tensor, example: Any) -> Tensor:
        swapped = {f"model.{name}": W * scale_along(layer, row) for (name, W), layer, row
                   in zip(whole.items(), layers, gates, strict=True)}  # fmt: skip
        found: Tensor = functional_call(losses, swapped, (example,))
        return found

    ones = next(iter(whole.values())).new_ones(len(layers), layers[0].n_heads)
    gradients: Tensor = _of_each_example(gated, ones, batch)
    return gradients


def _gate_gradients_of_mixes(model: nn.Module, batch: Any, loss: Loss) -> Float[Tensor, "b L H"]:
    """The same where every layer has a ``mix``: the heads of each example have their own gates."""
    layers, size = attention_layers(model), _size(batch)
    ones = next(model.parameters()).new_ones(size, len(layers), layers[0].n_heads)
    gates = ones.requires_grad_()
    with torch.enable_grad(), scaled_heads(model, gates):
        losses = _require_gradient(example_losses(model, batch, loss))
        found: Tensor = torch.autograd.grad(losses.sum(), gates, materialize_grads=True)[0]
    return found


def _of_each_example(f: Callable[[Any, Any], Tensor], at: Any, batch: Any) -> Any:
    """The gradients of f(at, example), the examples along axis 0."""
    try:
        return vmap(grad(f), in_dims=(None, 0))(at, batch)
    except RuntimeError:  # control flow that looks at values, or an operation without a rule
        rows = [grad(f)(at, tree_map(lambda x, i=i: x[i], batch)) for i in range(_size(batch))]
        return tree_map(lambda *several: torch.stack(several), *rows)


def _weight_gradients(model: nn.Module, batch: Any, output: Loss) -> list[list[Tensor]]:
    layers = attention_layers(model)
    names = {parameter_name(model, a, block) for a in layers for block in projections(a)}
    whole = {f"model.{name}": model.get_parameter(name).detach() for name in sorted(names)}
    losses = _Losses(model, output)

    def at(parameters: dict[str, Tensor], one: Any) -> Tensor:
        # Layers that share a matrix have a gradient each, that of their own use of it.
        found: Tensor = functional_call(losses, parameters, (one,), tie_weights=False)
        return found

    G = _of_each_example(at, whole, batch)
    found = [[head_matrices(a, block, G[f"model.{parameter_name(model, a, block)}"])
              for block in projections(a)] for a in layers]  # fmt: skip
    return [[row[i] for row in found] for i in range(3)]


def _activation_gradients(model: nn.Module, batch: Any, output: Loss) -> list[list[Tensor]]:
    layers = attention_layers(model)
    # Activations belong to one example each: the gradient of the sum holds those of the examples.
    with torch.enable_grad(), recorded_calls(model, _size(batch)) as recorded:
        losses = example_losses(model, batch, output)
        calls = require_calls(model, recorded)
        dY = torch.autograd.grad(_require_gradient(losses).sum(), [call.output for call in calls],
                                 materialize_grads=True)  # fmt: skip
    with torch.no_grad():
        found = [activation_gradients(model, a, call, dy)
                 for a, call, dy in zip(layers, calls, dY, strict=True)]  # fmt: skip
    return [[g[i] for g in found] for i in range(3)]


@torch.no_grad()
def _rows(
    model: nn.Module, batch: Any, loss: Loss, method: str, valid: Valid | None
) -> Float[Tensor, "b L H"]:
    """The mean over queries of the entropy, or of the largest weight, of each example's rows."""
    with recorded_calls(model, _size(batch)) as recorded:
        example_losses(model, batch, loss)
    calls, layers = require_calls(model, recorded), attention_layers(model)
    rows = [_of_rows(call.weights, method) for call in calls]
    if valid is None:
        return torch.stack([x.mean(dim=-1) for x in rows], dim=1)
    given = valid(batch)
    several = given if isinstance(given, list | tuple) else [given] * len(calls)
    if len(several) != len(calls):
        raise ValueError(f"valid must return one tensor, or one for each of {len(calls)} layers; "
                         f"it returned {len(several)}")  # fmt: skip
    means = []
    for layer, call, x, counts in zip(layers, calls, rows, several, strict=True):
        _require_valid(layer, call, counts)
        kept = torch.where(counts[:, None], x, 0)
        means.append(kept.sum(-1) / counts.sum(-1, keepdim=True))
    return torch.stack(means, dim=1)


def _of_rows(A: Tensor, method: str) -> Tensor:
    (exact,), kind = raised(A)
    return entropy(exact, precision=kind) if method == "entropy" else exact.amax(dim=-1)


def _require_valid(layer: AttentionLayer, call: Call, counts: Any) -> None:
    """A boolean for each query; some of every example count, and these see no padding."""
    shape = (call.weights.shape[0], call.weights.shape[2])
    if not isinstance(counts, Tensor) or counts.dtype != torch.bool or counts.shape != shape:
        got = (f"{tuple(counts.shape)} {counts.dtype}" if isinstance(counts, Tensor)
               else type(counts).__name__)  # fmt: skip
        raise ValueError(f"valid must return a boolean tensor [b, n] = {shape} for {layer.name!r}, "
                         f"got {got}; a list has one for each layer")  # fmt: skip
    if not counts.any(dim=-1).all():
        empty = int(counts.any(dim=-1).logical_not().nonzero()[0])
        raise ValueError(f"valid must leave a query of every example, example {empty} has none")
    if call.to_itself and call.weights.shape[3] == shape[1]:
        seen = call.weights.amax(1)[counts[:, :, None] & ~counts[:, None]]
        if seen.numel() and seen.max() > 0:
            raise ValueError(f"model must not attend to what valid leaves out: {layer.name!r} "
                             f"gives it {seen.max():.3g}; mask the padding")  # fmt: skip


@torch.no_grad()
def _leave_one_out(model: nn.Module, batches: list[Any], loss: Loss) -> Float[Tensor, "L H"]:
    def mean_loss(gates: Tensor) -> Tensor:
        with gate_heads(model, gates):
            return _mean_over_examples(model, batches, lambda b: example_losses(model, b, loss))

    left = head_gates(model) != 0
    keep = torch.ones_like(left)
    whole = mean_loss(keep)
    scores = whole.new_zeros(left.shape)
    for index in left.nonzero().tolist():
        one_less = keep.clone()
        one_less[tuple(index)] = False
        scores[tuple(index)] = mean_loss(one_less) - whole
    return scores
