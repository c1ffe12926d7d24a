"""The checkers of the exercises of notebooks/synthesizer.md: what they accept and refuse."""

import itertools
import math

import pytest
import torch
from exercises import Checkers
from helpers import WRONG_ANSWER, answer_cases, cells_of, told

CELLS = cells_of("synthesizer")
EXERCISES = [cell for cell in CELLS[1:] if "check_" in cell.code]
RUN = [CELLS[0], *EXERCISES]

TURN = torch.tensor([1.0, -1.0])


def tile_by_a_loop(p, r):
    return torch.stack([x * y for x in p for y in r])


def block_by_trying(d, h):
    return next(n for n in itertools.count(1) if (d + h) * n > d * (d - 1))


def by_solving(Y_1, Y_0, beta, m):
    """The value and the sum of the others, from two equations."""
    e = math.exp(beta)
    rows = torch.tensor([[e / (e + m), 1 / (e + m)], [1 / (m + 1), 1 / (m + 1)]])
    return torch.linalg.solve(rows, torch.stack([Y_1, Y_0]))[0]


def by_weights(Y_1, Y_0, beta, m):
    """Undo the weight that all tokens have, then that of the match."""
    other = 1 / (math.exp(beta) + m)
    return (Y_1 - other * (m + 1) * Y_0) / (math.exp(beta) * other - other)


def circle(n, turned=1.0):
    angle = torch.linspace(0, math.pi / 2, n) * turned
    H = torch.stack([angle.cos(), angle.sin()], 1)
    return H, H.flip(0).T


def circle_in_single(n):
    """In single precision cos(π/2) is −4e-8."""
    angle = torch.linspace(0, math.pi / 2, n, dtype=torch.float32)
    H = torch.stack([angle.cos(), angle.sin()], 1)
    return H, H.flip(0).T


def parabola(n):
    """−(t − s)² up to a constant in s: the row does not care."""
    t = torch.arange(float(n))
    H = torch.stack([torch.ones(n), t], 1)
    return H, torch.stack([-(t**2), 2 * t]).flip(1)


def in_lists(n):
    H, B = circle(n)
    return [H.tolist(), B.tolist()]


def line(n):
    t = torch.arange(float(n))
    H = torch.stack([t, n - 1 - t], 1)
    return H, H.flip(0).T


def by_cases(places):
    missing = {(0, 0), (0, 1), (1, 0), (1, 1)} - set(places)
    if len(missing) == 1:
        ((i, j),) = missing
        return torch.eye(2)[i], -torch.eye(2)[j]
    rows, columns = ({place[k] for place in places} for k in (0, 1))
    if len(places) == 2 and len(rows) == len(columns) == 2:
        return TURN, TURN * (1 if (0, 0) in places else -1)
    return (torch.tensor([float(k in on) for k in (0, 1)]) for on in (rows, columns))


def by_search(places):
    for p in itertools.product((-1, 0, 1), repeat=2):
        for r in itertools.product((-1, 0, 1), repeat=2):
            S = {(i, j): p[i] * r[j] for i in (0, 1) for j in (0, 1)}
            top = [place for place in S if S[place] == max(S.values())]
            if sorted(places) == sorted(top):
                return list(p), list(r)


def rectangle(places):
    p, r = torch.zeros(2), torch.zeros(2)
    for i, j in places:
        p[i] = r[j] = 1
    return p, r


