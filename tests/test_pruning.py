"""Scores and gates of heads against slow loops, finite differences, and heads really deleted."""

# ruff: noqa: E741 (head h of layer l)
import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import each_once, unchecked
from scipy.special import entr
from torch import nn

from attnlib.knowledge.gpt import GPT, VARIANTS, turned_heads
from attnlib.pruning import (
    METHODS,
    AttentionLayer,
    Block,
    Pruning,
    attention_layers,
    gate_heads,
    gradient_matrices,
    greedy_prune,
    head_scores,
    rescale_heads,
)
from attnlib.pruning.task import Reader, accuracy, draw, fit, losses, norms, train
from attnlib.transformer import MultiHeadAttention, TransformerLayer

L, H, D_K, N, M, VOCAB = 2, 3, 2, 4, 5, 11
D = H * D_K


pytestmark = pytest.mark.usefixtures("double_by_default")


def close(value, expected, atol=1e-11):
    # Losses and their gradients are below 100 here, made by a few hundred roundings.
    torch.testing.assert_close(value, expected, atol=atol, rtol=0)


# -- models of several makes, and what they compute, by loops over heads -----------------------


class Own(nn.Module):
    """Layers of the project, with a decoder's cross attention if asked for."""

    def __init__(self, cross=False):
        super().__init__()
        n = 1 if cross else L  # with a cross attention, one layer has two attentions
        self.layers = nn.ModuleList(TransformerLayer(D, H, 7, cross=cross) for _ in range(n))
        self.memory = nn.Parameter(torch.randn(M, D)) if cross else None

    def forward(self, x):
        for layer in self.layers:
            memory = None if self.memory is None else self.memory.expand(len(x), -1, -1)
            x, _ = layer(x, memory)
        return x


class Wide(nn.Module):
    """Torch's attention to tokens of another width: three matrices instead of one."""

    def __init__(self):
        super().__init__()
        self.attentions = nn.ModuleList(
            nn.MultiheadAttention(D, H, kdim=5, vdim=3, batch_first=True) for _ in range(L)
        )
        self.tokens = nn.ParameterList([torch.randn(M, 5), torch.randn(M, 3)])

    def forward(self, x):
        for attend in self.attentions:
            k, v = (t.expand(len(x), -1, -1) for t in self.tokens)
            x = x + attend(x, k, v, need_weights=False)[0]
        return x


class Named(nn.Module):
    """An attention that nobody knows, with the heads in an order of its own: the protocol."""

    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(torch.randn(2, D, D))
        self.stack = nn.ModuleList(self.Part() for _ in range(L))

    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.VQ = nn.Parameter(torch.randn(D, 2 * D))
            self.K = nn.Parameter(torch.randn(D, D))
            self.mix = nn.Linear(D, D)

        def forward(self, tokens):
            def heads(x):
                return x.unflatten(-1, (H, D_K)).transpose(-3, -2)

            V, Q = ((tokens @ W) for W in self.VQ.chunk(2, -1))
            A = torch.softmax(heads(Q) @ heads(tokens @ self.K.mT).mT / math.sqrt(D_K), -1)
            return self.mix((A @ heads(V)).transpose(-3, -2).flatten(-2)), A

    def attention_layers(self):
        return [AttentionLayer(f"stack.{i}", H, D_K, Block("VQ", 1, D), Block("K", 0),
                               Block("VQ", 1), Block("mix.weight", 1), ("tokens",) * 3)
                for i in range(L)]  # fmt: skip

    def forward(self, x):
        for part in self.stack:
            x = x + part(tokens=x)[0]
        return x


def encoder(**options):
    layer = nn.TransformerEncoderLayer(D, H, 7, dropout=0.1, batch_first=True, **options)
    return nn.TransformerEncoder(layer, L, enable_nested_tensor=False)


MODELS = {
    "own": Own,
    "own-cross": lambda: Own(cross=True),
    "torch": encoder,
    "torch-pre-norm-no-bias": lambda: encoder(norm_first=True, bias=False),
    "torch-other-widths": Wide,
    "protocol": Named,
    **{f"gpt-{v}": lambda v=v: GPT(VOCAB, N + 1, L, H, D, v) for v in VARIANTS},
}
# A synthesizer has no queries and no keys, so no gradients by them either.
SCORED = [(name, method) for name in MODELS for method in METHODS
          if name != "gpt-synthesizer" or not method.startswith("gradient")]  # fmt: skip
models = pytest.mark.parametrize("name", MODELS)
dotted = pytest.mark.parametrize("name", [name for name in MODELS if name != "gpt-synthesizer"])
gpts = pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("gpt")])
scored = pytest.mark.parametrize(("name", "method"), SCORED)
# Half the time of a score; test_scores_keep_the_dtype makes every score of every model with them.
fast = pytest.mark.usefixtures("no_shape_checks")


def make(name, seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    model = MODELS[name]()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.7)  # biases too, weights of attention far from uniform
    return model.to(dtype).eval()


def data(sizes=(3, 2), dtype=torch.float64):
    floats, whole = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    return [{"x": torch.randn(b, N, D, generator=floats).to(dtype),
             "target": torch.randn(b, D, generator=floats).to(dtype),
             "idx": torch.randint(VOCAB, (b, N), generator=whole)} for b in sizes]  # fmt: skip


def one_at_a_time(batches):
    """Each example as a batch of its own."""
    for batch in batches:
        for i in range(len(batch["x"])):
            yield {key: x[i : i + 1] for key, x in batch.items()}


def output(model, batch):
    return model(batch["idx" if isinstance(model, GPT) else "x"])


def loss(model, batch):
    y = output(model, batch)
    if isinstance(model, GPT):
        y, following = y[:, :-1].transpose(1, 2), batch["idx"][:, 1:]
        return F.cross_entropy(y, following, reduction="none").mean(-1)
    return (y[:, -1] - batch["target"]).square().mean(-1)


def per_example(model, batches):
    with torch.no_grad():
        return torch.cat([loss(model, batch) for batch in batches])


def without(index, value=0.0):
    mask = torch.ones(L, H)
    mask[index] = value
    return mask


HEADS = [(l, h) for l in range(L) for h in range(H)]


