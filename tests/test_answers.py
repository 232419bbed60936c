"""A check judges answers, not styles: ten right answers of different kinds and ten wrong ones for each exercise."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from latentlib.exercises.checks import EXERCISES, judged, solved

NUMBERS = sorted(path.stem[-2:] for path in Path(__file__).with_name("answers").glob("lesson_*.py"))


def answers(kind: str):
    for number in NUMBERS:
        module = importlib.import_module(f"tests.answers.lesson_{number}")
        for key, given in getattr(module, kind).items():
            for k, answer in enumerate(given):
                yield pytest.param(key, answer, id=f"{key}-{k}")


@pytest.mark.parametrize(("key", "answer"), [*answers("RIGHT")])
def test_right_answers_are_right(key, answer):
    said = judged(key, answer)
    assert said.startswith("✔"), said
    assert solved(key, None) is not None


@pytest.mark.parametrize(("key", "answer"), [*answers("WRONG")])
def test_wrong_answers_are_wrong(key, answer):
    said = judged(key, answer)
    assert said.startswith("✘"), said
    assert solved(key, None) is None
    assert len(said) > 30
    assert "dtype" not in said


@pytest.mark.parametrize("number", NUMBERS)
def test_ten_of_each_kind_for_every_exercise(number):
    module = importlib.import_module(f"tests.answers.lesson_{number}")
    keys = {key for key in EXERCISES if key.startswith(number)}
    for key in keys:
        assert min(len(module.RIGHT[key]), len(module.WRONG[key])) >= 10, key
    assert keys == set(module.RIGHT) == set(module.WRONG)
