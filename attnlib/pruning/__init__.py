"""Which heads of a model can go: scores, gates to switch heads off, pruning, a smaller model.

The study of the chapter is a command, ``python -m attnlib.studies pruning``; its model and its
task are in ``attnlib.pruning.task``.
"""

from attnlib._extras import needs

with needs("studies", by="attnlib.pruning"):
    import tqdm as _tqdm  # noqa: F401

from attnlib.pruning.fewer import FewerHeads
from attnlib.pruning.heads import gate_heads, rescale_heads
from attnlib.pruning.layers import AttentionLayer, Block, attention_layers
from attnlib.pruning.prune import Pruning, greedy_prune
from attnlib.pruning.remove import remove_heads
from attnlib.pruning.scores import METHODS, gradient_matrices, head_scores

__all__ = ["METHODS", "AttentionLayer", "Block", "FewerHeads", "Pruning", "attention_layers",
           "gate_heads", "gradient_matrices", "greedy_prune", "head_scores", "remove_heads",
           "rescale_heads"]  # fmt: skip