def attend_by_loop(module, query, key, value, keep, seen=None):
    """One attention layer, head by head, of the heads kept only: the others' parameters are cut
    out of every matrix. ``seen`` receives Q, K, V and A of each head."""
    if isinstance(module, MultiHeadAttention):
        W = [module.W_Q.T, module.W_K.T, module.W_V.T, module.W_O.T]
        b = [None] * 4
    else:
        W = [module.q_proj_weight, module.k_proj_weight, module.v_proj_weight]
        if module.in_proj_weight is not None:
            W = list(module.in_proj_weight.chunk(3))
        W.append(module.out_proj.weight)
        b = [None] * 3 if module.in_proj_bias is None else list(module.in_proj_bias.chunk(3))
        b.append(module.out_proj.bias)
    rows = [i for h in keep for i in range(h * D_K, (h + 1) * D_K)]
    Q, K, V = (F.linear(x, w[rows], None if c is None else c[rows])
               for x, w, c in zip((query, key, value), W, b, strict=False))  # fmt: skip
    found = []
    for i in range(len(keep)):
        own = slice(i * D_K, (i + 1) * D_K)
        q, k, v = (t[..., own] for t in (Q, K, V))
        if seen is not None:
            q, k, v = (t.clone().requires_grad_() if not t.requires_grad else t for t in (q, k, v))
        S = torch.einsum("bnd,bmd->bnm", q, k) / math.sqrt(D_K)
        A = S.exp() / S.exp().sum(-1, keepdim=True)
        found.append(A @ v)
        if seen is not None:
            seen.append((q, k, v, A))
    return F.linear(torch.cat(found, -1), W[3][:, rows], b[3])


def run_by_loop(model, x, keep, seen=None):
    """The models "own" and "torch" by hand; keep lists the heads of each layer."""
    for layer, heads in zip(model.layers, keep, strict=True):
        mine = isinstance(layer, TransformerLayer)
        attend = layer.attend if mine else layer.self_attn
        norms_ = list(layer.norms) if mine else [layer.norm1, layer.norm2]
        ffn = layer.ffn if mine else lambda t, p=layer: p.linear2(torch.relu(p.linear1(t)))
        first = layer.norm_first
        y = norms_[0](x) if first else x
        x = x + attend_by_loop(attend, y, y, y, heads, seen)
        x = x if first else norms_[0](x)
        x = x + ffn(norms_[1](x) if first else x)
        x = x if first else norms_[1](x)
    return x


LOOPED = ["own", "torch", "torch-pre-norm-no-bias"]
looped = pytest.mark.parametrize("name", LOOPED)


# -- where the heads are, and gates ------------------------------------------------------------


@models
def test_layers_are_found_in_order(name):
    model = make(name)
    layers = attention_layers(model)
    assert [(a.n_heads, a.d_k) for a in layers] == [(H, D_K)] * L
    names = [n for n, _ in model.named_modules()]
    assert sorted(names.index(a.name) for a in layers) == [names.index(a.name) for a in layers]


@looped
def test_the_loop_is_the_model(name):
    model, x = make(name), data()[0]["x"]
    close(run_by_loop(model, x, [range(H)] * L), model(x))


@looped
@pytest.mark.parametrize("index", HEADS)
def test_a_gate_of_0_deletes_the_parameters_of_the_head(name, index):
    model, x = make(name), data()[0]["x"]
    keep = [[h for h in range(H) if (l, h) != index] for l in range(L)]
    with gate_heads(model, without(index).bool()):
        close(model(x), run_by_loop(model, x, keep))
        with torch.no_grad():  # torch's fused path reads the same matrix
            close(model(x), run_by_loop(model, x, keep))


@models
def test_gates_come_off_without_a_trace(name):
    model, batch = make(name), data()[0]
    before, kinds = output(model, batch), [type(m) for m in model.modules()]
    names, state = [n for n, _ in model.named_parameters()], copy.deepcopy(model.state_dict())
    ids = [id(p) for p in model.parameters()]

    def fail_inside():
        with gate_heads(model, without((0, 1), 0.5)) as inside:
            assert inside is model
            assert not torch.equal(output(model, batch), before)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert [type(m) for m in model.modules()] == kinds
    assert [n for n, _ in model.named_parameters()] == names
    assert [id(p) for p in model.parameters()] == ids
    assert torch.equal(output(model, batch), before)
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key])


@models
def test_gates_nest_and_multiply(name):
    model, batch = make(name), data()[0]
    with gate_heads(model, without((0, 1), 0.5)):
        once = output(model, batch)
        with gate_heads(model, without((0, 1), -3.0) * without((1, 2), 0.0)):
            both = output(model, batch)
        close(output(model, batch), once, atol=0)
    with gate_heads(model, without((0, 1), -1.5) * without((1, 2), 0.0)):
        close(both, output(model, batch))


@models
def test_training_leaves_removed_heads_and_keeps_what_the_others_learn(name):
    model, batch = make(name), data()[0]
    a = attention_layers(model)[0]
    owner = model.get_submodule(a.name)
    W = owner.get_parameter(a.O.parameter)
    before = W.detach().clone()
    with gate_heads(model, without((0, 1)).bool()):
        adam = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(3):
            adam.zero_grad()
            loss(model, batch).mean().backward()
            adam.step()
        inside = output(model, batch)
    after = owner.get_parameter(a.O.parameter)
    assert after is W
    rows = torch.arange(D) // D_K == 1
    changed = (after != before).all(dim=1 - a.O.axis)
    assert torch.equal(changed, ~rows)
    assert not torch.allclose(output(model, batch), inside)  # the head is back
    with gate_heads(model, without((0, 1)).bool()):
        close(output(model, batch), inside, atol=0)


# -- scores ------------------------------------------------------------------------------------


@fast
@models
def test_gate_scores_are_finite_differences_of_each_example(name):
    model, batches = make(name), data()
    step = 1e-5  # of central differences: 1e-10 times a third derivative, and eps/step = 2e-11
    expected = torch.zeros(L, H)
    for index in HEADS:
        ends = []
        for gate in (1 + step, 1 - step):
            with gate_heads(model, without(index, gate)):
                ends.append(per_example(model, batches))
        expected[index] = ((ends[0] - ends[1]) / (2 * step)).abs().mean()
    close(head_scores(model, batches, "gate", loss), expected, atol=1e-7)
    assert expected.min() > 1e-3


