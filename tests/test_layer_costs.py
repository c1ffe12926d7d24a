"""attnlib/layer_costs.py against loops over pairs, PyTorch's counter, autograd and graph search."""

import copy
import dataclasses
import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import refused
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from torch.utils.flop_counter import FlopCounterMode

from attnlib.layer_costs import Convolution, Recurrent, Restricted, SelfAttention

LAYERS = [SelfAttention(), Recurrent(), Convolution(3), Convolution(3, dilated=True), Restricted(4)]
METHODS = {
    "multiply_adds": lambda layer, n: layer.multiply_adds(n, 3),
    "sequential_depth": lambda layer, n: layer.sequential_depth(n),
    "path_length": lambda layer, n: layer.path_length(n),
}
layers = pytest.mark.parametrize("layer", LAYERS, ids=repr)
methods = pytest.mark.parametrize("f", METHODS.values(), ids=METHODS.keys())
# n, d, k, r: all distinct where they can be.
SIZES = {
    "n<d": (5, 11, 3, 2),
    "n>d": (13, 4, 2, 7),
    "one-position": (1, 3, 2, 4),
    "one-entry": (6, 1, 4, 3),
    "one-tap": (7, 3, 1, 5),
    "own-token-only": (7, 4, 2, 1),
    "even-r": (17, 2, 5, 6),
    "odd-r": (17, 2, 5, 7),
    "window-just-covers": (6, 2, 3, 10),
    "window-beyond-the-ends": (4, 5, 9, 50),
}
sizes = pytest.mark.parametrize(("n", "d", "k", "r"), SIZES.values(), ids=SIZES.keys())


def exactly(value, expected):
    """Equal, and a plain Python integer."""
    assert type(value) is int
    assert value == expected


# -- multiply–adds -------------------------------------------------------------------------


def counted(run):
    with FlopCounterMode(display=False) as counter:
        run()
    flops = counter.get_total_flops()
    assert flops > 0, "the counter saw nothing"
    assert flops % 2 == 0
    return flops // 2


