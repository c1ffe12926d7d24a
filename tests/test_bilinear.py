"""attnlib/bilinear.py against autograd on an explicit U, fractions, and explicit linear maps."""

import math
from fractions import Fraction

import pytest
import torch
from helpers import close, dtypes, each_once, eps, refused
from hypothesis import given
from hypothesis import strategies as st

from attnlib.bilinear import (
    bilinear_gradient,
    low_rank_factors,
    projection_gradients,
    unidentifiable,
)
from attnlib.softmax import softmax_vjp

inf, nan = math.inf, math.nan


batches = pytest.mark.parametrize("b", [(), (2, 3)], ids=str)
n, m, d, d_k, d_v = 5, 7, 6, 3, 4


def normal(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype)


def loss_of(S, V):
    """A loss of one attention that is not linear in the weights."""
    A = torch.softmax(S, -1)
    return torch.tanh(A @ V).square().sum() + (A @ V).sum(), A


# -- the gradient of U ---------------------------------------------------------------------


@batches
def test_gradient_against_autograd_on_an_explicit_U(b):
    X, X2, V = normal(*b, n, d), normal(*b, m, d), normal(*b, m, d_v)
    U = (normal(*b, d, d) / 2).requires_grad_()
    S = X @ U @ X2.mT / math.sqrt(d_k)
    loss, A = loss_of(S, V)
    G, dS, dA = torch.autograd.grad(loss, (U, S, A))
    close(bilinear_gradient(X, dS, d_k, X2), G, rtol=0, atol=1e-12 * (1 + abs(G).sum().item()))
    through_A = bilinear_gradient(X, softmax_vjp(A.detach(), dA), d_k, X2)
    close(through_A, G, rtol=0, atol=1e-12 * (1 + abs(G).sum().item()))


def test_self_attention_with_a_causal_mask():
    X, V = normal(2, n, d), normal(2, n, d_v)
    hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
    U = (normal(2, d, d) / 2).requires_grad_()
    S = (X @ U @ X.mT / math.sqrt(d_k)).masked_fill(hidden, -inf)
    loss, _ = loss_of(S, V)
    G, dS = torch.autograd.grad(loss, (U, S))
    scale = G.abs().max().item()
    close(bilinear_gradient(X, dS, d_k), G, rtol=0, atol=1e-12 * scale)
    close(bilinear_gradient(X, dS, d_k, X), G, rtol=0, atol=1e-12 * scale)


def test_one_retained_gradient_serves_all_heads():
    """Heads are leading axes; U of every head is a leaf, and the usual head is what runs."""
    h, X = 2, normal(n, d)
    W_Q, W_K = normal(2, h, d, d_k).unbind()
    V = normal(h, n, d_v)
    S = (X @ W_Q) @ (X @ W_K).mT / math.sqrt(d_k)
    S.requires_grad_()
    (dS,) = torch.autograd.grad(loss_of(S, V)[0], S)
    U = (W_Q @ W_K.mT).requires_grad_()
    (G,) = torch.autograd.grad(loss_of(X @ U @ X.mT / math.sqrt(d_k), V)[0], U)
    close(bilinear_gradient(X.expand(h, n, d), dS, d_k), G, rtol=0,
          atol=1e-12 * G.abs().max().item())  # fmt: skip


@dtypes
def test_gradient_against_exact_fractions(dtype):
    """The double sum of the chain rule, in rationals: d_k = 4 has a rational root."""
    X = torch.randint(-3, 4, (n, d)).to(dtype) / 2
    X2 = torch.randint(-3, 4, (m, d)).to(dtype) / 4
    dS = torch.randint(-3, 4, (n, m)).to(dtype) / 8
    G = bilinear_gradient(X, dS, 4, X2)
    assert G.shape == (d, d)
    assert G.dtype == dtype
    for i in range(d):
        for j in range(d):
            exact = sum(
                Fraction(X[t, i].item()) * Fraction(dS[t, s].item()) * Fraction(X2[s, j].item())
                for t in range(n) for s in range(m))  # fmt: skip
            assert Fraction(G[i, j].item()) == exact / 2, "sums of 2⁻⁷ below 2⁷ are exact"


def test_self_attention_takes_the_tokens_twice_as_they_are():
    """With a dS that no softmax made: behind a softmax a shift of X' would not show."""
    X, dS = normal(2, n, d), normal(2, n, n)
    slow = torch.einsum("bti,bts,bsj->bij", X, dS, X) / math.sqrt(d_k)
    close(bilinear_gradient(X, dS, d_k), slow, rtol=0, atol=1e-12)