@models
def test_gate_scores_of_a_gated_model(name):
    model, batches = make(name), data()
    mask = without((1, 0))
    with gate_heads(model, mask):
        value = head_scores(model, batches, "gate", loss)
        ends = []
        for gate in (1 + 1e-5, 1 - 1e-5):
            with gate_heads(model, without((0, 2), gate)):
                ends.append(per_example(model, batches))
    assert value[1, 0] == 0
    close(value[0, 2], ((ends[0] - ends[1]) / 2e-5).abs().mean(), atol=1e-7)


@fast
@looped
def test_leave_one_out_is_deletion(name):
    model, batches = make(name), data()
    expected = torch.zeros(L, H)
    for index in HEADS:
        keep = [[h for h in range(H) if (l, h) != index] for l in range(L)]
        cut = [loss(lambda x, keep=keep: run_by_loop(model, x, keep), b) for b in batches]
        expected[index] = (torch.cat(cut) - per_example(model, batches)).mean()
    close(head_scores(model, batches, "leave-one-out", loss), expected.detach())
    assert expected.abs().min() > 1e-6


@dotted
@pytest.mark.parametrize("norm", ["frobenius", "max"])
def test_gradient_matrices_of_weights_by_one_backward_pass_per_example(name, norm):
    model, batches = make(name), data()
    expected = torch.zeros(3, L, H)
    for one in one_at_a_time(batches):
        model.zero_grad()
        loss(model, one).sum().backward()
        for l, a in enumerate(attention_layers(model)):
            for k, block in enumerate((a.Q, a.K, a.V)):
                G = model.get_submodule(a.name).get_parameter(block.parameter).grad
                for h in range(H):
                    own = slice(block.start + h * D_K, block.start + (h + 1) * D_K)
                    g = G[own] if block.axis == 0 else G[:, own]
                    size = g.square().sum().sqrt() if norm == "frobenius" else g.abs().max()
                    expected[k, l, h] += size / 5
    value = gradient_matrices(model, batches, loss, norm=norm)
    close(value, expected)
    method = "gradient-product" + ("-max" if norm == "max" else "")
    product = head_scores(model, batches, method, loss)
    close(product, expected[0] * expected[1] * expected[2])
    assert (value > 1e-4).all()


@looped
@pytest.mark.parametrize("norm", ["frobenius", "max"])
def test_gradient_matrices_of_activations_by_autograd_through_the_loop(name, norm):
    model, batches = make(name), data()
    expected = torch.zeros(3, L, H)
    for one in one_at_a_time(batches):
        seen = []
        y = run_by_loop(model, one["x"].requires_grad_(), [range(H)] * L, seen)
        total = loss(lambda _, y=y: y, one).sum()
        for (l, h), parts in zip(HEADS, seen, strict=True):
            for k, g in enumerate(torch.autograd.grad(total, parts[:3], retain_graph=True)):
                size = g.norm() if norm == "frobenius" else g.abs().max()
                expected[k, l, h] += size / 5
    value = gradient_matrices(model, batches, loss, of="activations", norm=norm)
    close(value, expected)
    if norm == "frobenius":
        product = head_scores(model, batches, "gradient-product-activations", loss)
        close(product, expected.prod(0))


@dotted
def test_weights_from_activations(name):
    """∂F/∂W = Xᵀ∂F/∂Q for one example: the two kinds of gradient matrices bound each other."""
    model, batches = make(name), data((1,))
    weights = gradient_matrices(model, batches, loss)
    activations = gradient_matrices(model, batches, loss, of="activations")
    assert (activations > 0).all()
    seen = {}
    hooks = [
        model.get_submodule(a.name).register_forward_pre_hook(
            lambda m, args, kwargs, l=l: seen.update({l: (*args, *kwargs.values())[:3]}),
            with_kwargs=True,
        )
        for l, a in enumerate(attention_layers(model))
    ]
    loss(model, batches[0])
    for hook in hooks:
        hook.remove()
    for l in range(L):
        size = max(
            torch.linalg.matrix_norm(t, 2).max() for t in seen[l] if isinstance(t, torch.Tensor)
        )
        assert (weights[:, l] <= size * activations[:, l] * (1 + 1e-12)).all()


@looped
def test_activations_of_a_gated_model(name):
    model, batches = make(name), data()
    with gate_heads(model, without((1, 1)) * without((0, 0), 0.5)):
        value = gradient_matrices(model, batches, loss, of="activations")
        # W_O halved by hand gives the same.
    assert (value[:, 1, 1] == 0).all()
    other = copy.deepcopy(model)
    for (l, h), gate in (((1, 1), 0.0), ((0, 0), 0.5)):
        a = attention_layers(other)[l]
        W = other.get_submodule(a.name).get_parameter(a.O.parameter)
        with torch.no_grad():
            W.narrow(a.O.axis, h * D_K, D_K).mul_(gate)
    close(value, gradient_matrices(other, batches, loss, of="activations"))


@looped
@pytest.mark.parametrize("method", ["entropy", "confidence"])
def test_entropy_and_confidence_of_the_rows(name, method):
    model, batches = make(name), data()
    expected = torch.zeros(L, H)
    for batch in batches:
        seen = []
        with torch.no_grad():
            run_by_loop(model, batch["x"], [range(H)] * L, seen)
        for index, (*_, A) in zip(HEADS, seen, strict=True):
            rows = A.numpy()
            of_rows = entr(rows).sum(-1) if method == "entropy" else rows.max(-1)
            expected[index] += of_rows.mean(-1).sum() / 5
    close(head_scores(model, batches, method, loss), expected)


@models
@pytest.mark.parametrize("method", ["entropy", "confidence"])
def test_rows_of_every_model_are_seen(name, method):
    scores = head_scores(make(name), data(), method, loss)
    assert ((scores > 0) & (scores < (math.log(M) if method == "entropy" else 1))).all()


