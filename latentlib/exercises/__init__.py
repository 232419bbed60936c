"""Guess, reveal, check: how a lesson asks before it shows, and answers a learner who tries.

    guess("01-bits", "How many bits does gzip need for one digit?", ...)    # the three dots are where the learner types
    reveal("01-bits", bits)                                                 # how far off it was
    check("00-walk", walk)                                                  # right, wrong and where, or not answered
    walk = solved("00-walk", otherwise)                                     # the lesson goes on with the learner's own
    claim("a code keeps the colour", r2 > 0.9, settles="02-colour")         # measured; one of the article's sentences
    score("01")                                                             # one table at the end

What an exercise asks of an answer stands in ``lesson_NN.py``. A learner who answers nothing, or anything, gets a
sentence: only ``claim`` stops a notebook.
"""

import importlib

from latentlib.claims import not_checked
from latentlib.exercises.checks import check, drawn_like, exercise, same_as, slopes_come_through, solved
from latentlib.exercises.guesses import SENTENCES, Sentence, claim, guess, reveal, yours
from latentlib.exercises.guesses import Score as score

for number in range(10):
    importlib.import_module(f"{__name__}.lesson_{number:02}")  # enters its exercises and sentences
