"""What removing heads saves: models with fewer heads are timed in turn with the whole one.

    python .ci/bench_heads.py

records a row for each make of model and length of text, for the chapter on pruning: examples per
second over those of the whole model, by the quartiles of the rounds.
"""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from attnlib._files import write_atomically
from attnlib.knowledge.gpt import GPT
from attnlib.pruning import attention_layers, gate_heads, remove_heads

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "attnlib/studies/recorded/head-removal.json"

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
        "torch": torch.__version__,
        "over_whole": {name: [round(q, 3) for q in statistics.quantiles(r, n=4)]
                       for name, r in ratios.items()},
    }  # fmt: skip


if __name__ == "__main__":
    rows = [throughput(make, n, rounds=20) for make in MAKES for n in (128, 512)]
    write_atomically(RECORD, json.dumps(rows, indent=1) + "\n")
    print(f"wrote {RECORD.relative_to(ROOT)}")
