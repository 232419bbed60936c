"""Guess, reveal, check, claim, score: they answer whatever a learner writes, and stop nothing."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from latentlib import exercises
from latentlib.claims import ClaimError
from latentlib.exercises import checks, guesses


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing guessed or solved."""
    for module, names in ((guesses, ("asked", "guesses", "SENTENCES")), (checks, ("answers", "EXERCISES"))):
        for name in names:
            monkeypatch.setattr(module, name, {})
    monkeypatch.setattr(guesses, "settled", set())

    @exercises.exercise("99-double", "Double numbers", why="Two is company.")
    def _(double):
        exercises.same_as(lambda x: 2 * x, double, [(torch.tensor([1.0, 3.0]),), (torch.ones(3, 4),)])

    guesses.SENTENCES["99-far"] = exercises.Sentence("Alike is near.", "half true", "Only where it was learned.")


# --- guesses


def test_without_a_guess_everybody_is_told(capsys):
    for blank in (..., None):
        exercises.guess("99-bits", "How many bits?", blank)
        exercises.reveal("99-bits", 1282.4)
    assert "Measured: 1,282." in capsys.readouterr().out
    assert exercises.yours("99-bits") == {}


@pytest.mark.parametrize(
    ("guess", "measured", "verdict"),
    [
        (1282, 1282.4, "Close."), (1000, 1282.4, "Not far."), (6272, 1282.4, "A surprise!"), ("1300", 1282.4, "Close."),
        (25, 33_554_432, "A surprise!"), (2e7, 33_554_432, "Not far."), (-3, 5, "A surprise!"), (0, 0, "Close."),
        (0, 5, "A surprise!"), (0.51, 0.5, "Close."), (0.3, 0.5, "Not far."),
    ],
)  # fmt: skip
def test_guesses_are_judged_by_ratio(capsys, guess, measured, verdict):
    exercises.guess("99-bits", "How many bits?", guess)
    assert exercises.yours("99-bits") == {"your guess": float(guess)}
    exercises.reveal("99-bits", measured)
    assert verdict in capsys.readouterr().out


@pytest.mark.parametrize("guess", ["pixels", "Pixels", "a", "A)", " a "])
def test_a_choice_may_be_its_letter(capsys, guess):
    exercises.guess("99-who", "Who wins?", guess, choices=("pixels", "code"))
    exercises.reveal("99-who", "pixels")
    assert "Close." in capsys.readouterr().out
    exercises.reveal("99-who", "code")
    assert "surprise" in capsys.readouterr().out


@pytest.mark.parametrize("guess", ["many", [1, 2], object(), float("nan"), float("inf"), 10**400, "c"])
def test_a_guess_that_is_none_gets_a_sentence(capsys, guess):
    exercises.guess("99-bits", "How many bits?", guess)
    exercises.guess("99-who", "Who wins?", guess, choices=("pixels", "code"))
    assert capsys.readouterr().out.count("is no guess that this question understands") == 2
    assert guesses.guesses == {}


def test_asked_again_after_it_was_revealed_it_is_what_the_learner_says_afterwards():
    exercises.guess("99-bits", "How many bits?", 1300)
    exercises.guess("99-bits", "How many bits?", 1400)  # corrected before
    exercises.reveal("99-bits", 1282)
    exercises.guess("99-bits", "How many bits?", 1280)
    for slip in ("1.300 bits", ...):  # run again by accident: what was guessed stays
        exercises.guess("99-bits", "How many bits?", slip)
    assert list(csv.DictReader(exercises.score("99").csv().splitlines())) == [
        {"question": "99-bits", "before": "1400.0", "after": "1280.0", "measured": "1282.0"}
    ]


# --- claims and the table


def test_a_claim_settles_a_sentence_and_a_false_one_raises(capsys):
    exercises.guess("99-far", answer="b")
    exercises.claim("two of two", torch.tensor(True), settles="99-far")
    said = capsys.readouterr().out
    assert "✔ two of two" in said
    assert "Half true. Only where" in said
    assert "Close." in said
    with pytest.raises(ClaimError, match="three of two"):
        exercises.claim("three of two", False)


def test_the_table_says_what_was_not_measured_and_offers_the_guesses(capsys):
    assert "not measured in this run" in repr(exercises.score("99"))
    assert "download" not in exercises.score("99")._repr_html_()
    exercises.guess("99-bits", "How many <bits>?", 1300)
    exercises.check("99-double", lambda x: 2 * x)
    exercises.claim("so", True, settles="99-far")
    table = exercises.score("99")
    assert "How many <bits>? | 1,300 | –" in repr(table)
    assert "Exercise: Double numbers | solved" in repr(table)
    assert "half true. Only where it was learned." in repr(table)
    assert "How many &lt;bits&gt;?" in table._repr_html_()
    assert 'download="guesses-99.csv"' in table._repr_html_()


# --- checks


def stub(x):
    y = ...
    return x + y


@pytest.mark.parametrize("answer", [..., None, stub, lambda x: ...])
def test_what_holds_a_blank_is_not_answered(capsys, answer):
    exercises.check("99-double", answer)
    assert capsys.readouterr().out == "… Double numbers: not answered yet.\n"


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: 2 * x, lambda x: np.asarray(x) * 2, lambda x: (2 * x).tolist(), lambda x: [2 * a for a in x],
        lambda x: (2 * x)[None], lambda x: torch.tensor([2.0, 2.0])[..., 0] * x, lambda x: x.double() * 2,
    ],
)  # fmt: skip
def test_an_answer_may_be_of_any_kind(answer):
    assert checks.judged("99-double", answer) == "✔ Double numbers: right. Two is company."
    got = exercises.solved("99-double", None)(torch.tensor([4.0]))
    assert got.dtype == torch.float32
    assert got.flatten().tolist() == [8.0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: x, "given (1, 3), the answer should be (2, 6); yours is (1, 3)"),
        (
            lambda x: x * (torch.arange(4) if x.dim() > 1 else 2),
            "given numbers of shape (3, 4), number [0, 0] of the answer should be 2; yours is 0",
        ),
        (lambda x: 1 / 0, "ZeroDivisionError"),
        (lambda: 3, "TypeError"),
        (lambda x: "many", "yours is many"),
        (lambda x: None, "yours is None"),
        (3, "TypeError"),
    ],
)
def test_a_wrong_answer_is_told_the_case_and_never_raises(capsys, answer, said):
    exercises.check("99-double", answer)
    assert said.lower() in " ".join(capsys.readouterr().out.split()).lower()
    assert exercises.solved("99-double", "the course's") == "the course's"


def test_a_check_leaves_the_lessons_random_numbers_as_they_were():
    seen = []
    for _ in range(2):
        state = torch.get_rng_state()
        exercises.check("99-double", lambda x: seen.append(torch.rand(3)) or 2 * x)
        assert torch.equal(torch.get_rng_state(), state)
        torch.rand(5)
    assert torch.equal(seen[0], seen[2])  # and a random answer is judged alike whenever it is tried


def test_a_right_answer_that_is_changed_for_a_wrong_one_is_not_used():
    exercises.check("99-double", lambda x: 2 * x)
    exercises.check("99-double", lambda x: x)
    assert exercises.solved("99-double", None) is None
