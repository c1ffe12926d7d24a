"""The mathematics of attention as small functions, and the checks that hold them to it.

One topic word names a chapter, a module and a test file: ``softmax`` is
``notebooks/softmax.md``, ``attnlib/softmax.py`` and ``tests/test_softmax.py``.

``import attnlib`` loads nothing else, not even PyTorch: ``attnlib.softmax`` is imported when it
is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # What type checkers and editors see. Each module is named once, by itself.
    from attnlib import bilinear as bilinear
    from attnlib import entropy as entropy
    from attnlib import evidence as evidence
    from attnlib import knowledge as knowledge
    from attnlib import layer_costs as layer_costs
    from attnlib import lookup as lookup
    from attnlib import ordering as ordering
    from attnlib import positions as positions
    from attnlib import pruning as pruning
    from attnlib import scaling as scaling
    from attnlib import smooth_max as smooth_max
    from attnlib import softmax as softmax
    from attnlib import studies as studies
    from attnlib import synthesizer as synthesizer
    from attnlib import training as training
    from attnlib import transformer as transformer
    from attnlib import two_heads as two_heads
else:  # What runs. Type checkers must not see it: to them, every name would exist.

    def __getattr__(name: str):
        from importlib import import_module
        from importlib.util import find_spec

        # A name with an underscore is private, or something that Python asks every module for.
        if name.startswith("_") or find_spec(f"attnlib.{name}") is None:
            raise AttributeError(f"module 'attnlib' has no attribute {name!r}", name=name)
        return import_module(f"attnlib.{name}")

    def __dir__() -> list[str]:
        from pkgutil import iter_modules

        modules = {module.name for module in iter_modules(__path__)}
        return sorted({*globals(), *(name for name in modules if not name.startswith("_"))})


__version__ = "0.2.0.dev0"
