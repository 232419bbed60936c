"""Guess, reveal, check: they answer whatever a learner writes, stop nothing, and write no unwanted file."""

from __future__ import annotations

import json
import linecache
import runpy

import nbformat
import pytest
import torch

from latentlib import exercises
from latentlib.claims import ClaimError
from latentlib.exercises import checks, record, verdicts
from latentlib.exercises.card import LESSONS
from tools import solutions
from tools.course import ROOT, lessons


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """An empty record, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LATENTLIB_GUESSES", raising=False)
    record.forget()
    yield
    record.forget()


@pytest.fixture
def double(monkeypatch):
    """An exercise: double a number."""
    monkeypatch.setattr(checks, "EXERCISES", dict(checks.EXERCISES))

    @exercises.exercise("99-double", "Double a number", why="Two is company.")
    def _(answer):
        got = answer(3)
        if got == 9:
            return exercises.Wrong("3 doubled is 6, yours gives 9.", torch.zeros(1, 1, 8, 8))
        return None if got == 6 else f"3 doubled is 6, yours gives {got}."


# --- guesses


def test_an_unanswered_guess_prints_no_number_and_writes_no_file(capsys, tmp_path):
    for blank in (..., None):
        exercises.guess("01-bits", "How many bits?", blank)
        exercises.reveal("01-bits", 1282.4)
    assert "1,282" not in capsys.readouterr().out
    assert exercises.yours("01-bits") == {}
    exercises.score("01")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("guess", "points", "word"),
    [(1282, 2, "Close"), (1400, 2, "Close"), (1000, 1, "Not far"), (6272, 0, "surprise"), ("1300", 2, "Close")],
)
def test_a_guess_is_compared_with_the_measurement(capsys, guess, points, word):
    exercises.guess("01-bits", "How many bits?", guess)
    assert exercises.yours("01-bits") == {"your guess": float(guess)}
    exercises.reveal("01-bits", 1282.4)
    assert word in capsys.readouterr().out
    assert record.guesses["01-bits"]["points"] == points


def test_close_can_be_said():
    exercises.guess("01-share", "What share?", 0.6)
    exercises.reveal("01-share", 0.5, close=0.02)
    assert record.guesses["01-share"]["points"] == 0


@pytest.mark.parametrize("guess", ["pixels", "Pixels", "a", "A)", " a "])
def test_a_choice_may_be_its_letter(capsys, guess):
    exercises.guess("01-who", "Who wins?", guess, choices=("pixels", "code"))
    exercises.reveal("01-who", "pixels")
    assert "That is right" in capsys.readouterr().out
    exercises.reveal("01-who", "code")
    assert "surprise" in capsys.readouterr().out


@pytest.mark.parametrize("guess", ["many", [1, 2], object(), float("nan"), float("inf"), 10**400, "c"])
def test_a_guess_that_is_none_gets_a_sentence(capsys, guess):
    exercises.guess("01-bits", "How many bits?", guess)
    exercises.guess("01-who", "Who wins?", guess, choices=("pixels", "code"))
    exercises.reveal("01-bits", 5)
    assert capsys.readouterr().out.count("is no guess that this question understands") == 2
    assert record.guesses == {}


def test_a_guess_lives_in_one_file_that_another_notebook_reads_and_the_learner_may_delete(capsys, tmp_path):
    exercises.guess("01-bits", "How many bits?", 1300)
    exercises.reveal("01-bits", 1282)
    assert [path.name for path in tmp_path.iterdir()] == ["my-guesses.json"]
    record.forget()  # another notebook
    exercises.score()
    assert "01 | 1 | 2 of 2" in capsys.readouterr().out
    exercises.guess("02-share", "What share?", 0.5)
    assert set(json.loads((tmp_path / "my-guesses.json").read_text())["guesses"]) == {"01-bits", "02-share"}
    record.forget()
    (tmp_path / "my-guesses.json").unlink()
    exercises.score()
    assert "01 | 0 | –" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", ["", "[]", '{"guesses": 3, "solved": {}}', '{"guesses": {"01-x": 1}, "solved": {}}']
)
def test_a_damaged_file_is_as_good_as_none(tmp_path, content):
    (tmp_path / "my-guesses.json").write_text(content)
    exercises.score()
    exercises.score("01")
    exercises.board()


def test_the_file_can_be_elsewhere_or_nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("LATENTLIB_GUESSES", "off")
    exercises.guess("01-bits", "How many bits?", 1300)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("LATENTLIB_GUESSES", str(tmp_path / "no" / "folder" / "g.json"))
    exercises.guess("01-bits", "How many bits?", 1300)  # cannot be written, and stops nothing
    monkeypatch.setenv("LATENTLIB_GUESSES", str(tmp_path / "g.json"))
    exercises.guess("01-bits", "How many bits?", 1300)
    assert [path.name for path in tmp_path.iterdir()] == ["g.json"]


def test_an_answer_taken_back_is_gone():
    exercises.guess("01-bits", "How many bits?", 1300)
    record.forget()
    exercises.guess("01-bits", "How many bits?", ...)
    assert "01-bits" not in record.everything()["guesses"]


# --- checks


def a_stub(x):
    return ...


def half_a_stub(x):
    y = ...
    return x + y


def an_index(x):
    return 2 * torch.tensor([x])[..., 0].item()


def test_blanks_are_seen_and_indices_are_none():
    assert all(checks.blank(answer) for answer in (None, ..., a_stub, half_a_stub, (1, ...), {"a": None}))
    assert not any(checks.blank(answer) for answer in (an_index, 0, "", [1], torch.zeros(2), print))


def test_a_check_answers_before_and_after(double, capsys, tmp_path):
    exercises.check("99-double", half_a_stub)
    exercises.check("99-double", lambda x: x + 1)
    exercises.check("99-double", lambda x: x / 0)
    exercises.check("99-double", an_index)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "… Double a number: not answered yet."
    assert said[1] == "✘ Double a number: not yet. 3 doubled is 6, yours gives 4."
    assert "Your code stopped with ZeroDivisionError: division by zero" in said[2]
    assert said[3] == "✔ Double a number: right. Two is company."
    assert record.solved == {"99-double": True}
    assert list(tmp_path.iterdir()) == []  # nobody guessed


def test_a_wrong_case_can_be_a_picture(double, capsys):
    exercises.check("99-double", lambda x: x * x)
    assert "3 doubled is 6" in capsys.readouterr().out


def test_a_stub_that_says_so_itself_is_not_answered(double, capsys):
    def stub(x):
        raise NotImplementedError

    exercises.check("99-double", stub)
    assert "not answered yet" in capsys.readouterr().out


def test_a_key_that_nobody_knows_gets_a_sentence(capsys):
    exercises.check("98-none", 1)
    assert "There is no exercise '98-none'" in capsys.readouterr().out


def test_a_lesson_may_go_on_with_a_right_answer(double):
    assert not exercises.solved("99-double")
    exercises.check("99-double", lambda x: x + 1)
    assert not exercises.solved("99-double")
    exercises.check("99-double", an_index)
    assert exercises.solved("99-double")
    for later in (lambda x: x + 1, a_stub):  # the lesson must not go on with these
        exercises.check("99-double", an_index)
        exercises.check("99-double", later)
        assert not exercises.solved("99-double")
    assert record.solved["99-double"]  # on the card it stays solved


def test_strict_raises(double):
    with exercises.strict():
        exercises.check("99-double", an_index)
        with pytest.raises(exercises.NotAnswered):
            exercises.check("99-double", a_stub)
        with pytest.raises(exercises.WrongAnswer, match="yours gives 4"):
            exercises.check("99-double", lambda x: x + 1)
        with pytest.raises(exercises.WrongAnswer, match="yours gives 9"):
            exercises.check("99-double", lambda x: x * x)


# --- card and board


def test_the_card_shows_guesses_and_exercises(double, capsys):
    exercises.guess("99-a", "How <many>?", 3)
    exercises.reveal("99-a", 4)
    exercises.guess("99-b", "How long?", ...)
    exercises.check("99-double", an_index)
    exercises.score("99")
    said = capsys.readouterr().out
    assert "How <many>? | 3 | 4 | 1 of 2" in said
    assert "How long? | – | – | –" in said
    assert "Exercise: Double a number |  |  | solved" in said
    table = exercises.card._of_a_lesson("99", record.everything())._repr_html_()
    assert "How &lt;many&gt;?" in table
    assert "<script" not in table


def test_a_verdict_is_borne_out_or_raises(capsys):
    exercises.believe("colour", "true")
    exercises.settle("colour", True)
    assert "surprise" in capsys.readouterr().out
    exercises.board("02")
    said = capsys.readouterr().out
    assert verdicts.SENTENCES["colour"].measured in said
    assert " | true | false | " in said
    with pytest.raises(ClaimError):
        exercises.settle("colour", False)


def test_the_board_is_whole():
    assert all(sentence.verdict in verdicts.VERDICTS for sentence in verdicts.SENTENCES.values())
    assert all(sentence.lesson in LESSONS for sentence in verdicts.SENTENCES.values())
    assert len({sentence.verdict for sentence in verdicts.SENTENCES.values()}) == 3  # else guessing would be dull


# --- what every lesson owes

WITH_EXERCISES = [path for path in lessons() if solutions.source(path).is_file()]
each_lesson = pytest.mark.parametrize("path", WITH_EXERCISES, ids=[path.stem for path in WITH_EXERCISES])


def keys(path) -> list[str]:
    return list(solutions.parts(solutions.source(path).read_text(encoding="utf-8"))[1])


@each_lesson
def test_exercises_and_solutions_come_from_one_source(path):
    assert solutions.problems(path) == []
    assert sorted(keys(path)) == sorted(checks.lesson(path.stem[:2]))


@each_lesson
def test_the_solutions_pass(path, capsys):
    with exercises.strict():
        runpy.run_path(str(solutions.source(path)))
    assert capsys.readouterr().out.count("✔") >= len(keys(path))


@each_lesson
def test_untouched_exercises_are_not_answered(path, capsys):
    head, parts = solutions.parts(solutions.source(path).read_text(encoding="utf-8"))
    space: dict = {}
    exec(head, space)
    for key, part in parts.items():
        text, name = solutions.stub(part), f"<{key}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)  # as IPython does with a cell
        exec(compile(text, name, "exec"), space)
    said = capsys.readouterr().out
    assert said.count("not answered yet") == len(parts)
    assert "✔" not in said


def refusal(key: str, answer: object) -> str:
    """The sentence for a wrong answer; nothing when it passes."""
    try:
        with exercises.strict():
            exercises.check(key, answer)
    except exercises.WrongAnswer as error:
        return str(error)
    return ""


@each_lesson
def test_three_wrong_answers_to_each_exercise_are_rejected(path):
    """They stand in tests/wrong_answers/lesson_NN.py, as WRONG: key -> answers."""
    wrong = runpy.run_path(str(ROOT / "tests" / "wrong_answers" / f"lesson_{path.stem[:2]}.py"))["WRONG"]
    assert sorted(wrong) == sorted(keys(path))
    for key, answers in wrong.items():
        assert len(answers) >= 3, key
        for number, answer in enumerate(answers):
            assert len(refusal(key, answer)) > 40, f"{key}: wrong answer {number} passes, or is not told why"


# --- the tool

SOURCE = '''"""Doc."""

import torch

from latentlib.exercises import check

# %% 99-double
def double(x):
    twice = 2 * x  #:
    return twice  #: return ...


check("99-double", double)
'''


def test_stub_and_solution_differ_in_the_marked_lines_only():
    head, parts = solutions.parts(SOURCE)
    assert head == "import torch\n\nfrom latentlib.exercises import check"
    part = parts["99-double"]
    assert solutions.stub(part) == 'def double(x):\n    return ...\n\n\ncheck("99-double", double)'
    assert solutions.solved(part).splitlines()[1:3] == ["    twice = 2 * x", "    return twice"]


@pytest.fixture
def course(tmp_path):
    """A course with one lesson that has one exercise."""
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    lesson = tmp_path / "notebooks" / "99_new.ipynb"
    v4 = nbformat.v4
    cells = [
        v4.new_markdown_cell("# 99 · New"),
        v4.new_code_cell('check("99-double", ...)', metadata={"tags": ["exercise"]}),
        v4.new_markdown_cell("**1.** Do.\n<!-- solution 99-double --><!-- /solution -->\nThen go on."),
    ]
    nbformat.write(v4.new_notebook(cells=cells), lesson)
    solutions.source(lesson).write_text(SOURCE, encoding="utf-8")
    return lesson


def test_the_tool_writes_lesson_and_solutions(course):
    root = course.parents[1]
    assert len(solutions.problems(course, root)) == 2
    missing, changed = solutions.write(course, root)
    assert missing == []
    assert [path.name for path in changed] == ["99_new.ipynb", "99_new.ipynb"]
    assert solutions.problems(course, root) == []
    assert solutions.write(course, root) == ([], [])
    cells = nbformat.read(course, as_version=4).cells
    assert cells[1].source.startswith("def double(x):\n    return ...")
    assert "<summary>Solution</summary>\n\n```python\ndef double(x):\n    twice" in cells[2].source
    assert cells[2].source.endswith("<!-- /solution -->\nThen go on.")


def test_an_exercise_without_a_place_is_told(course):
    notebook = nbformat.read(course, as_version=4)
    notebook.cells = notebook.cells[:1]
    nbformat.write(notebook, course)
    missing, _ = solutions.write(course, course.parents[1])
    assert len(missing) == 2
    assert all(sentence.startswith("99-double: no ") for sentence in missing)
