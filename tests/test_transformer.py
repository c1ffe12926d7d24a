"""attnlib/transformer.py against PyTorch's own modules with copied weights, and slow loops."""

import math

import pytest
import torch
import torch.nn.functional as F
from helpers import close, dtypes
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attnlib.positions import rotary
from attnlib.transformer import (
    MultiHeadAttention,
    TransformerLayer,
    attention,
    causal_mask,
    padding_mask,
    smoothed_cross_entropy,
)

inf, nan = math.inf, math.nan
masked = pytest.mark.parametrize("mask", [False, True], ids=["no-mask", "mask"])
orders = pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
B, H, N, M, D_K, D_V = 2, 3, 4, 6, 5, 7
D_MODEL, D_FF = 12, 17


pytestmark = pytest.mark.usefixtures("double_by_default")


def draw(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype)


def batch_of_heads(dtype=torch.float64):
    return (draw(B, H, *size, dtype=dtype) for size in ((N, D_K), (M, D_K), (M, D_V)))


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
    Q, K, V = batch_of_heads(dtype)
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
    Q, K, V = batch_of_heads()
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


# -- the causal mask -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5])
def test_causal_mask_is_s_at_most_t(n):
    mask = causal_mask(n)
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[s <= t for s in range(n)] for t in range(n)]


@orders
def test_a_causal_layer_cannot_see_the_future(norm_first):
    layer = TransformerLayer(D_MODEL, H, D_FF, norm_first=norm_first)
    J = torch.autograd.functional.jacobian(lambda X: layer(X, mask=causal_mask(N))[0],
                                           draw(N, D_MODEL))  # fmt: skip
    size = J.abs().amax((1, 3))
    assert torch.equal(size > 0, causal_mask(N))


@pytest.mark.parametrize(
    ("n", "m", "offset"), [(1, 6, 5), (2, 6, 4), (3, 3, 0), (4, 2, 0), (2, 9, 3)]
)
def test_a_causal_mask_for_other_keys_than_queries(n, m, offset):
    expected = [[s <= t + offset for s in range(m)] for t in range(n)]
    assert causal_mask(n, m, offset).tolist() == expected
    assert torch.equal(causal_mask(n, offset=offset), causal_mask(n + offset)[offset:])


@pytest.mark.parametrize("new", [1, 2, 4])
def test_new_tokens_with_a_cache_get_what_the_whole_sequence_gives_them(new):
    Q, K, V = draw(M, D_K), draw(M, D_K), draw(M, D_V)
    whole, _ = attention(Q, K, V, causal_mask(M))
    output, _ = attention(Q[-new:], K, V, causal_mask(new, M, offset=M - new))
    close(output, whole[-new:])


# -- padding -------------------------------------------------------------------------------


def test_padding_mask_is_s_below_the_length():
    lengths = torch.tensor([[3, 1, 4], [2, 4, 1]])
    mask = padding_mask(lengths, 4)
    assert mask.dtype == torch.bool
    assert mask.shape == (2, 3, 1, 1, 4)
    expected = [[[s < length for s in range(4)] for length in row] for row in lengths.tolist()]
    assert mask[:, :, 0, 0].tolist() == expected
    assert padding_mask(torch.tensor(2), 3).tolist() == [[[True, True, False]]]


@pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("n", [4, 5], ids=["batch-is-n", "batch-is-not-n"])
def test_tokens_of_a_padded_batch_get_what_they_get_alone(causal, need_weights, n):
    lengths = torch.tensor([1, 3, n, 2])
    mha, x = MultiHeadAttention(D_MODEL, H), draw(4, n, D_MODEL)
    mask = padding_mask(lengths, n)
    mask = mask & causal_mask(n) if causal else mask
    output, _ = mha(x, mask=mask, need_weights=need_weights)
    for i, length in enumerate(lengths.tolist()):
        alone, _ = mha(x[i, :length], mask=causal_mask(length) if causal else None)
        close(output[i, :length], alone)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ([1, 2], "an int64 tensor, got list"),
        (torch.tensor([1, 2], dtype=torch.int32), "an int64 tensor, got torch.int32"),
        (torch.ones(2).double(), "an int64 tensor, got torch.float64"),
        (torch.tensor([2, 0]), r"no length from 1 to 3: 0 at index \(1,\)"),
        (torch.tensor([[4]]), r"no length from 1 to 3: 4 at index \(0, 0\)"),
    ],
)
def test_no_lengths(lengths, said):
    with pytest.raises(ValueError, match=f"^lengths (must be|holds) {said}$"):
        padding_mask(lengths, 3)


# -- masks that can be read in two ways ----------------------------------------------------


