"""What four kinds of layer cost: multiply–adds, steps in a row, and how far a message travels.

Every number is a Python integer, and exact.
"""

from __future__ import annotations

from attnlib._inputs import require_choice, require_integer

__all__ = ["multiply_adds", "path_length", "sequential_depth"]

LAYERS = ("self-attention", "recurrent", "convolution", "restricted")


def multiply_adds(layer: str, n: int, d: int, k: int | None = None, r: int | None = None) -> int:
    r"""Multiply–adds of one layer on n vectors of d entries, projections and biases left out.

    .. math::
        2n^2d, \qquad 2nd^2, \qquad knd^2, \qquad
        2d\,\bigl(n(2w + 1) - w(w + 1)\bigr) \text{ with } w = \min(\lfloor r/2\rfloor, n - 1)

    in the order self-attention, recurrent, convolution, restricted. Serves the claims
    ``encoder-complexity`` and ``restricted-attention``. Self-attention pays for Q Kᵀ and A V, a
    recurrent layer for the products with W_h and W_x at every position, the first included; the
    convolution is padded with zeros, which are multiplied too. Restricted attention pays for
    the pairs of positions at most ⌊r/2⌋ apart, and for no others. The four projections of
    attention cost 4 n d² more.

    Args:
        layer: "self-attention", "recurrent", "convolution" or "restricted".
        n: positions, at least 1.
        d: entries of each vector, at least 1.
        k: taps of the kernel, at least 1; for the convolution, and only there.
        r: size of the neighbourhood, at least 1: the window reaches ⌊r/2⌋ positions to either
            side, and holds r + 1 of them if r is even, r if it is odd; for restricted attention,
            and only there.

    Raises:
        ValueError: an unknown layer, a number that is no integer or too small, a k or an r that
            is missing or does not belong.

    >>> multiply_adds("self-attention", n=5, d=3), multiply_adds("recurrent", n=5, d=3)
    (150, 90)
    >>> multiply_adds("restricted", n=5, d=3, r=2)  # 13 pairs: 3 + 3 + 3, and 2 at each end
    78
    """
    n, k, r = _arguments(layer, n, k, r, needed=True)
    d = require_integer("d", d, least=1)
    if layer == "self-attention":
        return 2 * n * n * d
    if layer == "recurrent":
        return 2 * n * d * d
    if layer == "convolution":
        return k * n * d * d
    w = min(r // 2, n - 1)
    # A full window at each position, less what hangs over: 1 + 2 + … + w at either end.
    return 2 * d * (n * (2 * w + 1) - w * (w + 1))


def sequential_depth(layer: str, n: int, k: int | None = None, r: int | None = None) -> int:
    r"""Steps of one layer that must wait for each other: n in a recurrent layer, else 1.

    Serves the claim ``encoder-sequential``. A step computes one output from what it needs,
    however many terms it sums. Neither k nor r changes the answer: they may be given to the
    layer they belong to, or left out.

    Args:
        layer: as for ``multiply_adds``.
        n: positions, at least 1. One position takes one step, in every layer.
        k: taps, optional; for the convolution only.
        r: size of the neighbourhood, optional; for restricted attention only.

    Raises:
        ValueError: as for ``multiply_adds``, but k and r are never missing.

    >>> sequential_depth("recurrent", n=5), sequential_depth("convolution", n=5, k=3)
    (5, 1)
    """
    n, _, _ = _arguments(layer, n, k, r, needed=False)
    return n if layer == "recurrent" else 1


def path_length(
    layer: str, n: int, k: int | None = None, r: int | None = None, dilated: bool = False
) -> int:
    r"""Fewest steps that carry a message from the first position to the last.

    .. math::
        1, \qquad n - 1, \qquad \Bigl\lceil\frac{n - 1}{k - 1}\Bigr\rceil, \qquad
        \Bigl\lceil\frac{n - 1}{\lfloor r/2\rfloor}\Bigr\rceil

    in the order of ``multiply_adds``. Serves the claims ``encoder-complexity`` and
    ``restricted-attention``. A step is one of the recurrence, or one layer of a stack of equal
    layers. The convolution is causal. Dilated, its layer number ℓ = 0, 1, … has taps k^ℓ
    positions apart, and ⌈log n / log k⌉ layers suffice, counted here without logarithms.

    Args:
        layer: as for ``multiply_adds``.
        n: positions, at least 1. With one position the first is the last: the path is 0, in
            every layer.
        k: taps, at least 2, as one tap reaches nobody; for the convolution, and only there.
        r: size of the neighbourhood, at least 2 for the same reason; for restricted attention,
            and only there.
        dilated: the convolution's taps spread by powers of k.

    Raises:
        ValueError: as for ``multiply_adds``; also, ``dilated`` is not a bool, or is True for
            another layer than the convolution.

    >>> path_length("convolution", n=27, k=3), path_length("convolution", n=27, k=3, dilated=True)
    (13, 3)
    """
    n, k, r = _arguments(layer, n, k, r, needed=True, least=2)
    if not isinstance(dilated, bool):
        raise ValueError(f"dilated must be True or False, got {dilated!r}")
    if dilated and layer != "convolution":
        raise ValueError(f"dilated is for the convolution; {layer!r} has no taps to spread")
    if layer == "self-attention":
        return min(1, n - 1)
    if layer == "recurrent":
        return n - 1
    if layer == "restricted":
        return _ceil_div(n - 1, r // 2)
    if not dilated:
        return _ceil_div(n - 1, k - 1)
    # Not math.log: log 125 / log 5 comes out above 3, and its ceiling is 4.
    layers, positions = 0, 1
    while positions < n:
        layers, positions = layers + 1, positions * k
    return layers


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def _arguments(
    layer: str, n: int, k: int | None, r: int | None, needed: bool, least: int = 1
) -> tuple[int, int | None, int | None]:
    """n, k and r checked: k belongs to the convolution, r to restricted attention."""
    require_choice("layer", layer, LAYERS)
    n = require_integer("n", n, least=1)
    k = _size("k", k, layer, "convolution", needed, least)
    r = _size("r", r, layer, "restricted", needed, least)
    return n, k, r


def _size(
    name: str, value: int | None, layer: str, owner: str, needed: bool, least: int
) -> int | None:
    if layer != owner:
        if value is not None:
            raise ValueError(f"{name} is for {owner!r}; {layer!r} has none, got {value!r}")
        return None
    if value is None and not needed:
        return None
    if value is None:
        raise ValueError(f"{name} is missing: {owner!r} needs it")
    return require_integer(name, value, least=least)
