"""attnlib/evidence/find.py: the one search that answers and claims share."""

import random

import pytest
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from attnlib.evidence.find import smallest

numbers = {"a": st.integers(0, 10**6), "b": st.lists(st.integers(0, 9))}


def test_the_smallest_instance_that_meets_a_condition():
    found = smallest(numbers, lambda v: v["a"] > 41 and sum(v["b"]) > 9, 500)
    assert found["a"] == 42
    assert sum(found["b"]) == 10
    assert len(found["b"]) == 2


def test_none_of_so_many_examples():
    tried = []
    assert smallest(numbers, tried.append, 123) is None  # append returns None: never met
    assert len(tried) == 123


def test_the_same_every_time_and_the_random_numbers_of_others_stay():
    def seen(seed):
        random.seed(seed)
        tried = []
        smallest(numbers, tried.append, 30)
        return tried, random.random()

    first, second = seen(1), seen(2)
    assert first[0] == second[0]
    random.seed(1)
    assert first[1] == random.random()


def test_nothing_to_look_at_is_no_answer():
    with pytest.raises(Unsatisfiable):
        smallest({"a": st.integers().filter(lambda a: False)}, lambda v: False, 20)


def test_an_error_of_the_condition_is_not_taken_for_an_answer():
    def meets(values):
        raise ZeroDivisionError("inside")

    with pytest.raises(ZeroDivisionError, match="inside"):
        smallest(numbers, meets, 20)