def test_random_scores_depend_on_the_seed_alone():
    first = head_scores(make("own"), data(), "random", loss)
    assert torch.equal(first, head_scores(make("torch", 3), data((1,)), "random", loss))
    assert not torch.equal(first, head_scores(make("own"), data(), "random", loss, seed=1))
    assert ((first >= 0) & (first < 1)).all()
    assert len(first.unique()) == L * H


@scored
def test_scores_keep_the_dtype_and_leave_the_model_alone(name, method):
    model = make(name, dtype=torch.float32)
    state = copy.deepcopy(model.state_dict())
    fast = torch.backends.mha.get_fastpath_enabled()
    scores = head_scores(model, data(dtype=torch.float32), method, loss)
    assert scores.dtype == torch.float32
    assert scores.shape == (L, H)
    assert not scores.requires_grad
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    if method != "random":  # single precision: half the digits of sums of a few hundred terms
        with unchecked():
            exact = head_scores(make(name), data(), method, loss)
        torch.testing.assert_close(scores.double(), exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "calls"),
    [("gate", 1), ("gradient-product", 1), ("entropy", 1), ("leave-one-out", L * H + 1)],
)
@pytest.mark.parametrize("name", ["own", "torch"])
def test_passes_through_the_model_for_each_batch(name, method, calls):
    made = []

    def counted(model, batch):
        made.append(1)
        return loss(model, batch)

    head_scores(make(name), data(), method, counted)
    assert len(made) == calls * 2


def test_tuples_and_bare_tensors_are_batches():
    model, batches = make("own"), data()
    expected = head_scores(model, batches, "gate", loss)
    pairs = [(b["x"], [b["target"]]) for b in batches]
    close(head_scores(model, pairs, "gate", lambda m, b: loss(m, {"x": b[0], "target": b[1][0]})),
          expected)  # fmt: skip
    bare = [b["x"] for b in batches]
    value = head_scores(model, bare, "gate", lambda m, x: m(x)[:, 0, 0])
    assert (value > 0).all()


# -- identities, and what a change of basis does -----------------------------------------------


@dotted
def test_gates_by_euler_identities(name):
    """∂F/∂ξ = ⟨W_O, ∂W_O⟩ always, = ⟨W_V, ∂W_V⟩ + ⟨b_V, ∂b_V⟩; with Q and K likewise for S."""
    model, batch = make(name), data((1,))
    gate = head_scores(model, batch, "gate", loss)
    loss(model, batch[0]).sum().backward()
    for l, a in enumerate(attention_layers(model)):
        module = model.get_submodule(a.name)

        def product(block, h, a=a, module=module):
            p = module.get_parameter(block.parameter)
            own = slice(block.start + h * D_K, block.start + (h + 1) * D_K)
            pick = own if block.axis == 0 else (slice(None), own)
            total = (p * p.grad)[pick].sum()
            if block.bias:
                b = module.get_parameter(block.bias[0])
                own = slice(block.bias[1] + h * D_K, block.bias[1] + (h + 1) * D_K)
                total = total + (b * b.grad)[own].sum()
            return total.detach()

        for h in range(H):
            close(product(a.O, h).abs(), gate[l, h])
            close(product(a.V, h).abs(), gate[l, h])
            close(product(a.Q, h), product(a.K, h))
        if a.K.bias:
            close(module.in_proj_bias.grad[D : 2 * D], torch.zeros(D))


@fast
@models
def test_rescaling_v_and_o_moves_the_gradient_score_only(name):
    model, batches = make(name), data()
    scaled = copy.deepcopy(model)
    factors = torch.tensor([[0.25, 2.0, 1.0], [3.0, 0.5, 7.0]])
    rescale_heads(scaled, factors)
    close(output(scaled, batches[0]), output(model, batches[0]))
    for method in (method for of, method in SCORED if of == name):
        before, after = (head_scores(m, batches, method, loss) for m in (model, scaled))
        expected = before / factors if method.startswith("gradient") else before
        torch.testing.assert_close(after, expected, rtol=1e-9, atol=1e-12)


@fast
def test_a_change_of_basis_inside_a_head():
    """W_V ← W_V M, W_O ← M⁻¹W_O and W_Q ← W_Q R, W_K ← W_K R⁻ᵀ: another product of gradients."""
    model, batches = make("own"), data()
    other = copy.deepcopy(model)
    Mx, R = (torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.tensor([[2.0, 1.0], [0.0, 0.5]]))
    with torch.no_grad():
        attend, own = other.layers[1].attend, slice(D_K, 2 * D_K)
        for W, B in ((attend.W_V, Mx), (attend.W_Q, R), (attend.W_K, R.inverse().T)):
            W[:, own] = W[:, own] @ B
        attend.W_O[own] = Mx.inverse() @ attend.W_O[own]
    close(other(batches[0]["x"]), model(batches[0]["x"]))
    for method in METHODS:
        before, after = (head_scores(m, batches, method, loss) for m in (model, other))
        moved = ~torch.isclose(before, after, rtol=1e-9, atol=1e-12)
        assert moved.nonzero().tolist() == ([[1, 1]] if method.startswith("gradient") else [])


# -- pruning -----------------------------------------------------------------------------------


@fast
@each_once("method, name, once, highest_first", METHODS, ["own", "torch", "gpt-rotary"],
           [False, True], [False, False, True, True])  # fmt: skip
def test_the_order_by_hand(method, name, once, highest_first):
    model, batches = make(name), data()
    mask, order, values, first = torch.ones(L, H), [], [], None
    for _ in range(4):
        with gate_heads(model, mask):
            scores = head_scores(model, batches, method, loss, 5)
        first = scores if first is None else first
        used = first if once else scores
        left = [index for index in HEADS if mask[index]]
        pick = max if highest_first else min
        index = pick(left, key=lambda i, used=used: used[i])
        mask[index] = 0
        order.append(index)
        with gate_heads(model, mask):
            values.append(per_example(model, batches).mean().item())
    found = greedy_prune(
        model, batches, method, loss, 4, lambda m: per_example(m, batches).mean(),
        once=once, highest_first=highest_first, seed=5, progress=False,
    )  # fmt: skip
    assert isinstance(found, Pruning)
    assert found.order == order
    assert found.values == values
    assert all(type(v) is float for v in found.values)
    close(found.scores[0], first, atol=0)
    assert len(found.scores) == 4
    if once:
        assert all(torch.equal(s, first) for s in found.scores)


