"""attnlib/_attention.py against the careful way, and lower precision, autocast and temperatures."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from helpers import close, dtypes, forward_mode
from hypothesis import given, settings
from hypothesis import strategies as st

from attnlib import _attention, transformer
from attnlib.knowledge.gpt import turned_heads
from attnlib.positions import rotary
from attnlib.transformer import MultiHeadAttention, attention, causal_mask, padding_mask

inf, nan = math.inf, math.nan
HALVES = (torch.float16, torch.bfloat16)
halves = pytest.mark.parametrize("half", HALVES, ids=["float16", "bfloat16"])
weights_or_not = pytest.mark.parametrize("need_weights", [True, False], ids=["weights", "fused"])
B, H, N, M, D_K, D_V = 2, 3, 4, 6, 5, 7


def draw(*b, dtype=torch.float64):
    return [torch.randn(*b, *size, dtype=dtype) for size in ((N, D_K), (M, D_K), (M, D_V))]


def some_keys(*shape):
    mask = torch.rand(*shape) < 0.6
    mask[..., 0] = True
    return mask


# -- the quick way says what the careful way says ------------------------------------------------

FAULTS = [nan, inf, -inf, 1e30, 1e38, 3e38, -3e38, 1e-45]
BAD_SCALES = [0, -1.0, nan, inf, True, "1", 1e39, 1e300, 1e-320, torch.tensor(0.5)]
WRONG = [None, [1.0], torch.ones(2, 2, dtype=torch.int64), torch.ones(4, 5, dtype=torch.complex64)]


@st.composite
def hostile(draw_):
    """Arguments of attention, of which some may be at fault."""
    torch.manual_seed(draw_(st.integers(0, 10**6)))
    b = draw_(st.sampled_from([(), (2,), (N,), (2, 3), (N, 3), (2, 2, 3), (0,), (2, 0)]))
    dtype = draw_(st.sampled_from([torch.float32, torch.float32, torch.float64, *HALVES]))
    tensors = draw(*b, dtype=dtype)
    shapes = [(N, M), (1, M), (N, 1), (1, 1), (*b, N, M), (*b, 1, M), (*b[:1], M), (M, N), (M,)]
    mask = draw_(st.none() | st.sampled_from(shapes).map(some_keys))
    scale = draw_(st.sampled_from([None, None, 0.3, 2, 1e30]) | st.sampled_from(BAD_SCALES))
    for _ in range(draw_(st.integers(0, 2))):
        i, how = draw_(st.integers(0, 2)), draw_(st.integers(0, 7))
        if not isinstance(tensors[i], torch.Tensor) or tensors[i].ndim < 2:
            continue
        t = tensors[i] = tensors[i].clone()
        if how < 4 and t.numel():
            t.view(-1)[draw_(st.integers(0, t.numel() - 1))] = draw_(st.sampled_from(FAULTS))
        elif how == 4:
            tensors[i] = draw_(st.sampled_from(WRONG))
        elif how == 5:
            axis = draw_(st.integers(-t.ndim, -1))
            tensors[i] = t.narrow(axis, 0, t.shape[axis] // 2)
        elif how == 6:
            tensors[i] = t.double() if draw_(st.booleans()) else t.bool()
        elif how == 7:
            tensors[i] = t.flatten()
    if mask is not None and draw_(st.integers(0, 3)) == 0:
        mask = draw_(st.sampled_from([~mask, mask & False, mask.float(), [True], mask.int()]))
    return [*tensors, mask, scale]


def outcome(call):
    try:
        return [x for x in call() if x is not None]
    except ValueError as error:
        return str(error)


def same(quick, careful, dtype):
    if isinstance(careful, str) or isinstance(quick, str):
        assert quick == careful
        return
    few = 64 * torch.finfo(dtype).eps
    for one, other in zip(quick, careful, strict=True):
        assert one.dtype == other.dtype
        size = other.detach().abs().amax().item() if other.numel() else 0
        close(one, other, rtol=few, atol=few * size)


@weights_or_not
@pytest.mark.usefixtures("no_shape_checks")
@settings(max_examples=400)
@given(arguments=hostile())
def test_errors_and_results_are_those_of_a_look_at_every_argument(need_weights, arguments):
    quick = outcome(lambda: attention(*arguments, need_weights=need_weights))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformer, "quick_attention", lambda *a, **k: None)
        careful = outcome(lambda: attention(*arguments, need_weights=need_weights))
    dtype = getattr(arguments[0], "dtype", torch.float32)
    same(quick, careful, dtype if dtype.is_floating_point else torch.float32)


@weights_or_not
@pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
@pytest.mark.usefixtures("no_shape_checks")
@settings(max_examples=150)
@given(arguments=hostile())
def test_layers_say_what_a_look_at_every_argument_says(need_weights, causal, arguments):
    mha = MultiHeadAttention(D_K, 1, causal=causal)
    x, memory, _, mask, _ = arguments
    given_ = (x,) if causal else (x, memory, mask)
    quick = outcome(lambda: mha(*given_, need_weights=need_weights))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformer, "quick_attention", lambda *a, **k: None)
        careful = outcome(lambda: mha(*given_, need_weights=need_weights))
    if not need_weights and (causal or mask is None) and isinstance(quick, list):
        quick = [t.nan_to_num() for t in quick]  # torch's kernel looks at no value
        careful = [t.nan_to_num() for t in careful]
    same(quick, careful, torch.float32)


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_values_that_no_query_may_see_are_looked_at(bad):
    for i in range(3):
        arguments = draw(B, H)
        arguments[i][..., -1, 0] = bad
        mask = torch.ones(N, M, dtype=torch.bool)
        mask[:, -1] = False
        for need_weights in (True, False):
            with pytest.raises(ValueError, match=f"^{'QKV'[i]} holds a value that is not finite"):
                attention(*arguments, mask, need_weights=need_weights)


@weights_or_not
def test_a_score_of_minus_infinity_is_no_mask(need_weights):
    """It leaves no NaN behind: neither where its key is masked, nor where a product overflowed."""
    Q, K, V = torch.ones(1, 2), torch.tensor([[1.0, 1.0], [-inf, 1.0]]), torch.ones(2, 1)
    with pytest.raises(ValueError, match=r"^K holds a value that is not finite: -inf"):
        attention(Q, K, V, torch.tensor([[True, False]]), need_weights=need_weights)
    K[1] = -3e38
    with pytest.raises(ValueError, match=r"^scores holds a value that is not finite: -inf"):
        attention(Q, K, V, scale=2, need_weights=need_weights)


# -- without weights ---------------------------------------------------------------------------


@pytest.mark.parametrize("masked", ["none", "rows", "all-axes"])
@pytest.mark.parametrize("b", [(), (H,), (B, H), (2, B, H)], ids=str)
@dtypes
def test_outputs_are_the_same_without_weights(masked, b, dtype):
    Q, K, V = (x.requires_grad_() for x in draw(*b, dtype=dtype))
    mask = {"none": None, "rows": some_keys(N, M), "all-axes": some_keys(*b, N, M)}[masked]
    g = torch.randn(*b, N, D_V, dtype=dtype)
    output, A = attention(Q, K, V, mask, need_weights=False)
    assert A is None
    close(output, attention(Q, K, V, mask)[0])
    found, wanted = (
        torch.autograd.grad((g * attention(Q, K, V, mask, need_weights=flag)[0]).sum(), (Q, K, V))
        for flag in (False, True)
    )
    close(found, wanted)


def test_leading_axes_broadcast_without_weights():
    Q, K, V = torch.randn(B, 1, N, D_K), torch.randn(H, M, D_K), torch.randn(M, D_V)
    mask = some_keys(N, M)
    close(attention(Q, K, V, mask, need_weights=False)[0], attention(Q, K, V, mask)[0])
    V = torch.randn(2, 1, 1, M, D_V)
    close(attention(Q, K, V, mask, need_weights=False)[0], attention(Q, K, V, mask)[0])


@forward_mode
@pytest.mark.parametrize("masked", [False, True], ids=["no-mask", "mask"])
def test_derivatives_of_any_order_of_the_fused_kernel(masked):
    """Four axes, for which torch's kernel has a backward pass without a derivative."""
    Q, K, V = (x.requires_grad_() for x in draw(B, H))
    mask = some_keys(B, 1, N, M) if masked else None

    def f(*x):
        return attention(*x, mask, 0.7, need_weights=False)[0]

    assert torch.autograd.gradcheck(f, (Q, K, V), fast_mode=True)
    assert torch.autograd.gradgradcheck(f, (Q, K, V), fast_mode=True)
    assert torch.autograd.gradcheck(f, (Q, K, V), fast_mode=True, check_batched_grad=True)
    value = f(Q, K, V).square().sum()
    once = torch.autograd.grad(value, (Q, K, V), retain_graph=True)
    close(torch.autograd.grad(value, (Q, K, V), create_graph=True), once)
    second = torch.func.jvp(lambda q: f(q, K.detach(), V.detach()), (Q.detach(),), (Q.detach(),))
    close(second, torch.func.jvp(
        lambda q: attention(q, K.detach(), V.detach(), mask, 0.7)[0], (Q.detach(),), (Q.detach(),)
    ))  # fmt: skip


