"""A check judges answers, not styles: ten right answers of different kinds and ten wrong ones for each exercise."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from latentlib.exercises import WrongAnswer, check, solved, strict
from latentlib.exercises.checks import lesson

NUMBERS = sorted(path.stem[-2:] for path in Path(__file__).with_name("answers").glob("lesson_*.py"))


def answers(kind: str):
    for number in NUMBERS:
        module = importlib.import_module(f"tests.answers.lesson_{number}")
        for key, given in getattr(module, kind).items():
            for k, answer in enumerate(given):
                yield pytest.param(key, answer, id=f"{key}-{k}")


@pytest.mark.parametrize(("key", "answer"), [*answers("RIGHT")])
def test_right_answers_are_right(key, answer):
    with strict():
        check(key, answer)
    assert solved(key, None) is not None


@pytest.mark.parametrize(("key", "answer"), [*answers("WRONG")])
def test_wrong_answers_are_wrong(key, answer):
    with strict(), pytest.raises(WrongAnswer) as error:
        check(key, answer)
    assert solved(key, None) is None
    assert len(str(error.value)) > 30
    assert "dtype" not in str(error.value)


@pytest.mark.parametrize("number", NUMBERS)
def test_ten_of_each_kind_for_every_exercise(number):
    module = importlib.import_module(f"tests.answers.lesson_{number}")
    for key in lesson(number):
        assert min(len(module.RIGHT[key]), len(module.WRONG[key])) >= 10, key
    assert set(lesson(number)) == set(module.RIGHT) == set(module.WRONG)