def test_all_heads_can_go_and_come_back():
    model, batches = make("torch"), data()
    before = model(batches[0]["x"])
    found = greedy_prune(model, batches, "gate", loss, L * H, lambda m: 0, progress=False)
    assert sorted(found.order) == HEADS
    assert torch.equal(model(batches[0]["x"]), before)


def test_scores_are_made_anew_and_the_lowest_goes_unless_asked_otherwise():
    run = [make("gpt-vanilla"), data(), "leave-one-out", loss, 3, lambda m: 0]
    found = greedy_prune(*run, progress=False)
    asked = greedy_prune(*run, once=False, highest_first=False, progress=False)
    assert found.order == asked.order
    assert found.order[0] == divmod(int(found.scores[0].argmin()), H)
    assert not torch.equal(found.scores[0], found.scores[1])


def test_equal_scores_go_in_order():
    model = make("own")
    with torch.no_grad():
        for layer in model.layers:
            layer.attend.W_V.zero_()
    found = greedy_prune(model, data(), "gate", loss, 3, lambda m: 0, progress=False)
    assert found.order == [(0, 0), (0, 1), (0, 2)]


def test_tuning_happens_after_each_removal_with_the_head_gone():
    model, batches = make("own"), data()
    W, x = model.layers[0].attend.W_O.detach().clone(), batches[0]["x"]
    outputs = []

    def tune(gated):
        outputs.append(gated(x).detach())
        with torch.no_grad():
            gated.layers[0].ffn[0].bias.add_(1.0)

    def evaluate(gated):
        assert not torch.equal(gated(x), outputs[-1])
        return len(outputs)

    found = greedy_prune(model, batches, "gate", loss, 2, evaluate, tune=tune, progress=False)
    assert found.values == [1, 2]
    close(model.layers[0].attend.W_O, nn.Parameter(W), atol=0)
    mask = torch.ones(L, H)
    mask[found.order[0]] = 0
    other = make("own")
    with gate_heads(other, mask):
        close(other(x), outputs[0])


def test_progress_is_shown_on_stderr_if_wanted(capsys):
    run = [make("own"), data(), "random", loss, 2, lambda m: 0]
    greedy_prune(*run, progress=False)
    assert capsys.readouterr() == ("", "")
    greedy_prune(*run)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "pruning by random" in shown.err
    assert "2/2" in shown.err


# -- the book's own GPT ------------------------------------------------------------------------


def cut(model, head):
    """A copy without a head: its columns of W_V are 0, and so are its outputs."""
    model, (l, h) = copy.deepcopy(model), head
    attend = model.blocks[l].attend
    W = attend.V if model.attention == "synthesizer" else attend.W_V
    with torch.no_grad():
        W[:, h * D_K : (h + 1) * D_K] = 0
    return model


@fast
@gpts
def test_leave_one_out_of_a_gpt_zeroes_columns_by_hand(name):
    model, batches = make(name), data()
    whole = per_example(model, batches).mean()
    expected = torch.tensor([per_example(cut(model, i), batches).mean() - whole for i in HEADS])
    close(head_scores(model, batches, "leave-one-out", loss), expected.view(L, H))
    assert expected.abs().min() > 1e-6
    for index in HEADS:
        with gate_heads(model, without(index).bool()):
            close(output(model, batches[0]), output(cut(model, index), batches[0]))


@gpts
def test_rows_of_a_gpt_are_its_weights(name):
    model, batches = make(name), data()
    with torch.no_grad():
        A = torch.cat([torch.stack(model.weights(b["idx"]), 1) for b in batches])  # [b, L, H, n, n]
    expected = torch.tensor(entr(A.numpy()).sum(-1)).mean((0, -1))
    close(head_scores(model, batches, "entropy", loss), expected)
    close(head_scores(model, batches, "confidence", loss), A.amax(-1).mean((0, -1)))


@pytest.mark.parametrize("variant", ["vanilla", "rotary"])
def test_gradients_by_activations_of_a_gpt_are_those_before_the_hook(variant):
    model, batches = make(f"gpt-{variant}"), data()
    seen = []

    def watched(Q, K, V):  # what was projected, before it is rotated
        for t in (Q, K, V):
            t.retain_grad()
        seen.append((Q, K, V))
        return turned_heads(Q, K, V) if variant == "rotary" else (Q, K, V)

    watching = copy.deepcopy(model)
    for block in watching.blocks:
        block.attend.process_heads = watched
    G = torch.zeros(2, 3, L, H)  # Frobenius norms by activations, and largest entries
    for one in one_at_a_time(batches):
        seen.clear()
        watching.zero_grad()
        loss(watching, one).sum().backward()
        for l, heads in enumerate(seen):
            for k, head in enumerate(heads):
                G[0, k, l] += head.grad[0].square().sum((1, 2)).sqrt() / 5
                G[1, k, l] += head.grad[0].abs().amax((1, 2)) / 5
    close(gradient_matrices(model, batches, loss, "activations"), G[0])
    close(gradient_matrices(model, batches, loss, "activations", "max"), G[1])
    product = head_scores(model, batches, "gradient-product-activations", loss)
    close(product, G[0].prod(0))
    assert G.min() > 1e-5


@pytest.mark.parametrize("method", [m for m in METHODS if m.startswith("gradient")])
def test_a_synthesizer_has_no_queries_and_the_error_says_what_works(method):
    model = make("gpt-synthesizer")
    says = r"^model has attention without W_Q and W_K, .*blocks.0.attend.*: gate, entropy, " \
           r"confidence, random, leave-one-out$"  # fmt: skip
    with pytest.raises(ValueError, match=says):
        head_scores(model, data(), method, loss)
    with pytest.raises(ValueError, match=says):
        greedy_prune(model, data(), method, loss, 1, lambda m: 0, progress=False)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


# -- what is checked when a call is recorded ---------------------------------------------------

RECORDED = ["entropy", "confidence", "gradient-product-activations"]
recorded_methods = pytest.mark.parametrize("method", RECORDED)


