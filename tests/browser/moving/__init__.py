"""The figures that move, a file a topic: what each must show, and wrong versions of its script.

``FIGURES`` of a topic gives to each figure's class the function that checks what it shows.
``WRONG`` gives to each wrong version the class, and what is exchanged in the script. ``DATA``,
where there is one, is what the chapter writes into its page for the script.
"""

import importlib
import pkgutil

from .figure import Figure

FIGURES: dict[str, Figure] = {}
WRONG: dict[str, tuple[str, str, str]] = {}
for _, topic, _ in pkgutil.iter_modules(__path__):
    if topic != "figure":
        module = importlib.import_module(f"{__name__}.{topic}")
        for name, check in module.FIGURES.items():
            FIGURES[name] = Figure(topic, f".{name}", check, getattr(module, "DATA", ""))
        WRONG |= {f"{topic}: {what}": wrong for what, wrong in module.WRONG.items()}
