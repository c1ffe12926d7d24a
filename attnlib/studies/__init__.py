"""Recorded studies: what takes too long for a chapter is run once, and kept with how it was run.

``python -m attnlib.studies --help`` tells of the commands.
"""