@fast
@pytest.mark.parametrize("method", METHODS)
def test_frozen_models_of_every_make(method):
    for name in ("own", "torch", "gpt-rotary"):
        model, batches = make(name), data()
        expected = head_scores(model, batches, method, loss)
        with torch.no_grad():
            close(head_scores(model.requires_grad_(False), batches, method, loss), expected)
        assert not any(p.requires_grad for p in model.parameters())


@fast
@each_once("method, make_batches", METHODS, [iter, lambda b: (x for x in b), tuple])
def test_batches_that_come_once(method, make_batches):
    model, run = make("own"), [method, loss, 2, lambda m: 0]
    expected = greedy_prune(model, data(), *run, progress=False)
    found = greedy_prune(model, make_batches(data()), *run, progress=False)
    assert found.order == expected.order
    scores = head_scores(model, make_batches(data()), method, loss)
    close(scores, expected.scores[0], atol=0)
    with pytest.raises(ValueError, match=r"^batches must be a list of at least one batch"):
        head_scores(model, iter(()), method, loss)


class Padded(nn.Module):
    """Torch's encoder as it comes, nested tensors and all, with tokens that are padding."""

    def __init__(self, **options):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 7, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, **options)
        torch.manual_seed(3)
        with torch.no_grad():
            for p in self.parameters():
                p.normal_(0, 0.7)
        self.eval()

    def forward(self, x, padded=None):
        return self.encoder(x, src_key_padding_mask=padded)[:, 0]


@fast
@pytest.mark.parametrize("method", METHODS)
def test_padding_of_torch_encoders_is_scored_as_if_it_were_not_there(method):
    gen = torch.Generator().manual_seed(2)
    x, lengths = torch.randn(4, 5, 8, generator=gen), [5, 2, 3, 5]
    padded = torch.arange(5) >= torch.tensor(lengths)[:, None]
    target = torch.linspace(-1, 2, 8)

    def f(model, batch):
        return (model(*batch) * target).sum(-1)

    model, fast = Padded(), torch.backends.mha.get_fastpath_enabled()
    assert model.encoder.use_nested_tensor
    found = head_scores(model, [(x, padded)], method, f)
    assert torch.backends.mha.get_fastpath_enabled() == fast
    close(found, head_scores(Padded(enable_nested_tensor=False), [(x, padded)], method, f))
    alone = [head_scores(model, [(x[i : i + 1, :n],)], method, f) for i, n in enumerate(lengths)]
    if method in ("gate", "leave-one-out"):  # means over examples; rows of padding are no tokens
        close(found, torch.stack(alone).mean(0))
        assert found.abs().min() > 1e-4

    def fails(model, batch):
        raise ZeroDivisionError

    if method != "random":
        with pytest.raises(ZeroDivisionError):
            head_scores(model, [(x, padded)], method, fails)
    assert torch.backends.mha.get_fastpath_enabled() == fast


class TokensFirst(nn.Module):
    """Torch's other layout, [n, b, d_model], within the model."""

    def __init__(self, batch_first):
        super().__init__()
        torch.manual_seed(0)
        self.batch_first = batch_first
        self.attentions = nn.ModuleList(
            nn.MultiheadAttention(D, H, batch_first=batch_first) for _ in range(L)
        )
        self.eval()

    def forward(self, x):
        x = x if self.batch_first else x.transpose(0, 1)
        for attend in self.attentions:
            x = x + attend(x, x.sin(), x.cos(), need_weights=False)[0]
        return x if self.batch_first else x.transpose(0, 1)


@fast
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("frozen", [False, True], ids=["trained", "frozen"])
def test_tokens_first_is_scored_as_examples_first(method, frozen):
    first, other = (TokensFirst(b).requires_grad_(not frozen) for b in (True, False))
    close(other(data()[0]["x"]), first(data()[0]["x"]))
    expected = head_scores(first, data(), method, loss)
    close(head_scores(other, data(), method, loss), expected)
    assert (expected.abs() > 1e-9).all()


@pytest.mark.parametrize("method", [m for m in METHODS if m.startswith("ga")] + ["gradient-product",
                         "gradient-product-max", "gradient-product-activations"])  # fmt: skip
def test_a_loss_without_a_gradient_is_refused(method):
    losses_ = [
        torch.no_grad()(lambda m, b: loss(m, b)),
        lambda m, b: (m(b["x"])[:, -1].argmax(-1) == 0).double(),
        lambda m, b: loss(m, b).detach(),
        lambda m, b: (m(b["x"]) * 0).detach().sum((1, 2)) + b["x"].sum((1, 2)),
    ]
    for name in ("own", "torch"):
        for f in losses_:
            with pytest.raises(ValueError, match=r"^loss must have a gradient"):
                head_scores(make(name), data(), method, f)


class Custom(nn.Module):
    """One layer of the protocol, whose calls and results can be spoilt."""

    def __init__(self, spoil=None, block="V", twice=False, reshape=False):
        super().__init__()
        torch.manual_seed(0)
        self.attend, self.block = MultiHeadAttention(D, H), block
        self.spoil, self.twice, self.reshape = spoil, twice, reshape
        if spoil:
            self.attend.register_forward_hook(lambda m, args, result: spoil(*result))
        self.eval()

    def attention_layers(self):
        Q, K, V = (Block(W, 1) for W in ("W_Q", "W_K", f"W_{self.block}"))
        return [AttentionLayer("attend", H, D_K, Q, K, V, Block("W_O", 0))]

    def forward(self, x):
        if self.reshape:
            x = x.flatten(0, 1)[None]
        x = self.attend(x)[0]
        return self.attend(x)[0] if self.twice else x.view(-1, N, D)


