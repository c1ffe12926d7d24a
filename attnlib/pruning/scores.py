"""One number for each head: gradients, gates, entropies, or what its removal costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves, tree_map

from attnlib._inputs import require_choice, require_finite, require_integer
from attnlib.entropy import entropy
from attnlib.pruning.calls import activation_gradients, recorded_calls, require_calls
from attnlib.pruning.heads import (
    attention_layers,
    gate_heads,
    head_matrices,
    parameter_name,
    projections,
    scale_along,
)

__all__ = ["METHODS", "gradient_matrices", "head_scores"]

METHODS = ("gradient-product", "gradient-product-activations", "gradient-product-max", "gate",
           "entropy", "confidence", "random", "leave-one-out")  # fmt: skip
Loss = Callable[[nn.Module, Any], Tensor]  # one number for each example of a batch


def head_scores(
    model: nn.Module, batches: Iterable[Any], method: str, loss: Loss, seed: int = 0
) -> Float[Tensor, "L H"]:
    r"""A score for every head; all but "entropy" are meant to be low for heads that can go.

    .. math:: \text{gate: } \mathbb E_x\Bigl|\frac{\partial\,\text{loss}(x)}{\partial\xi_{lh}}
              \Bigr|, \qquad \text{gradient-product: } G_Q \odot G_K \odot G_V

    Serves the claims ``gradient-score-shape`` and ``gradient-score-meaning``.

    - "gate": Michel et al. (2019), the absolute value before the mean. One backward pass for
      each batch gives all L×H of them.
    - "gradient-product": the product of the ``gradient_matrices`` of the loss, with respect to
      weights; "-activations" and "-max" as there. The notes' F is the norm of the model's output:
      to have their score, pass that as the loss.
    - "entropy", "confidence" (Voita et al. 2019): mean entropy in nats, and mean largest weight,
      of the rows of attention.
    - "leave-one-out": mean loss without the head, minus mean loss. L·H + 1 forward passes.
    - "random": uniform draws, the same for the same seed.

    Args:
        model: a module in eval mode; where its heads are, ``attention_layers`` says.
        batches: a list of batches, or an iterator, read once. A batch is a tensor, or a tuple,
            list or dict of tensors, with the examples along axis 0, and holds no other tensor.
        method: one of ``METHODS``.
        loss: ``loss(model, batch)`` returns one number for each example, shape [batch].
        seed: for "random".

    Raises:
        ValueError: the method is unknown, the model is in training mode, there is no batch, or
            the loss is not one finite number for each example, or has no gradient where one is
            needed. "gradient-…" for a layer without W_Q and W_K (a Synthesizer). "entropy",
            "confidence", "…-activations": a layer is not called exactly once for each batch,
            with the examples along axis 0, or does not return what ``AttentionLayer`` says.
    """
    require_choice("method", method, METHODS)
    batches = require_batches(model, batches)
    if method == "random":
        layers = attention_layers(model)
        generator = torch.Generator().manual_seed(require_integer("seed", seed, 0))
        dtype = next(model.parameters()).dtype
        return torch.rand(len(layers), layers[0].n_heads, generator=generator, dtype=dtype)
    if method == "gate":
        return _mean_over_examples(model, batches, lambda b: _gate_gradients(model, b, loss).abs())
    if method == "leave-one-out":
        return _leave_one_out(model, batches, loss)
    if method in ("entropy", "confidence"):
        return _mean_over_examples(model, batches, lambda b: _rows(model, b, loss, method))
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
    """The mean over all examples of what ``each`` gives for those of a batch along axis 0."""
    with _plain_kernels():
        sums = [each(batch).detach().sum(dim=0) for batch in batches]
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
    layers, parameters = attention_layers(model), dict(model.named_parameters())
    whole = {parameter_name(model, a, a.O): parameters[parameter_name(model, a, a.O)].detach()
             for a in layers}  # fmt: skip
    losses = _Losses(model, loss)

    def gated(gates: Tensor, example: Any) -> Tensor:
        swapped = {f"model.{name}": W * scale_along(layer, row) for (name, W), layer, row
                   in zip(whole.items(), layers, gates, strict=True)}  # fmt: skip
        found: Tensor = functional_call(losses, swapped, (example,))
        return found

    ones = next(iter(whole.values())).new_ones(len(layers), layers[0].n_heads)
    gradients: Tensor = vmap(grad(gated), in_dims=(None, 0))(ones, batch)
    return gradients


def _weight_gradients(model: nn.Module, batch: Any, output: Loss) -> list[list[Tensor]]:
    layers, parameters = attention_layers(model), dict(model.named_parameters())
    names = {f"model.{parameter_name(model, a, block)}" for a in layers for block in projections(a)}
    whole = {name: parameters[name.removeprefix("model.")].detach() for name in sorted(names)}
    losses = _Losses(model, output)
    G = vmap(grad(lambda p, example: functional_call(losses, p, (example,))),
             in_dims=(None, 0))(whole, batch)  # fmt: skip
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
def _rows(model: nn.Module, batch: Any, loss: Loss, method: str) -> Float[Tensor, "b L H"]:
    """The mean over queries of the entropy, or of the largest weight, of each example's rows."""
    with recorded_calls(model, _size(batch)) as recorded:
        example_losses(model, batch, loss)
    calls = require_calls(model, recorded)
    f = entropy if method == "entropy" else lambda A: A.amax(dim=-1)
    return torch.stack([f(call.weights).mean(dim=-1) for call in calls], dim=1)


@torch.no_grad()
def _leave_one_out(model: nn.Module, batches: list[Any], loss: Loss) -> Float[Tensor, "L H"]:
    def mean_loss(gates: Tensor) -> Tensor:
        with gate_heads(model, gates):
            return _mean_over_examples(model, batches, lambda b: example_losses(model, b, loss))

    layers = attention_layers(model)
    keep = next(model.parameters()).new_ones(len(layers), layers[0].n_heads)
    scores = torch.zeros_like(keep)
    for index in torch.cartesian_prod(*map(torch.arange, keep.shape)).tolist():
        one_less = keep.clone()
        one_less[tuple(index)] = 0
        scores[tuple(index)] = mean_loss(one_less)
    return scores - mean_loss(keep)