def test_causal_layers_have_second_derivatives_without_weights():
    mha = MultiHeadAttention(6, 3, causal=True).double()
    x = torch.randn(B, N, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: mha(x, need_weights=False)[0], x, fast_mode=True)


def test_a_second_pass_through_the_same_graph():
    Q, K, V = (x.requires_grad_() for x in draw(B, H))
    output, _ = attention(Q, K, V, need_weights=False)
    first = torch.autograd.grad(output.sum(), (Q, K, V), retain_graph=True)
    close(torch.autograd.grad(output.sum(), (Q, K, V), retain_graph=True), first, rtol=0, atol=0)
    torch.autograd.grad(output.sum(), (Q, K, V))
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(output.sum(), (Q, K, V))
    V_alone = draw(B, H)[2].requires_grad_()
    output, _ = attention(Q.detach(), K.detach(), V_alone, need_weights=False)
    close(torch.autograd.grad(output.sum(), V_alone),
          torch.autograd.grad(attention(Q, K, V_alone)[0].sum(), V_alone))  # fmt: skip


def test_a_changed_argument_is_noticed():
    Q, K, V = draw(B, H)
    K.requires_grad_()
    output, _ = attention(Q, K, V, need_weights=False)
    V.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


# -- lower precision -----------------------------------------------------------------------------