@recorded_methods
def test_calls_that_cannot_be_scored_are_refused(method):
    batches = data((2,))
    head_scores(Custom(), batches, method, loss)
    for options, says in [
        ({"twice": True}, r"^model must call every attention layer once .* called 'attend' again"),
        ({"reshape": True}, r"^model must return outputs \[b, n, d_model\] .* b = 2 examples"),
        ({"spoil": lambda Y, A: (Y, A.mean(1))}, r"^model must return outputs \[b, n, d_model\]"),
        ({"spoil": lambda Y, A: (Y, A.transpose(0, 1))}, r"^model must return outputs \[b, n, d"),
        ({"spoil": lambda Y, A: (Y, None)}, r"^model must return outputs and weights of heads"),
        ({"spoil": lambda Y, A: (Y,)}, r"^model must return outputs and weights of heads from"),
        ({"spoil": lambda Y, A: (Y, 2 * A)}, r"^weights of 'attend' must sum to 1"),
    ]:
        model = Custom(**options)
        with pytest.raises(ValueError, match=says):
            head_scores(model, batches, method, loss)
        hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
        assert sum(hooks) == ("spoil" in options)


def test_outputs_that_are_not_of_the_matrices_named_are_refused():
    for options in ({"block": "K"}, {"spoil": lambda Y, A: (Y, A.flip(-1))}):
        with pytest.raises(ValueError, match=r"^model has 'attend', whose outputs are not A V W_O"):
            gradient_matrices(Custom(**options), data(), loss, "activations")
    shift = torch.arange(6.0)
    biased = Custom(spoil=lambda Y, A: (Y + shift, A))  # a bias of the outputs is no mistake
    assert (gradient_matrices(biased, data(), loss, "activations") > 0).all()


@pytest.mark.parametrize("option", ["add_zero_attn", "add_bias_kv"])
def test_keys_of_the_layers_own(option):
    model = Wide()
    model.attentions = nn.ModuleList(
        nn.MultiheadAttention(D, H, batch_first=True, **{option: True}) for _ in range(L)
    )
    model.tokens = nn.ParameterList([torch.randn(M, D), torch.randn(M, D)])
    model.eval()
    assert (head_scores(model, data(), "entropy", loss) < math.log(M + 1)).all()
    with pytest.raises(ValueError, match=r"^model has 'attentions.0', .* adds keys of its own"):
        head_scores(model, data(), "gradient-product-activations", loss)


class Unused(nn.Module):
    """A second layer that is called, and whose outputs go nowhere."""

    def __init__(self):
        super().__init__()
        self.first, self.second = MultiHeadAttention(D, H), MultiHeadAttention(D, H)

    def forward(self, x):
        y = self.first(x)[0]
        self.second(y)
        return y


def test_outputs_that_the_loss_does_not_see_have_gradient_0():
    value = gradient_matrices(Unused().eval(), data(), loss, "activations")
    assert (value[:, 0] > 0).all()
    assert (value[:, 1] == 0).all()


class Changed(MultiHeadAttention):
    def forward(self, x):
        return super().forward(x.flip(-2))


class Renamed(MultiHeadAttention):
    pass


def test_subclasses_with_a_forward_of_their_own_must_say_where_their_heads_are():
    with pytest.raises(ValueError, match=r"^model has '0', a Changed with a forward of its own"):
        attention_layers(nn.Sequential(Changed(D, H)))
    assert len(attention_layers(nn.Sequential(Renamed(D, H)))) == 1


# -- the task of the study ---------------------------------------------------------------------


def test_answers_by_looking_them_up():
    q = draw(300, torch.Generator().manual_seed(3))
    for keys, values, kind, argument, answer in zip(*(t.tolist() for t in q), strict=True):
        assert sorted(keys) == list(range(8))
        table = dict(zip(keys, values, strict=True))
        expected = [table[argument], table[table[argument]], values[argument]][kind]
        assert answer == expected
    assert sorted(set(q.kind.tolist())) == [0, 1, 2]
    assert set(q.values.flatten().tolist()) == set(q.argument.tolist()) == set(range(8))
    again = draw(300, torch.Generator().manual_seed(3))
    assert all(torch.equal(a, b) for a, b in zip(q, again, strict=True))


def test_a_reader_reads_pairs_in_any_order_but_for_their_places():
    model, q = Reader(12, 3, 2, 7).eval(), draw(5, torch.Generator().manual_seed(0))
    order = torch.randperm(8)
    moved = q._replace(keys=q.keys[:, order], values=q.values[:, order])
    assert not torch.allclose(model(moved), model(q))
    with torch.no_grad():
        model.place.weight.zero_()
    close(model(moved), model(q))
    assert model(q).shape == (5, 8)
    other = q._replace(argument=(q.argument + 1) % 8)
    assert not torch.isclose(model(other), model(q)).all(-1).any()
    other = q._replace(kind=(q.kind + 1) % 3)
    assert not torch.isclose(model(other), model(q)).all(-1).any()