@sizes
class TestMultiplyAdds:
    def test_self_attention_runs(self, n, d, k, r):
        Q, K, V = torch.randn(3, n, d)
        exactly(
            SelfAttention().multiply_adds(n, d),
            counted(lambda: torch.softmax(Q @ K.T, -1) @ V),
        )

    def test_recurrent_layer_of_torch_runs(self, n, d, k, r):
        cell, X = torch.nn.RNNCell(d, d, bias=False), torch.randn(n, d)

        def run():
            y = torch.zeros(1, d)
            for x in X.split(1):
                y = cell(x, y)

        exactly(Recurrent().multiply_adds(n, d), counted(run))

    def test_convolution_of_torch_runs(self, n, d, k, r):
        X, W = torch.randn(1, d, n), torch.randn(d, d, k)
        exactly(
            Convolution(k).multiply_adds(n, d),
            counted(lambda: F.conv1d(F.pad(X, (k - 1, 0)), W)),
        )

    def test_restricted_attention_by_a_loop_over_pairs(self, n, d, k, r):
        pairs = sum(abs(i - j) <= r // 2 for i, j in itertools.product(range(n), repeat=2))
        exactly(Restricted(r).multiply_adds(n, d), 2 * d * pairs)

    def test_restricted_attention_runs(self, n, d, k, r):
        Q, K, V = torch.randn(3, n, d)

        def run():
            for i in range(n):
                near = slice(max(0, i - r // 2), i + r // 2 + 1)
                torch.softmax(Q[i : i + 1] @ K[near].T, -1) @ V[near]

        exactly(Restricted(r).multiply_adds(n, d), counted(run))


big = st.integers(1, 10**30)


@given(n=big, d=big, k=big)
def test_counts_stay_exact_beyond_floats(n, d, k):
    exactly(SelfAttention().multiply_adds(n, d), 2 * n**2 * d)
    exactly(Recurrent().multiply_adds(n, d), 2 * n * d**2)
    exactly(Convolution(k).multiply_adds(n, d), k * n * d**2)
    exactly(Restricted(r=1).multiply_adds(n, d), 2 * n * d)
    # A window over everything is self-attention.
    exactly(Restricted(r=2 * n).multiply_adds(n, d), SelfAttention().multiply_adds(n, d))


@given(n=st.integers(1, 60), d=st.integers(1, 5), r=st.integers(1, 150))
def test_band_against_the_sum_over_rows(n, d, r):
    w = r // 2
    rows = [min(n, t + w + 1) - max(0, t - w) for t in range(n)]
    exactly(Restricted(r).multiply_adds(n, d), 2 * d * sum(rows))


@given(n=st.integers(1, 10**6), d=st.integers(1, 10**6))
def test_crossovers(n, d):
    bare, rnn = SelfAttention().multiply_adds(n, d), Recurrent().multiply_adds(n, d)
    assert (bare < rnn) == (n < d)
    assert bare + 4 * n * d * d > rnn


# -- depth ---------------------------------------------------------------------------------


def waves(needs):
    """Rounds until all outputs are there, if a round computes all whose needs are met."""
    done, rounds = set(), 0
    while len(done) < len(needs):
        done |= {t for t, before in needs.items() if before <= done}
        rounds += 1
    return rounds


@layers
@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_depth_is_the_number_of_rounds(layer, n):
    # Which other outputs an output is computed from.
    needs = {t: {t - 1} if layer == Recurrent() and t else set() for t in range(n)}
    exactly(layer.sequential_depth(n), waves(needs))


# -- paths ---------------------------------------------------------------------------------


def blocks(layer, n):
    """Where ∂y_t/∂x_s ≠ 0, by autograd."""
    X = torch.randn(n, 2, dtype=torch.float64)
    J = torch.autograd.functional.jacobian(layer, X)
    return (J != 0).any(3).any(1).numpy()


def arrows(kind, n, k, r):
    """The arrows of one step: [t, s] is True where position t hears position s."""
    W = torch.randn(2, 2, k, dtype=torch.float64)
    band = (torch.arange(n)[:, None] - torch.arange(n)).abs() <= r // 2
    near = torch.where(band, 0.0, -math.inf).double()
    steps = {
        SelfAttention: lambda X: torch.softmax(X @ X.T, -1) @ X,
        Recurrent: lambda X: F.pad(X[:-1], (0, 0, 1, 0)),
        Convolution: lambda X: F.conv1d(F.pad(X.T[None], (k - 1, 0)), W)[0].T,
        Restricted: lambda X: torch.softmax(X @ X.T + near, -1) @ X,
    }
    return blocks(steps[kind], n)


@pytest.mark.parametrize("kind", [SelfAttention, Recurrent, Convolution, Restricted])
@pytest.mark.parametrize(
    ("n", "k", "r"),
    [(1, 2, 2), (2, 3, 4), (4, 2, 3), (5, 3, 4), (7, 4, 5), (12, 3, 2), (13, 4, 6), (9, 20, 30)],
    ids=str,
)
def test_paths_by_dijkstra_on_the_blocks_of_autograd(kind, n, k, r):
    graph = csr_array(arrows(kind, n, k, r).T.astype(float))  # [s, t]: from s to t
    distance = dijkstra(graph, unweighted=True, indices=0)[n - 1]
    own = {Convolution: (k,), Restricted: (r,)}.get(kind, ())
    exactly(kind(*own).path_length(n), int(distance))


def lowest_stack(n, k, offsets):
    """Layers until the last position hears the first; layer number ℓ moves by offsets(ℓ)."""
    heard, layer = {0}, 0
    while n - 1 not in heard:
        heard = {s + j for s in heard for j in offsets(layer) if 0 <= s + j < n}
        layer += 1
        if layer > n:
            return None
    return layer


@pytest.mark.parametrize("k", [2, 3, 4, 5, 10])
def test_dilated_paths_by_search(k):
    for n in range(1, 130):
        found = lowest_stack(n, k, lambda layer: [j * k**layer for j in range(k)])
        exactly(Convolution(k, dilated=True).path_length(n), found)
        if n <= 10 * k:
            found = lowest_stack(n, k, lambda layer: range(k))
            exactly(Convolution(k).path_length(n), found)


def test_centred_dilation_never_links_the_ends():
    """Why the docstring says causal."""
    for n in (3, 9, 27):
        assert lowest_stack(n, 3, lambda layer: [-(3**layer), 0, 3**layer]) is None
        exactly(Convolution(k=3, dilated=True).path_length(n), round(math.log(n, 3)))


@given(k=st.integers(2, 12), power=st.integers(0, 60), step=st.sampled_from([-1, 0, 1]))
def test_logarithm_at_exact_powers(k, power, step):
    """Where a float logarithm goes wrong. 200 digits tell k**power ± 1 apart."""
    n = max(1, k**power + step)
    with mpmath.workdps(200):
        ratio = mpmath.log(n) / mpmath.log(k)
        near = mpmath.nint(ratio)
        on_the_spot = abs(ratio - near) < mpmath.mpf(10) ** -150
        expected = int(near if on_the_spot else mpmath.ceil(ratio))
    exactly(Convolution(k, dilated=True).path_length(n), expected)


def test_the_float_logarithm_that_goes_wrong():
    assert math.ceil(math.log(125) / math.log(5)) == 4
    exactly(Convolution(k=5, dilated=True).path_length(125), 3)


@given(n=st.integers(1, 10**30), k=st.integers(2, 10**30), r=st.integers(2, 10**30))
def test_contiguous_paths_are_the_least_that_reach(n, k, r):
    for length, reach in [
        (Convolution(k).path_length(n), k - 1),
        (Restricted(r).path_length(n), r // 2),
        (Recurrent().path_length(n), 1),
    ]:
        assert type(length) is int
        assert length * reach >= n - 1
        assert length == 0 or (length - 1) * reach < n - 1


@layers
def test_one_position(layer):
    """The first is the last: no step is needed to get there, one to compute it."""
    exactly(layer.path_length(1), 0)
    exactly(layer.sequential_depth(1), 1)


def test_self_attention_links_any_two_positions_at_once():
    exactly(SelfAttention().path_length(2), 1)
    exactly(SelfAttention().path_length(10**20), 1)


# -- bad input -----------------------------------------------------------------------------


BAD_INTEGERS = [
    *[pytest.param(v, id=repr(v)) for v in (0, -1, 2.0, 2.5, math.nan, math.inf, True, "3")],
    pytest.param(torch.tensor([3, 4]), id="tensor-of-two"),
    pytest.param(torch.tensor(True), id="bool-tensor"),
    pytest.param(np.float64(3.0), id="numpy-float"),
    pytest.param([3], id="list"),
]


@pytest.mark.usefixtures("no_shape_checks")
class TestBadInput:
    @methods
    @layers
    @pytest.mark.parametrize("n", [*BAD_INTEGERS, None])
    def test_n(self, f, layer, n):
        refused("n", ["integer, at least 1", repr(n)], lambda: f(layer, n))

    @layers
    @pytest.mark.parametrize("d", [*BAD_INTEGERS, None])
    def test_d(self, layer, d):
        refused("d", ["integer, at least 1", repr(d)], lambda: layer.multiply_adds(5, d))

    @pytest.mark.parametrize("value", [*BAD_INTEGERS, None])
    def test_k_and_r(self, value):
        """Before any method is called: there is no such layer."""
        refused("k", ["integer, at least 1", repr(value)], lambda: Convolution(value))
        refused("r", ["integer, at least 1", repr(value)], lambda: Restricted(value))

    @pytest.mark.parametrize("n", [1, 5])
    def test_nobody_is_reached_with_one_tap(self, n):
        refused("k", ["at least 2", "1"], lambda: Convolution(k=1).path_length(n))
        refused("k", ["at least 2"], lambda: Convolution(k=1, dilated=True).path_length(n))
        refused("r", ["at least 2", "1"], lambda: Restricted(r=1).path_length(n))
        exactly(Convolution(k=1).multiply_adds(n, 3), 9 * n)  # but it costs something
        exactly(Restricted(r=1).multiply_adds(n, 3), 6 * n)

    @pytest.mark.parametrize("dilated", [1, 0, None, "yes", 2.0, torch.tensor(True)], ids=repr)
    def test_dilated(self, dilated):
        words = ["True or False", repr(dilated)]
        refused("dilated", words, lambda: Convolution(3, dilated=dilated))


@pytest.mark.usefixtures("no_shape_checks")
def test_integers_of_numpy_and_torch_become_plain_ones():
    for n, d, k in [(np.int64(5), np.int32(3), np.uint8(2)), (*map(torch.tensor, (5, 3)), 2)]:
        exactly(Convolution(k).multiply_adds(n, d), 90)
        exactly(Convolution(k).path_length(n), 4)
        exactly(Convolution(k, dilated=True).path_length(n), 3)
        exactly(Recurrent().sequential_depth(n), 5)
        exactly(Restricted(d).path_length(n), 4)


@layers
def test_a_layer_is_a_value(layer):
    """Equal layers are one key of a dictionary, and nobody changes one in use."""
    again = copy.deepcopy(layer)
    assert len({layer, again}) == 1
    assert eval(repr(layer)) == layer
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.k = 7
    assert len(set(LAYERS)) == len(LAYERS)