@pytest.mark.parametrize("width", [1, 3, 64])
def test_the_scale_is_that_of_the_head_not_of_the_model(width):
    X, dS, X2 = normal(n, d), normal(n, m), normal(m, d)
    G = bilinear_gradient(X, dS, width, X2)
    close(G * math.sqrt(width), X.mT @ dS @ X2, rtol=0, atol=1e-12)


def test_rank_falls_short_of_the_number_of_keys():
    """D1 = 0 behind a softmax: the rank is at most min(d, n, m − 1)."""
    X, X2, V = normal(n, d), normal(4, d), normal(4, d_v)
    S = normal(n, 4).requires_grad_()
    (dS,) = torch.autograd.grad(loss_of(S, V)[0], S)
    G = bilinear_gradient(X, dS, d_k, X2)
    assert torch.linalg.matrix_rank(G) == 3
    close(bilinear_gradient(X, dS, d_k, X2 + 5), G, rtol=0, atol=1e-12)


# -- the gradients of the projections ------------------------------------------------------


@batches
def test_projections_against_autograd(b):
    X, X2, V = normal(*b, n, d), normal(*b, m, d), normal(*b, m, d_v)
    W_Q, W_K = (W.requires_grad_() for W in (normal(2, *b, d, d_k) / 2).unbind())
    S = (X @ W_Q) @ (X2 @ W_K).mT / math.sqrt(d_k)
    dW_Q, dW_K, dS = torch.autograd.grad(loss_of(S, V)[0], (W_Q, W_K, S))
    G = bilinear_gradient(X, dS, d_k, X2)
    mine = projection_gradients(G, W_Q.detach(), W_K.detach())
    assert isinstance(mine, tuple)
    for got, expected in zip(mine, (dW_Q, dW_K), strict=True):
        close(got, expected, rtol=0, atol=1e-12 * (1 + expected.abs().sum().item()))


@dtypes
def test_projections_by_hand(dtype):
    G = torch.tensor([[1.0, -1, 3], [2, -2, 5], [0, 7, 4]], dtype=dtype)
    W_Q = torch.tensor([[1.0, 0], [2, 1], [0, -1]], dtype=dtype)
    W_K = torch.tensor([[3.0, 1], [1, 0], [0, 2]], dtype=dtype)
    dW_Q, dW_K = projection_gradients(G, W_Q, W_K)
    close(dW_Q, torch.tensor([[2.0, 7], [4, 12], [7, 8]], dtype=dtype), rtol=0, atol=0)
    close(dW_K, torch.tensor([[5.0, 2], [-5, -9], [13, 1]], dtype=dtype), rtol=0, atol=0)


def test_a_query_bias_adds_a_term_and_a_key_bias_does_not():
    """∂L/∂W_K = GᵀW_Q + X'ᵀDᵀ1 b_Qᵀ/√d_k; the term of the key bias has the factor D1 = 0."""
    X, X2, V = normal(n, d), normal(m, d), normal(m, d_v)
    W_Q, W_K = (W.requires_grad_() for W in (normal(2, d, d_k) / 2).unbind())
    b_Q, b_K = normal(2, d_k)
    S = (X @ W_Q + b_Q) @ (X2 @ W_K + b_K).mT / math.sqrt(d_k)
    dW_Q, dW_K, dS = torch.autograd.grad(loss_of(S, V)[0], (W_Q, W_K, S))
    G = bilinear_gradient(X, dS, d_k, X2)
    plain_Q, plain_K = projection_gradients(G, W_Q.detach(), W_K.detach())
    close(plain_Q, dW_Q, rtol=0, atol=1e-11)
    term = torch.outer(X2.mT @ dS.sum(0), b_Q) / math.sqrt(d_k)
    close(plain_K + term, dW_K, rtol=0, atol=1e-11)
    assert term.norm() > 0.1 * dW_K.norm()


# -- what they leave open ------------------------------------------------------------------

