"""Positions as angles: sinusoidal codes, the rotation that shifts them, rotary queries and keys."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attnlib._inputs import (
    FLOATS,
    are_rows,
    eager,
    raised,
    refuse,
    require_finite,
    require_integer,
    require_real,
    rounded,
    surely_finite,
    values_may_be_read,
)
from attnlib._shapes import Float, Real

__all__ = ["frequencies", "rotary", "shift_rotation", "sinusoids"]

_EXACT = 2**53  # up to here every integer is a float64


def frequencies(d: int, base: float | int = 10000.0) -> Float[Tensor, " pairs"]:
    r"""The angle by which each pair of coordinates turns from one position to the next.

    .. math:: \omega_i = \text{base}^{-2i/d}, \qquad i = 0, \dots, d/2 - 1

    Serves the claim ``sinusoid-no-derivation``: these are a choice. The minus sign keeps them in
    (0, 1], below a half turn; with a plus sign neighbouring positions would look unrelated.

    Args:
        d: number of coordinates, even, at least 2.
        base: a finite number above 1.

    Returns:
        d/2 angles in radians per position, float64, decreasing from 1.

    Raises:
        ValueError: d is not an even positive integer, or base is not a finite number above 1.

    >>> frequencies(4, base=100)
    tensor([1.0000, 0.1000], dtype=torch.float64)
    """
    d = require_integer("d", d, least=2)
    if d % 2:
        raise ValueError(f"d must be even, a sine and a cosine for each frequency; got {d}")
    base = require_real("base", base, above=1)
    return base ** (torch.arange(0, d, 2, dtype=torch.float64) / -d)


def sinusoids(n: int, d: int, base: float | int = 10000.0) -> Float[Tensor, "n d"]:
    r"""The sinusoidal codes of the positions 0, …, n − 1.

    .. math::
        \mathrm{PE}(p)_{2i} = \sin \omega_i p, \qquad \mathrm{PE}(p)_{2i+1} = \cos \omega_i p,
        \qquad \omega_i = \text{base}^{-2i/d}

    Serves the claim ``sinusoid-relative``. Every row has norm √(d/2).

    Args:
        n: number of positions; 0 gives a table without rows.
        d: number of coordinates, even, at least 2. In an odd d the last sine would lack its
            cosine, and no matrix would shift the code.
        base: a finite number above 1.

    Returns:
        [n, d] in the default dtype. The angles are float64 whatever that is, since an error in
        an angle is an error of that size in the code.

    Raises:
        ValueError: n is not a non-negative integer, d is not even and positive, or base is not
            a finite number above 1.

    Source: Vaswani et al. (2017), section 3.5.

    >>> sinusoids(1, 4)  # position 0: every sine is 0, every cosine 1
    tensor([[0., 1., 0., 1.]])
    """
    n = require_integer("n", n, least=0, most=_EXACT)
    angle = torch.arange(n, dtype=torch.float64)[:, None] * frequencies(d, base)
    code = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)
    return code.to(torch.get_default_dtype())


def shift_rotation(k: int, d: int, base: float | int = 10000.0) -> Float[Tensor, "d d"]:
    r"""The orthogonal matrix that moves every sinusoidal code by k positions.

    .. math::
        \mathrm{PE}(p + k) = R_k\,\mathrm{PE}(p), \qquad
        R_k = \operatorname{blockdiag}_i \begin{pmatrix}
            \cos\omega_i k & \sin\omega_i k \\ -\sin\omega_i k & \cos\omega_i k \end{pmatrix}

    Serves the claim ``sinusoid-relative``. It acts on columns; rows are multiplied by its
    transpose, which is the rotation by −k.

    Args:
        k: the shift, any integer of at most 2⁵³ in modulus.
        d: number of coordinates, even, at least 2.
        base: a finite number above 1.

    Returns:
        [d, d] in the default dtype, from float64 angles.

    Raises:
        ValueError: k is not such an integer, or as for ``sinusoids``.

    >>> moved = shift_rotation(3, 4) @ sinusoids(6, 4)[2]
    >>> torch.allclose(moved, sinusoids(6, 4)[5])
    True
    """
    k = require_integer("k", k, least=-_EXACT, most=_EXACT)
    angle = k * frequencies(d, base)
    c, s = angle.cos(), angle.sin()
    blocks = torch.stack([torch.stack([c, s], dim=-1), torch.stack([-s, c], dim=-1)], dim=-2)
    R: Tensor = torch.block_diag(*blocks)
    return R.to(torch.get_default_dtype())


def rotary(
    x: Float[Tensor, "*b n d"],
    positions: Real[Tensor, "*#b n"],
    base: float | int = 10000.0,
    turned: int | None = None,
) -> Float[Tensor, "*b n d"]:
    r"""Queries or keys, each turned by the angles of its position.

    .. math::
        \begin{pmatrix} y_{2i} \\ y_{2i+1} \end{pmatrix} = \begin{pmatrix}
            \cos\omega_i p & -\sin\omega_i p \\ \sin\omega_i p & \cos\omega_i p \end{pmatrix}
        \begin{pmatrix} x_{2i} \\ x_{2i+1} \end{pmatrix}

    Serves the claim ``rotary-relative``: the dot product of a query turned by p and a key turned
    by s depends on p − s only. The row x at p becomes x times ``shift_rotation(p, d)``. Pairs
    are neighbours; code that pairs i with i + d/2 needs permuted weights.

    Args:
        x: rows of queries or keys, float32 or float64. float16 and bfloat16 are turned in float32
            and rounded once.
        positions: one for each of the n rows, [n]; or as many axes as x but for the last, of its
            lengths or 1: [batch, 1, n] for positions of each example. Integers, float32 or
            float64, at most 2⁵³ in modulus. Not half precision: bfloat16 has no 257.
        base: a finite number above 1.
        turned: how many coordinates turn, the first ones; even, by default all d. The others stay
            as they are, and offsets are still all that scores see.

    Returns:
        As x, in shape and dtype. The angles are float64 whatever the dtype of x.

    Raises:
        ValueError: x is not finite, not a float tensor, or has an odd last axis although all of
            it turns, or overflows; positions do not match its rows or hold something else; base is
            not a finite number above 1; turned is not even, or beyond d.

    Source: Su et al. (2024).

    >>> rotary(torch.tensor([[3.0, 4.0]]), torch.tensor([0]))
    tensor([[3., 4.]])
    """
    (exact,), kind = raised(x)
    y = _quick(exact, positions, base, turned) if eager(x, positions) else None
    if y is None:
        y = _rotary(exact, positions, base, turned)
    return y if kind is None else rounded(y, kind)


def _rotary(x: Tensor, positions: Tensor, base: float | int, turned: int | None) -> Tensor:
    """The same with a look at every argument, in turn."""
    require_finite("x", x)
    if x.ndim < 2 or (turned is None and x.shape[-1] % 2):
        raise ValueError(f"x must have rows of an even number of entries, got {tuple(x.shape)}")
    d = x.shape[-1] if turned is None else require_integer("turned", turned, 2, x.shape[-1])
    if d % 2:
        raise ValueError(f"turned must be even, a pair for each frequency; got {d}")
    _require_positions(positions, x.shape[:-1])
    angle = _angles(positions, d, base)
    c, s = angle.cos().to(x), angle.sin().to(x)
    u, v = x[..., :d].unflatten(-1, (-1, 2)).unbind(-1)
    y = torch.stack([u * c - v * s, u * s + v * c], dim=-1).flatten(-2)
    require_finite("x turned", y)
    return torch.cat([y, x[..., d:]], dim=-1) if d < x.shape[-1] else y


def _angles(positions: Tensor, d: int, base: float | int) -> Tensor:
    return positions.double()[..., None] * frequencies(d, base).to(positions.device)


def _quick(x: Any, positions: Any, base: Any, turned: Any) -> Tensor | None:
    """A complex product, or None where something could be wrong: a rotation loses no NaN."""
    if not (are_rows(x) and x.ndim > 1 and isinstance(positions, Tensor)):
        return None
    d = x.shape[-1] if turned is None else turned
    if type(d) is not int or d % 2 or not 0 < d <= x.shape[-1]:
        return None
    if type(base) not in (int, float) or positions.requires_grad:
        return None
    table = _table(x, positions, d, base)
    pairs = x[..., :d].unflatten(-1, (-1, 2))
    if pairs.stride(-1) != 1 or any(s % 2 for s in (*pairs.stride()[:-1], pairs.storage_offset())):
        pairs = pairs.clone(memory_format=torch.contiguous_format)  # numbers must begin at evens
    y = torch.view_as_real(torch.view_as_complex(pairs) * table).flatten(-2)
    if d < x.shape[-1]:
        y = torch.cat([y, x[..., d:]], dim=-1)
    return y if surely_finite(y) else None


# The last few positions and their tables: a model asks for the same in every layer and step.
_tables: dict[tuple[Any, ...], tuple[Tensor, Tensor]] = {}
_MOST_TABLES, _MOST_NUMBERS = 8, 2**18


def _table(x: Tensor, positions: Tensor, d: int, base: float | int) -> Tensor:
    """cos + i sin of the angles, in the precision of x; new positions are checked, after x."""
    key = (d, base, x.dtype, x.shape[:-1], positions.dtype, positions.shape, positions.device)
    known = _tables.get(key)
    if known is not None and torch.equal(known[0], positions):
        return known[1]
    require_finite("x", x)
    _require_positions(positions, x.shape[:-1])
    # What is kept must serve outside of inference mode too.
    with torch.inference_mode(False), torch.no_grad():
        angle = _angles(positions, d, base)
        table = torch.complex(angle.cos().to(x), angle.sin().to(x))
        if len(_tables) >= _MOST_TABLES:
            _tables.clear()
        if table.numel() <= _MOST_NUMBERS:
            _tables[key] = positions.clone(), table
    return table


def _require_positions(positions: Any, rows: tuple[int, ...]) -> None:
    """Positions of rows: integers, float32 or float64, finite and at most 2⁵³ in modulus."""
    if not isinstance(positions, Tensor):
        raise ValueError(f"positions must be a torch tensor, got {type(positions).__name__}")
    dtype = positions.dtype
    whole = not (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool)
    if not whole and dtype not in FLOATS:
        raise ValueError(f"positions must hold integers, float32 or float64, got {dtype}")
    shape, n = tuple(positions.shape), rows[-1]
    fit = len(shape) == len(rows) and all(a in (1, b) for a, b in zip(shape, rows, strict=True))
    if shape != (n,) and not (fit and shape[-1] == n):
        each = f", or axes that fit all of {tuple(rows)}" * (len(rows) > 1)
        raise ValueError(f"positions must have shape {(n,)}, one for each row{each}; got {shape}")
    if values_may_be_read(positions):
        refuse("positions", positions, ~positions.isfinite(), "a value that is not finite")
        beyond = positions.double().abs() > _EXACT
        refuse("positions", positions, beyond, f"a value beyond {_EXACT}")