def test_losses_norms_and_accuracy():
    model, q = Reader(12, 3, 2, 7).eval(), draw(50, torch.Generator().manual_seed(0))
    z = model(q).detach()
    p = z.exp() / z.exp().sum(-1, keepdim=True)
    close(losses(model, q).detach(), -p[torch.arange(50), q.answer].log())
    close(norms(model, q).detach(), (z * z).sum(-1).sqrt())
    right = [int(row.argmax()) == int(y) for row, y in zip(z, q.answer, strict=True)]
    assert accuracy(model, q) == np.mean(right)
    chosen = [r for r, k in zip(right, q.kind.tolist(), strict=True) if k == 1]
    assert accuracy(model, q, kind=1) == pytest.approx(np.mean(chosen), abs=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("no_shape_checks")
def test_training_is_the_same_bit_for_bit_and_learns():
    torch.set_num_threads(1)
    first = train(4, steps=8)
    state = torch.get_rng_state()
    torch.set_default_dtype(torch.float32)
    again, other = train(4, steps=8), train(5, steps=8)
    assert torch.get_default_dtype() == torch.float32
    torch.set_default_dtype(torch.float64)
    assert torch.equal(torch.get_rng_state(), state)
    assert not first.training
    for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert a.dtype == torch.float64
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
    q = draw(500, torch.Generator().manual_seed(7))
    # Chance is 1/8 of the answers, with a standard error of 0.015.
    assert accuracy(train(4, steps=60), q) > 0.25


def test_the_rate_rises_then_falls_to_0(monkeypatch):
    rates = []
    monkeypatch.setattr(torch.optim.Adam, "step",
                        lambda self: rates.append(self.param_groups[0]["lr"]))  # fmt: skip
    fit(Reader(12, 3, 2, 7), 100, 0.3, torch.Generator(), batch=2)
    assert len(rates) == 100
    assert np.argmax(rates) in (4, 5)
    assert rates[0] == pytest.approx(0.3 / 5)
    assert rates[50] == pytest.approx(0.15)
    assert 0 < rates[-1] < 1e-3 * 0.3


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_shape_checks")
class TestBadInput:
    @pytest.mark.parametrize("method", ["", "Gate", None, 3, "gradient_product"], ids=repr)
    def test_method(self, method):
        with pytest.raises(ValueError, match=r"^method must be one of gradient-product"):
            head_scores(make("own"), data(), method, loss)
        with pytest.raises(ValueError, match=r"^method must be one of gradient-product"):
            greedy_prune(make("own"), data(), method, loss, 1, len)

    @pytest.mark.parametrize("method", METHODS)
    def test_model(self, method):
        for bad in (None, 3, "model", torch.ones(2)):
            with pytest.raises(ValueError, match=r"^model must be a torch.nn.Module"):
                head_scores(bad, data(), method, loss)
        with pytest.raises(ValueError, match=r"^model must have attention layers"):
            head_scores(nn.Linear(2, 2).eval(), data(), method, loss)
        with pytest.raises(ValueError, match=r"^model must be in eval mode"):
            head_scores(make("torch").train(), data(), method, loss)
        mixed = nn.ModuleList([MultiHeadAttention(6, 2), MultiHeadAttention(6, 3)]).eval()
        with pytest.raises(ValueError, match=r"^model must have attention layers with one number"):
            head_scores(mixed, data(), method, loss)

    @pytest.mark.parametrize("method", METHODS)
    def test_batches(self, method):
        model = make("own")
        x = torch.ones(2, N, D)
        for bad in ([], (), x, {"x": x}):
            with pytest.raises(ValueError, match=r"^batches must be a list of at least one batch"):
                head_scores(model, bad, method, loss)
        for bad in ((x, torch.ones(3, D)), x[:0], torch.tensor(1.0), (x, 3), [], {}):
            with pytest.raises(ValueError, match=r"^batches must hold tensors with the examples"):
                head_scores(model, [(x, x), bad], method, loss)

    @pytest.mark.parametrize("method", [m for m in METHODS if m != "random"])
    def test_loss(self, method):
        model, batches = make("own"), data()
        for bad in (lambda m, b: loss(m, b).mean(), lambda m, b: 3.0, lambda m, b: m(b["x"])):
            with pytest.raises(ValueError, match=r"^loss must return one number for each example"):
                head_scores(model, batches, method, bad)
        if not method.startswith("ga") and method not in (
            "gradient-product",
            "gradient-product-max",
        ):
            with pytest.raises(ValueError, match=r"^loss holds a value that is not finite"):
                head_scores(model, batches, method, lambda m, b: loss(m, b) * math.nan)

    @pytest.mark.parametrize("method", ["gate", "gradient-product", "gradient-product-max"])
    def test_loss_under_vmap(self, method):
        with pytest.raises(ValueError, match=r"^scores holds a value that is not finite"):
            head_scores(make("own"), data(), method, lambda m, b: loss(m, b) * math.nan)

    @pytest.mark.parametrize("seed", [-1, 1.0, None, True], ids=repr)
    def test_seed(self, seed):
        with pytest.raises(ValueError, match=r"^seed must be an integer"):
            head_scores(make("own"), data(), "random", loss, seed)
        with pytest.raises(ValueError, match=r"^seed must be an integer"):
            train(seed)

    def test_of_and_norm(self):
        with pytest.raises(ValueError, match=r"^of must be one of weights, activations"):
            gradient_matrices(make("own"), data(), loss, of="weight")
        with pytest.raises(ValueError, match=r"^norm must be one of frobenius, max"):
            gradient_matrices(make("own"), data(), loss, norm="fro")

    @pytest.mark.parametrize(
        "mask",
        [None, [[1.0] * H] * L, torch.ones(H, L), torch.ones(L * H), torch.ones(L, H, 1),
         torch.ones(L, H, dtype=torch.int64), torch.full((L, H), math.nan),
         torch.full((L, H), math.inf)],
        ids=["none", "list", "transposed", "flat", "3-d", "integers", "nan", "inf"],
    )  # fmt: skip
    def test_mask_and_factors(self, mask):
        model = make("torch")
        with pytest.raises(ValueError, match=r"^mask "), gate_heads(model, mask):
            pass
        assert [type(m) for m in model.modules()] == [type(m) for m in make("torch").modules()]
        with pytest.raises(ValueError, match=r"^factors "):
            rescale_heads(model, mask)

    def test_factors(self):
        for bad in (0.0, -1.0):
            with pytest.raises(ValueError, match=r"^factors must be positive"):
                rescale_heads(make("own"), without((1, 1), bad))
        with gate_heads(model := make("own"), without((1, 1))):
            state = copy.deepcopy(model.state_dict())
            with pytest.raises(ValueError, match=r"^model must not be gated"):
                rescale_heads(model, without((1, 1), 2.0))
            assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())

    @pytest.mark.parametrize("remove", [0, -1, L * H + 1, 1.0, True, None], ids=repr)
    def test_remove(self, remove):
        with pytest.raises(ValueError, match=r"^remove must be an integer"):
            greedy_prune(make("own"), data(), "gate", loss, remove, len)

    @pytest.mark.parametrize("name", ["once", "highest_first", "progress"])
    @pytest.mark.parametrize("value", [0, 1, None, "yes"], ids=repr)
    def test_flags(self, name, value):
        with pytest.raises(ValueError, match=rf"^{name} must be True or False"):
            greedy_prune(make("own"), data(), "gate", loss, 1, len, **{name: value})

    def test_a_layer_that_is_not_called_has_no_rows(self):
        model = make("own")
        model.spare = MultiHeadAttention(D, H)
        for method in ("entropy", "confidence", "gradient-product-activations"):
            with pytest.raises(ValueError, match=r"^model must call every attention layer.*spare"):
                head_scores(model, data(), method, loss)
        assert (head_scores(model, data(), "gate", loss)[2] == 0).all()
