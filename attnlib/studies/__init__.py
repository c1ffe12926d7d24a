"""Recorded studies: what takes too long for a chapter is run once, and kept with how it was run.

``python -m attnlib.studies --help`` tells of the commands.
"""

from attnlib._extras import needs

with needs("studies", by="attnlib.studies"):
    import click as _click  # noqa: F401
    import tqdm as _tqdm  # noqa: F401