CASES = [
    pytest.param(6, 3, 3, 3, id="full-rank"),
    pytest.param(7, 1, 1, 1, id="d_k=1"),
    pytest.param(5, 4, 2, 3, id="deficient"),
    pytest.param(6, 4, 4, 1, id="only-W_K-deficient"),
    pytest.param(4, 4, 4, 4, id="square"),
    pytest.param(3, 5, 3, 3, id="d_k>d"),
    pytest.param(4, 2, 0, 2, id="W_Q=0"),
    pytest.param(1, 2, 1, 1, id="d=1"),
]


def of_rank(rank, rows, columns, dtype=torch.float64):
    return normal(rows, rank, dtype=dtype) @ normal(rank, columns, dtype=dtype)


@dtypes
@pytest.mark.parametrize(("d", "d_k", "r_Q", "r_K"), CASES)
def test_bases_of_the_complements(d, d_k, r_Q, r_K, dtype):
    W_Q, W_K = of_rank(r_Q, d, d_k, dtype), of_rank(r_K, d, d_k, dtype)
    for N, W, rank in zip(unidentifiable(W_Q, W_K), (W_Q, W_K), (r_Q, r_K), strict=True):
        assert N.shape == (d, d - rank)
        assert N.dtype == dtype
        close(N.mT @ N, torch.eye(d - rank, dtype=dtype), rtol=0, atol=32 * eps(dtype))
        size = max(1.0, W.norm().item())
        close(
            N.mT @ W, torch.zeros(d - rank, d_k, dtype=dtype), rtol=0, atol=64 * eps(dtype) * size
        )


@pytest.mark.parametrize(("d", "d_k", "r_Q", "r_K"), CASES)
def test_kernel_against_the_explicit_linear_map(d, d_k, r_Q, r_K):
    """vec(E) ↦ (E W_K, EᵀW_Q) as a matrix: its null space is that of the E = N_Q C N_Kᵀ."""
    W_Q, W_K = of_rank(r_Q, d, d_k), of_rank(r_K, d, d_k)
    basis = torch.eye(d * d, dtype=torch.float64).view(d * d, d, d)
    images = torch.cat([(basis @ W_K).flatten(1), (basis.mT @ W_Q).flatten(1)], 1)
    nullity = d * d - int(torch.linalg.matrix_rank(images))
    N_Q, N_K = unidentifiable(W_Q, W_K)
    assert nullity == (d - r_Q) * (d - r_K) == N_Q.shape[1] * N_K.shape[1]
    if nullity:
        C = normal(nullity, N_Q.shape[1], N_K.shape[1])
        E = N_Q @ C @ N_K.mT
        assert torch.linalg.matrix_rank(E.flatten(1)) == nullity
        zero = E.flatten(1) @ images
        close(zero, torch.zeros_like(zero), rtol=0, atol=1e-12 * (1 + images.norm().item()) * 50)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_the_rank_does_not_depend_on_the_scale(scale):
    N_Q, N_K = unidentifiable(of_rank(2, 6, 3) * scale, normal(6, 3) / scale)
    assert N_Q.shape == (6, 4)
    assert N_K.shape == (6, 3)


def test_a_small_singular_value_counts_until_rounding_could_explain_it():
    eye = torch.eye(5, 3, dtype=torch.float64)
    for last, rank in ((1e-14, 3), (1e-16, 2)):  # the limit is 5·2⁻⁵² = 1.1e-15
        W = eye * torch.tensor([1.0, 1, last], dtype=torch.float64)
        assert unidentifiable(W, eye)[0].shape == (5, 5 - rank)
        assert unidentifiable(eye, W)[1].shape == (5, 5 - rank)


def test_bases_carry_no_gradient():
    W = normal(d, d_k).requires_grad_()
    assert not any(N.requires_grad for N in unidentifiable(W, W))


# -- low rank ------------------------------------------------------------------------------


@each_once("rank, b, dtype", [1, 2, 3], [(), (2, 3)], [torch.float32, torch.float64])
def test_low_rank_against_the_svd_of_U(rank, b, dtype):
    W_Q, W_K = normal(*b, d, d_k, dtype=dtype), normal(*b, d, d_k, dtype=dtype)
    left, right = low_rank_factors(W_Q, W_K, rank)
    assert left.shape == right.shape == (*b, d, rank)
    assert left.dtype == right.dtype == dtype
    P, sigma, Rt = torch.linalg.svd(W_Q.double() @ W_K.double().mT)
    best = (P[..., :rank] * sigma[..., None, :rank]) @ Rt[..., :rank, :]
    close((left @ right.mT).double(), best, rtol=0, atol=1e3 * eps(dtype))
    gram = torch.diag_embed(sigma[..., :rank])
    close((left.mT @ left).double(), gram, rtol=0, atol=1e3 * eps(dtype))
    close((right.mT @ right).double(), gram, rtol=0, atol=1e3 * eps(dtype))