def test_a_mask_with_a_row_a_query_or_a_row_an_example():
    """As many examples as queries: by chance both would fit."""
    mha, x = MultiHeadAttention(D_MODEL, H), draw(N, N, D_MODEL)
    real = padding_mask(torch.tensor([1, 3, 4, 2]), N)
    said = (r"^mask of shape \(4, 4\) could have a row a query or a row an example, with scores "
            r"\(4, 3, 4, 4\): write mask\[None, None\] or mask\[:, None, None\]$")  # fmt: skip
    for two in (real[:, 0, 0], causal_mask(N)):
        with pytest.raises(ValueError, match=said):
            mha(x, mask=two)
    close(mha(x, mask=real[:, 0, 0][:, None, None]), mha(x, mask=real))
    every = causal_mask(N)[None, None]
    for i, A in enumerate(mha(x, mask=every)[1]):
        close(A, mha(x[i], mask=causal_mask(N))[1])
    with pytest.raises(ValueError, match=r"^mask of .*write mask\[None\] or mask\[:, None\]$"):
        attention(x, x, x, causal_mask(N))
    with pytest.raises(ValueError, match=r"^mask of .*mask\[None, None, None\] or mask\[None, :, "):
        mha(draw(5, N, N, D_MODEL), mask=causal_mask(N))
    layer = TransformerLayer(D_MODEL, H, D_FF, cross=True)
    with pytest.raises(ValueError, match=r"^memory_mask of .*memory_mask\[:, None, None\]$"):
        layer(x, draw(N, M, D_MODEL), memory_mask=some_keys(N, M))


def test_masks_with_one_reading_pass():
    """Heads are no examples, a single row serves all, and a key alone leaves no choice."""
    mha, x = MultiHeadAttention(D_MODEL, H), draw(B, H, D_MODEL)
    mha(x[0], mask=causal_mask(H))
    mha(x, mask=causal_mask(H))
    mha(x, mask=some_keys(1, H))
    mha(draw(1, 1, D_MODEL), mask=causal_mask(1))
    Q, K, V = draw(N, N, D_K), draw(N, 1, D_K), draw(N, 1, D_V)
    attention(Q, K, V, torch.ones(N, 1, dtype=torch.bool))


@pytest.mark.usefixtures("no_shape_checks")
def test_a_row_an_example_that_fits_no_queries_is_shown_how_to_be_written():
    mha, x = MultiHeadAttention(D_MODEL, H), draw(B, N, D_MODEL)
    mask = some_keys(B, N)
    with pytest.raises(ValueError, match=r"; for a row an example write mask\[:, None, None\]$"):
        mha(x, mask=mask)
    mha(x, mask=mask[:, None, None])
    with pytest.raises(ValueError, match=r"^mask must have 2 axes, got shape \(3,\)$"):
        attention(draw(N, D_K), draw(3, D_K), draw(3, D_V), some_keys(3))


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


@pytest.mark.parametrize("need_weights", [True, False])
def test_one_memory_serves_a_batch(need_weights):
    mha, x, y = MultiHeadAttention(D_MODEL, H), draw(2, 5, N, D_MODEL), draw(M, D_MODEL)
    expected, A = mha(x, y.expand(2, 5, M, D_MODEL))
    output, weights = mha(x, y, need_weights=need_weights)
    close(output, expected)
    if need_weights:
        close(weights, A)


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


def value_and_gradient(f, x, weights):
    x = x.detach().clone().requires_grad_()
    y = f(x)
    return [y, *torch.autograd.grad((weights * y).sum(), x)]


@pytest.mark.parametrize("ignore_index", [-100, 1], ids=["no-class", "a-class"])
@pytest.mark.parametrize("convention", ["K", "K-1"])
def test_ignored_targets_cost_nothing_as_in_torch(ignore_index, convention):
    z, target = 3 * draw(2, 4, 5), torch.tensor([[1, 0, 4, 1], [0, 1, 3, 2]])
    target[0, 1] = target[1, 2] = ignore_index
    weights, real = draw(2, 4), target != ignore_index
    loss, grad = value_and_gradient(lambda z: smoothed_cross_entropy(
        z, target, 0.2, convention, ignore_index), z, weights)  # fmt: skip
    assert (loss[~real] == 0).all()
    assert (grad[~real] == 0).all()
    alone = smoothed_cross_entropy(z[real], target[real], 0.2, convention)
    close(loss[real], alone)
    if convention == "K":
        close([loss, grad], value_and_gradient(lambda z: F.cross_entropy(
            z.flatten(0, 1), target.flatten(), label_smoothing=0.2, reduction="none",
            ignore_index=ignore_index).view(2, 4), z, weights))  # fmt: skip