@halves
@weights_or_not
@pytest.mark.parametrize("masked", [False, True], ids=["no-mask", "mask"])
def test_lower_precision_is_rounded_once(half, need_weights, masked):
    """Scores of about 20: rounded to bfloat16 they would be off by up to 0.06, and A by 6 %."""
    Q, K, V = draw(40, H, dtype=torch.float32)
    Q, K, V = (x.to(half) for x in (4 * Q, 4 * K, V))
    mask = some_keys(N, M) if masked else None
    exact = attention(*(x.double() for x in (Q, K, V)), mask, need_weights=need_weights)
    found = attention(Q, K, V, mask, need_weights=need_weights)
    few = torch.finfo(half).eps
    for lower, wanted in zip(found, exact, strict=True):
        if wanted is not None:
            assert lower.dtype == half
            close(lower.double(), wanted, rtol=few, atol=few * 2**-5)
    S = (Q @ K.mT).double() / math.sqrt(D_K)  # rounded to half: what this is not
    S = S if mask is None else S.masked_fill(~mask, -inf)
    by_half = S.softmax(-1) @ V.double()
    assert (by_half - exact[0]).abs().max() > 2 * (found[0].double() - exact[0]).abs().max()


@halves
def test_gradients_in_lower_precision(half):
    Q, K, V = (x.to(half).requires_grad_() for x in draw(B, H))
    exact = [x.detach().double().requires_grad_() for x in (Q, K, V)]
    wanted = torch.autograd.grad(attention(*exact)[0].sum(), exact)
    for need_weights in (True, False):
        output, _ = attention(Q, K, V, need_weights=need_weights)
        found = torch.autograd.grad(output.sum(), (Q, K, V))
        for lower, x in zip(found, wanted, strict=True):
            assert lower.dtype == half
            close(lower.double(), x, rtol=8 * torch.finfo(half).eps, atol=torch.finfo(half).eps)


@halves
def test_layers_in_lower_precision(half):
    mha = MultiHeadAttention(6, 3, process_heads=turned_heads)
    lower = copy.deepcopy(mha).to(half)
    x = torch.randn(B, N, 6)
    for need_weights in (True, False):
        found, wanted = (
            f(t, need_weights=need_weights) for f, t in ((lower, x.to(half)), (mha, x))
        )
        for a, b in zip(found, wanted, strict=True):
            if b is not None:
                assert a.dtype == half
                close(a.float(), b, rtol=0, atol=16 * torch.finfo(half).eps)


@pytest.mark.usefixtures("no_shape_checks")
def test_mixed_precision_is_refused_outside_of_autocast():
    Q, K, V = draw(B, H, dtype=torch.float32)
    with pytest.raises(ValueError, match=r"^K must be float32 or float64, got torch.bfloat16"):
        attention(Q, K.bfloat16(), V)
    with pytest.raises(ValueError, match=r"^Q must be float32 or float64, got torch.float16"):
        attention(Q.half(), K.bfloat16(), V.half())


