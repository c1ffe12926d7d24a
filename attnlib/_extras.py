"""What to install where a package is missing that only a part of attnlib needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["needs"]


@contextmanager
def needs(extra: str, by: str) -> Iterator[None]:
    """Around imports that come with an extra: where one is missing, the error says which.

    Args:
        extra: the name of the extra in ``pyproject.toml``.
        by: the module that needs it, as a user would import it.

    Raises:
        ModuleNotFoundError: a package is missing; the message says how to install it.

    >>> with needs("studies", by="attnlib.knowledge"):
    ...     import no_such_package
    Traceback (most recent call last):
    ModuleNotFoundError: attnlib.knowledge needs no_such_package: pip install 'attnlib[studies]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "attnlib"):  # a mistake of ours, not an extra that is missing
            raise
        message = f"{by} needs {package}: pip install 'attnlib[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from error