@pytest.mark.parametrize(
    ("d", "d_k", "rank"), [(3, 5, 3), (4, 4, 4), (1, 1, 1), (6, 3, 3)], ids=str
)
def test_at_full_rank_nothing_is_lost_and_the_factors_are_the_smallest(d, d_k, rank):
    """½(‖W_Q‖² + ‖W_K‖²) of balanced factors is the nuclear norm."""
    W_Q, W_K = normal(2, d, d_k)
    left, right = low_rank_factors(W_Q, W_K, rank)
    U = W_Q @ W_K.mT
    close(left @ right.mT, U, rtol=0, atol=1e-12)
    half = (left.square().sum() + right.square().sum()) / 2
    close(half, torch.linalg.svdvals(U).sum(), rtol=1e-13, atol=0)
    assert half <= (W_Q.square().sum() + W_K.square().sum()) / 2 + 1e-12


@given(st.integers(1, 4), st.integers(0, 10**6))
def test_no_other_matrix_of_this_rank_is_nearer(rank, seed):
    gen = torch.Generator().manual_seed(seed)
    W_Q, W_K = torch.randn(2, 7, 4, generator=gen, dtype=torch.float64)
    left, right = low_rank_factors(W_Q, W_K, rank)
    U = W_Q @ W_K.mT
    other = (left + 0.1 * torch.randn(7, rank, generator=gen, dtype=torch.float64)) @ right.mT
    for order in ("fro", 2):
        mine = torch.linalg.matrix_norm(U - left @ right.mT, order)
        assert mine <= torch.linalg.matrix_norm(U - other, order) + 1e-12


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_weights_move_at_most_half_the_change_of_the_scores(rank):
    """‖a − a'‖ ≤ σ_{r+1}‖x‖‖X'‖/(2√d_k), nearly reached where truncation makes a tie."""
    W_Q, W_K = normal(2, 9, 4)
    left, right = low_rank_factors(W_Q, W_K, rank)
    P, sigma, Rt = torch.linalg.svd(W_Q @ W_K.mT)
    tie = torch.stack([Rt[rank], -Rt[rank]]) / 1000
    for X, X2, reached in (
        (normal(6, 9), normal(5, 9), False),
        (P[:, rank : rank + 1].mT, tie, True),
    ):
        A, cut = ((X @ a @ b.mT @ X2.mT / 2).softmax(-1) for a, b in ((W_Q, W_K), (left, right)))
        bound = sigma[rank] / 4 * X.norm(dim=-1) * torch.linalg.matrix_norm(X2, 2)
        moved = (A - cut).norm(dim=-1)
        assert (moved <= bound).all()
        assert not reached or (moved >= 0.9999 * bound).all()


# -- bad input -----------------------------------------------------------------------------


X, X2, dS = torch.ones(n, d), torch.ones(m, d), torch.ones(n, m)
G, W = torch.ones(d, d), torch.ones(d, d_k)


@pytest.mark.usefixtures("no_shape_checks")
class TestBadInput:
    def test_rank_beyond_the_factors(self):
        refused("rank", ["at most 3", "4"], lambda: low_rank_factors(W, W, 4))
        refused("rank", ["at most 2", "3"], lambda: low_rank_factors(W[:2], W[:2], 3))

    def test_self_attention_is_square(self):
        refused("X", ["(5,)", "(7,)"], lambda: bilinear_gradient(X, dS, d_k))

    def test_a_batch_has_no_single_kernel(self):
        refused(
            "W_Q", ["(2, 6, 3)"], lambda: unidentifiable(W.expand(2, d, d_k), W.expand(2, d, d_k))
        )

    def test_overflow(self):
        big = torch.full((2, 2), 3e38)
        refused("G", ["inf"], lambda: bilinear_gradient(big, big, 1))
        refused("G @ W_K", ["inf"], lambda: projection_gradients(big, big / 1e38, big))
        refused(r"G\.mT @ W_Q", ["inf"], lambda: projection_gradients(big, big, big / 1e39))
        refused(r"W_Q @ W_K\.mT", ["inf"], lambda: low_rank_factors(big / 2, big / 2, 1))
