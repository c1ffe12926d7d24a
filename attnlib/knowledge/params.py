"""The parameters file: all that is needed to use a model, and nothing that could run code."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from attnlib._files import read_dict, to_bytes, write_atomically
from attnlib.knowledge.corpus import Alphabet
from attnlib.knowledge.gpt import GPT
from attnlib.knowledge.settings import Sizes

__all__ = ["load_params", "save_params", "sizes_of"]

FORMAT = "attnlib.knowledge parameters 1"


def sizes_of(model: GPT) -> Sizes:
    """The sizes that a model has."""
    return Sizes(model.block_size, model.n_layer, model.n_head, model.n_embd)


def save_params(
    path: str | Path, model: GPT, alphabet: Alphabet, settings: str = "", half: bool = False
) -> None:
    """Store a model: its variant, sizes and weights, and its alphabet. Atomic.

    Args:
        path: replaced if it exists.
        model, alphabet: of the same vocabulary.
        settings: how the weights were made; not needed to use them.
        half: store float16, half the bytes; a weight moves by at most 2⁻¹¹ of itself, or, below
            6.1e−5 in size, by 3e−8.

    Raises:
        ValueError: model and alphabet do not fit, or a weight is not finite in what is stored.
        OSError: the file cannot be written; what was there before is kept.
    """
    if model.vocab_size != len(alphabet):
        raise ValueError(f"alphabet has {len(alphabet)} symbols, model has {model.vocab_size}")
    weights = {}
    for name, weight in model.state_dict().items():
        weights[name] = weight.detach().cpu().to(torch.float16 if half else weight.dtype).clone()
        if not weights[name].isfinite().all():
            raise ValueError(f"model has a weight in {name} that is not finite")
    content: dict[str, Any] = {"format": FORMAT, "attention": model.attention}
    content |= {"alphabet": alphabet.characters, "settings": settings}
    content |= {**asdict(sizes_of(model)), "weights": weights}
    write_atomically(path, to_bytes(content))


def load_params(path: str | Path, dropout: float | int = 0.0) -> tuple[GPT, Alphabet, str]:
    """The model, in float32 if it was stored in float16, its alphabet and settings.

    Raises:
        ValueError: not a parameters file, or its parts do not fit together; path is named.
        OSError: the file cannot be read.
    """
    content = read_dict(path, "parameters")
    if content.get("format") != FORMAT:
        raise ValueError(f"{path}: no parameters file (format {content.get('format')!r})")
    try:
        alphabet = Alphabet(content["alphabet"])
        if alphabet.characters != content["alphabet"]:
            raise ValueError("alphabet is not sorted")
        sizes = Sizes(*(content[field.name] for field in fields(Sizes)))
        # On the meta device nothing is drawn: reading a file leaves the random stream alone.
        with torch.device("meta"):
            model = GPT(len(alphabet), **asdict(sizes), attention=content["attention"],
                        dropout=dropout)  # fmt: skip
        weights = {
            name: weight.float() if weight.dtype == torch.float16 else weight
            for name, weight in content["weights"].items()
        }
        for name, weight in weights.items():
            if not weight.isfinite().all():
                raise ValueError(f"a weight in {name} is not finite")
        model.load_state_dict(weights, assign=True)
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        settings = str(content["settings"])
    except KeyError as error:
        raise ValueError(f"{path}: no {error} in it") from None
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        # load_state_dict lists every weight that is missing or of another shape.
        told = " ".join(str(error).split())
        raise ValueError(f"{path}: its parts do not fit together: {told}") from None
    return model, alphabet, settings