@weights_or_not
def test_under_autocast_no_dtype_is_refused_that_nobody_passed(need_weights):
    Q, K, V = draw(B, H, dtype=torch.float32)
    mha, x = MultiHeadAttention(6, 3), torch.randn(B, N, 6)
    mask = causal_mask(N)
    plain = mha(x, mask=mask, need_weights=need_weights)[0]
    wanted, _ = attention(Q, K, V, need_weights=need_weights)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = attention(Q, K, V, need_weights=need_weights)
        assert torch.equal(found, wanted), "float32 in: float32 all the way"
        mixed, _ = attention(Q.bfloat16(), K, V.bfloat16(), need_weights=need_weights)
        assert mixed.dtype == torch.bfloat16
        close(mixed.float(), wanted, rtol=0.02, atol=0.02)
        for t in (x, x.bfloat16()):
            lower, A = mha(t, mask=mask, need_weights=need_weights)
            close(lower.float(), plain, rtol=0.05, atol=0.05)
            close(mha(t, x, need_weights=need_weights)[0].float(), mha(x)[0].float(),
                  rtol=0.05, atol=0.05)  # fmt: skip
        if need_weights:
            assert A.dtype == torch.bfloat16


def test_weights_of_lower_precision_sum_to_1_within_its_rounding():
    Q, K, V = (x.bfloat16() for x in draw(B, H))
    _, A = attention(Q, K, V)
    assert (A.float().sum(-1) - 1).abs().max() <= torch.finfo(torch.bfloat16).eps


# -- temperatures ------------------------------------------------------------------------------


@weights_or_not
@pytest.mark.parametrize("shape", [(), (1,), (H, 1, 1), (B, 1, 1, 1), (N, 1)], ids=str)
def test_a_learnt_temperature_multiplies_scores(shape, need_weights):
    Q, K, V = draw(B, H)
    t = (torch.rand(shape, dtype=torch.float64) + 0.1).requires_grad_()
    mask = some_keys(N, M)
    output, _ = attention(Q, K, V, mask, t, need_weights=need_weights)
    expected = torch.softmax((t * (Q @ K.mT)).masked_fill(~mask, -inf), -1) @ V
    close(output, expected)
    close(torch.autograd.grad(output.square().sum(), t),
          torch.autograd.grad(expected.square().sum(), t))  # fmt: skip
    half = [x.bfloat16() for x in (Q, K, V)]
    output, _ = attention(*half, mask, t.detach().float(), need_weights=need_weights)
    assert output.dtype == torch.bfloat16
    close(output.double(), expected.detach(), rtol=0.1, atol=0.1)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("scale", "said"),
    [
        (torch.tensor(0.0), r"holds no positive finite number: 0.0 at index \(\)"),
        (torch.tensor([[[0.5]], [[nan]], [[1.0]]]), r"holds .*: nan at index \(1, 0, 0\)"),
        (torch.ones(M), r"must be a number or broadcast to \(2, 3, 4, 1\), a factor for each row"),
        (torch.ones(5, 1, 1), "must be a number or broadcast to"),
        (torch.ones(2, 1, 1, 1, 1), "must be a number or broadcast to"),
        (torch.tensor(2), "must be a finite number, positive"),
    ],
)
def test_no_temperature(scale, said):
    with pytest.raises(ValueError, match=f"^scale {said}"):
        attention(*draw(B, H), scale=scale)


# -- what is counted ---------------------------------------------------------------------------


def test_no_argument_is_read_where_nothing_is_wrong(monkeypatch):
    """The checks that read all values are for suspicion alone."""

    def never(*arguments, **keywords):
        raise AssertionError("read")

    Q, K, V = draw(B, H)
    mha, x = MultiHeadAttention(6, 3), torch.randn(B, N, 6)
    masks = [None, causal_mask(N), padding_mask(torch.tensor([1, 3]), N)]
    monkeypatch.setattr(transformer, "require_tokens", never)
    for need_weights in (True, False):
        attention(Q, K, V, some_keys(N, M), need_weights=need_weights)
        for mask in masks:
            mha(x, mask=mask, need_weights=need_weights)
    with pytest.raises(AssertionError, match="read"):
        attention(Q, K * nan, V)


def test_scores_are_not_stored_without_weights():
    """What is kept for the backward pass is of the size of the arguments."""
    Q, K, V = (torch.randn(1, 1, 512, 4, requires_grad=True) for _ in range(3))
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: sizes.append(t.numel()) or t, lambda t: t
    ):
        output, _ = attention(Q, K, V, need_weights=False)
        assert max(sizes) < 512 * 16
        sizes.clear()
        attention(Q, K, V)
        assert max(sizes) == 512 * 512
    close(output, F.scaled_dot_product_attention(Q, K, V))
    assert isinstance(output.grad_fn, _attention._Fused._backward_cls)


# -- rotary ------------------------------------------------------------------------------------


@halves
def test_rotary_in_lower_precision_is_rounded_once(half):
    x, positions = torch.randn(B, N, 6).to(half), torch.tensor([0, 3, 257, 70000])
    y = rotary(x, positions)
    assert y.dtype == half
    assert torch.equal(y, rotary(x.float(), positions).to(half))