@pytest.mark.usefixtures("no_shape_checks")
def test_targets_are_ignored_by_that_number_alone():
    z, target = draw(2, 4), torch.tensor([-100, 3])
    with pytest.raises(ValueError, match=r"^target holds no class from 0 to 3: -100"):
        smoothed_cross_entropy(z, target, 0.1)
    with pytest.raises(ValueError, match=r"^target holds no class from 0 to 3: -100"):
        smoothed_cross_entropy(z, target, 0.1, ignore_index=-1)
    with pytest.raises(ValueError, match=r"^target must be an int64 tensor, got list"):
        smoothed_cross_entropy(z, [0, 1], 0.1, ignore_index=-1)


@dtypes
@pytest.mark.parametrize("convention", ["K", "K-1"])
def test_logits_near_the_largest_number_have_a_finite_loss(dtype, convention):
    large = 0.8 * torch.finfo(dtype).max
    z = torch.tensor([[large, -large, 0.0]], dtype=dtype)
    loss, grad = value_and_gradient(
        lambda z: smoothed_cross_entropy(z, torch.tensor([0]), 0.125, convention), z, 1
    )
    u = 0.125 / (3 if convention == "K" else 2)
    close(loss, torch.tensor([large * (3 * u)], dtype=dtype))
    right = 1 - 0.125 + (u if convention == "K" else 0)
    close(grad, torch.tensor([[1 - right, -u, -u]], dtype=dtype))
    with pytest.raises(ValueError, match=r"^logits holds a row whose loss overflows: inf .*\(0,\)"):
        smoothed_cross_entropy(z, torch.tensor([1]), 0.125, convention)
    zero = smoothed_cross_entropy(z, torch.tensor([1]), 0.125, convention, ignore_index=1)
    assert torch.equal(zero, torch.zeros(1, dtype=dtype))


# -- what only these functions refuse, or allow ---------------------------------------------


def test_convention_K_is_the_default_and_one_class_costs_nothing_under_it():
    z, target = draw(3, 4), torch.tensor([0, 3, 2])
    close(smoothed_cross_entropy(z, target, 0.2), smoothed_cross_entropy(z, target, 0.2, "K"))
    one, first = torch.ones(2, 1), torch.tensor([0, 0])
    assert torch.equal(smoothed_cross_entropy(one, first, 0.3), torch.zeros(2))
    with pytest.raises(ValueError, match="number of wrong classes in logits must be an integer"):
        smoothed_cross_entropy(one, first, 0.1, "K-1")


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("n", [0, 2.0, True, None], ids=repr)
def test_no_number_of_tokens(n):
    with pytest.raises(ValueError, match="n must be an integer, at least 1"):
        causal_mask(n)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("shape", [(M,), (B, N, M), (1, B, H, N, M)], ids=str)
def test_masks_with_other_axes(shape):
    """Three axes would be read as heads, a single one as keys: neither is guessed."""
    with pytest.raises(ValueError, match="mask must have 2 or 4 axes, got shape"):
        attention(*batch_of_heads(), torch.ones(shape, dtype=torch.bool))


@pytest.mark.usefixtures("no_shape_checks")
def test_masks_that_fit_no_scores_or_leave_a_query_nothing():
    with pytest.raises(ValueError, match="mask must broadcast to the shape of scores"):
        attention(*batch_of_heads(), torch.ones(M, N, dtype=torch.bool))
    mask = torch.ones(B, H, N, M, dtype=torch.bool)
    mask[1, 0, 2] = False
    with pytest.raises(ValueError, match=r"row \(1, 0, 2\)"):
        attention(*batch_of_heads(), mask)


def test_leading_axes_that_do_not_broadcast():
    Q, K, V = batch_of_heads()
    for heads in ((Q, K[:, :2], V), (Q, K, V[:, :2])):
        with pytest.raises(ValueError, match="Q, K and V must have leading axes that broadcast"):
            attention(*heads)


@pytest.mark.usefixtures("no_shape_checks")
def test_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match="n_heads must divide d_model = 12, got 5"):
        MultiHeadAttention(12, 5)
    mha = MultiHeadAttention(5, 1)
    with pytest.raises(ValueError, match=r"x must have the 5 entries of W_Q along axis -1, got"):
        mha(torch.ones(3, 4))
    with pytest.raises(ValueError, match="must have the dtype of W_Q"):
        mha(torch.ones(3, 5).float())
    with pytest.raises(ValueError, match="x and memory must have leading axes that broadcast"):
        mha(torch.ones(2, 3, 5), torch.ones(4, 3, 5))


@pytest.mark.parametrize("cross", [False, True], ids=["unused", "missing"])
def test_a_memory_without_use_or_none_where_needed(cross):
    memory = None if cross else draw(B, M, D_MODEL)
    with pytest.raises(ValueError, match=f"memory must be {'given' if cross else 'omitted'}"):
        layer_of(False, cross)(draw(B, N, D_MODEL), memory)
