"""What removing heads saves, and what all gate scores cost; models are timed in turn.

    python .ci/bench_heads.py

prints two lines of JSON for each make of model and length of text: examples per second over those
of the whole model, and all gate scores against a masked run for every head, each by the quartiles
of the rounds.
"""

import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attnlib.knowledge.gpt import GPT
from attnlib.pruning import attention_layers, gate_heads, head_scores, remove_heads

SHARES = (0.25, 0.5, 0.75)  # of the heads of a model, drawn at random
WIDTH, HEADS, LAYERS, BATCH = 768, 12, 2, 1  # two layers of BERT's and GPT-2's smallest models


def encoder(n: int) -> tuple[nn.Module, Tensor]:
    """Torch's encoder and its tokens."""
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, batch_first=True)
    model = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
    return model, torch.randn(BATCH, n, WIDTH)


def gpt(n: int) -> tuple[nn.Module, Tensor]:
    """The project's GPT and its characters."""
    return GPT(50, n, LAYERS, HEADS, WIDTH), torch.randint(50, (BATCH, n))


MAKES = {"encoder": encoder, "gpt": gpt}


def products(share: float, n: int) -> float:
    """Throughput over that of the whole model if only multiplications took time.

    A layer takes 8d² for W_Q, W_K, W_V and W_O, 4nd for the weights and with them, 16d² for its
    feed-forward network, a token; the first two go with the heads.
    """
    heads = 8 + 4 * n / WIDTH
    return (heads + 16) / ((1 - share) * heads + 16)


@torch.no_grad()
def throughput(make: str, n: int, rounds: int, seed: int = 0) -> dict[str, object]:
    """Throughput with heads removed, and with half of them gated, over that of the whole model."""
    torch.manual_seed(seed)
    model, x = MAKES[make](n)
    model.eval()
    shape = len(attention_layers(model)), HEADS
    order = torch.randperm(shape[0] * shape[1])
    run: dict[str, Callable[[], object]] = {"whole": lambda: model(x)}
    masks = {}
    for share in SHARES:
        mask = torch.ones(shape[0] * shape[1], dtype=torch.bool)
        mask[order[: round(share * len(order))]] = False
        masks[share] = mask.view(shape)
        small = remove_heads(model, masks[share]).eval()
        run[f"{share:.0%} removed"] = lambda small=small: small(x)

    def gated() -> object:
        with gate_heads(model, masks[0.5]):
            began = time.perf_counter()
            model(x)
            return time.perf_counter() - began

    times: dict[str, list[float]] = {name: [] for name in [*run, "50% gated"]}
    for _ in range(rounds + 2):
        for name, f in run.items():
            began = time.perf_counter()
            f()
            times[name].append(time.perf_counter() - began)
        times["50% gated"].append(gated())
    whole = times.pop("whole")[2:]  # the first two rounds warm up
    ratios = {name: [a / b for a, b in zip(whole, t[2:], strict=True)] for name, t in times.items()}
    return {
        "make": make, "n": n, "width": WIDTH, "heads": HEADS, "layers": LAYERS, "batch": BATCH,
        "rounds": rounds, "seed": seed, "threads": torch.get_num_threads(),
        "torch": torch.__version__, "products": {f"{s:.0%} removed": round(products(s, n), 3)
                                             for s in SHARES},
        "over_whole": {name: [round(q, 3) for q in statistics.quantiles(r, n=4)]
                       for name, r in ratios.items()},
    }  # fmt: skip


def gates(make: str, n: int, rounds: int, seed: int = 0) -> dict[str, object]:
    """How many times faster all gate scores are than a masked run for every head."""
    torch.manual_seed(seed)
    model, x = MAKES[make](n)
    model.eval()
    mask = torch.ones(len(attention_layers(model)), HEADS)
    mask[0, 0] = 0

    def loss(model: nn.Module, x: Tensor) -> Tensor:
        return model(x).square().flatten(1).mean(1)

    faster = []
    for _ in range(rounds + 2):
        began = time.perf_counter()
        head_scores(model, [x], "gate", loss)
        between = time.perf_counter()
        with torch.no_grad(), gate_heads(model, mask):
            loss(model, x)
        faster.append((time.perf_counter() - between) * mask.numel() / (between - began))
    return {
        "make": make, "n": n, "width": WIDTH, "heads": HEADS, "layers": LAYERS, "batch": BATCH,
        "rounds": rounds, "seed": seed, "least": mask.numel() / 3,
        "faster": [round(q, 2) for q in statistics.quantiles(faster[2:], n=4)],
    }  # fmt: skip


if __name__ == "__main__":
    for make in MAKES:
        for n in (128, 512):
            for measure in (throughput, gates):
                print(json.dumps(measure(make, n, rounds=20)), flush=True)
