"""The checkers of the exercises of notebooks/transformer.md: what they accept and refuse."""

import math

import torch
import torch.nn.functional as F
from exercises import Checkers
from helpers import cells_of, close

from attnlib.transformer import attention, causal_mask

CELLS = cells_of("transformer")
EXERCISES = [cell for cell in CELLS[1:] if "check_" in cell.code and "claim(" not in cell.code]
RUN = [CELLS[0], *EXERCISES]


def by_walking(n, w):
    layers, at = 0, n
    while at > 1:
        layers, at = layers + 1, at - w
    return layers


def by_matrices(n, w):
    step, seen, layers = causal_mask(n).triu(-w).double(), torch.eye(n).double(), 0
    while seen[-1, 0] == 0:
        seen, layers = seen @ step, layers + 1
    return torch.tensor(layers)


def real_keys(lengths, n):
    return (torch.arange(n) >= n - lengths[:, None])[:, None, None, :]


def see_themselves(lengths, n):
    return real_keys(lengths, n) & causal_mask(n) | torch.eye(n, dtype=torch.bool)


def see_everything(lengths, n):
    """What is padding may look at all that there is."""
    padded = ~real_keys(lengths, n).mT
    return (real_keys(lengths, n) & causal_mask(n)) | padded


def sequence_by_sequence(lengths, n):
    masks = torch.eye(n, dtype=torch.bool).repeat(len(lengths), 1, 1)
    for mask, length in zip(masks, lengths.tolist(), strict=True):
        mask[n - length :, n - length :] = causal_mask(length)
    return masks[:, None].expand(-1, 2, -1, -1)


def see_themselves_if_empty(lengths, n):
    mask = real_keys(lengths, n) & causal_mask(n)
    empty = ~mask.any(-1, keepdim=True)
    return torch.where(empty, torch.eye(n, dtype=torch.bool), mask)


def padded_at_the_end(lengths, n):
    real = (torch.arange(n) < lengths[:, None])[:, None, None, :]
    return real & causal_mask(n) | torch.eye(n, dtype=torch.bool)


def by_softmax(q, K, V):
    return torch.softmax(K @ q / len(q) ** 0.5, 0) @ V


def by_kernel(q, K, V):
    return F.scaled_dot_product_attention(q[None], K, V)[0]


def last_of_all(q, K, V):
    """The other queries do not matter."""
    Q = torch.zeros_like(K)
    Q[-1] = q
    return attention(Q, K, V, causal_mask(len(K)))[0][-1]


def in_single(q, K, V):
    return by_softmax(q.float(), K.float(), V.float())


def by_loops(x):
    b, h, n, d_v = x.shape
    rows = [[[entry for head in range(h) for entry in x[i, head, t].tolist()] for t in range(n)]
            for i in range(b)]  # fmt: skip
    return torch.tensor(rows).view(b, n, h * d_v)


