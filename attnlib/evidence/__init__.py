"""Claims with evidence: what agrees, how far wrong versions miss, what no search has found."""

from attnlib.evidence.answers import check_answer, rows
from attnlib.evidence.block import ClaimError, claim, quote
from attnlib.evidence.search import search

__all__ = ["ClaimError", "check_answer", "claim", "quote", "rows", "search"]
