"""The mathematics of attention as small functions, and the checks that hold them to it.

One topic word names a chapter, a module and a test file: ``softmax`` is
``notebooks/softmax.md``, ``attnlib/softmax.py`` and ``tests/test_softmax.py``.
"""

__version__ = "0.1.0"