RIGHT = {
    "check_layers": [
        lambda n, w: math.ceil((n - 1) / w),
        lambda n, w: -(-(n - 1) // w),
        lambda n, w: (n + w - 2) // w,
        by_walking,
        by_matrices,
    ],
    "check_mask": [
        see_themselves,
        see_everything,
        sequence_by_sequence,
        see_themselves_if_empty,
        lambda lengths, n: see_themselves(lengths, n).expand(-1, 2, -1, -1),
    ],
    "check_join": [
        lambda x: x.transpose(1, 2).flatten(2),
        lambda x: x.permute(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1),
        lambda x: torch.cat(list(x.unbind(1)), -1),
        by_loops,
        lambda x: by_loops(x).tolist(),
        lambda x: x.transpose(1, 2).contiguous().view(x.shape[0], x.shape[2], -1).float(),
    ],
    "check_step": [by_softmax, by_kernel, last_of_all, in_single,
                   lambda q, K, V: by_softmax(q, K, V).tolist()],
}  # fmt: skip
WRONG = {
    "check_layers": [
        (lambda n, w: n // w, "fewer than"),
        (lambda n, w: (n - 1) // w, "no number of layers"),
        (lambda n, w: math.ceil(n / w), "fewer than"),
        (lambda n, w: n - 1, "fewer than"),
        (lambda n, w: math.ceil((n - 1) / (w + 1)), "do not lead"),
        (lambda n, w: (n - 1) / w, "no number of layers"),
        (lambda n, w: math.ceil(math.log(n, w + 1)), "do not lead"),
        (lambda n, w: [1, 2], "one number"),
        (lambda n, w: "all", "str"),
        (lambda n, w: math.nan, "no number of layers"),
        (lambda n, w: math.inf, "no number of layers"),
    ],
    "check_mask": [
        (lambda lengths, n: causal_mask(n)[None, None], "gets alone"),
        (lambda lengths, n: real_keys(lengths, n) & causal_mask(n), "empty"),
        (padded_at_the_end, "gets alone"),
        (lambda lengths, n: see_themselves(lengths + 1, n), "gets alone"),
        (lambda lengths, n: see_themselves(lengths - 1, n), "gets alone"),
        (lambda lengths, n: real_keys(lengths, n).expand(-1, 1, n, n), "gets alone"),
        (lambda lengths, n: see_themselves(lengths, n).mT, "gets alone"),
        (lambda lengths, n: ~see_themselves(lengths, n), "empty"),
        (lambda lengths, n: see_themselves(lengths, n)[:, 0], "does not fit"),
        (lambda lengths, n: see_themselves(lengths, n).double(), "boolean"),
        (lambda lengths, n: see_themselves(lengths, n).tolist(), "a tensor"),
        (lambda lengths, n: 1.0, "a tensor"),
    ],
    "check_join": [
        (lambda x: x.reshape(x.shape[0], x.shape[2], -1), "has"),
        (lambda x: x.mT.reshape(x.shape[0], x.shape[2], -1), "has"),
        (lambda x: x.permute(0, 2, 3, 1).flatten(2), "has"),
        (lambda x: x.sum(1), "the shape is"),
        (lambda x: x.transpose(1, 2), "the shape is"),
        (lambda x: x.flatten(2), "the shape is"),
        (lambda x: x.flip(1).transpose(1, 2).flatten(2), "has"),
        (lambda x: 1.0, "the shape is"),
        (lambda x: [], "the shape is"),
        (lambda x: "joined", "str"),
    ],
    "check_step": [
        (lambda q, K, V: attention(q[None], K, V, causal_mask(len(K))[:1])[0][0], "the last row"),
        (lambda q, K, V: torch.softmax(K @ q, 0) @ V, "the last row"),
        (lambda q, K, V: torch.softmax(K @ q / len(q), 0) @ V, "the last row"),
        (lambda q, K, V: torch.softmax(K @ q / len(K) ** 0.5, 0) @ V, "the last row"),
        (lambda q, K, V: V[(K @ q).argmax()], "the last row"),
        (lambda q, K, V: V.mean(0), "the last row"),
        (lambda q, K, V: V[-1], "the last row"),
        (lambda q, K, V: by_softmax(q, K, V)[None], "the shape is"),
        (lambda q, K, V: 0.5, "the shape is"),
        (lambda q, K, V: [], "the shape is"),
        (lambda q, K, V: by_softmax(q, K, V) * math.nan, "the last row"),
    ],
}  # fmt: skip


class TestCheckers(Checkers):
    FORGOTTEN = ("None", "is a tensor")


def test_the_exercises_on_paper(double_by_default):
    """A mask after softmax, repaired; and what layer norm forgets."""
    S, may = torch.randn(4, 4), causal_mask(4)
    late = S.softmax(-1) * may
    close(late / late.sum(-1, keepdim=True), S.masked_fill(~may, -math.inf).softmax(-1))
    row = torch.tensor([0.0, 800.0]).softmax(0) * may[0, :2]
    assert row.sum() == 0  # so the first key gets 0/0
    x = torch.randn(5, 12)
    forgets = F.layer_norm(x, [12], eps=0)
    close(F.layer_norm(3 * x - 7, [12], eps=0), forgets)
    close(forgets.norm(dim=-1), torch.full((5,), 12**0.5))
