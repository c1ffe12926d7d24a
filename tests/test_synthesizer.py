"""attnlib/synthesizer.py against loops over heads, rows and columns, and against its parts."""

import math

import mpmath
import pytest
import torch
from helpers import close, each_once, refused
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from attnlib.synthesizer import SynthesizerAttention, tile_factors

KINDS = ["dense", "random", "factorized"]
kinds = pytest.mark.parametrize("kind", KINDS)
sharing = pytest.mark.parametrize("shared", [False, True], ids=["per-head", "shared"])
masks = pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
BATCH, N, D, H, ELL = 2, 5, 12, 3, 11  # all different; a = 4, c = 3


def make(kind="dense", shared=False, causal=True, dtype=torch.float64, d=D, h=H, ell=ELL):
    """A layer with every parameter, biases too, away from 0."""
    layer = SynthesizerAttention(d, h, ell, kind=kind, shared=shared, causal=causal)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(0.7 * torch.randn_like(p))
    return layer.to(dtype)


def tokens(*shape, dtype=torch.float64):
    return torch.randn(*(shape or (BATCH, N, D)), dtype=dtype)


# -- the formula, entry by entry -------------------------------------------------------------


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def loop_scores(layer, p, x, i, t):
    """Row t of the scores of head i, uncut; x is a list of tokens."""
    d, ell = layer.d_model, layer.block_size
    own = 0 if layer.shared else i
    if layer.kind == "random":
        return [p["R"][own, t, j] for j in range(ell)]
    wide = d // layer.n_heads
    hidden = []
    for u in range(i * wide, (i + 1) * wide):
        z = dot(x[t], [p["A"][k, u] for k in range(d)]) + p["b_1"][u]
        hidden.append(torch.where(z > 0, z, torch.zeros_like(z)))

    def row(B, b, j):
        return dot(hidden, [p[B][own, u, j] for u in range(wide)]) + p[b][own, j]

    if layer.kind == "dense":
        return [row("B", "b_2", j) for j in range(ell)]
    c = p["B_r"].shape[-1]
    return [row("B_p", "b_p", j // c) * row("B_r", "b_r", j % c) for j in range(ell)]


def loop(layer, X):
    """The whole layer; slow, with scalars only."""
    p = dict(layer.named_parameters())
    d, h = layer.d_model, layer.n_heads
    wide = d // h
    batches = []
    for x in X:
        Y = [[None] * d for _ in range(len(x))]
        for i in range(h):
            for t in range(len(x)):
                keys = range(t + 1) if layer.causal else range(len(x))
                scores = loop_scores(layer, p, x, i, t)
                e = [scores[j].exp() for j in keys]
                for u in range(i * wide, (i + 1) * wide):
                    values = [dot(x[j], [p["V"][k, u] for k in range(d)]) for j in keys]
                    Y[t][u] = dot(e, values) / sum(e)
        rows = [
            [dot(Y[t], [p["W_O"][u, o] for u in range(d)]) + p["b_O"][o] for o in range(d)]
            for t in range(len(x))
        ]
        batches.append(torch.stack([torch.stack(row) for row in rows]))
    return torch.stack(batches)


@kinds
@each_once("shared, causal", [False, True, False, True], [False, True, True, False])
def test_equals_the_loop_forward_and_backward(kind, shared, causal):
    layer = make(kind, shared, causal, d=6, h=3, ell=7)
    X = tokens(2, 4, 6).requires_grad_()
    leaves = [X, *layer.parameters()]
    probe = tokens(2, 4, 6)
    value, reference = layer(X)[0], loop(layer, X)
    assert value.shape == X.shape
    # 20 roundings of scores below 30, in the exponent of values below 30.
    tolerance = {"atol": 20 * 30 * 30 * 2**-52, "rtol": 0}
    close(value, reference, **tolerance)
    got = torch.autograd.grad((probe * value).sum(), leaves)
    wanted = torch.autograd.grad((probe * reference).sum(), leaves)
    for g, w in zip(got, wanted, strict=True):
        close(g, w, atol=100 * 30 * 30 * 2**-52, rtol=0)


@kinds
@sharing
def test_scores_against_the_loop(kind, shared):
    layer = make(kind, shared)
    X = tokens()
    p = dict(layer.named_parameters())
    S = layer.scores(X)
    assert S.shape == (BATCH, H, N, N)
    for i in range(H):
        for t in range(N):
            row = torch.stack(loop_scores(layer, p, X[1], i, t))[:N]
            close(S[1, i, t], row, atol=30 * 30 * 2**-52, rtol=0)


@kinds
@each_once("n, causal", [1, 4, ELL, ELL], [False, True])
def test_lengths(kind, causal, n):
    layer = make(kind, causal=causal, d=6)
    X = tokens(BATCH, n, 6)
    close(layer(X)[0], loop(layer, X), atol=20 * 30 * 30 * 2**-52, rtol=0)


@pytest.mark.parametrize(
    ("d", "h", "ell"), [(1, 1, 1), (4, 1, 3), (4, 4, 2), (6, 2, 5), (6, 3, 9), (5, 5, 11)],
    ids=["all-1", "one-head", "d_head=1", "a·c>block", "square-block", "prime-block"],
)  # fmt: skip
@kinds
def test_sizes(kind, d, h, ell):
    layer = make(kind, shared=h % 2 == 0, d=d, h=h, ell=ell)
    X = tokens(1, ell, d)
    close(layer(X)[0], loop(layer, X), atol=20 * 30 * 30 * 2**-52, rtol=0)


def test_one_row_at_50_digits():
    layer = make(d=4, h=2, ell=3, causal=False)
    X = tokens(1, 3, 4)
    p = {k: v.tolist() for k, v in layer.named_parameters()}
    x = X[0].tolist()
    with mpmath.workdps(50):
        exact = lambda m: mpmath.matrix([[mpmath.mpf(v) for v in row] for row in m])  # noqa: E731
        XA, XV = exact(x) * exact(p["A"]), exact(x) * exact(p["V"])
        Y = mpmath.matrix(3, 4)
        for i in range(2):
            for t in range(3):
                hidden = [max(XA[t, u] + mpmath.mpf(p["b_1"][u]), 0) for u in (2 * i, 2 * i + 1)]
                s = [
                    mpmath.fsum(hidden[u] * mpmath.mpf(p["B"][i][u][j]) for u in range(2))
                    + mpmath.mpf(p["b_2"][i][j])
                    for j in range(3)
                ]
                e = [mpmath.exp(z) for z in s]
                for u in (2 * i, 2 * i + 1):
                    Y[t, u] = mpmath.fsum(e[j] * XV[j, u] for j in range(3)) / mpmath.fsum(e)
        out = Y * exact(p["W_O"])
        expected = [[float(out[t, o] + mpmath.mpf(p["b_O"][o])) for o in range(4)]
                    for t in range(3)]  # fmt: skip
    expected = torch.tensor(expected, dtype=torch.float64)
    close(layer(X)[0][0], expected, atol=20 * 30 * 2**-52, rtol=0)


# -- tiling ----------------------------------------------------------------------------------


@given(st.integers(1, 7), st.integers(1, 7), st.data())
def test_tiling_uses_every_product_once(a, c, data):
    n = data.draw(st.integers(1, a * c))
    P, R = torch.randn(2, a, dtype=torch.float64), torch.randn(2, c, dtype=torch.float64)
    s = tile_factors(P, R, n)
    assert s.shape == (2, n)
    for j in range(n):
        assert s[1, j] == P[1, j // c] * R[1, j % c]
    whole = tile_factors(P, R, a * c)
    close(whole, torch.stack([torch.outer(p, r).flatten() for p, r in zip(P, R, strict=True)]))
    stretched = P.repeat_interleave(c, dim=-1) * R.repeat(1, a)
    close(whole, stretched, atol=0, rtol=0)


def test_tiling_both_as_blocks_is_something_else():
    P, R = torch.tensor([2.0, 3.0]), torch.tensor([5.0, 7.0])
    assert tile_factors(P, R, 4).tolist() == [10.0, 14.0, 15.0, 21.0]
    assert (P.repeat(2) * R.repeat(2)).tolist() == [10.0, 21.0, 10.0, 21.0]


@pytest.mark.parametrize(
    ("ell", "a", "c"),
    [(1, 1, 1), (2, 2, 1), (4, 2, 2), (5, 3, 2), (9, 3, 3), (10, 4, 3), (13, 4, 4), (17, 5, 4)],
)
def test_factors_are_short_and_long_enough(ell, a, c):
    layer = SynthesizerAttention(4, 2, ell, kind="factorized")
    assert (layer.b_p.shape[-1], layer.b_r.shape[-1]) == (a, c)
    assert a == math.ceil(math.sqrt(ell))
    assert a * c >= ell > a * (c - 1)


# -- what depends on what ----------------------------------------------------------------------


@kinds
@sharing
def test_scores_of_a_row_depend_on_no_other_token(kind, shared):
    layer = make(kind, shared)
    X = tokens(1, N, D)
    J = torch.autograd.functional.jacobian(layer.scores, X)  # [1, H, N, N, 1, N, D]
    J = J[0].abs().amax((0, 2, 3, 5))  # [t, j]: row, token
    own = torch.eye(N, dtype=torch.bool)
    assert (J[~own] == 0).all()
    assert (J[own] == 0).all() if kind == "random" else (J[own] > 0).all()


@kinds
def test_outputs_depend_on_every_token_that_is_not_masked(kind):
    for causal in (False, True):
        layer = make(kind, causal=causal)
        J = torch.autograd.functional.jacobian(lambda X, f=layer: f(X)[0], tokens(1, N, D))
        J = J[0].abs().amax((1, 2, 4))
        seen = torch.ones(N, N).tril() if causal else torch.ones(N, N)
        assert ((J > 0) == seen.bool()).all()


@kinds
@masks
def test_outputs_are_affine_in_the_other_tokens(kind, causal):
    layer = make(kind, causal=causal)
    X, step = tokens(), tokens()
    step[:, N - 1] = 0  # the last row sees all, and its own token stays
    close(layer(X + 2 * step)[0][:, -1] - layer(X + step)[0][:, -1],
          layer(X + step)[0][:, -1] - layer(X)[0][:, -1],
          atol=20 * 30 * 30 * 2**-52, rtol=0)  # fmt: skip


@pytest.mark.parametrize("kind", ["dense", "factorized"])
def test_equal_tokens_have_equal_rows_of_scores(kind):
    layer = make(kind)
    X = tokens()
    X[:, 3] = X[:, 0]
    S = layer.scores(X)
    close(S[:, :, 3], S[:, :, 0], atol=30 * 30 * 2**-52, rtol=0)


@pytest.mark.parametrize(("shared", "rank"), [(False, D + H), (True, D // H + 1)],
                         ids=["per-head", "shared"])  # fmt: skip
def test_rank_of_the_scores_of_all_heads(shared, rank):
    layer = make(shared=shared, ell=24)
    S = layer.scores(tokens(1, 24, D))[0]
    assert torch.linalg.matrix_rank(S[0]) == D // H + 1
    assert torch.linalg.matrix_rank(S.flatten(0, 1)) == rank


# -- cutting and masking -----------------------------------------------------------------------


@kinds
@each_once("shared, n", [False, True], [1, 3])
def test_scores_of_fewer_tokens_are_the_corner(kind, shared, n):
    layer = make(kind, shared)
    X = tokens()
    S = layer.scores(X)
    close(layer.scores(X[:, :n]), S[:, :, :n, :n], atol=30 * 30 * 2**-52, rtol=0)


@kinds
@sharing
def test_causal_outputs_of_a_prefix_are_the_prefix(kind, shared):
    X = tokens()
    tolerance = {"atol": 20 * 30 * 30 * 2**-52, "rtol": 0}
    causal = make(kind, shared)
    close(causal(X[:, :3])[0], causal(X)[0][:, :3], **tolerance)
    full = make(kind, shared, causal=False)
    assert not torch.allclose(full(X[:, :3])[0], full(X)[0][:, :3])


@kinds
def test_columns_beyond_n_have_no_gradient(kind):
    layer = make(kind, causal=False)
    layer(tokens(BATCH, 4, D))[0].square().sum().backward()
    if kind == "dense":
        assert (layer.B.grad[..., :4] != 0).any((0, 1)).all()
        assert (layer.B.grad[..., 4:] == 0).all()
        assert (layer.b_2.grad[..., 4:] == 0).all()
    elif kind == "random":
        used = torch.zeros(ELL, ELL, dtype=torch.bool)
        used[:4, :4] = True
        assert ((layer.R.grad != 0).all(0) == used).all()
    else:  # ⌈4/3⌉ = 2 of the 4 entries of p
        assert (layer.b_p.grad[:, :2] != 0).all()
        assert (layer.b_p.grad[:, 2:] == 0).all()


@kinds
@sharing
def test_weights_of_zero_scores_are_means(kind, shared):
    layer = make(kind, shared)
    with torch.no_grad():
        for name, p in layer.named_parameters():
            if name not in ("V", "W_O", "b_O"):
                p.zero_()
    X = tokens()
    means = torch.stack([X[:, : t + 1].mean(1) for t in range(N)], 1)
    close(layer(X)[0], means @ layer.V @ layer.W_O + layer.b_O, atol=1e-12, rtol=0)


@kinds
def test_huge_scores_pick_one_value(kind):
    """No overflow: softmax subtracts its maximum."""
    layer = make(kind, causal=False)
    with torch.no_grad():
        for name in {"dense": ["B", "b_2"], "random": ["R"]}.get(kind, ["B_p", "b_p"]):
            getattr(layer, name).mul_(1e5)
    X = tokens()
    value = layer(X)[0]
    assert value.isfinite().all()
    pick = layer.scores(X).argmax(-1)  # [batch, heads, n]
    V = (X @ layer.V).unflatten(-1, (H, -1)).transpose(1, 2)
    Y = V.gather(2, pick[..., None].expand(-1, -1, -1, D // H))
    close(value, Y.transpose(1, 2).flatten(-2) @ layer.W_O + layer.b_O)


# -- sharing, parameters, state ---------------------------------------------------------------


@kinds
def test_shared_is_unshared_with_copies(kind):
    one, many = make(kind, shared=True), make(kind)
    with torch.no_grad():
        for name, p in many.named_parameters():
            p.copy_(getattr(one, name))
    X, probe = tokens(), tokens()
    close(one(X)[0], many(X)[0], atol=20 * 30 * 30 * 2**-52, rtol=0)
    (probe * one(X)[0]).sum().backward()
    (probe * many(X)[0]).sum().backward()
    for name, p in one.named_parameters():
        g = getattr(many, name).grad
        g = g if g.shape == p.shape else g.sum(0, keepdim=True)
        close(p.grad, g, atol=100 * 30 * 30 * 2**-52, rtol=0)


@sharing
def test_parameter_shapes_and_counts(shared):
    g, a, c = 1 if shared else H, 4, 3
    common = {"V": (D, D), "W_O": (D, D), "b_O": (D,)}
    hidden = {"A": (D, D), "b_1": (D,)}
    expected = {
        "dense": {**hidden, "B": (g, D // H, ELL), "b_2": (g, ELL), **common},
        "random": {"R": (g, ELL, ELL), **common},
        "factorized": {
            **hidden, "B_p": (g, D // H, a), "b_p": (g, a), "B_r": (g, D // H, c), "b_r": (g, c),
            **common,
        },
    }  # fmt: skip
    counts = {"dense": 3 * D * D + 2 * D + g * (D // H + 1) * ELL,
              "random": 2 * D * D + D + g * ELL * ELL,
              "factorized": 3 * D * D + 2 * D + g * (D // H + 1) * (a + c)}  # fmt: skip
    for kind in KINDS:
        layer = SynthesizerAttention(D, H, ELL, kind, shared=shared)
        assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == expected[kind]
        assert sum(p.numel() for p in layer.parameters()) == counts[kind]
        assert not list(layer.buffers())
        assert all(p.requires_grad for p in layer.parameters())


@kinds
@sharing
def test_a_seed_fixes_the_start(kind, shared):
    layers = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        layers.append(SynthesizerAttention(D, H, ELL, kind, shared).state_dict())
    first, again, other = layers
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["V"], other["V"])
    assert not torch.equal(first["W_O"], first["V"])
    score = {"dense": "B", "random": "R", "factorized": "B_p"}[kind]
    assert not torch.equal(first[score], other[score])
    for name in ("V", "W_O"):
        assert 0.9 * D**-0.5 < first[name].abs().max() <= D**-0.5


@sharing
def test_matrices_start_within_one_over_the_root_of_their_rows(shared):
    """Rows, not columns: d for A, V, W_O and d_head for B and the factors; R is normal."""
    torch.manual_seed(0)
    d, d_head, ell = 60, 20, 25
    bounds = {"A": d**-0.5, "V": d**-0.5, "W_O": d**-0.5,
              "B": d_head**-0.5, "B_p": d_head**-0.5, "B_r": d_head**-0.5}  # fmt: skip
    for kind in KINDS:
        for name, p in SynthesizerAttention(d, d // d_head, ell, kind, shared).named_parameters():
            if name in bounds:  # 100 or more uniform entries: the largest is near the bound
                assert 0.9 * bounds[name] < p.abs().max() <= bounds[name], name
                assert p.min() < -0.8 * bounds[name], name
                assert p.max() > 0.8 * bounds[name], name
    # 625 or more normal draws: their standard deviation is 1 within 5 of its errors 1/√(2·625).
    R = SynthesizerAttention(d, 3, ell, "random", shared).R
    assert abs(R.std() - 1) < 5 * (2 * ell * ell) ** -0.5


@kinds
@sharing
def test_biases_start_at_0_but_those_of_factors_at_1(kind, shared):
    for name, p in SynthesizerAttention(D, H, ELL, kind, shared).named_parameters():
        if name.startswith("b_"):
            assert (p == float(name in ("b_p", "b_r"))).all(), name


@kinds
def test_every_parameter_gets_a_gradient_from_the_start(kind):
    layer = SynthesizerAttention(D, H, ELL, kind)
    layer(torch.randn(BATCH, ELL, D))[0].square().sum().backward()
    for name, p in layer.named_parameters():
        assert (p.grad != 0).any(), name


@kinds
@masks
def test_multiply_adds(kind, causal):
    """2 flops each, in the products of matrices; the counter does not see the rest."""
    for n in (4, ELL):
        layer = make(kind, causal=causal)
        X = tokens(1, n, D)
        with FlopCounterMode(display=False) as scores:
            layer.scores(X)
        with FlopCounterMode(display=False) as whole:
            layer(X)
        expected = {"dense": n * D * D + n * n * D, "random": 0,
                    "factorized": n * D * D + n * D * (4 + 3)}[kind]  # fmt: skip
        assert scores.get_total_flops() == 2 * expected
        assert whole.get_total_flops() == 2 * (expected + 2 * n * D * D + n * n * D)


# -- bad input ---------------------------------------------------------------------------------


class TestBadInput:
    def test_d_model_not_divisible(self):
        with pytest.raises(ValueError, match=r"d_model must be a multiple of n_heads.* 7 and 2"):
            SynthesizerAttention(7, 2, 4)
        with pytest.raises(ValueError, match=r"d_model must be a multiple of n_heads.* 2 and 4"):
            SynthesizerAttention(2, 4, 4)

    @pytest.mark.usefixtures("no_shape_checks")
    @pytest.mark.parametrize("call", ["forward", "scores"])
    def test_x(self, call):
        f, good = getattr(make(), call), tokens()
        for bad in (good[0], good[None], good[..., :-1]):
            refused("x", ["[batch, n, d_model = 12]"], lambda bad=bad: f(bad))
        refused("x", ["n = 0 tokens"], lambda: f(good[:, :0]))
        refused("x", ["n = 12 tokens", "block_size = 11"], lambda: f(tokens(BATCH, ELL + 1, D)))


def test_is_a_module_with_the_names_of_the_interface():
    layer = SynthesizerAttention(d_model=6, n_heads=2, block_size=4)
    assert isinstance(layer, nn.Module)
    assert (layer.kind, layer.shared, layer.causal) == ("dense", False, True)


# -- the weights that come with the outputs ----------------------------------------------------


@kinds
@sharing
@masks
def test_outputs_are_made_of_the_weights_returned(kind, shared, causal):
    layer, X = make(kind, shared, causal), tokens()
    Y, A = layer(X)
    S = layer.scores(X).exp()
    S = S.tril() if causal else S
    close(A, S / S.sum(-1, keepdim=True))
    heads = [A[:, i] @ X @ layer.V[:, i * 4 : i * 4 + 4] for i in range(H)]
    close(Y, torch.cat(heads, -1) @ layer.W_O + layer.b_O)
    without, none = layer(X, need_weights=False)
    assert none is None
    assert torch.equal(without, Y)


@pytest.mark.parametrize("kind", ["dense", "random", "factorized"])
def test_products_that_overflow_are_named(kind):
    layer = SynthesizerAttention(6, 2, 5, kind=kind).double()
    x = torch.full((1, 3, 6), 1e308, dtype=torch.float64)
    with torch.no_grad():
        layer.V.fill_(1.0)
        if kind != "random":
            layer.A.fill_(1.0)
    named = {"dense": "scores", "random": "x @ V", "factorized": "P"}[kind]
    with pytest.raises(ValueError, match=f"^{named} holds a value that is not finite"):
        layer(x)
