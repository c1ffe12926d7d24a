"""The one error of this package."""

__all__ = ["ClaimError"]


class ClaimError(AssertionError):
    """A claim that does not hold, or that is not written soundly enough to tell."""
