"""Pretraining and knowledge: a small GPT that reads about people and is asked about them."""

from attnlib._extras import needs

with needs("studies", by="attnlib.knowledge"):
    import click as _click  # noqa: F401
    import tqdm as _tqdm  # noqa: F401

from attnlib.knowledge.answer import accuracy, choose, greedy_answers
from attnlib.knowledge.corpus import (
    Alphabet,
    alternate,
    answer_batches,
    pair_text,
    span_batches,
)
from attnlib.knowledge.files import read_pairs, read_texts
from attnlib.knowledge.generate import baseline, generate_corpus, question
from attnlib.knowledge.gpt import GPT, VARIANTS
from attnlib.knowledge.hints import guessers, hints, names_seen
from attnlib.knowledge.params import load_params, save_params
from attnlib.knowledge.recall import (
    Exam,
    answered,
    follow,
    hidden_places,
    read_curve,
    recalled,
    stored_and_found,
)
from attnlib.knowledge.settings import Reading, Schedule, Sizes
from attnlib.knowledge.spans import corrupt_name, corrupt_place, corrupt_span, restore_span
from attnlib.knowledge.train import new_model, train

__all__ = ["GPT", "VARIANTS", "Alphabet", "Exam", "Reading", "Schedule", "Sizes", "accuracy",
           "alternate", "answer_batches", "answered", "baseline", "choose", "corrupt_name",
           "corrupt_place", "corrupt_span", "follow", "generate_corpus", "greedy_answers",
           "guessers", "hidden_places", "hints", "load_params", "names_seen", "new_model",
           "pair_text", "question", "read_curve", "read_pairs", "read_texts", "recalled",
           "restore_span", "save_params", "span_batches", "stored_and_found",
           "train"]  # fmt: skip
