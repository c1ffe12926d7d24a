"""attnlib/transformer.py against PyTorch's own modules with copied weights, and slow loops."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attnlib.positions import rotary
from attnlib.transformer import (
    MultiHeadAttention,
    TransformerLayer,
    attention,
    causal_mask,
    smoothed_cross_entropy,
)

inf, nan = math.inf, math.nan
close = torch.testing.assert_close
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
masked = pytest.mark.parametrize("mask", [False, True], ids=["no-mask", "mask"])
orders = pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
# Forward mode makes torch import a file of its own that still uses a deprecated function.
forward_mode = pytest.mark.filterwarnings(r"ignore:.torch\.jit\.script. is deprecated")
B, H, N, M, D_K, D_V = 2, 3, 4, 6, 5, 7
D_MODEL, D_FF = 12, 17


@pytest.fixture(autouse=True)
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def draw(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype)


def some_keys(*shape):
    """A mask with some True and some False in every row."""
    mask = torch.rand(*shape) < 0.5
    mask[..., 0], mask[..., 1] = True, False
    return mask


def value_and_gradients(f, *leaves):
    """All outputs of f, and the gradients of one fixed linear function of them."""
    leaves = [x.detach().clone().requires_grad_() for x in leaves]
    found = f(*leaves)
    found = found if isinstance(found, tuple) else (found,)
    loss = sum((torch.linspace(-1, 2, x.numel()).view_as(x) * x).sum() for x in found)
    return [*found, *torch.autograd.grad(loss, leaves)]


# -- attention -----------------------------------------------------------------------------


def by_loop(Q, K, V, mask, scale):
    """One query at a time, over the permitted keys only."""
    outputs, weights_ = [], []
    for q, may in zip(Q, mask, strict=True):
        scores = torch.stack([scale * (q * k).sum() for k, ok in zip(K, may, strict=True) if ok])
        weights = scores.exp() / scores.exp().sum()
        row = torch.zeros(len(K)).masked_scatter(may, weights)
        outputs.append(row @ V)
        weights_.append(row)
    return torch.stack(outputs), torch.stack(weights_)


@masked
@pytest.mark.parametrize("scale", [None, 0.3, 2], ids=["1/sqrt(d_k)", "0.3", "2"])
def test_attention_is_the_loop_over_queries(mask, scale):
    Q, K, V = draw(N, D_K), draw(M, D_K), draw(M, D_V)
    mask = some_keys(N, M) if mask else None
    whole = torch.ones(N, M, dtype=torch.bool)
    output, A = attention(Q, K, V, mask, scale)
    expected = by_loop(Q, K, V, whole if mask is None else mask, scale or D_K**-0.5)
    close((output, A), expected)


@masked
@dtypes
def test_attention_is_that_of_torch_in_value_and_gradient(mask, dtype):
    Q, K, V = (draw(B, H, *s, dtype=dtype) for s in ((N, D_K), (M, D_K), (M, D_V)))
    mask = some_keys(B, H, N, M) if mask else None
    mine = value_and_gradients(lambda *x: attention(*x, mask)[0], Q, K, V)
    theirs = value_and_gradients(
        lambda *x: F.scaled_dot_product_attention(*x, attn_mask=mask), Q, K, V
    )
    close(mine, theirs)
    assert all(x.dtype == dtype for x in mine)
    assert [x.shape for x in attention(Q, K, V, mask)] == [(B, H, N, D_V), (B, H, N, M)]


@pytest.mark.parametrize(
    "shapes",
    [((), (), ()), ((H,), (), ()), ((B, 1), (H,), ()), ((), (), (B, H)), ((B, H), (1, H), (B, 1))],
    ids=["none", "queries-only", "both", "values-only", "ones"],
)
def test_leading_axes_broadcast(shapes):
    sizes = (N, D_K), (M, D_K), (M, D_V)
    Q, K, V = (draw(*b, *s) for b, s in zip(shapes, sizes, strict=True))
    output, A = attention(Q, K, V, causal_mask(M)[:N])
    assert output.shape[:-2] == torch.broadcast_shapes(*shapes)
    assert A.shape[:-2] == torch.broadcast_shapes(*shapes[:2])
    Q, K, V = (x.expand(*torch.broadcast_shapes(*shapes), *x.shape[-2:]) for x in (Q, K, V))
    close(output, F.scaled_dot_product_attention(Q, K, V, attn_mask=causal_mask(M)[:N]))


@pytest.mark.parametrize(
    "shape", [(N, M), (1, M), (B, 1, N, M), (1, H, 1, M), (B, H, N, M)],
    ids=["n,m", "1,m", "b,1,n,m", "1,h,1,m", "b,h,n,m"],
)  # fmt: skip
def test_masks_broadcast_along_axes_of_length_1(shape):
    Q, K, V = draw(B, H, N, D_K), draw(B, H, M, D_K), draw(B, H, M, D_V)
    mask = some_keys(*shape)
    output, A = attention(Q, K, V, mask)
    close((output, A), attention(Q, K, V, mask.expand(B, H, N, M)))
    close(output, F.scaled_dot_product_attention(Q, K, V, attn_mask=mask))


def test_masked_weights_and_gradients_are_exactly_0_and_rows_sum_to_1():
    Q, K, V = (draw(*s) for s in ((N, D_K), (M, D_K), (M, D_V)))
    mask = some_keys(N, M)
    mask[:, 3] = False  # a key that no query may see
    _, A, _, dK, dV = value_and_gradients(lambda *x: attention(*x, mask), Q, K, V)
    assert (A[~mask] == 0).all()
    assert (A[mask] > 0).all()
    close(A.sum(-1), torch.ones(N))
    assert (dK[3] == 0).all()
    assert (dV[3] == 0).all()
    assert (dK[0] != 0).all()


@pytest.mark.parametrize("huge", [800.0, 1e300], ids=["exp-underflows", "near-overflow"])
def test_what_a_masked_key_holds_does_not_count(huge):
    Q, K, V = draw(1, D_K).abs(), draw(2, D_K), draw(2, D_V)
    K[1] = huge
    output, A = attention(Q, K, V, torch.tensor([[True, False]]), scale=1)
    assert torch.equal(A, torch.tensor([[1.0, 0.0]]))
    assert torch.equal(output, V[:1])


def test_permitted_scores_may_lie_below_any_stand_in_for_minus_infinity():
    K, may = torch.tensor([[-1e12], [0.0]]), torch.tensor([[True, False]])
    _, A = attention(torch.ones(1, 1), K, draw(2, 1), may)
    assert torch.equal(A, torch.tensor([[1.0, 0.0]]))


def test_a_masked_score_may_overflow_and_an_unmasked_one_is_refused():
    Q, K = torch.full((1, D_K), 1e200), torch.zeros(2, D_K)
    K[1] = 1e200
    may = torch.tensor([[True, False]])
    close(attention(Q, K, draw(2, 1), may)[1], torch.tensor([[1.0, 0.0]]))
    with pytest.raises(ValueError, match="scores holds a value that is not finite"):
        attention(Q, K, draw(2, 1))


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_a_permuted_memory_permutes_the_weights_and_keeps_the_output(n, m, seed):
    torch.manual_seed(seed)
    Q, K, V, mask = draw(n, 3), draw(m, 3), draw(m, 2), torch.rand(n, m) < 0.6
    mask[:, 0] = True
    p = torch.randperm(m)
    output, A = attention(Q, K, V, mask)
    close(attention(Q, K[p], V[p], mask[:, p]), (output, A[:, p]))


def test_gradcheck_and_gradgradcheck_of_masked_attention():
    x = [t.requires_grad_() for t in (draw(2, 3), draw(4, 3), draw(4, 2))]
    mask = some_keys(2, 4)
    assert torch.autograd.gradcheck(lambda *x: attention(*x, mask), x)
    assert torch.autograd.gradgradcheck(lambda *x: attention(*x, mask)[0], x)


@forward_mode
def test_attention_under_vmap_and_jacobians():
    Q, K, V, mask = draw(B, N, D_K), draw(B, M, D_K), draw(B, M, D_V), some_keys(N, M)
    close(torch.func.vmap(lambda *x: attention(*x, mask))(Q, K, V), attention(Q, K, V, mask))
    f = lambda q: attention(q, K[0], V[0], mask)[0]  # noqa: E731
    close(torch.func.jacfwd(f)(Q[0]), torch.func.jacrev(f)(Q[0]))


# -- the causal mask -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5])
def test_causal_mask_is_s_at_most_t(n):
    mask = causal_mask(n)
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[s <= t for s in range(n)] for t in range(n)]


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3", None, nan])
def test_no_number_of_tokens(n, no_shape_checks):
    with pytest.raises(ValueError, match="n must be an integer"):
        causal_mask(n)


@orders
def test_a_causal_layer_cannot_see_the_future(norm_first):
    layer = TransformerLayer(D_MODEL, H, D_FF, norm_first=norm_first)
    J = torch.autograd.functional.jacobian(lambda X: layer(X, mask=causal_mask(N))[0],
                                           draw(N, D_MODEL))  # fmt: skip
    size = J.abs().amax((1, 3))
    assert torch.equal(size > 0, causal_mask(N))


# -- heads ---------------------------------------------------------------------------------


def in_torch(mha, bias=False):
    layer = nn.MultiheadAttention(mha.d_model, mha.n_heads, bias=bias, batch_first=True)
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.cat([mha.W_Q, mha.W_K, mha.W_V], 1).T)
        layer.out_proj.weight.copy_(mha.W_O.T)
    return layer


@masked
@pytest.mark.parametrize("crossed", [False, True], ids=["self", "cross"])
@pytest.mark.parametrize("heads", [1, 3, 12])
@dtypes
def test_heads_are_those_of_torch_in_value_and_gradient(mask, crossed, heads, dtype):
    mha = MultiHeadAttention(D_MODEL, heads).to(dtype)
    theirs = in_torch(mha).to(dtype)
    x = draw(B, N, D_MODEL, dtype=dtype)
    y = draw(B, M, D_MODEL, dtype=dtype) if crossed else None
    mask = some_keys(N, M if crossed else N) if mask else None

    def mine(x, y=None):
        return mha(x, y, mask)

    def reference(x, y=None):
        y = x if y is None else y
        return theirs(x, y, y, average_attn_weights=False,
                      attn_mask=None if mask is None else ~mask)  # fmt: skip

    leaves = [x] if y is None else [x, y]
    found = value_and_gradients(mine, *leaves)
    rtol, atol = (1e-12, 1e-13) if dtype == torch.float64 else (1e-4, 1e-4)
    close(found, value_and_gradients(reference, *leaves), rtol=rtol, atol=atol)
    assert all(t.dtype == dtype for t in found)
    assert found[1].shape == (B, heads, N, M if crossed else N)


def test_gradients_of_the_parameters_are_those_of_torch():
    mha, x, y = MultiHeadAttention(D_MODEL, H), draw(B, N, D_MODEL), draw(B, M, D_MODEL)
    theirs, G, mask = in_torch(mha), draw(B, N, D_MODEL), some_keys(N, M)
    (G * mha(x, y, mask)[0]).sum().backward()
    (G * theirs(x, y, y, attn_mask=~mask)[0]).sum().backward()
    stacked = torch.cat([mha.W_Q.grad, mha.W_K.grad, mha.W_V.grad], 1).T
    close(stacked, theirs.in_proj_weight.grad)
    close(mha.W_O.grad, theirs.out_proj.weight.grad.T)


def test_a_mask_of_padded_keys_is_that_of_torch():
    mha, x = MultiHeadAttention(D_MODEL, H), draw(B, N, D_MODEL)
    padded = torch.tensor([[False] * N, [False, False, True, True]])
    theirs = in_torch(mha)(x, x, x, key_padding_mask=padded, average_attn_weights=False)
    close(mha(x, mask=~padded[:, None, None, :]), theirs)


@pytest.mark.parametrize("leading", [(), (B,), (2, 5)], ids=["none", "batch", "two"])
def test_heads_without_and_with_batches(leading):
    mha, x, y = MultiHeadAttention(D_MODEL, H), draw(*leading, N, D_MODEL), draw(M, D_MODEL)
    output, A = mha(x, y)
    close((output, A), mha(x, y.expand(*leading, M, D_MODEL)))
    assert output.shape == (*leading, N, D_MODEL)
    assert A.shape == (*leading, H, N, M)
    one = (0,) * len(leading)
    close((output[one], A[one]), mha(x[one], y))


def test_initial_weights_have_variance_1_over_d_model():
    torch.manual_seed(0)
    mha = MultiHeadAttention(256, 4)
    bound = math.sqrt(3 / 256)  # of a uniform law of that variance
    for W in (mha.W_Q, mha.W_K, mha.W_V, mha.W_O):
        assert W.shape == (256, 256)
        assert 0.999 * bound < W.abs().max() <= bound
        # Var(W²) = 4/45 bound⁴ for a uniform law; five standard errors.
        slack = 5 * math.sqrt(4 / 45) * bound**2 / 256
        assert abs(W.square().mean() - 1 / 256) < slack
    assert len(list(mha.parameters())) == 4


# -- heads with a hook, causal heads, heads without weights --------------------------------


def turned(Q, K, V):
    """Rotary positions, with other angles for keys: a slip between the two would show."""
    return rotary(Q, torch.arange(Q.shape[-2])), rotary(K, 3 * torch.arange(K.shape[-2])), 2 * V


def split(x, W):
    return (x @ W).unflatten(-1, (H, -1)).transpose(-3, -2)


@masked
def test_a_hook_is_attention_on_the_processed_heads(mask):
    mha = MultiHeadAttention(D_MODEL, H, process_heads=turned)
    x, y = draw(B, N, D_MODEL), draw(B, M, D_MODEL)
    mask = some_keys(N, M) if mask else None
    Q, K, V = split(x, mha.W_Q), split(y, mha.W_K), split(y, mha.W_V)
    Q, K = rotary(Q, torch.tensor([0, 1, 2, 3])), rotary(K, 3 * torch.arange(M))
    heads, A = attention(Q, K, 2 * V, mask)
    close(mha(x, y, mask), (heads.transpose(-3, -2).flatten(-2) @ mha.W_O, A))
    plain = MultiHeadAttention(D_MODEL, H)
    plain.load_state_dict(mha.state_dict())  # a hook is no state
    assert not torch.allclose(plain(x, y, mask)[1], A)


@pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
@pytest.mark.parametrize("hook", [None, turned], ids=["plain", "hook"])
@pytest.mark.parametrize("leading", [(), (B,), (2, 5)], ids=["none", "batch", "two"])
def test_without_weights_the_outputs_are_the_same(causal, hook, leading):
    mha = MultiHeadAttention(D_MODEL, H, causal=causal, process_heads=hook)
    x = draw(*leading, N, D_MODEL)
    assert mha(x, need_weights=False)[1] is None
    close(
        value_and_gradients(lambda x: mha(x, need_weights=False)[0], x),
        value_and_gradients(lambda x: mha(x)[0], x),
    )
    if not causal:
        y = draw(M, D_MODEL)  # leading axes broadcast in the fused kernel too
        close(mha(x, y, need_weights=False)[0], mha(x, y)[0])


def test_without_weights_a_mask_still_hides_and_is_still_checked(no_shape_checks):
    mha, x, y = MultiHeadAttention(D_MODEL, H), draw(B, N, D_MODEL), draw(B, M, D_MODEL)
    mask = some_keys(N, M)
    output, A = mha(x, y, mask, need_weights=False)
    assert A is None
    close(output, mha(x, y, mask)[0])
    with pytest.raises(ValueError, match="nothing to attend to"):
        mha(x, y, mask & (torch.arange(N) > 0)[:, None], need_weights=False)


def test_a_causal_layer_is_the_causal_mask():
    mha, x = MultiHeadAttention(D_MODEL, H, causal=True), draw(B, N, D_MODEL)
    plain = MultiHeadAttention(D_MODEL, H)
    plain.load_state_dict(mha.state_dict())
    close(mha(x), plain(x, mask=causal_mask(N)), rtol=0, atol=0)
    for bad in ({"mask": causal_mask(N)}, {"memory": x}):
        for need_weights in (True, False):
            with pytest.raises(ValueError, match=f"^{next(iter(bad))} must be omitted"):
                mha(x, **bad, need_weights=need_weights)


def test_without_weights_shapes_are_checked_and_values_are_not(no_shape_checks):
    mha, x = MultiHeadAttention(D_MODEL, H), draw(B, N, D_MODEL)
    for bad in (torch.ones(B, N, 5), torch.ones(D_MODEL)):
        with pytest.raises(ValueError, match=r"^x must have rows of d_model = 12 entries"):
            mha(bad, need_weights=False)
        with pytest.raises(ValueError, match=r"^memory must have rows of d_model = 12 entries"):
            mha(x, bad, need_weights=False)
    x[0, 0, 0] = nan
    assert mha(x, need_weights=False)[0][0].isnan().any()
    with pytest.raises(ValueError, match=r"^x holds a value that is not finite"):
        mha(x)


@pytest.mark.parametrize(
    "hook",
    [lambda Q, K, V: (Q, K), lambda Q, K, V: Q, lambda Q, K, V: None,
     lambda Q, K, V: (Q.mT, K, V), lambda Q, K, V: (Q, K[..., :1], V), lambda Q, K, V: (Q, 3, V)],
    ids=["two", "one", "none", "transposed", "narrow", "number"],
)  # fmt: skip
def test_a_hook_that_returns_something_else(hook, no_shape_checks):
    mha = MultiHeadAttention(D_MODEL, H, process_heads=hook)
    for need_weights in (True, False):
        with pytest.raises(ValueError, match=r"^process_heads must return Q, K and V in their"):
            mha(draw(B, N + 1, D_MODEL), need_weights=need_weights)


def test_bad_hooks_and_flags(no_shape_checks):
    for bad in (3, "rotary", True):
        with pytest.raises(ValueError, match=r"^process_heads must be a function"):
            MultiHeadAttention(D_MODEL, H, process_heads=bad)
    for bad in (1, None, "yes"):
        with pytest.raises(ValueError, match=r"^causal must be True or False"):
            MultiHeadAttention(D_MODEL, H, causal=bad)


# -- layers --------------------------------------------------------------------------------


def layer_in_torch(mine, norm_first, cls):
    layer = cls(D_MODEL, H, D_FF, dropout=0.0, batch_first=True, norm_first=norm_first)
    state = {name: torch.zeros_like(w) for name, w in layer.state_dict().items()}
    for name, part in (("self_attn", mine.attend), ("multihead_attn", mine.cross)):
        if part is not None:
            state[f"{name}.in_proj_weight"] = torch.cat([part.W_Q, part.W_K, part.W_V], 1).T
            state[f"{name}.out_proj.weight"] = part.W_O.T
    parts = {"linear1": mine.ffn[0], "linear2": mine.ffn[2]}
    parts |= {f"norm{i}": norm for i, norm in enumerate(mine.norms, 1)}
    for name, part in parts.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = part.weight, part.bias
    layer.load_state_dict(state)
    return layer


def layer_of(norm_first, cross):
    layer = TransformerLayer(D_MODEL, H, D_FF, cross=cross, norm_first=norm_first)
    with torch.no_grad():  # gains and biases of their own: norms must not be exchangeable
        for weight in layer.norms.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return layer


@orders
@masked
def test_encoder_layer_is_that_of_torch_in_value_and_gradient(norm_first, mask):
    mine, x = layer_of(norm_first, cross=False), draw(B, N, D_MODEL)
    mask = causal_mask(N) if mask else None
    theirs = layer_in_torch(mine, norm_first, nn.TransformerEncoderLayer)
    close(
        value_and_gradients(lambda x: mine(x, mask=mask)[0], x),
        value_and_gradients(lambda x: theirs(x, src_mask=None if mask is None else ~mask), x),
    )


@orders
@masked
def test_decoder_layer_is_that_of_torch_in_value_and_gradient(norm_first, mask):
    mine, x, y = layer_of(norm_first, cross=True), draw(B, N, D_MODEL), draw(B, M, D_MODEL)
    own, other = (causal_mask(N), some_keys(N, M)) if mask else (None, None)
    theirs = layer_in_torch(mine, norm_first, nn.TransformerDecoderLayer)
    masks = {"tgt_mask": ~own, "memory_mask": ~other} if mask else {}
    close(
        value_and_gradients(lambda x, y: mine(x, y, own, other)[0], x, y),
        value_and_gradients(lambda x, y: theirs(x, y, **masks), x, y),
    )


def test_a_layer_returns_the_weights_of_its_attentions_in_order():
    layer, x, y = layer_of(False, cross=True), draw(B, N, D_MODEL), draw(B, M, D_MODEL)
    own, other = causal_mask(N), some_keys(N, M)
    _, (A, A_cross) = layer(x, y, own, other)
    assert torch.equal(A > 0, own.expand(B, H, N, N))
    assert torch.equal(A_cross > 0, other.expand(B, H, N, M))
    close(A, layer.attend(x, mask=own)[1])
    _, weights = layer_of(True, cross=False)(x)
    assert [A.shape for A in weights] == [(B, H, N, N)]


@pytest.mark.parametrize("cross", [False, True], ids=["unused", "missing"])
def test_a_memory_without_use_or_none_where_needed(cross):
    memory = None if cross else draw(B, M, D_MODEL)
    with pytest.raises(ValueError, match=f"memory must be {'given' if cross else 'omitted'}"):
        layer_of(False, cross)(draw(B, N, D_MODEL), memory)


# -- the smoothed loss ---------------------------------------------------------------------


def law(K, target, eps, convention):
    """The target rows, written out entry by entry."""
    share = eps / K if convention == "K" else eps / (K - 1)
    right = 1 - eps + (share if convention == "K" else 0)
    return torch.tensor([[right if j == c else share for j in range(K)] for c in target.tolist()])


@pytest.mark.parametrize("eps", [0, 0.1, 0.5, 1], ids=lambda e: f"eps={e}")
@pytest.mark.parametrize("convention", ["K", "K-1"])
@pytest.mark.parametrize("K", [2, 7])
@dtypes
def test_smoothed_loss_is_torchs_in_value_and_gradient(eps, convention, K, dtype):
    z, target = 3 * draw(5, K, dtype=dtype), torch.tensor([K - 1, 0, 1, 1, 0])
    a = law(K, target, eps, convention).to(dtype)
    mine = value_and_gradients(lambda z: smoothed_cross_entropy(z, target, eps, convention), z)
    close(mine, value_and_gradients(lambda z: F.cross_entropy(z, a, reduction="none"), z))
    assert mine[0].dtype == dtype
    if convention == "K":
        theirs = value_and_gradients(
            lambda z: F.cross_entropy(z, target, label_smoothing=eps, reduction="none"), z
        )
        close(mine, theirs)


def test_convention_K_is_the_default():
    z, target = draw(3, 4), torch.tensor([0, 3, 2])
    close(smoothed_cross_entropy(z, target, 0.2), smoothed_cross_entropy(z, target, 0.2, "K"))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=["one-row", "rows", "two-axes"])
def test_one_loss_for_each_row(shape):
    z, target = draw(*shape, 5), torch.randint(5, shape)
    loss = smoothed_cross_entropy(z, target, 0.1, "K-1")
    assert loss.shape == shape
    flat = smoothed_cross_entropy(z.reshape(-1, 5), target.reshape(-1), 0.1, "K-1")
    close(loss.reshape(-1), flat)


@given(st.integers(2, 9), st.floats(0.01, 0.9), st.sampled_from(["K", "K-1"]))
def test_the_optimum_is_the_stated_gap(K, eps, convention):
    gap = math.log(1 + K * (1 - eps) / eps) if convention == "K" else math.log(
        (1 - eps) * (K - 1) / eps)  # fmt: skip
    z = torch.zeros(1, K)
    z[0, 0] = gap
    loss, grad = value_and_gradients(
        lambda z: smoothed_cross_entropy(z, torch.tensor([0]), eps, convention), z
    )
    a = law(K, torch.tensor([0]), eps, convention)
    close(grad, torch.zeros(1, K), atol=1e-14, rtol=0)
    close(loss, -(a * a.log()).sum(-1))


def test_no_logarithm_of_0():
    z = torch.tensor([[0.0, 2000.0]])
    close(smoothed_cross_entropy(z, torch.tensor([0]), 0.0), torch.tensor([2000.0]))
    loss, grad = value_and_gradients(lambda z: smoothed_cross_entropy(z, torch.tensor([1]), 0.1), z)
    close(loss, torch.tensor([100.0]))
    assert grad.isfinite().all()


def test_smoothed_loss_under_vmap():
    z, target = draw(3, 2, 5), torch.randint(5, (3, 2))
    each = torch.func.vmap(lambda z, c: smoothed_cross_entropy(z, c, 0.1))(z, target)
    close(each, smoothed_cross_entropy(z, target, 0.1))


# -- bad input -----------------------------------------------------------------------------

Q0, K0, V0 = torch.ones(4, 5).double(), torch.ones(6, 5).double(), torch.ones(6, 7).double()
NO_TOKENS = {
    "list": [[1.0]],
    "int": torch.ones(4, 5, dtype=torch.int64),
    "bool": torch.ones(4, 5, dtype=torch.bool),
    "half": torch.ones(4, 5, dtype=torch.float16),
    "one-axis": torch.ones(5, dtype=torch.float64),
    "no-tokens": torch.ones(0, 5, dtype=torch.float64),
    "no-entries": torch.ones(4, 0, dtype=torch.float64),
    "nan": torch.full((4, 5), nan, dtype=torch.float64),
    "inf": torch.full((4, 5), -inf, dtype=torch.float64),
}
no_tokens = pytest.mark.parametrize("bad", NO_TOKENS.values(), ids=NO_TOKENS)


@no_tokens
@pytest.mark.parametrize("place", [0, 1, 2], ids=["Q", "K", "V"])
def test_no_queries_keys_or_values(bad, place, no_shape_checks):
    arguments = [Q0, K0, V0]
    arguments[place] = bad
    with pytest.raises(ValueError, match=f"^{'QKV'[place]} "):
        attention(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Q0, K0.float(), V0), "K must have the dtype of Q, torch.float64, got torch.float32"),
        ((Q0, K0, V0.float()), "V must have the dtype of K"),
        (
            (Q0, K0[:, :4], V0),
            "K must have the 5 entries of Q along axis -1, got shape (6, 4",
        ),
        (
            (Q0, K0, V0[:4]),
            "V must have the 6 tokens of K along axis -2, got shape (4, 7)",
        ),
        ((Q0.expand(2, 4, 5), K0.expand(3, 6, 5), V0), "Q, K and V must have leading axes that br"),
        ((Q0, K0.expand(3, 6, 5), V0.expand(2, 6, 7)), "Q, K and V must have leading axes that br"),
    ],
    ids=["dtype-K", "dtype-V", "d_q", "m", "axes-QK", "axes-KV"],
)
def test_arguments_that_do_not_fit(arguments, message, no_shape_checks):
    with pytest.raises(ValueError, match=re.escape(message)):
        attention(*arguments)


@pytest.mark.parametrize("scale", [0, -1.0, nan, inf, True, "1", torch.tensor(1.0)])
def test_no_scale(scale, no_shape_checks):
    with pytest.raises(ValueError, match="scale must be a finite number, positive"):
        attention(Q0, K0, V0, scale=scale)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(4, 6), "mask must be a boolean tensor"),
        (torch.ones(4, 6, dtype=torch.int64), "mask must be a boolean tensor"),
        ([[True] * 6] * 4, "mask must be a boolean tensor"),
        (torch.ones(6, 4, dtype=torch.bool), "mask must broadcast to the shape of scores"),
        (torch.ones(6, dtype=torch.bool), "mask must have 2 or 4 axes, got shape ("),
        (torch.ones(2, 4, 6, dtype=torch.bool), "mask must have 2 or 4 axes, got shape ("),
        (torch.ones(1, 2, 2, 4, 6, dtype=torch.bool), "mask must have 2 or 4 axes"),
        (torch.zeros(4, 6, dtype=torch.bool), "masked in every entry of row (0, 0, 0)"),
    ],
    ids=["float", "int", "list", "transposed", "one-axis", "b=h,n,m", "too-many", "fully-masked"],
)
def test_no_mask(mask, message, no_shape_checks):
    Q, K, V = (x.expand(2, 2, *x.shape) for x in (Q0, K0, V0))
    with pytest.raises(ValueError, match=re.escape(message)):
        attention(Q, K, V, mask)


def test_one_fully_masked_row_is_enough_to_be_refused():
    mask = torch.ones(2, 2, 4, 6, dtype=torch.bool)
    mask[1, 0, 2] = False
    Q, K, V = (x.expand(2, 2, *x.shape) for x in (Q0, K0, V0))
    with pytest.raises(ValueError, match=re.escape("row (1, 0, 2)")):
        attention(Q, K, V, mask)


@pytest.mark.parametrize("name", ["d_model", "n_heads", "d_ff"])
@pytest.mark.parametrize("value", [0, -2, 2.0, True, "4", None])
def test_no_size(name, value, no_shape_checks):
    sizes = {"d_model": 12, "n_heads": 3, "d_ff": 5} | {name: value}
    with pytest.raises(ValueError, match=f"{name} must be an integer, at least 1"):
        TransformerLayer(**sizes)


@pytest.mark.parametrize("name", ["cross", "norm_first"])
@pytest.mark.parametrize("value", [0, 1, None, "yes"])
def test_no_flag(name, value, no_shape_checks):
    with pytest.raises(ValueError, match=f"{name} must be True or False, got"):
        TransformerLayer(12, 3, 5, **{name: value})


def test_heads_that_do_not_divide():
    with pytest.raises(ValueError, match="n_heads must divide d_model = 12, got 5"):
        MultiHeadAttention(12, 5)


@no_tokens
@pytest.mark.parametrize("name", ["x", "memory"])
def test_no_sequence(bad, name, no_shape_checks):
    mha = MultiHeadAttention(5, 1)
    good = torch.ones(3, 5)
    with pytest.raises(ValueError, match=f"^{name} "):
        mha(*((bad, good) if name == "x" else (good, bad)))


@pytest.mark.parametrize(
    ("x", "memory", "message"),
    [
        ((3, 4), (3, 5), "x must have the 5 entries of W_Q along axis -1, got shape (3, 4)"),
        ((3, 5), (3, 6), "memory must have the 5 entries of W_K along axis -1, got shape (3"),
        ((2, 3, 5), (4, 3, 5), "x and memory must have leading axes that broadcast"),
    ],
    ids=["width-x", "width-memory", "axes"],
)
def test_sequences_that_do_not_fit(x, memory, message, no_shape_checks):
    with pytest.raises(ValueError, match=re.escape(message)):
        MultiHeadAttention(5, 1)(torch.ones(x), torch.ones(memory))
    with pytest.raises(ValueError, match="must have the dtype of W_Q"):
        MultiHeadAttention(5, 1)(torch.ones(3, 5).float())


Z, C = torch.ones(3, 4).double(), torch.tensor([0, 3, 1])


@pytest.mark.parametrize(
    ("z", "target", "smoothing", "convention", "message"),
    [
        (Z.long(), C, 0.1, "K", "logits must be float32 or float64"),
        ([[1.0]], C, 0.1, "K", "logits must be a torch tensor"),
        (Z * nan, C, 0.1, "K", "logits holds a value that is not finite"),
        (Z * -inf, C, 0.1, "K", "logits holds a value that is not finite"),
        (Z[:, :0], C, 0.1, "K", "logits must have at least one entry"),
        (Z, C.double(), 0.1, "K", "target must be an int64 tensor, got torch.float64"),
        (Z, C.int(), 0.1, "K", "target must be an int64 tensor, got torch.int32"),
        (Z, [0, 3, 1], 0.1, "K", "target must be an int64 tensor, got list"),
        (Z, C[:2], 0.1, "K", "target must have one class for each row, shape (3,); got (2,)"),
        (Z, C[:, None], 0.1, "K", "target must have one class for each row"),
        (Z, C + 1, 0.1, "K", "target holds no class from 0 to 3: 4 at index (1,)"),
        (Z, C - 1, 0.1, "K", "target holds no class from 0 to 3: -1 at index (0,)"),
        (Z, C, -0.1, "K", "smoothing must be between 0 and 1"),
        (Z, C, 1.1, "K", "smoothing must be between 0 and 1"),
        (Z, C, nan, "K", "smoothing must be between 0 and 1"),
        (Z, C, True, "K", "smoothing must be between 0 and 1"),
        (Z, C, 0.1, "k", "convention must be one of K, K-1"),
        (Z, C, 0.1, None, "convention must be one of K, K-1"),
        (Z[:, :1], 0 * C, 0.1, "K-1", "number of wrong classes in logits must be an integer, at l"),
    ],
)  # fmt: skip
def test_no_smoothed_loss(z, target, smoothing, convention, message, no_shape_checks):
    with pytest.raises(ValueError, match=re.escape(message)):
        smoothed_cross_entropy(z, target, smoothing, convention)


def test_one_class_under_convention_K_costs_nothing():
    loss = smoothed_cross_entropy(torch.ones(2, 1), torch.tensor([0, 0]), 0.3)
    assert torch.equal(loss, torch.zeros(2))
