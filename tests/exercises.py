"""What the exercises of every chapter are held to.

A module of tests names the cells of the chapter that it needs, the answers that each checker must
accept, and those that it must refuse with a word of the reason::

    EXERCISES = CELLS[-6:]  # each checker with an attempt that it refuses, and each solution
    RUN = [CELLS[0], *EXERCISES]
    RIGHT = {"check_fold": [by_loops, by_einsum, ...]}
    WRONG = {"check_fold": [(one_sign, "must be even"), ...]}

    class TestCheckers(Checkers): ...
"""

import torch
from helpers import RIGHT_ANSWER, WRONG_ANSWER, answer_cases, told


class Checkers:
    NAMES_THE_CASE = False  # whether a reason may stand in the line that shows the case
    FORGOTTEN = ("None",)  # what is said of an answer that returns nothing

    def pytest_generate_tests(self, metafunc):
        """From the RIGHT and WRONG of the module that has the class."""
        given = {"right": metafunc.module.RIGHT, "wrong": metafunc.module.WRONG}
        for kind, answers in given.items():
            if kind in metafunc.fixturenames:
                metafunc.parametrize(("name", kind), answer_cases(answers))
        if "any_checker" in metafunc.fixturenames:
            metafunc.parametrize("any_checker", metafunc.module.RIGHT)

    def test_right_answers_pass(self, chapter, capsys, name, right):
        assert told(chapter, capsys, name, right).startswith(RIGHT_ANSWER)

    def test_wrong_answers_get_one_clear_line(self, chapter, capsys, name, wrong):
        answer, reason = wrong
        first, second = told(chapter, capsys, name, answer).splitlines()
        assert first.startswith(WRONG_ANSWER)
        assert reason in (first + second if self.NAMES_THE_CASE else second)

    def test_an_answer_that_forgets_to_return(self, chapter, capsys, any_checker):
        out = told(chapter, capsys, any_checker, lambda *args: None)
        assert out.startswith(WRONG_ANSWER)
        assert any(word in out for word in self.FORGOTTEN)

    def test_an_answer_that_varies(self, chapter, capsys, any_checker):
        out = told(chapter, capsys, any_checker, lambda *args: torch.rand(()).item())
        assert out.startswith(WRONG_ANSWER)

    def test_every_checker_is_held_against_both(self, chapter, request):
        checkers = {name for name in chapter if name.startswith("check_")} - {"check_answer"}
        assert checkers == set(request.module.RIGHT) == set(request.module.WRONG)

    def test_attempts_are_contradicted_and_solutions_are_not(self, run, request):
        exercises = request.module.EXERCISES
        printed = list(zip(exercises, run[1][-len(exercises):], strict=True))  # fmt: skip
        solutions = [out for cell, out in printed if "hide-cell" in cell.tags]
        attempts = [out for cell, out in printed if "@check_answer" in cell.code]
        assert len(attempts) == len(solutions) == len(request.module.RIGHT)
        assert all(out.startswith(WRONG_ANSWER) for out in attempts)
        assert all(out.startswith(RIGHT_ANSWER) for out in solutions)
