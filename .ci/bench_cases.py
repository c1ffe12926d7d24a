"""What `make bench` times: a function of the package against what people use instead.

A case is a function of a number of rows, their length n and a dtype, which returns the two calls
and what goes into them. `work` says how many numbers a row stands for, so that every length costs
about the same; `claimed` is the power of n that the chapters state.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Categorical

from attnlib.bilinear import bilinear_gradient
from attnlib.entropy import entropy, entropy_from_logits, rectified
from attnlib.ordering import majorizes, safe_eps
from attnlib.positions import rotary
from attnlib.pruning import gate_heads, head_scores
from attnlib.smooth_max import smooth_max
from attnlib.softmax import softmax_jacobian, softmax_vjp
from attnlib.synthesizer import SynthesizerAttention
from attnlib.transformer import MultiHeadAttention, attention

Call = Callable[[], Any]
LENGTHS = (8, 64, 512, 4096)


@dataclass(frozen=True)
class Calls:
    """Ours, theirs (of several the fastest counts, and none is none), and what both are given."""

    ours: Call
    theirs: dict[str, Call]
    inputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Case:
    name: str
    against: str
    make: Callable[[int, int, torch.dtype], Calls]
    target: float | None = None  # the most that ours may take, in units of theirs
    lengths: tuple[int, ...] = LENGTHS
    work: Callable[[int], int] = lambda n: n  # numbers a row stands for
    claimed: float | None = None
    tiny: bool = True  # whether a call on a single row of 8 is held against 30 µs
    why: str = ""  # the reason why the target is missed, where it is


CASES: list[Case] = []


def case(name: str, against: str, target: float | None = None, **more: Any) -> Callable[..., Any]:
    """Put a function among the cases."""

    def add(make: Callable[..., Calls]) -> Callable[..., Calls]:
        CASES.append(Case(name, against, make, target, **more))
        return make

    return add


def forth_and_back(f: Callable[..., Tensor], x: Tensor, *others: Any) -> Call:
    """The value and the gradient of its sum."""
    leaf = x.detach().clone().requires_grad_()
    return lambda: torch.autograd.grad(f(leaf, *others).sum(), leaf)


def logits(rows: int, n: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(rows, n, dtype=dtype)


def laws(rows: int, n: int, dtype: torch.dtype) -> Tensor:
    return torch.softmax(logits(rows, n, dtype), -1)


def masks(rows: int, n: int) -> Tensor:
    mask = torch.rand(rows, n) < 0.7
    mask[:, 0] = True
    return mask


# -- softmax ---------------------------------------------------------------------------------

READS = "the sign and the sum of y must be read besides, in two passes over rows"
FIXED = "a call has a fixed cost, which shows where the other form takes microseconds"


@case("softmax_vjp", "torch's backward kernel", 2.1, claimed=1, tiny=False, why=READS)
def vjp(rows, n, dtype, **look):
    y, g = laws(rows, n, dtype), logits(rows, n, dtype)
    kernel = lambda: torch._softmax_backward_data(g, y, -1, dtype)  # noqa: E731
    return Calls(lambda: softmax_vjp(y, g, **look), {"kernel": kernel}, (y,))


@case("softmax_vjp", "its plain line", None)
def vjp_plain(rows, n, dtype):
    y, g = laws(rows, n, dtype), logits(rows, n, dtype)
    plain = lambda: y * (g - (g * y).sum(-1, keepdim=True))  # noqa: E731
    return Calls(lambda: softmax_vjp(y, g), {"plain": plain}, (y,))


@case("softmax_vjp, check_values=False", "torch's backward kernel", 1.2, tiny=False, why=FIXED)
def vjp_unchecked(rows, n, dtype):
    return vjp(rows, n, dtype, check_values=False)


@case("softmax_jacobian", "vmap(jacrev(softmax))", 1 / 3, lengths=(8, 64, 128),
      work=lambda n: n * n, tiny=False, why=FIXED)  # fmt: skip
def jacobian(rows, n, dtype):
    z = logits(rows, n, dtype)
    automatic = torch.func.vmap(torch.func.jacrev(lambda z: torch.softmax(z, -1)))
    return Calls(lambda: softmax_jacobian(z), {"jacrev": lambda: automatic(z)}, (z,))


WRITES = (
    "a product reads what filling need not; and from run to run this ratio moves by more than its "
    "spread"
)


@case("softmax_jacobian", "writing n² numbers", 1.5, lengths=(512, 1024), claimed=2,
      work=lambda n: n * n, tiny=False, why=WRITES)  # fmt: skip
def jacobian_written(rows, n, dtype):
    z = logits(rows, n, dtype)
    write = lambda: torch.empty(rows, n, n, dtype=dtype).fill_(1.0)  # noqa: E731
    return Calls(lambda: softmax_jacobian(z), {"write": write}, (z,))


@case("softmax_jacobian", "its plain line", None, lengths=(8, 64, 512), work=lambda n: n * n)
def jacobian_plain(rows, n, dtype):
    def plain():
        y = torch.softmax(z, -1)
        return torch.diag_embed(y) - y[:, :, None] * y[:, None, :]

    z = logits(rows, n, dtype)
    return Calls(lambda: softmax_jacobian(z), {"plain": plain}, (z,))


# -- entropy ---------------------------------------------------------------------------------

SHORT = "for short rows each of its five reductions costs as much as the whole of the other form"


def log_softmax_entropy(z: Tensor, mask: Tensor | None = None) -> Tensor:
    if mask is not None:
        z = z.masked_fill(~mask, -math.inf)
    log_p = torch.log_softmax(z, -1)
    return -(log_p.exp() * (log_p if mask is None else log_p.masked_fill(~mask, 0.0))).sum(-1)


@case("entropy_from_logits", "Categorical(logits=z).entropy()", 0.6, claimed=1, tiny=False)
def of_logits(rows, n, dtype):
    z = logits(rows, n, dtype)
    theirs = {"Categorical": lambda: Categorical(logits=z).entropy()}
    return Calls(lambda: entropy_from_logits(z), theirs, (z,))


@case("entropy_from_logits", "the log-softmax form", 1.2, why=SHORT)
def of_logits_plain(rows, n, dtype):
    z = logits(rows, n, dtype)
    return Calls(
        lambda: entropy_from_logits(z), {"log-softmax": lambda: log_softmax_entropy(z)}, (z,)
    )


@case("entropy_from_logits, masked", "the log-softmax form", 1.2, why=SHORT)
def of_masked_logits(rows, n, dtype):
    z, mask = logits(rows, n, dtype), masks(rows, n)
    plain = {"log-softmax": lambda: log_softmax_entropy(z, mask)}
    return Calls(lambda: entropy_from_logits(z, mask), plain, (z,))


@case("entropy_from_logits, with gradient", "the log-softmax form", 1.2, tiny=False, why=SHORT)
def of_logits_and_back(rows, n, dtype):
    z = logits(rows, n, dtype)
    plain = {"log-softmax": forth_and_back(log_softmax_entropy, z)}
    return Calls(forth_and_back(entropy_from_logits, z), plain, (z,))


@case("entropy_from_logits, masked, with gradient", "the log-softmax form", 1.2, tiny=False)
def of_masked_logits_and_back(rows, n, dtype):
    z, mask = logits(rows, n, dtype), masks(rows, n)
    plain = {"log-softmax": forth_and_back(log_softmax_entropy, z, mask)}
    return Calls(forth_and_back(entropy_from_logits, z, mask), plain, (z,))


LOOKS = "that p is a law must be read: two passes beside a line of four"


@case("entropy", "entr(p).sum(-1)", 1.3, claimed=1, why=LOOKS)
def of_laws(rows, n, dtype):
    p = laws(rows, n, dtype)
    return Calls(lambda: entropy(p), {"entr": lambda: torch.special.entr(p).sum(-1)}, (p,))


@case("rectified, once", "its plain line", 1.3, claimed=1, why=LOOKS)
def once(rows, n, dtype):
    p = laws(rows, n, dtype)
    plain = lambda: (p * (p + 0.01).log()).sum(-1)  # noqa: E731
    return Calls(lambda: rectified(p, 0.01, "once"), {"plain": plain}, (p,))


@case("rectified, twice", "its plain line", 1.3, claimed=1, why=LOOKS)
def twice(rows, n, dtype):
    def plain():
        smoothed = p + 0.01
        return (smoothed * smoothed.log()).sum(-1)

    p = laws(rows, n, dtype)
    return Calls(lambda: rectified(p, 0.01, "twice"), {"plain": plain}, (p,))


# -- smooth maxima, orders -------------------------------------------------------------------

ENDS = "the least entry must be read, and k times it: a pass beside a line of five"


def scaled_logsumexp(x: Tensor) -> Tensor:
    return torch.logsumexp(2.0 * x, -1) / 2.0


@case("smooth_max", "logsumexp(k x)/k", 1.2, claimed=1, why=ENDS)
def of_largest(rows, n, dtype):
    x = logits(rows, n, dtype)
    return Calls(lambda: smooth_max(x, 2.0), {"logsumexp": lambda: scaled_logsumexp(x)}, (x,))


@case("smooth_max, with gradient", "logsumexp(k x)/k", 1.2, tiny=False, why=ENDS)
def of_largest_and_back(rows, n, dtype):
    x = logits(rows, n, dtype)
    ours = forth_and_back(lambda x: smooth_max(x, 2.0), x)
    return Calls(ours, {"logsumexp": forth_and_back(scaled_logsumexp, x)}, (x,))


@case("majorizes", "two sorts and two sums", None, lengths=(8, 64), tiny=False)
def ordered(rows, n, dtype):
    def plain():
        lead = [x.sort(-1, descending=True).values.cumsum(-1) for x in (p, q)]
        return (lead[0] >= lead[1]).all(-1)

    p, q = laws(rows, n, dtype), laws(rows, n, dtype)
    return Calls(lambda: majorizes(p, q), {"plain": plain}, (p, q))


@case("safe_eps, of many gaps at once", "", None, lengths=(8,), tiny=False,
      work=lambda n: 64)  # fmt: skip
def safe(rows, n, dtype):
    gaps = 0.01 + torch.rand(rows, dtype=dtype) * 0.9 * math.log(n)
    return Calls(lambda: safe_eps(gaps, n, "twice"), {}, ())


# -- attention -------------------------------------------------------------------------------


def heads(rows: int, n: int, dtype: torch.dtype) -> list[Tensor]:
    return [torch.randn(1, rows, n, 64, dtype=dtype) for _ in range(3)]


SCORES = "arguments and scores are read before the work"
SQUARE = {"lengths": (64, 256), "work": lambda n: n * n, "tiny": False}


@case("attention, without weights", "scaled_dot_product_attention", 1.1, claimed=2, why=SCORES,
      **SQUARE)  # fmt: skip
def outputs(rows, n, dtype):
    Q, K, V = heads(rows, n, dtype)
    fused = {"fused": lambda: F.scaled_dot_product_attention(Q, K, V)}
    return Calls(lambda: attention(Q, K, V, need_weights=False), fused, (Q, K, V))


@case("attention, with weights", "the two-line form", 1.2, claimed=2, why=SCORES, **SQUARE)
def outputs_and_weights(rows, n, dtype):
    def plain():
        A = torch.softmax(Q @ K.mT / 8, dim=-1)
        return A @ V, A

    Q, K, V = heads(rows, n, dtype)
    return Calls(lambda: attention(Q, K, V), {"two lines": plain}, (Q, K, V))


@case("MultiHeadAttention, without weights", "nn.MultiheadAttention", 1.2, **SQUARE)
def layer(rows, n, dtype, need_weights=False):
    x = torch.randn(max(1, rows // 8), n, 512, dtype=dtype)
    ours = MultiHeadAttention(512, 8).to(dtype).requires_grad_(False)
    theirs = nn.MultiheadAttention(512, 8, bias=False, batch_first=True).to(dtype)
    theirs.requires_grad_(False)
    given = {"need_weights": need_weights, "average_attn_weights": False}
    call = {"torch": lambda: theirs(x, x, x, **given)}
    return Calls(lambda: ours(x, need_weights=need_weights), call, (x,))


@case("MultiHeadAttention, with weights", "nn.MultiheadAttention", 1.2, **SQUARE)
def layer_and_weights(rows, n, dtype):
    return layer(rows, n, dtype, need_weights=True)


@case("SynthesizerAttention, dense", "nn.MultiheadAttention", None, **SQUARE)
def synthesizer(rows, n, dtype):
    ours = SynthesizerAttention(512, 8, n, causal=False).to(dtype).requires_grad_(False)
    calls = layer(rows, n, dtype, need_weights=True)
    (x,) = calls.inputs
    return replace(calls, ours=lambda: ours(x))


TURNS = "the positions are held against those of the last calls, and the result is read"


@case("rotary", "the better of two common forms", 2.2, claimed=1, lengths=(64, 512),
      work=lambda n: 64 * n, tiny=False, why=TURNS)  # fmt: skip
def turned(rows, n, dtype):
    def halves():
        u, v = x.chunk(2, -1)
        return x * c + torch.cat((-v, u), -1) * s

    def complex_product():
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * turn).flatten(-2)

    x, positions = torch.randn(rows, n, 64, dtype=dtype), torch.arange(n)
    angle = positions.double()[:, None] * 10000.0 ** (torch.arange(0, 64, 2).double() / -64)
    turn = torch.polar(torch.ones_like(angle), angle)
    turn = turn.to(torch.complex64 if dtype == torch.float32 else torch.complex128)
    c, s = (torch.cat((t, t), -1).to(dtype) for t in (angle.cos(), angle.sin()))
    theirs = {"two halves": halves, "complex product": complex_product}
    return Calls(lambda: rotary(x, positions), theirs, (x,))


# -- gradients and scores of heads -----------------------------------------------------------


@case("bilinear_gradient", "autograd on an explicit U", 1.0, lengths=(64, 256), claimed=None,
      work=lambda n: 16 * n * n, tiny=False)  # fmt: skip
def of_bilinear_form(rows, n, dtype):
    def automatic():
        S = X @ U @ X.mT / 8
        return torch.autograd.grad(S, U, dS)

    X, dS = torch.randn(rows, n, 256, dtype=dtype), torch.randn(rows, n, n, dtype=dtype)
    U = torch.randn(rows, 256, 256, dtype=dtype, requires_grad=True)
    return Calls(lambda: bilinear_gradient(X, dS, 64), {"autograd": automatic}, (X, dS))


LAYERS, HEADS = 4, 8


@case("head_scores, gate", f"{LAYERS * HEADS} runs with a masked head", 3 / (LAYERS * HEADS),
      lengths=(32,), work=lambda n: 1024 * n, tiny=False)  # fmt: skip
def gates(rows, n, dtype):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            layers = [MultiHeadAttention(64, HEADS) for _ in range(LAYERS)]
            self.layers = nn.ModuleList(layers)

        def forward(self, x):
            for attend in self.layers:
                x = x + attend(x)[0]
            return x

    def masked():
        for i in range(LAYERS * HEADS):
            mask = torch.ones(LAYERS * HEADS, dtype=torch.bool)
            mask[i] = False
            with torch.no_grad(), gate_heads(model, mask.reshape(LAYERS, HEADS)):
                loss(model, x)

    loss = lambda model, x: model(x).square().mean((-2, -1))  # noqa: E731
    x, model = torch.randn(rows, n, 64, dtype=dtype), Model().to(dtype).eval()
    return Calls(lambda: head_scores(model, [x], "gate", loss), {"masked": masked}, (x,))


# -- errors against 50 digits ----------------------------------------------------------------

Numbers = list[mpmath.mpf]


def exact_law(z: Numbers) -> Numbers:
    e = [mpmath.exp(v) for v in z]
    return [v / mpmath.fsum(e) for v in e]


def exact_entropy(p: Numbers) -> mpmath.mpf:
    return -mpmath.fsum(v * mpmath.log(v) for v in p if v)


def exact_vjp(y: Numbers, g: Numbers) -> Numbers:
    s = mpmath.fsum(a * b for a, b in zip(y, g, strict=True))
    return [a * (b - s) for a, b in zip(y, g, strict=True)]


def exact_jacobian(z: Numbers) -> list[Numbers]:
    y = exact_law(z)
    return [[a * ((i == k) - b) for k, b in enumerate(y)] for i, a in enumerate(y)]


def plain_jacobian(z: Tensor) -> Tensor:
    y = torch.softmax(z, -1)
    return torch.diag_embed(y) - y[:, :, None] * y[:, None, :]


# Name → what it is a function of, ours, what is used instead, and the truth.
EXACT: dict[str, tuple[Iterable[str], Callable, Callable, Callable]] = {
    "softmax_vjp": (
        "pz", softmax_vjp, lambda y, g: torch._softmax_backward_data(g, y, -1, y.dtype), exact_vjp,
    ),
    "softmax_jacobian": ("z", softmax_jacobian, plain_jacobian, exact_jacobian),
    "entropy_from_logits": (
        "z", entropy_from_logits, log_softmax_entropy, lambda z: exact_entropy(exact_law(z)),
    ),
    "entropy": ("p", entropy, lambda p: torch.special.entr(p).sum(-1), exact_entropy),
    "rectified, once": (
        "p", lambda p: rectified(p, 0.01, "once"), lambda p: (p * (p + 0.01).log()).sum(-1),
        lambda p: mpmath.fsum(v * mpmath.log(v + mpmath.mpf(0.01)) for v in p),
    ),
    "smooth_max": (
        "z", lambda z: smooth_max(z, 2.0), scaled_logsumexp,
        lambda z: mpmath.log(mpmath.fsum(mpmath.exp(2 * v) for v in z)) / 2,
    ),
}  # fmt: skip
