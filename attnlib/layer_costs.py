"""What four kinds of layer cost: multiply–adds, steps in a row, and how far a message travels.

A layer knows its own sizes; n, the positions, and d, the entries of each vector, are arguments.
Every number is a Python integer, and exact.
"""

from __future__ import annotations

from dataclasses import dataclass

from attnlib._inputs import require_flag, require_integer

__all__ = ["Convolution", "Recurrent", "Restricted", "SelfAttention"]


@dataclass(frozen=True)
class SelfAttention:
    """Self-attention without its four projections, which cost 4 n d² more.

    Serves the claims ``encoder-complexity`` and ``encoder-sequential``, as the other layers do.
    Every layer has the same three methods and refuses the same arguments.

    >>> layer = SelfAttention()
    >>> layer.multiply_adds(n=5, d=3), layer.sequential_depth(n=5), layer.path_length(n=5)
    (150, 1, 1)
    """

    def multiply_adds(self, n: int, d: int) -> int:
        r"""Multiply–adds of one layer on n vectors of d entries.

        .. math:: 2n^2d

        It pays for Q Kᵀ and A V.

        Args:
            n: positions, at least 1.
            d: entries of each vector, at least 1.

        Raises:
            ValueError: n or d is no integer, or less than 1.
        """
        n, d = _sizes(n, d)
        return 2 * n * n * d

    def sequential_depth(self, n: int) -> int:
        """Steps that must wait for each other: 1, at any length.

        A step computes one output from what it needs, however many terms it sums.

        Args:
            n: positions, at least 1.

        Raises:
            ValueError: n is no integer, or less than 1.
        """
        _positions(n)
        return 1

    def path_length(self, n: int) -> int:
        """Fewest steps that carry a message from the first position to the last: 1.

        A step is one of the recurrence, or one layer of a stack of equal layers. With one position
        the first is the last: the path is 0, in every layer.

        Args:
            n: positions, at least 1.

        Raises:
            ValueError: n is no integer, or less than 1.
        """
        return min(1, _positions(n) - 1)


@dataclass(frozen=True)
class Recurrent:
    """A recurrent layer, y_t = tanh(x_t W_x + y_{t−1} W_h), biases left out.

    Serves the claims ``encoder-complexity`` and ``encoder-sequential``. Arguments and errors as
    for ``SelfAttention``.

    >>> layer = Recurrent()
    >>> layer.multiply_adds(n=5, d=3), layer.sequential_depth(n=5), layer.path_length(n=5)
    (90, 5, 4)
    """

    def multiply_adds(self, n: int, d: int) -> int:
        r"""The products with W_h and W_x at every position, the first included.

        .. math:: 2nd^2
        """
        n, d = _sizes(n, d)
        return 2 * n * d * d

    def sequential_depth(self, n: int) -> int:
        """One step after the other: n."""
        return _positions(n)

    def path_length(self, n: int) -> int:
        """One position a step: n − 1."""
        return _positions(n) - 1


@dataclass(frozen=True)
class Convolution:
    r"""A causal convolution with k taps.

    Serves the claims ``encoder-complexity`` and ``encoder-sequential``. In a stack of dilated
    ones, layer number ℓ = 0, 1, … has taps k^ℓ positions apart. Arguments and errors of the
    methods as for ``SelfAttention``.

    Args:
        k: taps of the kernel, at least 1.
        dilated: the taps of a stack spread by powers of k.

    Raises:
        ValueError: k is no integer or less than 1, or dilated is not a bool.

    >>> Convolution(k=3).path_length(n=27), Convolution(k=3, dilated=True).path_length(n=27)
    (13, 3)
    """

    k: int
    dilated: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", require_integer("k", self.k, least=1))
        require_flag("dilated", self.dilated)

    def multiply_adds(self, n: int, d: int) -> int:
        r"""A product with each tap's matrix at every position.

        .. math:: knd^2

        The padding is zeros, which are multiplied too.

        >>> Convolution(k=3).multiply_adds(n=5, d=2)
        60
        """
        n, d = _sizes(n, d)
        return self.k * n * d * d

    def sequential_depth(self, n: int) -> int:
        """No output waits for another: 1."""
        _positions(n)
        return 1

    def path_length(self, n: int) -> int:
        r"""Layers of the lowest stack through which the last position hears the first.

        .. math:: \Bigl\lceil\frac{n - 1}{k - 1}\Bigr\rceil, \qquad
            \lceil\log_k n\rceil \text{ if dilated}

        The logarithm is counted without logarithms.

        Raises:
            ValueError: also where k = 1, as one tap reaches nobody.
        """
        n, k = _positions(n), require_integer("k", self.k, least=2)
        if not self.dilated:
            return _ceil_div(n - 1, k - 1)
        # Not math.log: log 125 / log 5 comes out above 3, and its ceiling is 4.
        layers, positions = 0, 1
        while positions < n:
            layers, positions = layers + 1, positions * k
        return layers


@dataclass(frozen=True)
class Restricted:
    r"""Self-attention within a neighbourhood: to positions at most w = ⌊r/2⌋ away.

    Serves the claims ``encoder-complexity``, ``encoder-sequential`` and ``restricted-attention``.
    Arguments and errors of the methods as for ``SelfAttention``.

    Args:
        r: size of the neighbourhood, at least 1: the window reaches ⌊r/2⌋ positions to either
            side, and holds r + 1 of them if r is even, r if it is odd.

    Raises:
        ValueError: r is no integer, or less than 1.

    >>> Restricted(r=2).multiply_adds(n=5, d=3)  # 13 pairs: 3 + 3 + 3, and 2 at each end
    78
    """

    r: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "r", require_integer("r", self.r, least=1))

    def multiply_adds(self, n: int, d: int) -> int:
        r"""As self-attention, for the pairs of positions in reach of each other and no others.

        .. math::
            2d\,\bigl(n(2w + 1) - w(w + 1)\bigr) \text{ with } w = \min(\lfloor r/2\rfloor, n - 1)
        """
        n, d = _sizes(n, d)
        w = min(self.r // 2, n - 1)
        # A full window at each position, less what hangs over: 1 + 2 + … + w at either end.
        return 2 * d * (n * (2 * w + 1) - w * (w + 1))

    def sequential_depth(self, n: int) -> int:
        """No output waits for another: 1."""
        _positions(n)
        return 1

    def path_length(self, n: int) -> int:
        r"""Layers of the lowest stack through which the last position hears the first.

        .. math:: \Bigl\lceil\frac{n - 1}{\lfloor r/2\rfloor}\Bigr\rceil

        Raises:
            ValueError: also where r = 1, as a window of one's own position reaches nobody.

        >>> Restricted(r=4).path_length(n=10)  # 2 positions a layer
        5
        """
        n, r = _positions(n), require_integer("r", self.r, least=2)
        return _ceil_div(n - 1, r // 2)


def _positions(n: int) -> int:
    return require_integer("n", n, least=1)


def _sizes(n: int, d: int) -> tuple[int, int]:
    return _positions(n), require_integer("d", d, least=1)


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)
