"""Guess, reveal, check: how a lesson asks before it shows, and answers a learner who tries.

A lesson's author writes cells such as these (the three dots are where the learner types):

    from latentlib.exercises import board, believe, check, guess, reveal, score, settle, yours

    guess("01-bits", "How many bits does gzip need for one digit?", ...)        # a number
    guess("01-ruler", "Which finds alike digits?", ..., choices=("pixels", "code", "neither"))
    ...                                                                         # measure
    plots.bars({"gzip": bits, **yours("01-bits")}, ...)                         # the guess beside the measurement
    reveal("01-bits", bits)                                                     # how far off it was

    believe("colour", ...)              # a sentence of the article: the learner says true, half true or false
    settle("colour", r2_colour < 0.1)   # the measurement behind the verdict in verdicts.py; raises when it fails
    board("02")                         # at the end: the article's sentences, the guesses and what was measured
    score("02")                         # at the end: guesses and exercises of this notebook; score() for the course

An exercise is a function with blanks, and the last line of its cell is a check of it:

    def compress(pictures, k):
        return ...


    check("01-compress", compress)

What "01-compress" asks of an answer stands in ``lesson_01.py`` (see ``exercise`` below). The solution stands in
``notebooks/solutions/01_compression.py``, from which ``python -m tools.solutions`` makes the cell above, the folded
solution and the notebook of solutions; docs/contributing.md says how.

Nothing here stops a notebook: a learner who answers nothing, or anything, gets a sentence. Only ``settle`` raises, as
every claim does, and ``check`` inside ``with strict():``, which is for tests. Text is plain, and as long as nothing is
answered it holds no measured number, so that it is the same on every machine.

Guesses live in memory. With the first answered one a small file, ``my-guesses.json``, appears beside the notebook, so
that the card of the course knows all lessons; delete it to begin anew. ``LATENTLIB_GUESSES`` names another file, or
``off`` for none.
"""

from latentlib.exercises.card import score
from latentlib.exercises.checks import NotAnswered, Wrong, WrongAnswer, check, exercise, solved, strict
from latentlib.exercises.guesses import guess, reveal, yours
from latentlib.exercises.verdicts import believe, board, settle

__all__ = [
    "NotAnswered",
    "Wrong",
    "WrongAnswer",
    "believe",
    "board",
    "check",
    "exercise",
    "guess",
    "reveal",
    "score",
    "settle",
    "solved",
    "strict",
    "yours",
]
