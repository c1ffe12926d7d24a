"""What a layer must offer, in every make of it: padding, removal for good, copies, refusals."""

import copy
import io
import math
import pickle

import pytest
import torch
from helpers import unchecked
from torch import nn
from torch.nn.utils import parametrizations

from attnlib.knowledge.gpt import GPT, VARIANTS
from attnlib.pruning import (
    METHODS,
    AttentionLayer,
    Block,
    FewerHeads,
    attention_layers,
    gate_heads,
    gradient_matrices,
    greedy_prune,
    head_scores,
    remove_heads,
    rescale_heads,
)
from attnlib.pruning.calls import activation_gradients, recorded_calls, require_calls
from attnlib.synthesizer import SynthesizerAttention
from attnlib.transformer import MultiHeadAttention, TransformerLayer

L, H, D_K, N = 2, 4, 2, 5
D = H * D_K
LENGTHS = torch.tensor([5, 2, 3])
pytestmark = [
    pytest.mark.usefixtures("double_by_default", "no_shape_checks"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
]


def close(value, expected, atol=1e-11, rtol=0):
    torch.testing.assert_close(value, expected, atol=atol, rtol=rtol)


# -- makes of layers: each is called with tokens [b, n, D] and says which of them are padding -----


class Stack(nn.Module):
    """Layers one after the other, with residuals; ``call`` says how one is called."""

    def __init__(self, parts, call):
        super().__init__()
        self.parts, self.call = nn.ModuleList(parts), call

    def forward(self, x, tokens):
        for part in self.parts:
            x = x + self.call(part, x, tokens)
        return x


def own(part, x, tokens):
    return part(x, mask=tokens[:, None, None].expand(-1, H, x.shape[1], -1), need_weights=False)[0]


def own_layer(part, x, tokens):
    return part(x, mask=tokens[:, None, None].expand(-1, H, x.shape[1], -1))[0]


def own_cut(part, x, tokens):
    """As ``own``, whatever the number of heads: a mask of one head is that of all."""
    return part(x, mask=tokens[:, None, None].expand(-1, 1, x.shape[1], -1))[0]


def torchs(part, x, tokens):
    first = part.batch_first
    y = x if first else x.transpose(0, 1)
    y = part(y, y, y, key_padding_mask=~tokens, need_weights=False)[0]
    return y if first else y.transpose(0, 1)


def to_others(part, x, tokens):
    k, v = x[..., :5].sin(), x[..., :3].cos()
    return part(x, k, v, key_padding_mask=~tokens, need_weights=False)[0]


def causal(part, x, tokens):
    return part(x)[0]


class Mixed(nn.Module):
    """An attention of somebody else's: W_O in a module of its own, outputs that are normed."""

    def __init__(self, scale=None):
        super().__init__()
        self.h, self.scale = H, D_K**-0.5 if scale is None else scale
        self.QK, self.V, self.mix = (
            nn.Linear(D, 2 * D),
            nn.Linear(D, D, bias=False),
            nn.Linear(D, D),
        )
        self.norm = nn.LayerNorm(D)

    def forward(self, states, tokens):
        def heads(y):
            return y.unflatten(-1, (self.h, D_K)).transpose(1, 2)

        Q, K = (heads(y) for y in self.QK(states).chunk(2, -1))
        S = (self.scale * Q @ K.mT).masked_fill(~tokens[:, None, None], -math.inf)
        A = torch.softmax(S, -1)
        O = (A @ heads(self.V(states))).transpose(1, 2).flatten(2)  # noqa: E741
        return self.norm(states + self.mix(O)), A


class OfOthers(Stack):
    """The protocol: this model says where its heads are."""

    def __init__(self, mix="mix", scale=None, counts=(("h", 1),)):
        super().__init__(
            [Mixed(scale) for _ in range(L)], lambda part, x, tokens: part(x, tokens)[0]
        )
        self.mix, self.scale, self.counts = mix, scale, counts

    def attention_layers(self):
        return [AttentionLayer(
            f"parts.{i}", self.parts[i].h, D_K, Block("QK.weight", 0, 0, ("QK.bias", 0)),
            Block("QK.weight", 0, self.parts[i].h * D_K, ("QK.bias", self.parts[i].h * D_K)),
            Block("V.weight", 0), Block("mix.weight", 1), ("states",) * 3, None, self.mix,
            self.scale, self.counts) for i in range(L)]  # fmt: skip


class Encoder(nn.Module):
    """Torch's encoder as it comes, nested tensors and all."""

    def __init__(self, **options):
        super().__init__()
        layer = nn.TransformerEncoderLayer(D, H, 7, batch_first=True, **options)
        nested = not options.get("norm_first", False)
        self.encoder = nn.TransformerEncoder(layer, L, enable_nested_tensor=nested)

    def forward(self, x, tokens):
        return self.encoder(x, src_key_padding_mask=~tokens)


class Characters(nn.Module):
    """The project's GPT, whose characters stand for the tokens: causal, padding on the right."""

    def __init__(self, variant):
        super().__init__()
        self.gpt = GPT(11, 2 * N, L, H, D, variant)

    def forward(self, x, tokens):
        idx = (x[..., 0].abs() * 5).long().clamp(max=10)
        return self.gpt(torch.where(tokens, idx, 0))


def hugging_face(name):
    transformers = pytest.importorskip("transformers", reason="pip install 'attnlib[hf]'")
    options = {"vocab_size": 11, "bos_token_id": 0, "eos_token_id": 0}
    options["attn_implementation"] = "eager"
    if name == "bert":
        config = transformers.BertConfig(
            hidden_size=D, num_hidden_layers=L, num_attention_heads=H, intermediate_size=7,
            max_position_embeddings=2 * N, **options,
        )  # fmt: skip
        return transformers.BertForMaskedLM(config)
    config = transformers.GPT2Config(
        n_embd=D, n_layer=L, n_head=H, n_positions=2 * N,
        scale_attn_by_inverse_layer_idx=name == "gpt2-scaled", **options,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


class Words(nn.Module):
    """A model of transformers in the place of ours."""

    def __init__(self, name):
        super().__init__()
        self.model = hugging_face(name)

    def forward(self, x, tokens):
        idx = (x[..., 0].abs() * 5).long().clamp(max=10)
        return self.model(input_ids=idx, attention_mask=tokens.long()).logits


def synthesizer(**options):
    return Stack([SynthesizerAttention(D, H, 2 * N, **options) for _ in range(L)], causal)


def torch_layers(batch_first=True, **options):
    return [nn.MultiheadAttention(D, H, batch_first=batch_first, **options) for _ in range(L)]


MODELS = {
    "own": lambda: Stack([MultiHeadAttention(D, H) for _ in range(L)], own_cut),
    "own-layer": lambda: Stack([TransformerLayer(D, H, 7) for _ in range(L)], own_cut),
    "torch": lambda: Stack(torch_layers(), torchs),
    "torch-tokens-first": lambda: Stack(torch_layers(bias=False, batch_first=False), torchs),
    "torch-other-widths": lambda: Stack(torch_layers(kdim=5, vdim=3), to_others),
    "encoder": Encoder,
    "encoder-pre-norm": lambda: Encoder(norm_first=True),
    "of-others": OfOthers,
    "of-others-cool": lambda: OfOthers(scale=0.3),
    "of-others-without-mix": lambda: OfOthers(mix=None),
    **{f"gpt-{v}": lambda v=v: Characters(v) for v in VARIANTS},
    **{f"synthesizer-{k}{'-shared' * s}": lambda k=k, s=s: synthesizer(kind=k, shared=s)
       for k in ("dense", "random", "factorized") for s in (False, True)},
    **{name: lambda name=name: Words(name) for name in ("bert", "gpt2", "gpt2-scaled")},
}  # fmt: skip
# Outputs are normed, so neither A V W_O nor anything of it can be seen without its mix.
ROWS = ("entropy", "confidence")
models = pytest.mark.parametrize("name", MODELS)


def methods_of(name):
    without = "synthesizer" in name
    normed = name == "of-others-without-mix"
    return [m for m in METHODS if not (without and m.startswith("gradient"))
            and not (normed and m.endswith("activations"))]  # fmt: skip


# Every make with what sees rows or gates, some with every method: the others take most of the time.
FEW = ("own", "torch", "of-others", "bert", "gpt2")
SCORED = [(name, method) for name in MODELS for method in methods_of(name)
          if name in FEW or method in (*ROWS, "gate")]  # fmt: skip


def make(name, seed=0):
    torch.manual_seed(seed)
    model = MODELS[name]()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.7)
    return model.double().eval()


def data(padding=0):
    """Examples of several lengths, and a mask of their tokens; more padding if asked for."""
    gen = torch.Generator().manual_seed(1)
    x, n = torch.randn(3, N, D, generator=gen), N + padding
    x = torch.cat([x, torch.full((3, padding, D), 7.0)], 1)
    tokens = torch.arange(n) < LENGTHS[:, None]
    return [(torch.where(tokens[..., None], x, 3.0), tokens)]


def loss(model, batch):
    """The mean over the tokens of an example."""
    y, tokens = model(*batch).square().mean(-1), batch[1]
    return torch.where(tokens, y, 0).sum(-1) / tokens.sum(-1)


def outputs(model, batch=None):
    """What a model gives for tokens; for padding, torch's encoders give what they like."""
    batch = data()[0] if batch is None else batch
    with torch.no_grad():
        return model(*batch)[batch[1]]


def valid(batch):
    return batch[1]


# -- padding -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "method"), SCORED)
def test_padding_changes_no_score_and_no_ranking(name, method):
    model = make(name)
    scores = [head_scores(model, data(k), method, loss, valid=valid) for k in (0, 3)]
    close(*scores, rtol=1e-9)  # the product of three gradients is as large as it likes
    whole = [(x[:, :2], t[:, :2]) for x, t in data()]  # all tokens are tokens here
    close(head_scores(model, whole, method, loss, valid=valid),
          head_scores(model, whole, method, loss))  # fmt: skip


@pytest.mark.parametrize("method", ROWS)
@pytest.mark.parametrize("name", ["own", "torch", "gpt-vanilla", "encoder"])
def test_the_mean_is_over_the_tokens_of_each_example(name, method):
    model = make(name)
    alone = [head_scores(model, [(x[i:i + 1, :n], t[i:i + 1, :n])], method, loss)
             for x, t in data() for i, n in enumerate(LENGTHS)]  # fmt: skip
    expected = torch.stack(alone).mean(0)
    close(head_scores(model, data(), method, loss, valid=valid), expected)
    counted = head_scores(model, data(4), method, loss)  # every query, as before
    assert (counted - expected).abs().max() > 1e-2


def test_one_mask_for_each_layer():
    model = make("own")
    each = head_scores(model, data(), "entropy", loss, valid=lambda b: [b[1]] * L)
    close(each, head_scores(model, data(), "entropy", loss, valid=valid), atol=0)
    says = r"^model must not attend to what valid leaves out: 'parts.1' gives"
    with pytest.raises(ValueError, match=says):
        head_scores(model, data(), "entropy", loss,
                    valid=lambda b: [b[1], b[1] & (torch.arange(N) > 0)])  # fmt: skip


def test_greedy_pruning_hands_both_on():
    model, run = make("own"), ["entropy", loss, 3, lambda m: 0]
    found = greedy_prune(model, data(), *run, progress=False, valid=valid, per_layer=True)
    expected = head_scores(model, data(), "entropy", loss, valid=valid, per_layer=True)
    close(found.scores[0], expected, atol=0)
    plain = greedy_prune(model, data(), *run, progress=False)
    assert not torch.allclose(plain.scores[0], expected)


@pytest.mark.parametrize("method", ROWS)
def test_masks_that_do_not_fit_are_refused(method):
    model = make("own")
    for bad, says in [
        (
            lambda b: b[1].long(),
            r"^valid must return a boolean tensor \[b, n\] = \(3, 5\) for 'p",
        ),
        (lambda b: b[1][:, 1:], r"^valid must return a boolean tensor .* got \(3, 4\) torch.bool"),
        (lambda b: None, r"^valid must return a boolean tensor .* got NoneType; a list has one"),
        (lambda b: [b[1]], r"^valid must return one tensor, or one for each of 2 layers; .* 1$"),
        (
            lambda b: b[1] & (LENGTHS > 2)[:, None],
            r"^valid must leave a query .* 1 has none",
        ),
        (
            lambda b: b[1] & (torch.arange(N) > 0),
            r"^model must not attend to what valid leaves out",
        ),
    ]:
        with pytest.raises(ValueError, match=says):
            head_scores(model, data(), method, loss, valid=bad)
    with pytest.raises(ValueError, match=r"^valid must be a function of a batch, got Tensor"):
        head_scores(model, data(), method, loss, valid=data()[0][1])


# -- scores over the norm of their layer -------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_scores_over_the_norm_of_their_layer(method):
    model = make("own")
    plain = head_scores(model, data(), method, loss)
    value = head_scores(model, data(), method, loss, per_layer=True)
    for l in range(L):  # noqa: E741
        size = math.sqrt(sum(s**2 for s in plain[l].tolist()))
        close(value[l], plain[l] / size)
    assert not torch.allclose(value, plain)


def test_heads_that_are_off_do_not_count_for_the_norm():
    model, mask = make("own"), torch.ones(L, H)
    mask[0, 1] = mask[0, 2] = 0
    mask[1] = 0
    with gate_heads(model, mask):
        plain = head_scores(model, data(), "entropy", loss)
        value = head_scores(model, data(), "entropy", loss, per_layer=True)
        gates = head_scores(model, data(), "gate", loss, per_layer=True)
    close(value[0], plain[0] / plain[0, [0, 3]].norm())
    assert (gates[1] == 0).all()  # not NaN


@pytest.mark.parametrize("value", [0, 1, None, "l2"], ids=repr)
def test_per_layer_is_a_flag(value):
    with pytest.raises(ValueError, match=r"^per_layer must be True or False"):
        head_scores(make("own"), data(), "gate", loss, per_layer=value)


# -- leave-one-out -----------------------------------------------------------------------------


def test_leave_one_out_runs_nothing_for_heads_that_are_off():
    model, mask, made = make("own"), torch.ones(L, H), []
    mask[0, 1], mask[1, 2], mask[1, 3] = 0, 0, -0.5

    def counted(model, batch):
        made.append(1)
        return loss(model, batch)

    with gate_heads(model, mask):
        scores = head_scores(model, data(), "leave-one-out", counted)
    assert len(made) == L * H - 2 + 1
    assert ((scores == 0) == (mask == 0)).all()
    other = mask.clone()
    other[1, 3] = 0
    with gate_heads(model, mask):
        whole = loss(model, data()[0]).mean()
    with gate_heads(model, other):
        close(scores[1, 3], (loss(model, data()[0]).mean() - whole).detach())


# -- mixes, and what vmap cannot do ------------------------------------------------------------


@pytest.mark.parametrize("method", [m for m in METHODS if not m.endswith("activations")])
def test_with_a_mix_scores_are_the_same(method):
    scores = [head_scores(make(name), data(), method, loss)
              for name in ("of-others", "of-others-without-mix")]  # fmt: skip
    close(*scores)
    assert scores[0].abs().max() > 1e-5


@pytest.mark.parametrize("name", ["of-others", "of-others-cool", "bert", "gpt2", "gpt2-scaled"])
def test_gradients_of_activations_are_those_of_the_projections(name):
    """∂F/∂W = Xᵀ∂F/∂Q: for one token the norms are those of the weights over the norm of x."""
    model, batch = make(name), tuple(t[1:2, :2] for t in data()[0])
    layers, seen = attention_layers(model), []

    def watch(module, args, kwargs):
        seen.append(args[0] if args else kwargs["hidden_states"])

    hooks = [
        model.get_submodule(a.name).register_forward_pre_hook(watch, with_kwargs=True)
        for a in layers
    ]
    loss(model, batch)
    for hook in hooks:
        hook.remove()
    with recorded_calls(model, 1) as recorded:
        total = loss(model, batch).sum()
        calls = require_calls(model, recorded)
        d = torch.autograd.grad(total, [call.output for call in calls])
    weights = gradient_matrices(model, [batch], loss)
    for i, (layer, call, one, x) in enumerate(zip(layers, calls, d, seen, strict=True)):
        with torch.no_grad():
            for k, dq in enumerate(activation_gradients(model, layer, call, one)):
                close((x[0].T @ dq[0]).flatten(1).norm(dim=1), weights[k, i], atol=1e-9)
    assert weights.min() > 0


class Branching(nn.Module):
    """Control flow that looks at values: torch's vmap cannot follow it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, tokens):
        return self.model(x, tokens) if x.sum() > -1e9 else x


@pytest.mark.parametrize("method", ["gate", "gradient-product", "gradient-product-max"])
@pytest.mark.parametrize("name", ["own", "torch", "of-others"])
def test_models_that_look_at_values(name, method):
    model = Branching(make(name)).eval()
    if name == "of-others":
        model.attention_layers = lambda: [a._replace(name=f"model.{a.name}")
                                          for a in model.model.attention_layers()]  # fmt: skip
    expected = head_scores(make(name), data(), method, loss)
    close(head_scores(model, data(), method, loss), expected, rtol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_models_in_half_precision_are_scored_in_float32_or_refused(dtype, method):
    whole = MODELS["torch"]().eval()
    batches = [(x.to(dtype), t) for x, t in data()]
    run = [copy.deepcopy(whole).to(dtype), batches, method, lambda m, b: loss(m, b).float()]
    if method == "gradient-product-activations":
        with pytest.raises(ValueError, match=r"^weights of 'parts.0' must be float32 or float64"):
            head_scores(*run)
        return
    scores, expected = head_scores(*run), head_scores(whole, data(), method, loss)
    assert scores.dtype == torch.float32
    # A few roundings of the largest; leave-one-out is a difference of losses.
    size = loss(whole, data()[0]).mean() if method == "leave-one-out" else expected.abs().max()
    if method != "random":
        close(scores.double(), expected, atol=8 * torch.finfo(dtype).eps * size.item())


# -- removal -----------------------------------------------------------------------------------

MASKS = {
    "none": torch.ones(L, H),
    "one": torch.tensor([[1, 0, 1, 1], [1, 1, 1, 1.0]]),
    "as-many-in-each": torch.tensor([[0, 1, 0, 1], [1, 1, 0, 0.0]]),
    "gates-between": torch.tensor([[0, -1.5, 0.25, 1], [1, 0, 0, 3.0]]),
    "a-whole-layer": torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0.0]]),
}
masks = pytest.mark.parametrize("which", MASKS)


@models
@masks
def test_the_smaller_model_computes_the_same(name, which):
    model, mask = make(name), MASKS[which]
    before, state = outputs(model), copy.deepcopy(model.state_dict())
    with gate_heads(model, mask):
        gated = outputs(model)
    small = remove_heads(model, mask)
    close(outputs(small), gated)
    assert torch.equal(outputs(model), before)
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    sizes = [sum(p.numel() for p in m.parameters()) for m in (small, model)]
    assert (sizes[0] < sizes[1]) == bool((mask == 0).any())
    assert not {id(p) for p in small.parameters()} & {id(p) for p in model.parameters()}


@models
def test_the_smaller_model_is_saved_loaded_copied_and_trained(name):
    mask = MASKS["gates-between"]
    small = remove_heads(make(name), mask)
    expected, file = outputs(small), io.BytesIO()
    torch.save({"mask": mask, "state": small.state_dict()}, file)
    file.seek(0)
    found = torch.load(file, weights_only=True)
    again = remove_heads(make(name, seed=3), found["mask"])
    assert not torch.allclose(outputs(again), expected)
    again.load_state_dict(found["state"])
    close(outputs(again), expected, atol=0)
    close(outputs(copy.deepcopy(small)), expected, atol=0)
    for part in small.modules():
        if isinstance(part, MultiHeadAttention | FewerHeads | SynthesizerAttention):
            whole = pickle.loads(pickle.dumps(part))
            assert all(map(torch.equal, whole.parameters(), part.parameters()))
    loss(small.train(), data()[0]).sum().backward()
    layers = [m for m in small.modules() if isinstance(m, MultiHeadAttention | FewerHeads)]
    assert all(p.grad.abs().max() > 0 for m in layers for n, p in m.named_parameters()
               if "bias" not in n)  # fmt: skip


@pytest.mark.parametrize("name", [n for n in MODELS if n != "of-others-without-mix"])
def test_heads_that_are_left_are_scored_as_among_the_others(name):
    model, mask = make(name), MASKS["as-many-in-each"].bool()
    small = remove_heads(model, mask)
    assert [a.n_heads for a in attention_layers(small)] == [2, 2]
    for method in {"gate", "entropy", "gradient-product-activations"} & {*methods_of(name)}:
        with gate_heads(model, mask):
            expected = head_scores(model, data(), method, loss, valid=valid)
        found = head_scores(small, data(), method, loss, valid=valid)
        close(found, expected[mask].view(L, 2), rtol=1e-9)
    with gate_heads(small, torch.tensor([[True, False], [True, True]])):
        gated = outputs(small)
    mask = mask.clone()
    mask[0, 3] = False
    close(outputs(remove_heads(model, mask)), gated)


def test_gates_in_force_are_folded_in():
    model, mask = make("own"), MASKS["gates-between"]
    with gate_heads(model, mask), gate_heads(model, MASKS["one"]):
        gated, small = outputs(model), remove_heads(model, torch.ones(L, H) * 2)
    close(outputs(remove_heads(model, 2 * mask * MASKS["one"])), outputs(small))
    close(outputs(remove_heads(small_half(model), mask * MASKS["one"])), gated)
    assert not any("parametrizations" in key for key in small.state_dict())


def small_half(model):
    """The same function, its values doubled and W_O halved."""
    other = copy.deepcopy(model)
    rescale_heads(other, torch.full((L, H), 2.0))
    return other


@pytest.mark.parametrize("frozen", [False, True])
def test_frozen_parameters_stay_frozen(frozen):
    for name in ("own", "torch"):
        model = make(name).requires_grad_(not frozen)
        small = remove_heads(model, MASKS["one"])
        assert all(p.requires_grad != frozen for p in small.parameters())


def test_a_bare_layer_is_replaced():
    layer = nn.MultiheadAttention(D, H, batch_first=True).eval()
    x = torch.randn(2, N, D)
    with gate_heads(layer, MASKS["one"][:1]):
        expected = layer(x, x, x)[0]
    small = remove_heads(layer, MASKS["one"][:1])
    assert isinstance(small, FewerHeads)
    close(small(x, x, x)[0], expected)
    assert small.state_dict().keys() == layer.state_dict().keys()
    linear = small.out_proj
    assert (linear.in_features, linear.out_features) == (6, 8)


def by_head(Q, K, V):
    """A hook that treats heads unlike: each has a temperature of its own."""
    return Q * torch.arange(1.0, Q.shape[-3] + 1)[:, None, None], K, V


def fixed(Q, K, V):
    return Q * torch.ones(H, 1, 1), K, V


def test_what_cannot_be_removed_is_refused():
    keys = [{"add_zero_attn": True}, {"add_bias_kv": True}]
    cases = [(Stack([nn.MultiheadAttention(D, H, **options)], torchs), r"adds keys of its own")
             for options in keys]  # fmt: skip
    cases += [
        (
            Stack([MultiHeadAttention(D, H, process_heads=f)], own),
            r"whose process_heads does not treat all heads alike",
        )
        for f in (by_head, fixed)
    ]
    for model, says in cases:
        with pytest.raises(ValueError, match=rf"^model has 'parts.0', .*{says}.* gated"):
            remove_heads(model, MASKS["one"][:1])
        remove_heads(model, MASKS["none"][:1])  # nothing to remove
    with pytest.raises(ValueError, match=r"^model has 'parts.0', .* names no counts"):
        remove_heads(OfOthers(counts=()), MASKS["one"])
    for bad in (None, torch.ones(H, L), torch.ones(L, H) * math.nan):
        with pytest.raises(ValueError, match=r"^mask "):
            remove_heads(make("own"), bad)
    with pytest.raises(ValueError, match=r"one number of heads.*if remove_heads made it smaller"):
        head_scores(remove_heads(make("own"), MASKS["one"]), data(), "gate", loss)


# -- torch's attention with fewer heads --------------------------------------------------------

TWO_D = torch.arange(N) > torch.arange(N)[:, None]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("widths", [{}, {"kdim": 5, "vdim": 3}, {"bias": False}], ids=str)
def test_all_heads_of_torch_are_torch(batch_first, widths):
    whole = nn.MultiheadAttention(D, H, batch_first=batch_first, **widths).eval()
    few, b = FewerHeads(copy.deepcopy(whole), H), 3
    sizes = [(N, D), (N, widths.get("kdim", D)), (N, widths.get("vdim", D))]
    x = [torch.randn(b, n, d) if batch_first else torch.randn(n, b, d) for n, d in sizes]
    padded = torch.arange(N) >= LENGTHS[:, None]
    added = torch.randn(N, N)
    for options in [
        {}, {"key_padding_mask": padded}, {"attn_mask": TWO_D},
        {"attn_mask": TWO_D, "is_causal": True},
        {"attn_mask": added}, {"attn_mask": torch.randn(b * H, N, N)},
        {"attn_mask": added, "key_padding_mask": torch.zeros(b, N).masked_fill(padded, -math.inf)},
    ]:  # fmt: skip
        for shown in [{}, {"average_attn_weights": False}, {"need_weights": False}]:
            for value, expected in zip(few(*x, **options, **shown), whole(*x, **options, **shown),
                                       strict=True):  # fmt: skip
                close(value, expected)
    torch.manual_seed(0)
    few.dropout = 0.5
    assert not torch.equal(few.train()(*x)[0], few(*x)[0])
    with pytest.raises(ValueError, match=r"^query must have a batch, three axes, got \(5, 8\)"):
        few(*(t[0] if batch_first else t[:, 0] for t in x))
    with pytest.raises(ValueError, match=r"^attn_mask must be given if is_causal is"):
        few(*x, is_causal=True)


# -- copies of gated models --------------------------------------------------------------------


@models
def test_copies_of_gated_models(name):
    model, mask = make(name), MASKS["gates-between"]
    with gate_heads(model, mask):
        gated, copied = outputs(model), copy.deepcopy(model)
        twice, state = copy.deepcopy(copied), copy.deepcopy(model.state_dict())
        with pytest.raises(RuntimeError, match="only supported through state_dict"):
            pickle.dumps(model.get_submodule(attention_layers(model)[0].name))
    plain = outputs(model)
    for other in (copied, twice):  # stay gated
        close(outputs(other), gated, atol=0)
        with gate_heads(other, MASKS["one"]):
            assert not torch.equal(outputs(other), gated)
        close(outputs(other), gated, atol=0)
        close(outputs(remove_heads(other, torch.ones(L, H))), gated)
    with pytest.raises(RuntimeError, match=r"(?s)Missing key.*parametrizations"), unchecked():
        model.load_state_dict(state)  # never gates that are lost in silence
    fresh = make(name, seed=3)
    with gate_heads(fresh, mask):
        fresh.load_state_dict(state)
        close(outputs(fresh), gated, atol=0)
    close(outputs(fresh), plain, atol=0)


# -- what a layer must offer -------------------------------------------------------------------


def named(*changes):
    """A model whose first layer is described wrongly."""
    model = OfOthers().eval()
    right = model.attention_layers
    model.attention_layers = lambda: [right()[0]._replace(**dict(changes)), *right()[1:]]
    return model


@pytest.mark.parametrize("method", METHODS)
def test_layers_described_wrongly_are_refused(method):
    for changes, says in [
        ([("name", "parts.7")], r"^model.attention_layers\(\) names 'parts.7', which is no"),
        ([("mix", "W_O")], r"^model.attention_layers\(\) names 'parts.0.W_O', which is no module"),
        (
            [("O", Block("mix.W", 1))],
            r"attention_layers\(\) names 'parts.0' and its 'mix.W'",
        ),
        (
            [("V", Block("V.weight", 0, 2))],
            r"names 4 heads of width 2 in 'V.weight' .* from 2 ",
        ),
        ([("d_k", 3)], r"^model.attention_layers\(\) names 4 heads of width 3 in 'QK"),
        ([("O", Block("mix.bias", 0))], r"names 4 heads .* in 'mix.bias' .* it has shape \(8,\)"),
    ]:
        with pytest.raises(ValueError, match=says):
            head_scores(named(*changes), data(), method, loss)


@pytest.mark.parametrize("method", [*ROWS, "gradient-product-activations"])
def test_calls_without_tokens_or_with_other_outputs_are_refused(method):
    with pytest.raises(ValueError, match=r"^model must give 'parts.0' a tensor 'x', the tokens"):
        head_scores(named(("inputs", ("x",) * 3)), data(), method, loss)
    wrong = named(("V", Block("QK.weight", 0, 0, ("QK.bias", 0))))
    if method.startswith("gradient"):
        with pytest.raises(
            ValueError, match=r"^model has 'parts.0', whose outputs are not A V W_O"
        ):
            head_scores(wrong, data(), method, loss)


def test_a_mix_that_does_not_get_the_heads_is_refused():
    model = named(("mix", "norm"))
    model.parts[0].norm = nn.Sequential(nn.Linear(D, D + 1), nn.Linear(D + 1, D))
    model.double().eval()
    bad = named(("mix", "norm.1"))
    bad.parts[0].norm = model.parts[0].norm
    with pytest.raises(ValueError, match=r"^model must give 'norm.1' of 'parts.0' heads side by"):
        head_scores(bad.double(), data(), "gate", loss)


@pytest.mark.parametrize("method", ["gate", *ROWS, "gradient-product-activations"])
def test_a_mix_that_is_not_called_is_refused(method):
    model = make("torch")  # computes with out_proj.weight, and does not call out_proj
    found = attention_layers(model)
    model.attention_layers = lambda: [layer._replace(mix="out_proj") for layer in found]
    with pytest.raises(ValueError, match=r"^model must call 'out_proj' of 'parts.0', which its"):
        head_scores(model, data(), method, loss)


def test_one_w_o_for_two_layers_is_refused():
    model = make("own")
    model.parts[1].W_O = model.parts[0].W_O
    with pytest.raises(ValueError, match=r"^model has one W_O for 'parts.0' and 'parts.1'"):
        head_scores(model, data(), "gate", loss)
    model = make("own")
    model.parts[0].W_Q = model.parts[1].W_Q  # one W_Q is nothing that gates would mind
    assert (head_scores(model, data(), "gradient-product", loss) > 0).all()


def test_parametrizations_of_others_are_refused():
    for tensor in ("in_proj_weight", "out_proj.weight"):
        model = make("torch")
        path, _, last = tensor.rpartition(".")
        parametrizations.weight_norm(model.parts[0].get_submodule(path), last)
        with pytest.raises(ValueError, match=r"^model has|^model.attention_layers\(\) names"):
            head_scores(model, data(), "gate", loss)
        model = make("torch")
        parametrizations.orthogonal(model.parts[0].get_submodule(path), last)
        with pytest.raises(ValueError, match=r"^model has 'parts.0', whose .* a parametrization"):
            head_scores(model, data(), "gate", loss)


def test_models_without_known_attention_are_told_what_to_do():
    with pytest.raises(ValueError, match=r"^model must have attention layers that are known; if it "
                       r"has others, model.attention_layers\(\) must say"):  # fmt: skip
        attention_layers(nn.Linear(2, 2))


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_fused_attention_of_transformers_has_gates_but_no_rows(name):
    model = make(name)
    expected = {m: head_scores(model, data(), m, loss) for m in ("gate", "gradient-product")}
    model.model.set_attn_implementation("sdpa")
    for method, scores in expected.items():
        close(head_scores(model, data(), method, loss), scores)
    for method in (*ROWS, "gradient-product-activations"):
        with pytest.raises(ValueError, match=r"attn_implementation='eager'\)$"):
            head_scores(model, data(), method, loss)


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_transformers_of_another_version_are_refused(name):
    model = make(name)
    layer = model.get_submodule(attention_layers(model)[0].name)
    del (layer.self if name == "bert" else layer).scaling
    with pytest.raises(ValueError, match=r"^model has .* of a version of transformers before 5"):
        head_scores(model, data(), "gate", loss)