RIGHT = {
    "check_tile": [
        lambda p, r: p.repeat_interleave(len(r)) * r.repeat(len(p)),
        lambda p, r: torch.outer(p, r).flatten(),
        lambda p, r: torch.outer(r, p).flatten(),
        tile_by_a_loop,
        lambda p, r: [x * y for x in p.tolist() for y in r.tolist()],
        lambda p, r: torch.kron(p.float(), r.float()),
    ],
    "check_block": [
        lambda d, h: d * (d - 1) // (d + h) + 1,
        block_by_trying,
        lambda d, h: 1 + math.floor((d * d - d) / (d + h)),
        lambda d, h: torch.tensor(d * (d - 1) // (d + h) + 1),
        lambda d, h: float(d * (d - 1) // (d + h) + 1),
    ],
    "check_combine": [
        lambda Y, Z, b, m: ((math.exp(b) + m) * Y - (m + 1) * Z) / (math.exp(b) - 1),
        by_solving,
        by_weights,
        lambda Y, Z, b, m: by_weights(Y.item(), Z.item(), b, m),
        lambda Y, Z, b, m: by_weights(Y.float(), Z.float(), b, m)[None],
    ],
    "check_point": [
        circle,
        circle_in_single,
        parabola,
        in_lists,
        lambda n: [5 * part for part in circle(n)],
    ],
    "check_single_out": [
        lambda places: tuple(by_cases(places)),
        by_search,
        lambda places: [3 * torch.as_tensor(part) for part in by_search(places)],
    ],
}
WRONG = {
    "check_tile": [
        (lambda p, r: p.repeat(len(r)) * r.repeat(len(p)), "products occur"),
        (lambda p, r: p.repeat_interleave(len(r)) * r.repeat_interleave(len(p)), "products occur"),
        (lambda p, r: torch.outer(p, r), "wanted a row"),
        (lambda p, r: torch.cat([p, r]), "wanted a row"),
        (lambda p, r: (p[:, None] + r).flatten(), "other numbers"),
        (lambda p, r: p[0] * r, "wanted a row"),
        (lambda p, r: 1.0, "wanted a row"),
        (lambda p, r: [], "wanted a row"),
        (lambda p, r: (p[:, None] * r * math.nan).flatten(), "products"),
    ],
    "check_block": [
        (lambda d, h: d, "more already"),
        (lambda d, h: d * (d - 1) // (d + h), "no block"),
        (lambda d, h: d * (d - 1) / (d + h) + 1, "no block"),
        (lambda d, h: max(1, d * d // (d + h)), "not more"),
        (lambda d, h: d - h + 1, "more"),
        (lambda d, h: d + 1, "more already"),
        (lambda d, h: [d], "list"),
        (lambda d, h: math.nan, "no block"),
        (lambda d, h: math.inf, "no block"),
        (lambda d, h: 10**9, "too large"),
    ],
    "check_combine": [
        (lambda Y, Z, b, m: Y * (math.exp(b) + m) / math.exp(b), "the value is"),
        (lambda Y, Z, b, m: Y, "the value is"),
        (lambda Y, Z, b, m: Y - Z, "the value is"),
        (lambda Y, Z, b, m: (math.exp(b) + m) * Y - (m + 1) * Z, "the value is"),
        (lambda Y, Z, b, m: ((math.exp(b) + m - 1) * Y - m * Z) / (math.exp(b) - 1),
         "the value is"),
        (lambda Y, Z, b, m: ((math.exp(b) + m) * Y - (m + 1) * Z) / math.exp(b), "the value is"),
        (lambda Y, Z, b, m: torch.stack([Y, Z]), "one number"),
        (lambda Y, Z, b, m: [], "one number"),
        (lambda Y, Z, b, m: Y * math.nan, "the value is"),
    ],
    "check_point": [
        (line, "points to"),
        (lambda n: circle(n, turned=2.0), "nothing negative"),
        (lambda n: (circle(n)[0], circle(n)[0].T), "points to"),
        (lambda n: (torch.eye(n), torch.eye(n).flip(0)), "wrong shapes"),
        (lambda n: (torch.ones(n, 2), torch.ones(2, n)), "points to"),
        (lambda n: circle(n)[0], "wanted a pair"),
        (lambda n: circle(n)[::-1], "wrong shapes"),
        (lambda n: tuple(part * math.nan for part in circle(n)), "nothing negative"),
        (lambda n: 1.0, "wanted a pair"),
    ],
    "check_single_out": [
        (rectangle, "not lower"),
        (lambda places: (TURN, TURN), "not"),
        (lambda places: tuple(0.1 * part for part in by_cases(places)), "not lower"),
        (lambda places: (-torch.as_tensor(by_search(places)[0]), by_search(places)[1]), "not"),
        (lambda places: (torch.ones(2), torch.ones(2)), "not lower"),
        (lambda places: torch.outer(*rectangle(places)), "wanted a pair"),
        (lambda places: [1.0, 1.0], "two entries"),
        (lambda places: (TURN * math.nan, TURN), "not"),
    ],
}  # fmt: skip


class TestCheckers(Checkers):
    FORGOTTEN = ("None", "wanted a pair")


@pytest.mark.parametrize(("name", "answer"), answer_cases(WRONG))
def test_wrong_answers_get_one_clear_line(chapter, capsys, name, answer):
    wrong, reason = answer
    first, second = told(chapter, capsys, name, wrong).splitlines()
    assert first.startswith(WRONG_ANSWER)
    assert any(words in second for words in reason.split("|"))


def test_no_factorised_row_singles_out_a_diagonal_of_three():
    """Exercise "Places that a factorised row can single out", (b): off it something is as high."""
    p, r = torch.randn(2, 20_000, 3, dtype=torch.float64)
    p[:5000], r[5000:8000] = p[:5000].round(), r[5000:8000].round()  # zeros and ties as well
    S = p[:, :, None] * r[:, None]
    on = torch.eye(3, dtype=torch.bool)
    lowest_on = S[:, on].amin(1)
    assert (S[:, ~on].amax(1) >= lowest_on).all()
    # And the exercise as it was: three corners of a rectangle do not make a fourth.
    corners = torch.outer(torch.tensor([0.0, 1.0]), torch.tensor([0.0, -1000.0]))
    assert torch.softmax(corners.flatten(), 0).tolist() == [1 / 3, 1 / 3, 1 / 3, 0]


def test_order_without_positions():
    """Exercise "Order without positions": what permutes with the tokens and what does not."""
    from attnlib.synthesizer import SynthesizerAttention
    from attnlib.transformer import MultiHeadAttention

    X, order = torch.randn(1, 5, 6), torch.tensor([3, 0, 4, 1, 2])
    dot, dense = MultiHeadAttention(6, 2), SynthesizerAttention(6, 2, 5, causal=False)
    torch.testing.assert_close(dot(X[:, order])[0], dot(X)[0][:, order])
    assert not torch.allclose(dense(X[:, order])[0], dense(X)[0][:, order])
    with torch.no_grad():
        dense.B.zero_()
    torch.testing.assert_close(dense(X[:, order])[0], dense(X)[0][:, order])
